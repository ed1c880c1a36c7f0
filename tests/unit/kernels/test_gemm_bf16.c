/* test_gemm_bf16.c: rounding to bf16 exactly, and the bf16 product within a bound from its operands. */
#include "kernel_test.h"

#include <stdlib.h>

struct problem {
    size_t m, n, k;
    struct guarded x, w, bias, residual;
    uint8_t *a;
    uint16_t *packed;
};

static void *allocate(size_t bytes)
{
    void *block = aligned_alloc(64, berth_round_up(bytes, 64) + 64);
    assert_non_null(block);
    memset(block, 0, berth_round_up(bytes, 64) + 64);
    return block;
}

static void round_operands(struct problem *p, const struct berth_kernels *kernels)
{
    kernels->round_bf16(p->a, p->x.data, 0, p->m, p->k, p->k);
    kernels->pack_bf16(p->packed, p->w.data, 0, p->n, p->k, p->k);
}

static struct problem problem_new(size_t m, size_t n, size_t k, uint64_t seed)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    struct problem p = {.m = m, .n = n, .k = k};
    p.x = guarded_normal(m * k, 1, &rng);
    p.w = guarded_normal(n * k, 0.05, &rng);
    p.bias = guarded_normal(n, 1, &rng);
    p.residual = guarded_normal(m * n, 1, &rng);
    p.a = allocate(berth_tiled_size(m, berth_tiled_row(2 * k)));
    p.packed = allocate(berth_gemm_tiled_packed(n, 2 * k));
    round_operands(&p, berth_kernels_select(BERTH_ISA_SCALAR));
    return p;
}

static void problem_free(struct problem *p)
{
    guarded_free(&p->x);
    guarded_free(&p->w);
    guarded_free(&p->bias);
    guarded_free(&p->residual);
    free(p->a);
    free(p->packed);
}

static struct berth_gemm_tiled arguments(const struct problem *p, float *out, enum berth_epilogue_act act)
{
    return (struct berth_gemm_tiled){.out = out,
                                     .a = p->a,
                                     .weights = p->packed,
                                     .bias = p->bias.data,
                                     .residual = p->residual.data,
                                     .m = p->m,
                                     .n = p->n,
                                     .k = p->k,
                                     .out_stride = p->n,
                                     .residual_stride = p->n,
                                     .act = act};
}

/* To the nearest number of 8 significant bits, ties to even; through the exponent, not the bits. */
static double nearest_bf16(float x)
{
    int exponent;
    if (x == 0 || !isfinite(x))
        return (double)x;
    frexp((double)x, &exponent);
    const double step = ldexp(1, (exponent < -125 ? -125 : exponent) - 8);
    return nearbyint((double)x / step) * step;
}

/* Elements beyond the bound: k roundings of sums no larger than the sum of magnitudes, twice for instructions
 * that round pairs apart, and those of bias, activation and residual. */
static size_t count_wrong(const struct problem *p, const float *out, enum berth_epilogue_act act)
{
    size_t wrong = 0;
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++) {
            double sum = (double)p->bias.data[j], size = fabs(sum),
                   residual = (double)p->residual.data[i * p->n + j];
            for (size_t c = 0; c < p->k; c++) {
                const double product =
                    nearest_bf16(p->x.data[i * p->k + c]) * nearest_bf16(p->w.data[j * p->k + c]);
                sum += product;
                size += fabs(product);
            }
            const double want = act_exact(sum, act) + residual;
            const double bound =
                2 * ((double)p->k + 3) * EPS * (size + fabs(residual)) * 1.2 + ACT_ERROR * (1 + fabs(sum));
            wrong += !(fabs((double)out[i * p->n + j] - want) <= bound);
        }
    }
    return wrong;
}

static void check_shape(const struct berth_kernels *kernels, size_t m, size_t n, size_t k)
{
    struct problem p = problem_new(m, n, k, m * 7919 + n * 31 + k);
    struct guarded out = guarded_new(m * n, 1);
    fill_untouched(out.data, m * n);
    const struct berth_gemm_tiled args = arguments(&p, out.data, BERTH_K_NONE);
    kernels->gemm_bf16(&args);
    const size_t wrong = count_wrong(&p, out.data, BERTH_K_NONE);
    if (wrong)
        fail_msg("%s: %zu of %zu x %zu wrong, k %zu", kernels->gemm_bf16_name, wrong, m, n, k);
    guarded_free(&out);
    problem_free(&p);
}

static void gemm_every_remainder_is_near(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t m = 1; m <= 35; m++)
            check_shape(kernels, m, 50, 37);
        for (size_t n = 1; n <= 100; n++)
            check_shape(kernels, 5, n, 70);
        for (size_t k = 1; k <= 140; k++)
            check_shape(kernels, 18, 20, k);
        check_shape(kernels, 35, 66, 768);
    }
}

