/* unicode.h: what BERT's tokenisation asks of a code point. Which characters are words, punctuation or
 * nothing is that of Unicode 14.0.0 whatever library is installed (a table made by
 * scripts/generate-unicode-table), so that the same text gives the same ids everywhere, and the reference's.
 * Mappings come from utf8proc; they never change once given. */
#ifndef BERTH_TEXT_UNICODE_H
#define BERTH_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum berth_char_class {
    BERTH_CHAR_WORD,        /* part of a word */
    BERTH_CHAR_SPACE,       /* separates words: tab, newline, CR, and the categories Z* */
    BERTH_CHAR_PUNCTUATION, /* a word of its own: categories P*, and the ASCII symbols, which BERT counts with
                               them */
    BERTH_CHAR_IDEOGRAPH,   /* CJK ideograph: a word of its own when that option is on, else part of one */
    BERTH_CHAR_MARK,        /* nonspacing mark (Mn): dropped when accents are stripped, else part of a word */
    BERTH_CHAR_REMOVED,     /* categories C* (unassigned too), U+0000, U+FFFD: as if it were not there */
    BERTH_CHAR_CLASS = 7    /* mask: the class within the properties */
};

enum berth_char_flag {
    BERTH_CHAR_LOWERS = 8,      /* has another lower case */
    BERTH_CHAR_DECOMPOSES = 16, /* has a canonical decomposition */
    BERTH_CHAR_COMBINES = 32    /* has a canonical combining class above 0 */
};

enum { BERTH_UNICODE_END = 0x31380, BERTH_UNICODE_BLOCK = 128, BERTH_UNICODE_ZERO = '0' };

extern const unsigned char berth_unicode_block[BERTH_UNICODE_END / BERTH_UNICODE_BLOCK];
extern const char berth_unicode_properties[][BERTH_UNICODE_BLOCK];

/* Class and flags of a code point. */
static inline unsigned berth_char_properties(uint32_t c)
{
    if (c >= BERTH_UNICODE_END) /* only variation selectors, the rest is unassigned, format or private */
        return c >= 0xe0100 && c <= 0xe01ef ? BERTH_CHAR_MARK : BERTH_CHAR_REMOVED;
    const char *block = berth_unicode_properties[berth_unicode_block[c / BERTH_UNICODE_BLOCK]];
    return (unsigned)(block[c % BERTH_UNICODE_BLOCK] - BERTH_UNICODE_ZERO);
}

enum { BERTH_LOWER_MAX = 2, BERTH_DECOMPOSED_MAX = 4 };

/* Lower case of one code point without context (no final sigma), as Python's str.lower of one character: only
 * U+0130 gives two. Returns how many were written. */
size_t berth_char_lower(uint32_t c, uint32_t out[BERTH_LOWER_MAX]);

/* Full canonical decomposition (NFD) of one code point; returns how many were written. */
size_t berth_char_decompose(uint32_t c, uint32_t out[BERTH_DECOMPOSED_MAX]);

/* Canonical combining class. */
unsigned berth_char_combining(uint32_t c);

#endif
