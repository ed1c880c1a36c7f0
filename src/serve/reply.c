/* reply.c: bodies of answers; every failure of the server is written here, in one shape. */
#include "serve/reply.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/float_text.h"

void berth_reply_begin(struct berth_reply *reply, unsigned status, const char *content_type)
{
    berth_reply_clear(reply);
    reply->status = status;
    reply->content_type = content_type;
    berth_buffer_init(&reply->body, SIZE_MAX / 2);
}

void berth_reply_clear(struct berth_reply *reply)
{
    berth_buffer_clear(&reply->body);
    *reply = (struct berth_reply){0};
}

static const char *error_type(unsigned status)
{
    static const struct {
        unsigned status;
        const char *name;
    } types[] = {{400, "Validation"},  {404, "NotFound"},   {405, "MethodNotAllowed"}, {409, "Conflict"},
                 {413, "TooLarge"}, {415, "Validation"},    {422, "Validation"}, {429, "Overloaded"},       {500, "Backend"},
                 {501, "Unsupported"}, {503, "Unhealthy"}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].status == status)
            return types[i].name;
    return "Backend";
}

void berth_reply_text(struct berth_reply *reply, unsigned status, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    berth_reply_begin(reply, status, "text/plain; charset=utf-8");
    if (!berth_buffer_format(&reply->body, "%s\n", line))
        berth_reply_error(reply, 500, "memory ran out");
}

/* A message of berth_fail is printable UTF-8, so it becomes JSON as it is. */
static void write_error(struct berth_reply *reply, unsigned status, const char *message)
{
    berth_reply_begin(reply, status, "application/json");
    json_t *object = json_pack("{s:s, s:s}", "error", message, "error_type", error_type(status));
    char *text = object ? json_dumps(object, JSON_PRESERVE_ORDER) : NULL;
    if (text)
        berth_buffer_format(&reply->body, "%s\n",
                            text); /* an empty body when memory ran out: the status says enough */
    berth_free(text);
    json_decref(object);
}

void berth_reply_error(struct berth_reply *reply, unsigned status, const char *format, ...)
{
    char sentence[BERTH_ERROR_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    struct berth_error printable;
    berth_fail(&printable, BERTH_FORMAT, "%s", sentence);
    write_error(reply, status, printable.message);
}

void berth_reply_failure(struct berth_reply *reply, const struct berth_error *err)
{
    unsigned status = 500;
    switch (err->status) {
        case BERTH_INVALID_ARGUMENT:
            status = 400;
            break;
        case BERTH_LIMIT:
            status = 413;
            break;
        case BERTH_UNSUPPORTED:
            status = 501;
            break;
        case BERTH_BUSY:
        case BERTH_NO_MEMORY:
        case BERTH_CANCELLED:
            status = 503;
            break;
        default:
            break;
    }
    write_error(reply, status, err->message);
}

bool berth_reply_float(struct berth_buffer *body, float value)
{
    char digits[BERTH_FLOAT_TEXT];
    return berth_buffer_append(body, digits, berth_float_text(value, digits));
}

void berth_reply_header(struct berth_reply *reply, const char *name, const char *format, ...)
{
    for (size_t i = 0; i < BERTH_REPLY_HEADERS; i++) {
        if (reply->header[i].name)
            continue;
        va_list args;
        va_start(args, format);
        vsnprintf(reply->header[i].value, sizeof reply->header[i].value, format, args);
        va_end(args);
        reply->header[i].name = name;
        return;
    }
}
