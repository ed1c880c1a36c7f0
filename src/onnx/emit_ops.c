/* emit_ops.c: the operations of an encoder as ONNX nodes: linear layers, LayerNorm, activations. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "onnx/emit.h"

static const double sqrt_2_over_pi = 0.79788456080286535588;

struct berth_onnx_shape berth_emit_tokens(enum berth_onnx_type type)
{
    return (struct berth_onnx_shape){type, 2, {BERTH_ONNX_BATCH, BERTH_ONNX_SEQUENCE}};
}

struct berth_onnx_shape berth_emit_rows(size_t n)
{
    return (struct berth_onnx_shape){BERTH_ONNX_F32, 3, {BERTH_ONNX_BATCH, BERTH_ONNX_SEQUENCE, (int64_t)n}};
}

static struct emit_name scoped(const struct emit *x, const char *label)
{
    struct emit_name name;
    snprintf(name.text, sizeof name.text, "%s/%s", x->scope, label);
    return name;
}

struct emit_name berth_emit_node(struct emit *x, const char *op, const char *domain, const char *label,
                                 const char *const *inputs, const struct berth_onnx_attribute *attributes,
                                 size_t attribute_count, const struct berth_onnx_shape *shape)
{
    struct emit_name out = scoped(x, label);
    berth_onnx_node(x->writer, op, domain, inputs, (const char *const[]){out.text, NULL}, attributes,
                    attribute_count);
    if (shape)
        berth_onnx_value(x->writer, BERTH_ONNX_BETWEEN, out.text, *shape);
    return out;
}

struct emit_name berth_emit_simple(struct emit *x, const char *op, const char *label, const char *a,
                                   const char *b, struct berth_onnx_shape shape)
{
    return berth_emit_node(x, op, NULL, label, (const char *const[]){a, b, NULL}, NULL, 0, &shape);
}

/* --- constants and weights ------------------------------------------------------------------------ */

struct emit_name berth_emit_scalar(struct emit *x, float value)
{
    struct emit_name name;
    snprintf(name.text, sizeof name.text, "constant/%.9g", (double)value);
    berth_onnx_constant(x->writer, name.text, (struct berth_onnx_shape){.type = BERTH_ONNX_F32}, &value);
    return name;
}

struct emit_name berth_emit_ints(struct emit *x, const char *label, const int64_t *values, size_t count)
{
    struct emit_name name;
    snprintf(name.text, sizeof name.text, "constant/%s", label);
    berth_onnx_constant(x->writer, name.text, (struct berth_onnx_shape){BERTH_ONNX_I64, 1, {(int64_t)count}},
                        values);
    return name;
}

static struct emit_item *new_item(struct emit *x, int kind, const struct berth_tensor *const *part,
                                  size_t parts)
{
    struct emit_item *item = &x->items[x->item_count++]; /* items_max counts every weight several times */
    *item = (struct emit_item){.kind = kind, .parts = parts};
    for (size_t i = 0; i < parts; i++)
        item->part[i] = part[i];
    return item;
}

struct emit_name berth_emit_weight(struct emit *x, const struct berth_tensor *tensor)
{
    struct emit_name name;
    struct berth_onnx_shape shape = {.type = BERTH_ONNX_F32, .rank = tensor->rank};
    for (size_t i = 0; i < tensor->rank; i++)
        shape.dims[i] = (int64_t)tensor->shape[i];
    snprintf(name.text, sizeof name.text, "%s", tensor->name);
    berth_onnx_tensor(x->writer, name.text, shape, new_item(x, EMIT_AS_IS, &tensor, 1));
    return name;
}

struct emit_name berth_emit_weights(struct emit *x, const char *label, int kind,
                                    const struct berth_tensor *const *part, size_t parts)
{
    struct emit_name name = scoped(x, label);
    int64_t out = 0, in = part[0]->rank > 1 ? (int64_t)part[0]->shape[1] : 0;
    for (size_t i = 0; i < parts; i++)
        out += (int64_t)part[i]->shape[0];
    struct berth_onnx_shape shape = {BERTH_ONNX_F32, 2, {in, out}};
    if (kind == EMIT_QUANTIZED)
        shape.type = BERTH_ONNX_I8;
    if (kind == EMIT_ZEROS)
        shape = (struct berth_onnx_shape){BERTH_ONNX_I8, 1, {out}};
    else if (kind == EMIT_SCALES || part[0]->rank == 1)
        shape = (struct berth_onnx_shape){BERTH_ONNX_F32, 1, {out}};
    berth_onnx_tensor(x->writer, name.text, shape, new_item(x, kind, part, parts));
    return name;
}

/* --- linear layers -------------------------------------------------------------------------------- */

