/* import.c: walks a graph from the logits back to the token ids, layer by layer, and hands every weight that
 * it meets to a checkpoint under the name the family's own files give it. */
#include "onnx/import.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint_build.h"
#include "model/families.h"
#include "onnx/match.h"
#include "onnx/operators.h"

enum {
    NAME_SIZE = 160,
    SUFFIX_SIZE = 8 /* ".weight" */,
    EMBEDDINGS = 3,
    BLOCK = 16 /* rows transposed at a time */
};

struct import {
    struct match match;
    const struct berth_family_names *names;
    struct berth_checkpoint *checkpoint;
    size_t copied;    /* bytes of weights so far */
    size_t positions; /* that the graph has rows of; 0: as many as the configuration says */
};

/* --- weights -------------------------------------------------------------------------------------- */

static void keep(struct import *im, const char *name, const struct berth_tensor *tensor, void *owned)
{
    enum berth_status status =
        berth_checkpoint_add(im->checkpoint, tensor, name, strlen(name), owned, im->match.err);
    if (status != BERTH_OK)
        berth_free(owned);
    berth_match_keep(&im->match, status);
}

static void fail_memory(struct import *im, const char *name, size_t bytes)
{
    berth_match_keep(&im->match, berth_fail_memory(im->match.err, name, bytes));
}

static int byte_at(const struct berth_tensor *tensor, size_t index)
{
    unsigned char byte = ((const unsigned char *)tensor->data)[index];
    return tensor->dtype == BERTH_DTYPE_I8 ? (signed char)byte : byte;
}

/* Scale and zero point of every column of an int8 product; both are for berth_free. */
static bool read_scales(struct import *im, const struct match_linear *linear, float **scales, int **zeros)
{
    size_t total = linear->weight.shape[linear->by_rows ? 0 : 1];
    const struct berth_tensor *scale = &linear->scale, *zero = &linear->zero;
    bool bytes = linear->weight.dtype == BERTH_DTYPE_I8 || linear->weight.dtype == BERTH_DTYPE_U8;
    if (!bytes || !berth_dtype_is_float(scale->dtype) || (scale->elements != 1 && scale->elements != total) ||
        (zero->data &&
         ((zero->elements != 1 && zero->elements != total) || zero->dtype != linear->weight.dtype)))
        return false;
    *scales = berth_calloc(total, sizeof **scales);
    *zeros = berth_calloc(total, sizeof **zeros);
    if (!*scales || !*zeros) {
        fail_memory(im, "scales of int8 weights", total * sizeof **scales);
        return false;
    }
    for (size_t i = 0; i < total; i++) {
        berth_tensor_read_f32(scale, scale->elements == 1 ? 0 : i, 1, &(*scales)[i]);
        if (zero->data)
            (*zeros)[i] = byte_at(zero, zero->elements == 1 ? 0 : i);
    }
    return true;
}

/* A graph may name one weight many times over; an encoder names each once, and int8 grows to four times its
 * size. */
static bool may_copy(struct import *im, size_t bytes)
{
    enum { GROWTH = 5 };
    size_t limit = berth_onnx_bytes(im->match.file);
    if (berth_add(im->copied, bytes, &im->copied) && im->copied / GROWTH <= limit)
        return true;
    if (im->match.status == BERTH_OK)
        im->match.status =
            berth_fail(im->match.err, BERTH_FORMAT, "%s: its layers use more weights than the file holds",
                       berth_onnx_name(im->match.file));
    return false;
}

/* Numbers [first, first + count) of a weight in float32, when index i belongs to column i % total of it
 * (by_rows: to column i / in). */
static void read_numbers(const struct match_linear *linear, const float *scales, const int *zeros,
                         size_t first, size_t count, float *out)
{
    const struct berth_tensor *weight = &linear->weight;
    if (!scales) {
        berth_tensor_read_f32(weight, first, count, out);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        size_t column = linear->by_rows ? (first + i) / weight->shape[1] : (first + i) % weight->shape[1];
        out[i] = (float)(byte_at(weight, first + i) - zeros[column]) * scales[column];
    }
}

