/* test_amx.c: the AMX kernels on any machine, over emulated tiles: int8 to the bit of the scalar level, bf16
 * within the bound of its sums. The other tests of kernels run them so, too, against plain loops; here are
 * the shapes that their blocks and passes make special, faults, and what a machine with AMX adds. */
#include "kernel_test.h"
#include "support/part.h"

#include <stdio.h>
#include <stdlib.h>

/* A product in one number format. The arrays of operands are exact: what lies behind them cannot be read. */
struct product {
    size_t bytes; /* of a number: 1 int8, 2 bf16 */
    size_t m, n, k;
    struct guarded x, w, bias, residual, a, packed, a_scale, w_scale, offset, want, got;
    struct berth_gemm_tiled args;
};

static struct product product_new(size_t bytes, size_t m, size_t n, size_t k, enum berth_epilogue_act act)
{
    const struct berth_kernels *scalar = berth_kernels_select(BERTH_ISA_SCALAR);
    struct berth_rng rng;
    berth_rng_seed(&rng, m * 7919 + n * 31 + k);
    struct product p = {.bytes = bytes, .m = m, .n = n, .k = k};
    p.x = guarded_normal(m * k, 1, &rng);
    p.w = guarded_normal(n * k, 0.1, &rng);
    p.bias = guarded_normal(n, 1, &rng);
    p.residual = guarded_normal(m * n, 1, &rng);
    const size_t rows = berth_tiled_size(m, berth_tiled_row(bytes * k));
    p.a = guarded_new(rows / 4, 16);
    memset(p.a.data, 0x55, rows); /* rows beyond m are what they are */
    p.packed = guarded_new(berth_gemm_tiled_packed(n, bytes * k) / 4, 16);
    p.a_scale = guarded_new(m, 1);
    p.w_scale = guarded_new(berth_round_up(n, 16), 16);
    p.offset = guarded_new(berth_round_up(n, 16), 16);
    p.want = guarded_new(m * n, 1);
    p.got = guarded_new(m * n, 1);
    p.args = (struct berth_gemm_tiled){.out = p.want.data,
                                       .a = (uint8_t *)p.a.data,
                                       .weights = p.packed.data,
                                       .bias = p.bias.data,
                                       .residual = p.residual.data,
                                       .m = m,
                                       .n = n,
                                       .k = k,
                                       .out_stride = n,
                                       .residual_stride = n,
                                       .act = act};
    if (bytes == 1) {
        int32_t *offset = (int32_t *)(void *)p.offset.data;
        p.args.a_scale = p.a_scale.data;
        p.args.w_scale = p.w_scale.data;
        p.args.offset = offset;
        scalar->quantize_s8((uint8_t *)p.a.data, p.a_scale.data, p.x.data, 0, m, k, k);
        scalar->pack_s8((int8_t *)p.packed.data, p.w_scale.data, offset, p.w.data, 0, n, k, k);
    } else {
        scalar->round_bf16((uint8_t *)p.a.data, p.x.data, 0, m, k, k);
        scalar->pack_bf16((uint16_t *)(void *)p.packed.data, p.w.data, 0, n, k, k);
    }
    (bytes == 1 ? scalar->gemm_s8 : scalar->gemm_bf16)(&p.args);
    p.args.out = p.got.data;
    return p;
}

static void product_free(struct product *p)
{
    struct guarded *arrays[] = {&p->x,       &p->w,       &p->bias,   &p->residual, &p->a,  &p->packed,
                                &p->a_scale, &p->w_scale, &p->offset, &p->want,     &p->got};
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++)
        guarded_free(arrays[i]);
}

static void multiply(struct product *p, const struct berth_kernels *kernels)
{
    fill_untouched(p->got.data, p->m * p->n);
    (p->bytes == 1 ? kernels->gemm_s8 : kernels->gemm_bf16)(&p->args);
}

/* Elements of `got` that are not `want`: to the bit in int8. In bf16 both took k roundings of sums no larger
 * than the sum of magnitudes, and those of bias, activation and residual. */
