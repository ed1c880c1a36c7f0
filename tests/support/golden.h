/* golden.h: finding the reference data, and reading it. */
#ifndef BERTH_TESTS_GOLDEN_H
#define BERTH_TESTS_GOLDEN_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Path of a file or folder below $BERTH_SHARED (default ../shared; when relative, beside $BERTH_SOURCE or the
 * current folder), in static storage that the next call but seven reuses. When it is not there, prints "SKIP:
 * ..." and exits with 77. */
const char *golden_path(const char *name);

/* The same, but NULL instead of a skip. */
const char *golden_find(const char *name);

/* A whole JSON file; the test fails when it cannot be read. */
json_t *golden_json(const char *path);

/* Calls `check` with each line of a JSON Lines file, parsed; returns how many. */
size_t golden_json_lines(const char *path, void (*check)(const json_t *line, void *context), void *context);

/* String member as bytes; NULL and 0 when absent or null. */
const char *golden_string(const json_t *object, const char *key, size_t *size);

#endif
