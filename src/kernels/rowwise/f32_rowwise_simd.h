/* f32_rowwise_simd.h: what is done to rows between the matrix products, compiled once per level; include
 * avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_ROWWISE_F32_ROWWISE_SIMD_H
#define BERTH_KERNELS_ROWWISE_F32_ROWWISE_SIMD_H

#include <math.h>
#include <string.h>

#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/wide.h"

void KERNEL(f32_add3)(float *out, const float *a, const float *b, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i += LANES) {
        vf sum = load_at(a, i, n) + load_at(b, i, n);
        if (c)
            sum += load_at(c, i, n);
        store_at(out, sum, i, n);
    }
}

ALWAYS_INLINE void activate_all(float *x, size_t n, enum berth_epilogue_act act)
{
    for (size_t i = 0; i < n; i += LANES)
        store_at(x, vf_activate(load_at(x, i, n), act), i, n);
}

void KERNEL(f32_act)(float *x, size_t n,
                     enum berth_epilogue_act act){WITH_ACTIVATION(act, activate_all, x, n)}

ALWAYS_INLINE void widen(float *out, const uint16_t *x, size_t n, vf (*convert)(const uint16_t *))
{
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(out + i, convert(x + i));
    if (i < n) {
        uint16_t rest[LANES] = {0};
        memcpy(rest, x + i, (n - i) * sizeof *x);
        vf_store_part(out + i, convert(rest), n - i);
    }
}

void KERNEL(f16_widen)(float *out, const uint16_t *x, size_t n)
{
    widen(out, x, n, vf_of_f16);
}

void KERNEL(bf16_widen)(float *out, const uint16_t *x, size_t n)
{
    widen(out, x, n, vf_of_bf16);
}

/* x * 0 is 0 for every finite x, NaN for the others. */
bool KERNEL(f32_all_finite)(const float *x, size_t n)
{
    vf sum = vf_set(0);
    for (size_t i = 0; i < n; i += LANES)
        sum = vf_fma(load_at(x, i, n), vf_set(0), sum);
    return vf_sum(sum) == 0;
}

#endif
