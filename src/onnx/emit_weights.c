/* emit_weights.c: the numbers of one initializer: weights read as float32, laid side by side, transposed,
 * quantised. */
#include <math.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "onnx/emit.h"

enum {
    CHUNK = 1 << 18,
    /* numbers copied at a time */ BLOCK = 32 /* input rows transposed at a time */,
    INT8_MAX_ABS = 127
};

static enum berth_status copy_as_is(const struct emit *x, const struct emit_item *item,
                                    struct berth_onnx_sink *sink, struct berth_error *err)
{
    float *numbers = berth_malloc(CHUNK, sizeof *numbers);
    if (!numbers)
        return berth_fail_memory(err, "weights on their way to ONNX", CHUNK * sizeof *numbers);
    for (size_t i = 0; i < item->parts; i++) {
        const struct berth_tensor *part = item->part[i];
        for (size_t at = 0; at < part->elements; at += CHUNK) {
            size_t count = berth_min(CHUNK, part->elements - at);
            berth_encoder_read(x->encoder, part, at, count, numbers);
            berth_onnx_put(sink, numbers, count * sizeof *numbers);
        }
        berth_encoder_forget(x->encoder, part);
    }
    berth_free(numbers);
    return BERTH_OK;
}

/* All parts as rows [out][in]. */
static float *read_rows(const struct emit *x, const struct emit_item *item, size_t *out,
                        struct berth_error *err)
{
    size_t elements = 0, at = 0;
    *out = 0;
    for (size_t i = 0; i < item->parts; i++) {
        elements += item->part[i]->elements;
        *out += item->part[i]->shape[0];
    }
    float *rows = berth_malloc(elements, sizeof *rows);
    if (!rows) {
        (void)berth_fail_memory(err, item->part[0]->name, elements * sizeof *rows);
        return NULL;
    }
    for (size_t i = 0; i < item->parts; i++) {
        berth_encoder_read(x->encoder, item->part[i], 0, item->part[i]->elements, rows + at);
        berth_encoder_forget(x->encoder, item->part[i]);
        at += item->part[i]->elements;
    }
    return rows;
}

/* rows [out][in] become [in][out], BLOCK of these at a time. */
static enum berth_status put_transposed(const float *rows, size_t out, size_t in,
                                        struct berth_onnx_sink *sink, struct berth_error *err)
{
    float *block = berth_malloc(BLOCK * out, sizeof *block);
    if (!block)
        return berth_fail_memory(err, "weights on their way to ONNX", BLOCK * out * sizeof *block);
    for (size_t first = 0; first < in; first += BLOCK) {
        size_t count = berth_min(BLOCK, in - first);
        for (size_t o = 0; o < out; o++)
            for (size_t i = 0; i < count; i++)
                block[i * out + o] = rows[o * in + first + i];
        berth_onnx_put(sink, block, count * out * sizeof *block);
    }
    berth_free(block);
    return BERTH_OK;
}

/* A column's scale: its largest magnitude becomes 127. A column of zeros has scale 1. */
static float scale_of(const float *row, size_t in)
{
    float largest = 0;
    for (size_t i = 0; i < in; i++)
        largest = fmaxf(largest, fabsf(row[i]));
    return largest > 0 ? largest / INT8_MAX_ABS : 1;
}

static enum berth_status put_quantized(const float *rows, size_t out, size_t in, struct berth_onnx_sink *sink,
                                       struct berth_error *err)
{
    int8_t *numbers = berth_malloc(in, out);
    if (!numbers)
        return berth_fail_memory(err, "weights on their way to ONNX", in * out);
    for (size_t o = 0; o < out; o++) {
        float scale = scale_of(rows + o * in, in);
        for (size_t i = 0; i < in; i++)
            numbers[i * out + o] = (int8_t)lrintf(rows[o * in + i] / scale);
    }
    berth_onnx_put(sink, numbers, in * out);
    berth_free(numbers);
    return BERTH_OK;
}

enum berth_status berth_emit_fill(void *context, const void *which, struct berth_onnx_sink *sink,
                                  struct berth_error *err)
{
    const struct emit *x = context;
    const struct emit_item *item = which;
    size_t out, in = item->part[0]->rank > 1 ? item->part[0]->shape[1] : 1;
    if (item->kind == EMIT_AS_IS)
        return copy_as_is(x, item, sink, err);
    if (item->kind == EMIT_ZEROS) {
        static const int8_t zero;
        for (size_t i = 0; i < item->parts; i++)
            for (size_t o = 0; o < item->part[i]->shape[0]; o++)
                berth_onnx_put(sink, &zero, sizeof zero);
        return BERTH_OK;
    }
    float *rows = read_rows(x, item, &out, err);
    if (!rows)
        return BERTH_NO_MEMORY;
    enum berth_status status = BERTH_OK;
    if (item->kind == EMIT_TRANSPOSED)
        status = put_transposed(rows, out, in, sink, err);
    else if (item->kind == EMIT_QUANTIZED)
        status = put_quantized(rows, out, in, sink, err);
    else
        for (size_t o = 0; o < out; o++) {
            float scale = scale_of(rows + o * in, in);
            berth_onnx_put(sink, &scale, sizeof scale);
        }
    berth_free(rows);
    return status;
}
