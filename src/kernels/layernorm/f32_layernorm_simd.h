/* f32_layernorm_simd.h: LayerNorm of rows, compiled once per level with the same bits at each; include
 * scalar.h, avx2.h or avx512.h first.
 *
 * Element i is summed into lane i % 16 of accumulator i / 16 % SETS; accumulators are added in pairs, lanes
 * by halves. The order depends on the length alone. */
#ifndef BERTH_KERNELS_LAYERNORM_F32_LAYERNORM_SIMD_H
#define BERTH_KERNELS_LAYERNORM_F32_LAYERNORM_SIMD_H

#include <math.h>
#include <string.h>

#include "kernels/list.h"
#include "kernels/simd/wide.h"

enum { SETS = 4 };

/* Elements [i, n) of x, at most LANES of them; the rest reads as `other`. */
static vf load_filled(const float *x, size_t i, size_t n, float other)
{
    if (i + LANES <= n)
        return vf_load(x + i);
    float all[LANES];
    for (size_t j = 0; j < LANES; j++)
        all[j] = other;
    if (i < n)
        memcpy(all, x + i, (n - i) * sizeof *x);
    return vf_load(all);
}

ALWAYS_INLINE float sum_sets(vf sums[SETS][PARTS])
{
    vf all[PARTS];
    UNROLL
    for (size_t p = 0; p < PARTS; p++)
        all[p] = (sums[0][p] + sums[1][p]) + (sums[2][p] + sums[3][p]);
    return vf_sum_wide(all);
}

ALWAYS_INLINE vf accumulate(vf sum, vf u, bool squares)
{
    if (squares)
        return vf_fma(u, u, sum);
    return sum + u;
}

/* The sum of x[i] - shift, or of its squares. `squares` is a constant where this is inlined. */
ALWAYS_INLINE float sum_row(const float *x, size_t n, float shift, bool squares)
{
    const vf s = vf_set(shift);
    vf sums[SETS][PARTS];
    UNROLL
    for (size_t set = 0; set < SETS; set++) {
        UNROLL
        for (size_t p = 0; p < PARTS; p++)
            sums[set][p] = vf_set(0);
    }
    size_t i = 0;
    for (; i + SETS * WIDE <= n; i += SETS * WIDE) {
        UNROLL
        for (size_t set = 0; set < SETS; set++) {
            UNROLL
            for (size_t p = 0; p < PARTS; p++) {
                const vf u = vf_load(x + i + set * WIDE + p * LANES) - s;
                sums[set][p] = accumulate(sums[set][p], u, squares);
            }
        }
    }
    for (size_t set = 0; i < n; set++, i += WIDE) {
        for (size_t p = 0; p < PARTS; p++) {
            const size_t j = i + p * LANES;
            const vf u = load_filled(x, j, n, shift) - s;
            sums[set][p] = accumulate(sums[set][p], u, squares);
        }
    }
    return sum_sets(sums);
}

void KERNEL(f32_layernorm)(float *out, const float *x, const float *gamma, const float *beta, size_t m,
                           size_t n, size_t out_stride, size_t x_stride, float eps)
{
    for (size_t r = 0; r < m; r++, out += out_stride, x += x_stride) {
        const float mean = sum_row(x, n, 0, false) / (float)n;
        const float variance = sum_row(x, n, mean, true) / (float)n;
        const vf scale = vf_set(1 / sqrtf(variance + eps)), shift = vf_set(mean);
        for (size_t i = 0; i < n; i += LANES) {
            const vf normal = (load_at(x, i, n) - shift) * scale;
            store_at(out, vf_fma(normal, load_at(gamma, i, n), load_at(beta, i, n)), i, n);
        }
    }
}

#endif
