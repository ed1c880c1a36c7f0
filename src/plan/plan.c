/* plan.c: writes a model down as steps. The same walk goes twice: first to size the packed weights, then,
 * with the memory there, to pack them and fill the steps in. */
#include "plan/plan.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "plan/pack.h"

enum { STEPS_PER_LAYER = 5, STEPS_OUTSIDE = 16 };

struct builder {
    struct berth_plan *plan;
    struct berth_packer packer;
    bool packing; /* the second walk */
    size_t need;  /* bytes of packed weights, summed by the first walk */
    enum berth_status status;
    struct berth_error *err;
};

/* --- weights -------------------------------------------------------------------------------------- */

/* Memory for packed weights: NULL while sizing. Need is summed without wrapping: berth_arena_need saturates
 * low enough for a few additions, and the sum stays there. */
static void *take(struct builder *b, size_t count, size_t size)
{
    if (b->packing)
        return berth_arena_take(&b->plan->packed, count, size);
    b->need = berth_min(b->need + berth_arena_need(count, size), SIZE_MAX / 4);
    return NULL;
}

static struct berth_matrix new_matrix(struct builder *b, enum berth_number number, size_t n, size_t k)
{
    struct berth_matrix matrix = {.number = number, .n = n, .k = k};
    matrix.data = take(b, berth_matrix_bytes(b->plan->kernels, number, n, k), 1);
    if (number == BERTH_NUMBER_S8) {
        size_t columns = berth_round_up(n, BERTH_PANEL_COLUMNS);
        matrix.scale = take(b, columns, sizeof(float));
        matrix.offset = take(b, columns, sizeof(int32_t));
    }
    return matrix;
}

static void pack_matrix(struct builder *b, const struct berth_tensor *weight,
                        const struct berth_matrix *matrix)
{
    if (b->packing && b->status == BERTH_OK)
        b->status = berth_pack_matrix(&b->packer, weight, matrix, b->err);
}

static void copy_into(struct builder *b, const struct berth_tensor *weight, float *out)
{
    if (b->packing && b->status == BERTH_OK)
        b->status = berth_pack_copy(&b->packer, weight, out, b->err);
}

static const float *add_copy(struct builder *b, const struct berth_tensor *weight)
{
    if (weight->elements == 0)
        return NULL;
    float *out = take(b, weight->elements, sizeof *out);
    copy_into(b, weight, out);
    return out;
}

/* --- steps ---------------------------------------------------------------------------------------- */

/* Both walks write the same steps; the second one with their weights. */
static struct berth_step *add_step(struct builder *b, const struct berth_step *step, const char *name)
{
    struct berth_plan *plan = b->plan;
    struct berth_step *added = &plan->steps[plan->step_count++];
    *added = *step;
    if (step->layer >= 0)
        snprintf(added->name, sizeof added->name, "layer %d %s", step->layer, name);
    else
        snprintf(added->name, sizeof added->name, "%s", name);
    return added;
}

/* The plan's numbers, or the finer ones that a weight is kept in. */
static enum berth_number finer(const struct berth_plan *plan, enum berth_stored keep)
{
    if (keep == BERTH_STORED_FP32)
        return BERTH_NUMBER_F32;
    return keep == BERTH_STORED_BF16 && plan->number == BERTH_NUMBER_S8 ? BERTH_NUMBER_BF16 : plan->number;
}

/* A product with its bias: fills in the shape and the weights. */
static struct berth_step *add_linear(struct builder *b, struct berth_step step, const char *name,
                                     const struct berth_linear *linear)
{
    const enum berth_number number = finer(b->plan, linear->keep);
    step.kind = BERTH_STEP_LINEAR;
    step.n = linear->weight.shape[0];
    step.k = linear->weight.shape[1];
    step.weights = new_matrix(b, number, step.n, step.k);
    pack_matrix(b, &linear->weight, &step.weights);
    step.bias = add_copy(b, &linear->bias);
    return add_step(b, &step, name);
}

/* The classifier has few columns: its product takes no time, and in fp32 it costs no accuracy. Where int8
 * promises the same bits at every level it goes unpacked. */
