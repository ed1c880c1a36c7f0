/* kernels.h: the arithmetic of an encoder, one table of functions per instruction-set level.
 *
 * Kernels are pure functions over pointers and sizes: no allocation, no threads, no globals, no reads past the end of
 * an array. Arguments stand in the order output, inputs, sizes, strides, parameters; sizes and strides count elements.
 *
 * Promise on bits: at one level, a row of a result depends on that row of the input (in attention: on that text) and on
 * nothing else: not on how many rows are computed together, nor on which piece of the work a thread was given. Every
 * output element is one chain of fused multiply-adds in increasing k.
 *
 * Letters: M rows (tokens), N output columns, K input columns, T tokens of one text, D size of a head. */
#ifndef BERTH_KERNELS_KERNELS_H
#define BERTH_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What a matrix product does to its sums before they are stored. */
enum berth_epilogue_act { BERTH_K_NONE, BERTH_K_GELU_ERF, BERTH_K_GELU_TANH, BERTH_K_RELU, BERTH_K_SILU, BERTH_K_TANH };

/* out[M,N] = act(a[M,K] . w[N,K]^T + bias[N]) + residual[M,N] */
struct berth_gemm_f32 {
    float *out;            /* [M, N], row stride out_stride */
    const float *a;        /* [M, K], row stride a_stride */
    const float *weights;  /* packed by pack_f32: the panels of these N columns only */
    const float *bias;     /* [N] or NULL */
    const float *residual; /* [M, N], row stride residual_stride, or NULL; may be `out` itself */
    size_t m, n, k;
    size_t out_stride, a_stride, residual_stride;
    enum berth_epilogue_act act;
    float *scratch;        /* gemm_f32_scratch(m, k) floats, 64-byte aligned; one per thread */
};

/* Attention of one head of one text: softmax(scale * q k^T) v, row i of out for query i. */
struct berth_attention_f32 {
    float *out;           /* [queries, D], row stride out_stride */
    const float *q;       /* [queries, D], row stride qkv_stride */
    const float *k, *v;   /* [T, D], row stride qkv_stride */
    size_t queries;       /* T, or fewer: only the first tokens' rows are wanted */
    size_t t, d;
    size_t out_stride, qkv_stride;
    float scale;
    float *scratch;       /* attention_f32_scratch(t, d) floats, 64-byte aligned; one per thread */
};

struct berth_kernels {
    enum berth_isa isa; /* the level of these kernels */

    /* --- fp32 matrix product ------------------------------------------------------------------------- */
    const char *gemm_f32_name; /* as `berth info --plan` prints it: "f32_gemm_14x32__avx512" */
    size_t gemm_f32_nr;        /* columns of a panel; N is padded to a multiple of it when packing */

    /* Packs rows [n0, n0 + count) of w[N,K] (Hugging Face's Linear.weight: out x in, row stride w_stride, given from row n0 on) into
     * `packed`, which holds panels of nr columns, each [K][nr], zero-filled beyond N. n0 is a multiple of nr;
     * count is one too unless it is the end. */
    void (*pack_f32)(float *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride);
    size_t (*gemm_f32_scratch)(size_t m, size_t k);
    void (*gemm_f32)(const struct berth_gemm_f32 *args);

    /* --- attention ------------------------------------------------------------------------------------- */
    const char *attention_f32_name;
    size_t (*attention_f32_scratch)(size_t t, size_t d);
    void (*attention_f32)(const struct berth_attention_f32 *args);

    /* --- row-wise ---------------------------------------------------------------------------------------- */
    /* out[i] = (x[i] - mean(x)) / sqrt(var(x) + eps) * gamma + beta for each of m rows of n; out may be x.
     * Mean and variance (biased) in two passes. */
    void (*layernorm_f32)(float *out, const float *x, const float *gamma, const float *beta, size_t m, size_t n,
                          size_t out_stride, size_t x_stride, float eps);
    /* out[n] = a[n] + b[n] + (c ? c[n] : 0): one embedding row. */
    void (*add3_f32)(float *out, const float *a, const float *b, const float *c, size_t n);
    /* x[n] in place. */
    void (*act_f32)(float *x, size_t n, enum berth_epilogue_act act);
    /* Widening of stored weights. */
    void (*widen_f16)(float *out, const uint16_t *x, size_t n);
    void (*widen_bf16)(float *out, const uint16_t *x, size_t n);
    /* True when every value is finite. */
    bool (*all_finite_f32)(const float *x, size_t n);
};

/* The best table at or below `max` that was compiled in; never NULL (scalar is always there). The caller passes a level that
 * the machine has (berth_cpu_detect). Levels without kernels of their own use the next lower one's. */
const struct berth_kernels *berth_kernels_select(enum berth_isa max);

/* Floats of the packed form of w[n, k]. Saturates at SIZE_MAX / 4 on overflow. */
size_t berth_gemm_f32_packed(const struct berth_kernels *kernels, size_t n, size_t k);

/* Runs each chosen kernel on a small fixed problem against the plain C reference, in well below 5 ms; returns the name of the first that is wrong, NULL when
 * all are right. */
const char *berth_kernels_self_test(const struct berth_kernels *kernels);

#endif
