/* match_attention.c: multi-head attention, in standard operators and in ONNX Runtime's own. */
#include <math.h>
#include <string.h>

#include "base/error.h"
#include "onnx/match.h"

enum { AXES = 4, CHAIN_MAX = 16 };

/* One of the three operands on the way back from the product over the heads. */
struct operand {
    double scale;          /* of the numbers */
    int64_t perm[AXES];    /* of [batch, token, head, number] */
    const char *projected; /* the value before it was split into heads */
};

/* The last two of the lengths that a Reshape asks for are heads and size, where they are constants. */
static bool check_heads(struct match *m, const char *shape)
{
    int64_t dims[AXES], last;
    const struct berth_config *config = m->config;
    int64_t heads = (int64_t)config->heads, size = (int64_t)(config->hidden_size / config->heads);
    const Onnx__NodeProto *node = berth_match_maker(m, shape).node;
    if (berth_match_ints(m, shape, dims, AXES) == AXES)
        return (dims[2] == heads || dims[2] == -1) && (dims[3] == size || dims[3] == -1) &&
               dims[2] + dims[3] != -2;
    if (!berth_match_is(node, "Concat") || node->n_input != AXES)
        return berth_match_ints(m, shape, dims, AXES) == 0;
    for (size_t i = 2; i < AXES; i++)
        if (berth_match_ints(m, node->input[i], &last, 1) == 1 && last != -1 &&
            last != (i == 2 ? heads : size))
            return false;
    return true;
}

static bool match_perm(const Onnx__NodeProto *node, int64_t perm[AXES])
{
    const Onnx__AttributeProto *list = berth_match_attribute(node, "perm");
    int64_t before[AXES];
    if (!list || list->n_ints != AXES)
        return false;
    memcpy(before, perm, sizeof before);
    for (size_t i = 0; i < AXES; i++) {
        if (before[i] < 0 || before[i] >= AXES || list->ints[i] < 0 || list->ints[i] >= AXES)
            return false;
        perm[i] = list->ints[before[i]];
    }
    return true;
}

/* The factor of Mul or Div by a constant, or by what follows from the size of a head; *value becomes the
 * other side. */
static bool match_scaled(struct match *m, const Onnx__NodeProto *node, double *scale, const char **value)
{
    double number;
    bool times = berth_match_is(node, "Mul");
    if (!times && !berth_match_is(node, "Div"))
        return false;
    for (size_t i = 0; i < (times ? 2u : 1u); i++)
        if (berth_match_evaluate(m, berth_match_input(node, 1 - i), "", 0, &number)) {
            *scale = times ? *scale * number : *scale / number;
            *value = berth_match_input(node, i);
            return true;
        }
    return false;
}

static bool match_operand(struct match *m, const char *value, const int64_t wanted[AXES], struct operand *out)
{
    *out = (struct operand){.scale = 1, .perm = {0, 1, 2, 3}};
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        const Onnx__NodeProto *node = berth_match_maker(m, value).node;
        if (berth_match_is(node, "Transpose")) {
            if (!match_perm(node, out->perm))
                return false;
            value = berth_match_input(node, 0);
        } else if (berth_match_is(node, "Reshape")) {
            out->projected = berth_match_input(node, 0);
            return memcmp(out->perm, wanted, sizeof out->perm) == 0 &&
                   check_heads(m, berth_match_input(node, 1));
        } else if (!match_scaled(m, node, &out->scale, &value)) {
            return false;
        }
    }
    return false;
}

