/* tokenizer_source.h: what the files of a tokenizer say, gathered before it is built (tokenizer.c). Of an
 * option or a special token's name, what is read first wins; what would change the tokens and is not known
 * here is refused. */
#ifndef BERTH_TEXT_TOKENIZER_SOURCE_H
#define BERTH_TEXT_TOKENIZER_SOURCE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text/tokenizer.h"
#include "text/vocab.h"

enum {
    BERTH_ADDED_MAX = 1 << 14,   /* added tokens */
    BERTH_ADDED_MAX_BYTES = 256, /* of one: looking for it costs as much at every place in a text */
    BERTH_TOKENIZER_FILE_MAX = 32 << 20
};

struct berth_added_token {
    char *text; /* owned */
    size_t size;
    int64_t id; /* -1: the vocabulary's own */
    bool special;
    bool outside; /* set when the tokenizer is built: not in the vocabulary proper */
};

struct berth_tokenizer_source {
    struct berth_tokenizer_options options;
    struct berth_vocab vocab; /* without index */
    bool has_vocab;
    char *special[BERTH_SPECIAL_COUNT]; /* owned; NULL: the usual name */
    struct berth_added_token *added;    /* owned */
    size_t added_count, added_capacity;
    size_t max_chars; /* of a word; 0: 100 */
    char *prefix;     /* of tokens that continue a word; owned; NULL: "##" */
};

void berth_tokenizer_source_init(struct berth_tokenizer_source *source);
void berth_tokenizer_source_clear(struct berth_tokenizer_source *source); /* a zeroed one is fine */

/* vocab.txt: a token a line. */
enum berth_status berth_tokenizer_read_vocab(struct berth_tokenizer_source *source, const char *path,
                                             struct berth_error *err);
enum berth_status berth_tokenizer_parse_vocab(struct berth_tokenizer_source *source, const char *name,
                                              const char *text, size_t size, struct berth_error *err);

/* tokenizer.json: options, special and added tokens, and the vocabulary when there is none yet. */
enum berth_status berth_tokenizer_read_json(struct berth_tokenizer_source *source, const char *path,
                                            struct berth_error *err);

/* tokenizer_config.json; special_tokens_map.json; added_tokens.json. */
enum berth_status berth_tokenizer_read_config(struct berth_tokenizer_source *source, const char *path,
                                              struct berth_error *err);
enum berth_status berth_tokenizer_read_special_map(struct berth_tokenizer_source *source, const char *path,
                                                   struct berth_error *err);
enum berth_status berth_tokenizer_read_added(struct berth_tokenizer_source *source, const char *path,
                                             struct berth_error *err);

/* --- for the readers ------------------------------------------------------------------------- */

/* Loads a file that must be one JSON object; `flags` are jansson's. Freed with json_decref. */
enum berth_status berth_tokenizer_load_object(const char *path, size_t flags, json_t **root,
                                              struct berth_error *err);

/* Sets *choice from a member that is true, false, null or absent, unless it is set. */
enum berth_status berth_tokenizer_read_choice(const json_t *object, const char *key, const char *path,
                                              enum berth_choice *choice, struct berth_error *err);

/* Names a special token, unless it has a name. `text`: a string, or an object with a string "content"; NULL
 * and null name nothing. */
enum berth_status berth_tokenizer_name_special(struct berth_tokenizer_source *source,
                                               enum berth_special special, const json_t *text,
                                               const char *path, struct berth_error *err);

/* Adds a token, or completes what is known of it: an id for one that has none (id -1), or that it is special.
 */
enum berth_status berth_tokenizer_add_token(struct berth_tokenizer_source *source, const char *text,
                                            size_t size, int64_t id, bool special, const char *path,
                                            struct berth_error *err);

/* An object with "content", "special", …, as tokenizer.json and tokenizer_config.json describe added tokens.
 */
enum berth_status berth_tokenizer_add_entry(struct berth_tokenizer_source *source, const json_t *entry,
                                            int64_t id, const char *path, struct berth_error *err);

/* True when the value is a number that can be an id. */
bool berth_tokenizer_id_of(const json_t *value, int64_t *id);

#endif
