/* train_engine_cuda.c: training on a GPU as an engine: tells the plugin where weights lie, hands batches over with the keys
 * of their dropout, and keeps on the host what results are copied to. */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "cuda/gpu_train.h"
#include "train/train_engine.h"

_Static_assert((int)BERTH_DROP_SITES == BERTH_CUDA_DROP_SITES && (int)BERTH_DROP_HEAD_OUT == BERTH_CUDA_DROP_HEAD_OUT &&
                   (int)BERTH_DROP_SHARE == BERTH_CUDA_DROP_SHARE,
               "sites are numbered alike on both sides of the plugin's interface");

struct on_gpu {
    struct berth_train_engine engine;
    struct berth_gpu_trainer *trainer;
    enum berth_family family;
    float *logits;     /* [texts, labels] */
    float *first;      /* [texts, C], or NULL */
    uint64_t *offsets; /* [texts + 1] */
    uint64_t *slots;   /* [slots] */
    struct berth_cuda_dropout *dropout; /* [L + 1, sites] */
    struct berth_cuda_adamw *steps;     /* [weights] */
};

static struct on_gpu *on_gpu_of(struct berth_train_engine *engine)
{
    return (struct on_gpu *)engine;
}

/* Sites without dropout have threshold 0. */
static void list_dropout(struct on_gpu *g, const struct berth_train_rates *rates)
{
    for (size_t layer = 0; layer <= g->engine.weights->layers; layer++)
        for (size_t site = 0; site < BERTH_DROP_SITES; site++) {
            struct berth_dropout dropout = {0};
            berth_dropout_at(rates, g->family, layer, (enum berth_dropout_site)site, &dropout);
            g->dropout[layer * BERTH_DROP_SITES + site] =
                (struct berth_cuda_dropout){dropout.key, dropout.threshold, dropout.scale};
        }
}

static enum berth_status forward(struct berth_train_engine *engine, const struct berth_train_batch *batch,
                                 const struct berth_train_rates *rates, struct berth_error *err)
{
    struct on_gpu *g = on_gpu_of(engine);
    for (size_t i = 0; i <= batch->texts; i++)
        g->offsets[i] = batch->offsets[i];
    for (size_t i = 0; i < batch->masked; i++)
        g->slots[i] = batch->slots[i];
    if (rates)
        list_dropout(g, rates);
    const struct berth_cuda_train_batch given = {.texts = batch->texts,
                                                 .offsets = g->offsets,
                                                 .ids = batch->ids,
                                                 .types = batch->type_ids,
                                                 .masked = batch->masked,
                                                 .slots = g->slots,
                                                 .dropout = rates ? g->dropout : NULL};
    return berth_gpu_train_forward(g->trainer, &given, g->logits, rates ? g->first : NULL, err);
}

static enum berth_status masked_loss(struct berth_train_engine *engine, const int32_t *words, double scale,
                                     double *loss, size_t *right, struct berth_error *err)
{
    return berth_gpu_train_masked_loss(on_gpu_of(engine)->trainer, words, scale, loss, right, err);
}

static enum berth_status backward(struct berth_train_engine *engine, const float *dlogits, const float *dfirst,
                                  struct berth_error *err)
{
    return berth_gpu_train_backward(on_gpu_of(engine)->trainer, dlogits, dfirst, err);
}

static enum berth_status update(struct berth_train_engine *engine, struct berth_step_report *report,
                                struct berth_error *err)
{
    struct on_gpu *g = on_gpu_of(engine);
    const struct berth_weights *weights = engine->weights;
    enum berth_status status;
    for (size_t i = 0; i < weights->count; i++) {
        const struct berth_weight *weight = &weights->list[i];
        const struct berth_adamw_f32 step =
            berth_adamw_step(&engine->options, engine->step + 1,
                             berth_adamw_factor(&engine->options, weights, weight), weight->decays);
        g->steps[i] = (struct berth_cuda_adamw){step.decay, step.beta1, step.beta2, step.eps,
                                                step.rest1, step.rest2, step.rate,  step.unbias};
    }
    report->rate = berth_schedule_rate(&engine->options, engine->step);
    BERTH_TRY(berth_gpu_train_update(g->trainer, g->steps, engine->options.max_grad_norm, &report->norm, err));
    if (!isfinite(report->norm))
        return berth_fail(err, BERTH_LIMIT,
                          "step %zu: the gradients are not finite; a smaller --learning-rate may help",
                          engine->step + 1);
    engine->step++;
fail:
    return status;
}

