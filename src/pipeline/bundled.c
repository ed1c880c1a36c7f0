/* bundled.c: from "bundled:NAME" to a directory beside the program or the library. */
#include "pipeline/bundled.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"

static const char prefix[] = "bundled:";
static const char *const names[] = {"sst2"};

bool berth_bundled_is(const char *name)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Cuts the last part of an absolute path off; false at the root. */
static bool cut_last(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash)
        return false;
    *slash = 0;
    return true;
}

/* The folder of the file that holds this code; a program may be known by a relative name, which find_program
 * sees to. */
static bool find_code(char folder[PATH_MAX])
{
    Dl_info info;
    return dladdr(prefix, &info) && info.dli_fname && info.dli_fname[0] == '/' &&
           realpath(info.dli_fname, folder) && cut_last(folder);
}

/* The folder of the program. */
static bool find_program(char folder[PATH_MAX])
{
    ssize_t size = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    folder[size > 0 ? size : 0] = 0;
    return size > 0 && cut_last(folder);
}

static bool holds_model(const char *directory)
{
    char *config = berth_path_join(directory, "config.json");
    bool holds = config && berth_path_present(config);
    berth_free(config);
    return holds;
}

/* Tries the folders above `folder`, which it shortens; `found` is the first that has the model. */
static bool look_from(char *folder, const char *name, char found[PATH_MAX])
{
    static const char *const places[] = {"share/berth/models", "models"};
    for (size_t up = 1; up <= 3 && cut_last(folder); up++)
        for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
            int length = snprintf(found, PATH_MAX, "%s/%s/%s", folder, places[i], name);
            if (length > 0 && length < PATH_MAX && holds_model(found))
                return true;
        }
    return false;
}

enum berth_status berth_bundled_find(const char *name, char **directory, struct berth_error *err)
{
    const char *model = name + strlen(prefix);
    char code[PATH_MAX] = "", program[PATH_MAX] = "", found[PATH_MAX], places[2 * PATH_MAX + 8] = "";
    size_t i = 0;
    *directory = NULL;
    while (i < sizeof names / sizeof *names && strcmp(names[i], model) != 0)
        i++;
    if (i == sizeof names / sizeof *names)
        return berth_fail(err, BERTH_NOT_FOUND, "%s: no such model comes with berth; there is bundled:%s",
                          name, names[0]);
    bool has_code = find_code(code), has_program = find_program(program);
    bool apart = has_code && (!has_program || strcmp(code, program) != 0);
    snprintf(places, sizeof places, "%s%s%s", apart ? code : "", apart && has_program ? " or " : "",
             has_program ? program : "");
    if ((apart && look_from(code, model, found)) || (has_program && look_from(program, model, found))) {
        *directory = berth_strdup(found);
        return *directory ? BERTH_OK : berth_fail_memory(err, "a path", strlen(found));
    }
    return berth_fail(
        err, BERTH_NOT_FOUND,
        "%s: neither share/berth/models/%s nor models/%s lies in the folders above %s; install berth "
        "with its data, or give the model's directory",
        name, model, model, places);
}