/* Part [first, first + out) of a product's weight as [out, in] in float32. `lines` has room for BLOCK times
 * `out` numbers.
 */
static void copy_weight(const struct match_linear *linear, const float *scales, const int *zeros,
                        float *lines, float *numbers)
{
    const struct berth_tensor *weight = &linear->weight;
    size_t in = weight->shape[linear->by_rows ? 1 : 0], out = linear->out;
    if (linear->by_rows) {
        read_numbers(linear, scales, zeros, linear->first * in, out * in, numbers);
        return;
    }
    for (size_t i = 0; i < in; i += BLOCK) {
        size_t count = berth_min(BLOCK, in - i);
        for (size_t k = 0; k < count; k++)
            read_numbers(linear, scales, zeros, (i + k) * weight->shape[1] + linear->first, out,
                         lines + k * out);
        for (size_t o = 0; o < out; o++)
            for (size_t k = 0; k < count; k++)
                numbers[o * in + i + k] = lines[k * out + o];
    }
}

/* Numbers that the checkpoint takes, under "NAME.SUFFIX". */
static void keep_numbers(struct import *im, const char *name, const char *suffix, size_t rows, size_t columns,
                         float *numbers)
{
    char full[NAME_SIZE + SUFFIX_SIZE];
    size_t elements = rows * (columns ? columns : 1);
    const struct berth_tensor kept = {.dtype = BERTH_DTYPE_F32,
                                      .rank = columns ? 2 : 1,
                                      .shape = {rows, columns},
                                      .elements = elements,
                                      .data = numbers,
                                      .bytes = elements * sizeof *numbers};
    snprintf(full, sizeof full, "%s.%s", name, suffix);
    keep(im, full, &kept, numbers);
}

static bool fits_together(const struct match_linear *linear)
{
    size_t total = linear->weight.shape[linear->by_rows ? 0 : 1];
    bool real = berth_dtype_is_float(linear->weight.dtype) && !linear->scale.data;
    return (real || linear->scale.data) && linear->bias.elements == total &&
           berth_dtype_is_float(linear->bias.dtype) && linear->out > 0 && linear->out <= total &&
           linear->first <= total - linear->out;
}

/* One linear layer: "NAME.weight" [out, in] and "NAME.bias" [out], copied in float32. */
static void keep_linear(struct import *im, const char *name, const struct match_linear *linear)
{
    float *scales = NULL, *numbers = NULL, *biases = NULL, *lines = NULL;
    int *zeros = NULL;
    const struct berth_tensor *weight = &linear->weight;
    size_t in = weight->shape[linear->by_rows ? 1 : 0], elements = 0;
    if (im->match.status != BERTH_OK)
        return;
    bool fits = fits_together(linear) && berth_mul(linear->out, in, &elements) && in > 0;
    if (fits && linear->scale.data)
        fits = read_scales(im, linear, &scales, &zeros);
    if (!fits) {
        if (im->match.status == BERTH_OK)
            im->match.status = berth_fail(im->match.err, BERTH_FORMAT,
                                          "%s: weight '%s' and its bias or scales do not go together",
                                          berth_onnx_name(im->match.file), weight->name);
        goto done;
    }
    if (!may_copy(im, elements * sizeof *numbers))
        goto done;
    numbers = berth_malloc(elements, sizeof *numbers);
    biases = berth_malloc(linear->out, sizeof *biases);
    lines = berth_malloc(linear->out, BLOCK * sizeof *lines);
    if (!numbers || !biases || !lines) {
        fail_memory(im, weight->name, elements * sizeof *numbers);
        goto done;
    }
    copy_weight(linear, scales, zeros, lines, numbers);
    berth_tensor_read_f32(&linear->bias, linear->first, linear->out, biases);
    berth_map_forget(weight->data, weight->bytes);
    keep_numbers(im, name, "weight", linear->out, in, numbers);
    keep_numbers(im, name, "bias", linear->out, 0, biases);
    numbers = biases = NULL; /* the checkpoint's, or freed */
done:
    berth_free(scales);
    berth_free(zeros);
    berth_free(numbers);
    berth_free(biases);
    berth_free(lines);
}

