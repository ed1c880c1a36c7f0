/* order.h: in which order the cells of a grid are measured. */
#ifndef BERTH_BENCH_ORDER_H
#define BERTH_BENCH_ORDER_H

#include <stddef.h>

#include "base/rng.h"

/* Fills order[cells] with a random permutation of 0 .. cells-1. A grid is measured in rounds, each a fresh
 * permutation: whatever drifts (heat, neighbours, caches) meets all cells alike, and no cell always follows
 * the same other one. */
void berth_order_shuffle(size_t *order, size_t cells, struct berth_rng *rng);

#endif
