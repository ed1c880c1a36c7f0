/* unicode.c: case mapping, decomposition and combining class, from utf8proc. */
#include "text/unicode.h"

#include <utf8proc.h>

size_t berth_char_lower(uint32_t c, uint32_t out[BERTH_LOWER_MAX])
{
    if (c == 0x130) { /* I with dot above: the one unconditional mapping to two code points */
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    return 1;
}

size_t berth_char_decompose(uint32_t c, uint32_t out[BERTH_DECOMPOSED_MAX])
{
    utf8proc_int32_t parts[BERTH_DECOMPOSED_MAX];
    int boundary = 0;
    const utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, parts, BERTH_DECOMPOSED_MAX,
                                                       UTF8PROC_DECOMPOSE, &boundary);
    if (n < 1 || n > BERTH_DECOMPOSED_MAX) { /* not a code point; none decomposes to more than four */
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < n; i++)
        out[i] = (uint32_t)parts[i];
    return (size_t)n;
}

unsigned berth_char_combining(uint32_t c)
{
    return (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
}