/* A tensor as it is, copied. */
static void keep_copy(struct import *im, const char *name, const struct berth_tensor *tensor)
{
    if (im->match.status != BERTH_OK || !may_copy(im, tensor->bytes))
        return;
    void *bytes = berth_malloc(berth_max(tensor->bytes, 1), 1);
    if (!bytes) {
        fail_memory(im, name, tensor->bytes);
        return;
    }
    if (tensor->bytes > 0)
        memcpy(bytes, tensor->data, tensor->bytes);
    berth_map_forget(tensor->data, tensor->bytes);
    struct berth_tensor kept = *tensor;
    kept.data = bytes;
    keep(im, name, &kept, bytes);
}

static void keep_norm(struct import *im, const char *name, const struct match_norm *norm)
{
    char full[NAME_SIZE + SUFFIX_SIZE];
    snprintf(full, sizeof full, "%s.weight", name);
    keep_copy(im, full, &norm->gamma);
    snprintf(full, sizeof full, "%s.bias", name);
    keep_copy(im, full, &norm->beta);
}

/* --- parts of the encoder ------------------------------------------------------------------------- */

/* Full name of a stem: layer -1 outside the layers. */
static const char *full_name(const struct import *im, char text[NAME_SIZE], const char *stem, long layer)
{
    if (layer >= 0)
        snprintf(text, NAME_SIZE, "%s%s%ld.%s", im->names->prefix, im->names->layer, layer, stem);
    else
        snprintf(text, NAME_SIZE, "%s%s", im->names->prefix, stem);
    return text;
}

/* The graph's logits, by name or because there is but one output. */
static const char *find_logits(struct import *im)
{
    const Onnx__GraphProto *graph = berth_onnx_graph(im->match.file);
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name && (graph->n_output == 1 || strcmp(graph->output[i]->name, "logits") == 0))
            return graph->output[i]->name;
    berth_match_keep(&im->match,
                     berth_fail(im->match.err, BERTH_UNSUPPORTED, "%s: its graph has no output called logits",
                                berth_onnx_name(im->match.file)));
    return NULL;
}

/* x of x[:, 0]: the first token, by Gather, or by Slice and Squeeze. Slices that keep everything are passed
 * by. */
static const char *match_first_token(struct match *m, const char *value)
{
    enum { HOPS = 8 };
    double index;
    for (unsigned i = 0; i < HOPS; i++) {
        const Onnx__NodeProto *node = berth_match_maker(m, value).node;
        int64_t starts, ends, axes = 0, steps = 1;
        if (berth_match_is(node, "Gather") && berth_match_int(node, "axis", 0) == 1 &&
            berth_match_scalar(m, berth_match_input(node, 1), &index))
            return index == 0 ? berth_match_input(node, 0) : NULL;
        if (berth_match_is(node, "Squeeze")) {
            value = berth_match_input(node, 0);
            continue;
        }
        if (!berth_match_is(node, "Slice") ||
            berth_match_ints(m, berth_match_input(node, 1), &starts, 1) != 1 ||
            berth_match_ints(m, berth_match_input(node, 2), &ends, 1) != 1 || starts != 0)
            return NULL;
        (void)berth_match_ints(m, berth_match_input(node, 3), &axes, 1);
        (void)berth_match_ints(m, berth_match_input(node, 4), &steps, 1);
        if (steps != 1 || (axes == 1 && ends == 1))
            return steps == 1 ? berth_match_input(node, 0) : NULL;
        if (ends < INT32_MAX)
            return NULL;
        value = berth_match_input(node, 0);
    }
    return NULL;
}

