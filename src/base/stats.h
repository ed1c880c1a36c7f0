/* stats.h: what a series of measured times says. Percentiles are order statistics: values that were measured,
 * never interpolated ones; an interval makes no assumption about how the times are distributed. */
#ifndef BERTH_BASE_STATS_H
#define BERTH_BASE_STATS_H

#include <stddef.h>

/* The q-quantile of n sorted values by nearest rank: the smallest one with at least q*n values at or below
 * it. NaN when no value can be expected above it (n < 1 / (1 - q), so n < 10 for 0.9, 20 for 0.95, 100 for
 * 0.99); the median needs one value. 0 < q < 1. */
double berth_stats_quantile(const double *sorted, size_t n, double q);

/* A 95 % confidence interval [low, high] of the q-quantile: the narrowest pair of order statistics that the
 * true quantile lies below, and above, with at most 2.5 % each, by the binomial distribution of how many
 * values fall below it. Both NaN when n is too small for such a pair (below 6 for the median, 36 for 0.9, 368
 * for 0.99). */
void berth_stats_interval(const double *sorted, size_t n, double q, double interval[2]);

struct berth_stats {
    size_t n;
    double mean, min, max, p50, p90, p95, p99; /* NaN where n is too small, all of them for n 0 */
    double stddev;                             /* of a sample (n - 1); NaN below two values */
    double p50_interval[2], p90_interval[2], p95_interval[2], p99_interval[2];
};

/* Sorts the values in place. */
void berth_stats_compute(double *values, size_t n, struct berth_stats *stats);

/* Wilson's 95 % interval of a share: `correct` of n. Both NaN for n 0. */
void berth_stats_share(size_t correct, size_t n, double interval[2]);

#endif
