/* network.c: the arena, and the order of operations forward and backward. */
#include "train/network.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

/* --- life ----------------------------------------------------------------------------------------- */

static enum berth_epilogue_act kernel_act(enum berth_activation act)
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
        case BERTH_ACT_NONE:
            break;
    }
    return BERTH_K_NONE;
}

struct sizer {
    struct berth_network *network;
    size_t need;
};

/* Hands out the arena, or sums what it must hold when it has no block yet. */
static void *take(struct sizer *s, size_t rows, size_t columns, size_t size)
{
    size_t count;
    if (!berth_mul(rows, columns, &count))
        count = SIZE_MAX / 4;
    s->need = berth_min(s->need + berth_arena_need(count, size), SIZE_MAX / 4);
    return berth_arena_take(&s->network->arena, count, size);
}

static float *take_floats(struct sizer *s, size_t rows, size_t columns)
{
    return take(s, rows, columns, sizeof(float));
}

static void take_layer(struct sizer *s, size_t index)
{
    struct berth_network *network = s->network;
    const struct berth_weights *weights = network->weights;
    struct berth_kept_layer *kept = &network->layer[index];
    size_t c = weights->hidden, f = weights->ffn, tokens = network->max_tokens;
    bool last = index + 1 == weights->layers && !weights->masked;
    size_t rows = last ? network->max_texts : tokens;
    *kept = (struct berth_kept_layer){0};
    if (index > 0 && index < network->sharing) {
        *kept = network->layer[0];
        kept->again = index + 1 < network->sharing;
        kept->out = take_floats(s, rows, c);
        return;
    }
    kept->again = index + 1 < network->sharing;
    kept->gathered = last ? take_floats(s, rows, c) : NULL;
    kept->query = take_floats(s, rows, c);
    kept->key_value = take_floats(s, tokens, 2 * c);
    kept->share = last ? take_floats(s, rows * weights->heads, berth_round_up(weights->positions, 16))
                       : take_floats(s, network->max_pairs, weights->heads);
    kept->context = take_floats(s, rows, c);
    kept->attention_sum = take_floats(s, rows, c);
    kept->attention_out = take_floats(s, rows, c);
    kept->ffn_sum = take_floats(s, rows, f);
    kept->ffn_act = take_floats(s, rows, f);
    kept->sum = take_floats(s, rows, c);
    kept->out = take_floats(s, rows, c);
}

/* The three products of one linear map over `rows` rows. */
static void need_linear(struct berth_crew_needs *needs, const struct berth_crew *crew,
                        const struct berth_train_linear *linear, size_t rows)
{
    berth_crew_need(needs, crew, rows, linear->n, linear->k);
    berth_crew_need(needs, crew, rows, linear->k, linear->n);
    berth_crew_need(needs, crew, linear->n, linear->k, rows);
}

static void take_crew(struct sizer *s, size_t longest)
{
    struct berth_network *network = s->network;
    const struct berth_weights *weights = network->weights;
    const struct berth_train_layer *layer = &weights->layer[0]; /* all are alike */
    struct berth_crew *crew = &network->crew;
    size_t tokens = network->max_tokens;
    const struct berth_train_linear *linears[] = {
        &layer->query,   &layer->key_value, &layer->attention_out, &layer->ffn_in,
        &layer->ffn_out, &weights->pooler,  &weights->classifier,  &weights->project};
    struct berth_crew_needs needs = {
        .scratch = berth_network_attend_scratch(crew->kernels, longest, weights->hidden / weights->heads)};
    for (size_t i = 0; i < sizeof linears / sizeof linears[0]; i++)
        need_linear(&needs, crew, linears[i], tokens);
    const struct berth_train_linear output = {.n = weights->vocab, .k = weights->embedding};
    if (weights->masked) {
        need_linear(&needs, crew, &weights->transform, network->max_masked);
        need_linear(&needs, crew, &output, network->max_masked);
    }
    crew->packed = take_floats(s, needs.packed, 1);
    crew->turned = take_floats(s, needs.turned, 1);
    crew->partial =
        take_floats(s, berth_crew_partials(tokens), 2 * berth_max(weights->hidden, weights->embedding));
    crew->scratch_floats = berth_round_up(needs.scratch, 16);
    crew->scratch = take_floats(s, crew->threads, crew->scratch_floats);
}