/* From the logits to the last layer's result. */
static const char *import_head(struct import *im)
{
    struct match *m = &im->match;
    struct match_linear classifier, pooler;
    enum berth_activation act;
    char name[NAME_SIZE];
    const char *value = find_logits(im);
    if (!value)
        return NULL;
    if (!berth_match_linear(m, value, &classifier)) {
        berth_match_refuse(m, value, "the classifier's linear layer");
        return NULL;
    }
    if (!berth_match_activation(m, classifier.input, &act, &pooler) || act != im->names->pooler_act) {
        berth_match_refuse(m, classifier.input, "the activation of the head's dense layer");
        return NULL;
    }
    keep_linear(im, im->names->classifier, &classifier);
    keep_linear(im,
                im->names->pooler_in_encoder ? full_name(im, name, im->names->pooler, -1) : im->names->pooler,
                &pooler);
    value = match_first_token(m, pooler.input);
    if (!value)
        berth_match_refuse(m, pooler.input, "the first token of every text");
    return value;
}

/* One side of the sum that a norm takes, as a linear layer, its bias perhaps in the norm. */
static bool match_side(struct match *m, const struct match_norm *norm, const char *side, struct match_linear *linear)
{
    if (!norm->bias.data)
        return berth_match_linear(m, side, linear);
    if (!berth_match_product(m, side, linear))
        return false;
    linear->bias = norm->bias;
    return true;
}

/* The value that LayerNorm(linear(...) + residual) was made from: *linear with its bias, and *residual. */
static bool match_sum(struct match *m, const struct match_norm *norm, struct match_linear *linear,
                      const char **residual)
{
    const char *side[2] = {norm->a, norm->b};
    struct match_linear other;
    struct match_norm embeddings;
    if (norm->input) {
        const Onnx__NodeProto *node = berth_match_maker(m, norm->input).node;
        if (!berth_match_is(node, "Add"))
            return false;
        side[0] = berth_match_input(node, 0);
        side[1] = berth_match_input(node, 1);
    }
    size_t i = match_side(m, norm, side[0], linear) ? 0 : 1;
    if (i == 1 && !match_side(m, norm, side[1], linear))
        return false;
    /* Both are linear where the first layer's input is projected embeddings: those come from a norm. */
    if (i == 0 && berth_match_norm(m, linear->input, &embeddings) && match_side(m, norm, side[1], &other)) {
        *linear = other;
        i = 1;
    }
    *residual = berth_match_strip(m, side[1 - i]);
    return true;
}

/* LayerNorm(linear(inner) + residual); returns false after refusing. */
static bool import_block(struct import *im, const char *value, long layer, const char *norm_stem,
                         const char *linear_stem, const char **inner, const char **residual)
{
    struct match *m = &im->match;
    struct match_norm norm;
    struct match_linear linear;
    char name[NAME_SIZE];
    if (!berth_match_norm(m, value, &norm)) {
        berth_match_refuse(m, value, "a LayerNorm");
        return false;
    }
    if (!match_sum(m, &norm, &linear, residual)) {
        berth_match_refuse(m, norm.input ? norm.input : norm.a,
                           "the sum of a linear layer and its block's input");
        return false;
    }
    keep_norm(im, full_name(im, name, norm_stem, layer), &norm);
    keep_linear(im, full_name(im, name, linear_stem, layer), &linear);
    *inner = linear.input;
    return m->status == BERTH_OK;
}

