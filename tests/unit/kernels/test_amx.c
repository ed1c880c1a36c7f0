/* test_amx.c: the AMX kernels on any machine, over emulated tiles: int8 to the bit of the scalar level, bf16
 * within the bound of its sums. That the instructions do what the manual says, only a machine that has them
 * can show: there the other tests of kernels and the self test at load run them. */
#include "kernel_test.h"

#include <stdlib.h>

#include "support/amx_kernels.h"

bool amx_emulated_fault;

static struct berth_kernels emulated_table(void)
{
    struct berth_kernels kernels = *berth_kernels_select(BERTH_ISA_SCALAR);
    kernels.gemm_s8 = berth_k_s8_gemm__emulated;
    kernels.gemm_bf16 = berth_k_bf16_gemm__emulated;
    kernels.attention_s8 = berth_k_s8_attention__emulated;
    kernels.attention_s8_scratch = berth_k_s8_attention_scratch__emulated;
    return kernels;
}

static void self_test_accepts_them_and_refuses_a_faulty_tile(void **state)
{
    (void)state;
    struct berth_kernels kernels = emulated_table();
    assert_null(berth_kernels_self_test(&kernels));
    amx_emulated_fault = true;
    assert_string_equal(berth_kernels_self_test(&kernels), "gemm_s8");
    kernels.gemm_s8 = berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8;
    assert_string_equal(berth_kernels_self_test(&kernels), "attention_s8");
    amx_emulated_fault = false;
}

static void *allocate(size_t bytes)
{
    void *block = aligned_alloc(64, berth_round_up(bytes + 1, 64));
    assert_non_null(block);
    memset(block, 0x55, berth_round_up(bytes + 1, 64)); /* what nobody filled is not zero */
    return block;
}

/* One product in both number formats by both tables. The arrays of operands are exact. */
static void check_shape(size_t m, size_t n, size_t k, enum berth_epilogue_act act)
{
    const struct berth_kernels *scalar = berth_kernels_select(BERTH_ISA_SCALAR);
    const struct berth_kernels tiles = emulated_table();
    struct berth_rng rng;
    berth_rng_seed(&rng, m * 7919 + n * 31 + k);
    struct guarded x = guarded_normal(m * k, 1, &rng), w = guarded_normal(n * k, 0.1, &rng);
    struct guarded bias = guarded_normal(n, 1, &rng), residual = guarded_normal(m * n, 1, &rng);
    struct guarded want = guarded_new(m * n, 1), got = guarded_new(m * n, 1);
    for (size_t bytes = 1; bytes <= 2; bytes++) {
        const size_t columns = berth_round_up(n, 16), rows = berth_tiled_size(m, berth_tiled_row(bytes * k));
        struct guarded a = guarded_new(rows / 4, 16),
                       packed = guarded_new(berth_gemm_tiled_packed(n, bytes * k) / 4, 16);
        struct guarded w_scale = guarded_new(columns, 16), offset = guarded_new(columns, 16);
        float *a_scale = allocate(m * sizeof(float));
        struct berth_gemm_tiled args = {.out = want.data,
                                        .a = (uint8_t *)a.data,
                                        .weights = packed.data,
                                        .bias = bias.data,
                                        .residual = residual.data,
                                        .m = m,
                                        .n = n,
                                        .k = k,
                                        .out_stride = n,
                                        .residual_stride = n,
                                        .act = act};
        memset(a.data, 0x55, rows);
        if (bytes == 1) {
            args.a_scale = a_scale;
            args.w_scale = w_scale.data;
            args.offset = (int32_t *)(void *)offset.data;
            scalar->quantize_s8((uint8_t *)a.data, a_scale, x.data, 0, m, k, k);
            scalar->pack_s8((int8_t *)packed.data, w_scale.data, (int32_t *)(void *)offset.data, w.data, 0, n,
                            k, k);
        } else {
            scalar->round_bf16((uint8_t *)a.data, x.data, 0, m, k, k);
            scalar->pack_bf16((uint16_t *)(void *)packed.data, w.data, 0, n, k, k);
        }
        (bytes == 1 ? scalar->gemm_s8 : scalar->gemm_bf16)(&args);
        args.out = got.data;
        fill_untouched(got.data, m * n);
        (bytes == 1 ? tiles.gemm_s8 : tiles.gemm_bf16)(&args);
        for (size_t i = 0; i < m * n; i++) {
            double size = 2 + fabs((double)bias.data[i % n]) + fabs((double)residual.data[i]);
            for (size_t c = 0; c < k; c++)
                size += fabs((double)x.data[i / n * k + c] * (double)w.data[i % n * k + c]);
            const double bound = bytes == 1 ? 0 : 2 * 2 * ((double)k + 4) * EPS * size;
            if (!(fabs((double)got.data[i] - (double)want.data[i]) <= bound))
                fail_msg("%zu x %zu x %zu, %zu bytes: element %zu is %g, not %g", m, n, k, bytes, i,
                         (double)got.data[i], (double)want.data[i]);
        }
        free(a_scale);
        guarded_free(&a);
        guarded_free(&packed);
        guarded_free(&w_scale);
        guarded_free(&offset);
    }
    guarded_free(&x);
    guarded_free(&w);
    guarded_free(&bias);
    guarded_free(&residual);
    guarded_free(&want);
    guarded_free(&got);
}

