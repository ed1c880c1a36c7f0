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
 * tail. Beyond 12 standard deviations from the middle all is below 1e-30 and left out. */
void berth_stats_interval(const double *sorted, size_t n, double q, double interval[2])
{
    static const double tail = 0.025;
    double middle = q * (double)n, reach = 12 * sqrt(middle * (1 - q)) + 12;
    size_t from = middle > reach ? (size_t)(middle - reach) : 0;
    size_t to = middle + reach < (double)n ? (size_t)(middle + reach) : n;
    size_t low = 0, high = 0;
    double below = 0; /* P(B < k) */
    for (size_t k = from; k <= to; k++) {
        if (below <= tail)
            low = k; /* of rank k: P(B < k) */
        if (high == 0 && k > 0 && 1 - below <= tail)
            high = k; /* P(B >= k) */
        below += exp(log_binomial(n, k, q));
    }
    interval[0] = low > 0 && high > 0 ? sorted[low - 1] : NAN;
    interval[1] = low > 0 && high > 0 ? sorted[high - 1] : NAN;
}

void berth_stats_share(size_t correct, size_t n, double interval[2])
{
    static const double z = 1.959963984540054; /* of a normal distribution, 97.5 % */
    double N = (double)n, share = (double)correct / N;
    double middle = (share + z * z / (2 * N)) / (1 + z * z / N);
    double reach = z / (1 + z * z / N) * sqrt(share * (1 - share) / N + z * z / (4 * N * N));
    interval[0] = n > 0 ? fmax(0, middle - reach) : NAN;
    interval[1] = n > 0 ? fmin(1, middle + reach) : NAN;
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
    stats->max = n > 0 ? values[n - 1] : NAN;
    compute_moments(values, n, stats);
    stats->p50 = berth_stats_quantile(values, n, 0.5);
    stats->p90 = berth_stats_quantile(values, n, 0.9);
    stats->p95 = berth_stats_quantile(values, n, 0.95);
    stats->p99 = berth_stats_quantile(values, n, 0.99);
    berth_stats_interval(values, n, 0.5, stats->p50_interval);
    berth_stats_interval(values, n, 0.9, stats->p90_interval);
    berth_stats_interval(values, n, 0.95, stats->p95_interval);
    berth_stats_interval(values, n, 0.99, stats->p99_interval);
}
