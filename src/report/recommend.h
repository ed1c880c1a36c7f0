/* recommend.h: deployments beside an objective; apart from its printing. */
#ifndef BERTH_REPORT_RECOMMEND_H
#define BERTH_REPORT_RECOMMEND_H

#include "report/data.h"

enum berth_limit { BERTH_LIMIT_P50, BERTH_LIMIT_P90, BERTH_LIMIT_P99, BERTH_LIMIT_ACCURACY, BERTH_LIMIT_RATE,
                   BERTH_LIMIT_MEMORY, BERTH_LIMIT_COST, BERTH_LIMITS };

enum berth_standing {
    BERTH_UNASKED,
    BERTH_MET,      /* with the whole of its interval */
    BERTH_MAY_MEET, /* the value meets it, a part of its interval does not */
    BERTH_MISSED,
    BERTH_TOO_FEW_TRIALS, /* for that percentile */
    BERTH_NOT_MEASURED
};

/* How a deployment stands to one limit. */
struct berth_check {
    enum berth_standing standing;
    double value, interval[2]; /* NaN: unknown */
    bool bound;                /* the value is an upper bound by Cantelli's inequality, from a published mean and deviation */
    double excess;             /* by what factor it misses: above 1 */
};

/* A model on a target with its settings, over all lengths that were measured. */
struct berth_deployment {
    const struct berth_cell *cell; /* one of its cells: the longest length */
    size_t cells;
    int64_t shortest, longest;     /* lengths */
    unsigned long long lengths;    /* a hash of their set: only what was measured on the same is ranked together */
    char status[200];              /* why it cannot be judged at all; "" */
    double p[3], p_interval[3][2]; /* worst p50, p90, p99 of the lengths */
    bool p_bound[3], p_few[3];
    double texts_per_second, cost, memory_mb, accuracy, accuracy_interval[2]; /* texts a second: over equal parts of the lengths */
    size_t n;                      /* trials of the length with the fewest */
    struct berth_check check[BERTH_LIMITS];
    bool meets;
    double excess;                 /* the product of those of all limits that it misses; infinite when one is unknown */
};

/* Finds and judges all deployments: those that meet the objective first, cheapest (without prices fastest) first, then
 * the others, nearest first; within one set of lengths. *deployments is for berth_free. */
enum berth_status berth_recommend_judge(const struct berth_report_data *data, const struct berth_recommend_options *options,
                                        struct berth_deployment **deployments, size_t *count, struct berth_error *err);

#endif
