/* vocab.c: tokens in one block, a hash of whole tokens, a trie of pieces. A slot of the hash holds the first
 * bytes of its token, so that most words are found or not by reading one slot. */
#include "text/vocab.h"

#include <stdbool.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { HEAD = 8 }; /* bytes of a token within its slot */
static const uint32_t no_token = UINT32_MAX;

void berth_vocab_clear(struct berth_vocab *vocab)
{
    berth_free(vocab->text);
    berth_free(vocab->tokens);
    berth_free(vocab->slots);
    berth_trie_clear(&vocab->pieces);
    *vocab = (struct berth_vocab){0};
}

static enum berth_status reserve_ids(struct berth_vocab *vocab, size_t need, struct berth_error *err)
{
    if (need <= vocab->capacity)
        return BERTH_OK;
    const size_t capacity = berth_max(berth_max(vocab->capacity * 2, 1024), need);
    struct berth_vocab_token *tokens = berth_realloc(vocab->tokens, capacity, sizeof *tokens);
    if (!tokens)
        return berth_fail_memory(err, "a vocabulary", capacity * sizeof *tokens);
    vocab->tokens = tokens;
    vocab->capacity = capacity;
    return BERTH_OK;
}

static enum berth_status reserve_text(struct berth_vocab *vocab, size_t need, struct berth_error *err)
{
    if (need <= vocab->text_capacity)
        return BERTH_OK;
    if (need > BERTH_VOCAB_MAX_BYTES)
        return berth_fail(err, BERTH_LIMIT, "the tokens have more than %d bytes together",
                          BERTH_VOCAB_MAX_BYTES);
    const size_t capacity = berth_max(berth_max(vocab->text_capacity * 2, 1 << 12), need);
    char *text = berth_realloc(vocab->text, capacity, 1);
    if (!text)
        return berth_fail_memory(err, "a vocabulary", capacity);
    vocab->text = text;
    vocab->text_capacity = capacity;
    return BERTH_OK;
}

enum berth_status berth_vocab_add(struct berth_vocab *vocab, const char *token, size_t length, size_t id,
                                  struct berth_error *err)
{
    if (id >= BERTH_VOCAB_MAX)
        return berth_fail(err, BERTH_LIMIT, "token id %zu is beyond the limit of %d", id,
                          BERTH_VOCAB_MAX - 1);
    if (length > BERTH_TOKEN_MAX_BYTES)
        return berth_fail(err, BERTH_LIMIT, "token %zu has %zu bytes, at most %d are allowed", id, length,
                          BERTH_TOKEN_MAX_BYTES);
    if (id < vocab->size && vocab->tokens[id].length != no_token)
        return berth_fail(err, BERTH_FORMAT, "tokens '%s' and '%.*s' have the same id %zu",
                          vocab->text + vocab->tokens[id].offset, (int)length, token, id);
    enum berth_status status = reserve_ids(vocab, id + 1, err);
    if (status == BERTH_OK)
        status = reserve_text(vocab, vocab->text_size + length + 1, err);
    if (status != BERTH_OK)
        return status;
    while (vocab->size <= id)
        vocab->tokens[vocab->size++] = (struct berth_vocab_token){0, no_token};
    vocab->tokens[id] = (struct berth_vocab_token){(uint32_t)vocab->text_size, (uint32_t)length};
    memcpy(vocab->text + vocab->text_size, token, length);
    vocab->text[vocab->text_size + length] = 0;
    vocab->text_size += length + 1;
    return BERTH_OK;
}

const char *berth_vocab_token(const struct berth_vocab *vocab, int32_t id, size_t *length)
{
    if (id < 0 || (size_t)id >= vocab->size || vocab->tokens[id].length == no_token)
        return NULL;
    *length = vocab->tokens[id].length;
    return vocab->text + vocab->tokens[id].offset;
}

/* --- whole tokens ---------------------------------------------------------------------------- */

