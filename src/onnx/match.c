/* match.c: constants, linear layers and LayerNorm in the forms that exporters give them. */
#include "onnx/match.h"

#include <math.h>
#include <string.h>

#include "base/error.h"

enum { CHAIN_MAX = 64 /* nodes that change nothing, one after another */ };

void berth_match_refuse(struct match *m, const char *value, const char *wanted)
{
    if (m->status != BERTH_OK)
        return;
    const Onnx__NodeProto *node = berth_onnx_find(m->file, berth_match_strip(m, value)).node;
    if (node)
        m->status = berth_fail(m->err, BERTH_UNSUPPORTED,
                               "%s: node '%s' (%s) does not fit: %s was expected here; only encoders with a "
                               "classifier can be read",
                               berth_onnx_name(m->file), node->name && node->name[0] ? node->name : value,
                               node->op_type, wanted);
    else
        m->status = berth_fail(
            m->err, BERTH_UNSUPPORTED,
            "%s: '%s' does not fit: %s was expected there; only encoders with a classifier can be read",
            berth_onnx_name(m->file), value, wanted);
}

void berth_match_keep(struct match *m, enum berth_status status)
{
    if (m->status == BERTH_OK)
        m->status = status;
}

/* --- nodes ---------------------------------------------------------------------------------------- */

static bool is_standard(const Onnx__NodeProto *node)
{
    return !node->domain || !node->domain[0] || strcmp(node->domain, "ai.onnx") == 0;
}

bool berth_match_is(const Onnx__NodeProto *node, const char *op)
{
    return node && is_standard(node) && strcmp(node->op_type, op) == 0;
}

bool berth_match_is_contrib(const Onnx__NodeProto *node, const char *op)
{
    return node && node->domain && strcmp(node->domain, "com.microsoft") == 0 &&
           strcmp(node->op_type, op) == 0;
}

const char *berth_match_input(const Onnx__NodeProto *node, size_t index)
{
    return index < node->n_input ? node->input[index] : "";
}

const Onnx__AttributeProto *berth_match_attribute(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (strcmp(node->attribute[i]->name, name) == 0)
            return node->attribute[i];
    return NULL;
}

int64_t berth_match_int(const Onnx__NodeProto *node, const char *name, int64_t absent)
{
    const Onnx__AttributeProto *attribute = berth_match_attribute(node, name);
    return attribute && attribute->has_i ? attribute->i : absent;
}

static bool is_float_type(int64_t type)
{
    return type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT || type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16 ||
           type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE || type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16;
}

const char *berth_match_strip(const struct match *m, const char *value)
{
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        struct berth_onnx_maker maker = berth_onnx_find(m->file, value);
        bool idle =
            berth_match_is(maker.node, "Identity") ||
            (berth_match_is(maker.node, "Dropout") && maker.output == 0) ||
            (berth_match_is(maker.node, "Cast") && is_float_type(berth_match_int(maker.node, "to", 0)));
        if (berth_match_is(
                maker.node,
                "DequantizeLinear")) { /* of QuantizeLinear: rounding, which berth does in its own way */
            const Onnx__NodeProto *rounded = berth_onnx_find(m->file, berth_match_input(maker.node, 0)).node;
            idle = berth_match_is(rounded, "QuantizeLinear");
            maker.node = idle ? rounded : maker.node;
        }
        if (!idle)
            break;
        value = berth_match_input(maker.node, 0);
    }
    return value;
}

struct berth_onnx_maker berth_match_maker(const struct match *m, const char *value)
{
    return berth_onnx_find(m->file, berth_match_strip(m, value));
}

/* --- constants ------------------------------------------------------------------------------------ */

bool berth_match_constant(struct match *m, const char *value, struct berth_tensor *tensor)
{
    struct berth_onnx_maker maker = berth_match_maker(m, value);
    const Onnx__TensorProto *proto = maker.tensor;
    if (berth_match_is(maker.node, "Constant")) {
        const Onnx__AttributeProto *attribute = berth_match_attribute(maker.node, "value");
        proto = attribute ? attribute->t : NULL;
    }
    if (!proto || m->status != BERTH_OK)
        return false;
    enum berth_status status = berth_onnx_tensor_of(m->file, proto, tensor, m->err);
    berth_match_keep(m, status);
    return status == BERTH_OK;
}

