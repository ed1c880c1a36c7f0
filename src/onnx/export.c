/* export.c: the graph of an encoder with its head, from the embeddings to the logits. */
#include "onnx/export.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/json_load.h"
#include "onnx/emit.h"

enum { ITEMS_PER_LAYER = 32, ITEMS_OUTSIDE = 32 };

static void set_scope(struct emit *x, const char *scope)
{
    snprintf(x->scope, sizeof x->scope, "%s", scope);
}

/* --- embeddings ----------------------------------------------------------------------------------- */

static struct emit_name gather_rows(struct emit *x, const char *label, const struct berth_tensor *table,
                                    const char *ids)
{
    struct emit_name weight = berth_emit_weight(x, table);
    struct berth_onnx_shape shape = berth_emit_rows(table->shape[1]);
    return berth_emit_simple(x, "Gather", label, weight.text, ids, shape);
}

/* 0 .. T-1, cut from a table of all positions; [1, T], the same for every text of the batch. */
static struct emit_name emit_positions(struct emit *x)
{
    static const int64_t zero[] = {0}, one[] = {1};
    int64_t count = (int64_t)x->encoder->config.max_positions;
    int64_t *all = berth_malloc((size_t)count, sizeof *all);
    struct emit_name table = {"constant/position_ids"};
    if (!all) {
        berth_onnx_fail_memory(x->writer);
        return table;
    }
    for (int64_t i = 0; i < count; i++)
        all[i] = i;
    berth_onnx_constant(x->writer, table.text, (struct berth_onnx_shape){BERTH_ONNX_I64, 2, {1, count}}, all);
    berth_free(all);
    struct berth_onnx_shape shape = {BERTH_ONNX_I64, 1, {2}}, length = {BERTH_ONNX_I64, 1, {1}};
    struct berth_onnx_shape cut = {BERTH_ONNX_I64, 2, {1, BERTH_ONNX_SEQUENCE}};
    struct emit_name dims = berth_emit_simple(x, "Shape", "Shape", "input_ids", NULL, shape);
    struct emit_name first = berth_emit_ints(x, "zero", zero, 1), second = berth_emit_ints(x, "one", one, 1);
    const struct berth_onnx_attribute axis[] = {EMIT_INT("axis", 0)};
    struct emit_name size =
        berth_emit_node(x, "Gather", NULL, "length", EMIT_INPUTS(dims.text, second.text), axis, 1, &length);
    return berth_emit_node(x, "Slice", NULL, "positions",
                           EMIT_INPUTS(table.text, first.text, size.text, second.text), NULL, 0, &cut);
}

static struct emit_name emit_embedding(struct emit *x)
{
    const struct berth_encoder *encoder = x->encoder;
    struct berth_onnx_shape shape = berth_emit_rows(encoder->config.embedding_size);
    set_scope(x, "embeddings");
    struct emit_name sum = gather_rows(x, "word", &encoder->word_embedding, "input_ids");
    if (encoder->type_embedding.elements) {
        struct emit_name type = gather_rows(x, "type", &encoder->type_embedding, "token_type_ids");
        sum = berth_emit_simple(x, "Add", "Add", sum.text, type.text, shape);
    }
    struct emit_name positions = emit_positions(x),
                     weight = berth_emit_weight(x, &encoder->position_embedding);
    struct berth_onnx_shape rows = {BERTH_ONNX_F32, 3, {1, BERTH_ONNX_SEQUENCE, shape.dims[2]}};
    struct emit_name position = berth_emit_simple(x, "Gather", "position", weight.text, positions.text, rows);
    sum = berth_emit_simple(x, "Add", "Add_1", sum.text, position.text, shape);
    return berth_emit_norm(x, "LayerNorm", sum.text, &encoder->embedding_norm);
}

/* What is added to the scores: 0 where the mask is 1, the lowest number where it is 0; [B, 1, 1, T]. */
static struct emit_name emit_mask(struct emit *x)
{
    static const int64_t axes[] = {1, 2};
    struct berth_onnx_shape shape = {BERTH_ONNX_I64, 4, {BERTH_ONNX_BATCH, 1, 1, BERTH_ONNX_SEQUENCE}};
    set_scope(x, "mask");
    struct emit_name list = berth_emit_ints(x, "mask_axes", axes, 2);
    struct emit_name mask =
        berth_emit_simple(x, "Unsqueeze", "Unsqueeze", "attention_mask", list.text, shape);
    const struct berth_onnx_attribute to[] = {EMIT_INT("to", BERTH_ONNX_F32)};
    shape.type = BERTH_ONNX_F32;
    mask = berth_emit_node(x, "Cast", NULL, "Cast", EMIT_INPUTS(mask.text), to, 1, &shape);
    mask = berth_emit_simple(x, "Sub", "Sub", berth_emit_scalar(x, 1).text, mask.text, shape);
    return berth_emit_simple(x, "Mul", "Mul", mask.text, berth_emit_scalar(x, -FLT_MAX).text, shape);
}

