/* tokenizer.h: BERT tokenisation. Text in, token ids out; equal to Hugging Face's BertTokenizer for the same
 * files and options, for any Unicode input. Invalid UTF-8 reads as U+FFFD (one for each maximal ill-formed
 * part, as Unicode recommends); a NUL is a character like another (and is removed, being a control). */
#ifndef BERTH_TEXT_TOKENIZER_H
#define BERTH_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

/* Three-valued: a file or a user may leave an option open. */
enum berth_choice { BERTH_CHOICE_UNSET = -1, BERTH_CHOICE_NO = 0, BERTH_CHOICE_YES = 1 };

struct berth_tokenizer_options {
    enum berth_choice do_lower_case;          /* unset: yes */
    enum berth_choice strip_accents;          /* unset: as do_lower_case */
    enum berth_choice tokenize_chinese_chars; /* unset: yes */
    enum berth_choice add_special_tokens;     /* unset: yes */
    size_t model_max_length;                  /* tokens, 0: unset */
};

struct berth_tokenizer; /* immutable once opened: any number of threads may encode with it */

/* Opens the tokenizer of a model directory. Its vocabulary is vocab.txt, else that of tokenizer.json. Options
 * and the names of special tokens are those of special_tokens_map.json, tokenizer_config.json,
 * tokenizer.json, the first that says something; `overrides` (may be NULL) stands above all. Added tokens
 * come from any of them and from added_tokens.json. Refused: no or an empty vocabulary, one without [UNK],
 * [CLS] or [SEP] (or what they are named), two tokens of one id, and by name what is not BERT's or not
 * supported (another tokenizer_class, model, normaliser or template). */
enum berth_status berth_tokenizer_open(const char *directory, const struct berth_tokenizer_options *overrides,
                                       struct berth_tokenizer **tokenizer, struct berth_error *err);

/* Opens from one vocabulary file: vocab.txt (a token a line) or a tokenizer.json (by its ending .json). */
enum berth_status berth_tokenizer_open_vocab(const char *path, const struct berth_tokenizer_options *options,
                                             struct berth_tokenizer **tokenizer, struct berth_error *err);

/* The same from a vocab.txt in memory (copied); `name` stands in error messages. */
enum berth_status berth_tokenizer_from_memory(const char *name, const char *vocab, size_t size,
                                              const struct berth_tokenizer_options *options,
                                              struct berth_tokenizer **tokenizer, struct berth_error *err);
void berth_tokenizer_free(struct berth_tokenizer *tokenizer); /* NULL is fine */

size_t berth_tokenizer_vocab_size(
    const struct berth_tokenizer *tokenizer); /* largest id + 1, added tokens included */
size_t berth_tokenizer_model_max_length(
    const struct berth_tokenizer *tokenizer); /* 0: the files do not say */
const struct berth_tokenizer_options *berth_tokenizer_effective_options(
    const struct berth_tokenizer *tokenizer);

/* Token of an id, NUL-terminated and borrowed; NULL outside the vocabulary. */
const char *berth_tokenizer_token(const struct berth_tokenizer *tokenizer, int32_t id);

/* Id of a token; -1 when absent. */
int32_t berth_tokenizer_id(const struct berth_tokenizer *tokenizer, const char *token, size_t length);

enum berth_special {
    BERTH_SPECIAL_UNK,
    BERTH_SPECIAL_CLS,
    BERTH_SPECIAL_SEP,
    BERTH_SPECIAL_PAD,
    BERTH_SPECIAL_MASK,
    BERTH_SPECIAL_COUNT
};

/* Id of a special token, -1 when the vocabulary lacks it (only PAD and MASK may be missing). */
int32_t berth_tokenizer_special(const struct berth_tokenizer *tokenizer, enum berth_special special);

/* The result of encoding, and its scratch: reuse one per thread, with any tokenizer, and nothing is allocated
 * once it has grown to the longest text. Zero-initialise ({0}); clear frees. */
struct berth_encoding {
    int32_t *ids;      /* [size] */
    uint8_t *type_ids; /* [size]: 0 for [CLS] first [SEP], 1 for second [SEP] */
    size_t size;       /* tokens, special ones included; padding is never stored */
    bool truncated;    /* something was cut */
    size_t capacity;   /* of ids and type_ids */
    void *scratch;     /* owned by the tokenizer's code */
};

void berth_encoding_clear(struct berth_encoding *encoding);

/* Encodes text (and pair, NULL for a single text) as [CLS] text [SEP] (pair [SEP]), truncated "longest_first"
 * to max_length tokens (0: no limit), special ones included; where both texts are cut to an odd total, the
 * first keeps the extra token. Without special tokens the pair still has type 1. Sizes are bytes; neither
 * text needs a NUL. Cost is linear in the bytes. Fails only with NO_MEMORY, LIMIT (a text beyond 1 GiB) or
 * INVALID_ARGUMENT (max_length too small for the special tokens); the encoding then has size 0. */
enum berth_status berth_tokenizer_encode(const struct berth_tokenizer *tokenizer, const char *text,
                                         size_t text_size, const char *pair, size_t pair_size,
                                         size_t max_length, struct berth_encoding *encoding,
                                         struct berth_error *err);

/* Joins tokens back to text as Hugging Face's decode does: pieces are glued, with clean_up spaces before
 * punctuation and contractions are dropped, with skip_special special tokens are left out. Ids outside the
 * vocabulary are refused. *text is NUL-terminated and freed by the caller with berth_free. */
enum berth_status berth_tokenizer_decode(const struct berth_tokenizer *tokenizer, const int32_t *ids,
                                         size_t count, bool skip_special, bool clean_up, char **text,
                                         struct berth_error *err);

#endif