static void add_classifier(struct builder *b, struct berth_step step, const struct berth_linear *linear)
{
    if (b->plan->number != BERTH_NUMBER_S8) {
        struct berth_linear exact = *linear;
        exact.keep = BERTH_STORED_FP32;
        add_linear(b, step, "classifier", &exact);
        return;
    }
    step.kind = BERTH_STEP_LINEAR;
    step.n = linear->weight.shape[0];
    step.k = linear->weight.shape[1];
    float *rows = take(b, linear->weight.elements, sizeof *rows);
    copy_into(b, &linear->weight, rows);
    step.weights = (struct berth_matrix){.unpacked = true, .n = step.n, .k = step.k, .data = rows};
    step.bias = add_copy(b, &linear->bias);
    add_step(b, &step, "classifier");
}

static void set_norm(struct builder *b, struct berth_step *step, const struct berth_norm *norm)
{
    step->gamma = add_copy(b, &norm->gamma);
    step->beta = add_copy(b, &norm->beta);
}

/* Queries, keys and values as one product over the same input. Each part is padded to whole panels (with zero
 * weights), so that it can also be used on its own. */
static struct berth_step *add_qkv(struct builder *b, struct berth_step step, const struct berth_layer *layer)
{
    const struct berth_linear *parts[3] = {&layer->query, &layer->key, &layer->value};
    const struct berth_plan *plan = b->plan;
    size_t part = plan->part, c = plan->hidden;
    step.weights = new_matrix(b, finer(plan, layer->query.keep), 3 * part, c);
    float *bias = take(b, 3 * part, sizeof *bias);
    for (size_t i = 0; i < 3; i++) {
        struct berth_matrix columns = berth_matrix_columns(&step.weights, plan->kernels, i * part, part);
        pack_matrix(b, &parts[i]->weight, &columns);
        if (bias)
            memset(bias + i * part, 0, part * sizeof(float));
        copy_into(b, &parts[i]->bias, bias ? bias + i * part : NULL);
    }
    step.kind = BERTH_STEP_LINEAR;
    step.in = BERTH_SLOT_X;
    step.out = BERTH_SLOT_QKV;
    step.n = 3 * part;
    step.k = c;
    step.bias = bias;
    return add_step(b, &step, "queries, keys, values");
}

static enum berth_epilogue_act epilogue_of(enum berth_activation act)
{
    switch (act) {
        case BERTH_ACT_GELU_ERF:
            return BERTH_K_GELU_ERF;
        case BERTH_ACT_GELU_TANH:
            return BERTH_K_GELU_TANH;
        case BERTH_ACT_RELU:
            return BERTH_K_RELU;
        case BERTH_ACT_SILU:
            return BERTH_K_SILU;
        case BERTH_ACT_TANH:
            return BERTH_K_TANH;
        default:
            return BERTH_K_NONE;
    }
}

/* fp32 gathers the rows as they are stored, so that they are only checked here. */
static void add_words(struct builder *b, const struct berth_tensor *word)
{
    struct berth_plan *plan = b->plan;
    const enum berth_number number = plan->word_number;
    size_t row = word->shape[1] * (number == BERTH_NUMBER_S8 ? 1 : 2);
    if (number == BERTH_NUMBER_F32) {
        copy_into(b, word, NULL);
        return;
    }
    plan->word_tiled = take(b, berth_tiled_size(word->shape[0], berth_tiled_row(row)), 1);
    if (number == BERTH_NUMBER_S8)
        plan->word_scale = take(b, word->shape[0], sizeof(float));
    if (b->packing && b->status == BERTH_OK)
        b->status = berth_pack_rows(&b->packer, word, number, plan->word_tiled, plan->word_scale, b->err);
}

static void add_embedding(struct builder *b)
{
    struct berth_plan *plan = b->plan;
    const struct berth_encoder *encoder = plan->encoder;
    bool projected = encoder->project.weight.elements != 0;
    add_words(b, &encoder->word_embedding);
    plan->position_embedding = add_copy(b, &encoder->position_embedding);
    plan->type_embedding = add_copy(b, &encoder->type_embedding);
    plan->embedding_gamma = add_copy(b, &encoder->embedding_norm.gamma);
    plan->embedding_beta = add_copy(b, &encoder->embedding_norm.beta);
    struct berth_step embed = {.kind = BERTH_STEP_EMBED,
                               .out = projected ? BERTH_SLOT_EMBEDDED : BERTH_SLOT_X,
                               .n = plan->embedding,
                               .layer = -1,
                               .hidden_state = !projected};
    add_step(b, &embed, "embedding");
    if (projected) {
        struct berth_step project = {
            .in = BERTH_SLOT_EMBEDDED, .out = BERTH_SLOT_X, .layer = -1, .hidden_state = true};
        add_linear(b, project, "embedding projection", &encoder->project);
    }
}