static size_t lay_out(struct berth_network *network, size_t longest)
{
    struct sizer s = {.network = network};
    const struct berth_weights *weights = network->weights;
    size_t c = weights->hidden, tokens = network->max_tokens, texts = network->max_texts;
    network->offsets = take(&s, texts + 1, 1, sizeof *network->offsets);
    network->pairs = take(&s, texts + 1, 1, sizeof *network->pairs);
    network->order = take(&s, texts, 1, sizeof *network->order);
    network->ids = take(&s, tokens, 1, sizeof *network->ids);
    network->types = take(&s, tokens, 1, sizeof *network->types);
    network->positions = take(&s, tokens, 1, sizeof *network->positions);
    network->embedded = take_floats(&s, tokens, weights->embedding);
    network->normed = take_floats(&s, tokens, weights->embedding);
    network->projected = weights->has_project ? take_floats(&s, tokens, c) : NULL;
    for (size_t i = 0; i < weights->layers; i++)
        take_layer(&s, i);
    network->head_in = take_floats(&s, texts, c);
    network->pool_sum = take_floats(&s, texts, c);
    network->pool_out = take_floats(&s, texts, c);
    size_t masked = weights->masked ? network->max_masked : 0;
    network->logits = take_floats(&s, masked ? masked : texts, masked ? weights->vocab : weights->labels);
    network->slots = take(&s, masked, 1, sizeof *network->slots);
    network->masked_loss = take_floats(&s, masked, 2);
    network->masked_in = take_floats(&s, masked, c);
    network->masked_sum = take_floats(&s, masked, weights->embedding);
    network->masked_act = take_floats(&s, masked, weights->embedding);
    network->masked_out = take_floats(&s, masked, weights->embedding);
    network->d_out = take_floats(&s, tokens, berth_max(c, weights->embedding));
    network->d_mid = take_floats(&s, tokens, berth_max(c, weights->embedding));
    network->d_ffn = take_floats(&s, tokens, berth_max(weights->ffn, c));
    network->d_query = take_floats(&s, tokens, c);
    network->d_key_value = take_floats(&s, tokens, 2 * c);
    take_crew(&s, longest);
    return s.need;
}

/* Lets as few layers share their activations as the bound asks for; returns the bytes of the arena. */
static size_t plan_memory(struct berth_network *network, const struct berth_network_bounds *bounds)
{
    size_t layers = network->weights->layers - !network->weights->masked; /* the last one's are few */
    size_t need = lay_out(network, bounds->longest);
    for (network->sharing = 2; bounds->memory && need > bounds->memory && network->sharing <= layers;
         network->sharing++)
        need = lay_out(network, bounds->longest);
    network->sharing--;
    return need;
}

static enum berth_status take_memory(struct berth_network *network, const struct berth_network_bounds *bounds,
                                     struct berth_error *err)
{
    size_t need = plan_memory(network, bounds);
    if (bounds->memory && need > bounds->memory)
        return berth_fail(
            err, BERTH_LIMIT,
            "activations need %zu bytes even when all layers but one compute theirs again, and %zu "
            "are allowed; allow more, or use a smaller --batch-size or --max-length",
            need, bounds->memory);
    if (!berth_arena_init(&network->arena, need))
        return berth_fail_memory(
            err, "activations; a smaller --batch-size, --max-length or --activation-memory needs less", need);
    lay_out(network, bounds->longest);
    return BERTH_OK;
}

