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

struct test {
    const struct berth_kernels *kernels, *reference;
    float *packed, *scratch; /* large enough for either table and every problem */
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
    return NULL;
}

/* Floats of scratch that do for every problem of a table. */
static size_t scratch_floats(const struct berth_kernels *kernels)
{
    return berth_max(kernels->gemm_f32_scratch(M, K), kernels->attention_f32_scratch(T, D));
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
    t->scratch = berth_aligned(berth_max(scratch_floats(kernels), scratch_floats(reference)) * sizeof *t->scratch);
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