/* The device's weights are always current. */
static enum berth_status settle(struct berth_train_engine *engine, struct berth_error *err)
{
    (void)engine;
    (void)err;
    return BERTH_OK;
}

static enum berth_status read_numbers(struct berth_train_engine *engine, enum berth_train_numbers what,
                                      struct berth_error *err)
{
    struct berth_gpu_trainer *trainer = on_gpu_of(engine)->trainer;
    enum berth_status status;
    switch (what) {
        case BERTH_TRAIN_VALUES:
            return berth_gpu_train_read(trainer, BERTH_CUDA_VALUES, engine->weights->value, err);
        case BERTH_TRAIN_GRADIENTS:
            return berth_gpu_train_read(trainer, BERTH_CUDA_GRADIENTS, engine->weights->grad, err);
        case BERTH_TRAIN_MOMENTS:
            break;
    }
    BERTH_TRY(berth_gpu_train_read(trainer, BERTH_CUDA_FIRST_MOMENTS, engine->first_moment, err));
    BERTH_TRY(berth_gpu_train_read(trainer, BERTH_CUDA_SECOND_MOMENTS, engine->second_moment, err));
fail:
    return status;
}

static enum berth_status resume(struct berth_train_engine *engine, size_t step, struct berth_error *err)
{
    struct berth_gpu_trainer *trainer = on_gpu_of(engine)->trainer;
    enum berth_status status;
    BERTH_TRY(berth_gpu_train_write(trainer, BERTH_CUDA_VALUES, engine->weights->value, err));
    BERTH_TRY(berth_gpu_train_write(trainer, BERTH_CUDA_FIRST_MOMENTS, engine->first_moment, err));
    BERTH_TRY(berth_gpu_train_write(trainer, BERTH_CUDA_SECOND_MOMENTS, engine->second_moment, err));
    engine->step = step;
fail:
    return status;
}

static void free_on_gpu(struct berth_train_engine *engine)
{
    struct on_gpu *g = on_gpu_of(engine);
    berth_gpu_trainer_free(g->trainer);
    berth_free(g->engine.first_moment);
    berth_free(g->engine.second_moment);
    berth_free(g->logits);
    berth_free(g->first);
    berth_free(g->offsets);
    berth_free(g->slots);
    berth_free(g->dropout);
    berth_free(g->steps);
    berth_free(g);
}

/* --- where things lie ----------------------------------------------------------------------------- */

static struct berth_cuda_linear linear_at(const struct berth_train_linear *linear)
{
    return (struct berth_cuda_linear){linear->w, linear->b};
}

static struct berth_cuda_norm norm_at(const struct berth_train_norm *norm)
{
    return (struct berth_cuda_norm){norm->gamma, norm->beta};
}

static enum berth_status open_trainer(struct on_gpu *g, const struct berth_gpu *gpu, const struct berth_encoder *encoder,
                                      const struct berth_network_bounds *bounds, bool bf16, struct berth_error *err)
{
    const struct berth_weights *w = g->engine.weights;
    struct berth_cuda_train_layer *layers = berth_calloc(w->layers, sizeof *layers);
    struct berth_cuda_span *spans = berth_calloc(w->count, sizeof *spans);
    enum berth_status status = BERTH_OK;
    if (!layers || !spans) {
        berth_free(layers);
        berth_free(spans);
        return berth_fail_memory(err, "the places of weights", w->layers * sizeof *layers + w->count * sizeof *spans);
    }
    for (size_t i = 0; i < w->layers; i++) {
        const struct berth_train_layer *layer = &w->layer[i];
        layers[i] = (struct berth_cuda_train_layer){
            .query = linear_at(&layer->query),
            .key_value = linear_at(&layer->key_value),
            .out = linear_at(&layer->attention_out),
            .ffn_in = linear_at(&layer->ffn_in),
            .ffn_out = linear_at(&layer->ffn_out),
            .out_norm = norm_at(&layer->attention_norm),
            .ffn_norm = norm_at(&layer->ffn_norm),
        };
    }
    for (size_t i = 0; i < w->count; i++)
        spans[i] = (struct berth_cuda_span){w->list[i].first, w->list[i].elements,
                                            berth_adamw_factor(&g->engine.options, w, &w->list[i]) == 0};
    struct berth_cuda_train_config config = {
        .model = berth_gpu_config(encoder, w->masked ? 0 : w->labels, bf16 ? BERTH_CUDA_BF16 : BERTH_CUDA_F32),
        .total = w->total,
        .word = w->word,
        .position = w->position,
        .type = w->type,
        .embedding_norm = norm_at(&w->embedding_norm),
        .project = linear_at(&w->project),
        .layer = layers,
        .masked = w->masked,
        .pooler = linear_at(&w->pooler),
        .classifier = linear_at(&w->classifier),
        .transform = linear_at(&w->transform),
        .transform_norm = norm_at(&w->transform_norm),
        .output_bias = w->output_bias,
        .spans = spans,
        .span_count = w->count,
        .pad = encoder->config.pad_token_id,
        .max_tokens = bounds->tokens,
        .max_texts = bounds->texts,
        .max_masked = berth_network_slots(bounds->tokens),
    };
    config.model.vocab = w->vocab; /* a random encoder's is the vocabulary's */
    config.model.types = w->types;
    status = berth_gpu_trainer_new(gpu, &config, &g->trainer, err);
    berth_free(layers);
    berth_free(spans);
    return status;
}