enum berth_status berth_network_new(const struct berth_encoder *encoder, const struct berth_weights *weights,
                                    const struct berth_kernels *kernels, struct berth_team *team,
                                    const struct berth_network_bounds *bounds, struct berth_network **out,
                                    struct berth_error *err)
{
    *out = NULL;
    struct berth_network *network = berth_calloc(1, sizeof *network);
    if (!network)
        return berth_fail_memory(err, "the network", sizeof *network);
    const struct berth_config *config = &encoder->config;
    network->weights = weights;
    network->crew = (struct berth_crew){.kernels = kernels, .team = team, .threads = berth_team_size(team)};
    network->act = kernel_act(config->activation);
    network->pooler_act = kernel_act(encoder->pooler_act);
    network->family = config->family;
    network->pad = config->pad_token_id;
    network->eps = (float)config->layer_norm_eps;
    network->max_tokens = bounds->tokens;
    network->max_texts = bounds->texts;
    network->max_pairs = bounds->pairs;
    network->max_masked = berth_network_slots(bounds->tokens);
    network->layer = berth_calloc(weights->layers, sizeof *network->layer);
    enum berth_status status =
        network->layer ? take_memory(network, bounds, err)
                       : berth_fail_memory(err, "layers", weights->layers * sizeof *network->layer);
    if (status != BERTH_OK) {
        berth_network_free(network);
        return status;
    }
    *out = network;
    return BERTH_OK;
}

void berth_network_free(struct berth_network *network)
{
    if (!network)
        return;
    berth_arena_clear(&network->arena);
    berth_free(network->layer);
    berth_free(network);
}

/* --- the batch ------------------------------------------------------------------------------------ */

/* Longest first, so that no thread is left with a long text at the end; ties stay in order. */
static void order_texts(struct berth_network *network)
{
    for (size_t i = 0; i < network->texts; i++) {
        size_t length = network->offsets[i + 1] - network->offsets[i], at = i;
        for (; at > 0; at--) {
            size_t other = network->order[at - 1];
            if (network->offsets[other + 1] - network->offsets[other] >= length)
                break;
            network->order[at] = other;
        }
        network->order[at] = i;
    }
}

static void take_batch(struct berth_network *network, const struct berth_train_batch *batch)
{
    network->texts = batch->texts;
    network->tokens = batch->offsets[batch->texts];
    network->masked = batch->masked;
    if (batch->masked)
        memcpy(network->slots, batch->slots, batch->masked * sizeof *network->slots);
    network->pairs[0] = 0;
    memcpy(network->offsets, batch->offsets, (batch->texts + 1) * sizeof *network->offsets);
    memcpy(network->ids, batch->ids, network->tokens * sizeof *network->ids);
    memcpy(network->types, batch->type_ids, network->tokens);
    for (size_t i = 0; i < batch->texts; i++) {
        size_t length = batch->offsets[i + 1] - batch->offsets[i];
        network->pairs[i + 1] = network->pairs[i] + berth_network_pairs(length);
        for (size_t j = 0; j < length; j++)
            network->positions[batch->offsets[i] + j] = (int32_t)j;
    }
    order_texts(network);
}

/* --- dropout -------------------------------------------------------------------------------------- */

static double rate_of(const struct berth_train_rates *rates, enum berth_family family, enum berth_dropout_site site)
{
    switch (site) {
        case BERTH_DROP_EMBEDDING:
        case BERTH_DROP_FFN:
            return rates->hidden;
        case BERTH_DROP_ATTENTION: /* DistilBERT has none there */
            return family == BERTH_FAMILY_DISTILBERT ? 0 : rates->hidden;
        case BERTH_DROP_SHARE:
            return rates->attention;
        case BERTH_DROP_HEAD_IN: /* ELECTRA alone drops before its head's dense layer */
            return family == BERTH_FAMILY_ELECTRA ? rates->classifier : 0;
        case BERTH_DROP_HEAD_OUT:
            return rates->classifier;
        case BERTH_DROP_SITES:
            break;
    }
    return 0;
}

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

const struct berth_dropout *berth_dropout_at(const struct berth_train_rates *rates, enum berth_family family,
                                             size_t layer, enum berth_dropout_site site,
                                             struct berth_dropout *dropout)
{
    double rate = rates ? rate_of(rates, family, site) : 0;
    if (rate <= 0)
        return NULL;
    uint64_t place = mix(rates->step * 0x9e3779b97f4a7c15u + layer * BERTH_DROP_SITES + site + 1);
    dropout->key = mix(rates->seed ^ place);
    dropout->threshold = (uint32_t)(rate * 0x1p32);
    dropout->scale = (float)(1 / (1 - rate));
    return dropout;
}

