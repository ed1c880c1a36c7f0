/* trie.c: building a trie; the walk is in the header. */
#include "text/trie.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { NODES_MAX = 1 << 24 }; /* an edge has 24 bits for its child */

/* Moves all edges to a table of `count` slots, a power of two. */
static enum berth_status resize(struct berth_trie *trie, size_t count, struct berth_error *err)
{
    struct berth_trie_edge *edges = berth_calloc(count, sizeof *edges);
    if (!edges)
        return berth_fail_memory(err, "a vocabulary's index", count * sizeof *edges);
    for (size_t i = 0; trie->edges && i <= trie->edge_mask; i++) {
        const struct berth_trie_edge edge = trie->edges[i];
        if (edge.child_and_byte == 0)
            continue;
        size_t slot = berth_trie_slot(edge.node, (unsigned char)edge.child_and_byte);
        while (edges[slot & (count - 1)].child_and_byte != 0)
            slot++;
        edges[slot & (count - 1)] = edge;
    }
    berth_free(trie->edges);
    trie->edges = edges;
    trie->edge_mask = count - 1;
    return BERTH_OK;
}

static enum berth_status add_node(struct berth_trie *trie, uint32_t *node, struct berth_error *err)
{
    if (trie->node_count == NODES_MAX)
        return berth_fail(err, BERTH_LIMIT,
                          "the tokens are too long together: more than %d nodes in their index", NODES_MAX);
    if (trie->node_count == trie->node_capacity) {
        const size_t capacity = berth_max(trie->node_capacity * 2, 64);
        int32_t *values = berth_realloc(trie->values, capacity, sizeof *values);
        if (!values)
            return berth_fail_memory(err, "a vocabulary's index", capacity * sizeof *values);
        trie->values = values;
        trie->node_capacity = capacity;
    }
    *node = (uint32_t)trie->node_count;
    trie->values[trie->node_count++] = -1;
    return BERTH_OK;
}

enum berth_status berth_trie_init(struct berth_trie *trie, size_t edges, struct berth_error *err)
{
    *trie = (struct berth_trie){0};
    size_t count = 64;
    while (count / 2 < edges && count < NODES_MAX)
        count *= 2;
    enum berth_status status;
    BERTH_TRY(resize(trie, count, err));
    for (uint32_t root = 0; root < BERTH_TRIE_ROOTS; root++) {
        uint32_t node;
        BERTH_TRY(add_node(trie, &node, err));
    }
    return BERTH_OK;
fail:
    berth_trie_clear(trie);
    return status;
}

void berth_trie_clear(struct berth_trie *trie)
{
    berth_free(trie->edges);
    berth_free(trie->values);
    *trie = (struct berth_trie){0};
}

static enum berth_status add_edge(struct berth_trie *trie, uint32_t node, unsigned char byte, uint32_t *child,
                                  struct berth_error *err)
{
    enum berth_status status = add_node(trie, child, err);
    if (status == BERTH_OK && (trie->edge_count + 1) * 2 > trie->edge_mask + 1)
        status = resize(trie, (trie->edge_mask + 1) * 2, err);
    if (status != BERTH_OK)
        return status;
    size_t slot = berth_trie_slot(node, byte);
    while (trie->edges[slot & trie->edge_mask].child_and_byte != 0)
        slot++;
    trie->edges[slot & trie->edge_mask] = (struct berth_trie_edge){node, *child << 8 | byte};
    trie->edge_count++;
    return BERTH_OK;
}

enum berth_status berth_trie_insert(struct berth_trie *trie, uint32_t root, const char *bytes, size_t size,
                                    int32_t value, struct berth_error *err)
{
    uint32_t node = root;
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)bytes[i];
        uint32_t child = berth_trie_child(trie, node, byte);
        if (child == 0) {
            const enum berth_status status = add_edge(trie, node, byte, &child, err);
            if (status != BERTH_OK)
                return status;
        }
        node = child;
    }
    trie->values[node] = value;
    return BERTH_OK;
}
