/* vocab.c: tokens in one block; a hash of whole tokens; a trie with two roots (word beginnings, continuations) whose edges
 * lie in one open-addressing table. Both tables are sized from the data and stay at most half full. */
#include "text/vocab.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

struct berth_trie_edge {
    uint32_t node; /* parent; with `byte` the key */
    uint32_t child_and_byte; /* child << 8 | byte; 0 is empty (no edge leads to a root) */
};

void berth_vocab_init(struct berth_vocab *vocab)
{
    *vocab = (struct berth_vocab){0};
}

void berth_vocab_clear(struct berth_vocab *vocab)
{
    berth_free(vocab->text);
    berth_free(vocab->offset);
    berth_free(vocab->length);
    berth_free(vocab->slots);
    berth_free(vocab->edges);
    berth_free(vocab->node_token);
    *vocab = (struct berth_vocab){0};
}

static enum berth_status grow_ids(struct berth_vocab *vocab, size_t need, struct berth_error *err)
{
    size_t capacity = berth_max(berth_max(vocab->capacity * 2, 1024), need);
    size_t *offset = berth_realloc(vocab->offset, capacity, sizeof *offset);
    if (offset)
        vocab->offset = offset;
    uint32_t *length = berth_realloc(vocab->length, capacity, sizeof *length);
    if (length)
        vocab->length = length;
    if (!offset || !length)
        return berth_fail_memory(err, "a vocabulary", capacity * (sizeof *offset + sizeof *length));
    vocab->capacity = capacity;
    return BERTH_OK;
}

enum berth_status berth_vocab_add(struct berth_vocab *vocab, const char *token, size_t length, size_t id, struct berth_error *err)
{
    if (id >= BERTH_VOCAB_MAX)
        return berth_fail(err, BERTH_LIMIT, "token id %zu is beyond the limit of %d", id, BERTH_VOCAB_MAX);
    if (length > BERTH_TOKEN_MAX_BYTES)
        return berth_fail(err, BERTH_LIMIT, "token %zu has %zu bytes, at most %d are allowed", id, length, BERTH_TOKEN_MAX_BYTES);
    if (id >= vocab->capacity) {
        enum berth_status status = grow_ids(vocab, id + 1, err);
        if (status != BERTH_OK)
            return status;
    }
    if (vocab->text_capacity - vocab->text_size < length + 1) {
        size_t capacity = berth_max(berth_max(vocab->text_capacity * 2, 1 << 16), vocab->text_size + length + 1);
        char *text = berth_realloc(vocab->text, capacity, 1);
        if (!text)
            return berth_fail_memory(err, "a vocabulary", capacity);
        vocab->text = text;
        vocab->text_capacity = capacity;
    }
    while (vocab->size <= id)
        vocab->offset[vocab->size++] = SIZE_MAX;
    vocab->offset[id] = vocab->text_size;
    vocab->length[id] = (uint32_t)length;
    memcpy(vocab->text + vocab->text_size, token, length);
    vocab->text[vocab->text_size + length] = 0;
    vocab->text_size += length + 1;
    return BERTH_OK;
}

/* Multiply and mix, eight bytes at a time. */
static uint64_t hash_bytes(const char *bytes, size_t length)
{
    uint64_t hash = length * 0x9e3779b97f4a7c15u;
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t chunk;
        memcpy(&chunk, bytes, 8);
        hash = (hash ^ chunk) * 0xd6e8feb86659fd93u;
        hash ^= hash >> 32;
    }
    uint64_t rest = 0;
    for (size_t i = 0; i < length; i++)
        rest |= (uint64_t)(unsigned char)bytes[i] << (8 * i);
    hash = (hash ^ rest) * 0xd6e8feb86659fd93u;
    return hash ^ hash >> 32;
}

static bool same_token(const struct berth_vocab *vocab, size_t id, const char *token, size_t length)
{
    return vocab->length[id] == length && memcmp(vocab->text + vocab->offset[id], token, length) == 0;
}

int32_t berth_vocab_find(const struct berth_vocab *vocab, const char *token, size_t length)
{
    for (size_t slot = hash_bytes(token, length);; slot++) {
        uint32_t entry = vocab->slots[slot & vocab->slot_mask];
        if (entry == 0)
            return -1;
        if (same_token(vocab, entry - 1, token, length))
            return (int32_t)(entry - 1);
    }
}

const char *berth_vocab_token(const struct berth_vocab *vocab, int32_t id)
{
    if (id < 0 || (size_t)id >= vocab->size || vocab->offset[id] == SIZE_MAX)
        return NULL;
    return vocab->text + vocab->offset[id];
}

static size_t edge_slot(uint32_t node, unsigned char byte)
{
    uint64_t hash = ((uint64_t)node << 8 | byte) * 0x9e3779b97f4a7c15u;
    return (size_t)(hash >> 20);
}

/* The child of a node, 0 when there is none (a root is nobody's child). */
static inline uint32_t child_of(const struct berth_vocab *vocab, uint32_t node, unsigned char byte)
{
    for (size_t slot = edge_slot(node, byte);; slot++) {
        struct berth_trie_edge edge = vocab->edges[slot & vocab->edge_mask];
        if (edge.child_and_byte == 0)
            return 0;
        if (edge.node == node && (unsigned char)edge.child_and_byte == byte)
            return edge.child_and_byte >> 8;
    }
}