const struct berth_dropout *berth_network_dropout(const struct berth_network *network, size_t layer,
                                                  enum berth_dropout_site site, struct berth_dropout *dropout)
{
    return berth_dropout_at(network->drops ? &network->rates : NULL, network->family, layer, site, dropout);
}

/* out = dropped x + residual, by the dropout of a site */
static void drop(const struct berth_network *network, size_t layer, enum berth_dropout_site site, float *out,
                 const float *x, const float *residual, size_t rows, size_t columns)
{
    struct berth_dropout dropout;
    berth_rows_dropout(&network->crew, out, x, residual, rows, columns,
                       berth_network_dropout(network, layer, site, &dropout));
}

static void use_bf16(struct berth_network *network, bool bf16)
{
    network->crew.bf16 = bf16;
}

/* --- forward -------------------------------------------------------------------------------------- */

struct embed {
    struct berth_network *network;
    size_t columns; /* of a piece, in the backward pass */
};

enum { EMBED_ROWS = 32, EMBED_COLUMNS = 64 };

static void embed_piece(void *context, size_t piece, size_t member)
{
    struct berth_network *network = ((const struct embed *)context)->network;
    const struct berth_weights *weights = network->weights;
    size_t e = weights->embedding, end = berth_min((piece + 1) * EMBED_ROWS, network->tokens);
    (void)member;
    for (size_t i = piece * EMBED_ROWS; i < end; i++) {
        const float *type = weights->value + weights->type + network->types[i] * e;
        network->crew.kernels->add3_f32(
            network->embedded + i * e, weights->value + weights->word + (size_t)network->ids[i] * e,
            weights->value + weights->position + (size_t)network->positions[i] * e,
            weights->types ? type : NULL, e);
    }
}

static void apply(const struct berth_network *network, float *out, const float *x,
                  const struct berth_train_linear *linear, size_t rows)
{
    const float *value = network->weights->value;
    berth_product(&network->crew, out, x, value + linear->w, value + linear->b, rows, linear->n, linear->k);
}

static void norm(const struct berth_network *network, float *out, const float *x,
                 const struct berth_train_norm *norm, size_t rows)
{
    const float *value = network->weights->value;
    berth_rows_norm(&network->crew, out, x, value + norm->gamma, value + norm->beta, rows, norm->n,
                    network->eps);
}

/* The embedding's output, which the first layer reads. */
static const float *forward_embedding(struct berth_network *network)
{
    const struct berth_weights *weights = network->weights;
    size_t e = weights->embedding, pieces = (network->tokens + EMBED_ROWS - 1) / EMBED_ROWS;
    berth_crew_run(&network->crew, pieces, 16.0 * (double)network->tokens * (double)e, embed_piece,
                   &(struct embed){.network = network});
    norm(network, network->normed, network->embedded, &weights->embedding_norm, network->tokens);
    drop(network, 0, BERTH_DROP_EMBEDDING, network->normed, network->normed, NULL, network->tokens, e);
    if (!weights->has_project)
        return network->normed;
    apply(network, network->projected, network->normed, &weights->project, network->tokens);
    return network->projected;
}

static void gather_first(const struct berth_network *network, float *out, const float *x, size_t columns)
{
    for (size_t i = 0; i < network->texts; i++)
        memcpy(out + i * columns, x + network->offsets[i] * columns, columns * sizeof *out);
}

static void forward_layer(struct berth_network *network, size_t index, const float *in)
{
    const struct berth_weights *weights = network->weights;
    const struct berth_train_layer *layer = &weights->layer[index];
    struct berth_kept_layer *kept = &network->layer[index];
    size_t c = weights->hidden, rows = kept->gathered ? network->texts : network->tokens;
    kept->in = in;
    kept->first = in;
    if (kept->gathered) {
        gather_first(network, kept->gathered, in, c);
        kept->first = kept->gathered;
    }
    apply(network, kept->query, kept->first, &layer->query, rows);
    apply(network, kept->key_value, in, &layer->key_value, network->tokens);
    berth_network_attend(network, index);
    apply(network, kept->attention_sum, kept->context, &layer->attention_out, rows);
    drop(network, index, BERTH_DROP_ATTENTION, kept->attention_sum, kept->attention_sum, kept->first, rows,
         c);
    norm(network, kept->attention_out, kept->attention_sum, &layer->attention_norm, rows);
    apply(network, kept->ffn_sum, kept->attention_out, &layer->ffn_in, rows);
    berth_rows_act(&network->crew, kept->ffn_act, kept->ffn_sum, rows, weights->ffn, network->act);
    apply(network, kept->sum, kept->ffn_act, &layer->ffn_out, rows);
    drop(network, index, BERTH_DROP_FFN, kept->sum, kept->sum, kept->attention_out, rows, c);
    norm(network, kept->out, kept->sum, &layer->ffn_norm, rows);
}

