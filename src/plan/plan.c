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

/* A product with its bias: fills in the shape and the weights, and has the input's twin made. */
static struct berth_step *add_linear(struct builder *b, struct berth_step step, const char *name,
                                     enum berth_number number, const struct berth_linear *linear)
{
    step.kind = BERTH_STEP_LINEAR;
    step.n = linear->weight.shape[0];
    step.k = linear->weight.shape[1];
    step.weights = new_matrix(b, number, step.n, step.k);
    pack_matrix(b, &linear->weight, &step.weights);
    step.bias = add_copy(b, &linear->bias);
    b->plan->slot_number[step.in] = number;
    return add_step(b, &step, name);
}

/* The classifier has few columns: its product takes no time, and in fp32 it costs no accuracy. Where int8
 * promises the same bits at every level it goes unpacked. */
static void add_classifier(struct builder *b, struct berth_step step, const struct berth_linear *linear)
{
    if (b->plan->number != BERTH_NUMBER_S8) {
        add_linear(b, step, "classifier", BERTH_NUMBER_F32, linear);
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
    step.weights = new_matrix(b, plan->number, 3 * part, c);
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
    b->plan->slot_number[BERTH_SLOT_X] = plan->number;
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
    size_t row = word->shape[1] * (plan->number == BERTH_NUMBER_S8 ? 1 : 2);
    if (plan->number == BERTH_NUMBER_F32) {
        copy_into(b, word, NULL);
        return;
    }
    plan->word_tiled = take(b, berth_tiled_size(word->shape[0], berth_tiled_row(row)), 1);
    if (plan->number == BERTH_NUMBER_S8)
        plan->word_scale = take(b, word->shape[0], sizeof(float));
    if (b->packing && b->status == BERTH_OK)
        b->status =
            berth_pack_rows(&b->packer, word, plan->number, plan->word_tiled, plan->word_scale, b->err);
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
        add_linear(b, project, "embedding projection", plan->number, &encoder->project);
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
    attention.number = b->plan->number == BERTH_NUMBER_S8 ? BERTH_NUMBER_S8 : BERTH_NUMBER_F32;
    add_step(b, &attention, "attention");

    struct berth_step out = step;
    out.in = BERTH_SLOT_CONTEXT;
    out.out = BERTH_SLOT_X;
    out.residual = true;
    set_norm(b, add_linear(b, out, "attention output", b->plan->number, &layer->attention_out),
             &layer->attention_norm);

    struct berth_step widen = step;
    widen.in = BERTH_SLOT_X;
    widen.out = BERTH_SLOT_FFN;
    widen.act = epilogue_of(b->plan->encoder->config.activation);
    add_linear(b, widen, "feed-forward in", b->plan->number, &layer->ffn_in);

    struct berth_step narrow = step;
    narrow.in = BERTH_SLOT_FFN;
    narrow.out = BERTH_SLOT_X;
    narrow.residual = true;
    narrow.hidden_state = true;
    set_norm(b, add_linear(b, narrow, "feed-forward out", b->plan->number, &layer->ffn_out),
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
    b->plan->slot_number[BERTH_SLOT_FIRST] = plan->number;
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
        add_linear(b, pooler, "pooler", b->plan->number, &encoder->pooler);
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

/* --- the plan ------------------------------------------------------------------------------------- */

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

    size_t nr = plan->number == BERTH_NUMBER_F32 ? plan->kernels->gemm_f32_nr : BERTH_PANEL_COLUMNS;
    plan->part = (plan->hidden + nr - 1) / nr * nr;
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

/* --- sizes and costs ------------------------------------------------------------------------------ */

size_t berth_plan_slot_rows(enum berth_slot slot, size_t tokens, size_t texts)
{
    bool per_text = slot == BERTH_SLOT_FIRST || slot == BERTH_SLOT_QUERY || slot == BERTH_SLOT_POOLED ||
                    slot == BERTH_SLOT_LOGITS;
    return per_text ? texts : tokens;
}

/* Slots in the order they are laid down. QKV and CONTEXT are dead once attention's output is in the residual
 * stream, just when FFN comes to life; EMBEDDED dies before QKV is born. */
static const struct {
    enum berth_slot slot;
    bool rewind; /* starts again where QKV begins */
} order[] = {
    {BERTH_SLOT_X, false},       {BERTH_SLOT_FIRST, false},  {BERTH_SLOT_QUERY, false},
    {BERTH_SLOT_POOLED, false},  {BERTH_SLOT_LOGITS, false}, {BERTH_SLOT_QKV, false},
    {BERTH_SLOT_CONTEXT, false}, {BERTH_SLOT_FFN, true},     {BERTH_SLOT_EMBEDDED, true},
};

size_t berth_plan_twin_row(const struct berth_plan *plan, enum berth_slot slot)
{
    if (plan->slot_number[slot] == BERTH_NUMBER_F32)
        return 0;
    return berth_tiled_row(plan->slot_width[slot] * (plan->slot_number[slot] == BERTH_NUMBER_S8 ? 1 : 2));
}

/* Bytes that `rows` rows of a slot take, laid out from `begin` on; false when that is beyond any memory. */
static bool place_slot(const struct berth_plan *plan, enum berth_slot slot, size_t rows, size_t begin,
                       struct berth_place *place, size_t *end)
{
    size_t width = plan->slot_width[slot], bytes;
    if (!berth_mul(rows, 8 * width + 64 + sizeof(float), &bytes) || bytes > SIZE_MAX / 8)
        return false; /* more than all of it */
    place->values = begin;
    place->twin = begin + berth_arena_need(rows * width, sizeof(float));
    place->scales =
        place->twin + berth_arena_need(berth_tiled_size(rows, berth_plan_twin_row(plan, slot)), 1);
    *end = place->scales;
    if (plan->slot_number[slot] == BERTH_NUMBER_S8)
        *end += berth_arena_need(rows, sizeof(float));
    return true;
}

size_t berth_plan_workspace(const struct berth_plan *plan, size_t tokens, size_t texts,
                            struct berth_place places[BERTH_SLOT_COUNT])
{
    size_t end = 0, shared = 0, total = 0;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        enum berth_slot slot = order[i].slot;
        struct berth_place place;
        if (slot == BERTH_SLOT_QKV)
            shared = end;
        if (order[i].rewind)
            end = shared;
        if (!place_slot(plan, slot, berth_plan_slot_rows(slot, tokens, texts), end, &place, &end))
            return SIZE_MAX / 4;
        if (places)
            places[slot] = place;
        end = berth_min(end, SIZE_MAX / 4);
        total = berth_max(total, end);
    }
    return total;
}

size_t berth_plan_weight_bytes(const struct berth_plan *plan)
{
    return plan->packed.size + (plan->word_tiled ? 0 : plan->word_embedding->bytes);
}

/* Of a number of the word embedding. */
static double word_bytes(const struct berth_plan *plan)
{
    if (plan->number == BERTH_NUMBER_F32)
        return (double)berth_dtype_size(plan->word_embedding->dtype);
    return plan->number == BERTH_NUMBER_S8 ? 1 : 2;
}

static double matrix_bytes(const struct berth_step *step)
{
    double numbers = (double)step->n * (double)step->k;
    switch (step->weights.number) {
        case BERTH_NUMBER_S8:
            return numbers + (double)step->n * (sizeof(float) + sizeof(int32_t));
        case BERTH_NUMBER_BF16:
            return numbers * 2;
        case BERTH_NUMBER_F32:
            break;
    }
    return numbers * sizeof(float);
}

static const char *linear_kernel(const struct berth_plan *plan, const struct berth_matrix *weights)
{
    if (weights->unpacked)
        return "f32_dense";
    switch (weights->number) {
        case BERTH_NUMBER_S8:
            return plan->kernels->gemm_s8_name;
        case BERTH_NUMBER_BF16:
            return plan->kernels->gemm_bf16_name;
        case BERTH_NUMBER_F32:
            break;
    }
    return plan->kernels->gemm_f32_name;
}

/* Bytes of a number as products read it. */
static double number_bytes(enum berth_number number)
{
    static const double bytes[] = {
        [BERTH_NUMBER_F32] = sizeof(float), [BERTH_NUMBER_BF16] = 2, [BERTH_NUMBER_S8] = 1};
    return bytes[number];
}

/* Bytes of a row of a slot's `columns` columns that a step writes: as floats, and rounded when the slot has a
 * twin. */
static double written_bytes(const struct berth_plan *plan, const struct berth_step *step, double columns)
{
    enum berth_number twin = plan->slot_number[step->out];
    return columns * (sizeof(float) + (twin == BERTH_NUMBER_F32 ? 0 : number_bytes(twin)));
}

struct berth_step_cost berth_step_cost(const struct berth_plan *plan, const struct berth_step *step,
                                       size_t texts, size_t length)
{
    static const char *const embed_kernels[] = {"f32_embed_layernorm", "bf16_embed_layernorm",
                                                "s8_embed_layernorm"};
    double rows = step->per_text ? (double)texts : (double)texts * (double)length;
    double n = (double)step->n, k = (double)step->k;
    struct berth_step_cost cost = {.kernel = "copy"};
    switch (step->kind) {
        case BERTH_STEP_EMBED:
            cost.kernel = embed_kernels[plan->number];
            cost.weight_bytes = rows * n * word_bytes(plan);
            cost.activation_bytes = rows * written_bytes(plan, step, n);
            cost.operations = rows * n * 8; /* two additions and a LayerNorm */
            break;
        case BERTH_STEP_LINEAR:
            cost.kernel = linear_kernel(plan, &step->weights);
            cost.weight_bytes =
                matrix_bytes(step) + n * ((step->bias ? 1 : 0) + (step->gamma ? 2 : 0)) * sizeof(float);
            cost.activation_bytes =
                rows * (k * number_bytes(step->weights.number) + written_bytes(plan, step, n) +
                        (step->residual ? n * sizeof(float) : 0));
            cost.operations = 2 * rows * n * k;
            break;
        case BERTH_STEP_ATTENTION:
            cost.kernel = step->number == BERTH_NUMBER_S8 ? plan->kernels->attention_s8_name
                                                          : plan->kernels->attention_f32_name;
            cost.activation_bytes = rows * ((double)plan->part * sizeof(float) +
                                            written_bytes(plan, step, (double)plan->hidden)) +
                                    2 * (double)texts * (double)length * (double)plan->part * sizeof(float);
            cost.operations = 4 * rows * (double)length * (double)plan->hidden;
            break;
        case BERTH_STEP_FIRST:
            cost.activation_bytes = rows * (n * sizeof(float) + written_bytes(plan, step, n));
            break;
    }
    return cost;
}

const char *berth_step_epilogue(const struct berth_plan *plan, const struct berth_step *step, char *text,
                                size_t size)
{
    static const char *const acts[] = {"", "gelu", "gelu (tanh)", "relu", "silu", "tanh"};
    static const char *const twins[] = {"", "to bf16", "to int8"};
    bool norm = step->gamma || step->kind == BERTH_STEP_EMBED;
    const char *parts[] = {step->kind == BERTH_STEP_LINEAR ? acts[step->act] : "",
                           step->residual ? "residual" : "", norm ? "LayerNorm" : "",
                           twins[plan->slot_number[step->out]]};
    text[0] = 0;
    for (size_t i = 0, used = 0; i < sizeof parts / sizeof parts[0] && used < size; i++) {
        if (parts[i][0])
            used += (size_t)snprintf(text + used, size - used, "%s%s", used ? ", " : "", parts[i]);
    }
    return text;
}
