/* json_load.h: bytes from outside to a jansson value, bounded before the parser sees them. Everything after
 * that is jansson's own API. */
#ifndef BERTH_FORMATS_JSON_LOAD_H
#define BERTH_FORMATS_JSON_LOAD_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "base/buffer.h"
#include "berth/status.h"

/* Values in one text, at most: a text of empty objects costs the parser a hundred times its own size. */
enum { BERTH_JSON_MAX_VALUES = 2 << 20 };

/* Parses `size` bytes (a UTF-8 byte order mark is skipped). Nesting deeper than max_depth and more than
 * BERTH_JSON_MAX_VALUES values are BERTH_LIMIT, malformed text is BERTH_FORMAT with its line. `flags` are
 * jansson's; without JSON_REJECT_DUPLICATES the last of equal keys wins, as in Python. `name` stands in
 * messages. The caller frees *root with json_decref. */
enum berth_status berth_json_load(const char *name, const char *text, size_t size, size_t max_depth,
                                  size_t flags, json_t **root, struct berth_error *err);

/* Writes a value as JSON into text of `size` bytes (at least 16), cut with "...", for messages. Returns text.
 */
char *berth_json_describe(const json_t *value, char *text, size_t size);

/* Appends a value as JSON; `flags` are jansson's. False when memory or the buffer's limit ran out: jansson's
 * own result does not always tell, as it passes over some failures of its callback. */
bool berth_json_write(const json_t *value, size_t flags, struct berth_buffer *buffer);

/* The same as a string for berth_free(); NULL when memory ran out. */
char *berth_json_dump(const json_t *value, size_t flags);

#endif
