/* loss.c: losses and their gradients, in double: they are a few numbers a text. */
#include "train/loss.h"

#include <math.h>
#include <stdbool.h>

size_t berth_loss_width(const struct berth_loss *loss)
{
    return loss->problem == BERTH_PROBLEM_MULTI_LABEL ? loss->labels : 1;
}

/* The logarithm of sum exp(x / temperature). */
static double log_sum(const float *x, size_t n, double temperature)
{
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += exp((x[i] - largest) / temperature);
    return largest / temperature + log(sum);
}

static double weight_of(const struct berth_loss *loss, size_t label)
{
    return loss->class_weights ? loss->class_weights[label] : 1;
}

/* Of one text, before the mean: `share` is its part of the mean (1 / texts, unless classes have weights). */
static double hard_class(const struct berth_loss *loss, float *dlogits, const float *logits, double target,
                         double share)
{
    size_t n = loss->labels, actual = (size_t)target;
    double all = log_sum(logits, n, 1), total = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        double want = loss->smoothing / (double)n + (i == actual ? 1 - loss->smoothing : 0);
        double weighted = want * weight_of(loss, i) * share;
        total += weighted;
        sum -= weighted * (logits[i] - all);
        dlogits[i] -= (float)weighted;
    }
    for (size_t i = 0; i < n; i++)
        dlogits[i] += (float)(total * exp(logits[i] - all));
    return sum;
}

static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double sigmoid(double x)
{
    return x > 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static double hard_set(float *dlogits, const float *logits, const double *target, size_t n, double share)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (softplus(logits[i]) - target[i] * logits[i]) * share / (double)n;
        dlogits[i] += (float)((sigmoid(logits[i]) - target[i]) * share / (double)n);
    }
    return sum;
}

static double hard_value(float *dlogits, const float *logits, double target, double share)
{
    double distance = logits[0] - target;
    dlogits[0] += (float)(2 * distance * share);
    return distance * distance * share;
}

static double hard(const struct berth_loss *loss, float *dlogits, const float *logits, const double *target,
                   double share)
{
    switch (loss->problem) {
        case BERTH_PROBLEM_SINGLE_LABEL:
            return hard_class(loss, dlogits, logits, *target, share);
        case BERTH_PROBLEM_MULTI_LABEL:
            return hard_set(dlogits, logits, target, loss->labels, share);
        case BERTH_PROBLEM_REGRESSION:
            break;
    }
    return hard_value(dlogits, logits, *target, share);
}

/* p log(p / q) with 0 log 0 = 0 */
static double divergence(double p, double log_p, double log_q)
{
    return p > 0 ? p * (log_p - log_q) : 0;
}

static double soft_class(const struct berth_loss *loss, float *dlogits, const float *logits,
                         const float *teacher, double share)
{
    size_t n = loss->labels;
    double t = loss->temperature, own = log_sum(logits, n, t), other = log_sum(teacher, n, t), sum = 0;
    for (size_t i = 0; i < n; i++) {
        double log_q = logits[i] / t - own, log_p = teacher[i] / t - other, p = exp(log_p);
        sum += t * t * divergence(p, log_p, log_q) * share;
        dlogits[i] += (float)(t * (exp(log_q) - p) * share);
    }
    return sum;
}

static double soft_set(const struct berth_loss *loss, float *dlogits, const float *logits,
                       const float *teacher, double share)
{
    double t = loss->temperature, sum = 0;
    share /= (double)loss->labels;
    for (size_t i = 0; i < loss->labels; i++) {
        double x = logits[i] / t, y = teacher[i] / t, p = sigmoid(y);
        sum += t * t * share *
               (divergence(p, -softplus(-y), -softplus(-x)) + divergence(1 - p, -softplus(y), -softplus(x)));
        dlogits[i] += (float)(t * (sigmoid(x) - p) * share);
    }
    return sum;
}

static double soft(const struct berth_loss *loss, float *dlogits, const float *logits, const float *teacher,
                   double share)
{
    switch (loss->problem) {
        case BERTH_PROBLEM_SINGLE_LABEL:
            return soft_class(loss, dlogits, logits, teacher, share);
        case BERTH_PROBLEM_MULTI_LABEL:
            return soft_set(loss, dlogits, logits, teacher, share);
        case BERTH_PROBLEM_REGRESSION:
            break;
    }
    return hard_value(dlogits, logits, teacher[0], share);
}

double berth_loss_of(const struct berth_loss *loss, float *dlogits, const float *logits,
                     const double *targets, const float *teacher, size_t texts, double scale)
{
    size_t n = loss->labels, width = berth_loss_width(loss);
    double alpha = teacher ? loss->alpha : 0, sum = 0, all = (double)texts;
    if (loss->class_weights && loss->problem == BERTH_PROBLEM_SINGLE_LABEL) {
        all = 0;
        for (size_t i = 0; i < texts; i++)
            all += weight_of(loss, (size_t)targets[i]);
    }
    for (size_t i = 0; i < texts; i++) {
        float *slope = dlogits + i * n;
        const float *row = logits + i * n;
        for (size_t j = 0; j < n; j++)
            slope[j] = 0;
        if (alpha < 1 && all > 0)
            sum += hard(loss, slope, row, targets + i * width, (1 - alpha) * scale / all);
        if (alpha > 0)
            sum += soft(loss, slope, row, teacher + i * n, alpha * scale / (double)texts);
    }
    return sum / scale;
}

double berth_loss_of_states(double weight, float *dstates, const float *states, const float *teacher,
                            size_t texts, size_t n, double scale)
{
    double sum = 0, share = weight / ((double)texts * (double)n);
    for (size_t i = 0; i < texts * n; i++) {
        double distance = (double)states[i] - teacher[i];
        sum += distance * distance;
        dstates[i] = (float)(2 * distance * share * scale);
    }
    return sum * share;
}