static void gemm_every_remainder(void **state)
{
    (void)state;
    for (size_t m = 1; m <= 70; m++)
        check_shape(m, 70, 40, BERTH_K_NONE);
    for (size_t n = 1; n <= 140; n++) {
        check_shape(40, n, 70, BERTH_K_GELU_ERF);
        check_shape(9, n, 70, BERTH_K_NONE);
    }
    for (size_t k = 1; k <= 200; k += 3)
        check_shape(49, 50, k, BERTH_K_NONE);
    check_shape(35, 40, 768, BERTH_K_TANH); /* more steps than a block has rows for */
    check_shape(1, 20, 3072, BERTH_K_NONE);
}

static void attention_same_bits_as_scalar(void **state)
{
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {1, 64},  {2, 3},   {15, 32}, {16, 64}, {17, 64},
                                      {31, 20}, {33, 64}, {63, 16}, {64, 64}, {65, 65}, {130, 100}};
    const struct berth_kernels *scalar = berth_kernels_select(BERTH_ISA_SCALAR), tiles = emulated_table();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_t t = sizes[i][0], d = sizes[i][1];
        struct berth_rng rng;
        berth_rng_seed(&rng, i + 1);
        struct guarded qkv = guarded_normal(3 * t * d, 1, &rng), want = guarded_new(t * d, 1),
                       got = guarded_new(t * d, 1);
        struct guarded scratch[2] = {guarded_new(scalar->attention_s8_scratch(t, d), 16),
                                     guarded_new(tiles.attention_s8_scratch(t, d), 16)};
        memset(scratch[1].data, 0x55, tiles.attention_s8_scratch(t, d) * sizeof(float));
        struct berth_attention_f32 args = {.out = want.data,
                                           .q = qkv.data,
                                           .k = qkv.data + d,
                                           .v = qkv.data + 2 * d,
                                           .t = t,
                                           .d = d,
                                           .out_stride = d,
                                           .qkv_stride = 3 * d,
                                           .scale = 0.3f,
                                           .scratch = scratch[0].data};
        scalar->attention_s8(&args);
        args.out = got.data;
        args.scratch = scratch[1].data;
        tiles.attention_s8(&args);
        assert_memory_equal(got.data, want.data, t * d * sizeof(float));
        guarded_free(&qkv);
        guarded_free(&want);
        guarded_free(&got);
        guarded_free(&scratch[0]);
        guarded_free(&scratch[1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(self_test_accepts_them_and_refuses_a_faulty_tile),
        cmocka_unit_test(gemm_every_remainder),
        cmocka_unit_test(attention_same_bits_as_scalar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
