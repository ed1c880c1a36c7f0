/* f32_train_simd.h: what the backward pass and the optimiser need beside the matrix product, compiled once
 * per level; include avx2.h or avx512.h first. Every sum runs in the order that the sizes alone decide. */
#ifndef BERTH_KERNELS_TRAIN_F32_TRAIN_SIMD_H
#define BERTH_KERNELS_TRAIN_F32_TRAIN_SIMD_H

#include <math.h>

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/train/dropout_hash.h"

enum { PANEL = 2 * LANES }; /* columns of a panel, as in tile.h */

typedef uint32_t vu __attribute__((vector_size(LANES * sizeof(uint32_t)), may_alias));

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

/* --- layouts -------------------------------------------------------------------------------------- */

ALWAYS_INLINE void store_or_zero(float *panel, const float *row, size_t j, size_t filled)
{
    if (j < filled)
        vf_store(panel + j, load_at(row, j, filled));
    else
        vf_store(panel + j, vf_set(0));
}

void KERNEL(f32_pack_columns)(float *packed, const float *x, size_t n0, size_t count, size_t k,
                              size_t x_stride)
{
    float *panel = packed + n0 * k;
    for (size_t first = 0; first < count; first += PANEL) {
        const size_t filled = berth_min(PANEL, count - first);
        for (size_t i = 0; i < k; i++, panel += PANEL) {
            const float *row = x + i * x_stride + first;
            if (filled == PANEL) {
                vf_store(panel, vf_load(row));
                vf_store(panel + LANES, vf_load(row + LANES));
            } else {
                for (size_t j = 0; j < PANEL; j += LANES)
                    store_or_zero(panel, row, j, filled);
            }
        }
    }
}

