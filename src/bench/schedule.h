/* schedule.h: when requests are due. */
#ifndef BERTH_BENCH_SCHEDULE_H
#define BERTH_BENCH_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

/* The first `count` arrivals of a Poisson process of `rate` a second (> 0): ns after the start, ascending, due[0]
 * at the first arrival. Gaps are independent and exponential, -ln(1 - u) / rate with u from the seeded generator
 * (MLPerf Inference's server scenario draws them from std::exponential_distribution). The same seed gives the
 * same arrivals, so two servers can be asked the very same questions at the very same moments. */
void berth_schedule_poisson(double rate, uint64_t seed, uint64_t *due, size_t count);

#endif
