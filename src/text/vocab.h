/* vocab.h: the list of tokens, and the two questions WordPiece asks of it: which id has this whole word, and which is the
 * longest token that this string begins with. */
#ifndef BERTH_TEXT_VOCAB_H
#define BERTH_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

enum { BERTH_VOCAB_MAX = 1 << 24, BERTH_TOKEN_MAX_BYTES = 1 << 16 };

struct berth_vocab {
    char *text;         /* all tokens, each NUL-terminated, one after the other; owned */
    size_t text_size, text_capacity;
    size_t *offset;     /* [size] where token i begins in text; SIZE_MAX: no token has this id */
    uint32_t *length;   /* [size] bytes */
    size_t size;        /* largest id + 1 */
    size_t capacity;
    uint32_t *slots;    /* hash of whole tokens: id + 1, 0 is empty; owned */
    size_t slot_mask;
    struct berth_trie_edge *edges; /* hash of (node, byte) -> node; owned */
    size_t edge_mask, edge_count;
    int32_t *node_token; /* [nodes] id of the token that ends there, -1: none; owned */
    size_t node_count, node_capacity;
};

enum { BERTH_TRIE_WORD = 0, BERTH_TRIE_CONTINUATION = 1 }; /* the trie's two roots */

void berth_vocab_init(struct berth_vocab *vocab);
void berth_vocab_clear(struct berth_vocab *vocab);

/* Gives `id` to a token (copied; may hold any bytes). An id given twice keeps the last token; a token given twice the last id. */
enum berth_status berth_vocab_add(struct berth_vocab *vocab, const char *token, size_t length, size_t id, struct berth_error *err);

/* After the last add: builds the index. `prefix` marks the tokens that continue a word ("##"). */
enum berth_status berth_vocab_index(struct berth_vocab *vocab, const char *prefix, struct berth_error *err);

/* -1: absent. */
int32_t berth_vocab_find(const struct berth_vocab *vocab, const char *token, size_t length);

/* Token text, NULL when the id has none. */
const char *berth_vocab_token(const struct berth_vocab *vocab, int32_t id);

/* The longest token on a path from `root` along bytes[0 .. size): its id and bytes in *taken; -1 when none. */
int32_t berth_vocab_longest(const struct berth_vocab *vocab, uint32_t root, const unsigned char *bytes, size_t size, size_t *taken);

#endif
