/* emit.h: what the parts of the exporter share: nodes by name, shapes, weights by item. Internal to export.
 */
#ifndef BERTH_ONNX_EMIT_H
#define BERTH_ONNX_EMIT_H

#include "onnx/export.h"

enum { EMIT_NAME_SIZE = 160, EMIT_PARTS_MAX = 3 };

/* A value's name, by value: names of a graph need no owner. */
struct emit_name {
    char text[EMIT_NAME_SIZE];
};

/* How the numbers of an initializer are made from weights [out, in] of the encoder, several of them side by
 * side. */
struct emit_item {
    enum {
        EMIT_AS_IS,      /* as stored, in float32 */
        EMIT_TRANSPOSED, /* [in, out] */
        EMIT_QUANTIZED,  /* [in, out] int8, symmetric, one scale a column */
        EMIT_SCALES,     /* [out]: those scales */
        EMIT_ZEROS       /* [out] int8 zeros: their zero points */
    } kind;
    const struct berth_tensor *part[EMIT_PARTS_MAX];
    size_t parts;
};

struct emit {
    const struct berth_encoder *encoder;
    const struct berth_onnx_export_options *options;
    struct berth_onnx_writer *writer;
    struct emit_item *items; /* [items_max] */
    size_t item_count, items_max;
    char scope[64];                       /* before the names of nodes: "layer.3/attention" */
    const struct berth_onnx_range *range; /* static quantisation: of the next product's input */
    struct emit_name quantized;           /* the activation that was quantised last */
};

/* Fills one initializer: berth_onnx_fill_fn over struct emit and struct emit_item. */
enum berth_status berth_emit_fill(void *context, const void *item, struct berth_onnx_sink *sink,
                                  struct berth_error *err);

/* --- emit_ops.c: one function an operation of an encoder; each returns the name of its result. */
#define EMIT_INPUTS(...) ((const char *const[]){__VA_ARGS__, NULL})
#define EMIT_INT(n, v)                                     \
    {                                                      \
        .name = (n), .kind = BERTH_ONNX_INT, .number = (v) \
    }
#define EMIT_FLOAT(n, v)                                   \
    {                                                      \
        .name = (n), .kind = BERTH_ONNX_FLOAT, .real = (v) \
    }
#define EMIT_INTS(n, l, s)                                                  \
    {                                                                       \
        .name = (n), .kind = BERTH_ONNX_INTS, .list = (l), .list_size = (s) \
    }

/* Shapes with the batch first. */
struct berth_onnx_shape berth_emit_tokens(enum berth_onnx_type type); /* [B, T] */
struct berth_onnx_shape berth_emit_rows(size_t n);                    /* f32 [B, T, n] */

struct emit_name berth_emit_node(struct emit *x, const char *op, const char *domain, const char *label,
                                 const char *const *inputs, const struct berth_onnx_attribute *attributes,
                                 size_t attribute_count, const struct berth_onnx_shape *shape);
/* An operation of one or two values without attributes; b NULL: one. */
struct emit_name berth_emit_simple(struct emit *x, const char *op, const char *label, const char *a,
                                   const char *b, struct berth_onnx_shape shape);

struct emit_name berth_emit_scalar(struct emit *x, float value);
struct emit_name berth_emit_ints(struct emit *x, const char *label, const int64_t *values, size_t count);
struct emit_name berth_emit_weight(struct emit *x, const struct berth_tensor *tensor);
/* Several weights [out, in] or biases [out] side by side. */
struct emit_name berth_emit_weights(struct emit *x, const char *label, int kind,
                                    const struct berth_tensor *const *part, size_t parts);

/* An activation as uint8 numbers, with scale and zero point; made once for the products that share it. */
struct emit_quantized {
    struct emit_name numbers, scale, zero;
};
struct emit_quantized berth_emit_quantize(struct emit *x, const char *input);

/* Says what the next products' input ranges over: static quantisation alone asks. */
void berth_emit_set_range(struct emit *x, const struct berth_onnx_range *range);

/* True when the layer is not quantised: nothing is, or a quantised checkpoint keeps it finer. */
bool berth_emit_is_exact(const struct emit *x, const struct berth_linear *linear);

/* x . weight^T over [B, T, in], quantised when the options say so; several linear layers of one input may be
 * merged. With bias: linear. */
struct emit_name berth_emit_product(struct emit *x, const char *label, const char *input,
                                    const struct berth_linear *const *linear, size_t count);
struct emit_name berth_emit_linear(struct emit *x, const char *label, const char *input,
                                   const struct berth_linear *const *linear, size_t count);
struct emit_name berth_emit_norm(struct emit *x, const char *label, const char *input,
                                 const struct berth_norm *norm);
struct emit_name berth_emit_activation(struct emit *x, enum berth_activation act, const char *input,
                                       struct berth_onnx_shape shape);

/* --- emit_fused.c: the same in ONNX Runtime's own operators. */
struct emit_name berth_emit_fused_mask(struct emit *x);
struct emit_name berth_emit_fused_embedding(struct emit *x);
struct emit_name berth_emit_fused_layer(struct emit *x, const struct berth_layer *layer, const char *input,
                                        const char *mask);

#endif
