/* loss.h: from logits and targets to the mean loss of a batch and its gradient; as PyTorch computes them.
 *
 *   single label   cross entropy, with label smoothing and class weights (the mean is then weighted too)
 *   multi-label    binary cross entropy of every label's sigmoid, mean over texts and labels
 *   regression     squared error of the first output, mean over texts
 *
 * With a teacher: (1 - alpha) hard + alpha soft. Soft is temperature^2 times the cross entropy from the
 * teacher's distribution at that temperature, less its entropy (so that equal logits cost 0; Hinton, Vinyals
 * and Dean 2015); for regression, the squared distance to the teacher's value. */
#ifndef BERTH_TRAIN_LOSS_H
#define BERTH_TRAIN_LOSS_H

#include <stddef.h>

#include "formats/hf_config.h"

struct berth_loss {
    enum berth_problem problem;
    size_t labels;
    double smoothing;            /* 0: none */
    const double *class_weights; /* [labels] or NULL: all 1; single label only */
    double alpha, temperature;   /* read with a teacher */
    double hidden;               /* weight of the distance to the teacher's hidden states; 0: none */
};

/* A text's target: a class, [labels] zeros and ones, or a value. */
size_t berth_loss_width(const struct berth_loss *loss);

/* Returns the mean loss; dlogits [texts, labels] gets its gradient times `scale`. teacher: [texts, labels]
 * logits or NULL. */
double berth_loss_of(const struct berth_loss *loss, float *dlogits, const float *logits,
                     const double *targets, const float *teacher, size_t texts, double scale);

/* `weight` times the mean squared distance of two sets of rows [texts, n] (hidden states to a teacher's);
 * dstates [texts, n] gets its gradient times `scale`. */
double berth_loss_of_states(double weight, float *dstates, const float *states, const float *teacher,
                            size_t texts, size_t n, double scale);

#endif
