/* schedule.c: Poisson arrivals. */
#include "bench/schedule.h"

#include <math.h>

#include "base/rng.h"

void berth_schedule_poisson(double rate, uint64_t seed, uint64_t *due, size_t count)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    double at = 0; /* seconds: 2^53 ns are 104 days */
    for (size_t i = 0; i < count; i++) {
        at += -log1p(-berth_rng_uniform(&rng)) / rate;
        due[i] = (uint64_t)(at * 1e9);
    }
}
