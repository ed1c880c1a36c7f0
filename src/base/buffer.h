/* buffer.h: a growing byte buffer with a maximum given at construction, for anything fed from outside. */
#ifndef BERTH_BASE_BUFFER_H
#define BERTH_BASE_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

struct berth_buffer {
    char *data;      /* owned; NUL-terminated once anything was appended */
    size_t size;     /* bytes in use, without the NUL */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* size never exceeds this */
    bool failed;     /* an append was refused: for those who write much and ask once, at the end */
};

/* Allocates nothing. */
void berth_buffer_init(struct berth_buffer *buffer, size_t limit);

/* Frees the block; the buffer may be used again after init. */
void berth_buffer_clear(struct berth_buffer *buffer);

/* False when memory or the limit ran out; the content is then unchanged. */
bool berth_buffer_append(struct berth_buffer *buffer, const void *bytes, size_t size);
bool berth_buffer_text(struct berth_buffer *buffer, const char *text);
bool berth_buffer_format(struct berth_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Room for at least `extra` further bytes without another allocation. */
bool berth_buffer_reserve(struct berth_buffer *buffer, size_t extra);

#endif
