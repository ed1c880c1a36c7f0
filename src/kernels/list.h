/* list.h: every kernel, once. table.c makes the declarations and the tables of it; tests and benchmarks walk
 * the tables. To add a level: its functions under the names below, one line in BERTH_KERNEL_LEVELS. */
#ifndef BERTH_KERNELS_LIST_H
#define BERTH_KERNELS_LIST_H

#include "kernels/kernels.h"

/* X(suffix of the fp32 functions and files, that of the int8 and bf16 products, level, rows x columns of the
 * fp32 tile, columns of its panel, rows x columns of the int8 tile, its columns, the same of the bf16 tile),
 * lowest level first. */
#define BERTH_KERNEL_LEVELS_PORTABLE(X) X(ref, ref, BERTH_ISA_SCALAR, "4x16", 16, "4x16", 16, "4x16", 16)
#if defined(__x86_64__)
#define BERTH_KERNEL_LEVELS_X86(X)                                           \
    X(avx2, avx2, BERTH_ISA_AVX2, "6x16", 16, "3x16", 16, "4x16", 16)        \
    X(avx512, avx512, BERTH_ISA_AVX512, "14x32", 32, "4x48", 48, "8x32", 32) \
    X(avx512, vnni, BERTH_ISA_VNNI, "14x32", 32, "8x48", 48, "8x48", 48)     \
    X(avx512, amx, BERTH_ISA_AMX, "14x32", 32, "32x32", 32, "32x32", 32)
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

/* Declarations go by suffix: a suffix that serves several levels is declared again, which C allows. */
#define BERTH_KERNEL_DECLARE(f, s, isa, tile, nr, s8_tile, s8_nr, bf16_tile, bf16_nr)                     \
    void berth_k_f32_pack__##f(float *packed, const float *w, size_t n0, size_t count, size_t k,          \
                               size_t w_stride);                                                          \
    size_t berth_k_f32_gemm_scratch__##f(size_t m, size_t k);                                             \
    void berth_k_f32_gemm__##f(const struct berth_gemm_f32 *args);                                        \
    size_t berth_k_f32_attention_scratch__##f(size_t t, size_t d);                                        \
    void berth_k_f32_attention__##f(const struct berth_attention_f32 *args);                              \
    void berth_k_f32_layernorm__##f(float *out, const float *x, const float *gamma, const float *beta,    \
                                    size_t m, size_t n, size_t out_stride, size_t x_stride, float eps);   \
    void berth_k_f32_add3__##f(float *out, const float *a, const float *b, const float *c, size_t n);     \
    void berth_k_f32_act__##f(float *x, size_t n, enum berth_epilogue_act act);                           \
    void berth_k_f16_widen__##f(float *out, const uint16_t *x, size_t n);                                 \
    void berth_k_bf16_widen__##f(float *out, const uint16_t *x, size_t n);                                \
    bool berth_k_f32_all_finite__##f(const float *x, size_t n);                                           \
    void berth_k_f32_dense__##f(float *out, const float *x, const float *w, const float *bias, size_t m,  \
                                size_t n, size_t k, size_t out_stride, size_t x_stride);                  \
    void berth_k_s8_quantize__##f(uint8_t *tiled, float *scale, const float *x, size_t row, size_t m,     \
                                  size_t n, size_t x_stride);                                             \
    void berth_k_s8_dequantize__##f(float *out, const uint8_t *tiled, float scale, size_t row, size_t n); \
    void berth_k_s8_pack__##f(int8_t *packed, float *scale, int32_t *offset, const float *w, size_t n0,   \
                              size_t count, size_t k, size_t w_stride);                                   \
    void berth_k_s8_gemm__##s(const struct berth_gemm_tiled *args);                                       \
    size_t berth_k_s8_attention_scratch__##s(size_t t, size_t d);                                         \
    void berth_k_s8_attention__##s(const struct berth_attention_f32 *args);                               \
    void berth_k_bf16_round__##f(uint8_t *tiled, const float *x, size_t row, size_t m, size_t n,          \
                                 size_t x_stride);                                                        \
    void berth_k_bf16_pack__##f(uint16_t *packed, const float *w, size_t n0, size_t count, size_t k,      \
                                size_t w_stride);                                                         \
    void berth_k_bf16_gemm__##s(const struct berth_gemm_tiled *args);                                     \
    BERTH_KERNEL_DECLARE_TRAINING(f)

BERTH_KERNEL_LEVELS(BERTH_KERNEL_DECLARE)
#undef BERTH_KERNEL_DECLARE
#undef BERTH_KERNEL_DECLARE_TRAINING

#endif
