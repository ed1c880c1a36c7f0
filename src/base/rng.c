/* rng.c: xoshiro256**. */
#include "base/rng.h"

#include <math.h>

__extension__ typedef unsigned __int128 wide; /* outside ISO C, in both compilers */

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void berth_rng_seed(struct berth_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) { /* splitmix64 */
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        rng->s[i] = z ^ (z >> 31);
    }
}

uint64_t berth_rng_next(struct berth_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double berth_rng_uniform(struct berth_rng *rng)
{
    return (double)(berth_rng_next(rng) >> 11) * 0x1p-53;
}

uint64_t berth_rng_below(struct berth_rng *rng, uint64_t bound)
{
    wide product = (wide)berth_rng_next(rng) * bound;
    if ((uint64_t)product < bound) {
        uint64_t threshold = -bound % bound;
        while ((uint64_t)product < threshold)
            product = (wide)berth_rng_next(rng) * bound;
    }
    return (uint64_t)(product >> 64);
}

double berth_rng_normal(struct berth_rng *rng)
{
    double u, v, s;
    do {
        u = 2 * berth_rng_uniform(rng) - 1;
        v = 2 * berth_rng_uniform(rng) - 1;
        s = u * u + v * v;
    } while (s >= 1 || s == 0);
    return u * sqrt(-2 * log(s) / s);
}