/* A projection: a linear layer of its own, or one part of a merged one. */
static bool match_projection(struct match *m, const char *value, size_t index, struct match_linear *out)
{
    enum { PARTS = 3 };
    int64_t sizes[PARTS];
    size_t c = m->config->hidden_size;
    struct berth_onnx_maker maker = berth_match_maker(m, value);
    if (!berth_match_is(maker.node, "Split"))
        return berth_match_linear(m, value, out);
    int64_t axis = berth_match_int(maker.node, "axis", 0);
    if ((axis != -1 && axis != 2) || maker.output != index || maker.node->n_output != PARTS ||
        !berth_match_linear(m, berth_match_input(maker.node, 0), out) || out->out != PARTS * c)
        return false;
    if (berth_match_input(maker.node, 1)[0] &&
        (berth_match_ints(m, maker.node->input[1], sizes, PARTS) != PARTS || sizes[0] != (int64_t)c ||
         sizes[1] != (int64_t)c || sizes[2] != (int64_t)c))
        return false;
    out->first = index * c;
    out->out = c;
    return true;
}

/* A value that keeps scores where the mask is 1 and drowns them where it is 0. */
static bool is_additive_mask(struct match *m, const char *value)
{
    static const double drowned = -1000;
    double kept, hidden;
    return berth_match_evaluate(m, value, "attention_mask", 1, &kept) && kept == 0 &&
           berth_match_evaluate(m, value, "attention_mask", 0, &hidden) && hidden <= drowned;
}

/* Where(condition of the mask, one thing, another): the side that is taken where the mask is 1, if the other
 * drowns. */
static const char *match_chosen(struct match *m, const Onnx__NodeProto *node)
{
    static const double drowned = -1000;
    double kept, hidden, low;
    const char *condition = berth_match_input(node, 0);
    if (!berth_match_evaluate(m, condition, "attention_mask", 1, &kept) ||
        !berth_match_evaluate(m, condition, "attention_mask", 0, &hidden) || (kept != 0) == (hidden != 0))
        return NULL;
    size_t side = kept != 0 ? 1 : 2;
    return berth_match_scalar(m, berth_match_input(node, 3 - side), &low) && low <= drowned
               ? berth_match_input(node, side)
               : NULL;
}

/* Back from the softmax to the product of queries and keys; exactly one mask on the way. */
static const Onnx__NodeProto *match_scores(struct match *m, const char *value, double *scale)
{
    bool masked = false;
    *scale = 1;
    for (unsigned i = 0; i < CHAIN_MAX; i++) {
        const Onnx__NodeProto *node = berth_match_maker(m, value).node;
        const char *next = NULL;
        if (berth_match_is(node, "MatMul"))
            return masked ? node : NULL;
        if (berth_match_is(node, "Where"))
            next = match_chosen(m, node);
        else if (berth_match_is(node, "Add"))
            for (size_t k = 0; k < 2 && !next; k++)
                next =
                    is_additive_mask(m, berth_match_input(node, k)) ? berth_match_input(node, 1 - k) : NULL;
        if (next) {
            if (masked || *scale != 1)
                return NULL;
            masked = true;
            value = next;
        } else if (!match_scaled(m, node, scale, &value)) {
            return NULL;
        }
    }
    return NULL;
}

/* Softmax, perhaps with 0 put in place of what is no number (a text of masked tokens alone). */
static const Onnx__NodeProto *match_softmax(struct match *m, const char *value)
{
    double zero;
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Where")) {
        const Onnx__NodeProto *test = berth_match_maker(m, berth_match_input(node, 0)).node;
        const char *kept = berth_match_input(node, 2);
        if (!berth_match_is(test, "IsNaN") || strcmp(berth_match_input(test, 0), kept) != 0 ||
            !berth_match_scalar(m, berth_match_input(node, 1), &zero) || zero != 0)
            return NULL;
        node = berth_match_maker(m, kept).node;
    }
    if (!berth_match_is(node, "Softmax"))
        return NULL;
    int64_t axis = berth_match_int(node, "axis", -1);
    return axis == -1 || axis == 3 ? node : NULL;
}

