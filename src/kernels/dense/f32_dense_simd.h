/* f32_dense_simd.h: a product of few columns, straight from unpacked weights, compiled once per level with
 * the same bits at each; include scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_DENSE_F32_DENSE_SIMD_H
#define BERTH_KERNELS_DENSE_F32_DENSE_SIMD_H

#include "kernels/list.h"
#include "kernels/simd/wide.h"

/* Element i goes into lane i % 16 of one sum; lanes are added by halves. */
static float dot(const float *x, const float *w, size_t k)
{
    vf sum[PARTS];
    for (size_t p = 0; p < PARTS; p++)
        sum[p] = vf_set(0);
    for (size_t i = 0; i < k; i += WIDE) {
        for (size_t p = 0; p < PARTS; p++)
            sum[p] = vf_fma(load_at(x, i + p * LANES, k), load_at(w, i + p * LANES, k), sum[p]);
    }
    return vf_sum_wide(sum);
}

void KERNEL(f32_dense)(float *out, const float *x, const float *w, const float *bias, size_t m, size_t n,
                       size_t k, size_t out_stride, size_t x_stride)
{
    for (size_t r = 0; r < m; r++) {
        for (size_t j = 0; j < n; j++)
            out[r * out_stride + j] = dot(x + r * x_stride, w + j * k, k) + (bias ? bias[j] : 0);
    }
}

#endif
