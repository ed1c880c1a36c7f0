/* trial.h: one model's answers to all texts of a file, and how good they are. */
#ifndef BERTH_QUANT_TRIAL_H
#define BERTH_QUANT_TRIAL_H

#include "quant/labelled.h"

/* Work so far, over all trials, for the caller's bar. */
struct berth_trial_progress {
    berth_progress_fn *call; /* may be NULL */
    void *context;
    size_t done, total; /* texts; total 0: unknown */
};

/* logits [data->count, labels] of every text. BERTH_CANCELLED when the caller stops it. */
enum berth_status berth_trial_run(const struct berth_model *model, const struct berth_labelled *data,
                                  struct berth_trial_progress *progress, float *logits, struct berth_error *err);

/* The metrics of such logits, loss and names included. */
enum berth_status berth_trial_score(const struct berth_labelled *data, const float *logits,
                                    struct berth_evaluation *evaluation, struct berth_error *err);

/* Answer to text `index`: the model's label, ties as evaluation breaks them; for multi-label data a set of whole
 * labels, which is right or not. Regression has no answers: false. */
bool berth_trial_is_right(const struct berth_labelled *data, const float *logits, size_t index);
bool berth_trial_same_answer(const struct berth_labelled *data, const float *a, const float *b, size_t index);
size_t berth_trial_answer(const struct berth_labelled *data, const float *logits, size_t index);

/* Probability of a label, softmax or sigmoid; for regression the value. */
double berth_trial_score_of(const struct berth_labelled *data, const float *logits, size_t index, size_t label);

/* Root mean square of a - b over [count] numbers; *largest may be NULL. */
double berth_trial_distance(const float *a, const float *b, size_t count, double *largest);

#endif
