/* unicode.c: code point properties, from utf8proc. */
#include "text/unicode.h"

#include <stdbool.h>
#include <utf8proc.h>

static bool is_ideograph(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b820 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

enum berth_char_class berth_char_class(uint32_t c)
{
    if (c == '\t' || c == '\n' || c == '\r' || c == ' ')
        return BERTH_CHAR_SPACE;
    if (c < 0x80) {
        if (c < 0x20 || c == 0x7f)
            return BERTH_CHAR_REMOVED;
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        return alphanumeric ? BERTH_CHAR_WORD : BERTH_CHAR_PUNCTUATION;
    }
    if (c == 0xfffd)
        return BERTH_CHAR_REMOVED;
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)c);
    if (is_ideograph(c)) /* BERT separates the whole blocks, but has removed what is not assigned before */
        return category == UTF8PROC_CATEGORY_CN ? BERTH_CHAR_REMOVED : BERTH_CHAR_IDEOGRAPH;
    switch (category) {
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return BERTH_CHAR_SPACE;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return BERTH_CHAR_PUNCTUATION;
    case UTF8PROC_CATEGORY_MN:
        return BERTH_CHAR_MARK;
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
        return BERTH_CHAR_REMOVED;
    default:
        return BERTH_CHAR_WORD;
    }
}

size_t berth_char_lower(uint32_t c, uint32_t out[BERTH_LOWER_MAX])
{
    if (c < 0x80) {
        out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
        return 1;
    }
    if (c == 0x130) { /* the one unconditional special casing: I with dot above */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

size_t berth_char_decompose(uint32_t c, uint32_t out[BERTH_DECOMPOSED_MAX])
{
    utf8proc_int32_t buffer[BERTH_DECOMPOSED_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, buffer, BERTH_DECOMPOSED_MAX, UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > BERTH_DECOMPOSED_MAX) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)buffer[i];
    return (size_t)n;
}

unsigned berth_char_combining(uint32_t c)
{
    return c < 0x300 ? 0 : (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}
