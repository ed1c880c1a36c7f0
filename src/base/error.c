/* error.c: formats one-sentence failures; the only place where the text of an error is assembled. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *berth_status_name(enum berth_status status)
{
    static const char *const names[] = {
        [BERTH_OK] = "ok",
        [BERTH_INVALID_ARGUMENT] = "invalid_argument",
        [BERTH_NO_MEMORY] = "no_memory",
        [BERTH_IO] = "io",
        [BERTH_NOT_FOUND] = "not_found",
        [BERTH_FORMAT] = "format",
        [BERTH_UNSUPPORTED] = "unsupported",
        [BERTH_LIMIT] = "limit",
        [BERTH_BUSY] = "busy",
        [BERTH_CANCELLED] = "cancelled",
        [BERTH_INTERNAL] = "internal",
    };
    return (unsigned)status < sizeof names / sizeof *names ? names[status] : "unknown";
}

/* Length of the well-formed UTF-8 sequence at s (0: malformed, or a control character). */
static size_t printable_length(const unsigned char *s)
{
    if (s[0] < 0x20 || s[0] == 0x7f)
        return 0;
    if (s[0] < 0x80)
        return 1;
    size_t n = s[0] >= 0xf0 && s[0] <= 0xf4  ? 4
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
                                             : 0;
    if (n == 0)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f) || (s[0] == 0xc2 && s[1] < 0xa0))
        return 0;
    return n;
}

static void make_printable(char *message)
{
    unsigned char *s = (unsigned char *)message;
    while (*s) {
        size_t n = printable_length(s);
        if (n == 0)
            *s = '?', n = 1;
        s += n;
    }
}

static void format_message(struct berth_error *err, enum berth_status status, const char *format,
                           va_list args)
{
    err->status = status;
    if (vsnprintf(err->message, sizeof err->message, format, args) < 0)
        err->message[0] = 0;
    make_printable(err->message);
}

enum berth_status berth_fail(struct berth_error *err, enum berth_status status, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        format_message(err, status, format, args);
        va_end(args);
    }
    return status;
}

enum berth_status berth_fail_errno(struct berth_error *err, int error_number, const char *format, ...)
{
    enum berth_status status = error_number == ENOENT   ? BERTH_NOT_FOUND
                               : error_number == ENOMEM ? BERTH_NO_MEMORY
                                                        : BERTH_IO;
    if (err) {
        va_list args;
        va_start(args, format);
        format_message(err, status, format, args);
        va_end(args);
        size_t used = strlen(err->message);
        char text[128];
        snprintf(err->message + used, sizeof err->message - used, ": %s",
                 strerror_r(error_number, text, sizeof text));
    }
    return status;
}

enum berth_status berth_fail_memory(struct berth_error *err, const char *what, unsigned long long bytes)
{
    return berth_fail(err, BERTH_NO_MEMORY, "out of memory: %llu bytes for %s", bytes, what);
}

enum berth_status berth_fail_prefix(struct berth_error *err, enum berth_status status, const char *format,
                                    ...)
{
    if (err) {
        struct berth_error old = *err;
        va_list args;
        va_start(args, format);
        format_message(err, status, format, args);
        va_end(args);
        size_t used = strlen(err->message);
        snprintf(err->message + used, sizeof err->message - used, ": %.*s",
                 (int)(sizeof err->message - used - 3), old.message);
        make_printable(err->message); /* a multi-byte character may have been cut at the end */
    }
    return status;
}
