/* json_write.h: JSON written straight into a reply's body. A failure sticks, so that only the end is looked at. */
#ifndef BERTH_SERVE_JSON_WRITE_H
#define BERTH_SERVE_JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/json_pull.h"
#include "serve/reply.h"

struct berth_writer {
    struct berth_buffer *buffer;
    bool failed; /* memory ran out */
};

/* Begins the reply; everything below appends to its body. */
struct berth_writer berth_write_begin(struct berth_reply *reply, unsigned status, const char *content_type);

/* As it stands: punctuation and names. */
void berth_write(struct berth_writer *writer, const char *json);
void berth_write_bytes(struct berth_writer *writer, const void *bytes, size_t size);

/* Four bytes, the lowest first: no JSON. */
void berth_write_little_endian(struct berth_writer *writer, uint32_t value);

/* In quotes, escaped; ill-formed UTF-8 becomes U+FFFD. */
void berth_write_text(struct berth_writer *writer, const char *text);
void berth_write_slice(struct berth_writer *writer, struct berth_slice text);

/* The same without the quotes. */
void berth_write_inside(struct berth_writer *writer, struct berth_slice text);

void berth_write_integer(struct berth_writer *writer, int64_t value);
void berth_write_bool(struct berth_writer *writer, bool value);

/* With nine significant digits, which give back the same float. / The same as an array. */
void berth_write_float(struct berth_writer *writer, float value);
void berth_write_floats(struct berth_writer *writer, const float *values, size_t count);

/* In quotes, four characters for each three bytes. */
void berth_write_base64(struct berth_writer *writer, const void *bytes, size_t size);

/* When something did not fit, the reply becomes an error instead. */
void berth_write_end(struct berth_writer *writer, struct berth_reply *reply);

#endif
