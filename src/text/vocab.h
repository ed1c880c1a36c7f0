/* vocab.h: the list of tokens, and the two questions WordPiece asks of it: which id has this whole word, and
 * which is the longest token that this string begins with. */
#ifndef BERTH_TEXT_VOCAB_H
#define BERTH_TEXT_VOCAB_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "text/trie.h"

enum {
    BERTH_VOCAB_MAX = 1 << 21, /* ids; the largest published BERT vocabulary has 500,000 */
    BERTH_TOKEN_MAX_BYTES = 1 << 12,
    BERTH_VOCAB_MAX_BYTES = 64 << 20, /* of all tokens */
    BERTH_WORD_PAD = 8                /* zero bytes after a word for berth_vocab_find_word */
};

enum {
    BERTH_VOCAB_WORD = 0,
    BERTH_VOCAB_CONTINUATION = 1
}; /* the trie's roots: beginning of a word, its rest */

struct berth_vocab_token {
    uint32_t offset; /* in text */
    uint32_t length; /* bytes; UINT32_MAX: no token has this id */
};

struct berth_vocab_slot {
    uint64_t head;        /* the first eight bytes of the token, then zeros */
    uint32_t length;      /* bytes */
    uint32_t id_plus_one; /* 0: empty */
};

struct berth_vocab {
    char *text; /* all tokens, each NUL-terminated, one after the other; owned */
    size_t text_size, text_capacity;
    struct berth_vocab_token *tokens; /* [size]; owned */
    size_t size, capacity;            /* size: largest id + 1 */
    struct berth_vocab_slot *slots;   /* whole tokens by hash, at most half full; owned */
    size_t slot_mask;
    struct berth_trie pieces; /* under the roots above */
};

/* Clear accepts a zeroed struct, which is an empty vocabulary. */
void berth_vocab_clear(struct berth_vocab *vocab);

/* Gives `id` to a token (copied; may hold any bytes). An id that has a token is refused. */
enum berth_status berth_vocab_add(struct berth_vocab *vocab, const char *token, size_t length, size_t id,
                                  struct berth_error *err);

/* Builds the index of what was added; `prefix` marks the tokens that continue a word ("##"). Of a repeated
 * token the highest id is found. Tokens added later have a text but are not found. */
enum berth_status berth_vocab_index(struct berth_vocab *vocab, const char *prefix, struct berth_error *err);

/* Id of a whole token, -1: absent. The second form is faster and needs BERTH_WORD_PAD zero bytes behind the
 * word. */
int32_t berth_vocab_find(const struct berth_vocab *vocab, const char *token, size_t length);
int32_t berth_vocab_find_word(const struct berth_vocab *vocab, const unsigned char *word, size_t length);

/* Text of an id, NUL-terminated and borrowed until the next add; NULL when the id has none. */
const char *berth_vocab_token(const struct berth_vocab *vocab, int32_t id, size_t *length);

#endif
