/* json_write.c: JSON into a buffer. */
#include "serve/json_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <utf8proc.h>

#include "base/checked.h"
#include "base/float_text.h"

struct berth_writer berth_write_begin(struct berth_reply *reply, unsigned status, const char *content_type)
{
    berth_reply_begin(reply, status, content_type);
    return (struct berth_writer){&reply->body, false};
}

void berth_write_end(struct berth_writer *writer, struct berth_reply *reply)
{
    if (writer->failed)
        berth_reply_error(reply, 503, "memory ran out");
}

void berth_write_bytes(struct berth_writer *writer, const void *bytes, size_t size)
{
    writer->failed = writer->failed || !berth_buffer_append(writer->buffer, bytes, size);
}

void berth_write(struct berth_writer *writer, const char *json)
{
    berth_write_bytes(writer, json, strlen(json));
}

void berth_write_little_endian(struct berth_writer *writer, uint32_t value)
{
    unsigned char bytes[4] = {value & 255, value >> 8 & 255, value >> 16 & 255, value >> 24};
    berth_write_bytes(writer, bytes, sizeof bytes);
}

/* Bytes at the start of [at, end) that stand in a JSON string as they are. */
static size_t plain_prefix(const char *at, const char *end)
{
    const char *from = at;
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - from);
}

/* Writes the character at `at`, which is none of the plain ones; returns its bytes. */
static size_t write_special(struct berth_writer *writer, const char *at, const char *end)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    unsigned char c = (unsigned char)*at;
    const char *found = c ? strchr(from, c) : NULL;
    char escape[8] = {'\\', found ? to[found - from] : 'u'};
    if (found) {
        berth_write_bytes(writer, escape, 2);
        return 1;
    }
    if (c < 0x20) {
        snprintf(escape, sizeof escape, "\\u%04x", c);
        berth_write_bytes(writer, escape, 6);
        return 1;
    }
    utf8proc_int32_t point;
    utf8proc_ssize_t size = utf8proc_iterate((const utf8proc_uint8_t *)at, end - at, &point);
    if (size > 0)
        berth_write_bytes(writer, at, (size_t)size);
    else
        berth_write_bytes(writer, "\xef\xbf\xbd", 3);
    return size > 0 ? (size_t)size : 1;
}

void berth_write_inside(struct berth_writer *writer, struct berth_slice text)
{
    const char *at = text.bytes, *end = text.bytes + text.size;
    while (at < end) {
        size_t plain = plain_prefix(at, end);
        berth_write_bytes(writer, at, plain);
        at += plain;
        if (at < end)
            at += write_special(writer, at, end);
    }
}

void berth_write_slice(struct berth_writer *writer, struct berth_slice text)
{
    berth_write_bytes(writer, "\"", 1);
    berth_write_inside(writer, text);
    berth_write_bytes(writer, "\"", 1);
}

void berth_write_text(struct berth_writer *writer, const char *text)
{
    berth_write_slice(writer, (struct berth_slice){text, strlen(text)});
}

void berth_write_integer(struct berth_writer *writer, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + size % 10);
        size /= 10;
    } while (size > 0);
    if (value < 0)
        *--at = '-';
    berth_write_bytes(writer, at, (size_t)(digits + sizeof digits - at));
}

void berth_write_bool(struct berth_writer *writer, bool value)
{
    berth_write(writer, value ? "true" : "false");
}

void berth_write_float(struct berth_writer *writer, float value)
{
    char digits[BERTH_FLOAT_TEXT];
    berth_write_bytes(writer, digits, berth_float_text(value, digits));
}

void berth_write_floats(struct berth_writer *writer, const float *values, size_t count)
{
    size_t most;
    berth_write_bytes(writer, "[", 1);
    if (berth_mul(count, BERTH_FLOAT_TEXT, &most)) /* one allocation instead of several; append asks again */
        writer->failed = writer->failed || !berth_buffer_reserve(writer->buffer, most);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            berth_write_bytes(writer, ",", 1);
        berth_write_float(writer, values[i]);
    }
    berth_write_bytes(writer, "]", 1);
}

void berth_write_base64(struct berth_writer *writer, const void *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = bytes;
    berth_write_bytes(writer, "\"", 1);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)in[i] << 16 | (left > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);
        char four[4] = {digits[three >> 18], digits[three >> 12 & 63], left > 1 ? digits[three >> 6 & 63] : '=',
                        left > 2 ? digits[three & 63] : '='};
        berth_write_bytes(writer, four, 4);
    }
    berth_write_bytes(writer, "\"", 1);
}
