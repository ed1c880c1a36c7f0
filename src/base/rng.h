/* rng.h: a small seeded generator (xoshiro256**, Blackman and Vigna 2018, seeded through splitmix64). The
 * same seed gives the same sequence on every machine. */
#ifndef BERTH_BASE_RNG_H
#define BERTH_BASE_RNG_H

#include <stdint.h>

struct berth_rng {
    uint64_t s[4];
};

void berth_rng_seed(struct berth_rng *rng, uint64_t seed);
uint64_t berth_rng_next(struct berth_rng *rng);

/* Uniform in [0, 1), 53 bits. */
double berth_rng_uniform(struct berth_rng *rng);

/* Uniform in [0, bound), without modulo bias (Lemire 2019). bound > 0. */
uint64_t berth_rng_below(struct berth_rng *rng, uint64_t bound);

/* Normal deviate, mean 0, deviation 1 (sum of scaled uniforms is never used: this is the polar method). */
double berth_rng_normal(struct berth_rng *rng);

#endif