/* Up to eight bytes as a number, zeros for the missing ones. */
static inline uint64_t load(const void *bytes, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, berth_min(size, HEAD));
    return value;
}

/* Mixes eight bytes a step; the last step's missing bytes count as zeros, the length tells them apart.
 * `padded` tells that zeros stand behind the bytes. */
static inline uint64_t hash_token(uint64_t head, const char *bytes, size_t length, bool padded)
{
    uint64_t hash = (head ^ length * 0x9e3779b97f4a7c15u) * 0xd6e8feb86659fd93u;
    for (size_t at = HEAD; at < length; at += HEAD)
        hash = ((hash ^ hash >> 32) ^ load(bytes + at, padded ? HEAD : length - at)) * 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

/* The slot of the token, or the empty one where it belongs. */
static inline struct berth_vocab_slot *find_slot(const struct berth_vocab *vocab, uint64_t head,
                                                 const char *bytes, size_t length, bool padded)
{
    for (size_t at = hash_token(head, bytes, length, padded);; at++) {
        struct berth_vocab_slot *slot = &vocab->slots[at & vocab->slot_mask];
        if (slot->id_plus_one == 0)
            return slot;
        if (slot->head != head || slot->length != length)
            continue;
        const char *text = vocab->text + vocab->tokens[slot->id_plus_one - 1].offset;
        if (length <= HEAD || memcmp(text + HEAD, bytes + HEAD, length - HEAD) == 0)
            return slot;
    }
}

int32_t berth_vocab_find(const struct berth_vocab *vocab, const char *token, size_t length)
{
    return (int32_t)find_slot(vocab, load(token, length), token, length, false)->id_plus_one - 1;
}

int32_t berth_vocab_find_word(const struct berth_vocab *vocab, const unsigned char *word, size_t length)
{
    return (int32_t)find_slot(vocab, load(word, HEAD), (const char *)word, length, true)->id_plus_one - 1;
}

/* --- the index ------------------------------------------------------------------------------- */

static enum berth_status index_token(struct berth_vocab *vocab, size_t id, const char *prefix,
                                     size_t prefix_length, struct berth_error *err)
{
    const char *token = vocab->text + vocab->tokens[id].offset;
    const size_t length = vocab->tokens[id].length;
    const uint64_t head = load(token, length);
    *find_slot(vocab, head, token, length, false) =
        (struct berth_vocab_slot){head, (uint32_t)length, (uint32_t)id + 1};
    enum berth_status status = BERTH_OK;
    if (length > prefix_length && memcmp(token, prefix, prefix_length) == 0)
        status = berth_trie_insert(&vocab->pieces, BERTH_VOCAB_CONTINUATION, token + prefix_length,
                                   length - prefix_length, (int32_t)id, err);
    if (length > 0 && status == BERTH_OK)
        status = berth_trie_insert(&vocab->pieces, BERTH_VOCAB_WORD, token, length, (int32_t)id, err);
    return status;
}

enum berth_status berth_vocab_index(struct berth_vocab *vocab, const char *prefix, struct berth_error *err)
{
    size_t slots = 64;
    while (slots < vocab->size * 2)
        slots *= 2;
    vocab->slots = berth_calloc(slots, sizeof *vocab->slots);
    if (!vocab->slots)
        return berth_fail_memory(err, "a vocabulary's index", slots * sizeof *vocab->slots);
    vocab->slot_mask = slots - 1;
    /* Tokens share about half of their bytes' nodes; a wrong guess only costs a resize. */
    enum berth_status status = berth_trie_init(&vocab->pieces, vocab->text_size / 2, err);
    const size_t prefix_length = strlen(prefix);
    for (size_t id = 0; id < vocab->size && status == BERTH_OK; id++)
        if (vocab->tokens[id].length != no_token)
            status = index_token(vocab, id, prefix, prefix_length, err);
    return status;
}
