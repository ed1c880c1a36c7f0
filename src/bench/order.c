/* order.c: Fisher and Yates's shuffle. */
#include "bench/order.h"

void berth_order_shuffle(size_t *order, size_t cells, struct berth_rng *rng)
{
    for (size_t i = 0; i < cells; i++) {
        size_t k = (size_t)berth_rng_below(rng, i + 1);
        order[i] = order[k];
        order[k] = i;
    }
}