/* One layer over all tokens: five steps. */
static void add_layer(struct builder *b, int index, enum berth_step_when when)
{
    const struct berth_layer *layer = &b->plan->encoder->layers[index];
    struct berth_step step = {.when = when, .layer = index};
    add_qkv(b, step, layer);

    struct berth_step attention = step;
    attention.kind = BERTH_STEP_ATTENTION;
    attention.in = BERTH_SLOT_QKV;
    attention.out = BERTH_SLOT_CONTEXT;
    attention.number =
        finer(b->plan, layer->query.keep) == BERTH_NUMBER_S8 ? BERTH_NUMBER_S8 : BERTH_NUMBER_F32;
    add_step(b, &attention, "attention");

    struct berth_step out = step;
    out.in = BERTH_SLOT_CONTEXT;
    out.out = BERTH_SLOT_X;
    out.residual = true;
    set_norm(b, add_linear(b, out, "attention output", &layer->attention_out),
             &layer->attention_norm);

    struct berth_step widen = step;
    widen.in = BERTH_SLOT_X;
    widen.out = BERTH_SLOT_FFN;
    widen.act = epilogue_of(b->plan->encoder->config.activation);
    add_linear(b, widen, "feed-forward in", &layer->ffn_in);

    struct berth_step narrow = step;
    narrow.in = BERTH_SLOT_FFN;
    narrow.out = BERTH_SLOT_X;
    narrow.residual = true;
    narrow.hidden_state = true;
    set_norm(b, add_linear(b, narrow, "feed-forward out", &layer->ffn_out),
             &layer->ffn_norm);
}

static void add_first(struct builder *b, enum berth_step_when when, int layer)
{
    struct berth_step step = {.kind = BERTH_STEP_FIRST,
                              .when = when,
                              .in = BERTH_SLOT_X,
                              .out = BERTH_SLOT_FIRST,
                              .n = b->plan->hidden,
                              .layer = layer,
                              .per_text = true};
    add_step(b, &step, "first tokens");
}

/* The last layer again, for first tokens only: the weights of `full` (its five steps) with rows of texts. */
static void add_last_layer_first_only(struct builder *b, size_t full)
{
    const struct berth_plan *plan = b->plan;
    const struct berth_step *steps = plan->steps + full;
    const struct berth_step *qkv = &steps[0];

    struct berth_step keys_values = *qkv;
    keys_values.when = BERTH_WHEN_FIRST_ONLY;
    keys_values.n = 2 * plan->part;
    keys_values.column = plan->part;
    keys_values.weights = berth_matrix_columns(&qkv->weights, plan->kernels, plan->part, 2 * plan->part);
    keys_values.bias = qkv->bias ? qkv->bias + plan->part : NULL;
    add_step(b, &keys_values, "keys, values");

    add_first(b, BERTH_WHEN_FIRST_ONLY, qkv->layer);

    struct berth_step query = *qkv;
    query.when = BERTH_WHEN_FIRST_ONLY;
    query.in = BERTH_SLOT_FIRST;
    query.out = BERTH_SLOT_QUERY;
    query.n = plan->part;
    query.weights = berth_matrix_columns(&qkv->weights, plan->kernels, 0, plan->part);
    query.per_text = true;
    add_step(b, &query, "queries of first tokens");

    static const char *const names[4] = {"attention of first tokens", "attention output of first tokens",
                                         "feed-forward in of first tokens",
                                         "feed-forward out of first tokens"};
    static const enum berth_slot in[4] = {BERTH_SLOT_QUERY, BERTH_SLOT_CONTEXT, BERTH_SLOT_FIRST,
                                          BERTH_SLOT_FFN};
    static const enum berth_slot out[4] = {BERTH_SLOT_CONTEXT, BERTH_SLOT_FIRST, BERTH_SLOT_FFN,
                                           BERTH_SLOT_FIRST};
    for (int i = 0; i < 4; i++) {
        struct berth_step step = steps[1 + i];
        step.when = BERTH_WHEN_FIRST_ONLY;
        step.in = in[i];
        step.out = out[i];
        step.per_text = true;
        step.hidden_state = false;
        add_step(b, &step, names[i]);
    }
}