static enum berth_status grow_edges(struct berth_vocab *vocab, struct berth_error *err)
{
    size_t count = vocab->edges ? (vocab->edge_mask + 1) * 2 : 1 << 12;
    struct berth_trie_edge *edges = berth_calloc(count, sizeof *edges);
    if (!edges)
        return berth_fail_memory(err, "a vocabulary's index", count * sizeof *edges);
    for (size_t i = 0; vocab->edges && i <= vocab->edge_mask; i++) {
        struct berth_trie_edge edge = vocab->edges[i];
        if (edge.child_and_byte == 0)
            continue;
        size_t slot = edge_slot(edge.node, (unsigned char)edge.child_and_byte);
        while (edges[slot & (count - 1)].child_and_byte != 0)
            slot++;
        edges[slot & (count - 1)] = edge;
    }
    berth_free(vocab->edges);
    vocab->edges = edges;
    vocab->edge_mask = count - 1;
    return BERTH_OK;
}

static enum berth_status new_node(struct berth_vocab *vocab, uint32_t *node, struct berth_error *err)
{
    if (vocab->node_count >= (1u << 24))
        return berth_fail(err, BERTH_LIMIT, "the vocabulary's tokens are too long together: more than %u trie nodes", 1u << 24);
    if (vocab->node_count == vocab->node_capacity) {
        size_t capacity = berth_max(vocab->node_capacity * 2, 1024);
        int32_t *tokens = berth_realloc(vocab->node_token, capacity, sizeof *tokens);
        if (!tokens)
            return berth_fail_memory(err, "a vocabulary's index", capacity * sizeof *tokens);
        vocab->node_token = tokens;
        vocab->node_capacity = capacity;
    }
    *node = (uint32_t)vocab->node_count;
    vocab->node_token[vocab->node_count++] = -1;
    return BERTH_OK;
}

static enum berth_status insert_path(struct berth_vocab *vocab, uint32_t node, const char *bytes, size_t length, int32_t id,
                                     struct berth_error *err)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)bytes[i];
        uint32_t child = child_of(vocab, node, byte);
        if (child == 0) {
            enum berth_status status = new_node(vocab, &child, err);
            if (status == BERTH_OK && (vocab->edge_count + 1) * 2 > vocab->edge_mask)
                status = grow_edges(vocab, err);
            if (status != BERTH_OK)
                return status;
            size_t slot = edge_slot(node, byte);
            while (vocab->edges[slot & vocab->edge_mask].child_and_byte != 0)
                slot++;
            vocab->edges[slot & vocab->edge_mask] = (struct berth_trie_edge){node, child << 8 | byte};
            vocab->edge_count++;
        }
        node = child;
    }
    vocab->node_token[node] = id;
    return BERTH_OK;
}

enum berth_status berth_vocab_index(struct berth_vocab *vocab, const char *prefix, struct berth_error *err)
{
    size_t slots = 1024;
    while (slots < vocab->size * 2)
        slots *= 2;
    vocab->slots = berth_calloc(slots, sizeof *vocab->slots);
    if (!vocab->slots)
        return berth_fail_memory(err, "a vocabulary's index", slots * sizeof *vocab->slots);
    vocab->slot_mask = slots - 1;
    uint32_t root;
    enum berth_status status;
    BERTH_TRY(grow_edges(vocab, err));
    BERTH_TRY(new_node(vocab, &root, err)); /* BERTH_TRIE_WORD */
    BERTH_TRY(new_node(vocab, &root, err)); /* BERTH_TRIE_CONTINUATION */
    size_t prefix_length = strlen(prefix);
    for (size_t id = 0; id < vocab->size; id++) {
        if (vocab->offset[id] == SIZE_MAX)
            continue;
        const char *token = vocab->text + vocab->offset[id];
        size_t length = vocab->length[id];
        size_t slot = hash_bytes(token, length);
        uint32_t entry;
        while ((entry = vocab->slots[slot & vocab->slot_mask]) != 0 && !same_token(vocab, entry - 1, token, length))
            slot++;
        vocab->slots[slot & vocab->slot_mask] = (uint32_t)id + 1; /* a repeated token keeps its last id */
        bool continues = length > prefix_length && memcmp(token, prefix, prefix_length) == 0;
        if (continues)
            BERTH_TRY(insert_path(vocab, BERTH_TRIE_CONTINUATION, token + prefix_length, length - prefix_length, (int32_t)id, err));
        if (length > 0)
            BERTH_TRY(insert_path(vocab, BERTH_TRIE_WORD, token, length, (int32_t)id, err));
    }
fail:
    return status;
}

int32_t berth_vocab_longest(const struct berth_vocab *vocab, uint32_t root, const unsigned char *bytes, size_t size, size_t *taken)
{
    int32_t best = -1;
    uint32_t node = root;
    for (size_t i = 0; i < size; i++) {
        node = child_of(vocab, node, bytes[i]);
        if (node == 0)
            break;
        if (vocab->node_token[node] >= 0) {
            best = vocab->node_token[node];
            *taken = i + 1;
        }
    }
    return best;
}