static bool match_standard(struct match *m, const char *value, struct match_attention *out)
{
    static const int64_t rows_by_head[AXES] = {0, 2, 1, 3}, columns_by_head[AXES] = {0, 2, 3, 1};
    double scale;
    int64_t back[AXES] = {0, 1, 2, 3};
    const Onnx__NodeProto *joined = berth_match_maker(m, value).node;
    if (!berth_match_is(joined, "Reshape"))
        return false;
    const Onnx__NodeProto *moved = berth_match_maker(m, berth_match_input(joined, 0)).node;
    if (!berth_match_is(moved, "Transpose") || !match_perm(moved, back) ||
        memcmp(back, rows_by_head, sizeof back) != 0)
        return false;
    const Onnx__NodeProto *context = berth_match_maker(m, berth_match_input(moved, 0)).node;
    const Onnx__NodeProto *softmax =
        berth_match_is(context, "MatMul") ? match_softmax(m, berth_match_input(context, 0)) : NULL;
    if (!softmax)
        return false;
    const Onnx__NodeProto *scores = match_scores(m, berth_match_input(softmax, 0), &scale);
    struct operand query, key, rows;
    if (!scores || !match_operand(m, berth_match_input(scores, 0), rows_by_head, &query) ||
        !match_operand(m, berth_match_input(scores, 1), columns_by_head, &key) ||
        !match_operand(m, berth_match_input(context, 1), rows_by_head, &rows) || rows.scale != 1)
        return false;
    double size = (double)(m->config->hidden_size / m->config->heads),
           total = scale * query.scale * key.scale;
    if (fabs(total * sqrt(size) - 1) > 1e-3)
        return false;
    return match_projection(m, query.projected, 0, &out->query) &&
           match_projection(m, key.projected, 1, &out->key) &&
           match_projection(m, rows.projected, 2, &out->value);
}

/* com.microsoft: Attention(x, W, b, mask), QAttention(q(x), W, b, scale of x, scale of W, mask, zero of x,
 * zero of W). */
static bool match_fused(struct match *m, const char *value, struct match_attention *out)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    bool quantized = berth_match_is_contrib(node, "QAttention");
    size_t c = m->config->hidden_size;
    if ((!quantized && !berth_match_is_contrib(node, "Attention")) ||
        berth_match_int(node, "num_heads", 0) != (int64_t)m->config->heads ||
        berth_match_int(node, "unidirectional", 0) != 0 || berth_match_attribute(node, "scale") ||
        berth_match_attribute(node, "qkv_hidden_sizes"))
        return false;
    struct match_linear all = {.input = berth_match_input(node, 0)};
    const Onnx__NodeProto *mask = berth_match_maker(m, berth_match_input(node, quantized ? 5 : 3)).node;
    if (!berth_match_is(mask, "Cast") || strcmp(berth_match_input(mask, 0), "attention_mask") != 0 ||
        !berth_match_constant(m, berth_match_input(node, 1), &all.weight) ||
        !berth_match_constant(m, berth_match_input(node, 2), &all.bias))
        return false;
    if (quantized) {
        const Onnx__NodeProto *from = berth_match_maker(m, all.input).node;
        if (!berth_match_is(from, "DynamicQuantizeLinear") ||
            !berth_match_constant(m, berth_match_input(node, 4), &all.scale))
            return false;
        if (berth_match_input(node, 7)[0] && !berth_match_constant(m, berth_match_input(node, 7), &all.zero))
            return false;
        all.input = berth_match_input(from, 0);
    }
    if (all.weight.rank != 2 || all.weight.shape[1] != 3 * c)
        return false;
    all.out = c;
    out->query = out->key = out->value = all;
    out->key.first = c;
    out->value.first = 2 * c;
    return true;
}

bool berth_match_attention(struct match *m, const char *value, struct match_attention *out)
{
    if (!match_fused(m, value, out) && !match_standard(m, value, out))
        return false;
    out->input = berth_match_strip(m, out->query.input);
    return strcmp(out->input, berth_match_strip(m, out->key.input)) == 0 &&
           strcmp(out->input, berth_match_strip(m, out->value.input)) == 0;
}
