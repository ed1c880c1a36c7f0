/* test_train_f32.c: what the backward pass and the optimiser need beside the matrix product, at every level:
 * gradients against finite differences of the function in double, layouts and masks exactly. */
#include "kernel_test.h"

enum { SIZES = 8 };
static const size_t sizes[SIZES] = {1, 3, 8, 15, 16, 33, 64, 130};

static void expect_near(const char *what, double got, double want, double bound)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s: got %.9g, want %.9g within %.2g", what, got, want, bound);
}

/* --- activations ---------------------------------------------------------------------------------- */

static double act_slope(double x, enum berth_epilogue_act act)
{
    const double h = 1e-5;
    return (act_exact(x + h, act) - act_exact(x - h, act)) / (2 * h);
}

static void act_back_of_any_input_is_the_slope(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    for (int act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
        for (size_t s = 0; s < SIZES; s++) {
            const size_t n = sizes[s];
            struct guarded x = guarded_normal(n, 3, &rng), dy = guarded_normal(n, 1, &rng),
                           dx = guarded_new(n, 1);
            FOR_EACH_LEVEL(kernels)
            {
                kernels->act_back_f32(dx.data, dy.data, x.data, n, (enum berth_epilogue_act)act);
                for (size_t i = 0; i < n; i++)
                    expect_near("slope", dx.data[i],
                                dy.data[i] * act_slope(x.data[i], (enum berth_epilogue_act)act),
                                2e-6 * (1 + fabs((double)dy.data[i])) * (1 + fabs((double)x.data[i])));
            }
            guarded_free(&x), guarded_free(&dy), guarded_free(&dx);
        }
    }
}

static void act_back_of_extremes_stays_finite(void **state)
{
    (void)state;
    float x[] = {-1e30f, -200, -90, 90, 200, 1e30f}, dy[] = {1, 1, 1, 1, 1, 1}, dx[6];
    FOR_EACH_LEVEL(kernels)
    for (int act = BERTH_K_NONE; act <= BERTH_K_TANH; act++) {
        if (act == BERTH_K_GELU_TANH) /* x^2 overflows at 1e30, as it does in the forward pass */
            continue;
        kernels->act_back_f32(dx, dy, x, 6, (enum berth_epilogue_act)act);
        for (size_t i = 1; i < 5; i++)
            expect_near("slope", dx[i], act == BERTH_K_NONE ? 1 : act == BERTH_K_TANH ? 0 : x[i] > 0, 1e-5);
    }
}

/* --- LayerNorm ------------------------------------------------------------------------------------ */

/* Sum of dy * LayerNorm(x) over one row, with x[at] moved by h. */
static double norm_value(const float *x, const float *gamma, const float *beta, const float *dy, size_t n,
                         size_t at, double h)
{
    double mean = 0, variance = 0, sum = 0;
    for (size_t i = 0; i < n; i++)
        mean += ((double)x[i] + (i == at ? h : 0)) / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += pow((double)x[i] + (i == at ? h : 0) - mean, 2) / (double)n;
    for (size_t i = 0; i < n; i++)
        sum +=
            dy[i] * (((double)x[i] + (i == at ? h : 0) - mean) / sqrt(variance + 1e-5) * gamma[i] + beta[i]);
    return sum;
}

static void layernorm_back_of_rows_is_the_gradient(void **state)
{
    (void)state;
    enum { M = 5 };
    struct berth_rng rng;
    berth_rng_seed(&rng, 2);
    for (size_t s = 1; s < SIZES; s++) {
        const size_t n = sizes[s];
        struct guarded x = guarded_normal(M * n, 2, &rng), dy = guarded_normal(M * n, 1, &rng);
        struct guarded gamma = guarded_normal(n, 1, &rng), beta = guarded_normal(n, 1, &rng);
        struct guarded dx = guarded_new(M * n, 1), dgamma = guarded_new(n, 1), dbeta = guarded_new(n, 1);
        FOR_EACH_LEVEL(kernels)
        {
            memset(dgamma.data, 0, n * sizeof(float));
            memset(dbeta.data, 0, n * sizeof(float));
            kernels->layernorm_back_f32(&(struct berth_layernorm_back_f32){.dx = dx.data,
                                                                           .dgamma = dgamma.data,
                                                                           .dbeta = dbeta.data,
                                                                           .dy = dy.data,
                                                                           .x = x.data,
                                                                           .gamma = gamma.data,
                                                                           .m = M,
                                                                           .n = n,
                                                                           .eps = 1e-5f});
            for (size_t r = 0; r < M; r++) {
                const float *row = x.data + r * n, *slope = dy.data + r * n;
                for (size_t i = 0; i < n; i++) {
                    const double h = 1e-5;
                    double want = (norm_value(row, gamma.data, beta.data, slope, n, i, h) -
                                   norm_value(row, gamma.data, beta.data, slope, n, i, -h)) /
                                  (2 * h);
                    expect_near("dx", dx.data[r * n + i], want, 1e-4 * (1 + fabs(want)));
                }
            }
            double sum = 0;
            for (size_t r = 0; r < M; r++)
                sum += dy.data[r * n];
            expect_near("dbeta", dbeta.data[0], sum, 1e-5);
        }
        guarded_free(&x), guarded_free(&dy), guarded_free(&gamma), guarded_free(&beta);
        guarded_free(&dx), guarded_free(&dgamma), guarded_free(&dbeta);
    }
}

