/* functions.h: exp and the activations on a vector; include avx2.h or avx512.h first.
 *
 * Polynomials are minimax fits of our own (Lawson iteration, 40 digits). The bounds are held by
 * tests/unit/kernels/test_activations.c, which sweeps the floats against double precision. NaN gives NaN. */
#ifndef BERTH_KERNELS_SIMD_FUNCTIONS_H
#define BERTH_KERNELS_SIMD_FUNCTIONS_H

#include "kernels/kernels.h"

/* x = n ln 2 + rest with |rest| <= ln(2) / 2; gives exp(rest) - 1. ln 2 is split so that n * high is exact.
 */
ALWAYS_INLINE vf vf_expm1_reduced(vf x, vf *n)
{
    *n = vf_round(x * vf_set(1.44269504f));
    vf rest = vf_fma(*n, vf_set(-0x1.62e4p-1f), x);
    rest = vf_fma(*n, vf_set(-0x1.7f7d1cp-20f), rest);
    vf p = vf_set(0.001394856708f);
    p = vf_fma(p, rest, vf_set(0.008369222532f));
    p = vf_fma(p, rest, vf_set(0.041666241f));
    p = vf_fma(p, rest, vf_set(0.1666650459f));
    p = vf_fma(p, rest, vf_set(0.5000000081f));
    return vf_fma(p * rest, rest, rest);
}

/* Relative error below 1.5e-7 for -87 <= x <= 88.7; between 0 and 1.2e-38 for smaller x, above 2.4e38 for
 * larger. */
ALWAYS_INLINE vf vf_exp(vf x)
{
    vf n;
    const vf bounded = vf_min(vf_set(89.0f), vf_max(vf_set(-104.0f), x));
    const vf p = vf_expm1_reduced(bounded, &n);
    return vf_scale(p + vf_set(1.0f), n);
}

/* Relative error below 3e-7. */
ALWAYS_INLINE vf vf_tanh(vf x)
{
    vf n;
    const vf twice = vf_min(vf_set(20.0f), vf_abs(x) + vf_abs(x));
    const vf p = vf_expm1_reduced(twice, &n);
    const vf power = vf_scale(vf_set(1.0f), n);
    const vf expm1 = vf_fma(power, p, power - vf_set(1.0f));
    return vf_copysign(expm1 / (expm1 + vf_set(2.0f)), x);
}

/* The normal distribution Phi(x), for x of at least -5.4: 1/2 + x P(x^2) up to 5.4, where all but 2^-24 of it
 * lies. P is evaluated in s = 2 (x / 5.4)^2 - 1, in which it is well conditioned. */
ALWAYS_INLINE vf vf_normal(vf x)
{
    const vf inside = vf_min(vf_set(5.4f), x);
    const vf s = vf_fma(inside * inside, vf_set((float)(2 / (5.4 * 5.4))), vf_set(-1.0f));
    vf p = vf_set(0.0003762099096f);
    p = vf_fma(p, s, vf_set(-0.001013027375f));
    p = vf_fma(p, s, vf_set(0.0009219722637f));
    p = vf_fma(p, s, vf_set(-0.001228884402f));
    p = vf_fma(p, s, vf_set(0.003607945454f));
    p = vf_fma(p, s, vf_set(-0.006670637398f));
    p = vf_fma(p, s, vf_set(0.00967776093f));
    p = vf_fma(p, s, vf_set(-0.013985596f));
    p = vf_fma(p, s, vf_set(0.01963832588f));
    p = vf_fma(p, s, vf_set(-0.02574114694f));
    p = vf_fma(p, s, vf_set(0.03211738041f));
    p = vf_fma(p, s, vf_set(-0.03920734527f));
    p = vf_fma(p, s, vf_set(0.04849956065f));
    p = vf_fma(p, s, vf_set(-0.06532803997f));
    p = vf_fma(p, s, vf_set(0.1309281128f));
    return vf_fma(inside, p, vf_set(0.5f));
}

/* x Phi(x). Error below 1.8e-7 max(1, |x|). */
ALWAYS_INLINE vf vf_gelu_erf(vf x)
{
    const vf above = vf_max(vf_set(-5.4f), x);
    return above * vf_normal(above);
}

