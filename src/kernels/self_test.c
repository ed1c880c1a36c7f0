/* self_test.c: a table proves itself on small problems against the plain C reference, before a plan trusts
 * it. */
#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/rng.h"

/* Sizes that leave a remainder of every tile, and k of more than one block. */
enum { M = 19, N = 43, K = 270, T = 21, D = 20, FLOATS = 4096 };

/* Operands of a tiled product, and what is made of them; compared as bytes. */
struct tiled {
    uint8_t a[2 * (M + 15) / 16 * 16 * (K + 63)];
    uint8_t w[2 * (N + 15) / 16 * 16 * (K + 63)];
    float a_scale[M], w_scale[N + 15];
    int32_t offset[N + 15];
};

struct test {
    const struct berth_kernels *kernels, *reference;
    float *packed, *scratch; /* large enough for either table and every problem */
    struct tiled mine, other;
    float a[M * K], w[N * K], bias[N], got[FLOATS], want[FLOATS];
};

static void fill(float *x, size_t count, struct berth_rng *rng)
{
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(2 * berth_rng_uniform(rng) - 1);
}

/* Operands lie in [-1, 1], so `bound` holds for every element. False for NaN. */
static bool is_near(const struct test *t, size_t count, float bound)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabsf(t->got[i] - t->want[i]) <= bound))
            return false;
    }
    return true;
}

static void multiply(const struct test *t, const struct berth_kernels *kernels, float *out)
{
    kernels->pack_f32(t->packed, t->w, 0, N, K, K);
    memset(out, 0, M * N * sizeof *out);
    kernels->gemm_f32(&(struct berth_gemm_f32){.out = out,
                                               .a = t->a,
                                               .weights = t->packed,
                                               .bias = t->bias,
                                               .residual = t->a,
                                               .m = M,
                                               .n = N,
                                               .k = K,
                                               .out_stride = N,
                                               .a_stride = K,
                                               .residual_stride = K,
                                               .act = BERTH_K_GELU_ERF,
                                               .scratch = t->scratch});
}

static bool gemm_is_right(struct test *t)
{
    multiply(t, t->kernels, t->got);
    multiply(t, t->reference, t->want);
    return is_near(t, M * N, 2 * (K + 2) * (K + 1) * FLT_EPSILON / 8);
}

static void attend(const struct test *t, const struct berth_kernels *kernels, float *out)
{
    kernels->attention_f32(&(struct berth_attention_f32){.out = out,
                                                         .q = t->w,
                                                         .k = t->w + D,
                                                         .v = t->w + 2 * D,
                                                         .t = T,
                                                         .d = D,
                                                         .out_stride = D,
                                                         .qkv_stride = 3 * D,
                                                         .scale = 1,
                                                         .scratch = t->scratch});
}

static bool attention_is_right(struct test *t)
{
    attend(t, t->kernels, t->got);
    attend(t, t->reference, t->want);
    return is_near(t, T * D, 2 * (D * D + T) * FLT_EPSILON);
}

static bool layernorm_is_right(struct test *t)
{
    t->kernels->layernorm_f32(t->got, t->a, t->w, t->bias, 2, N, N, K, 1e-5f);
    t->reference->layernorm_f32(t->want, t->a, t->w, t->bias, 2, N, N, K, 1e-5f);
    return is_near(t, 2 * N, 4 * N * FLT_EPSILON);
}

static bool add3_is_right(struct test *t)
{
    t->kernels->add3_f32(t->got, t->a, t->w, t->bias, N);
    t->reference->add3_f32(t->want, t->a, t->w, t->bias, N);
    return is_near(t, N, 4 * FLT_EPSILON);
}

static bool act_is_right(struct test *t)
{
    for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
        for (size_t i = 0; i < N; i++)
            t->got[i] = t->want[i] = 6 * t->a[i];
        t->kernels->act_f32(t->got, N, act);
        t->reference->act_f32(t->want, N, act);
        if (!is_near(t, N, 6 * 6e-7f))
            return false;
    }
    return true;
}

static bool widen_is_right(struct test *t, void (*got)(float *, const uint16_t *, size_t),
                           void (*want)(float *, const uint16_t *, size_t))
{
    uint16_t halves[N];
    for (size_t i = 0; i < N; i++)
        halves[i] = (uint16_t)(i * 1499); /* below 0x7c00 and above 0x8000: all finite */
    got(t->got, halves, N);
    want(t->want, halves, N);
    for (size_t i = 0; i < N; i++) {
        if (isfinite(t->want[i]) && t->got[i] != t->want[i])
            return false;
    }
    return true;
}

static bool all_finite_is_right(struct test *t)
{
    memcpy(t->got, t->a, N * sizeof t->got[0]);
    if (!t->kernels->all_finite_f32(t->got, N))
        return false;
    t->got[N - 1] = INFINITY;
    return !t->kernels->all_finite_f32(t->got, N);
}

static bool dense_is_right(struct test *t)
{
    t->kernels->dense_f32(t->got, t->a, t->w, t->bias, 2, 3, K, 3, K);
    t->reference->dense_f32(t->want, t->a, t->w, t->bias, 2, 3, K, 3, K);
    return memcmp(t->got, t->want, 6 * sizeof t->got[0]) == 0;
}