/* --- softmax -------------------------------------------------------------------------------------- */

static void softmax_exact(double *p, const float *x, size_t n, double scale, size_t at, double h)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += p[i] = exp(scale * ((double)x[i] + (i == at ? h : 0)));
    for (size_t i = 0; i < n; i++)
        p[i] /= sum;
}

static void softmax_and_its_gradient_are_right(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 3);
    for (size_t s = 0; s < SIZES; s++) {
        const size_t n = sizes[s];
        const double scale = 0.3, h = 1e-5;
        double plus[130], minus[130], p[130];
        struct guarded x = guarded_normal(n, 4, &rng), dp = guarded_normal(n, 1, &rng),
                       share = guarded_new(n, 1), ds = guarded_new(n, 1);
        FOR_EACH_LEVEL(kernels)
        {
            memcpy(share.data, x.data, n * sizeof(float));
            memcpy(ds.data, dp.data, n * sizeof(float));
            kernels->softmax_f32(share.data, n, (float)scale);
            kernels->softmax_back_f32(ds.data, share.data, n, (float)scale);
            softmax_exact(p, x.data, n, scale, n, 0);
            for (size_t i = 0; i < n; i++) {
                double want = 0;
                softmax_exact(plus, x.data, n, scale, i, h);
                softmax_exact(minus, x.data, n, scale, i, -h);
                for (size_t j = 0; j < n; j++)
                    want += dp.data[j] * (plus[j] - minus[j]) / (2 * h);
                expect_near("share", share.data[i], p[i], 1e-6);
                expect_near("ds", ds.data[i], want, 2e-6);
            }
        }
        guarded_free(&x), guarded_free(&dp), guarded_free(&share), guarded_free(&ds);
    }
}

/* --- dropout -------------------------------------------------------------------------------------- */

static void dropout_at_any_level_and_cut_drops_the_same(void **state)
{
    (void)state;
    enum { N = 20000 };
    static float x[N], want[N], got[N], residual[N];
    const double rate = 0.1;
    struct berth_dropout dropout = {
        .key = 0x123456789abcdefu, .threshold = (uint32_t)(rate * 0x1p32), .scale = (float)(1 / (1 - rate))};
    for (size_t i = 0; i < N; i++)
        x[i] = 1, residual[i] = (float)i;
    berth_kernels_select(BERTH_ISA_SCALAR)->dropout_f32(want, x, NULL, N, 0, &dropout);
    size_t dropped = 0;
    for (size_t i = 0; i < N; i++) {
        assert_true(want[i] == 0 || want[i] == dropout.scale);
        dropped += want[i] == 0;
    }
    expect_near("share dropped", (double)dropped / N, rate, 5 * sqrt(rate * (1 - rate) / N));
    FOR_EACH_LEVEL(kernels)
    {
        kernels->dropout_f32(got, x, NULL, 777, 0, &dropout);
        kernels->dropout_f32(got + 777, x + 777, NULL, N - 777, 777, &dropout);
        assert_memory_equal(got, want, sizeof want);
        kernels->dropout_f32(got, x, residual, N, 0, &dropout);
        for (size_t i = 0; i < N; i++)
            assert_true(got[i] == want[i] + residual[i]);
        dropout.key++; /* another key, another mask */
        kernels->dropout_f32(got, x, NULL, N, 0, &dropout);
        dropout.key--;
        assert_memory_not_equal(got, want, sizeof want);
    }
}

/* --- layouts and sums ----------------------------------------------------------------------------- */

static void pack_columns_of_a_matrix_packs_its_transpose(void **state)
{
    (void)state;
    enum { K = 21, N = 45 };
    static float x[K * N], turned[N * K], want[64 * K], got[64 * K];
    for (size_t i = 0; i < K * N; i++)
        x[i] = (float)i;
    FOR_EACH_LEVEL(kernels)
    {
        kernels->transpose_f32(turned, x, K, N, K, N);
        for (size_t i = 0; i < K; i++) {
            for (size_t j = 0; j < N; j++)
                assert_true(turned[j * K + i] == x[i * N + j]);
        }
        const size_t floats = berth_gemm_f32_packed(kernels, N, K), nr = kernels->gemm_f32_nr;
        assert_true(floats <= 64 * K);
        kernels->pack_f32(want, turned, 0, N, K, K);
        fill_untouched(got, floats);
        kernels->pack_columns_f32(got, x, 0, nr, K, N); /* in two pieces */
        kernels->pack_columns_f32(got, x + nr, nr, N - nr, K, N);
        assert_memory_equal(got, want, floats * sizeof(float));
    }
}

