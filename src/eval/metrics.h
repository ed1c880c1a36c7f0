/* metrics.h: how good predictions are; Hugging Face's metrics (scikit-learn's and SciPy's), to 1e-12. Pure
 * functions, for evaluation and for training. */
#ifndef BERTH_EVAL_METRICS_H
#define BERTH_EVAL_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Counts over examples, from which every metric of a classifier follows. Single-label: one class is true and
 * one predicted for each example. Multi-label: any number. */
struct berth_tally {
    size_t classes;
    size_t examples;
    size_t exact;      /* examples predicted wholly right */
    size_t *actual;    /* [classes] owned: times a class was true */
    size_t *predicted; /* [classes] times it was predicted */
    size_t *hits;      /* [classes] times both at once */
};

bool berth_tally_init(struct berth_tally *tally, size_t classes); /* false: no memory */
void berth_tally_clear(struct berth_tally *tally);                /* {0} is fine */

/* One single-label example; both below classes. */
void berth_tally_add(struct berth_tally *tally, size_t actual, size_t predicted);

/* One multi-label example: [classes] flags, 0 or 1. */
void berth_tally_add_set(struct berth_tally *tally, const uint8_t *actual, const uint8_t *predicted);

/* All below are NaN without examples. A class that is never true nor predicted has an F1 of 0. */
double berth_accuracy(const struct berth_tally *tally); /* multi-label: of whole sets */
double berth_f1(const struct berth_tally *tally, size_t class_index);
double berth_f1_micro(const struct berth_tally *tally);
double berth_f1_macro(const struct berth_tally *tally);
double berth_f1_weighted(const struct berth_tally *tally); /* by how often a class is true */

/* Gorodkin's multi-class correlation; 0 when the labels or the predictions are constant. Single-label only.
 */
double berth_matthews(const struct berth_tally *tally);

/* Over [n] finite values. Correlations are NaN for fewer than two examples or a constant side. */
double berth_pearson(const double *x, const double *y, size_t n);
double berth_mse(const double *x, const double *y, size_t n);
double berth_mae(const double *x, const double *y, size_t n);

/* Pearson's over ranks, ties sharing their mean rank; n log n. False: no memory. */
bool berth_spearman(const double *x, const double *y, size_t n, double *out);

/* Loss of one example from its logits [classes], in double. */
double berth_cross_entropy(const float *logits, size_t classes, size_t actual);
double berth_binary_cross_entropy(const float *logits, const double *actual,
                                  size_t classes); /* mean over the classes */

#endif
