/* find_rate.h: when a rate counts as kept. */
#ifndef BERTH_BENCH_FIND_RATE_H
#define BERTH_BENCH_FIND_RATE_H

#include <stdbool.h>
#include <stddef.h>

/* Whether n latencies, `over` of which are above the objective, show with this confidence that the q-quantile is
 * within it: a share of 1 - q above it would give so few with a probability of at most 1 - confidence (MLPerf
 * Inference's early stopping, with tolerance 0). q 0.99 at 0.95 needs 299 latencies, all of them within. */
bool berth_within_objective(size_t n, size_t over, double q, double confidence);

#endif
