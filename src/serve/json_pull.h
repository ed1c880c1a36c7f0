/* json_pull.h: reads JSON from outside without building anything: the caller asks for what it expects, piece by
 * piece, and texts come as slices of the body itself, unescaped in place. So a body costs no memory beyond its own
 * bytes, whatever stands in it, and a tensor of a million numbers no allocation.
 *
 *     berth_json_begin(&json, body, size);
 *     if (berth_json_open(&json, '{'))
 *         while (berth_json_member(&json, &key))
 *             if (berth_slice_is(key, "inputs")) berth_json_string(&json, &text);
 *             else berth_json_skip(&json);
 *     if (!berth_json_end(&json)) ... json.fault says why, berth_json_line(&json) where
 *
 * Accepts what RFC 8259 does, in UTF-8 with or without a byte order mark, and what jansson accepts: numbers must be
 * finite, integers fit in 64 bits, names hold no NUL. A lone surrogate's escape reads as U+FFFD. The first fault sticks: every call after it returns
 * false, so that a reader need only look at the end. A value of another kind than was asked for is no fault: the
 * call returns false and the value is still there. */
#ifndef BERTH_SERVE_JSON_PULL_H
#define BERTH_SERVE_JSON_PULL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Arrays and objects within each other, at most. */
enum { BERTH_JSON_DEPTH = 64 };

/* Bytes that belong to somebody else; NULs are bytes like others. */
struct berth_slice {
    const char *bytes; /* NULL: none */
    size_t size;
};

bool berth_slice_is(struct berth_slice slice, const char *word);

/* As a string: NULs become '?', what does not fit is cut. Returns text. */
char *berth_slice_copy(struct berth_slice slice, char *text, size_t size);

struct berth_json {
    char *start, *at, *end;
    size_t depth;
    uint64_t objects;  /* bit k: the bracket open at depth k is an object's */
    bool first;        /* no item was read since the last bracket opened */
    const char *fault; /* static storage; NULL: none so far */
};

/* The text is read and, where it has escapes, rewritten; slices live as long as it. */
void berth_json_begin(struct berth_json *json, char *text, size_t size);

/* What comes next: one of { [ " 0 t f n for an object, array, text, number, true, false, null; or ] } , for the end
 * of something, 0 for the end of the text or a fault. */
char berth_json_peek(struct berth_json *json);

/* Enters an array or an object; false when the next value is none. */
bool berth_json_open(struct berth_json *json, char bracket);

/* Moves to the next item of the array or the next value of the object that was entered last, which the caller must
 * then read or skip; false when there is none, and the array or object is left. */
bool berth_json_item(struct berth_json *json);
bool berth_json_member(struct berth_json *json, struct berth_slice *name);

bool berth_json_string(struct berth_json *json, struct berth_slice *text);
bool berth_json_integer(struct berth_json *json, int64_t *value);
bool berth_json_bool(struct berth_json *json, bool *value);
bool berth_json_null(struct berth_json *json);

/* Passes over the next value, checking it. A copy of the struct made before reads the value later; so values are
 * read in another order than they stand. */
bool berth_json_skip(struct berth_json *json);

/* True when the whole text was read and nothing was wrong. */
bool berth_json_end(struct berth_json *json);

/* 1-based line at which the reader stands. */
size_t berth_json_line(const struct berth_json *json);

#endif