size_t berth_network_slots(size_t tokens)
{
    return tokens / 4 + 1;
}

static void forward_masked(struct berth_network *network, const float *x)
{
    const struct berth_weights *weights = network->weights;
    const float *value = weights->value;
    size_t c = weights->hidden, rows = network->masked;
    for (size_t i = 0; i < rows; i++)
        memcpy(network->masked_in + i * c, x + network->slots[i] * c, c * sizeof *x);
    apply(network, network->masked_sum, network->masked_in, &weights->transform, rows);
    berth_rows_act(&network->crew, network->masked_act, network->masked_sum, rows, weights->embedding,
                   network->act);
    norm(network, network->masked_out, network->masked_act, &weights->transform_norm, rows);
    berth_product(&network->crew, network->logits, network->masked_out, value + weights->word,
                  value + weights->output_bias, rows, weights->vocab, weights->embedding);
}

void berth_network_forward(struct berth_network *network, const struct berth_train_batch *batch,
                           const struct berth_train_rates *rates)
{
    const struct berth_weights *weights = network->weights;
    size_t c = weights->hidden, last = weights->layers;
    network->drops = rates != NULL;
    if (rates)
        network->rates = *rates;
    use_bf16(network, network->bf16);
    take_batch(network, batch);
    const float *x = forward_embedding(network);
    for (size_t i = 0; i < weights->layers; i++) {
        forward_layer(network, i, x);
        x = network->layer[i].out;
    }
    use_bf16(network, false); /* the head is a few rows, and its output the result */
    if (weights->masked) {
        forward_masked(network, x);
        return;
    }
    drop(network, last, BERTH_DROP_HEAD_IN, network->head_in, x, NULL, network->texts, c);
    apply(network, network->pool_sum, network->head_in, &weights->pooler, network->texts);
    berth_rows_act(&network->crew, network->pool_out, network->pool_sum, network->texts, c,
                   network->pooler_act);
    drop(network, last, BERTH_DROP_HEAD_OUT, network->pool_out, network->pool_out, NULL, network->texts, c);
    apply(network, network->logits, network->pool_out, &weights->classifier, network->texts);
}

const float *berth_network_first(const struct berth_network *network)
{
    return network->layer[network->weights->layers - 1].out;
}

/* --- backward ------------------------------------------------------------------------------------- */

/* Gradients of a linear map's weights; and of its input, plus `residual`, when dx is not NULL. */
static void apply_back(const struct berth_network *network, float *dx, const float *residual, const float *dy,
                       const float *x, const struct berth_train_linear *linear, size_t rows)
{
    const struct berth_weights *weights = network->weights;
    berth_product_back_weight(&network->crew, weights->grad + linear->w, weights->grad + linear->b, dy, x,
                              rows, linear->n, linear->k);
    if (dx)
        berth_product_back_input(&network->crew, dx, dy, weights->value + linear->w, residual, rows,
                                 linear->n, linear->k);
}

static void norm_back(const struct berth_network *network, float *dx, const float *dy, const float *x,
                      const struct berth_train_norm *norm, size_t rows)
{
    const struct berth_weights *weights = network->weights;
    berth_rows_norm_back(&network->crew, dx, weights->grad + norm->gamma, weights->grad + norm->beta, dy, x,
                         weights->value + norm->gamma, rows, norm->n, network->eps);
}

