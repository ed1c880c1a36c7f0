/* stats.c: order statistics and their binomial confidence intervals. */
#include "base/stats.h"

#include <math.h>
#include <stdlib.h>

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* 1-based rank of the quantile. The little that is taken off keeps 0.9 * 10 from becoming 10 by rounding. */
static size_t nearest_rank(size_t n, double q)
{
    double rank = ceil(q * (double)n - 1e-9 * (double)n);
    return rank < 1 ? 1 : (size_t)rank;
}

double berth_stats_quantile(const double *sorted, size_t n, double q)
{
    if (n == 0 || (q > 0.5 && (double)n * (1 - q) < 1 - 1e-9))
        return NAN;
    return sorted[nearest_rank(n, q) - 1];
}

/* log of the binomial probability of k successes out of n. */
static double log_binomial(size_t n, size_t k, double q)
{
    int sign;
    double N = (double)n, K = (double)k;
    return lgamma_r(N + 1, &sign) - lgamma_r(K + 1, &sign) - lgamma_r(N - K + 1, &sign) + K * log(q) +
           (N - K) * log1p(-q);
}

/* How many values fall below the quantile is binomial, B. The quantile lies below the l-th value with P(B <
 * l) and above the u-th with P(B >= u): l is the largest rank, u the smallest, that keep these within the
 * tail. */
void berth_stats_interval(const double *sorted, size_t n, double q, double interval[2])
{
    static const double tail = 0.025;
    size_t low = 0, high = 0;
    double below = 0; /* P(B < k) */
    for (size_t k = 0; k <= n; k++) {
        if (below <= tail)
            low = k; /* of rank k: P(B < k) */
        if (high == 0 && k > 0 && 1 - below <= tail)
            high = k; /* P(B >= k) */
        below += exp(log_binomial(n, k, q));
    }
    interval[0] = low > 0 && high > 0 ? sorted[low - 1] : NAN;
    interval[1] = low > 0 && high > 0 ? sorted[high - 1] : NAN;
}

static void compute_moments(const double *values, size_t n, struct berth_stats *stats)
{
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    stats->mean = n > 0 ? sum / (double)n : NAN;
    for (size_t i = 0; i < n; i++)
        squares += (values[i] - stats->mean) * (values[i] - stats->mean);
    stats->stddev = n > 1 ? sqrt(squares / (double)(n - 1)) : NAN;
}

void berth_stats_compute(double *values, size_t n, struct berth_stats *stats)
{
    if (n > 0)
        qsort(values, n, sizeof *values, compare_doubles);
    stats->n = n;
    stats->min = n > 0 ? values[0] : NAN;
    compute_moments(values, n, stats);
    stats->p50 = berth_stats_quantile(values, n, 0.5);
    stats->p90 = berth_stats_quantile(values, n, 0.9);
    stats->p95 = berth_stats_quantile(values, n, 0.95);
    stats->p99 = berth_stats_quantile(values, n, 0.99);
    berth_stats_interval(values, n, 0.5, stats->p50_interval);
    berth_stats_interval(values, n, 0.9, stats->p90_interval);
    berth_stats_interval(values, n, 0.99, stats->p99_interval);
}
