/* test_gemm_s8.c: quantising, packing and the int8 product, exact against plain loops, and the same bits at
 * every level. */
#include "kernel_test.h"

#include <stdlib.h>

/* A problem, quantised by the plain C table; results are computed by the level under test. */
struct problem {
    size_t m, n, k;
    struct guarded x, w, bias, residual;
    uint8_t *a;
    int8_t *packed;
    float *a_scale, *w_scale;
    int32_t *offset;
};

static void *allocate(size_t bytes)
{
    void *block = aligned_alloc(64, berth_round_up(bytes, 64) + 64);
    assert_non_null(block);
    memset(block, 0, berth_round_up(bytes, 64) + 64);
    return block;
}

static void quantize(struct problem *p, const struct berth_kernels *kernels)
{
    kernels->quantize_s8(p->a, p->a_scale, p->x.data, 0, p->m, p->k, p->k);
    kernels->pack_s8(p->packed, p->w_scale, p->offset, p->w.data, 0, p->n, p->k, p->k);
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
    p.a = allocate(berth_tiled_size(m, berth_tiled_row(k)));
    p.packed = allocate(berth_gemm_tiled_packed(n, k));
    p.a_scale = allocate(m * sizeof(float));
    p.w_scale = allocate(berth_round_up(n, 16) * sizeof(float));
    p.offset = allocate(berth_round_up(n, 16) * sizeof(int32_t));
    quantize(&p, berth_kernels_select(BERTH_ISA_SCALAR));
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
    free(p->a_scale);
    free(p->w_scale);
    free(p->offset);
}

static struct berth_gemm_tiled arguments(const struct problem *p, float *out, enum berth_epilogue_act act)
{
    return (struct berth_gemm_tiled){.out = out,
                                     .a = p->a,
                                     .a_scale = p->a_scale,
                                     .weights = p->packed,
                                     .w_scale = p->w_scale,
                                     .offset = p->offset,
                                     .bias = p->bias.data,
                                     .residual = p->residual.data,
                                     .m = p->m,
                                     .n = p->n,
                                     .k = p->k,
                                     .out_stride = p->n,
                                     .residual_stride = p->n,
                                     .act = act};
}

static int steps_of(float x, float largest)
{
    return (int)nearbyintf(x * (127 / largest));
}

static float largest_of(const float *x, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    return largest;
}

/* Straight from the definition, in 64 bits: no packing, no offsets. */
static float expected(const struct problem *p, size_t i, size_t j)
{
    const float *x = p->x.data + i * p->k, *w = p->w.data + j * p->k;
    const float x_most = largest_of(x, p->k), w_most = largest_of(w, p->k);
    int64_t sum = 0;
    for (size_t c = 0; c < p->k; c++)
        sum += (int64_t)steps_of(x[c], x_most) * steps_of(w[c], w_most);
    return fmaf((float)sum, (x_most * (1.0f / 127)) * (w_most * (1.0f / 127)), p->bias.data[j]) +
           p->residual.data[i * p->n + j];
}

static size_t count_wrong(const struct problem *p, const float *out)
{
    size_t wrong = 0;
    for (size_t i = 0; i < p->m; i++) {
        for (size_t j = 0; j < p->n; j++)
            wrong += out[i * p->n + j] != expected(p, i, j);
    }
    return wrong;
}

static void check_shape(const struct berth_kernels *kernels, size_t m, size_t n, size_t k)
{
    struct problem p = problem_new(m, n, k, m * 7919 + n * 31 + k);
    struct guarded out = guarded_new(m * n, 1);
    fill_untouched(out.data, m * n);
    const struct berth_gemm_tiled args = arguments(&p, out.data, BERTH_K_NONE);
    kernels->gemm_s8(&args);
    const size_t wrong = count_wrong(&p, out.data);
    if (wrong)
        fail_msg("%s: %zu of %zu x %zu wrong, k %zu", kernels->gemm_s8_name, wrong, m, n, k);
    guarded_free(&out);
    problem_free(&p);
}

static void gemm_every_remainder_is_exact(void **state)
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
        check_shape(kernels, 67, 130, 768);
        check_shape(kernels, 3, 16, 3072);
    }
}

static void gemm_checker_refuses_wrong_results(void **state)
{
    (void)state;
    struct problem p = problem_new(9, 20, 40, 1);
    float *out = allocate(p.m * p.n * sizeof(float));
    const struct berth_gemm_tiled args = arguments(&p, out, BERTH_K_NONE);
    assert_int_equal(count_wrong(&p, out), p.m * p.n); /* zeros */
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8(&args);
    assert_int_equal(count_wrong(&p, out), 0);
    out[p.n + 3] = nextafterf(out[p.n + 3], INFINITY); /* one unit in the last place */
    assert_int_equal(count_wrong(&p, out), 1);
    p.packed[0]++; /* one step of one weight: column 0 */
    berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8(&args);
    assert_int_equal(count_wrong(&p, out), p.m);
    free(out);
    problem_free(&p);
}