static struct emit_quantized quantized_names(const char *input)
{
    struct emit_quantized out;
    snprintf(out.numbers.text, sizeof out.numbers.text, "%s/quantized", input);
    snprintf(out.scale.text, sizeof out.scale.text, "%s/scale", input);
    snprintf(out.zero.text, sizeof out.zero.text, "%s/zero", input);
    return out;
}

struct emit_quantized berth_emit_quantize(struct emit *x, const char *input)
{
    struct emit_quantized out = quantized_names(input);
    if (strcmp(x->quantized.text, input) != 0)
        berth_onnx_node(x->writer, "DynamicQuantizeLinear", NULL, EMIT_INPUTS(input),
                        EMIT_INPUTS(out.numbers.text, out.scale.text, out.zero.text), NULL, 0);
    snprintf(x->quantized.text, sizeof x->quantized.text, "%s", input);
    return out;
}

/* "LABEL/PART" of a linear layer: with a scope before it, still a name. */
struct label {
    char text[EMIT_NAME_SIZE - sizeof((struct emit *)NULL)->scope - 1];
};

static struct label sub_label(const char *label, const char *part)
{
    struct label name;
    snprintf(name.text, sizeof name.text, "%s/%s", label, part);
    return name;
}

static struct emit_name multiply_quantized(struct emit *x, const char *label, const char *input,
                                           const struct berth_tensor *const *weight, size_t count,
                                           struct berth_onnx_shape shape)
{
    struct berth_onnx_shape integers = shape, columns = {BERTH_ONNX_F32, 1, {shape.dims[2]}};
    const struct berth_onnx_attribute to[] = {EMIT_INT("to", BERTH_ONNX_F32)};
    integers.type = BERTH_ONNX_I32;
    struct emit_quantized from = berth_emit_quantize(x, input);
    struct emit_name numbers =
        berth_emit_weights(x, sub_label(label, "weight").text, EMIT_QUANTIZED, weight, count);
    struct emit_name scales =
        berth_emit_weights(x, sub_label(label, "weight_scale").text, EMIT_SCALES, weight, count);
    struct emit_name sum =
        berth_emit_node(x, "MatMulInteger", NULL, sub_label(label, "MatMulInteger").text,
                        EMIT_INPUTS(from.numbers.text, numbers.text, from.zero.text), NULL, 0, &integers);
    struct emit_name real =
        berth_emit_node(x, "Cast", NULL, sub_label(label, "Cast").text, EMIT_INPUTS(sum.text), to, 1, &shape);
    struct emit_name scale =
        berth_emit_simple(x, "Mul", sub_label(label, "scale").text, from.scale.text, scales.text, columns);
    return berth_emit_simple(x, "Mul", sub_label(label, "Mul").text, real.text, scale.text, shape);
}

void berth_emit_set_range(struct emit *x, const struct berth_onnx_range *range)
{
    x->range = range;
}

/* An activation quantised with the scale of its range and at once widened again, for runtimes to move the
 * widening behind the product. */
static struct emit_name round_input(struct emit *x, const char *input, struct berth_onnx_shape shape)
{
    struct emit_quantized names = quantized_names(input);
    struct emit_name out;
    float scale = (x->range->high - x->range->low) / UINT8_MAX;
    if (!(scale > 0))
        scale = 1;
    unsigned char zero = (unsigned char)lrintf(fminf(fmaxf(-x->range->low / scale, 0), UINT8_MAX));
    snprintf(out.text, sizeof out.text, "%s/rounded", input);
    if (strcmp(x->quantized.text, input) == 0)
        return out;
    snprintf(x->quantized.text, sizeof x->quantized.text, "%s", input);
    berth_onnx_constant(x->writer, names.scale.text, (struct berth_onnx_shape){.type = BERTH_ONNX_F32},
                        &scale);
    berth_onnx_constant(x->writer, names.zero.text, (struct berth_onnx_shape){.type = BERTH_ONNX_U8}, &zero);
    berth_onnx_node(x->writer, "QuantizeLinear", NULL, EMIT_INPUTS(input, names.scale.text, names.zero.text),
                    EMIT_INPUTS(names.numbers.text), NULL, 0);
    berth_onnx_node(x->writer, "DequantizeLinear", NULL,
                    EMIT_INPUTS(names.numbers.text, names.scale.text, names.zero.text), EMIT_INPUTS(out.text),
                    NULL, 0);
    berth_onnx_value(x->writer, BERTH_ONNX_BETWEEN, out.text, shape);
    return out;
}