static size_t count_wrong(const struct product *p)
{
    size_t wrong = 0;
    for (size_t i = 0; i < p->m * p->n; i++) {
        double bound = 0;
        if (p->bytes == 2) {
            double size = 2 + fabs((double)p->bias.data[i % p->n]) + fabs((double)p->residual.data[i]);
            for (size_t c = 0; c < p->k; c++) {
                size += fabs((double)p->x.data[i / p->n * p->k + c] * (double)p->w.data[i % p->n * p->k + c]);
            }
            bound = 2 * 2 * ((double)p->k + 4) * EPS * size;
        }
        wrong += !(fabs((double)p->got.data[i] - (double)p->want.data[i]) <= bound);
    }
    return wrong;
}

/* By each table over emulated tiles; all of them to the same bits. */
static void check_shape(size_t m, size_t n, size_t k, enum berth_epilogue_act act)
{
    for (size_t bytes = 1; bytes <= 2; bytes++) {
        struct product p = product_new(bytes, m, n, k, act);
        for (size_t i = BERTH_ISA_COUNT; i < TILED_LEVELS; i++) {
            const struct berth_kernels *kernels = tiled_level(i);
            if (!kernels)
                continue;
            multiply(&p, kernels);
            const size_t wrong = count_wrong(&p);
            if (wrong) {
                fail_msg("%s: %zu of %zu x %zu wrong, k %zu",
                         bytes == 1 ? kernels->gemm_s8_name : kernels->gemm_bf16_name, wrong, m, n, k);
            }
            if (i == BERTH_ISA_COUNT)
                memcpy(p.want.data, p.got.data, m * n * sizeof(float));
            assert_memory_equal(p.got.data, p.want.data, m * n * sizeof(float));
        }
        product_free(&p);
    }
}

static void gemm_every_shape_of_block(void **state)
{
    (void)state;
    const size_t step = part_of(1, 3); /* in part; prime to the sizes of blocks */
    for (size_t m = 1; m <= 70; m += step)
        check_shape(m, 70, 40, BERTH_K_NONE);
    for (size_t n = 1; n <= 140; n += step) {
        check_shape(40, n, 70, BERTH_K_GELU_ERF);
        check_shape(9, n, 70, BERTH_K_NONE);
    }
    for (size_t k = 1; k <= 200; k += 3 * step)
        check_shape(49, 50, k, BERTH_K_NONE);
}

/* More steps than a block has rows; rows that need several passes; a pass of a few last rows. */
static void gemm_every_kind_of_pass(void **state)
{
    (void)state;
    check_shape(35, 40, 768, BERTH_K_TANH);
    check_shape(1, 20, 3072, BERTH_K_NONE);
    check_shape(290, 33, 3072, BERTH_K_NONE);
    check_shape(40, 40, 14000, BERTH_K_NONE);
    check_shape(70, 40, 0, BERTH_K_RELU);
}

static void gemm_without_bias_residual_rows_or_columns(void **state)
{
    (void)state;
    struct product p = product_new(1, 40, 40, 100, BERTH_K_NONE);
    const struct berth_kernels *scalar = berth_kernels_select(BERTH_ISA_SCALAR),
                               *tiles = amx_emulated_table(false);
    p.args.bias = p.args.residual = NULL;
    multiply(&p, scalar);
    memcpy(p.want.data, p.got.data, p.m * p.n * sizeof(float));
    multiply(&p, tiles);
    assert_int_equal(count_wrong(&p), 0);
    p.args.residual = p.got.data; /* in place */
    memcpy(p.got.data, p.residual.data, p.m * p.n * sizeof(float));
    scalar->gemm_s8(&p.args);
    memcpy(p.want.data, p.got.data, p.m * p.n * sizeof(float));
    memcpy(p.got.data, p.residual.data, p.m * p.n * sizeof(float));
    tiles->gemm_s8(&p.args);
    assert_int_equal(count_wrong(&p), 0);
    p.args.m = 0;
    multiply(&p, tiles);
    assert_true(p.got.data[0] == untouched);
    p.args.m = p.m;
    p.args.n = 0;
    multiply(&p, tiles);
    assert_true(p.got.data[0] == untouched);
    product_free(&p);
}

