/* words.h: the first half of tokenisation: a text becomes a sequence of words (BERT's "basic tokenizer").
 * Cleans, lower-cases, strips accents, separates CJK ideographs, splits at spaces and punctuation, and finds special tokens
 * anywhere in the raw text. An iterator: nothing is kept but the word at hand, cost is linear in the text. */
#ifndef BERTH_TEXT_WORDS_H
#define BERTH_TEXT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/unicode.h"

/* A string that is recognised as it stands in the raw text, even inside a word. */
struct berth_protected {
    const char *text; /* borrowed */
    size_t size;
    int32_t id;
    bool any_case; /* ASCII letters match either case (added tokens of a lower-casing tokenizer) */
};

/* How words are made; immutable, shared by all iterators. */
struct berth_word_rules {
    bool lower, strip_accents, separate_ideographs;
    size_t max_chars;                         /* longer words are reported as too long */
    const struct berth_protected *protected_; /* sorted longest first; borrowed */
    size_t protected_count;
    unsigned char ascii[256]; /* what a byte begins: enum berth_byte */
};

enum berth_byte { BERTH_BYTE_WORD, BERTH_BYTE_SPACE, BERTH_BYTE_PUNCTUATION, BERTH_BYTE_OTHER, BERTH_BYTE_MAYBE_PROTECTED };

/* Fills rules->ascii from the other members. */
void berth_word_rules_init(struct berth_word_rules *rules);

enum { BERTH_WORD_PAD = 8, BERTH_WORD_CHAR_BYTES = 4 };

struct berth_words {
    const struct berth_word_rules *rules;
    const unsigned char *at, *end;
    /* the word at hand, valid until the next call */
    unsigned char *word;  /* caller's memory: max_chars * 4 + BERTH_WORD_PAD bytes */
    size_t size;          /* bytes; BERTH_WORD_PAD zero bytes follow */
    size_t chars;         /* code points */
    int32_t protected_id; /* >= 0: the word is this protected token, `word` is empty */
    bool too_long;        /* more than max_chars: `word` holds only its beginning */
    /* characters that one input character became, still to be used */
    uint32_t pending[BERTH_LOWER_MAX * BERTH_DECOMPOSED_MAX];
    size_t pending_count, pending_at;
    bool isolated; /* they stand alone: the word ends after them */
    size_t run;    /* bytes of `word` before its trailing run of combining characters */
};

void berth_words_begin(struct berth_words *words, const struct berth_word_rules *rules, const char *text, size_t size,
                       unsigned char *memory);

/* False at the end of the text. */
bool berth_words_next(struct berth_words *words);

#endif
