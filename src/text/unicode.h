/* unicode.h: what BERT's tokenisation asks of a code point, over utf8proc's tables. */
#ifndef BERTH_TEXT_UNICODE_H
#define BERTH_TEXT_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum berth_char_class {
    BERTH_CHAR_WORD,        /* part of a word */
    BERTH_CHAR_SPACE,       /* separates words: tab, newline, CR, Zs, and the line and paragraph separators */
    BERTH_CHAR_PUNCTUATION, /* a word of its own: category P, and the ASCII symbols BERT counts with it */
    BERTH_CHAR_IDEOGRAPH,   /* CJK ideograph: a word of its own when that option is on */
    BERTH_CHAR_MARK,        /* nonspacing mark (Mn): dropped when accents are stripped */
    BERTH_CHAR_REMOVED      /* control, format, private, surrogate, unassigned (C*), U+0000 and U+FFFD: as if it were not there */
};

enum berth_char_class berth_char_class(uint32_t code_point);

enum { BERTH_LOWER_MAX = 2, BERTH_DECOMPOSED_MAX = 8 };

/* Lower case of one code point without context (no final sigma), as Python's str.lower of one character: only U+0130 gives
 * two. Returns how many were written. */
size_t berth_char_lower(uint32_t code_point, uint32_t out[BERTH_LOWER_MAX]);

/* Full canonical decomposition (NFD) of one code point, not reordered; returns how many were written. */
size_t berth_char_decompose(uint32_t code_point, uint32_t out[BERTH_DECOMPOSED_MAX]);

/* Canonical combining class. */
unsigned berth_char_combining(uint32_t code_point);

#endif