/* x / (1 + exp(-2 z)): the tanh form, since 1 + tanh(z) = 2 / (1 + exp(-2 z)). Error below 3e-7 max(1, |x|).
 */
ALWAYS_INLINE vf vf_gelu_tanh(vf x)
{
    const vf cubic =
        vf_fma(x * x, vf_set(-2 * 0.79788456080286536f * 0.044715f), vf_set(-2 * 0.79788456080286536f));
    return x / (vf_set(1.0f) + vf_exp(x * cubic));
}

/* Error below 3e-7 max(1, |x|). */
ALWAYS_INLINE vf vf_silu(vf x)
{
    return x / (vf_set(1.0f) + vf_exp(vf_set(0.0f) - x));
}

/* 1/2 + x P(x^2) between -3.9 and 3.9 for two curves, with P exactly 1 / 7.8 at the ends: what lies beyond
 * them is x or 0 as it should be. For results that are rounded to int8 next, whose steps are a hundred times
 * as large as the error: below 2e-4. */
ALWAYS_INLINE vf vf_gelu_coarse(vf x, const float p[7])
{
    const vf inside = vf_min(vf_set(3.9f), vf_max(vf_set(-3.9f), x));
    const vf s = vf_fma(inside * inside, vf_set((float)(2 / (3.9 * 3.9))), vf_set(-1.0f));
    vf sum = vf_set(p[6]);
    for (int i = 5; i >= 0; i--)
        sum = vf_fma(sum, s, vf_set(p[i]));
    return x * vf_fma(inside, sum, vf_set(0.5f));
}

/* `act` is a constant where this is inlined. */
ALWAYS_INLINE vf vf_activate(vf x, enum berth_epilogue_act act)
{
    switch (act) {
        case BERTH_K_GELU_ERF:
            return vf_gelu_erf(x);
        case BERTH_K_GELU_TANH:
            return vf_gelu_tanh(x);
        case BERTH_K_RELU:
            return vf_max(vf_set(0.0f), x);
        case BERTH_K_SILU:
            return vf_silu(x);
        case BERTH_K_TANH:
            return vf_tanh(x);
        case BERTH_K_NONE:
            break;
    }
    return x;
}

/* As vf_activate, for results that are rounded to int8 next. */
ALWAYS_INLINE vf vf_activate_coarse(vf x, enum berth_epilogue_act act)
{
    static const float erf_form[7] = {0.18026967f,   -0.0857621082f, 0.0553877224f, -0.0346228748f,
                                      0.0223408416f, -0.0145592321f, 0.00515110917f};
    static const float tanh_form[7] = {0.180335165f,  -0.0858517912f, 0.0552038779f, -0.0341329196f,
                                       0.0222066798f, -0.0148896788f, 0.00533379531f};
    switch (act) {
        case BERTH_K_GELU_ERF:
            return vf_gelu_coarse(x, erf_form);
        case BERTH_K_GELU_TANH:
            return vf_gelu_coarse(x, tanh_form);
        default:
            return vf_activate(x, act);
    }
}

/* Calls f(..., act) with act a constant, so that each activation gets a loop of its own. */
#define WITH_ACTIVATION(act, f, ...)           \
    switch (act) {                             \
        case BERTH_K_GELU_ERF:                 \
            f(__VA_ARGS__, BERTH_K_GELU_ERF);  \
            break;                             \
        case BERTH_K_GELU_TANH:                \
            f(__VA_ARGS__, BERTH_K_GELU_TANH); \
            break;                             \
        case BERTH_K_RELU:                     \
            f(__VA_ARGS__, BERTH_K_RELU);      \
            break;                             \
        case BERTH_K_SILU:                     \
            f(__VA_ARGS__, BERTH_K_SILU);      \
            break;                             \
        case BERTH_K_TANH:                     \
            f(__VA_ARGS__, BERTH_K_TANH);      \
            break;                             \
        case BERTH_K_NONE:                     \
            f(__VA_ARGS__, BERTH_K_NONE);      \
            break;                             \
    }

#endif
