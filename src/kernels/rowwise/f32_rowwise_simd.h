/* f32_rowwise_simd.h: what is done to rows between the matrix products, compiled once per level; include
 * avx2.h or avx512.h first. Every sum runs in the order that the length alone decides. */
#ifndef BERTH_KERNELS_ROWWISE_F32_ROWWISE_SIMD_H
#define BERTH_KERNELS_ROWWISE_F32_ROWWISE_SIMD_H

#include <math.h>
#include <string.h>

#include "kernels/list.h"
#include "kernels/simd/functions.h"

/* Elements [i, n) of x, at most LANES of them; the rest read as 0. */
ALWAYS_INLINE vf load_at(const float *x, size_t i, size_t n)
{
    return n - i >= LANES ? vf_load(x + i) : vf_load_part(x + i, n - i);
}

ALWAYS_INLINE void store_at(float *out, vf x, size_t i, size_t n)
{
    if (n - i >= LANES) {
        vf_store(out + i, x);
    } else {
        vf_store_part(out + i, x, n - i);
    }
}

static float mean_of(const float *x, size_t n)
{
    vf a = vf_set(0), b = a, c = a, d = a;
    size_t i = 0;
    for (; i + 4 * LANES <= n; i += 4 * LANES) {
        a += vf_load(x + i);
        b += vf_load(x + i + LANES);
        c += vf_load(x + i + 2 * LANES);
        d += vf_load(x + i + 3 * LANES);
    }
    for (; i < n; i += LANES)
        a += load_at(x, i, n);
    return vf_sum((a + b) + (c + d)) / (float)n;
}

static float variance_of(const float *x, size_t n, float mean)
{
    const vf m = vf_set(mean);
    vf a = vf_set(0), b = a;
    size_t i = 0;
    for (; i + 2 * LANES <= n; i += 2 * LANES) {
        const vf u = vf_load(x + i) - m, v = vf_load(x + i + LANES) - m;
        a = vf_fma(u, u, a);
        b = vf_fma(v, v, b);
    }
    float rest = 0;
    for (; i < n; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return (vf_sum(a + b) + rest) / (float)n;
}

void KERNEL(f32_layernorm)(float *out, const float *x, const float *gamma, const float *beta, size_t m,
                           size_t n, size_t out_stride, size_t x_stride, float eps)
{
    for (size_t r = 0; r < m; r++, out += out_stride, x += x_stride) {
        const float mean = mean_of(x, n);
        const vf scale = vf_set(1 / sqrtf(variance_of(x, n, mean) + eps)), shift = vf_set(mean);
        for (size_t i = 0; i < n; i += LANES) {
            const vf normal = (load_at(x, i, n) - shift) * scale;
            store_at(out, vf_fma(normal, load_at(gamma, i, n), load_at(beta, i, n)), i, n);
        }
    }
}

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