/* The largest sums there are: every number at 127 or -127, K at its limit. */
static void gemm_largest_sums_do_not_overflow(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct problem p = problem_new(2, 3, BERTH_S8_K_MAX, 1);
        for (size_t i = 0; i < p.m * p.k; i++)
            p.x.data[i] = i < p.k ? 1 : -1;
        for (size_t i = 0; i < p.n * p.k; i++)
            p.w.data[i] = i / p.k == 1 ? -1 : 1;
        quantize(&p, kernels);
        float out[6];
        const struct berth_gemm_tiled args = arguments(&p, out, BERTH_K_NONE);
        kernels->gemm_s8(&args);
        assert_int_equal(count_wrong(&p, out), 0);
        problem_free(&p);
    }
}

static void quantize_and_pack_same_bits_at_every_level(void **state)
{
    (void)state;
    const struct berth_kernels *reference = berth_kernels_select(BERTH_ISA_SCALAR);
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t k = 1; k < 150; k += 3) {
            struct problem p = problem_new(19, 21, k, k), q = problem_new(19, 21, k, k);
            p.x.data[0] = 0;
            memset(p.x.data + k, 0, k * sizeof(float)); /* a row of zeros, and one of denormals */
            for (size_t i = 0; i < k; i++)
                p.x.data[2 * k + i] = 0x1p-140f;
            memcpy(q.x.data, p.x.data, p.m * k * sizeof(float));
            memset(p.a, 0, berth_tiled_size(p.m, berth_tiled_row(k)));
            memset(q.a, 0, berth_tiled_size(p.m, berth_tiled_row(k)));
            quantize(&p, reference);
            quantize(&q, kernels);
            assert_memory_equal(p.a, q.a, berth_tiled_size(p.m, berth_tiled_row(k)));
            assert_memory_equal(p.a_scale, q.a_scale, p.m * sizeof(float));
            assert_memory_equal(p.packed, q.packed, berth_gemm_tiled_packed(p.n, k));
            assert_memory_equal(p.w_scale, q.w_scale, 32 * sizeof(float));
            assert_memory_equal(p.offset, q.offset, 32 * sizeof(int32_t));
            problem_free(&p);
            problem_free(&q);
        }
    }
}

/* Packing by pieces gives what packing at once gives. */
static void pack_in_pieces_same_bytes(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct problem p = problem_new(1, 50, 77, 5), q = problem_new(1, 50, 77, 5);
        quantize(&p, kernels);
        memset(q.packed, 1, berth_gemm_tiled_packed(q.n, q.k));
        kernels->pack_s8(q.packed, q.w_scale, q.offset, q.w.data + 32 * q.k, 32, 18, q.k, q.k);
        kernels->pack_s8(q.packed, q.w_scale, q.offset, q.w.data, 0, 32, q.k, q.k);
        assert_memory_equal(p.packed, q.packed, berth_gemm_tiled_packed(p.n, p.k));
        assert_memory_equal(p.offset, q.offset, 64 * sizeof(int32_t));
        problem_free(&p);
        problem_free(&q);
    }
}

static void gemm_every_activation_same_bits_at_every_level(void **state)
{
    (void)state;
    struct problem p = problem_new(21, 53, 100, 3);
    const size_t count = p.m * p.n;
    float *want = allocate(count * sizeof(float)), *got = allocate(count * sizeof(float));
    for (enum berth_epilogue_act act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
        struct berth_gemm_tiled args = arguments(&p, want, act);
        berth_kernels_select(BERTH_ISA_SCALAR)->gemm_s8(&args);
        for (size_t i = 0; i < count; i++) {
            const float residual = p.residual.data[i], sum = expected(&p, i / p.n, i % p.n) - residual;
            const double exact = act_exact((double)sum, act) + (double)residual;
            const double gelu = act == BERTH_K_GELU_ERF || act == BERTH_K_GELU_TANH ? 2e-4 : 0;
            const double bound =
                gelu + (ACT_ERROR + 8 * EPS) * (1 + fabs((double)sum) + fabs((double)residual));
            assert_true(fabs((double)want[i] - exact) <= bound);
        }
        FOR_EACH_LEVEL(kernels)
        {
            args.out = got;
            kernels->gemm_s8(&args);
            assert_memory_equal(got, want, count * sizeof(float));
        }
    }
    free(want);
    free(got);
    problem_free(&p);
}