/* The QDQ form: both sides of the product as rounded float32. */
static struct emit_name multiply_rounded(struct emit *x, const char *label, const char *input,
                                         const struct berth_tensor *const *weight, size_t count,
                                         struct berth_onnx_shape shape)
{
    const struct berth_onnx_attribute axis[] = {EMIT_INT("axis", 1)};
    struct berth_onnx_shape matrix = {BERTH_ONNX_F32, 2, {(int64_t)weight[0]->shape[1], shape.dims[2]}};
    struct emit_name from = round_input(x, input, berth_emit_rows(weight[0]->shape[1]));
    struct emit_name numbers =
        berth_emit_weights(x, sub_label(label, "weight").text, EMIT_QUANTIZED, weight, count);
    struct emit_name scales =
        berth_emit_weights(x, sub_label(label, "weight_scale").text, EMIT_SCALES, weight, count);
    struct emit_name zeros =
        berth_emit_weights(x, sub_label(label, "weight_zero").text, EMIT_ZEROS, weight, count);
    struct emit_name rounded =
        berth_emit_node(x, "DequantizeLinear", NULL, sub_label(label, "DequantizeLinear").text,
                        EMIT_INPUTS(numbers.text, scales.text, zeros.text), axis, 1, &matrix);
    return berth_emit_simple(x, "MatMul", sub_label(label, "MatMul").text, from.text, rounded.text, shape);
}

bool berth_emit_is_exact(const struct emit *x, const struct berth_linear *linear)
{
    return x->options->quantization == BERTH_ONNX_UNQUANTIZED || linear->keep == BERTH_STORED_BF16 ||
           linear->keep == BERTH_STORED_FP32;
}

struct emit_name berth_emit_product(struct emit *x, const char *label, const char *input,
                                    const struct berth_linear *const *linear, size_t count)
{
    const struct berth_tensor *weight[EMIT_PARTS_MAX];
    size_t out = 0;
    for (size_t i = 0; i < count; i++) {
        weight[i] = &linear[i]->weight;
        out += linear[i]->bias.elements;
    }
    struct berth_onnx_shape shape = berth_emit_rows(out);
    const bool exact = berth_emit_is_exact(x, linear[0]);
    if (!exact && x->options->quantization == BERTH_ONNX_DYNAMIC)
        return multiply_quantized(x, label, input, weight, count, shape);
    if (!exact)
        return multiply_rounded(x, label, input, weight, count, shape);
    struct emit_name numbers =
        berth_emit_weights(x, sub_label(label, "weight").text, EMIT_TRANSPOSED, weight, count);
    return berth_emit_simple(x, "MatMul", sub_label(label, "MatMul").text, input, numbers.text, shape);
}

struct emit_name berth_emit_linear(struct emit *x, const char *label, const char *input,
                                   const struct berth_linear *const *linear, size_t count)
{
    const struct berth_tensor *bias[EMIT_PARTS_MAX];
    size_t out = 0;
    for (size_t i = 0; i < count; i++) {
        bias[i] = &linear[i]->bias;
        out += bias[i]->elements;
    }
    struct emit_name product = berth_emit_product(x, label, input, linear, count);
    struct emit_name add =
        count == 1 ? berth_emit_weight(x, bias[0])
                   : berth_emit_weights(x, sub_label(label, "bias").text, EMIT_AS_IS, bias, count);
    return berth_emit_simple(x, "Add", sub_label(label, "Add").text, product.text, add.text,
                             berth_emit_rows(out));
}

/* --- LayerNorm ------------------------------------------------------------------------------------ */

/* The mean over the last axis: since opset 18 the axes are an input. */
static struct emit_name reduce_mean(struct emit *x, const char *label, const char *input)
{
    static const int64_t last[] = {-1};
    struct berth_onnx_shape shape = berth_emit_rows(1);
    if (x->options->opset >= 18) {
        struct emit_name axes = berth_emit_ints(x, "last_axis", last, 1);
        return berth_emit_simple(x, "ReduceMean", label, input, axes.text, shape);
    }
    const struct berth_onnx_attribute axes[] = {EMIT_INTS("axes", last, 1)};
    return berth_emit_node(x, "ReduceMean", NULL, label, EMIT_INPUTS(input), axes, 1, &shape);
}

