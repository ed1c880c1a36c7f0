/* match_eval.c: what part of a graph computes, found by computing it: scalar arithmetic on one variable at a
 * few points. */
#include <math.h>
#include <string.h>

#include "onnx/match.h"

enum { BUDGET = 4096, DEPTH_MAX = 48 };

static const double sqrt_2_over_pi = 0.79788456080286535588;

static double gelu_erf(double x)
{
    return 0.5 * x * (1 + erf(x / M_SQRT2));
}

static double gelu_tanh(double x)
{
    return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
}

static double relu(double x)
{
    return x > 0 ? x : 0;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double silu(double x)
{
    return x * sigmoid(x);
}

static double negate(double x)
{
    return -x;
}

static double not(double x)
{
    return x == 0;
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double identity(double x)
{
    return x;
}

static double add(double a, double b)
{
    return a + b;
}

static double subtract(double a, double b)
{
    return a - b;
}

static double multiply(double a, double b)
{
    return a * b;
}

static double divide(double a, double b)
{
    return a / b;
}

static double equal(double a, double b)
{
    return a == b;
}

static double greater(double a, double b)
{
    return a > b;
}

static double less(double a, double b)
{
    return a < b;
}

/* Operators of one value; those that only move or repeat values keep it. */
static const struct {
    const char *op;
    double (*compute)(double);
} unary[] = {
    {"Erf", erf},
    {"Tanh", tanh},
    {"Sigmoid", sigmoid},
    {"Relu", relu},
    {"Sqrt", sqrt},
    {"Exp", exp},
    {"Neg", negate},
    {"Not", not },
    {"Abs", fabs},
    {"Unsqueeze", identity},
    {"Squeeze", identity},
    {"Reshape", identity},
    {"Expand", identity},
    {"Slice", identity},
    {"Identity", identity},
    {"Dropout", identity},
    {"Reciprocal", reciprocal},
};

static const struct {
    const char *op;
    double (*compute)(double, double);
} binary[] = {{"Add", add}, {"Sub", subtract}, {"Mul", multiply},    {"Div", divide},
              {"Pow", pow}, {"Equal", equal},  {"Greater", greater}, {"Less", less}};

static bool evaluate(struct match *m, const char *value, unsigned depth, double *result);

static bool evaluate_cast(struct match *m, const Onnx__NodeProto *node, unsigned depth, double *result)
{
    if (!evaluate(m, berth_match_input(node, 0), depth, result))
        return false;
    int64_t to = berth_match_int(node, "to", 0);
    if (to == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        *result = *result != 0;
    else if (to == ONNX__TENSOR_PROTO__DATA_TYPE__INT32 || to == ONNX__TENSOR_PROTO__DATA_TYPE__INT64)
        *result = trunc(*result);
    return true;
}

static bool evaluate_where(struct match *m, const Onnx__NodeProto *node, unsigned depth, double *result)
{
    double condition;
    return evaluate(m, berth_match_input(node, 0), depth, &condition) &&
           evaluate(m, berth_match_input(node, condition != 0 ? 1 : 2), depth, result);
}

/* A tensor of one repeated number, whatever its shape. */
static bool evaluate_filled(struct match *m, const Onnx__NodeProto *node, double *result)
{
    struct berth_tensor tensor;
    const Onnx__AttributeProto *value = berth_match_attribute(node, "value");
    *result = 0;
    if (!value)
        return true;
    if (!value->t || berth_onnx_tensor_of(m->file, value->t, &tensor, NULL) != BERTH_OK ||
        tensor.elements != 1)
        return false;
    if (tensor.dtype == BERTH_DTYPE_I64) {
        int64_t whole;
        memcpy(&whole, tensor.data, sizeof whole);
        *result = (double)whole;
        return true;
    }
    float real = 0;
    if (!berth_dtype_is_float(tensor.dtype))
        return false;
    berth_tensor_read_f32(&tensor, 0, 1, &real);
    *result = (double)real;
    return true;
}

/* The size of a head, where it is read off a shape: Shape, then the last length by Slice or Gather. Only
 * attention asks for such. */
static bool evaluate_size(struct match *m, const Onnx__NodeProto *node, double *result)
{
    int64_t index;
    if (!berth_match_is(node, "Slice") && !berth_match_is(node, "Gather"))
        return false;
    if (!berth_match_is(berth_match_maker(m, berth_match_input(node, 0)).node, "Shape") ||
        berth_match_ints(m, berth_match_input(node, 1), &index, 1) != 1 || (index != -1 && index != 3))
        return false;
    *result = (double)(m->config->hidden_size / m->config->heads);
    return true;
}

static bool evaluate_node(struct match *m, const Onnx__NodeProto *node, unsigned depth, double *result)
{
    double a, b;
    if (evaluate_size(m, node, result))
        return true;
    for (size_t i = 0; i < sizeof unary / sizeof *unary; i++)
        if (berth_match_is(node, unary[i].op)) {
            if (!evaluate(m, berth_match_input(node, 0), depth, &a))
                return false;
            *result = unary[i].compute(a);
            return true;
        }
    for (size_t i = 0; i < sizeof binary / sizeof *binary; i++)
        if (berth_match_is(node, binary[i].op)) {
            if (!evaluate(m, berth_match_input(node, 0), depth, &a) ||
                !evaluate(m, berth_match_input(node, 1), depth, &b))
                return false;
            *result = binary[i].compute(a, b);
            return true;
        }
    if (berth_match_is(node, "Cast"))
        return evaluate_cast(m, node, depth, result);
    if (berth_match_is(node, "Where"))
        return evaluate_where(m, node, depth, result);
    if (berth_match_is(node, "ConstantOfShape"))
        return evaluate_filled(m, node, result);
    if ((berth_match_is(node, "Gelu") || berth_match_is_contrib(node, "Gelu") ||
         berth_match_is_contrib(node, "FastGelu")) &&
        !berth_match_input(node, 1)[0]) {
        const Onnx__AttributeProto *how = berth_match_attribute(node, "approximate");
        bool rough = berth_match_is_contrib(node, "FastGelu") ||
                     (how && how->s.len == 4 && memcmp(how->s.data, "tanh", 4) == 0);
        if (!evaluate(m, berth_match_input(node, 0), depth, &a))
            return false;
        *result = rough ? gelu_tanh(a) : gelu_erf(a);
        return true;
    }
    return false;
}

static bool evaluate(struct match *m, const char *value, unsigned depth, double *result)
{
    if (m->budget == 0 || depth > DEPTH_MAX)
        return false;
    m->budget--;
    if (strcmp(value, m->subject) == 0) {
        *result = m->sample;
        return true;
    }
    struct berth_onnx_maker maker = berth_onnx_find(m->file, value);
    if (maker.tensor || berth_match_is(maker.node, "Constant"))
        return berth_match_scalar(m, value, result);
    return maker.node && maker.output == 0 && evaluate_node(m, maker.node, depth + 1, result);
}

bool berth_match_evaluate(struct match *m, const char *value, const char *subject, double sample,
                          double *result)
{
    m->budget = BUDGET;
    m->subject = subject;
    m->sample = sample;
    return evaluate(m, value, 0, result);
}

/* --- activations ---------------------------------------------------------------------------------- */

static const struct {
    enum berth_activation act;
    double (*compute)(double);
} activations[] = {
    {BERTH_ACT_GELU_ERF, gelu_erf}, {BERTH_ACT_GELU_TANH, gelu_tanh}, {BERTH_ACT_RELU, relu},
    {BERTH_ACT_SILU, silu},         {BERTH_ACT_TANH, tanh},
};

/* The first linear layer behind a value, walking back through arithmetic on one variable. */
static const char *find_linear(struct match *m, const char *value, unsigned depth,
                               struct match_linear *linear)
{
    if (m->budget == 0 || depth > DEPTH_MAX)
        return NULL;
    m->budget--;
    value = berth_match_strip(m, value);
    if (berth_match_linear(m, value, linear))
        return value;
    const Onnx__NodeProto *node = berth_onnx_find(m->file, value).node;
    for (size_t i = 0; node && !berth_match_is(node, "Constant") && i < node->n_input && i < 2; i++) {
        const char *found = find_linear(m, node->input[i], depth + 1, linear);
        if (found)
            return found;
    }
    return NULL;
}

/* BiasGelu and FastGelu take the product and the bias apart. */
static bool match_bias_activation(struct match *m, const Onnx__NodeProto *node, enum berth_activation *act,
                                  struct match_linear *linear)
{
    bool exact = berth_match_is_contrib(node, "BiasGelu"), rough = berth_match_is_contrib(node, "FastGelu");
    if ((!exact && !rough) || !berth_match_input(node, 1)[0])
        return false;
    *act = exact ? BERTH_ACT_GELU_ERF : BERTH_ACT_GELU_TANH;
    return berth_match_product(m, berth_match_input(node, 0), linear) &&
           berth_match_constant(m, berth_match_input(node, 1), &linear->bias);
}

bool berth_match_activation(struct match *m, const char *value, enum berth_activation *act,
                            struct match_linear *linear)
{
    /* Float32 constants are exact to 1e-7; the two kinds of gelu differ by 3e-4 somewhere in this range. */
    static const double reach = 6, step = 0.25, tolerance = 2e-5;
    value = berth_match_strip(m, value);
    const Onnx__NodeProto *node = berth_onnx_find(m->file, value).node;
    if (node && match_bias_activation(m, node, act, linear))
        return true;
    m->budget = BUDGET;
    const char *subject = find_linear(m, value, 0, linear);
    if (!subject)
        return false;
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++) {
        bool same = true;
        for (double x = -reach; x <= reach && same; x += step) {
            double got;
            same = berth_match_evaluate(m, value, subject, x, &got) &&
                   fabs(got - activations[i].compute(x)) <= tolerance;
        }
        if (same) {
            *act = activations[i].act;
            return true;
        }
    }
    return false;
}
