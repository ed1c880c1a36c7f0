/* random.h: weights that are computed instead of stored. Any number of a tensor can be had on its own, in any
 * order, so a random model needs no memory of its own while it is packed, and every thread can make its
 * share. */
#ifndef BERTH_MODEL_RANDOM_H
#define BERTH_MODEL_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "formats/tensor.h"

/* Numbers [first, first + count) of the weight called tensor->name under `seed`: bell-shaped around 0 with
 * deviation `range`, except a LayerNorm's scale (a vector named ".weight"), which lies around 1. The same on
 * every machine. */
void berth_random_weights(const struct berth_tensor *tensor, uint64_t seed, double range, size_t first,
                          size_t count, float *out);

#endif
