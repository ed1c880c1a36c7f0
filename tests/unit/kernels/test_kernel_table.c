/* test_kernel_table.c: which table is chosen, and that the self test refuses a table with any one kernel
 * broken. */
#include "kernel_test.h"

#include "base/clock.h"

static void select_takes_the_best_at_or_below(void **state)
{
    (void)state;
    for (enum berth_isa isa = BERTH_ISA_SCALAR; isa < BERTH_ISA_COUNT; isa++) {
        assert_non_null(berth_kernels_select(isa));
        assert_true(berth_kernels_select(isa)->isa <= isa);
        if (isa > BERTH_ISA_SCALAR) {
            assert_true(berth_kernels_select(isa)->isa >= berth_kernels_select(isa - 1)->isa);
        }
    }
    assert_int_equal(berth_kernels_select(BERTH_ISA_SCALAR)->isa, BERTH_ISA_SCALAR);
#if defined(__x86_64__)
    assert_int_equal(berth_kernels_select(BERTH_ISA_AVX2)->isa, BERTH_ISA_AVX2);
    assert_true(berth_kernels_select(BERTH_ISA_AMX)->isa >= BERTH_ISA_VNNI);
#endif
}

static void self_test_every_level_passes_in_time(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        uint64_t best = UINT64_MAX; /* of a few: the machine may be busy */
        for (int i = 0; i < 5; i++) {
            const uint64_t start = berth_clock_ns();
            const char *wrong = berth_kernels_self_test(kernels);
            if (wrong)
                fail_msg("isa %d: %s", (int)kernels->isa, wrong);
            best = berth_min(best, berth_clock_ns() - start);
        }
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
        assert_true(best < 5 * 1000 * 1000);
#endif
    }
}

/* --- one broken kernel each
 * ------------------------------------------------------------------------------------ */

static void broken_pack(float *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->pack_f32(packed, w, n0, count, k, w_stride);
    packed[n0 * k] += 0.1f;
}

static void broken_gemm(const struct berth_gemm_f32 *g)
{
    struct berth_gemm_f32 last_row_missing = *g;
    last_row_missing.m--;
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_f32(&last_row_missing);
}

static void broken_attention(const struct berth_attention_f32 *g)
{
    struct berth_attention_f32 other = *g;
    other.scale *= 0.9f;
    berth_kernels_select(BERTH_ISA_SCALAR)->attention_f32(&other);
}

static void broken_layernorm(float *out, const float *x, const float *gamma, const float *beta, size_t m,
                             size_t n, size_t out_stride, size_t x_stride, float eps)
{
    berth_kernels_select(BERTH_ISA_SCALAR)
        ->layernorm_f32(out, x, gamma, beta, m, n, out_stride, x_stride, eps + 1e-3f);
}

static void broken_add3(float *out, const float *a, const float *b, const float *c, size_t n)
{
    (void)c;
    berth_kernels_select(BERTH_ISA_SCALAR)->add3_f32(out, a, b, NULL, n);
}

static void broken_act(float *x, size_t n, enum berth_epilogue_act act)
{
    const bool gelu = act == BERTH_K_GELU_ERF;
    berth_kernels_select(BERTH_ISA_SCALAR)->act_f32(x, n, gelu ? BERTH_K_GELU_TANH : act);
}

static void broken_widen(float *out, const uint16_t *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = x[i];
}

static bool broken_all_finite(const float *x, size_t n)
{
    (void)x, (void)n;
    return true;
}

static void broken_dense(float *out, const float *x, const float *w, const float *bias, size_t m, size_t n,
                         size_t k, size_t out_stride, size_t x_stride)
{
    (void)bias;
    berth_kernels_select(BERTH_ISA_SCALAR)->dense_f32(out, x, w, NULL, m, n, k, out_stride, x_stride);
}

static void broken_quantize(uint8_t *tiled, float *scale, const float *x, size_t row, size_t m, size_t n,
                            size_t x_stride)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->quantize_s8(tiled, scale, x, row, m, n, x_stride);
    tiled[berth_tiled_offset(row + m - 1, n - 1, berth_tiled_row(n))] ^= 1;
}