static void gemm_writes_its_columns_alone(void **state)
{
    (void)state;
    struct product p = product_new(1, 19, 50, 64, BERTH_K_NONE);
    struct guarded wide = guarded_new(p.m * 60, 1);
    fill_untouched(wide.data, p.m * 60);
    p.args.out = wide.data;
    p.args.out_stride = 60;
    amx_emulated_table(false)->gemm_s8(&p.args);
    for (size_t i = 0; i < p.m * 60; i++)
        assert_true(wide.data[i] == (i % 60 < p.n ? p.want.data[i / 60 * p.n + i % 60] : untouched));
    guarded_free(&wide);
    product_free(&p);
}

static void checker_refuses_wrong_results(void **state)
{
    (void)state;
    for (size_t bytes = 1; bytes <= 2; bytes++) {
        struct product p = product_new(bytes, 20, 20, 40, BERTH_K_NONE);
        multiply(&p, amx_emulated_table(false));
        assert_int_equal(count_wrong(&p), 0);
        ((uint8_t *)p.packed.data)[1] ^=
            64; /* of column 0, the first weight's exponent or the second weight */
        multiply(&p, amx_emulated_table(false));
        assert_in_range(count_wrong(&p), p.m / 2, p.m);
        product_free(&p);
    }
}

static void self_test_accepts_them_and_refuses_a_faulty_tile(void **state)
{
    (void)state;
    for (size_t i = BERTH_ISA_COUNT; i < TILED_LEVELS; i++) {
        if (!tiled_level(i))
            continue;
        struct berth_kernels kernels = *tiled_level(i);
        assert_null(berth_kernels_self_test(&kernels));
        amx_emulated_fault = true;
        assert_string_equal(berth_kernels_self_test(&kernels), "gemm_s8");
        kernels.gemm_s8 = berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8;
        assert_string_equal(berth_kernels_self_test(&kernels), "attention_s8");
        kernels.attention_s8 = berth_kernels_select(BERTH_ISA_SCALAR)->attention_s8;
        assert_string_equal(berth_kernels_self_test(&kernels), "gemm_bf16");
        amx_emulated_fault = false;
    }
}

/* What the emulation cannot show: that the instructions do what it does. */
static void native_tiles_agree_with_emulated_ones(void **state)
{
    (void)state;
    if (!machine_has(BERTH_ISA_AMX)) {
        print_message(
            "SKIP: test_amx: native_tiles_agree_with_emulated_ones: this machine has no AMX tiles\n");
        skip();
    }
    const struct berth_kernels *native = berth_kernels_select(BERTH_ISA_AMX);
    size_t other_bits = 0, elements = 0;
    for (size_t bytes = 1; bytes <= 2; bytes++) {
        for (size_t m = 1; m <= 70; m += 3) {
            struct product p = product_new(bytes, m, 70, 8 * m + 5, BERTH_K_GELU_ERF);
            multiply(&p, native);
            assert_int_equal(count_wrong(&p), 0);
            memcpy(p.want.data, p.got.data, m * p.n * sizeof(float));
            multiply(&p, amx_emulated_table(true));
            for (size_t i = 0; i < m * p.n; i++)
                other_bits += p.got.data[i] != p.want.data[i];
            elements += m * p.n;
            product_free(&p);
        }
    }
    print_message("of %zu results of native tiles %zu have other bits than by emulation\n", elements,
                  other_bits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_every_shape_of_block),
        cmocka_unit_test(gemm_every_kind_of_pass),
        cmocka_unit_test(gemm_without_bias_residual_rows_or_columns),
        cmocka_unit_test(gemm_writes_its_columns_alone),
        cmocka_unit_test(checker_refuses_wrong_results),
        cmocka_unit_test(self_test_accepts_them_and_refuses_a_faulty_tile),
        cmocka_unit_test(native_tiles_agree_with_emulated_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
