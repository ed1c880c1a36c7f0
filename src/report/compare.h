/* compare.h: whether two series of latencies differ, and by what factor. */
#ifndef BERTH_REPORT_COMPARE_H
#define BERTH_REPORT_COMPARE_H

#include <stddef.h>

#include "berth/status.h"

enum berth_verdict { BERTH_TOO_FEW, BERTH_SAME, BERTH_FASTER, BERTH_SLOWER }; /* what B is, beside A */

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

#endif
