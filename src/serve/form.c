/* form.c: a form is fields between '&', each a name, '=' and a value, both with %XX and '+' for a space. */
#include "serve/form.h"

#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* The next decoded byte of [*at, end). A '%' without two digits stands for itself. */
static char next_byte(const char **at, const char *end)
{
    const char *s = *at;
    if (*s == '%' && end - s >= 3 && hex_digit(s[1]) >= 0 && hex_digit(s[2]) >= 0) {
        *at = s + 3;
        return (char)(hex_digit(s[1]) * 16 + hex_digit(s[2]));
    }
    *at = s + 1;
    return *s == '+' ? ' ' : *s;
}

static bool name_matches(const char *at, const char *end, const char *name)
{
    for (; at < end; name++)
        if (*name == 0 || next_byte(&at, end) != *name)
            return false;
    return *name == 0;
}

bool berth_form_value(const char *form, size_t form_size, const char *name, char *value, size_t size)
{
    const char *at = form, *end = form + form_size;
    while (at < end) {
        const char *field_end = memchr(at, '&', (size_t)(end - at));
        if (!field_end)
            field_end = end;
        const char *equals = memchr(at, '=', (size_t)(field_end - at));
        if (equals && name_matches(at, equals, name)) {
            size_t n = 0;
            for (at = equals + 1; at < field_end && n + 1 < size; n++) {
                char byte = next_byte(&at, field_end);
                value[n] = byte ? byte : '?';
            }
            value[n] = 0;
            return true;
        }
        at = field_end + 1;
    }
    return false;
}