/* One layer, from its result back to its input. */
static const char *import_layer(struct import *im, const char *value, long layer)
{
    struct match *m = &im->match;
    const struct berth_family_names *names = im->names;
    const char *inner, *middle, *input;
    enum berth_activation act;
    struct match_linear ffn_in;
    struct match_attention attention;
    char name[NAME_SIZE];
    if (!import_block(im, value, layer, names->ffn_norm, names->ffn_out, &inner, &middle))
        return NULL;
    if (!berth_match_activation(m, inner, &act, &ffn_in) || act != m->config->activation ||
        strcmp(berth_match_strip(m, ffn_in.input), middle) != 0) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "%s (hidden_act of config.json) over the feed-forward layer",
                 berth_activation_name(m->config->activation));
        berth_match_refuse(m, inner, wanted);
        return NULL;
    }
    keep_linear(im, full_name(im, name, names->ffn_in, layer), &ffn_in);
    if (!import_block(im, middle, layer, names->attention_norm, names->attention_out, &inner, &input))
        return NULL;
    if (!berth_match_attention(m, inner, &attention) || strcmp(attention.input, input) != 0) {
        char wanted[96];
        snprintf(wanted, sizeof wanted, "masked attention of %zu heads", m->config->heads);
        berth_match_refuse(m, inner, wanted);
        return NULL;
    }
    keep_linear(im, full_name(im, name, names->query, layer), &attention.query);
    keep_linear(im, full_name(im, name, names->key, layer), &attention.key);
    keep_linear(im, full_name(im, name, names->value, layer), &attention.value);
    return m->status == BERTH_OK ? input : NULL;
}

/* --- embeddings ----------------------------------------------------------------------------------- */

/* Is it the named input of the graph, perhaps as another integer type? */
static bool is_input(struct match *m, const char *value, const char *input)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (berth_match_is(node, "Cast"))
        value = berth_match_input(node, 0);
    return strcmp(berth_match_strip(m, value), input) == 0;
}

/* 0, 1, 2, ...: cut from a constant of all positions, or a Range. */
static bool is_positions(struct match *m, const char *value)
{
    enum { HOPS = 12 };
    struct berth_tensor all;
    double start, step;
    for (unsigned i = 0; i < HOPS; i++) {
        const Onnx__NodeProto *node = berth_match_maker(m, value).node;
        if (berth_match_is(node, "Range"))
            return berth_match_scalar(m, berth_match_input(node, 0), &start) && start == 0 &&
                   berth_match_scalar(m, berth_match_input(node, 2), &step) && step == 1;
        int64_t from = 0;
        bool cut = berth_match_is(node, "Slice") &&
                   berth_match_ints(m, berth_match_input(node, 1), &from, 1) == 1 && from == 0;
        if (!cut && !berth_match_is(node, "Unsqueeze") && !berth_match_is(node, "Expand") &&
            !berth_match_is(node, "Cast"))
            break;
        value = berth_match_input(node, 0);
    }
    if (!berth_match_constant(m, value, &all) || all.dtype != BERTH_DTYPE_I64)
        return false;
    for (size_t i = 0; i < all.elements; i++) {
        int64_t position;
        memcpy(&position, (const unsigned char *)all.data + i * sizeof position, sizeof position);
        if (position != (int64_t)i)
            return false;
    }
    return all.elements > 0;
}

/* The leaves of nested sums: at most EMBEDDINGS. */
static size_t flatten(struct match *m, const char *value, const char *leaves[EMBEDDINGS + 1], size_t count,
                      unsigned depth)
{
    const Onnx__NodeProto *node = berth_match_maker(m, value).node;
    if (depth < EMBEDDINGS && berth_match_is(node, "Add")) {
        count = flatten(m, berth_match_input(node, 0), leaves, count, depth + 1);
        return flatten(m, berth_match_input(node, 1), leaves, count, depth + 1);
    }
    if (count <= EMBEDDINGS)
        leaves[count] = value;
    return count + 1;
}

/* Where the texts' length is fixed, constant folding leaves the rows of its positions in place of the table: [n, E] or [1, n, E]. The
 * other rows are in no such file, so the model is one of n positions. */
static bool take_folded_positions(struct import *im, const char *value, struct berth_tensor *table)
{
    struct match *m = &im->match;
    struct berth_tensor rows;
    if (!berth_match_constant(m, value, &rows) || rows.rank < 2 || rows.shape[rows.rank - 1] != m->config->embedding_size)
        return false;
    size_t n = rows.shape[rows.rank - 2];
    if (n == 0 || n > m->config->max_positions || rows.elements != n * m->config->embedding_size)
        return false;
    rows.shape[0] = n, rows.shape[1] = m->config->embedding_size, rows.rank = 2;
    im->positions = n;
    *table = rows;
    return true;
}