/* --- one layer ------------------------------------------------------------------------------------ */

/* [B, T, C] to [B, H, T, D], or to [B, H, D, T] for the keys. */
static struct emit_name split_heads(struct emit *x, const char *label, const char *input, bool keys)
{
    const struct berth_config *config = &x->encoder->config;
    static const int64_t plain_order[] = {0, 2, 1, 3}, key_order[] = {0, 2, 3, 1};
    int64_t heads = (int64_t)config->heads, size = (int64_t)(config->hidden_size / config->heads);
    const int64_t split[] = {0, 0, heads, size};
    char text[48];
    struct emit_name dims = berth_emit_ints(x, "split_heads", split, 4);
    struct berth_onnx_shape rows = {BERTH_ONNX_F32, 4, {BERTH_ONNX_BATCH, BERTH_ONNX_SEQUENCE, heads, size}};
    snprintf(text, sizeof text, "%s/Reshape", label);
    struct emit_name reshaped = berth_emit_simple(x, "Reshape", text, input, dims.text, rows);
    struct berth_onnx_shape shape = {BERTH_ONNX_F32, 4, {BERTH_ONNX_BATCH, heads, BERTH_ONNX_SEQUENCE, size}};
    if (keys) {
        shape.dims[2] = size;
        shape.dims[3] = BERTH_ONNX_SEQUENCE;
    }
    const struct berth_onnx_attribute order[] = {EMIT_INTS("perm", keys ? key_order : plain_order, 4)};
    snprintf(text, sizeof text, "%s/Transpose", label);
    return berth_emit_node(x, "Transpose", NULL, text, EMIT_INPUTS(reshaped.text), order, 1, &shape);
}

/* The three projections of one input: separate, or merged into one product and split. */
static void emit_projections(struct emit *x, const struct berth_layer *layer, const char *input,
                             struct emit_name out[3])
{
    static const char *const labels[] = {"query", "key", "value"};
    const struct berth_linear *const all[] = {&layer->query, &layer->key, &layer->value};
    if (!x->options->optimize) {
        for (size_t i = 0; i < 3; i++)
            out[i] = berth_emit_linear(x, labels[i], input, &all[i], 1);
        return;
    }
    int64_t c = (int64_t)x->encoder->config.hidden_size;
    const int64_t sizes[] = {c, c, c};
    struct emit_name merged = berth_emit_linear(x, "qkv", input, all, 3),
                     lengths = berth_emit_ints(x, "qkv_sizes", sizes, 3);
    const struct berth_onnx_attribute axis[] = {EMIT_INT("axis", -1)};
    for (size_t i = 0; i < 3; i++) {
        snprintf(out[i].text, sizeof out[i].text, "%s/%s", x->scope, labels[i]);
        berth_onnx_value(x->writer, BERTH_ONNX_BETWEEN, out[i].text, berth_emit_rows((size_t)c));
    }
    berth_onnx_node(x->writer, "Split", NULL, EMIT_INPUTS(merged.text, lengths.text),
                    EMIT_INPUTS(out[0].text, out[1].text, out[2].text), axis, 1);
}

static struct emit_name emit_attention(struct emit *x, const struct berth_layer *layer, const char *input,
                                       const char *mask)
{
    const struct berth_config *config = &x->encoder->config;
    int64_t heads = (int64_t)config->heads, c = (int64_t)config->hidden_size, size = c / heads;
    const int64_t join[] = {0, 0, c}, back[] = {0, 2, 1, 3};
    struct emit_name part[3];
    emit_projections(x, layer, input, part);
    struct emit_name query = split_heads(x, "query", part[0].text, false),
                     key = split_heads(x, "key", part[1].text, true),
                     value = split_heads(x, "value", part[2].text, false);
    struct berth_onnx_shape scores = {
        BERTH_ONNX_F32, 4, {BERTH_ONNX_BATCH, heads, BERTH_ONNX_SEQUENCE, BERTH_ONNX_SEQUENCE}};
    struct emit_name t = berth_emit_simple(x, "MatMul", "scores/MatMul", query.text, key.text, scores);
    t = berth_emit_simple(x, "Div", "scores/Div", t.text, berth_emit_scalar(x, sqrtf((float)size)).text,
                          scores);
    t = berth_emit_simple(x, "Add", "scores/Add", t.text, mask, scores);
    const struct berth_onnx_attribute axis[] = {EMIT_INT("axis", -1)};
    t = berth_emit_node(x, "Softmax", NULL, "Softmax", EMIT_INPUTS(t.text), axis, 1, &scores);
    struct berth_onnx_shape context = {
        BERTH_ONNX_F32, 4, {BERTH_ONNX_BATCH, heads, BERTH_ONNX_SEQUENCE, size}};
    t = berth_emit_simple(x, "MatMul", "context/MatMul", t.text, value.text, context);
    const struct berth_onnx_attribute order[] = {EMIT_INTS("perm", back, 4)};
    context =
        (struct berth_onnx_shape){BERTH_ONNX_F32, 4, {BERTH_ONNX_BATCH, BERTH_ONNX_SEQUENCE, heads, size}};
    t = berth_emit_node(x, "Transpose", NULL, "context/Transpose", EMIT_INPUTS(t.text), order, 1, &context);
    struct emit_name dims = berth_emit_ints(x, "join_heads", join, 3);
    return berth_emit_simple(x, "Reshape", "context/Reshape", t.text, dims.text, berth_emit_rows((size_t)c));
}

