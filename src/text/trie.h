/* trie.h: strings by their bytes, for "which is the longest known string that begins here?". Several sets of
 * strings share one trie, each with a root of its own. The edges lie in one open-addressing table sized from
 * the data. */
#ifndef BERTH_TEXT_TRIE_H
#define BERTH_TEXT_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

enum { BERTH_TRIE_ROOTS = 2 }; /* nodes 0 and 1 */

struct berth_trie_edge {
    uint32_t node;           /* parent; with the byte the key */
    uint32_t child_and_byte; /* child << 8 | byte; 0 is empty (no edge leads to a root) */
};

struct berth_trie {
    struct berth_trie_edge *edges; /* [edge_mask + 1]; owned */
    size_t edge_mask, edge_count;
    int32_t *values; /* [node_count] of the string that ends there, -1: none; owned */
    size_t node_count, node_capacity;
};

/* An empty trie with room for about `edges` edges. Clear accepts a zeroed struct. */
enum berth_status berth_trie_init(struct berth_trie *trie, size_t edges, struct berth_error *err);
void berth_trie_clear(struct berth_trie *trie);

/* Adds a string of at least a byte to the set of `root`; a string added again takes the new value (0 or
 * more). */
enum berth_status berth_trie_insert(struct berth_trie *trie, uint32_t root, const char *bytes, size_t size,
                                    int32_t value, struct berth_error *err);

static inline size_t berth_trie_slot(uint32_t node, unsigned char byte)
{
    return (size_t)((((uint64_t)node << 8 | byte) * 0x9e3779b97f4a7c15u) >> 20);
}

/* The child of a node, 0 when there is none. */
static inline uint32_t berth_trie_child(const struct berth_trie *trie, uint32_t node, unsigned char byte)
{
    for (size_t slot = berth_trie_slot(node, byte);; slot++) {
        const struct berth_trie_edge edge = trie->edges[slot & trie->edge_mask];
        if (edge.child_and_byte == 0)
            return 0;
        if (edge.node == node && (unsigned char)edge.child_and_byte == byte)
            return edge.child_and_byte >> 8;
    }
}

/* The value of the longest string of the set that bytes[0 .. size) begins with, and its bytes in *taken; -1:
 * none. */
static inline int32_t berth_trie_longest(const struct berth_trie *trie, uint32_t root,
                                         const unsigned char *bytes, size_t size, size_t *taken)
{
    int32_t best = -1;
    uint32_t node = root;
    for (size_t i = 0; i < size && (node = berth_trie_child(trie, node, bytes[i])) != 0; i++)
        if (trie->values[node] >= 0) {
            best = trie->values[node];
            *taken = i + 1;
        }
    return best;
}

#endif