static void add_head(struct builder *b)
{
    const struct berth_encoder *encoder = b->plan->encoder;
    if (encoder->pooler.weight.elements) {
        struct berth_step pooler = {.in = BERTH_SLOT_FIRST,
                                    .out = BERTH_SLOT_POOLED,
                                    .act = epilogue_of(encoder->pooler_act),
                                    .layer = -1,
                                    .per_text = true};
        add_linear(b, pooler, "pooler", &encoder->pooler);
    }
    if (encoder->has_head) {
        struct berth_step classifier = {
            .in = BERTH_SLOT_POOLED, .out = BERTH_SLOT_LOGITS, .layer = -1, .per_text = true};
        add_classifier(b, classifier, &encoder->classifier);
    }
}

static void walk(struct builder *b)
{
    struct berth_plan *plan = b->plan;
    plan->step_count = 0;
    add_embedding(b);
    for (size_t i = 0; i + 1 < plan->layers; i++)
        add_layer(b, (int)i, BERTH_WHEN_ALWAYS);
    size_t last = plan->step_count;
    add_layer(b, (int)plan->layers - 1, BERTH_WHEN_ALL_TOKENS);
    add_first(b, BERTH_WHEN_ALL_TOKENS, -1);
    add_last_layer_first_only(b, last);
    add_head(b);
}

/* --- twins ---------------------------------------------------------------------------------------- */

/* True when no run has both steps. */
static bool are_apart(const struct berth_step *a, const struct berth_step *b)
{
    return a->when != BERTH_WHEN_ALWAYS && b->when != BERTH_WHEN_ALWAYS && a->when != b->when;
}

/* The numbers that the next product over a step's result multiplies; F32 when it is written anew before one. */
static enum berth_number next_reader(const struct berth_plan *plan, size_t index)
{
    const struct berth_step *from = &plan->steps[index];
    for (size_t i = index + 1; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (are_apart(from, step))
            continue;
        if (step->in == from->out && step->kind == BERTH_STEP_LINEAR)
            return step->weights.number;
        if (step->out == from->out)
            break;
    }
    return BERTH_NUMBER_F32;
}

static void set_twins(struct berth_plan *plan)
{
    for (size_t i = 0; i < plan->step_count; i++) {
        struct berth_step *step = &plan->steps[i];
        size_t *row = &plan->twin_row[step->out];
        step->twin = next_reader(plan, i);
        if (step->twin != BERTH_NUMBER_F32)
            *row = berth_max(*row, berth_plan_twin_row(plan, step->out, step->twin));
    }
}

/* --- the plan ------------------------------------------------------------------------------------- */

/* What queries, keys and values are padded to: whole panels of the numbers that any layer has, all of them
 * powers of two. */
static size_t part_step(const struct berth_plan *plan)
{
    size_t step = 1;
    for (size_t i = 0; i < plan->layers; i++)
        step = berth_max(step, finer(plan, plan->encoder->layers[i].query.keep) == BERTH_NUMBER_F32
                                   ? plan->kernels->gemm_f32_nr
                                   : BERTH_PANEL_COLUMNS);
    return step;
}

static void describe(struct berth_plan *plan)
{
    const struct berth_encoder *encoder = plan->encoder;
    const struct berth_config *config = &encoder->config;
    plan->hidden = config->hidden_size;
    plan->embedding = config->embedding_size;
    plan->heads = config->heads;
    plan->head_size = config->hidden_size / config->heads;
    plan->ffn = config->intermediate_size;
    plan->layers = config->layers;
    plan->labels = encoder->has_head ? config->labels : 0;
    plan->max_positions = config->max_positions;
    plan->vocab_size = config->vocab_size;
    plan->type_vocab_size = encoder->type_embedding.elements ? config->type_vocab_size : 0;
    plan->word_embedding = &encoder->word_embedding;
    plan->eps = (float)config->layer_norm_eps;

    plan->word_number = finer(plan, encoder->word_keep);
    plan->part = berth_round_up(plan->hidden, part_step(plan));
    size_t *width = plan->slot_width;
    width[BERTH_SLOT_EMBEDDED] = encoder->project.weight.elements ? plan->embedding : 0;
    width[BERTH_SLOT_X] = plan->hidden;
    width[BERTH_SLOT_QKV] = 3 * plan->part;
    width[BERTH_SLOT_CONTEXT] = plan->hidden;
    width[BERTH_SLOT_FFN] = plan->ffn;
    width[BERTH_SLOT_FIRST] = plan->hidden;
    width[BERTH_SLOT_QUERY] = plan->part;
    width[BERTH_SLOT_POOLED] = encoder->pooler.weight.elements ? plan->hidden : 0;
    width[BERTH_SLOT_LOGITS] = plan->labels;
}