static struct emit_name emit_layer(struct emit *x, const struct berth_layer *layer, const char *input,
                                   const char *mask)
{
    struct berth_onnx_shape rows = berth_emit_rows(x->encoder->config.hidden_size);
    const struct berth_linear *linear = &layer->attention_out;
    static const struct berth_onnx_layer_ranges none;
    size_t index = (size_t)(layer - x->encoder->layers);
    const struct berth_onnx_layer_ranges *ranges =
        x->options->ranges ? &x->options->ranges->layers[index] : &none;
    berth_emit_set_range(x, &ranges->qkv);
    struct emit_name t = emit_attention(x, layer, input, mask);
    berth_emit_set_range(x, &ranges->attention_out);
    t = berth_emit_linear(x, "attention_out", t.text, &linear, 1);
    t = berth_emit_simple(x, "Add", "attention_out/residual", t.text, input, rows);
    struct emit_name middle = berth_emit_norm(x, "attention_norm", t.text, &layer->attention_norm);
    linear = &layer->ffn_in;
    berth_emit_set_range(x, &ranges->ffn_in);
    t = berth_emit_linear(x, "ffn_in", middle.text, &linear, 1);
    t = berth_emit_activation(x, x->encoder->config.activation, t.text,
                              berth_emit_rows(x->encoder->config.intermediate_size));
    linear = &layer->ffn_out;
    berth_emit_set_range(x, &ranges->ffn_out);
    t = berth_emit_linear(x, "ffn_out", t.text, &linear, 1);
    t = berth_emit_simple(x, "Add", "ffn_out/residual", t.text, middle.text, rows);
    return berth_emit_norm(x, "ffn_norm", t.text, &layer->ffn_norm);
}

/* --- the whole ------------------------------------------------------------------------------------ */

static struct emit_name emit_gemm(struct emit *x, const char *label, const char *input,
                                  const struct berth_linear *linear, struct berth_onnx_shape shape)
{
    struct emit_name weight = berth_emit_weight(x, &linear->weight),
                     bias = berth_emit_weight(x, &linear->bias);
    const struct berth_onnx_attribute transposed[] = {EMIT_INT("transB", 1)};
    return berth_emit_node(x, "Gemm", NULL, label, EMIT_INPUTS(input, weight.text, bias.text), transposed, 1,
                           &shape);
}

static void emit_head(struct emit *x, const char *input)
{
    const struct berth_encoder *encoder = x->encoder;
    struct berth_onnx_shape row = {
        BERTH_ONNX_F32, 2, {BERTH_ONNX_BATCH, (int64_t)encoder->config.hidden_size}};
    int64_t zero = 0;
    set_scope(x, "head");
    berth_onnx_constant(x->writer, "constant/first_token", (struct berth_onnx_shape){.type = BERTH_ONNX_I64},
                        &zero);
    const struct berth_onnx_attribute axis[] = {EMIT_INT("axis", 1)};
    struct emit_name t = berth_emit_node(x, "Gather", NULL, "first_token",
                                         EMIT_INPUTS(input, "constant/first_token"), axis, 1, &row);
    t = emit_gemm(x, "pooler", t.text, &encoder->pooler, row);
    t = berth_emit_activation(x, encoder->pooler_act, t.text, row);
    struct emit_name weight = berth_emit_weight(x, &encoder->classifier.weight),
                     bias = berth_emit_weight(x, &encoder->classifier.bias);
    const struct berth_onnx_attribute transposed[] = {EMIT_INT("transB", 1)};
    berth_onnx_node(x->writer, "Gemm", NULL, EMIT_INPUTS(t.text, weight.text, bias.text),
                    EMIT_INPUTS("logits"), transposed, 1);
    row.dims[1] = (int64_t)encoder->config.labels;
    berth_onnx_value(x->writer, BERTH_ONNX_OUTPUT, "logits", row);
}