/* Each piece owns some columns and takes the tokens in order, so that sums do not depend on the cut. */
static void embed_back_piece(void *context, size_t piece, size_t member)
{
    struct berth_network *network = ((const struct embed *)context)->network;
    const struct berth_weights *weights = network->weights;
    const struct berth_kernels *kernels = network->crew.kernels;
    size_t e = weights->embedding, first = piece * EMBED_COLUMNS, count = berth_min(EMBED_COLUMNS, e - first);
    (void)member;
    for (size_t i = 0; i < network->tokens; i++) {
        const float *slope = network->d_out + i * e + first;
        float *word = weights->grad + weights->word + (size_t)network->ids[i] * e + first;
        float *position = weights->grad + weights->position + (size_t)network->positions[i] * e + first;
        float *type = weights->grad + weights->type + network->types[i] * e + first;
        if ((size_t)network->ids[i] != network->pad)
            kernels->add3_f32(word, word, slope, NULL, count);
        kernels->add3_f32(position, position, slope, NULL, count);
        if (weights->types)
            kernels->add3_f32(type, type, slope, NULL, count);
    }
}

/* From the gradient of the embedding's output, in d_out. */
static void backward_embedding(struct berth_network *network)
{
    const struct berth_weights *weights = network->weights;
    size_t e = weights->embedding, tokens = network->tokens;
    if (weights->has_project) {
        apply_back(network, network->d_mid, NULL, network->d_out, network->normed, &weights->project, tokens);
        float *swap = network->d_out;
        network->d_out = network->d_mid;
        network->d_mid = swap;
    }
    drop(network, 0, BERTH_DROP_EMBEDDING, network->d_out, network->d_out, NULL, tokens, e);
    norm_back(network, network->d_out, network->d_out, network->embedded, &weights->embedding_norm, tokens);
    berth_crew_run(&network->crew, (e + EMBED_COLUMNS - 1) / EMBED_COLUMNS, 16.0 * (double)tokens * (double)e,
                   embed_back_piece, &(struct embed){.network = network});
}

/* Adds rows [texts, C] to the first tokens' rows of x [tokens, C]. */
static void scatter_first(const struct berth_network *network, float *x, const float *rows, size_t columns)
{
    for (size_t i = 0; i < network->texts; i++) {
        float *row = x + network->offsets[i] * columns;
        network->crew.kernels->add3_f32(row, row, rows + i * columns, NULL, columns);
    }
}

/* From the gradient of the layer's output to that of its input, both in d_out. */
static void backward_layer(struct berth_network *network, size_t index)
{
    const struct berth_weights *weights = network->weights;
    const struct berth_train_layer *layer = &weights->layer[index];
    const struct berth_kept_layer *kept = &network->layer[index];
    const struct berth_crew *crew = &network->crew;
    size_t c = weights->hidden, tokens = network->tokens, rows = kept->gathered ? network->texts : tokens;
    float *d = network->d_out, *mid = network->d_mid;
    if (kept->again)
        forward_layer(network, index, kept->in);
    norm_back(network, d, d, kept->sum, &layer->ffn_norm, rows);
    drop(network, index, BERTH_DROP_FFN, mid, d, NULL, rows, c);
    apply_back(network, network->d_ffn, NULL, mid, kept->ffn_act, &layer->ffn_out, rows);
    berth_rows_act_back(crew, network->d_ffn, network->d_ffn, kept->ffn_sum, rows, weights->ffn,
                        network->act);
    apply_back(network, d, d, network->d_ffn, kept->attention_out, &layer->ffn_in, rows);
    norm_back(network, d, d, kept->attention_sum, &layer->attention_norm, rows);
    drop(network, index, BERTH_DROP_ATTENTION, mid, d, NULL, rows, c);
    float *d_context = network->d_ffn; /* free by now, and wide enough */
    apply_back(network, d_context, NULL, mid, kept->context, &layer->attention_out, rows);
    berth_network_attend_back(network, index, d_context);
    apply_back(network, d, d, network->d_query, kept->first, &layer->query, rows);
    if (!kept->gathered) {
        apply_back(network, d, d, network->d_key_value, kept->in, &layer->key_value, tokens);
        return;
    }
    apply_back(network, mid, NULL, network->d_key_value, kept->in, &layer->key_value, tokens);
    scatter_first(network, mid, d, c);
    network->d_out = mid;
    network->d_mid = d;
}