/* The sum of the rows that ids, types and positions choose. */
static void import_rows(struct import *im, const char *sum)
{
    struct match *m = &im->match;
    const struct berth_family_names *names = im->names;
    const char *leaves[EMBEDDINGS + 1],
        *stems[EMBEDDINGS] = {names->word_embedding, names->position_embedding, names->type_embedding};
    struct berth_tensor tables[EMBEDDINGS] = {{.data = NULL}};
    size_t wanted = names->type_embedding ? 3 : 2, count = flatten(m, sum, leaves, 0, 0);
    char name[NAME_SIZE];
    for (size_t i = 0; i < count && i < wanted; i++) {
        const Onnx__NodeProto *node = berth_match_maker(m, leaves[i]).node;
        const char *ids = berth_match_is(node, "Gather") ? berth_match_input(node, 1) : "";
        size_t kind = is_input(m, ids, "input_ids")                                 ? 0
                      : names->type_embedding && is_input(m, ids, "token_type_ids") ? 2
                                                                                    : 1;
        if (!tables[1].data && take_folded_positions(im, leaves[i], &tables[1]))
            continue;
        if (!*ids || berth_match_int(node, "axis", 0) != 0 || (kind == 1 && !is_positions(m, ids)) ||
            tables[kind].data || !berth_match_constant(m, berth_match_input(node, 0), &tables[kind])) {
            berth_match_refuse(m, leaves[i], "a row of the word, position or token type embedding");
            return;
        }
    }
    if (count != wanted) {
        berth_match_refuse(m, sum,
                           "the sum of the word, position and (but for DistilBERT) token type embeddings");
        return;
    }
    for (size_t i = 0; i < wanted; i++) {
        char full[NAME_SIZE + SUFFIX_SIZE];
        snprintf(full, sizeof full, "%s.weight", full_name(im, name, stems[i], -1));
        keep_copy(im, full, &tables[i]);
    }
}

/* com.microsoft EmbedLayerNormalization(ids, types, word, position, type, gamma, beta). */
static bool import_fused_embedding(struct import *im, const char *value)
{
    struct match *m = &im->match;
    struct berth_onnx_maker maker = berth_match_maker(m, value);
    const Onnx__NodeProto *node = maker.node;
    const struct berth_family_names *names = im->names;
    if (!berth_match_is_contrib(node, "EmbedLayerNormalization") || maker.output != 0)
        return false;
    const char *stems[EMBEDDINGS] = {names->word_embedding, names->position_embedding, names->type_embedding};
    struct match_norm norm = {.input = NULL};
    struct berth_tensor table;
    char name[NAME_SIZE], full[NAME_SIZE + SUFFIX_SIZE];
    bool fits = is_input(m, berth_match_input(node, 0), "input_ids") && !berth_match_input(node, 8)[0] &&
                (names->type_embedding ? is_input(m, berth_match_input(node, 1), "token_type_ids")
                                       : !berth_match_input(node, 1)[0]) &&
                berth_match_constant(m, berth_match_input(node, 5), &norm.gamma) &&
                berth_match_constant(m, berth_match_input(node, 6), &norm.beta);
    for (size_t i = 0; fits && i < EMBEDDINGS && stems[i]; i++) {
        fits = berth_match_constant(m, berth_match_input(node, 2 + i), &table);
        snprintf(full, sizeof full, "%s.weight", full_name(im, name, stems[i], -1));
        if (fits)
            keep_copy(im, full, &table);
    }
    if (!fits)
        berth_match_refuse(m, value, "the embeddings of ids, positions and types");
    keep_norm(im, full_name(im, name, names->embedding_norm, -1), &norm);
    return true;
}

