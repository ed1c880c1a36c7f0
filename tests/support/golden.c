/* golden.c: reference data for tests. */
#include "support/golden.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *golden_find(const char *name)
{
    static char paths[8][4096];
    static unsigned turn;
    char *path = paths[turn++ % 8];
    const char *shared = getenv("BERTH_SHARED"), *source = getenv("BERTH_SOURCE");
    if (shared && shared[0] == '/')
        snprintf(path, sizeof paths[0], "%s/%s", shared, name);
    else
        snprintf(path, sizeof paths[0], "%s/%s/%s", source ? source : ".", shared ? shared : "../shared",
                 name);
    return access(path, R_OK) == 0 ? path : NULL;
}

const char *golden_path(const char *name)
{
    const char *path = golden_find(name);
    if (!path) {
        printf("SKIP: %s: %s is missing\n", program_invocation_short_name, name);
        exit(77);
    }
    return path;
}

json_t *golden_json(const char *path)
{
    json_error_t error;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &error);
    if (!root) {
        fprintf(stderr, "%s: %s\n", path, error.text);
        exit(1);
    }
    return root;
}

size_t golden_json_lines(const char *path, void (*check)(const json_t *line, void *context), void *context)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    char *line = NULL;
    size_t capacity = 0, count = 0;
    for (ssize_t n; (n = getline(&line, &capacity, file)) > 0;) {
        json_error_t error;
        json_t *object = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, &error);
        if (!object) {
            fprintf(stderr, "%s: line %zu: %s\n", path, count + 1, error.text);
            exit(1);
        }
        check(object, context);
        json_decref(object);
        count++;
    }
    free(line);
    fclose(file);
    return count;
}

const char *golden_string(const json_t *object, const char *key, size_t *size)
{
    const json_t *value = json_object_get(object, key);
    *size = json_is_string(value) ? json_string_length(value) : 0;
    return json_is_string(value) ? json_string_value(value) : NULL;
}
