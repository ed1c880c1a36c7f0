/* optimizer.h: AdamW as Hugging Face's Trainer applies it: no decay on biases and LayerNorm, clipping by the
 * norm of all gradients, a learning rate that warms up and then falls.
 *
 * Rows of the word embedding that a step does not touch have no gradient, but their moments still move them
 * (and decay shrinks them). That is made up for when a row is next needed, in registers, instead of streaming
 * the whole table through memory at every step. The moves of more than `idle_steps` missed steps are left
 * out: the first moment has then shrunk a million times. */
#ifndef BERTH_TRAIN_OPTIMIZER_H
#define BERTH_TRAIN_OPTIMIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "train/crew.h"
#include "train/weights.h"

enum berth_schedule { BERTH_SCHEDULE_LINEAR, BERTH_SCHEDULE_COSINE, BERTH_SCHEDULE_CONSTANT };

struct berth_optimizer_options {
    double learning_rate, weight_decay, beta1, beta2, epsilon;
    double max_grad_norm; /* 0: no clipping */
    enum berth_schedule schedule;
    size_t warmup_steps, total_steps;
    double layer_decay;   /* each layer below the head learns this much slower than the next; 1: all alike */
    size_t freeze_layers; /* lowest layers that stay as they are, the embeddings with them */
    bool freeze_embedding;
};

struct berth_optimizer {
    struct berth_optimizer_options options;
    struct berth_weights *weights;   /* borrowed */
    float *first, *second;           /* [total], owned: moments */
    size_t step;                     /* done */
    struct berth_adamw_piece *piece; /* [pieces], owned: all weights but the word embedding, cut */
    size_t pieces;
    double *squares;              /* [pieces], owned */
    struct berth_adamw_f32 *idle; /* [total_steps + 1], owned: what each step does to an untouched row */
    size_t idle_steps;
    uint32_t *row_step; /* [V], owned: steps that a row of the word embedding has seen */
    uint32_t *row_mark; /* [V], owned: 1 + the step whose gradient touches the row */
    int32_t *touched;   /* [V], owned: rows with a gradient */
    size_t touched_count;
    int32_t *stale; /* [V], owned: scratch of refresh */
};

/* The rate of step `step`, from 0: those of transformers' get_..._schedule_with_warmup. */
double berth_schedule_rate(const struct berth_optimizer_options *options, size_t step);

/* What the step numbered `step` (from 1) does, for a learning rate times `factor`, before clipping. */
struct berth_adamw_f32 berth_adamw_step(const struct berth_optimizer_options *options, size_t step, double factor,
                                        bool decays);
/* Of a weight's learning rate; 0: frozen. */
double berth_adamw_factor(const struct berth_optimizer_options *options, const struct berth_weights *weights,
                          const struct berth_weight *weight);

enum berth_status berth_optimizer_new(const struct berth_optimizer_options *options,
                                      struct berth_weights *weights, struct berth_optimizer **optimizer,
                                      struct berth_error *err);
void berth_optimizer_free(struct berth_optimizer *optimizer); /* NULL is fine */

/* Makes these rows of the word embedding current (before a forward pass) and expects gradients for them. */
void berth_optimizer_touch(struct berth_optimizer *optimizer, const struct berth_crew *crew,
                           const int32_t *ids, size_t count);
/* The same for all rows. */
void berth_optimizer_touch_all(struct berth_optimizer *optimizer, const struct berth_crew *crew);
/* Makes all rows current: before weights are evaluated or written. */
void berth_optimizer_settle(struct berth_optimizer *optimizer, const struct berth_crew *crew);

struct berth_step_report {
    double norm; /* of all gradients, before clipping */
    double rate;
};

/* One step, from the gradients in weights->grad, which become 0. A norm that is not finite is refused and
 * changes nothing. */
enum berth_status berth_optimizer_step(struct berth_optimizer *optimizer, const struct berth_crew *crew,
                                       struct berth_step_report *report, struct berth_error *err);

#endif