static void import_embedding(struct import *im, const char *value)
{
    struct match *m = &im->match;
    struct match_linear project;
    struct match_norm norm;
    char name[NAME_SIZE];
    if (m->config->embedding_size != m->config->hidden_size) {
        if (!berth_match_linear(m, value, &project)) {
            berth_match_refuse(m, value, "the projection of the embeddings");
            return;
        }
        keep_linear(im, full_name(im, name, im->names->project, -1), &project);
        value = project.input;
    }
    if (import_fused_embedding(im, value))
        return;
    if (!berth_match_norm(m, value, &norm) || !norm.input) {
        berth_match_refuse(m, value, "the LayerNorm of the embeddings");
        return;
    }
    keep_norm(im, full_name(im, name, im->names->embedding_norm, -1), &norm);
    import_rows(im, norm.input);
}

/* --- the whole ------------------------------------------------------------------------------------ */

static enum berth_status import_graph(struct berth_onnx_file *file, struct berth_config *config,
                                      struct berth_checkpoint *checkpoint, struct berth_error *err)
{
    struct import im = {.match = {.file = file, .config = config, .err = err},
                        .names = berth_family_names(config->family),
                        .checkpoint = checkpoint};
    if (config->heads == 0 || config->hidden_size % config->heads != 0)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: num_attention_heads %zu does not divide hidden_size %zu in config.json",
                          berth_onnx_name(file), config->heads, config->hidden_size);
    const char *value = import_head(&im);
    for (size_t i = config->layers; i > 0 && value && im.match.status == BERTH_OK; i--)
        value = import_layer(&im, value, (long)i - 1);
    if (value && im.match.status == BERTH_OK)
        import_embedding(&im, value);
    if (im.positions > 0)
        config->told_positions = config->max_positions, config->max_positions = im.positions;
    return im.match.status;
}

/* Takes file and config, also on failure. */
static enum berth_status import_file(struct berth_onnx_file *file, struct berth_config *config,
                                     struct berth_encoder **encoder, struct berth_error *err)
{
    enum berth_status status;
    struct berth_checkpoint *checkpoint = NULL;
    char *name = berth_strdup(berth_onnx_name(file));
    if (!name) {
        status = berth_fail_memory(err, "a name", strlen(berth_onnx_name(file)));
        goto fail;
    }
    BERTH_TRY(berth_onnx_check_operators(file, err));
    BERTH_TRY(berth_checkpoint_begin(name, &checkpoint, err));
    BERTH_TRY(import_graph(file, config, checkpoint, err));
    BERTH_TRY(berth_checkpoint_finish(checkpoint, err));
    berth_onnx_close(file);
    berth_storage_clear(&config->storage); /* of the checkpoint beside it: the graph has its own numbers */
    status = berth_encoder_bind(config, checkpoint, name, encoder, err);
    berth_free(name);
    return status;
fail:
    berth_checkpoint_close(checkpoint);
    berth_onnx_close(file);
    berth_config_clear(config);
    berth_free(name);
    return status;
}

enum berth_status berth_onnx_import(const char *path, struct berth_encoder **encoder, struct berth_error *err)
{
    struct berth_config config = {0};
    struct berth_onnx_file *file = NULL;
    enum berth_status status;
    *encoder = NULL;
    const char *slash = strrchr(path, '/');
    char *folder = slash ? berth_strndup(path, (size_t)(slash - path) + 1) : berth_strdup(".");
    if (!folder)
        return berth_fail_memory(err, "a path", strlen(path));
    BERTH_TRY(berth_onnx_open(path, &file, err));
    BERTH_TRY(berth_config_read(folder, &config, err));
    berth_free(folder);
    return import_file(file, &config, encoder, err);
fail:
    berth_onnx_close(file);
    berth_free(folder);
    return status;
}

enum berth_status berth_onnx_import_memory(const char *name, const void *data, size_t size,
                                           struct berth_config *config, struct berth_encoder **encoder,
                                           struct berth_error *err)
{
    struct berth_onnx_file *file;
    *encoder = NULL;
    enum berth_status status = berth_onnx_open_memory(name, data, size, &file, err);
    if (status == BERTH_OK)
        return import_file(file, config, encoder, err);
    berth_config_clear(config);
    return status;
}
