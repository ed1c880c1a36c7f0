/* buffer.c: bounded growth by doubling. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

void berth_buffer_init(struct berth_buffer *buffer, size_t limit)
{
    *buffer = (struct berth_buffer){.limit = limit};
}

void berth_buffer_clear(struct berth_buffer *buffer)
{
    berth_free(buffer->data);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}

bool berth_buffer_reserve(struct berth_buffer *buffer, size_t extra)
{
    size_t need;
    if (!berth_add(buffer->size, extra, &need) || need > buffer->limit)
        return !(buffer->failed = true);
    if (need < buffer->capacity) /* strictly: one byte stays for the NUL */
        return true;
    size_t capacity = berth_max(berth_max(buffer->capacity * 2, 64), need + 1);
    char *data = berth_realloc(buffer->data, capacity, 1);
    if (!data)
        return !(buffer->failed = true);
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool berth_buffer_append(struct berth_buffer *buffer, const void *bytes, size_t size)
{
    if (!berth_buffer_reserve(buffer, size))
        return false;
    if (size > 0)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
    return true;
}

bool berth_buffer_text(struct berth_buffer *buffer, const char *text)
{
    return berth_buffer_append(buffer, text, strlen(text));
}

bool berth_buffer_format(struct berth_buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0 || !berth_buffer_reserve(buffer, (size_t)length))
        return false;
    va_start(args, format);
    vsnprintf(buffer->data + buffer->size, (size_t)length + 1, format, args);
    va_end(args);
    buffer->size += (size_t)length;
    return true;
}
