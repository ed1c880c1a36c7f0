/* weights.c: float weights to int8 steps and bf16 numbers, a few rows at a time, by the very kernels that pack a
 * plan. */
#include "quant/weights.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

enum { PIECE_ROWS = BERTH_PANEL_COLUMNS };

size_t berth_products(struct berth_encoder *encoder, struct berth_product *products)
{
    struct berth_linear *outside[] = {&encoder->project, &encoder->pooler};
    size_t count = 0;
#define ADD(tensor, kept)                                                     \
    do {                                                                      \
        if (products)                                                         \
            products[count] = (struct berth_product){&(tensor), &(kept)};     \
        count++;                                                              \
    } while (0)
    ADD(encoder->word_embedding, encoder->word_keep);
    if (outside[0]->weight.elements)
        ADD(outside[0]->weight, outside[0]->keep);
    for (size_t i = 0; i < encoder->config.layers; i++) {
        struct berth_layer *layer = &encoder->layers[i];
        struct berth_linear *const linears[BERTH_PRODUCTS_PER_LAYER] = {
            &layer->query, &layer->key, &layer->value, &layer->attention_out, &layer->ffn_in, &layer->ffn_out};
        for (size_t p = 0; p < BERTH_PRODUCTS_PER_LAYER; p++)
            ADD(linears[p]->weight, linears[p]->keep);
    }
    if (outside[1]->weight.elements)
        ADD(outside[1]->weight, outside[1]->keep);
#undef ADD
    return count;
}

struct rounder {
    const struct berth_encoder *encoder;
    const struct berth_kernels *kernels;
    unsigned char *memory; /* what is left of the encoder's new block */
    float *rows;           /* [PIECE_ROWS, widest] */
    int8_t *packed;        /* a panel of these */
};

static enum berth_stored stored_as(enum berth_stored stored, enum berth_stored keep)
{
    return keep > stored ? keep : stored;
}

/* Bytes of a product in its new numbers, scales included, filled up to 64; 0: it stays. */
static size_t new_bytes(const struct berth_tensor *weight, enum berth_stored as)
{
    if (as == BERTH_STORED_FP32 || weight->scales || (as == BERTH_STORED_BF16 && weight->dtype == BERTH_DTYPE_BF16))
        return 0;
    const size_t numbers = weight->elements * (as == BERTH_STORED_INT8 ? 1 : 2);
    return berth_round_up(numbers, BERTH_ALIGNMENT) +
           (as == BERTH_STORED_INT8 ? berth_round_up(weight->shape[0] * sizeof(float), BERTH_ALIGNMENT) : 0);
}

/* Nearest, ties to even. */
static void round_row(uint16_t *out, const float *in, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &in[i], sizeof bits);
        out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

static void round_rows(struct rounder *r, const struct berth_tensor *weight, enum berth_stored as, size_t first,
                       size_t count, unsigned char *numbers, float *scales)
{
    const size_t k = weight->shape[1];
    if (as == BERTH_STORED_BF16) {
        round_row((uint16_t *)(void *)numbers + first * k, r->rows, count * k);
        return;
    }
    float scale[PIECE_ROWS];
    int32_t offset[PIECE_ROWS];
    r->kernels->pack_s8(r->packed, scale, offset, r->rows, 0, count, k, k);
    berth_s8_unpack_steps((int8_t *)numbers + first * k, r->packed, count, k);
    memcpy(scales + first, scale, count * sizeof *scale);
}

static enum berth_status round_weight(struct rounder *r, struct berth_tensor *weight, enum berth_stored as,
                                      struct berth_error *err)
{
    const size_t n = weight->shape[0], k = weight->shape[1], bytes = new_bytes(weight, as);
    if (bytes == 0)
        return BERTH_OK;
    unsigned char *numbers = r->memory;
    float *scales = (float *)(void *)(numbers + berth_round_up(n * k, BERTH_ALIGNMENT));
    for (size_t first = 0; first < n; first += PIECE_ROWS) {
        const size_t count = berth_min(PIECE_ROWS, n - first);
        berth_encoder_read(r->encoder, weight, first * k, count * k, r->rows);
        if (!r->kernels->all_finite_f32(r->rows, count * k)) {
            char where[512];
            return berth_fail(err, BERTH_FORMAT, "%s holds a value that is not finite (NaN or infinity)",
                              berth_encoder_locate(r->encoder, weight, where, sizeof where));
        }
        round_rows(r, weight, as, first, count, numbers, scales);
    }
    berth_encoder_forget(r->encoder, weight);
    weight->data = numbers;
    weight->dtype = as == BERTH_STORED_INT8 ? BERTH_DTYPE_I8 : BERTH_DTYPE_BF16;
    weight->bytes = n * k * berth_dtype_size(weight->dtype);
    weight->scales = as == BERTH_STORED_INT8 ? scales : NULL;
    r->memory += bytes;
    return BERTH_OK;
}

static enum berth_status check_widths(const struct berth_product *products, size_t count, size_t *widest,
                                      struct berth_error *err)
{
    *widest = 1;
    for (size_t i = 0; i < count; i++)
        *widest = berth_max(*widest, products[i].weight->shape[1]);
    if (*widest > BERTH_S8_K_MAX)
        return berth_fail(err, BERTH_UNSUPPORTED, "a weight of %zu columns is too wide to be quantised (at most %d)",
                          *widest, BERTH_S8_K_MAX);
    return BERTH_OK;
}

enum berth_status berth_quantize_weights(struct berth_encoder *encoder, enum berth_stored stored,
                                         const struct berth_kernels *kernels, struct berth_error *err)
{
    const size_t most = BERTH_PRODUCTS_OUTSIDE + BERTH_PRODUCTS_PER_LAYER * encoder->config.layers;
    struct rounder r = {.encoder = encoder, .kernels = kernels};
    struct berth_product *products = berth_calloc(most, sizeof *products);
    size_t widest, bytes = 0;
    enum berth_status status;
    if (!products)
        return berth_fail_memory(err, "the list of products", most * sizeof *products);
    const size_t count = berth_products(encoder, products);
    BERTH_TRY(check_widths(products, count, &widest, err));
    for (size_t i = 0; i < count; i++)
        bytes += new_bytes(products[i].weight, stored_as(stored, *products[i].keep));
    encoder->quantized = bytes ? berth_aligned(bytes) : NULL;
    r.memory = encoder->quantized;
    r.rows = berth_aligned(PIECE_ROWS * widest * sizeof *r.rows);
    r.packed = berth_aligned(berth_gemm_tiled_packed(PIECE_ROWS, widest));
    if ((bytes && !r.memory) || !r.rows || !r.packed) {
        status = berth_fail_memory(err, "quantised weights", bytes);
        goto fail;
    }
    for (size_t i = 0; i < count; i++)
        BERTH_TRY(round_weight(&r, products[i].weight, stored_as(stored, *products[i].keep), err));
    encoder->config.storage.stored = stored;
fail:
    berth_free(products);
    berth_free(r.rows);
    berth_free(r.packed);
    return status;
}
