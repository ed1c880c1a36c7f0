/* tokenizer_internal.h: what an opened tokenizer holds; shared by the files that open, encode and decode. */
#ifndef BERTH_TEXT_TOKENIZER_INTERNAL_H
#define BERTH_TEXT_TOKENIZER_INTERNAL_H

#include "text/tokenizer.h"
#include "text/vocab.h"
#include "text/words.h"

enum { BERTH_WORD_CHARS_DEFAULT = 100 };

enum berth_token_flag {
    BERTH_TOKEN_SPECIAL = 1, /* left out by decode with skip_special */
    BERTH_TOKEN_ADDED = 2    /* not in the vocabulary proper: found in a text, but no word or piece */
};

struct berth_tokenizer {
    struct berth_tokenizer_options
        options; /* all resolved: no member is unset but perhaps model_max_length */
    struct berth_vocab vocab;
    struct berth_trie protected_; /* special and added tokens, under the roots of words.h */
    struct berth_word_rules rules;
    unsigned char *flags; /* [vocab.size] enum berth_token_flag; owned */
    int32_t special[BERTH_SPECIAL_COUNT];
    char *prefix; /* of tokens that continue a word; owned */
};

#endif
