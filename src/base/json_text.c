/* json_text.c: one pass over JSON text, with no knowledge of its structure but strings and their escapes. */
#include "base/json_text.h"

#include <stdbool.h>
#include <string.h>

/* Value of four hexadecimal digits; -1: they are none. */
static int hex4(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        char c = digits[i];
        int digit = c >= '0' && c <= '9'                 ? c - '0'
                    : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                         : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The escape at text[at] (a backslash): overwrites a lone surrogate by U+FFFD; returns the bytes to go on by.
 */
static size_t fix_escape(char *text, size_t at, size_t size)
{
    if (size - at < 6 || text[at + 1] != 'u')
        return 2;
    int unit = hex4(text + at + 2);
    if (unit < 0xd800 || unit > 0xdfff)
        return 6;
    if (unit < 0xdc00 && size - at >= 12 && text[at + 6] == '\\' && text[at + 7] == 'u') {
        int low = hex4(text + at + 8);
        if (low >= 0xdc00 && low <= 0xdfff)
            return 12;
    }
    memcpy(text + at + 2, "fffd", 4);
    return 6;
}

size_t berth_json_text_mend(char *text, size_t size)
{
    bool inside = false;
    size_t values = 0;
    for (size_t i = 0; i < size;) {
        if (text[i] == '\\' && inside) {
            i += fix_escape(text, i, size);
            continue;
        }
        inside ^= text[i] == '"';
        values += !inside && (text[i] == ',' || text[i] == '[' || text[i] == '{');
        i++;
    }
    return values;
}