static double number_at(const struct berth_tensor *tensor, size_t index)
{
    float real;
    int64_t wide;
    int32_t middle;
    double exact;
    const unsigned char *at = (const unsigned char *)tensor->data + index * berth_dtype_size(tensor->dtype);
    switch (tensor->dtype) {
        case BERTH_DTYPE_I64:
            memcpy(&wide, at, sizeof wide);
            return (double)wide;
        case BERTH_DTYPE_I32:
            memcpy(&middle, at, sizeof middle);
            return middle;
        case BERTH_DTYPE_F64:
            memcpy(&exact, at, sizeof exact);
            return exact;
        case BERTH_DTYPE_I8:
            return (signed char)*at;
        case BERTH_DTYPE_U8:
        case BERTH_DTYPE_BOOL:
            return *at;
        case BERTH_DTYPE_F32:
        case BERTH_DTYPE_F16:
        case BERTH_DTYPE_BF16:
            berth_tensor_read_f32(tensor, index, 1, &real);
            return (double)real;
        default:
            return NAN;
    }
}

bool berth_match_scalar(struct match *m, const char *value, double *number)
{
    enum { ALIKE_MAX = 1 << 20 };
    struct berth_tensor tensor;
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Constant")) {
        const Onnx__AttributeProto *real = berth_match_attribute(node, "value_float"),
                                   *whole = berth_match_attribute(node, "value_int");
        if (real || whole) {
            *number = real ? (double)real->f : (double)whole->i;
            return true;
        }
    }
    if (!berth_match_constant(m, value, &tensor) || tensor.elements == 0 || tensor.elements > ALIKE_MAX)
        return false;
    *number = number_at(&tensor, 0);
    for (size_t i = 1; i < tensor.elements; i++)
        if (number_at(&tensor, i) != *number)
            return false;
    return true;
}

/* Integers that exporters who fold nothing leave as Unsqueeze, Cast and Concat of constants. */
static size_t collect_ints(struct match *m, const char *value, int64_t *numbers, size_t max, unsigned depth)
{
    struct berth_tensor tensor;
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Constant")) {
        const Onnx__AttributeProto *list = berth_match_attribute(node, "value_ints"),
                                   *one = berth_match_attribute(node, "value_int");
        size_t count = one ? 1 : list ? list->n_ints : 0;
        if (count > max)
            return 0;
        for (size_t i = 0; i < count; i++)
            numbers[i] = one ? one->i : list->ints[i];
        if (count > 0)
            return count;
    }
    if (depth > 0 && (berth_match_is(node, "Unsqueeze") || berth_match_is(node, "Squeeze") ||
                      berth_match_is(node, "Cast")))
        return collect_ints(m, berth_match_input(node, 0), numbers, max, depth - 1);
    if (depth > 0 && berth_match_is(node, "Concat")) {
        size_t used = 0;
        for (size_t i = 0; i < node->n_input; i++) {
            size_t more = collect_ints(m, node->input[i], numbers + used, max - used, depth - 1);
            if (more == 0)
                return 0;
            used += more;
        }
        return used;
    }
    if (!berth_match_constant(m, value, &tensor) || tensor.elements > max ||
        (tensor.dtype != BERTH_DTYPE_I64 && tensor.dtype != BERTH_DTYPE_I32))
        return 0;
    for (size_t i = 0; i < tensor.elements; i++)
        numbers[i] = (int64_t)number_at(&tensor, i);
    return tensor.elements;
}

size_t berth_match_ints(struct match *m, const char *value, int64_t *numbers, size_t max)
{
    return collect_ints(m, value, numbers, max, 4);
}

/* A weight: constant, or the transpose of one where nothing was folded. */
static bool match_matrix(struct match *m, const char *value, struct berth_tensor *tensor, bool *transposed)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    *transposed = false;
    if (berth_match_is(node, "Transpose")) {
        const Onnx__AttributeProto *perm = berth_match_attribute(node, "perm");
        *transposed = !perm || (perm->n_ints == 2 && perm->ints[0] == 1 && perm->ints[1] == 0);
        if (!*transposed)
            return false;
        value = berth_match_input(node, 0);
    }
    return berth_match_constant(m, value, tensor) && tensor->rank == 2;
}

/* A weight, or one that DequantizeLinear makes of int8 numbers with a scale a column. */
static bool match_weight(struct match *m, const char *value, struct match_linear *out)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (!berth_match_is(node, "DequantizeLinear"))
        return match_matrix(m, value, &out->weight, &out->by_rows);
    if (!match_matrix(m, berth_match_input(node, 0), &out->weight, &out->by_rows) ||
        !berth_match_constant(m, berth_match_input(node, 1), &out->scale) ||
        (berth_match_input(node, 2)[0] && !berth_match_constant(m, berth_match_input(node, 2), &out->zero)))
        return false;
    int64_t axis = berth_match_int(node, "axis", 1);
    return out->scale.elements == 1 || (!out->by_rows && (axis == 1 || axis == -1));
}

