/* compare.h: whether two series of latencies differ, and by what factor. */
#ifndef BERTH_REPORT_COMPARE_H
#define BERTH_REPORT_COMPARE_H

#include <stddef.h>

#include "berth/status.h"

/* What B is, beside A. TOO_SHORT: what differs may be a phase of the machine. */
enum berth_verdict { BERTH_TOO_FEW, BERTH_TOO_SHORT, BERTH_SAME, BERTH_FASTER, BERTH_SLOWER };

struct berth_difference {
    enum berth_verdict verdict;
    double ratio;       /* of B to A: the median of all b / a (Hodges and Lehmann 1963, of logarithms) */
    double interval[2]; /* of that ratio, at 1 - error_rate; NaN when too few */
    double p;           /* of the Mann-Whitney test */
    double dependence[2]; /* how many values of A and of B count as one, because neighbours are alike (1: none) */
};

/* The Mann-Whitney rank test on A and B, series in the order in which they were measured. Neighbouring latencies
 * are not independent of each other: the variance is widened by their autocorrelation (the initial positive sequence
 * of Geyer 1992, on ranks), else slow phases of a machine would be taken for differences. The interval holds exactly
 * those ratios that the test does not reject, so it contains 1 when the verdict is SAME. */
enum berth_status berth_compare_series(const double *a, size_t n, const double *b, size_t m, double error_rate,
                                       struct berth_difference *difference, struct berth_error *err);

/* Wilcoxon's signed-rank test, exact, of the logarithms of B's time over A's in n pairs of runs, each pair measured one after the
 * other: what slows the machine for longer than a run meets both alike. It supposes that a pair without a difference may as well
 * have come the other way round, and nothing else. 6 pairs at least for an error rate of 5 %. The ratio is Hodges and Lehmann's,
 * the interval holds the ratios that the test does not reject. Beyond BERTH_COMPARE_PAIRS pairs the rest is left out. */
enum { BERTH_COMPARE_PAIRS = 400 };
enum berth_status berth_compare_pairs(const double *log_ratio, size_t n, double error_rate,
                                      struct berth_difference *difference, struct berth_error *err);

#endif
