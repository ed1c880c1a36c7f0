/* f32_rowwise_ref.c: what is done to rows between the matrix products, in plain C. */
#include <math.h>
#include <string.h>

#include "kernels/list.h"

void berth_k_f32_add3__ref(float *out, const float *a, const float *b, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = a[i] + b[i] + (c ? c[i] : 0);
}

static float activate(float x, enum berth_epilogue_act act)
{
    switch (act) {
        case BERTH_K_GELU_ERF:
            return 0.5f * x * (1 + erff(x * 0.70710678118654752f));
        case BERTH_K_GELU_TANH:
            return 0.5f * x * (1 + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        case BERTH_K_RELU:
            return x < 0 ? 0 : x;
        case BERTH_K_SILU:
            return x / (1 + expf(-x));
        case BERTH_K_TANH:
            return tanhf(x);
        case BERTH_K_NONE:
            break;
    }
    return x;
}

void berth_k_f32_act__ref(float *x, size_t n, enum berth_epilogue_act act)
{
    for (size_t i = 0; i < n; i++)
        x[i] = activate(x[i], act);
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

void berth_k_f16_widen__ref(float *out, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const uint32_t sign = (uint32_t)(x[i] & 0x8000) << 16, exponent = x[i] >> 10 & 31,
                       fraction = x[i] & 0x3ff;
        if (exponent == 31) { /* infinity, NaN */
            out[i] = float_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
        } else if (exponent) {
            out[i] = float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
        } else { /* zero, subnormal: fraction * 2^-24 */
            out[i] = sign ? -(float)fraction * 0x1p-24f : (float)fraction * 0x1p-24f;
        }
    }
}

void berth_k_bf16_widen__ref(float *out, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = float_of_bits((uint32_t)x[i] << 16);
}

bool berth_k_f32_all_finite__ref(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            return false;
    }
    return true;
}
