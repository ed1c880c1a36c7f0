/* order.h: in which order an epoch takes its examples. A function of seed and epoch alone, so that any epoch
 * of a run can be made again. */
#ifndef BERTH_TRAIN_ORDER_H
#define BERTH_TRAIN_ORDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "train/data.h"

enum berth_order_kind {
    BERTH_ORDER_FILE,
    BERTH_ORDER_SHUFFLED,
    BERTH_ORDER_BY_LENGTH /* shuffled, then like lengths together within windows of 50 batches */
};

/* rows [data->count]; scratch of as many. Batch b is rows [b * batch, (b + 1) * batch). */
void berth_order_fill(size_t *rows, size_t *scratch, const struct berth_train_data *data,
                      enum berth_order_kind kind, size_t batch, uint64_t seed, size_t epoch);

/* The bounds of any batch of `batch` examples of these data. */
struct berth_network_bounds berth_order_bounds(const struct berth_train_data *data, size_t batch);

#endif
