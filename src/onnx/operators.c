/* operators.c: the operators of an encoder's graph. Import compares what is computed on the way to the logits; what computes
 * shapes beside it is taken as it is. An operator that nobody knows may do anything there, so it is refused by its name. */
#include "onnx/operators.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

/* Sorted, for bsearch. Arithmetic, products, shapes, logic, quantisation; no control flow, no sequences, no randomness. */
static const char *const standard[] = {
    "Abs", "Add", "And", "Attention", "BitShift", "Cast", "CastLike", "Ceil", "Clip", "Concat", "Constant",
    "ConstantOfShape", "CumSum", "DequantizeLinear", "Div", "Dropout", "DynamicQuantizeLinear", "Einsum", "Equal", "Erf",
    "Exp", "Expand", "EyeLike", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm", "Greater",
    "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "LayerNormalization", "Less", "LessOrEqual", "Log", "MatMul",
    "MatMulInteger", "Max", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "OneHot", "Or", "Pad", "Pow", "QLinearMatMul",
    "QuantizeLinear", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu",
    "Reshape", "Round", "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Size", "Slice", "Softmax", "Split",
    "Sqrt", "Squeeze", "Sub", "Sum", "Swish", "Tanh", "Tile", "TopK", "Transpose", "Trilu", "Unsqueeze", "Where", "Xor"};

/* Of com.microsoft. */
static const char *const contributed[] = {
    "Attention", "BiasGelu", "DequantizeLinear", "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu", "FusedMatMul",
    "Gelu", "MatMulIntegerToFloat", "MultiHeadAttention", "QAttention", "QuantizeLinear", "QuickGelu", "SkipLayerNormalization"};

static int compare_words(const void *a, const void *b)
{
    return strcmp(a, *(const char *const *)b);
}

#define HOLDS(list, word) (bsearch(word, list, sizeof(list) / sizeof *(list), sizeof *(list), compare_words) != NULL)

enum berth_status berth_onnx_check_operators(const struct berth_onnx_file *file, struct berth_error *err)
{
    const Onnx__GraphProto *graph = berth_onnx_graph(file);
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        const char *domain = node->domain && node->domain[0] ? node->domain : "ai.onnx";
        bool known = strcmp(domain, "ai.onnx") == 0         ? HOLDS(standard, node->op_type)
                     : strcmp(domain, "com.microsoft") == 0 ? HOLDS(contributed, node->op_type)
                                                            : false;
        if (!known)
            return berth_fail(err, BERTH_UNSUPPORTED,
                              "%s: node '%.200s' is of operator '%.100s' (domain '%.100s'), which no encoder that berth reads is made "
                              "of; only encoders with a classifier can be read",
                              berth_onnx_name(file),
                              node->name && node->name[0] ? node->name : node->n_output ? node->output[0] : "", node->op_type,
                              domain);
    }
    return BERTH_OK;
}
