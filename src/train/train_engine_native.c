/* train_engine_native.c: the CPU's network and optimiser as an engine. */
#include "train/train_engine.h"

#include "base/alloc.h"
#include "base/error.h"

struct native {
    struct berth_train_engine engine;
    struct berth_network *network;
    struct berth_optimizer *optimizer;
};

static struct native *native_of(struct berth_train_engine *engine)
{
    return (struct native *)engine;
}

static enum berth_status forward(struct berth_train_engine *engine, const struct berth_train_batch *batch,
                                 const struct berth_train_rates *rates, struct berth_error *err)
{
    struct native *native = native_of(engine);
    const struct berth_crew *crew = &native->network->crew;
    (void)err;
    if (rates && engine->weights->masked) /* the head reads the whole table */
        berth_optimizer_touch_all(native->optimizer, crew);
    else if (rates)
        berth_optimizer_touch(native->optimizer, crew, batch->ids, batch->offsets[batch->texts]);
    berth_network_forward(native->network, batch, rates);
    return BERTH_OK;
}

static enum berth_status masked_loss(struct berth_train_engine *engine, const int32_t *words, double scale,
                                     double *loss, size_t *right, struct berth_error *err)
{
    (void)err;
    *loss = berth_network_masked_loss(native_of(engine)->network, words, scale, right);
    return BERTH_OK;
}

static enum berth_status backward(struct berth_train_engine *engine, const float *dlogits, const float *dfirst,
                                  struct berth_error *err)
{
    struct berth_network *network = native_of(engine)->network;
    (void)err;
    network->d_first = dfirst;
    berth_network_backward(network, engine->weights->masked ? network->logits : dlogits);
    return BERTH_OK;
}

static enum berth_status update(struct berth_train_engine *engine, struct berth_step_report *report,
                                struct berth_error *err)
{
    struct native *native = native_of(engine);
    enum berth_status status = berth_optimizer_step(native->optimizer, &native->network->crew, report, err);
    engine->step = native->optimizer->step;
    return status;
}

static enum berth_status settle(struct berth_train_engine *engine, struct berth_error *err)
{
    struct native *native = native_of(engine);
    (void)err;
    berth_optimizer_settle(native->optimizer, &native->network->crew);
    return BERTH_OK;
}

/* Everything is where it is wanted, but for rows that have missed steps. */
static enum berth_status read_numbers(struct berth_train_engine *engine, enum berth_train_numbers what,
                                      struct berth_error *err)
{
    return what == BERTH_TRAIN_GRADIENTS ? BERTH_OK : settle(engine, err);
}

static enum berth_status resume(struct berth_train_engine *engine, size_t step, struct berth_error *err)
{
    struct berth_optimizer *optimizer = native_of(engine)->optimizer;
    (void)err;
    optimizer->step = engine->step = step;
    for (size_t i = 0; i < engine->weights->vocab; i++)
        optimizer->row_step[i] = (uint32_t)step;
    return BERTH_OK;
}

static void free_native(struct berth_train_engine *engine)
{
    struct native *native = native_of(engine);
    berth_optimizer_free(native->optimizer);
    berth_network_free(native->network);
    berth_free(native);
}

enum berth_status berth_train_engine_native(const struct berth_encoder *encoder, struct berth_weights *weights,
                                            const struct berth_kernels *kernels, struct berth_team *team,
                                            const struct berth_network_bounds *bounds, bool bf16,
                                            const struct berth_optimizer_options *options,
                                            struct berth_train_engine **out, struct berth_error *err)
{
    static const struct berth_train_calls calls = {forward,      masked_loss, backward, update, settle,
                                                   read_numbers, resume,      free_native};
    enum berth_status status;
    *out = NULL;
    struct native *native = berth_calloc(1, sizeof *native);
    if (!native)
        return berth_fail_memory(err, "a training engine", sizeof *native);
    native->engine = (struct berth_train_engine){.calls = &calls, .weights = weights, .options = *options};
    BERTH_TRY(berth_network_new(encoder, weights, kernels, team, bounds, &native->network, err));
    BERTH_TRY(berth_optimizer_new(options, weights, &native->optimizer, err));
    native->network->bf16 = bf16;
    native->engine.logits = native->network->logits;
    native->engine.first = weights->masked ? NULL : berth_network_first(native->network);
    native->engine.first_moment = native->optimizer->first;
    native->engine.second_moment = native->optimizer->second;
    native->engine.max_tokens = bounds->tokens;
    native->engine.max_texts = bounds->texts;
    native->engine.max_pairs = bounds->pairs;
    native->engine.activation_bytes = native->network->arena.size;
    native->engine.recomputed_layers = native->network->sharing - 1;
    *out = &native->engine;
    return BERTH_OK;
fail:
    free_native(&native->engine);
    return status;
}
