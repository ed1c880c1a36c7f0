/* f32_train_ref.c: what the backward pass and the optimiser need beside the matrix product, in plain C. */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/train/dropout_hash.h"

enum { COLUMNS = 16 }; /* of a panel, as in f32_gemm_ref.c */

void berth_k_f32_pack_columns__ref(float *packed, const float *x, size_t n0, size_t count, size_t k,
                                   size_t x_stride)
{
    float *panel = packed + n0 * k;
    for (size_t first = 0; first < count; first += COLUMNS) {
        const size_t filled = berth_min(COLUMNS, count - first);
        for (size_t i = 0; i < k; i++, panel += COLUMNS) {
            memcpy(panel, x + i * x_stride + first, filled * sizeof *panel);
            memset(panel + filled, 0, (COLUMNS - filled) * sizeof *panel);
        }
    }
}

void berth_k_f32_transpose__ref(float *out, const float *x, size_t m, size_t n, size_t out_stride,
                                size_t x_stride)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < n; j++)
            out[j * out_stride + i] = x[i * x_stride + j];
    }
}

void berth_k_f32_layernorm_back__ref(const struct berth_layernorm_back_f32 *g)
{
    const size_t n = g->n;
    for (size_t r = 0; r < g->m; r++) {
        const float *x = g->x + r * n, *dy = g->dy + r * n;
        float sum = 0, squares = 0, plain = 0, weighted = 0;
        for (size_t i = 0; i < n; i++)
            sum += x[i];
        const float mean = sum / (float)n;
        for (size_t i = 0; i < n; i++)
            squares += (x[i] - mean) * (x[i] - mean);
        const float scale = 1 / sqrtf(squares / (float)n + g->eps);
        for (size_t i = 0; i < n; i++) {
            const float normal = (x[i] - mean) * scale;
            plain += dy[i] * g->gamma[i];
            weighted += dy[i] * g->gamma[i] * normal;
            g->dgamma[i] += dy[i] * normal;
            g->dbeta[i] += dy[i];
        }
        for (size_t i = 0; i < n; i++) {
            const float normal = (x[i] - mean) * scale;
            g->dx[r * n + i] =
                (dy[i] * g->gamma[i] - plain / (float)n - normal * (weighted / (float)n)) * scale;
        }
    }
}

static float gated_slope(float x, float z, float slope)
{
    const float s = 1 / (1 + expf(-z));
    return s + x * slope * s * (1 - s);
}

static float slope_of(float x, enum berth_epilogue_act act)
{
    const float c = 2 * 0.79788456080286536f;
    switch (act) {
        case BERTH_K_GELU_ERF:
            return 0.5f * (1 + erff(x * 0.70710678118654752f)) +
                   x * 0.39894228040143268f * expf(-0.5f * x * x);
        case BERTH_K_GELU_TANH:
            return gated_slope(x, x * (c + c * 0.044715f * x * x), c + 3 * c * 0.044715f * x * x);
        case BERTH_K_RELU:
            return x <= 0 ? 0 : 1;
        case BERTH_K_SILU:
            return gated_slope(x, x, 1);
        case BERTH_K_TANH:
            return 1 - tanhf(x) * tanhf(x);
        case BERTH_K_NONE:
            break;
    }
    return 1;
}

void berth_k_f32_act_back__ref(float *dx, const float *dy, const float *x, size_t n,
                               enum berth_epilogue_act act)
{
    for (size_t i = 0; i < n; i++)
        dx[i] = dy[i] * slope_of(x[i], act);
}

void berth_k_f32_softmax__ref(float *x, size_t n, float scale)
{
    float largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = x[i] > largest ? x[i] : largest;
    for (size_t i = 0; i < n; i++)
        sum += x[i] = expf((x[i] - largest) * scale);
    for (size_t i = 0; i < n; i++)
        x[i] *= 1 / sum;
}

void berth_k_f32_softmax_back__ref(float *dp, const float *p, size_t n, float scale)
{
    float dot = 0;
    for (size_t i = 0; i < n; i++)
        dot += dp[i] * p[i];
    for (size_t i = 0; i < n; i++)
        dp[i] = (dp[i] - dot) * p[i] * scale;
}

void berth_k_f32_dropout__ref(float *out, const float *x, const float *residual, size_t n, uint64_t first,
                              const struct berth_dropout *dropout)
{
    const uint32_t low = (uint32_t)dropout->key, high = (uint32_t)(dropout->key >> 32);
    for (size_t i = 0; i < n; i++) {
        /* as vectors see it: the key changes where the index of a vector's first lane passes 2^32 */
        uint32_t hash = (uint32_t)(first + i);
        DROPOUT_HASH(hash, low, high + (uint32_t)((first + i) >> 32));
        const float kept = hash >= dropout->threshold ? x[i] * dropout->scale : 0;
        out[i] = kept + (residual ? residual[i] : 0);
    }
}

void berth_k_f32_column_sums__ref(float *sums, const float *x, size_t m, size_t n, size_t x_stride)
{
    for (size_t r = 0; r < m; r++) {
        for (size_t j = 0; j < n; j++)
            sums[j] += x[r * x_stride + j];
    }
}

double berth_k_f32_squares__ref(const float *x, size_t n)
{
    double total = 0;
    for (size_t i = 0; i < n; i++)
        total += (double)x[i] * x[i];
    return total;
}

static void step_adamw(float *p, float *m, float *v, float slope, const struct berth_adamw_f32 *step)
{
    *m = step->beta1 * *m + step->rest1 * slope;
    *v = step->beta2 * *v + step->rest2 * slope * slope;
    *p = *p * step->decay - step->rate * *m / (sqrtf(*v) * step->unbias + step->eps);
}

void berth_k_f32_adamw__ref(float *p, const float *g, float *m, float *v, size_t n,
                            const struct berth_adamw_f32 *step)
{
    for (size_t i = 0; i < n; i++)
        step_adamw(&p[i], &m[i], &v[i], g[i] * step->clip, step);
}

void berth_k_f32_adamw_idle__ref(float *p, float *m, float *v, size_t n, const struct berth_adamw_f32 *steps,
                                 size_t count)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t s = 0; s < count; s++)
            step_adamw(&p[i], &m[i], &v[i], 0, &steps[s]);
    }
}
