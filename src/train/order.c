/* order.c: shuffling by Fisher and Yates; sorting by counting, so that equal lengths keep their order. */
#include "train/order.h"

#include <string.h>

#include "base/checked.h"
#include "base/rng.h"

enum { WINDOW_BATCHES = 50 };

static void shuffle(size_t *rows, size_t count, struct berth_rng *rng)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)berth_rng_below(rng, i), row = rows[i - 1];
        rows[i - 1] = rows[j];
        rows[j] = row;
    }
}

static size_t length_of(const struct berth_train_data *data, size_t row)
{
    return data->offsets[row + 1] - data->offsets[row];
}

/* Merges sorted runs, longest first; stable. */
static void sort_by_length(size_t *rows, size_t *scratch, size_t count, const struct berth_train_data *data)
{
    for (size_t run = 1; run < count; run *= 2) {
        for (size_t first = 0; first < count; first += 2 * run) {
            size_t middle = berth_min(first + run, count), end = berth_min(first + 2 * run, count);
            size_t a = first, b = middle;
            for (size_t i = first; i < end; i++) {
                bool left = a < middle && (b == end || length_of(data, rows[a]) >= length_of(data, rows[b]));
                scratch[i] = left ? rows[a++] : rows[b++];
            }
        }
        memcpy(rows, scratch, count * sizeof *rows);
    }
}

/* Whole batches change places; the last, shorter one stays last. */
static void shuffle_batches(size_t *rows, size_t *scratch, size_t count, size_t batch, struct berth_rng *rng)
{
    size_t batches = count / batch;
    for (size_t i = batches; i > 1; i--) {
        size_t j = (size_t)berth_rng_below(rng, i);
        memcpy(scratch, rows + (i - 1) * batch, batch * sizeof *rows);
        memmove(rows + (i - 1) * batch, rows + j * batch, batch * sizeof *rows);
        memcpy(rows + j * batch, scratch, batch * sizeof *rows);
    }
}

void berth_order_fill(size_t *rows, size_t *scratch, const struct berth_train_data *data,
                      enum berth_order_kind kind, size_t batch, uint64_t seed, size_t epoch)
{
    struct berth_rng rng;
    for (size_t i = 0; i < data->count; i++)
        rows[i] = i;
    if (kind == BERTH_ORDER_FILE)
        return;
    berth_rng_seed(&rng, seed + (epoch + 1) * 0xd1b54a32d192ed03u);
    shuffle(rows, data->count, &rng);
    if (kind == BERTH_ORDER_SHUFFLED)
        return;
    size_t window = batch * WINDOW_BATCHES;
    for (size_t first = 0; first < data->count; first += window)
        sort_by_length(rows + first, scratch + first, berth_min(window, data->count - first), data);
    shuffle_batches(rows, scratch, data->count, batch, &rng);
}

/* How many examples have each length, from the longest down: the largest batch is made of the longest. */
struct berth_network_bounds berth_order_bounds(const struct berth_train_data *data, size_t batch)
{
    struct berth_network_bounds bounds = {.texts = berth_min(batch, data->count), .longest = data->longest};
    size_t left = bounds.texts;
    for (size_t length = data->longest; length > 0 && left > 0; length--) {
        size_t here = 0;
        for (size_t i = 0; i < data->count && here < left; i++)
            here += length_of(data, i) == length;
        bounds.tokens += here * length;
        bounds.pairs += here * berth_network_pairs(length);
        left -= here;
    }
    return bounds;
}