/* --- linear layers -------------------------------------------------------------------------------- */

/* Inputs of a node of two, in either order. */
static const char *other_of(const Onnx__NodeProto *node, size_t index)
{
    return berth_match_input(node, 1 - index);
}

/* x through DynamicQuantizeLinear: x, when `value` is output `output` of it. */
static const char *match_quantizer(const struct match *m, const char *value, size_t output)
{
    struct berth_onnx_maker maker = berth_match_maker(m, value);
    return berth_match_is(maker.node, "DynamicQuantizeLinear") && maker.output == output
               ? berth_match_input(maker.node, 0)
               : NULL;
}

/* Mul(Cast(MatMulInteger(q(x), W, zero of x [, zero of W])), Mul(scale of x, scale of W)). */
static bool match_integer_product(struct match *m, const Onnx__NodeProto *node, struct match_linear *out)
{
    for (size_t i = 0; i < 2; i++) {
        const Onnx__NodeProto *product = berth_match_maker(m, berth_match_input(node, i)).node;
        const Onnx__NodeProto *scales = berth_match_maker(m, other_of(node, i)).node;
        if (!berth_match_is(product, "MatMulInteger") || !berth_match_is(scales, "Mul"))
            continue;
        const char *x = match_quantizer(m, berth_match_input(product, 0), 0);
        const char *zero = match_quantizer(m, berth_match_input(product, 2), 2);
        size_t side = match_quantizer(m, berth_match_input(scales, 0), 1) ? 0 : 1;
        const char *scale = match_quantizer(m, berth_match_input(scales, side), 1);
        *out = (struct match_linear){.input = x};
        if (!x || !zero || !scale || strcmp(x, zero) != 0 || strcmp(x, scale) != 0 ||
            !match_matrix(m, berth_match_input(product, 1), &out->weight, &out->by_rows) ||
            !berth_match_constant(m, other_of(scales, side), &out->scale))
            return false;
        if (berth_match_input(product, 3)[0] &&
            !berth_match_constant(m, berth_match_input(product, 3), &out->zero))
            return false;
        out->out = out->weight.shape[out->by_rows ? 0 : 1];
        return true;
    }
    return false;
}

bool berth_match_product(struct match *m, const char *value, struct match_linear *out)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Mul"))
        return match_integer_product(m, node, out);
    *out = (struct match_linear){.input = node ? berth_match_input(node, 0) : NULL};
    if (!berth_match_is(node, "MatMul") || !match_weight(m, berth_match_input(node, 1), out))
        return false;
    out->out = out->weight.shape[out->by_rows ? 0 : 1];
    return true;
}

static double float_attribute(const Onnx__NodeProto *node, const char *name, double absent)
{
    const Onnx__AttributeProto *attribute = berth_match_attribute(node, name);
    return attribute && attribute->has_f ? (double)attribute->f : absent;
}

static bool match_gemm(struct match *m, const Onnx__NodeProto *node, struct match_linear *out)
{
    bool transposed;
    *out = (struct match_linear){.input = berth_match_input(node, 0)};
    if (float_attribute(node, "alpha", 1) != 1 || float_attribute(node, "beta", 1) != 1 ||
        berth_match_int(node, "transA", 0) != 0 ||
        !match_matrix(m, berth_match_input(node, 1), &out->weight, &transposed) ||
        !berth_match_constant(m, berth_match_input(node, 2), &out->bias))
        return false;
    out->by_rows = transposed != (berth_match_int(node, "transB", 0) != 0);
    out->out = out->weight.shape[out->by_rows ? 0 : 1];
    return out->bias.rank == 1;
}

bool berth_match_linear(struct match *m, const char *value, struct match_linear *out)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    struct berth_tensor bias;
    if (berth_match_is(node, "Gemm"))
        return match_gemm(m, node, out);
    if (!berth_match_is(node, "Add"))
        return false;
    for (size_t i = 0; i < 2; i++)
        if (berth_match_product(m, berth_match_input(node, i), out) &&
            berth_match_constant(m, other_of(node, i), &bias) && bias.rank == 1) {
            out->bias = bias;
            return true;
        }
    return false;
}

/* --- LayerNorm ------------------------------------------------------------------------------------ */

static bool check_epsilon(struct match *m, const char *value, double eps)
{
    double wanted = m->config->layer_norm_eps;
    if (fabs(eps - wanted) <= 1e-3 * wanted)
        return true;
    if (m->status == BERTH_OK)
        m->status =
            berth_fail(m->err, BERTH_FORMAT,
                       "%s: the LayerNorm of '%s' has epsilon %.3g, config.json has layer_norm_eps %.3g",
                       berth_onnx_name(m->file), value, eps, wanted);
    return false;
}