struct masked_rows {
    struct berth_network *network;
    const int32_t *words;
    double scale;
};

/* A row of logits becomes its softmax, less one at the word: the gradient. */
static void masked_loss_piece(void *context, size_t piece, size_t member)
{
    const struct masked_rows *job = context;
    struct berth_network *network = job->network;
    size_t vocab = network->weights->vocab;
    float *row = network->logits + piece * vocab, *kept = network->masked_loss + piece * 2;
    size_t word = (size_t)job->words[piece], best = 0;
    (void)member;
    for (size_t i = 1; i < vocab; i++)
        best = row[i] > row[best] ? i : best;
    network->crew.kernels->softmax_f32(row, vocab, 1);
    kept[0] = -logf(fmaxf(row[word], 1e-37f));
    kept[1] = best == word;
    row[word] -= 1;
    for (size_t i = 0; i < vocab; i++)
        row[i] *= (float)job->scale;
}

double berth_network_masked_loss(struct berth_network *network, const int32_t *words, double scale,
                                 size_t *right)
{
    size_t rows = network->masked;
    struct masked_rows job = {network, words, scale / (double)rows};
    berth_crew_run(&network->crew, rows, 32.0 * (double)rows * (double)network->weights->vocab,
                   masked_loss_piece, &job);
    double sum = 0;
    for (size_t i = 0; i < rows; i++) {
        sum += network->masked_loss[i * 2];
        *right += network->masked_loss[i * 2 + 1] > 0;
    }
    return sum / (double)rows;
}

/* From the gradient of the masked words' logits to that of the last layer's output, in d_out. */
static void backward_masked(struct berth_network *network, const float *dlogits)
{
    const struct berth_weights *weights = network->weights;
    const struct berth_crew *crew = &network->crew;
    size_t c = weights->hidden, e = weights->embedding, rows = network->masked;
    float *mid = network->d_mid, *d_in = network->d_ffn;
    berth_product_back_weight(crew, weights->grad + weights->word, weights->grad + weights->output_bias,
                              dlogits, network->masked_out, rows, weights->vocab, e);
    berth_product_back_input(crew, mid, dlogits, weights->value + weights->word, NULL, rows, weights->vocab,
                             e);
    norm_back(network, mid, mid, network->masked_act, &weights->transform_norm, rows);
    berth_rows_act_back(crew, mid, mid, network->masked_sum, rows, e, network->act);
    apply_back(network, d_in, NULL, mid, network->masked_in, &weights->transform, rows);
    memset(network->d_out, 0, network->tokens * c * sizeof *network->d_out);
    for (size_t i = 0; i < rows; i++)
        memcpy(network->d_out + network->slots[i] * c, d_in + i * c, c * sizeof *d_in);
}

static void backward_classifier(struct berth_network *network, const float *dlogits)
{
    const struct berth_weights *weights = network->weights;
    size_t c = weights->hidden, texts = network->texts, last = weights->layers;
    float *mid = network->d_mid;
    apply_back(network, mid, NULL, dlogits, network->pool_out, &weights->classifier, texts);
    drop(network, last, BERTH_DROP_HEAD_OUT, mid, mid, NULL, texts, c);
    berth_rows_act_back(&network->crew, mid, mid, network->pool_sum, texts, c, network->pooler_act);
    apply_back(network, network->d_out, NULL, mid, network->head_in, &weights->pooler, texts);
    drop(network, last, BERTH_DROP_HEAD_IN, network->d_out, network->d_out, NULL, texts, c);
    if (network->d_first)
        network->crew.kernels->add3_f32(network->d_out, network->d_out, network->d_first, NULL, texts * c);
}

void berth_network_backward(struct berth_network *network, const float *dlogits)
{
    const struct berth_weights *weights = network->weights;
    use_bf16(network, false);
    if (weights->masked)
        backward_masked(network, dlogits);
    else
        backward_classifier(network, dlogits);
    use_bf16(network, network->bf16);
    for (size_t i = weights->layers; i-- > 0;)
        backward_layer(network, i);
    backward_embedding(network);
}
