/* metrics.c: the formulas. Counts are exact integers; sums of reals run in long double, so that a thousand
 * terms of very different size (or with a large offset) cost no digit of the double that comes out. */
#include "eval/metrics.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

bool berth_tally_init(struct berth_tally *tally, size_t classes)
{
    *tally = (struct berth_tally){.classes = classes};
    tally->actual = berth_calloc(classes, 3 * sizeof *tally->actual);
    if (!tally->actual)
        return false;
    tally->predicted = tally->actual + classes;
    tally->hits = tally->predicted + classes;
    return true;
}

void berth_tally_clear(struct berth_tally *tally)
{
    berth_free(tally->actual);
    *tally = (struct berth_tally){0};
}

void berth_tally_add(struct berth_tally *tally, size_t actual, size_t predicted)
{
    tally->examples++;
    tally->actual[actual]++;
    tally->predicted[predicted]++;
    if (actual == predicted) {
        tally->hits[actual]++;
        tally->exact++;
    }
}

void berth_tally_add_set(struct berth_tally *tally, const uint8_t *actual, const uint8_t *predicted)
{
    bool exact = true;
    for (size_t i = 0; i < tally->classes; i++) {
        tally->actual[i] += actual[i];
        tally->predicted[i] += predicted[i];
        tally->hits[i] += actual[i] & predicted[i];
        exact = exact && actual[i] == predicted[i];
    }
    tally->examples++;
    tally->exact += exact;
}

double berth_accuracy(const struct berth_tally *tally)
{
    return tally->examples ? (double)tally->exact / (double)tally->examples : NAN;
}

/* Harmonic mean of precision and recall, as a ratio of counts. */
static double f1_of_counts(size_t hits, size_t actual, size_t predicted)
{
    size_t sum = actual + predicted;
    return sum ? 2.0 * (double)hits / (double)sum : 0;
}

double berth_f1(const struct berth_tally *tally, size_t class_index)
{
    if (!tally->examples)
        return NAN;
    return f1_of_counts(tally->hits[class_index], tally->actual[class_index], tally->predicted[class_index]);
}

double berth_f1_micro(const struct berth_tally *tally)
{
    size_t hits = 0, actual = 0, predicted = 0;
    for (size_t i = 0; i < tally->classes; i++) {
        hits += tally->hits[i];
        actual += tally->actual[i];
        predicted += tally->predicted[i];
    }
    return tally->examples ? f1_of_counts(hits, actual, predicted) : NAN;
}

double berth_f1_macro(const struct berth_tally *tally)
{
    long double sum = 0;
    for (size_t i = 0; i < tally->classes; i++)
        sum += berth_f1(tally, i);
    return tally->examples ? (double)(sum / tally->classes) : NAN;
}

double berth_f1_weighted(const struct berth_tally *tally)
{
    long double sum = 0;
    size_t weights = 0;
    for (size_t i = 0; i < tally->classes; i++) {
        sum += (long double)tally->actual[i] * berth_f1(tally, i);
        weights += tally->actual[i];
    }
    if (!tally->examples)
        return NAN;
    return weights ? (double)(sum / weights) : 0;
}

double berth_matthews(const struct berth_tally *tally)
{
    long double n = tally->examples, both = 0, actual = 0, predicted = 0;
    for (size_t i = 0; i < tally->classes; i++) {
        long double a = tally->actual[i], p = tally->predicted[i];
        both += a * p;
        actual += a * a;
        predicted += p * p;
    }
    if (!tally->examples)
        return NAN;
    long double spread = (n * n - actual) * (n * n - predicted);
    return spread > 0 ? (double)((n * tally->exact - both) / sqrtl(spread)) : 0;
}

static bool is_constant(const double *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i] != x[0])
            return false;
    return true;
}

static long double mean(const double *x, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return sum / n;
}

double berth_pearson(const double *x, const double *y, size_t n)
{
    if (n < 2 || is_constant(x, n) || is_constant(y, n))
        return NAN;
    long double mean_x = mean(x, n), mean_y = mean(y, n), xx = 0, yy = 0, xy = 0;
    for (size_t i = 0; i < n; i++) {
        long double dx = x[i] - mean_x, dy = y[i] - mean_y;
        xx += dx * dx;
        yy += dy * dy;
        xy += dx * dy;
    }
    return (double)fmaxl(-1, fminl(1, xy / (sqrtl(xx) * sqrtl(yy))));
}

double berth_mse(const double *x, const double *y, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += ((long double)x[i] - y[i]) * ((long double)x[i] - y[i]);
    return n ? (double)(sum / n) : NAN;
}

double berth_mae(const double *x, const double *y, size_t n)
{
    long double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += fabsl((long double)x[i] - y[i]);
    return n ? (double)(sum / n) : NAN;
}

struct ranked {
    double value;
    size_t index;
};

static int compare_ranked(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

/* Ranks of x from 1 on into ranks; ties share their mean. */
static void rank(const double *x, size_t n, struct ranked *scratch, double *ranks)
{
    for (size_t i = 0; i < n; i++)
        scratch[i] = (struct ranked){x[i], i};
    qsort(scratch, n, sizeof *scratch, compare_ranked);
    for (size_t first = 0, last; first < n; first = last) {
        for (last = first + 1; last < n && scratch[last].value == scratch[first].value;)
            last++;
        for (size_t i = first; i < last; i++)
            ranks[scratch[i].index] = (double)(first + 1 + last) / 2;
    }
}

bool berth_spearman(const double *x, const double *y, size_t n, double *out)
{
    struct ranked *scratch = berth_malloc(n, sizeof *scratch);
    double *ranks = berth_malloc(n, 2 * sizeof *ranks);
    bool ok = scratch && ranks;
    if (ok) {
        rank(x, n, scratch, ranks);
        rank(y, n, scratch, ranks + n);
        *out = berth_pearson(ranks, ranks + n, n);
    }
    berth_free(scratch);
    berth_free(ranks);
    return ok;
}

double berth_cross_entropy(const float *logits, size_t classes, size_t actual)
{
    double largest = logits[0], sum = 0;
    for (size_t i = 1; i < classes; i++)
        largest = fmax(largest, logits[i]);
    for (size_t i = 0; i < classes; i++)
        sum += exp(logits[i] - largest);
    return log(sum) + (largest - logits[actual]);
}

double berth_binary_cross_entropy(const float *logits, const double *actual, size_t classes)
{
    double sum = 0;
    for (size_t i = 0; i < classes; i++)
        sum += fmax(logits[i], 0) - logits[i] * actual[i] + log1p(exp(-fabs(logits[i])));
    return sum / (double)classes;
}
