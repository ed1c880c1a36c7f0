/* scorer.h: from targets and logits to the metrics of a task, example by example. Keeps counts for
 * classification and two doubles an example for regression; never texts. Evaluation feeds it, training may
 * too. */
#ifndef BERTH_EVAL_SCORER_H
#define BERTH_EVAL_SCORER_H

#include <stddef.h>
#include <stdint.h>

#include "berth/berth.h"
#include "eval/label_map.h"
#include "eval/metrics.h"

struct berth_scorer {
    const struct berth_label_map *labels; /* borrowed */
    struct berth_tally tally;             /* classification */
    uint8_t *sets;                        /* [2 * labels] owned, multi-label: scratch */
    double *values, *predictions;         /* [capacity] owned, regression */
    size_t examples, capacity;
    long double loss; /* sum */
};

/* *scorer needs no clear after a failure. */
enum berth_status berth_scorer_init(struct berth_scorer *scorer, const struct berth_label_map *labels,
                                    struct berth_error *err);
void berth_scorer_clear(struct berth_scorer *scorer); /* {0} is fine */

/* target [labels->width] as berth_label_map_read gives it; logits [model's labels]. */
enum berth_status berth_scorer_add(struct berth_scorer *scorer, const double *target, const float *logits,
                                   struct berth_error *err);

/* Fills task, examples, loss and the metrics: for the sets of formats/glue.h
 *     ACCURACY      accuracy
 *     ACCURACY_F1   accuracy, f1 (of class 1), acc_and_f1
 *     MATTHEWS      matthews_correlation, accuracy
 *     CORRELATION   pearson, spearmanr, corr (their mean), mse, mae
 *     BY_MODEL      regression: as CORRELATION; classes: accuracy, f1 (of class 1, when there are two),
 * f1_macro, f1_micro, f1_weighted, matthews_correlation; multi-label: accuracy (of whole sets), f1_macro,
 * f1_micro, f1_weighted */
enum berth_status berth_scorer_finish(const struct berth_scorer *scorer, struct berth_evaluation *evaluation,
                                      struct berth_error *err);

#endif