/* A row's result does not depend on how rows and columns are cut. */
static void gemm_cut_anywhere_same_bits(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct problem p = problem_new(70, 160, 130, 9);
        const size_t count = p.m * p.n;
        float *whole = allocate(count * sizeof(float)), *cut = allocate(count * sizeof(float));
        struct berth_gemm_tiled args = arguments(&p, whole, BERTH_K_GELU_ERF);
        kernels->gemm_s8(&args);
        for (size_t row = 0; row < p.m; row += 16) {
            for (size_t column = 0; column < p.n; column += 64) {
                struct berth_gemm_tiled piece = args;
                piece.out = cut + row * p.n + column;
                piece.residual += row * p.n + column;
                piece.a += berth_tiled_offset(row, 0, berth_tiled_row(p.k));
                piece.a_scale += row;
                piece.weights = p.packed + berth_gemm_tiled_packed(column, p.k);
                piece.w_scale += column;
                piece.offset += column;
                piece.bias += column;
                piece.m = berth_min(16, p.m - row);
                piece.n = berth_min(64, p.n - column);
                kernels->gemm_s8(&piece);
            }
        }
        assert_memory_equal(whole, cut, count * sizeof(float));
        free(whole);
        free(cut);
        problem_free(&p);
    }
}

static void gemm_not_finite_rows_stay_not_finite(void **state)
{
    (void)state;
    const float bad[2] = {NAN, INFINITY};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t i = 0; i < 2; i++) {
            struct problem p = problem_new(3, 20, 40, 4);
            float out[60];
            p.x.data[p.k + 7] = bad[i];
            quantize(&p, kernels);
            const struct berth_gemm_tiled args = arguments(&p, out, BERTH_K_NONE);
            kernels->gemm_s8(&args);
            for (size_t j = 0; j < p.n; j++) {
                assert_true(isfinite(out[j]) && isfinite(out[2 * p.n + j]));
                assert_false(isfinite(out[p.n + j]));
            }
            problem_free(&p);
        }
    }
}

/* --- the float kernels whose bits are promised too ---------------------------------------------------------
 */

static void layernorm_and_dense_same_bits_at_every_level(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 11);
    const struct berth_kernels *reference = berth_kernels_select(BERTH_ISA_SCALAR);
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 3; n < 200; n++) {
            struct guarded x = guarded_normal(3 * n, 2, &rng), gamma = guarded_normal(n, 1, &rng);
            struct guarded beta = guarded_normal(n, 1, &rng);
            struct guarded want = guarded_new(3 * n, 1), got = guarded_new(3 * n, 1);
            reference->layernorm_f32(want.data, x.data, gamma.data, beta.data, 3, n, n, n, 1e-12f);
            kernels->layernorm_f32(got.data, x.data, gamma.data, beta.data, 3, n, n, n, 1e-12f);
            assert_memory_equal(got.data, want.data, 3 * n * sizeof(float));
            reference->dense_f32(want.data, gamma.data, x.data, beta.data, 1, 3, n, 3, n);
            kernels->dense_f32(got.data, gamma.data, x.data, beta.data, 1, 3, n, 3, n);
            assert_memory_equal(got.data, want.data, 3 * sizeof(float));
            for (size_t j = 0; j < 3; j++) {
                double sum = (double)beta.data[j], size = fabs(sum);
                for (size_t i = 0; i < n; i++) {
                    sum += (double)gamma.data[i] * (double)x.data[j * n + i];
                    size += fabs((double)gamma.data[i] * (double)x.data[j * n + i]);
                }
                assert_true(fabs((double)got.data[j] - sum) <= ((double)n / 16 + 6) * EPS * size);
            }
            guarded_free(&x);
            guarded_free(&gamma);
            guarded_free(&beta);
            guarded_free(&want);
            guarded_free(&got);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_every_remainder_is_exact),
        cmocka_unit_test(gemm_checker_refuses_wrong_results),
        cmocka_unit_test(gemm_largest_sums_do_not_overflow),
        cmocka_unit_test(quantize_and_pack_same_bits_at_every_level),
        cmocka_unit_test(pack_in_pieces_same_bytes),
        cmocka_unit_test(gemm_every_activation_same_bits_at_every_level),
        cmocka_unit_test(gemm_cut_anywhere_same_bits),
        cmocka_unit_test(gemm_not_finite_rows_stay_not_finite),
        cmocka_unit_test(layernorm_and_dense_same_bits_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
