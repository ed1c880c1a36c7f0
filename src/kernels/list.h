/* list.h: every kernel, once. table.c makes the declarations and the tables of it; tests and benchmarks walk
 * the tables. To add a level: its functions under the names below, one line in BERTH_KERNEL_LEVELS. */
#ifndef BERTH_KERNELS_LIST_H
#define BERTH_KERNELS_LIST_H

#include "kernels/kernels.h"

/* X(suffix of the functions and files, level, rows x columns of the fp32 tile, columns of a panel), lowest
 * first. */
#define BERTH_KERNEL_LEVELS_PORTABLE(X) X(ref, BERTH_ISA_SCALAR, "4x16", 16)
#if defined(__x86_64__)
#define BERTH_KERNEL_LEVELS_X86(X) \
    X(avx2, BERTH_ISA_AVX2, "6x16", 16) X(avx512, BERTH_ISA_AVX512, "14x32", 32)
#else
#define BERTH_KERNEL_LEVELS_X86(X)
#endif
#define BERTH_KERNEL_LEVELS(X)      \
    BERTH_KERNEL_LEVELS_PORTABLE(X) \
    BERTH_KERNEL_LEVELS_X86(X)

#define BERTH_KERNEL_DECLARE_TRAINING(suffix)                                                               \
    void berth_k_f32_pack_columns__##suffix(float *packed, const float *x, size_t n0, size_t count,         \
                                            size_t k, size_t x_stride);                                     \
    void berth_k_f32_transpose__##suffix(float *out, const float *x, size_t m, size_t n, size_t out_stride, \
                                         size_t x_stride);                                                  \
    void berth_k_f32_layernorm_back__##suffix(const struct berth_layernorm_back_f32 *args);                 \
    void berth_k_f32_act_back__##suffix(float *dx, const float *dy, const float *x, size_t n,               \
                                        enum berth_epilogue_act act);                                       \
    void berth_k_f32_softmax__##suffix(float *x, size_t n, float scale);                                    \
    void berth_k_f32_softmax_back__##suffix(float *dp, const float *p, size_t n, float scale);              \
    void berth_k_f32_dropout__##suffix(float *out, const float *x, const float *residual, size_t n,         \
                                       uint64_t first, const struct berth_dropout *dropout);                \
    void berth_k_f32_column_sums__##suffix(float *sums, const float *x, size_t m, size_t n,                 \
                                           size_t x_stride);                                                \
    double berth_k_f32_squares__##suffix(const float *x, size_t n);                                         \
    void berth_k_f32_adamw__##suffix(float *p, const float *g, float *m, float *v, size_t n,                \
                                     const struct berth_adamw_f32 *step);                                   \
    void berth_k_f32_adamw_idle__##suffix(float *p, float *m, float *v, size_t n,                           \
                                          const struct berth_adamw_f32 *steps, size_t count);

#define BERTH_KERNEL_DECLARE(suffix, isa, tile, nr)                                                          \
    void berth_k_f32_pack__##suffix(float *packed, const float *w, size_t n0, size_t count, size_t k,        \
                                    size_t w_stride);                                                        \
    size_t berth_k_f32_gemm_scratch__##suffix(size_t m, size_t k);                                           \
    void berth_k_f32_gemm__##suffix(const struct berth_gemm_f32 *args);                                      \
    size_t berth_k_f32_attention_scratch__##suffix(size_t t, size_t d);                                      \
    void berth_k_f32_attention__##suffix(const struct berth_attention_f32 *args);                            \
    void berth_k_f32_layernorm__##suffix(float *out, const float *x, const float *gamma, const float *beta,  \
                                         size_t m, size_t n, size_t out_stride, size_t x_stride, float eps); \
    void berth_k_f32_add3__##suffix(float *out, const float *a, const float *b, const float *c, size_t n);   \
    void berth_k_f32_act__##suffix(float *x, size_t n, enum berth_epilogue_act act);                         \
    void berth_k_f16_widen__##suffix(float *out, const uint16_t *x, size_t n);                               \
    void berth_k_bf16_widen__##suffix(float *out, const uint16_t *x, size_t n);                              \
    bool berth_k_f32_all_finite__##suffix(const float *x, size_t n);                                         \
    BERTH_KERNEL_DECLARE_TRAINING(suffix)

BERTH_KERNEL_LEVELS(BERTH_KERNEL_DECLARE)
#undef BERTH_KERNEL_DECLARE
#undef BERTH_KERNEL_DECLARE_TRAINING

#endif
