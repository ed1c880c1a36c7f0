/* test_rowwise_f32.c: layer norm, sums of rows, widening, the search for values that are not finite, at every
 * level. */
#include "kernel_test.h"

/* --- layer norm
 * ------------------------------------------------------------------------------------------------ */

struct norm_problem {
    size_t m, n, gap;
    double mean, deviation;
    bool in_place;
};

static const float eps = 1e-12f;

/* Error of the mean: n roundings of its terms; of the variance: twice that of a term's difference, plus n
 * roundings. */
static bool norm_row_is_right(const float *out, const float *x, const float *gamma, const float *beta,
                              size_t n)
{
    double mean = 0, variance = 0, size = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n, size += fabs((double)x[i]) / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    const double rstd = 1 / sqrt(variance + (double)eps), roundings = (double)n + 4;
    const double mean_error = roundings * EPS * size;
    for (size_t i = 0; i < n; i++) {
        const double normal = ((double)x[i] - mean) * rstd;
        const double exact = normal * (double)gamma[i] + (double)beta[i];
        const double shift_error = (mean_error + EPS * fabs((double)x[i] - mean)) * rstd;
        const double scale_error = fabs(normal) * (roundings * EPS + pow(mean_error * rstd, 2));
        const double bound = fabs((double)gamma[i]) * (shift_error + scale_error) +
                             4 * EPS * (fabs(normal * (double)gamma[i]) + fabs((double)beta[i])) + 1e-37;
        if (!(fabs((double)out[i] - exact) <= bound))
            return false;
    }
    return true;
}

static bool norm_is_right(const struct berth_kernels *kernels, const struct norm_problem *p)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, p->n);
    const size_t stride = p->n + p->gap, count = p->m * stride - p->gap;
    struct guarded x = guarded_normal(count, p->deviation, &rng), gamma = guarded_normal(p->n, 1, &rng);
    struct guarded beta = guarded_normal(p->n, 1, &rng), out = guarded_new(count, 1),
                   before = guarded_new(count, 1);
    for (size_t i = 0; i < count; i++)
        x.data[i] += (float)p->mean;
    memcpy(before.data, x.data, count * sizeof(float));
    fill_untouched(out.data, count);
    float *target = p->in_place ? x.data : out.data;
    kernels->layernorm_f32(target, x.data, gamma.data, beta.data, p->m, p->n, stride, stride, eps);
    bool right = true;
    for (size_t r = 0; r < p->m; r++) {
        const float *row = target + r * stride;
        right = right && norm_row_is_right(row, before.data + r * stride, gamma.data, beta.data, p->n);
        for (size_t j = p->n; j < stride && r + 1 < p->m; j++) {
            right = right && row[j] == (p->in_place ? before.data[r * stride + j] : untouched);
        }
    }
    guarded_free(&x);
    guarded_free(&gamma);
    guarded_free(&beta);
    guarded_free(&out);
    guarded_free(&before);
    return right;
}

static void layernorm_every_width_is_right(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 2; n <= 140; n++) {
            const struct norm_problem p = {1 + n % 3, n, n % 4, n % 2 ? 0 : 5, 1, n % 5 == 0};
            if (!norm_is_right(kernels, &p))
                fail_msg("isa %d n %zu", (int)kernels->isa, n);
        }
        assert_true(norm_is_right(kernels, &(struct norm_problem){5, 768, 0, 0, 1, true}));
        assert_true(norm_is_right(kernels, &(struct norm_problem){2, 1021, 3, -1, 30, false}));
    }
}

static void layernorm_of_a_large_mean_keeps_two_passes(void **state)
{
    (void)state; /* E[x^2] - E[x]^2 would lose every digit here */
    FOR_EACH_LEVEL(kernels)
    assert_true(norm_is_right(kernels, &(struct norm_problem){3, 64, 0, 3000, 1, false}));
}

static void layernorm_of_equal_values_is_beta(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        float x[40], gamma[40], beta[40], out[40];
        for (size_t i = 0; i < 40; i++)
            x[i] = 0.5f, gamma[i] = 3, beta[i] = (float)i;
        kernels->layernorm_f32(out, x, gamma, beta, 1, 40, 40, 40, eps);
        assert_memory_equal(out, beta, sizeof out);
    }
}

static void norm_zeros(float *out, const float *x, const float *gamma, const float *beta, size_t m, size_t n,
                       size_t out_stride, size_t x_stride, float e)
{
    (void)x, (void)gamma, (void)beta, (void)x_stride, (void)e;
    for (size_t r = 0; r < m; r++)
        memset(out + r * out_stride, 0, n * sizeof *out);
}

