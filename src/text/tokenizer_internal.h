/* tokenizer_internal.h: what an opened tokenizer holds; shared by the files that open, encode and decode. */
#ifndef BERTH_TEXT_TOKENIZER_INTERNAL_H
#define BERTH_TEXT_TOKENIZER_INTERNAL_H

#include "text/tokenizer.h"
#include "text/vocab.h"
#include "text/words.h"

enum { BERTH_WORD_CHARS_DEFAULT = 100, BERTH_WORD_CHARS_MAX = 10000, BERTH_PROTECTED_MAX = 4096 };

struct berth_tokenizer {
    struct berth_tokenizer_options options; /* all resolved: no member is unset */
    struct berth_vocab vocab;
    struct berth_word_rules rules;
    struct berth_protected *protected_; /* owned, with their texts; longest first */
    size_t protected_count;
    int32_t special[BERTH_SPECIAL_COUNT];
    char *prefix; /* of tokens that continue a word; owned */
};

/* What the files of a tokenizer say, before it is built. Zero-initialise with berth_tokenizer_source_init. */
struct berth_added_token {
    char *text; /* owned */
    size_t size;
    int64_t id; /* -1: the vocabulary's own */
    bool special, normalized;
};

struct berth_tokenizer_source {
    struct berth_tokenizer_options options;
    struct berth_vocab vocab;
    bool has_vocab;
    char *special[BERTH_SPECIAL_COUNT]; /* owned; NULL: the usual name */
    struct berth_added_token *added;    /* owned */
    size_t added_count;
    size_t max_chars; /* of a word */
    char *prefix;     /* owned; NULL: "##" */
};

void berth_tokenizer_source_init(struct berth_tokenizer_source *source);
void berth_tokenizer_source_clear(struct berth_tokenizer_source *source);

/* vocab.txt: a token a line. */
enum berth_status berth_tokenizer_read_vocab(struct berth_tokenizer_source *source, const char *name, const char *text,
                                             size_t size, struct berth_error *err);

/* tokenizer.json: options that are still unset, added tokens, and the vocabulary when there is none yet. */
enum berth_status berth_tokenizer_read_json(struct berth_tokenizer_source *source, const char *path, struct berth_error *err);

/* tokenizer_config.json, special_tokens_map.json, added_tokens.json: what is still unset. */
enum berth_status berth_tokenizer_read_config(struct berth_tokenizer_source *source, const char *path, struct berth_error *err);
enum berth_status berth_tokenizer_read_special_map(struct berth_tokenizer_source *source, const char *path, struct berth_error *err);
enum berth_status berth_tokenizer_read_added(struct berth_tokenizer_source *source, const char *path, struct berth_error *err);

#endif