static void gemm_checker_refuses_wrong_results(void **state)
{
    (void)state;
    struct problem p = problem_new(9, 20, 40, 1);
    float *out = allocate(p.m * p.n * sizeof(float));
    const struct berth_gemm_tiled args = arguments(&p, out, BERTH_K_NONE);
    assert_true(count_wrong(&p, out, BERTH_K_NONE) > p.m * p.n * 9 / 10); /* zeros */
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_bf16(&args);
    assert_int_equal(count_wrong(&p, out, BERTH_K_NONE), 0);
    p.packed[0] ^= 4; /* the sixth bit of one weight: column 0 */
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_bf16(&args);
    assert_true(count_wrong(&p, out, BERTH_K_NONE) >= p.m / 2);
    free(out);
    problem_free(&p);
}

static void gemm_every_activation_is_near(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
            struct problem p = problem_new(10, 33, 50, act + 1);
            float out[330];
            const struct berth_gemm_tiled args = arguments(&p, out, act);
            kernels->gemm_bf16(&args);
            assert_int_equal(count_wrong(&p, out, act), 0);
            problem_free(&p);
        }
    }
}

static void gemm_cut_anywhere_same_bits(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct problem p = problem_new(70, 160, 130, 9);
        const size_t count = p.m * p.n;
        float *whole = allocate(count * sizeof(float)), *cut = allocate(count * sizeof(float));
        struct berth_gemm_tiled args = arguments(&p, whole, BERTH_K_GELU_ERF);
        kernels->gemm_bf16(&args);
        for (size_t row = 0; row < p.m; row += 16) {
            for (size_t column = 0; column < p.n; column += 64) {
                struct berth_gemm_tiled piece = args;
                piece.out = cut + row * p.n + column;
                piece.residual += row * p.n + column;
                piece.a += berth_tiled_offset(row, 0, berth_tiled_row(2 * p.k));
                piece.weights = (uint8_t *)p.packed + berth_gemm_tiled_packed(column, 2 * p.k);
                piece.bias += column;
                piece.m = berth_min(16, p.m - row);
                piece.n = berth_min(64, p.n - column);
                kernels->gemm_bf16(&piece);
            }
        }
        assert_memory_equal(whole, cut, count * sizeof(float));
        free(whole);
        free(cut);
        problem_free(&p);
    }
}

static float number_at(const uint8_t *tiled, size_t row, size_t column, size_t k)
{
    uint16_t half;
    memcpy(&half, tiled + berth_tiled_offset(row, 2 * column, berth_tiled_row(2 * k)), sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void round_to_nearest_even_at_every_level(void **state)
{
    (void)state;
    /* ties both ways, a carry into the exponent, denormals, the largest, and what rounds to infinity */
    static const float special[] = {1.00390625f, 1.01171875f, 1.998046875f, -1.00390625f,
                                    0x1p-140f,   0x1.8p-134f, -0.0f,        3.38e38f,
                                    3.4e38f,     INFINITY,    -INFINITY,    0x1.fe7p10f};
    enum { SPECIAL = sizeof special / sizeof special[0] };
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t k = 1; k < 80; k++) {
            struct problem p = problem_new(19, 3, k, k);
            for (size_t i = 0; i < SPECIAL; i++)
                p.x.data[i * 3 % (19 * k)] = special[i];
            round_operands(&p, kernels);
            for (size_t i = 0; i < 19 * k; i++) {
                const double want = nearest_bf16(p.x.data[i]);
                const float got = number_at(p.a, i / k, i % k, k);
                assert_true(fabs(want) > 3.3961775e38 ? isinf(got) : (double)got == want);
            }
            for (size_t c = k; c < berth_tiled_row(2 * k) / 2; c++)
                assert_true(number_at(p.a, 18, c, k) == 0);
            problem_free(&p);
        }
        struct problem p = problem_new(1, 1, 3, 1);
        const uint32_t payloads[3] = {0x7fffffff, 0xffffffff, 0x7f800001};
        memcpy(p.x.data, payloads, sizeof payloads);
        round_operands(&p, kernels);
        for (size_t i = 0; i < 3; i++)
            assert_true(isnan(number_at(p.a, 0, i, 3)));
        problem_free(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_every_remainder_is_near),
        cmocka_unit_test(gemm_checker_refuses_wrong_results),
        cmocka_unit_test(gemm_every_activation_is_near),
        cmocka_unit_test(gemm_cut_anywhere_same_bits),
        cmocka_unit_test(round_to_nearest_even_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