static void emit_graph(struct emit *x)
{
    const struct berth_encoder *encoder = x->encoder;
    struct berth_onnx_shape ids = berth_emit_tokens(BERTH_ONNX_I64);
    bool fused = x->options->optimize && x->options->contrib;
    berth_onnx_value(x->writer, BERTH_ONNX_INPUT, "input_ids", ids);
    berth_onnx_value(x->writer, BERTH_ONNX_INPUT, "attention_mask", ids);
    if (encoder->type_embedding.elements)
        berth_onnx_value(x->writer, BERTH_ONNX_INPUT, "token_type_ids", ids);
    struct emit_name mask = fused ? berth_emit_fused_mask(x) : emit_mask(x);
    struct emit_name t = fused ? berth_emit_fused_embedding(x) : emit_embedding(x);
    if (encoder->project.weight.elements) {
        const struct berth_linear *project = &encoder->project;
        berth_emit_set_range(x, x->options->ranges ? &x->options->ranges->project : NULL);
        t = berth_emit_linear(x, "project", t.text, &project, 1);
    }
    for (size_t i = 0; i < encoder->config.layers; i++) {
        snprintf(x->scope, sizeof x->scope, "layer.%zu", i);
        t = (fused ? berth_emit_fused_layer : emit_layer)(x, &encoder->layers[i], t.text, mask.text);
    }
    emit_head(x, t.text);
}

/* What the file says of itself besides the graph: enough to name the answers. */
static void emit_metadata(struct emit *x)
{
    const struct berth_config *config = &x->encoder->config;
    json_t *labels = json_object();
    bool complete = true;
    char key[24];
    for (size_t i = 0; i < config->labels; i++) {
        snprintf(key, sizeof key, "%zu", i);
        complete = json_object_set_new(labels, key, json_string(config->label_names[i])) == 0 && complete;
    }
    char *text = complete ? berth_json_dump(labels, JSON_COMPACT) : NULL;
    berth_onnx_metadata(x->writer, "architecture", config->architecture);
    berth_onnx_metadata(x->writer, "problem_type", berth_problem_name(config->problem));
    berth_onnx_metadata(x->writer, "id2label", text); /* NULL: memory ran out */
    json_decref(labels);
    berth_free(text);
}

/* The whole graph, without its numbers. Both x->writer and x->items are the caller's to free. */
static enum berth_status build(struct emit *x, struct berth_error *err)
{
    const struct berth_encoder *encoder = x->encoder;
    const struct berth_onnx_export_options *options = x->options;
    if (!encoder->has_head)
        return berth_fail(
            err, BERTH_INVALID_ARGUMENT,
            "this model has no classifier, so there are no logits to export; fine-tune it first");
    if (options->opset < BERTH_OPSET_MIN || options->opset > BERTH_OPSET_MAX)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "opset %d: berth writes %d to %d", options->opset,
                          BERTH_OPSET_MIN, BERTH_OPSET_MAX);
    if (options->quantization == BERTH_ONNX_STATIC && (!options->ranges || options->contrib))
        return berth_fail(
            err, BERTH_INVALID_ARGUMENT,
            "static quantisation needs calibration data, and has no form in ONNX Runtime's own operators");
    x->items_max = encoder->config.layers * ITEMS_PER_LAYER + ITEMS_OUTSIDE;
    x->items = berth_calloc(x->items_max, sizeof *x->items);
    if (!x->items)
        return berth_fail_memory(err, "the list of weights", x->items_max * sizeof *x->items);
    enum berth_status status = berth_onnx_writer_new(options->opset, berth_emit_fill, x, &x->writer, err);
    if (status != BERTH_OK)
        return status;
    if (options->optimize && options->contrib)
        berth_onnx_domain(x->writer, "com.microsoft", 1);
    emit_metadata(x);
    emit_graph(x);
    return BERTH_OK;
}

static void clear(struct emit *x)
{
    berth_onnx_writer_free(x->writer);
    berth_free(x->items);
}

enum berth_status berth_onnx_export(const struct berth_encoder *encoder, const char *path,
                                    const struct berth_onnx_export_options *options,
                                    struct berth_onnx_files *files, struct berth_error *err)
{
    struct emit x = {.encoder = encoder, .options = options};
    *files = (struct berth_onnx_files){.external = false};
    enum berth_status status = build(&x, err);
    if (status == BERTH_OK)
        status = berth_onnx_write(x.writer, path, options->inline_limit, files, err);
    clear(&x);
    return status;
}

enum berth_status berth_onnx_export_stream(const struct berth_encoder *encoder,
                                           const struct berth_onnx_export_options *options, FILE *stream,
                                           struct berth_error *err)
{
    struct emit x = {.encoder = encoder, .options = options};
    enum berth_status status = build(&x, err);
    if (status == BERTH_OK)
        status = berth_onnx_write_stream(x.writer, stream, err);
    clear(&x);
    return status;
}
