/* train_engine.h: what the loop of training drives: weights that go forward and backward, are updated, and can be
 * read back for files. The network and optimiser of the CPU are one (train_engine_native.c), a GPU the other (train_engine_cuda.c). The loop, data, losses of
 * classifiers, schedules, logs, files and resuming know nothing else.
 *
 * A step: forward, and backward, of one or more batches, whose gradients add up; then step. Dropout is a hash of seed,
 * step, place and index (network.h), so that every engine drops the same numbers. */
#ifndef BERTH_TRAIN_TRAIN_ENGINE_H
#define BERTH_TRAIN_TRAIN_ENGINE_H

#include "cuda/gpu.h"
#include "train/network.h"
#include "train/optimizer.h"

enum berth_train_numbers { BERTH_TRAIN_VALUES, BERTH_TRAIN_GRADIENTS, BERTH_TRAIN_MOMENTS };

struct berth_train_engine;

/* All may fail, with one sentence; the engine is then only good to be freed. */
struct berth_train_calls {
    /* The batch through the network: engine->logits, of classifiers, and engine->first. rates: dropout of a batch
     * that is learnt from; NULL: evaluation. */
    enum berth_status (*forward)(struct berth_train_engine *engine, const struct berth_train_batch *batch,
                                 const struct berth_train_rates *rates, struct berth_error *err);
    /* With a masked-language head, after forward: as berth_network_masked_loss. */
    enum berth_status (*masked_loss)(struct berth_train_engine *engine, const int32_t *words, double scale,
                                     double *loss, size_t *right, struct berth_error *err);
    /* Adds the gradients of the batch that went forward last. dlogits [texts, labels], NULL with a masked-language
     * head; dfirst [texts, C]: of the first tokens' last hidden states, besides, or NULL. */
    enum berth_status (*backward)(struct berth_train_engine *engine, const float *dlogits, const float *dfirst,
                                  struct berth_error *err);
    /* One update from the gradients, which become 0; engine->step counts it. A norm that is not finite is refused and
     * changes nothing. */
    enum berth_status (*update)(struct berth_train_engine *engine, struct berth_step_report *report,
                                struct berth_error *err);
    /* Before an evaluation. */
    enum berth_status (*settle)(struct berth_train_engine *engine, struct berth_error *err);
    /* Makes weights->value, weights->grad, or engine->first_moment and second_moment current. */
    enum berth_status (*read)(struct berth_train_engine *engine, enum berth_train_numbers what,
                              struct berth_error *err);
    /* weights->value and the moments, which the caller has filled, as they were after `step` steps. */
    enum berth_status (*resume)(struct berth_train_engine *engine, size_t step, struct berth_error *err);
    void (*free)(struct berth_train_engine *engine);
};

/* The first member of every engine. */
struct berth_train_engine {
    const struct berth_train_calls *calls;
    struct berth_weights *weights; /* borrowed */
    struct berth_optimizer_options options;
    size_t step;                           /* updates done */
    const float *logits;                   /* [texts, labels] */
    const float *first;                    /* [texts, C]: last hidden states of first tokens; classifiers only */
    float *first_moment, *second_moment;   /* [total] */
    size_t max_tokens, max_texts, max_pairs; /* of a batch (berth_network_bounds) */
    size_t activation_bytes, recomputed_layers;
};

/* On the CPU; bf16: products of the encoder's layers with rounded operands. All pointers are borrowed. */
enum berth_status berth_train_engine_native(const struct berth_encoder *encoder, struct berth_weights *weights,
                                            const struct berth_kernels *kernels, struct berth_team *team,
                                            const struct berth_network_bounds *bounds, bool bf16,
                                            const struct berth_optimizer_options *options,
                                            struct berth_train_engine **engine, struct berth_error *err);

/* On a GPU: weights, gradients and moments are there, and come back when they are read. bf16: what lies between products,
 * and their operands. NO_MEMORY when it does not fit, UNSUPPORTED for sizes that it does not take. bounds->memory is not
 * heeded. */
enum berth_status berth_train_engine_cuda(const struct berth_gpu *gpu, const struct berth_encoder *encoder,
                                          struct berth_weights *weights, const struct berth_network_bounds *bounds,
                                          bool bf16, bool hidden, /* hidden: engine->first is wanted */
                                          const struct berth_optimizer_options *options,
                                          struct berth_train_engine **engine, struct berth_error *err);

static inline void berth_train_engine_free(struct berth_train_engine *engine) /* NULL is fine */
{
    if (engine)
        engine->calls->free(engine);
}

#endif