static enum berth_status take_memory(struct on_gpu *g, const struct berth_network_bounds *bounds, bool hidden,
                                     struct berth_error *err)
{
    const struct berth_weights *w = g->engine.weights;
    size_t bytes = w->total * sizeof(float);
    g->engine.first_moment = berth_aligned(bytes);
    g->engine.second_moment = berth_aligned(bytes);
    g->logits = berth_calloc(bounds->texts * (w->masked ? 1 : w->labels), sizeof *g->logits);
    g->first = hidden ? berth_calloc(bounds->texts * w->hidden, sizeof *g->first) : NULL;
    g->offsets = berth_calloc(bounds->texts + 1, sizeof *g->offsets);
    g->slots = berth_calloc(berth_network_slots(bounds->tokens), sizeof *g->slots);
    g->dropout = berth_calloc((w->layers + 1) * BERTH_DROP_SITES, sizeof *g->dropout);
    g->steps = berth_calloc(w->count, sizeof *g->steps);
    if (!g->engine.first_moment || !g->engine.second_moment || !g->logits || (hidden && !g->first) || !g->offsets ||
        !g->slots || !g->dropout || !g->steps)
        return berth_fail_memory(err, "moments, as they come back from the GPU", 2 * bytes);
    memset(g->engine.first_moment, 0, bytes);
    memset(g->engine.second_moment, 0, bytes);
    return BERTH_OK;
}

enum berth_status berth_train_engine_cuda(const struct berth_gpu *gpu, const struct berth_encoder *encoder,
                                          struct berth_weights *weights, const struct berth_network_bounds *bounds,
                                          bool bf16, bool hidden, const struct berth_optimizer_options *options,
                                          struct berth_train_engine **out, struct berth_error *err)
{
    static const struct berth_train_calls calls = {forward,      masked_loss, backward, update, settle,
                                                   read_numbers, resume,      free_on_gpu};
    enum berth_status status;
    *out = NULL;
    struct on_gpu *g = berth_calloc(1, sizeof *g);
    if (!g)
        return berth_fail_memory(err, "a training engine", sizeof *g);
    g->engine = (struct berth_train_engine){.calls = &calls, .weights = weights, .options = *options};
    g->family = encoder->config.family;
    BERTH_TRY(take_memory(g, bounds, hidden, err));
    BERTH_TRY(open_trainer(g, gpu, encoder, bounds, bf16, err));
    BERTH_TRY(berth_gpu_train_write(g->trainer, BERTH_CUDA_VALUES, weights->value, err));
    g->engine.logits = g->logits;
    g->engine.first = g->first;
    g->engine.max_tokens = bounds->tokens;
    g->engine.max_texts = bounds->texts;
    g->engine.max_pairs = SIZE_MAX;
    g->engine.activation_bytes = berth_gpu_trainer_bytes(g->trainer);
    *out = &g->engine;
    return BERTH_OK;
fail:
    free_on_gpu(&g->engine);
    return status;
}