static void broken_pack_s8(int8_t *packed, float *scale, int32_t *offset, const float *w, size_t n0,
                           size_t count, size_t k, size_t w_stride)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->pack_s8(packed, scale, offset, w, n0, count, k, w_stride);
    offset[n0]++;
}

/* What vpmaddubsw would do to large sums, here to one: less than a step of the result off. */
static void broken_gemm_s8(const struct berth_gemm_tiled *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8(g);
    g->out[g->n + 1] = nextafterf(g->out[g->n + 1], 1e9f);
}

static void broken_attention_s8(const struct berth_attention_f32 *g)
{
    struct berth_attention_f32 last_missing = *g;
    last_missing.t--;
    last_missing.queries = g->t;
    berth_kernels_select(BERTH_ISA_SCALAR)->attention_s8(&last_missing);
}

static void broken_round(uint8_t *tiled, const float *x, size_t row, size_t m, size_t n, size_t x_stride)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->round_bf16(tiled, x, row, m - 1, n, x_stride);
}

static void broken_gemm_bf16(const struct berth_gemm_tiled *g)
{
    struct berth_gemm_tiled other = *g;
    other.bias = NULL;
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_bf16(&other);
}

static void self_test_names_the_broken_kernel(void **state)
{
    (void)state;
    const struct berth_kernels right = *berth_kernels_select(BERTH_ISA_SCALAR);
    struct berth_kernels broken = right;
    broken.pack_f32 = broken_pack;
    assert_string_equal(berth_kernels_self_test(&broken), "gemm_f32");
    broken = right, broken.gemm_f32 = broken_gemm;
    assert_string_equal(berth_kernels_self_test(&broken), "gemm_f32");
    broken = right, broken.attention_f32 = broken_attention;
    assert_string_equal(berth_kernels_self_test(&broken), "attention_f32");
    broken = right, broken.layernorm_f32 = broken_layernorm;
    assert_string_equal(berth_kernels_self_test(&broken), "layernorm_f32");
    broken = right, broken.add3_f32 = broken_add3;
    assert_string_equal(berth_kernels_self_test(&broken), "add3_f32");
    broken = right, broken.act_f32 = broken_act;
    assert_string_equal(berth_kernels_self_test(&broken), "act_f32");
    broken = right, broken.widen_f16 = broken_widen;
    assert_string_equal(berth_kernels_self_test(&broken), "widen_f16");
    broken = right, broken.widen_bf16 = broken_widen;
    assert_string_equal(berth_kernels_self_test(&broken), "widen_bf16");
    broken = right, broken.all_finite_f32 = broken_all_finite;
    assert_string_equal(berth_kernels_self_test(&broken), "all_finite_f32");
    broken = right, broken.dense_f32 = broken_dense;
    assert_string_equal(berth_kernels_self_test(&broken), "dense_f32");
    broken = right, broken.quantize_s8 = broken_quantize;
    assert_string_equal(berth_kernels_self_test(&broken), "quantize_s8");
    broken = right, broken.pack_s8 = broken_pack_s8;
    assert_string_equal(berth_kernels_self_test(&broken), "quantize_s8");
    broken = right, broken.gemm_s8 = broken_gemm_s8;
    assert_string_equal(berth_kernels_self_test(&broken), "gemm_s8");
    broken = right, broken.attention_s8 = broken_attention_s8;
    assert_string_equal(berth_kernels_self_test(&broken), "attention_s8");
    broken = right, broken.round_bf16 = broken_round;
    assert_string_equal(berth_kernels_self_test(&broken), "round_bf16");
    broken = right, broken.gemm_bf16 = broken_gemm_bf16;
    assert_string_equal(berth_kernels_self_test(&broken), "gemm_bf16");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(select_takes_the_best_at_or_below),
        cmocka_unit_test(self_test_every_level_passes_in_time),
        cmocka_unit_test(self_test_names_the_broken_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