/* out[8][8] = x[8][8]^T: pairs of rows are interleaved by ones, by twos, by fours. */
ALWAYS_INLINE void transpose_eight(float *out, const float *x, size_t out_stride, size_t x_stride)
{
    __m256 r[8], s[8];
    for (size_t i = 0; i < 8; i++)
        r[i] = _mm256_loadu_ps(x + i * x_stride);
    for (size_t i = 0; i < 8; i += 2) {
        s[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        s[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (size_t i = 0; i < 8; i += 4) {
        r[i] = _mm256_shuffle_ps(s[i], s[i + 2], 0x44);
        r[i + 1] = _mm256_shuffle_ps(s[i], s[i + 2], 0xee);
        r[i + 2] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0x44);
        r[i + 3] = _mm256_shuffle_ps(s[i + 1], s[i + 3], 0xee);
    }
    for (size_t i = 0; i < 4; i++) {
        _mm256_storeu_ps(out + i * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
        _mm256_storeu_ps(out + (i + 4) * out_stride, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
    }
}

void KERNEL(f32_transpose)(float *out, const float *x, size_t m, size_t n, size_t out_stride, size_t x_stride)
{
    enum { BLOCK = 64 }; /* columns at a time, so that the rows written stay in cache */
    for (size_t j0 = 0; j0 < n; j0 += BLOCK) {
        const size_t end = berth_min(j0 + BLOCK, n), whole = j0 + (end - j0) / 8 * 8;
        size_t i = 0;
        for (; i + 8 <= m; i += 8) {
            const float *row = x + i * x_stride;
            for (size_t j = j0; j < whole; j += 8)
                transpose_eight(out + j * out_stride + i, row + j, out_stride, x_stride);
            for (size_t j = whole; j < end; j++) {
                for (size_t r = 0; r < 8; r++)
                    out[j * out_stride + i + r] = row[r * x_stride + j];
            }
        }
        for (; i < m; i++) {
            for (size_t j = j0; j < end; j++)
                out[j * out_stride + i] = x[i * x_stride + j];
        }
    }
}

/* --- LayerNorm ------------------------------------------------------------------------------------ */

ALWAYS_INLINE float sum_of(const float *x, size_t n)
{
    vf sum = vf_set(0);
    for (size_t i = 0; i < n; i += LANES)
        sum += load_at(x, i, n);
    return vf_sum(sum);
}

static float squares_around(const float *x, size_t n, float mean)
{
    vf sum = vf_set(0);
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const vf d = vf_load(x + i) - vf_set(mean);
        sum = vf_fma(d, d, sum);
    }
    float rest = 0;
    for (; i < n; i++)
        rest += (x[i] - mean) * (x[i] - mean);
    return vf_sum(sum) + rest;
}

void KERNEL(f32_layernorm_back)(const struct berth_layernorm_back_f32 *g)
{
    const size_t n = g->n;
    for (size_t r = 0; r < g->m; r++) {
        const float *x = g->x + r * n, *dy = g->dy + r * n;
        const float mean = sum_of(x, n) / (float)n;
        const float scale = 1 / sqrtf(squares_around(x, n, mean) / (float)n + g->eps);
        const vf shift = vf_set(mean), factor = vf_set(scale);
        vf plain = vf_set(0), weighted = vf_set(0);
        for (size_t i = 0; i < n; i += LANES) {
            const vf d = load_at(dy, i, n), slope = d * load_at(g->gamma, i, n);
            const vf normal = (load_at(x, i, n) - shift) * factor;
            plain += slope;
            weighted = vf_fma(slope, normal, weighted);
            store_at(g->dgamma, vf_fma(d, normal, load_at(g->dgamma, i, n)), i, n);
            store_at(g->dbeta, d + load_at(g->dbeta, i, n), i, n);
        }
        const vf a = vf_set(vf_sum(plain) / (float)n), b = vf_set(vf_sum(weighted) / (float)n);
        for (size_t i = 0; i < n; i += LANES) {
            const vf slope = load_at(dy, i, n) * load_at(g->gamma, i, n);
            const vf normal = (load_at(x, i, n) - shift) * factor;
            store_at(g->dx + r * n, (slope - a - normal * b) * factor, i, n);
        }
    }
}

/* --- activations ---------------------------------------------------------------------------------- */

/* dy where x is above 0, or NaN. */
ALWAYS_INLINE vf vf_relu_back(vf dy, vf x)
{
    return (vf)((vu)dy & ~(vu)(x <= vf_set(0)));
}

/* x * s' + s with s(x) the factor of x: 1 / (1 + exp(-z)), z' = slope */
ALWAYS_INLINE vf vf_gated_slope(vf x, vf z, vf slope)
{
    const vf one = vf_set(1), s = one / (one + vf_exp(vf_set(0) - z));
    return vf_fma(x * slope, s * (one - s), s);
}

/* `act` is a constant where this is inlined. */
ALWAYS_INLINE vf vf_slope(vf x, enum berth_epilogue_act act)
{
    const float c = 2 * 0.79788456080286536f;
    switch (act) {
        case BERTH_K_GELU_ERF: {
            const vf density = vf_set(0.39894228040143268f) * vf_exp(x * x * vf_set(-0.5f));
            return vf_fma(x, density, vf_normal(vf_max(vf_set(-5.4f), x)));
        }
        case BERTH_K_GELU_TANH: {
            const vf square = x * x;
            const vf z = x * vf_fma(square, vf_set(c * 0.044715f), vf_set(c));
            return vf_gated_slope(x, z, vf_fma(square, vf_set(3 * c * 0.044715f), vf_set(c)));
        }
        case BERTH_K_SILU:
            return vf_gated_slope(x, x, vf_set(1));
        case BERTH_K_TANH: {
            const vf t = vf_tanh(x);
            return vf_set(1) - t * t;
        }
        case BERTH_K_RELU:
        case BERTH_K_NONE:
            break;
    }
    return vf_set(1);
}

ALWAYS_INLINE void slope_all(float *dx, const float *dy, const float *x, size_t n,
                             enum berth_epilogue_act act)
{
    for (size_t i = 0; i < n; i += LANES) {
        const vf at = load_at(x, i, n), d = load_at(dy, i, n);
        vf product;
        if (act == BERTH_K_RELU)
            product = vf_relu_back(d, at);
        else
            product = d * vf_slope(at, act);
        store_at(dx, product, i, n);
    }
}

void KERNEL(f32_act_back)(float *dx, const float *dy, const float *x, size_t n, enum berth_epilogue_act act)
{
    WITH_ACTIVATION(act, slope_all, dx, dy, x, n)
}

/* --- softmax -------------------------------------------------------------------------------------- */

void KERNEL(f32_softmax)(float *x, size_t n, float scale)
{
    float largest = x[0];
    size_t i = 0;
    if (n >= LANES) {
        vf most = vf_load(x);
        for (i = LANES; i + LANES <= n; i += LANES)
            most = vf_max(most, vf_load(x + i));
        largest = vf_largest(most);
    }
    for (; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    const vf shift = vf_set(largest), factor = vf_set(scale);
    float rest = 0;
    vf sum = vf_set(0);
    for (i = 0; i + LANES <= n; i += LANES) {
        const vf power = vf_exp((vf_load(x + i) - shift) * factor);
        vf_store(x + i, power);
        sum += power;
    }
    if (i < n) {
        vf_store_part(x + i, vf_exp((vf_load_part(x + i, n - i) - shift) * factor), n - i);
        for (size_t j = i; j < n; j++)
            rest += x[j];
    }
    const vf share = vf_set(1 / (vf_sum(sum) + rest));
    for (i = 0; i < n; i += LANES)
        store_at(x, load_at(x, i, n) * share, i, n);
}

void KERNEL(f32_softmax_back)(float *dp, const float *p, size_t n, float scale)
{
    vf dot = vf_set(0);
    for (size_t i = 0; i < n; i += LANES)
        dot = vf_fma(load_at(dp, i, n), load_at(p, i, n), dot);
    const vf mean = vf_set(vf_sum(dot)), factor = vf_set(scale);
    for (size_t i = 0; i < n; i += LANES)
        store_at(dp, (load_at(dp, i, n) - mean) * load_at(p, i, n) * factor, i, n);
}

/* --- dropout -------------------------------------------------------------------------------------- */

void KERNEL(f32_dropout)(float *out, const float *x, const float *residual, size_t n, uint64_t first,
                         const struct berth_dropout *dropout)
{
    vu lane;
    for (size_t j = 0; j < LANES; j++)
        lane[j] = (uint32_t)j;
    const vf scale = vf_set(dropout->scale);
    const uint32_t low = (uint32_t)dropout->key, high = (uint32_t)(dropout->key >> 32);
    for (size_t i = 0; i < n; i += LANES) {
        vu hash = lane + (uint32_t)(first + i);
        DROPOUT_HASH(hash, low, high + (uint32_t)((first + i) >> 32));
        const vu keep = (vu)(hash >= dropout->threshold);
        vf y = (vf)((vu)(load_at(x, i, n) * scale) & keep);
        if (residual)
            y += load_at(residual, i, n);
        store_at(out, y, i, n);
    }
}

/* --- sums ----------------------------------------------------------------------------------------- */

void KERNEL(f32_column_sums)(float *sums, const float *x, size_t m, size_t n, size_t x_stride)
{
    for (size_t j = 0; j < n; j += LANES) {
        vf sum = load_at(sums, j, n);
        for (size_t r = 0; r < m; r++)
            sum += load_at(x + r * x_stride, j, n);
        store_at(sums, sum, j, n);
    }
}

double KERNEL(f32_squares)(const float *x, size_t n)
{
    enum { CHUNK = 64 * LANES }; /* so few terms a lane that float loses nothing that matters */
    double total = 0;
    for (size_t first = 0; first < n; first += CHUNK) {
        const size_t end = berth_min(first + CHUNK, n);
        vf sum = vf_set(0);
        for (size_t i = first; i < end; i += LANES) {
            const vf at = load_at(x, i, end);
            sum = vf_fma(at, at, sum);
        }
        total += vf_sum(sum);
    }
    return total;
}

/* --- AdamW ---------------------------------------------------------------------------------------- */

struct adamw {
    vf p, m, v;
};

ALWAYS_INLINE struct adamw step_adamw(struct adamw at, vf slope, const struct berth_adamw_f32 *step)
{
    const vf m = vf_fma(vf_set(step->rest1), slope, vf_set(step->beta1) * at.m);
    const vf v = vf_fma(vf_set(step->rest2) * slope, slope, vf_set(step->beta2) * at.v);
    const vf change = vf_set(step->rate) * m / vf_fma(vf_sqrt(v), vf_set(step->unbias), vf_set(step->eps));
    return (struct adamw){at.p * vf_set(step->decay) - change, m, v};
}

ALWAYS_INLINE struct adamw load_adamw(const float *p, const float *m, const float *v, size_t i, size_t n)
{
    return (struct adamw){load_at(p, i, n), load_at(m, i, n), load_at(v, i, n)};
}

ALWAYS_INLINE void store_adamw(float *p, float *m, float *v, struct adamw at, size_t i, size_t n)
{
    store_at(p, at.p, i, n);
    store_at(m, at.m, i, n);
    store_at(v, at.v, i, n);
}

void KERNEL(f32_adamw)(float *p, const float *g, float *m, float *v, size_t n,
                       const struct berth_adamw_f32 *step)
{
    for (size_t i = 0; i < n; i += LANES) {
        const vf slope = load_at(g, i, n) * vf_set(step->clip);
        store_adamw(p, m, v, step_adamw(load_adamw(p, m, v, i, n), slope, step), i, n);
    }
}

void KERNEL(f32_adamw_idle)(float *p, float *m, float *v, size_t n, const struct berth_adamw_f32 *steps,
                            size_t count)
{
    for (size_t i = 0; i < n; i += LANES) {
        struct adamw at = load_adamw(p, m, v, i, n);
        for (size_t s = 0; s < count; s++)
            at = step_adamw(at, vf_set(0), &steps[s]);
        store_adamw(p, m, v, at, i, n);
    }
}

#endif