/* The mean over the last axis of what? NULL: it is no such mean. */
static const char *match_mean(struct match *m, const char *value)
{
    int64_t axis = 0;
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (!berth_match_is(node, "ReduceMean") || berth_match_int(node, "keepdims", 1) != 1)
        return NULL;
    const Onnx__AttributeProto *axes = berth_match_attribute(node, "axes");
    if (axes && axes->n_ints == 1)
        axis = axes->ints[0];
    else if (!axes && berth_match_ints(m, berth_match_input(node, 1), &axis, 1) != 1)
        return NULL;
    return axis == -1 || axis == 2 ? berth_match_strip(m, berth_match_input(node, 0)) : NULL;
}

/* x of Sub(x, mean of x). */
static const char *match_centred(struct match *m, const char *value)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (!berth_match_is(node, "Sub"))
        return NULL;
    const char *x = berth_match_strip(m, berth_match_input(node, 0)),
               *mean = match_mean(m, berth_match_input(node, 1));
    return mean && strcmp(x, mean) == 0 ? x : NULL;
}

/* x of the squared distance from the mean of x. */
static const char *match_square(struct match *m, const char *value)
{
    double power;
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Pow") && berth_match_scalar(m, berth_match_input(node, 1), &power) &&
        power == 2)
        return match_centred(m, berth_match_input(node, 0));
    if (berth_match_is(node, "Mul") && strcmp(berth_match_strip(m, berth_match_input(node, 0)),
                                              berth_match_strip(m, berth_match_input(node, 1))) == 0)
        return match_centred(m, berth_match_input(node, 0));
    return NULL;
}

/* (x - mean) / sqrt(variance + eps). */
static const char *match_normal(struct match *m, const char *value, double *eps)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (!berth_match_is(node, "Div"))
        return NULL;
    const char *x = match_centred(m, berth_match_input(node, 0));
    const Onnx__NodeProto *root = berth_match_maker(m, berth_match_input(node, 1)).node;
    const Onnx__NodeProto *sum =
        x && berth_match_is(root, "Sqrt") ? berth_match_maker(m, berth_match_input(root, 0)).node : NULL;
    if (!berth_match_is(sum, "Add"))
        return NULL;
    for (size_t i = 0; i < 2; i++) {
        const char *squares = match_mean(m, berth_match_input(sum, i));
        const char *same = squares ? match_square(m, squares) : NULL;
        if (same && strcmp(same, x) == 0 && berth_match_scalar(m, other_of(sum, i), eps))
            return x;
    }
    return NULL;
}

static bool match_fused_norm(struct match *m, const char *value, const Onnx__NodeProto *node,
                             struct match_norm *out)
{
    bool skip = berth_match_is_contrib(node, "SkipLayerNormalization");
    int64_t axis = berth_match_int(node, "axis", -1);
    if (!skip && (!berth_match_is(node, "LayerNormalization") || (axis != -1 && axis != 2)))
        return false;
    *out = (struct match_norm){.input = skip ? NULL : berth_match_input(node, 0)};
    if (skip) {
        out->a = berth_match_input(node, 0);
        out->b = berth_match_input(node, 1);
        if (berth_match_input(node, 4)[0] && !berth_match_constant(m, berth_match_input(node, 4), &out->bias))
            return false;
    }
    size_t first = skip ? 2 : 1;
    return berth_match_constant(m, berth_match_input(node, first), &out->gamma) &&
           berth_match_constant(m, berth_match_input(node, first + 1), &out->beta) &&
           check_epsilon(m, value, float_attribute(node, "epsilon", skip ? 1e-12 : 1e-5));
}

bool berth_match_norm(struct match *m, const char *value, struct match_norm *out)
{
    double eps;
    struct berth_onnx_maker maker = berth_match_maker(m, value);
    if (maker.node && maker.output == 0 && match_fused_norm(m, value, maker.node, out))
        return true;
    if (!berth_match_is(maker.node, "Add"))
        return false;
    *out = (struct match_norm){.input = NULL};
    for (size_t i = 0; i < 2; i++) {
        const Onnx__NodeProto *scaled = berth_match_maker(m, berth_match_input(maker.node, i)).node;
        if (!berth_match_is(scaled, "Mul") || !berth_match_constant(m, other_of(maker.node, i), &out->beta))
            continue;
        for (size_t k = 0; k < 2; k++) {
            out->input = match_normal(m, berth_match_input(scaled, k), &eps);
            if (out->input && berth_match_constant(m, other_of(scaled, k), &out->gamma))
                return check_epsilon(m, value, eps);
        }
    }
    return false;
}
