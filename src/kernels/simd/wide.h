/* wide.h: rows of floats taken sixteen at a time at every level, so that sums come out in one order; include
 * scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_SIMD_WIDE_H
#define BERTH_KERNELS_SIMD_WIDE_H

#include <string.h>

enum { WIDE = 16, PARTS = WIDE / LANES };

/* Before a loop whose sums must end up in registers. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

ALWAYS_INLINE size_t ceil_div(size_t n, size_t step)
{
    return n / step + (n % step != 0);
}

/* Elements [i, n) of x, at most LANES of them; the rest, and everything for i >= n, reads as 0. */
ALWAYS_INLINE vf load_at(const float *x, size_t i, size_t n)
{
    if (i + LANES <= n)
        return vf_load(x + i);
    return i < n ? vf_load_part(x + i, n - i) : vf_set(0);
}

ALWAYS_INLINE void store_at(float *out, vf x, size_t i, size_t n)
{
    if (i + LANES <= n) {
        vf_store(out + i, x);
    } else if (i < n) {
        vf_store_part(out + i, x, n - i);
    }
}

/* The largest |x[i]|, a NaN if there is one; 0 for none. */
ALWAYS_INLINE float largest_magnitude(const float *x, size_t n)
{
    vf most = vf_set(0), other = most;
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        most = vf_most(most, vf_load(x + i));
        other = vf_most(other, vf_load(x + i + LANES));
    }
    for (; i < n; i += LANES)
        most = vf_most(most, load_at(x, i, n));
    most = vf_most(most, other);
    const int32_t largest = vi_largest((vi)most);
    float value;
    memcpy(&value, &largest, sizeof value);
    return value;
}

#endif