static void sums_of_any_size_are_right(void **state)
{
    (void)state;
    enum { M = 9 };
    struct berth_rng rng;
    berth_rng_seed(&rng, 4);
    for (size_t s = 0; s < SIZES; s++) {
        const size_t n = sizes[s];
        struct guarded x = guarded_normal(M * n, 1, &rng), sums = guarded_new(n, 1);
        FOR_EACH_LEVEL(kernels)
        {
            double squares = 0;
            memset(sums.data, 0, n * sizeof(float));
            kernels->column_sums_f32(sums.data, x.data, M, n, n);
            for (size_t j = 0; j < n; j++) {
                float sum = 0;
                for (size_t i = 0; i < M; i++)
                    sum += x.data[i * n + j];
                assert_true(sums.data[j] == sum); /* in order: the same bits */
            }
            for (size_t i = 0; i < M * n; i++)
                squares += (double)x.data[i] * x.data[i];
            expect_near("squares", kernels->squares_f32(x.data, M * n), squares, 1e-5 * squares);
        }
        guarded_free(&x), guarded_free(&sums);
    }
}

/* --- AdamW ---------------------------------------------------------------------------------------- */

static const struct berth_adamw_f32 step = {.decay = 0.999f,
                                            .beta1 = 0.9f,
                                            .beta2 = 0.999f,
                                            .eps = 1e-8f,
                                            .rest1 = 0.1f,
                                            .rest2 = 0.001f,
                                            .rate = 0.01f,
                                            .unbias = 3,
                                            .clip = 0.5f};

static void adamw_of_one_step_follows_its_formula(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 5);
    for (size_t s = 0; s < SIZES; s++) {
        const size_t n = sizes[s];
        struct guarded g = guarded_normal(n, 1, &rng), p0 = guarded_normal(n, 1, &rng),
                       m0 = guarded_normal(n, 1, &rng);
        struct guarded p = guarded_new(n, 1), m = guarded_new(n, 1), v = guarded_new(n, 1);
        FOR_EACH_LEVEL(kernels)
        {
            for (size_t i = 0; i < n; i++)
                p.data[i] = p0.data[i], m.data[i] = m0.data[i], v.data[i] = 0.01f;
            kernels->adamw_f32(p.data, g.data, m.data, v.data, n, &step);
            for (size_t i = 0; i < n; i++) {
                const double slope = 0.5 * g.data[i];
                const double first = 0.9 * m0.data[i] + 0.1 * slope,
                             second = 0.999 * 0.01 + 0.001 * slope * slope;
                const double want = p0.data[i] * 0.999 - 0.01 * first / (sqrt(second) * 3 + 1e-8);
                expect_near("m", m.data[i], first, 1e-6);
                expect_near("v", v.data[i], second, 1e-7);
                expect_near("p", p.data[i], want, 1e-6 * (1 + fabs(want)));
            }
        }
        guarded_free(&g), guarded_free(&p0), guarded_free(&m0);
        guarded_free(&p), guarded_free(&m), guarded_free(&v);
    }
}

static void adamw_idle_of_steps_equals_steps_without_gradient(void **state)
{
    (void)state;
    enum { N = 37, STEPS = 9 };
    struct berth_rng rng;
    float p[2][N], m[2][N], v[2][N], none[N] = {0};
    struct berth_adamw_f32 steps[STEPS];
    for (size_t s = 0; s < STEPS; s++) {
        steps[s] = step;
        steps[s].rate /= (float)(s + 1);
    }
    FOR_EACH_LEVEL(kernels)
    {
        berth_rng_seed(&rng, 6);
        for (size_t i = 0; i < N; i++) {
            p[0][i] = p[1][i] = (float)berth_rng_normal(&rng);
            m[0][i] = m[1][i] = (float)berth_rng_normal(&rng);
            v[0][i] = v[1][i] = (float)berth_rng_uniform(&rng);
        }
        for (size_t s = 0; s < STEPS; s++)
            kernels->adamw_f32(p[0], none, m[0], v[0], N, &steps[s]);
        kernels->adamw_idle_f32(p[1], m[1], v[1], N, steps, STEPS);
        assert_memory_equal(p[0], p[1], sizeof p[0]);
        assert_memory_equal(m[0], m[1], sizeof m[0]);
        assert_memory_equal(v[0], v[1], sizeof v[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(act_back_of_any_input_is_the_slope),
        cmocka_unit_test(act_back_of_extremes_stays_finite),
        cmocka_unit_test(layernorm_back_of_rows_is_the_gradient),
        cmocka_unit_test(softmax_and_its_gradient_are_right),
        cmocka_unit_test(dropout_at_any_level_and_cut_drops_the_same),
        cmocka_unit_test(pack_columns_of_a_matrix_packs_its_transpose),
        cmocka_unit_test(sums_of_any_size_are_right),
        cmocka_unit_test(adamw_of_one_step_follows_its_formula),
        cmocka_unit_test(adamw_idle_of_steps_equals_steps_without_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
