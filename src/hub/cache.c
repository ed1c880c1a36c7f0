/* cache.c: where the cache lies, what is in it, and making its folders and links. */
#include "hub/cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

enum { PATH_LIMIT = 4096, TOKEN_LIMIT = 4096 };

char *berth_hub_path(const char *root, const char *const *parts)
{
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, PATH_LIMIT);
    bool good = berth_buffer_text(&buffer, root);
    for (size_t i = 0; good && parts[i]; i++)
        good = berth_buffer_text(&buffer, "/") && berth_buffer_text(&buffer, parts[i]);
    if (good)
        return buffer.data;
    berth_buffer_clear(&buffer);
    return NULL;
}

/* A variable that is set to something; "~/" is the home folder. */
static char *folder_of(const char *variable, const char *const *below)
{
    const char *value = getenv(variable), *home = getenv("HOME");
    if (!value || !value[0])
        return NULL;
    if (value[0] == '~' && (value[1] == '/' || !value[1]) && home) {
        const char *parts[] = {value[1] ? value + 2 : ".", NULL};
        char *expanded = berth_hub_path(home, parts);
        char *path = expanded ? berth_hub_path(expanded, below) : NULL;
        berth_free(expanded);
        return path;
    }
    return berth_hub_path(value, below);
}

/* HF_HOME or its default, and what lies below it. */
static char *home_path(const char *below)
{
    const char *direct[] = {below, NULL}, *cached[] = {"huggingface", below, NULL},
               *deep[] = {".cache", "huggingface", below, NULL};
    char *path = folder_of("HF_HOME", direct);
    if (!path)
        path = folder_of("XDG_CACHE_HOME", cached);
    return path ? path : folder_of("HOME", deep);
}

enum berth_status berth_hub_cache_root(const char *given, char **root, struct berth_error *err)
{
    const char *none[] = {NULL};
    *root = given ? berth_strdup(given) : NULL;
    if (!given && !(*root = folder_of("HF_HUB_CACHE", none)))
        *root = home_path("hub");
    if (*root)
        return BERTH_OK;
    return given || getenv("HF_HOME") || getenv("HOME")
               ? berth_fail_memory(err, "the cache's path", PATH_LIMIT)
               : berth_fail(err, BERTH_NOT_FOUND, "no cache for models: neither HF_HOME nor HOME is set");
}

/* --- token --------------------------------------------------------------------------------------------------- */

static enum berth_status clean_token(char *text, const char *source, char **token, struct berth_error *err)
{
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]))
        size--;
    for (size_t i = 0; i < size; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "%s: what stands there is no token: it has spaces or control characters in it", source);
    if (size == 0)
        return BERTH_OK;
    *token = berth_strndup(text, size);
    return *token ? BERTH_OK : berth_fail_memory(err, "a token", size);
}

enum berth_status berth_hub_token(char **token, struct berth_error *err)
{
    const char *given = getenv("HF_TOKEN"), *none[] = {NULL};
    char *text = NULL, *path = NULL;
    size_t size;
    enum berth_status status = BERTH_OK;
    *token = NULL;
    if (given && given[0]) {
        if (strlen(given) > TOKEN_LIMIT || !(text = berth_strdup(given)))
            return berth_fail(err, BERTH_LIMIT, "HF_TOKEN: longer than %d bytes", TOKEN_LIMIT);
        status = clean_token(text, "HF_TOKEN", token, err);
    } else {
        path = folder_of("HF_TOKEN_PATH", none);
        if (!path)
            path = home_path("token");
        if (path && berth_path_present(path))
            status = berth_file_read(path, TOKEN_LIMIT, &text, &size, err);
        if (text)
            status = clean_token(text, path, token, err);
    }
    berth_free(path);
    berth_free(text);
    return status;
}

/* --- finding ------------------------------------------------------------------------------------------------- */