struct emit_name berth_emit_norm(struct emit *x, const char *label, const char *input,
                                 const struct berth_norm *norm)
{
    char outer[sizeof x->scope];
    float eps = (float)x->encoder->config.layer_norm_eps;
    struct berth_onnx_shape shape = berth_emit_rows(norm->gamma.elements), one = berth_emit_rows(1);
    struct emit_name gamma = berth_emit_weight(x, &norm->gamma), beta = berth_emit_weight(x, &norm->beta),
                     out;
    memcpy(outer, x->scope, sizeof outer);
    snprintf(x->scope + strlen(outer), sizeof outer - strlen(outer), "/%s", label);
    if (x->options->optimize && x->options->opset >= 17) {
        const struct berth_onnx_attribute attributes[] = {EMIT_INT("axis", -1), EMIT_FLOAT("epsilon", eps)};
        out = berth_emit_node(x, "LayerNormalization", NULL, "LayerNormalization",
                              EMIT_INPUTS(input, gamma.text, beta.text), attributes, 2, &shape);
    } else {
        struct emit_name mean = reduce_mean(x, "ReduceMean", input);
        struct emit_name centred = berth_emit_simple(x, "Sub", "Sub", input, mean.text, shape);
        struct emit_name square =
            berth_emit_simple(x, "Pow", "Pow", centred.text, berth_emit_scalar(x, 2).text, shape);
        struct emit_name variance = reduce_mean(x, "ReduceMean_1", square.text);
        struct emit_name safe =
            berth_emit_simple(x, "Add", "Add", variance.text, berth_emit_scalar(x, eps).text, one);
        struct emit_name deviation = berth_emit_simple(x, "Sqrt", "Sqrt", safe.text, NULL, one);
        struct emit_name normal = berth_emit_simple(x, "Div", "Div", centred.text, deviation.text, shape);
        struct emit_name scaled = berth_emit_simple(x, "Mul", "Mul", normal.text, gamma.text, shape);
        out = berth_emit_simple(x, "Add", "Add_1", scaled.text, beta.text, shape);
    }
    memcpy(x->scope, outer, sizeof outer);
    return out;
}

/* --- activations ---------------------------------------------------------------------------------- */

static struct emit_name with_scalar(struct emit *x, const char *op, const char *label, const char *input,
                                    double value, struct berth_onnx_shape shape)
{
    struct emit_name scalar = berth_emit_scalar(x, (float)value);
    return berth_emit_simple(x, op, label, input, scalar.text, shape);
}

/* x * (1 + erf(x / sqrt 2)) / 2 */
static struct emit_name emit_gelu_erf(struct emit *x, const char *input, struct berth_onnx_shape shape)
{
    struct emit_name t = with_scalar(x, "Div", "gelu/Div", input, M_SQRT2, shape);
    t = berth_emit_simple(x, "Erf", "gelu/Erf", t.text, NULL, shape);
    t = with_scalar(x, "Add", "gelu/Add", t.text, 1, shape);
    t = berth_emit_simple(x, "Mul", "gelu/Mul", input, t.text, shape);
    return with_scalar(x, "Mul", "gelu/Mul_1", t.text, 0.5, shape);
}

/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
static struct emit_name emit_gelu_tanh(struct emit *x, const char *input, struct berth_onnx_shape shape)
{
    struct emit_name half = with_scalar(x, "Mul", "gelu/Mul", input, 0.5, shape);
    struct emit_name t = with_scalar(x, "Pow", "gelu/Pow", input, 3, shape);
    t = with_scalar(x, "Mul", "gelu/Mul_1", t.text, 0.044715, shape);
    t = berth_emit_simple(x, "Add", "gelu/Add", input, t.text, shape);
    t = with_scalar(x, "Mul", "gelu/Mul_2", t.text, sqrt_2_over_pi, shape);
    t = berth_emit_simple(x, "Tanh", "gelu/Tanh", t.text, NULL, shape);
    t = with_scalar(x, "Add", "gelu/Add_1", t.text, 1, shape);
    return berth_emit_simple(x, "Mul", "gelu/Mul_3", half.text, t.text, shape);
}

struct emit_name berth_emit_activation(struct emit *x, enum berth_activation act, const char *input,
                                       struct berth_onnx_shape shape)
{
    struct emit_name same;
    switch (act) {
        case BERTH_ACT_GELU_ERF:
            if (x->options->optimize && x->options->opset >= 20)
                return berth_emit_simple(x, "Gelu", "Gelu", input, NULL, shape);
            return emit_gelu_erf(x, input, shape);
        case BERTH_ACT_GELU_TANH:
            return emit_gelu_tanh(x, input, shape);
        case BERTH_ACT_RELU:
            return berth_emit_simple(x, "Relu", "Relu", input, NULL, shape);
        case BERTH_ACT_TANH:
            return berth_emit_simple(x, "Tanh", "Tanh", input, NULL, shape);
        case BERTH_ACT_SILU:
            same = berth_emit_simple(x, "Sigmoid", "silu/Sigmoid", input, NULL, shape);
            return berth_emit_simple(x, "Mul", "silu/Mul", input, same.text, shape);
        default:
            snprintf(same.text, sizeof same.text, "%s", input);
            return same;
    }
}