static bool quantize_is_right(struct test *t)
{
    memset(&t->mine, 0, sizeof t->mine);
    memset(&t->other, 0, sizeof t->other);
    t->kernels->quantize_s8(t->mine.a, t->mine.a_scale, t->a, 0, M, K, K);
    t->reference->quantize_s8(t->other.a, t->other.a_scale, t->a, 0, M, K, K);
    t->kernels->pack_s8((int8_t *)t->mine.w, t->mine.w_scale, t->mine.offset, t->w, 0, N, K, K);
    t->reference->pack_s8((int8_t *)t->other.w, t->other.w_scale, t->other.offset, t->w, 0, N, K, K);
    t->kernels->dequantize_s8(t->got, t->mine.a, t->mine.a_scale[M - 1], M - 1, K);
    t->reference->dequantize_s8(t->want, t->other.a, t->other.a_scale[M - 1], M - 1, K);
    return memcmp(&t->mine, &t->other, sizeof t->mine) == 0 &&
           memcmp(t->got, t->want, K * sizeof t->got[0]) == 0;
}

static void multiply_tiled(const struct test *t, void (*gemm)(const struct berth_gemm_tiled *), float *out)
{
    memset(out, 0, M * N * sizeof *out);
    gemm(&(struct berth_gemm_tiled){.out = out,
                                    .a = t->other.a,
                                    .weights = t->other.w,
                                    .a_scale = t->other.a_scale,
                                    .w_scale = t->other.w_scale,
                                    .offset = t->other.offset,
                                    .bias = t->bias,
                                    .residual = t->a,
                                    .m = M,
                                    .n = N,
                                    .k = K,
                                    .out_stride = N,
                                    .residual_stride = K,
                                    .act = BERTH_K_GELU_ERF});
}

/* After quantize_is_right, whose operands it takes. The same bits. */
static bool gemm_s8_is_right(struct test *t)
{
    multiply_tiled(t, t->kernels->gemm_s8, t->got);
    multiply_tiled(t, t->reference->gemm_s8, t->want);
    return memcmp(t->got, t->want, M * N * sizeof t->got[0]) == 0;
}

static bool attention_s8_is_right(struct test *t)
{
    struct berth_attention_f32 args = {.q = t->w,
                                       .k = t->w + D,
                                       .v = t->w + 2 * D,
                                       .t = T,
                                       .d = D,
                                       .out_stride = D,
                                       .qkv_stride = 3 * D,
                                       .scale = 1,
                                       .scratch = t->scratch};
    args.out = t->got;
    t->kernels->attention_s8(&args);
    args.out = t->want;
    t->reference->attention_s8(&args);
    return memcmp(t->got, t->want, T * D * sizeof t->got[0]) == 0;
}

static bool round_bf16_is_right(struct test *t)
{
    memset(&t->mine, 0, sizeof t->mine);
    memset(&t->other, 0, sizeof t->other);
    t->kernels->round_bf16(t->mine.a, t->a, 0, M, K, K);
    t->reference->round_bf16(t->other.a, t->a, 0, M, K, K);
    t->kernels->pack_bf16((uint16_t *)(void *)t->mine.w, t->w, 0, N, K, K);
    t->reference->pack_bf16((uint16_t *)(void *)t->other.w, t->w, 0, N, K, K);
    return memcmp(&t->mine, &t->other, sizeof t->mine) == 0;
}

/* After round_bf16_is_right, whose operands it takes. */
static bool gemm_bf16_is_right(struct test *t)
{
    multiply_tiled(t, t->kernels->gemm_bf16, t->got);
    multiply_tiled(t, t->reference->gemm_bf16, t->want);
    return is_near(t, M * N, 4 * (K + 2) * (K + 1) * FLT_EPSILON / 8);
}

static const char *find_wrong(struct test *t)
{
    if (!gemm_is_right(t))
        return "gemm_f32";
    if (!attention_is_right(t))
        return "attention_f32";
    if (!layernorm_is_right(t))
        return "layernorm_f32";
    if (!add3_is_right(t))
        return "add3_f32";
    if (!act_is_right(t))
        return "act_f32";
    if (!widen_is_right(t, t->kernels->widen_f16, t->reference->widen_f16))
        return "widen_f16";
    if (!widen_is_right(t, t->kernels->widen_bf16, t->reference->widen_bf16))
        return "widen_bf16";
    if (!all_finite_is_right(t))
        return "all_finite_f32";
    if (!dense_is_right(t))
        return "dense_f32";
    if (!quantize_is_right(t))
        return "quantize_s8";
    if (!gemm_s8_is_right(t))
        return "gemm_s8";
    if (!attention_s8_is_right(t))
        return "attention_s8";
    if (!round_bf16_is_right(t))
        return "round_bf16";
    if (!gemm_bf16_is_right(t))
        return "gemm_bf16";
    return NULL;
}

/* Floats of scratch that do for every problem of a table. */
static size_t scratch_floats(const struct berth_kernels *kernels)
{
    return berth_max(kernels->gemm_f32_scratch(M, K),
                     berth_max(kernels->attention_f32_scratch(T, D), kernels->attention_s8_scratch(T, D)));
}

const char *berth_kernels_self_test(const struct berth_kernels *kernels)
{
    const struct berth_kernels *reference = berth_kernels_select(BERTH_ISA_SCALAR);
    const size_t packed =
        berth_max(berth_gemm_f32_packed(kernels, N, K), berth_gemm_f32_packed(reference, N, K));
    struct test *t = berth_aligned(sizeof *t);
    const char *wrong = "memory";
    if (!t)
        return wrong;
    t->packed = berth_aligned(packed * sizeof *t->packed);
    t->scratch =
        berth_aligned(berth_max(scratch_floats(kernels), scratch_floats(reference)) * sizeof *t->scratch);
    if (t->packed && t->scratch) {
        struct berth_rng rng;
        berth_rng_seed(&rng, 1);
        fill(t->a, M * K, &rng);
        fill(t->w, N * K, &rng);
        fill(t->bias, N, &rng);
        t->kernels = kernels;
        t->reference = reference;
        wrong = find_wrong(t);
    }
    berth_free(t->packed);
    berth_free(t->scratch);
    berth_free(t);
    return wrong;
}