/* Largest K of any product. */
static size_t widest(const struct berth_plan *plan)
{
    return berth_max(plan->embedding, berth_max(plan->hidden, plan->ffn));
}

enum berth_status berth_plan_new(struct berth_encoder *encoder, const struct berth_kernels *kernels,
                                 const struct berth_plan_options *options, struct berth_team *team,
                                 struct berth_plan **out, struct berth_error *err)
{
    enum berth_status status;
    struct builder b = {.err = err};
    *out = NULL;
    struct berth_plan *plan = berth_calloc(1, sizeof *plan);
    if (!plan) {
        berth_encoder_free(encoder);
        return berth_fail_memory(err, "the plan", sizeof *plan);
    }
    plan->encoder = encoder;
    plan->kernels = kernels;
    plan->number = options ? options->number : BERTH_NUMBER_F32;
    plan->l2 = options && options->l2 ? options->l2 : 1 << 20;
    describe(plan);
    plan->steps = berth_calloc(plan->layers * STEPS_PER_LAYER + STEPS_OUTSIDE, sizeof *plan->steps);
    if (!plan->steps) {
        status =
            berth_fail_memory(err, "the plan's steps", plan->layers * STEPS_PER_LAYER * sizeof *plan->steps);
        goto fail;
    }
    b.plan = plan;
    walk(&b);
    if (!berth_arena_init(&plan->packed, b.need)) {
        status = berth_fail_memory(err, "packed weights", b.need);
        goto fail;
    }
    BERTH_TRY(berth_packer_init(&b.packer, encoder, kernels, team, widest(plan), err));
    b.packing = true;
    walk(&b);
    BERTH_TRY(b.status);
    set_twins(plan);
    BERTH_TRY(berth_encoder_settle(encoder, plan->word_tiled == NULL, err));
    berth_packer_clear(&b.packer);
    *out = plan;
    return BERTH_OK;
fail:
    berth_packer_clear(&b.packer);
    berth_plan_free(plan);
    return status;
}

void berth_plan_free(struct berth_plan *plan)
{
    if (!plan)
        return;
    berth_arena_clear(&plan->packed);
    berth_free(plan->steps);
    berth_encoder_free(plan->encoder);
    berth_free(plan);
}

bool berth_step_runs(const struct berth_step *step, bool first_only)
{
    return step->when == BERTH_WHEN_ALWAYS || (step->when == BERTH_WHEN_FIRST_ONLY) == first_only;
}

static void widen_tiled_row(const struct berth_plan *plan, size_t id, float *out)
{
    enum { CHUNK = BERTH_TILE_BYTES / 2 };
    size_t e = plan->embedding, row_bytes = berth_tiled_row(2 * e);
    for (size_t i = 0; i < e; i += CHUNK) {
        const uint8_t *row = plan->word_tiled + berth_tiled_offset(id, 2 * i, row_bytes);
        plan->kernels->widen_bf16(out + i, (const uint16_t *)(const void *)row, berth_min(CHUNK, e - i));
    }
}

const float *berth_plan_word(const struct berth_plan *plan, size_t id, float *scratch)
{
    const struct berth_tensor *word = plan->word_embedding;
    if (plan->word_scale)
        plan->kernels->dequantize_s8(scratch, plan->word_tiled, plan->word_scale[id], id, plan->embedding);
    else if (plan->word_tiled)
        widen_tiled_row(plan, id, scratch);
    else if (word->dtype == BERTH_DTYPE_F32 && (uintptr_t)word->data % sizeof(float) == 0)
        return (const float *)word->data + id * plan->embedding;
    else
        berth_tensor_read_f32(word, id * plan->embedding, plan->embedding, scratch);
    return scratch;
}