/* The commit that refs/REVISION holds, or REVISION itself when it is one. */
static enum berth_status read_commit(const char *root, const struct berth_hub_id *id, char commit[65],
                                     struct berth_error *err)
{
    const char *parts[] = {id->folder, "refs", id->revision, NULL};
    char *path = berth_hub_path(root, parts), *text = NULL;
    size_t size;
    enum berth_status status = BERTH_OK;
    if (!path)
        return berth_fail_memory(err, "a path", PATH_LIMIT);
    commit[0] = 0;
    if (berth_file_exists(path)) {
        status = berth_file_read(path, 1024, &text, &size, err);
        if (text) {
            text[strcspn(text, " \r\n")] = 0;
            if (berth_hub_is_commit(text))
                snprintf(commit, 65, "%s", text);
            else
                status = berth_fail(err, BERTH_FORMAT, "%s: holds no commit; `berth pull %s` writes it anew", path,
                                    id->repo);
        }
    } else if (berth_hub_is_commit(id->revision))
        snprintf(commit, 65, "%.64s", id->revision);
    berth_free(text);
    berth_free(path);
    return status;
}

enum berth_status berth_hub_find(const char *root, const struct berth_hub_id *id, char **snapshot,
                                 struct berth_error *err)
{
    char commit[65], at[BERTH_HUB_REVISION_MAX + 2] = "";
    bool is_main = strcmp(id->revision, "main") == 0;
    *snapshot = NULL;
    enum berth_status status = read_commit(root, id, commit, err);
    if (status != BERTH_OK)
        return status;
    if (commit[0]) {
        const char *parts[] = {id->folder, "snapshots", commit, NULL};
        *snapshot = berth_hub_path(root, parts);
        if (!*snapshot)
            return berth_fail_memory(err, "a path", PATH_LIMIT);
        if (berth_directory_exists(*snapshot))
            return BERTH_OK;
        berth_free(*snapshot);
        *snapshot = NULL;
    }
    if (!is_main)
        snprintf(at, sizeof at, "@%s", id->revision);
    return berth_fail(err, BERTH_NOT_FOUND,
                      "%s%s: no such directory, and not in the cache of models (%s); `berth pull %s%s` fetches it",
                      id->repo, at, root, id->repo, at);
}

/* --- making -------------------------------------------------------------------------------------------------- */

enum berth_status berth_hub_make_folders(const char *path, struct berth_error *err)
{
    char *copy = berth_strdup(path);
    enum berth_status status = BERTH_OK;
    if (!copy)
        return berth_fail_memory(err, path, strlen(path));
    for (char *end = copy + 1; status == BERTH_OK; end++) {
        char kept = *end;
        if (kept != '/' && kept != 0)
            continue;
        *end = 0;
        if (mkdir(copy, 0777) != 0 && errno != EEXIST && !berth_directory_exists(copy))
            status = berth_fail_errno(err, errno, "%s: cannot make the directory", copy);
        *end = kept;
        if (kept == 0)
            break;
    }
    if (status == BERTH_OK && !berth_directory_exists(path))
        status = berth_fail(err, BERTH_IO, "%s: is not a directory", path);
    berth_free(copy);
    return status;
}

static bool leads_to(const char *link, const char *target)
{
    char now[PATH_LIMIT];
    ssize_t size = readlink(link, now, sizeof now);
    return size == (ssize_t)strlen(target) && memcmp(now, target, (size_t)size) == 0;
}

enum berth_status berth_hub_link(const char *target, const char *link, struct berth_error *err)
{
    char temporary[PATH_LIMIT + 32];
    if (leads_to(link, target))
        return BERTH_OK;
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", link, (long)getpid()) >= PATH_LIMIT)
        return berth_fail(err, BERTH_LIMIT, "%s: the path is too long", link);
    unlink(temporary); /* of a killed process that had our number */
    if (symlink(target, temporary) != 0)
        return berth_fail_errno(err, errno, "%s: cannot make the link", link);
    if (rename(temporary, link) == 0)
        return BERTH_OK;
    int error_number = errno;
    unlink(temporary);
    return berth_fail_errno(err, error_number, "%s: cannot make the link", link);
}