static void norm_unbiased(float *out, const float *x, const float *gamma, const float *beta, size_t m,
                          size_t n, size_t out_stride, size_t x_stride, float e)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->layernorm_f32(out, x, gamma, beta, m, n, out_stride, x_stride, e);
    const float factor = sqrtf((float)(n - 1) / (float)n);
    for (size_t i = 0; i < m * out_stride; i++) {
        if (i % out_stride < n)
            out[i] = (out[i] - beta[i % out_stride]) * factor + beta[i % out_stride];
    }
}

static void layernorm_checker_refuses_wrong_kernels(void **state)
{
    (void)state;
    struct berth_kernels kernels = *berth_kernels_select(BERTH_ISA_SCALAR);
    const struct norm_problem p = {2, 768, 0, 0, 1, false};
    assert_true(norm_is_right(&kernels, &p));
    kernels.layernorm_f32 = norm_zeros;
    assert_false(norm_is_right(&kernels, &p));
    kernels.layernorm_f32 = norm_unbiased;
    assert_false(norm_is_right(&kernels, &p));
}

/* --- the others: exact
 * ----------------------------------------------------------------------------------------- */

static void add3_every_length_is_exact(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 0; n <= 70; n++) {
            struct guarded a = guarded_normal(n, 1, &rng), b = guarded_normal(n, 1, &rng);
            struct guarded c = guarded_normal(n, 1, &rng), out = guarded_new(n, 1);
            kernels->add3_f32(out.data, a.data, b.data, NULL, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out.data[i] == a.data[i] + b.data[i]);
            kernels->add3_f32(out.data, a.data, b.data, c.data, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out.data[i] == a.data[i] + b.data[i] + c.data[i]);
            guarded_free(&a);
            guarded_free(&b);
            guarded_free(&c);
            guarded_free(&out);
        }
    }
}

/* What the bits of a half mean, from the definition of the format. */
static double value_of_f16(uint16_t bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 0x3ff;
    const double size = exponent == 31  ? (fraction ? (double)NAN : (double)INFINITY)
                        : exponent == 0 ? ldexp(fraction, -24)
                                        : ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -size : size;
}

static void widen_every_half_is_exact(void **state)
{
    (void)state;
    enum { COUNT = 65536 };
    static uint16_t halves[COUNT];
    static float wide[COUNT], brain[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        halves[i] = (uint16_t)i;
    FOR_EACH_LEVEL(kernels)
    {
        kernels->widen_f16(wide, halves, COUNT);
        kernels->widen_bf16(brain, halves, COUNT);
        for (size_t i = 0; i < COUNT; i++) {
            const double exact = value_of_f16((uint16_t)i);
            assert_true(isnan(exact) ? isnan(wide[i]) : (double)wide[i] == exact);
            assert_int_equal(!!signbit(wide[i]), i >> 15);
            uint32_t bits;
            memcpy(&bits, &brain[i], sizeof bits);
            assert_int_equal(bits, (uint32_t)i << 16);
        }
    }
}

static void widen_every_length_stays_inside(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 0; n <= 50; n++) {
            struct guarded x = guarded_new((n + 1) / 2, 1), out = guarded_new(n, 1);
            uint16_t *halves = (uint16_t *)(void *)x.data + n % 2; /* ends at the guard, at any alignment */
            for (size_t i = 0; i < n; i++)
                halves[i] = (uint16_t)(0x3c00 + i);
            kernels->widen_f16(out.data, halves, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out.data[i] == 1 + (float)i / 1024);
            kernels->widen_bf16(out.data, halves, n);
            for (size_t i = 0; i < n; i++)
                assert_true(out.data[i] > 0);
            guarded_free(&x);
            guarded_free(&out);
        }
    }
}

static void all_finite_finds_each_place_and_kind(void **state)
{
    (void)state;
    static const float kinds[] = {INFINITY, -INFINITY, NAN};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t n = 0; n <= 67; n++) {
            struct guarded x = guarded_new(n, 1);
            for (size_t i = 0; i < n; i++)
                x.data[i] = i % 3 ? 3.4e38f : -1e-45f;
            assert_true(kernels->all_finite_f32(x.data, n));
            for (size_t i = 0; i < n; i++) {
                const float kept = x.data[i];
                x.data[i] = kinds[i % 3];
                assert_false(kernels->all_finite_f32(x.data, n));
                x.data[i] = kept;
            }
            guarded_free(&x);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layernorm_every_width_is_right),
        cmocka_unit_test(layernorm_of_a_large_mean_keeps_two_passes),
        cmocka_unit_test(layernorm_of_equal_values_is_beta),
        cmocka_unit_test(layernorm_checker_refuses_wrong_kernels),
        cmocka_unit_test(add3_every_length_is_exact),
        cmocka_unit_test(widen_every_half_is_exact),
        cmocka_unit_test(widen_every_length_stays_inside),
        cmocka_unit_test(all_finite_finds_each_place_and_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
