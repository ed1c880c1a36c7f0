/* weights.h: rounds the weights of an encoder in memory, to be written or run. */
#ifndef BERTH_QUANT_WEIGHTS_H
#define BERTH_QUANT_WEIGHTS_H

#include "berth/status.h"
#include "kernels/kernels.h"
#include "model/encoder.h"

/* A product of the encoder (or its word embedding): what is quantised. */
struct berth_product {
    struct berth_tensor *weight; /* borrowed from the encoder, as the next */
    enum berth_stored *keep;
};

/* Products in the order of the network: the word embedding, the projection, six of each layer, the pooler. Those that
 * an encoder lacks are left out. Returns their number; products [BERTH_PRODUCTS_OUTSIDE + 6 L] may be NULL. */
enum { BERTH_PRODUCTS_OUTSIDE = 3, BERTH_PRODUCTS_PER_LAYER = 6 };
size_t berth_products(struct berth_encoder *encoder, struct berth_product *products);

/* Replaces the weights of all products by int8 steps with a scale a row, or by bf16 numbers, as `stored` says: to the
 * bit what a plan in these numbers would pack of the old ones. A product that `keep` says is finer becomes that, or
 * stays as it is for fp32. The encoder says from then on that it is quantised. Numbers that are not finite are
 * refused by name. Memory: the rounded weights, which the encoder owns. */
enum berth_status berth_quantize_weights(struct berth_encoder *encoder, enum berth_stored stored,
                                         const struct berth_kernels *kernels, struct berth_error *err);

#endif
