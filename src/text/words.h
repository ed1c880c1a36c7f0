/* words.h: the first half of tokenisation: a text becomes a sequence of words (BERT's "basic tokenizer").
 * Cleans, lower-cases, strips accents, separates CJK ideographs, splits at spaces and punctuation, and finds
 * protected strings (special and added tokens) anywhere in the raw text. An iterator: nothing is kept but the
 * word at hand, cost is linear in the text. */
#ifndef BERTH_TEXT_WORDS_H
#define BERTH_TEXT_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/trie.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* Sets of protected strings, roots of their trie; the value is the id. */
enum {
    BERTH_PROTECTED_ANYWHERE = 0, /* found as they stand in the raw text, even inside a word */
    BERTH_PROTECTED_WHOLE = 1     /* and kept whole where cleaning the text between two spaces gives them */
};

/* How words are made; immutable, shared by all iterators. */
struct berth_word_rules {
    bool lower, strip_accents, separate_ideographs;
    size_t max_chars;                    /* longer words are reported as too long */
    const struct berth_trie *protected_; /* borrowed; NULL: nothing is protected */
    unsigned char kind[256];             /* enum berth_byte: what this byte may begin */
    unsigned char letter[256]; /* an ASCII letter or digit as it stands in a word; 0 for any other byte */
};

enum berth_byte { BERTH_BYTE_WORD, BERTH_BYTE_SPACE, BERTH_BYTE_OTHER, BERTH_BYTE_MAYBE_PROTECTED };

/* Fills rules->kind and rules->letter from the other members. */
void berth_word_rules_init(struct berth_word_rules *rules);

enum {
    BERTH_NORMALISED_MAX = BERTH_LOWER_MAX * BERTH_DECOMPOSED_MAX,
    BERTH_WORD_CHARS_MAX = 1000,
    BERTH_WORD_MEMORY = BERTH_WORD_CHARS_MAX * 4 + BERTH_WORD_PAD /* bytes an iterator needs for its word */
};

struct berth_words {
    const struct berth_word_rules *rules;
    const unsigned char *at, *end; /* the input still to be read */
    /* the word at hand, valid until the next call */
    unsigned char *word;  /* [size], UTF-8, then BERTH_WORD_PAD zero bytes; the caller's memory */
    size_t size;          /* bytes; 0 for a protected string */
    size_t chars;         /* code points */
    int32_t protected_id; /* >= 0: the word is this protected string */
    bool too_long;        /* more than max_chars: `word` holds only its beginning */
    /* state */
    bool chunk_start; /* no character of this text between two spaces was read yet */
    size_t run;       /* bytes of `word` before its trailing run of combining characters */
    uint32_t pending[BERTH_NORMALISED_MAX]; /* what one input character became, still to be used */
    size_t pending_at, pending_count;
};

/* `memory`: max_chars * 4 + BERTH_WORD_PAD bytes. Text and memory are borrowed while iterating. */
void berth_words_begin(struct berth_words *words, const struct berth_word_rules *rules, const char *text,
                       size_t size, unsigned char *memory);

/* False at the end of the text. */
bool berth_words_next(struct berth_words *words);

#endif
