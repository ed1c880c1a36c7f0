/* test_attention_s8.c: int8 attention against its definition in plain loops, exactly where it is made of
 * integers, within a bound from the operands against true attention, and the same bits at every level. */
#include "kernel_test.h"

#include <stdlib.h>

struct problem {
    size_t t, d, queries;
    float scale;
    struct guarded qkv; /* [t, 3 d] */
};

static struct problem problem_new(size_t t, size_t d, uint64_t seed)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    return (struct problem){.t = t,
                            .d = d,
                            .queries = t,
                            .scale = 1 / sqrtf((float)d),
                            .qkv = guarded_normal(t * 3 * d, 1, &rng)};
}

static void attend(const struct berth_kernels *kernels, const struct problem *p, float *out)
{
    struct guarded scratch = guarded_new(kernels->attention_s8_scratch(p->t, p->d), 16);
    kernels->attention_s8(&(struct berth_attention_f32){.out = out,
                                                        .q = p->qkv.data,
                                                        .k = p->qkv.data + p->d,
                                                        .v = p->qkv.data + 2 * p->d,
                                                        .queries = p->queries,
                                                        .t = p->t,
                                                        .d = p->d,
                                                        .out_stride = p->d,
                                                        .qkv_stride = 3 * p->d,
                                                        .scale = p->scale,
                                                        .scratch = scratch.data});
    guarded_free(&scratch);
}

static double at(const struct problem *p, size_t part, size_t token, size_t column)
{
    return (double)p->qkv.data[token * 3 * p->d + part * p->d + column];
}

/* Largest magnitude of a token's queries (0) or keys (1), or of a column of the values (2). */
static double largest(const struct problem *p, size_t part, size_t i)
{
    double most = 0;
    for (size_t j = 0; j < (part < 2 ? p->d : p->t); j++)
        most = fmax(most, fabs(part < 2 ? at(p, part, i, j) : at(p, part, j, i)));
    return most;
}

/* powers[j]: of token i's score of token j, less the largest, in double precision; with the inputs rounded to their
 * steps (`rounded`) or not. */
static void raise_scores(const struct problem *p, bool rounded, size_t i, double *powers)
{
    double most = -INFINITY;
    const double q_step = largest(p, 0, i) / 127;
    for (size_t j = 0; j < p->t; j++) {
        powers[j] = 0;
        const double k_step = largest(p, 1, j) / 127;
        for (size_t c = 0; c < p->d; c++) {
            double q = at(p, 0, i, c), k = at(p, 1, j, c);
            if (rounded) {
                q = nearbyint(q / q_step) * q_step;
                k = nearbyint(k / k_step) * k_step;
            }
            powers[j] += q * k * (double)p->scale;
        }
        most = fmax(most, powers[j]);
    }
    for (size_t j = 0; j < p->t; j++)
        powers[j] = exp(powers[j] - most);
}

/* A column of attention with those powers. */
static double weigh(const struct problem *p, bool rounded, const double *powers, size_t column)
{
    double sum = 0, out = 0;
    const double v_step = largest(p, 2, column) / 127;
    for (size_t j = 0; j < p->t; j++) {
        double power = powers[j], v = at(p, 2, j, column);
        if (rounded) {
            power = nearbyint(255 * power);
            v = nearbyint(v / v_step) * v_step;
        }
        sum += power;
        out += power * v;
    }
    return out / sum;
}

enum { MOST_TOKENS = 130 };
static const size_t shapes[][2] = {{1, 1},   {1, 64},  {2, 3},   {3, 64},  {15, 32}, {16, 64}, {17, 64},
                                   {31, 20}, {33, 64}, {48, 65}, {49, 64}, {63, 16}, {65, 64}, {130, 100}};

/* In exact arithmetic the definition is met to rounding, except where a power lies so near the middle between
 * two steps that rounding decides: one step of 255 then, of one token among those that sum to at least 255.
 */
static void attention_follows_its_definition(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        size_t flipped = 0, total = 0;
        for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
            struct problem p = problem_new(shapes[s][0], shapes[s][1], s + 1);
            struct guarded out = guarded_new(p.t * p.d, 1);
            attend(kernels, &p, out.data);
            for (size_t i = 0; i < p.t; i++) {
                double powers[MOST_TOKENS];
                raise_scores(&p, true, i, powers);
                for (size_t c = 0; c < p.d; c++) {
                    const double most = largest(&p, 2, c), got = (double)out.data[i * p.d + c];
                    const double error = fabs(got - weigh(&p, true, powers, c));
                    flipped += error > 1e-5 * most;
                    assert_true(error <= 2 * most / 255);
                }
            }
            total += p.t * p.d;
            guarded_free(&out);
        }
        assert_true(flipped * 100 <= total);
    }
}

/* Operands are normal: steps of q and k move a score by at most its size over 60, powers by as much; p8 and
 * v8 add half a step each. */
static void attention_is_near_the_exact_one(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct problem p = problem_new(40, 64, 77);
        struct guarded out = guarded_new(p.t * p.d, 1);
        attend(kernels, &p, out.data);
        double worst = 0, shifted = 0;
        for (size_t i = 0; i < p.t; i++) {
            double powers[MOST_TOKENS];
            raise_scores(&p, false, i, powers);
            for (size_t c = 0; c < p.d; c++) {
                const double got = (double)out.data[i * p.d + c];
                worst = fmax(worst, fabs(got - weigh(&p, false, powers, c)));
                shifted = fmax(shifted, fabs(got - weigh(&p, false, powers, (c + 1) % p.d)));
            }
        }
        assert_true(worst < 0.06);
        assert_true(shifted > 0.5); /* the bound tells a wrong column */
        guarded_free(&out);
    }
}

static void attention_same_bits_at_every_level(void **state)
{
    (void)state;
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct problem p = problem_new(shapes[s][0], shapes[s][1], s + 100);
        struct guarded want = guarded_new(p.t * p.d, 1), got = guarded_new(p.t * p.d, 1);
        attend(berth_kernels_select(BERTH_ISA_SCALAR), &p, want.data);
        FOR_EACH_TILED_LEVEL(kernels)
        {
            fill_untouched(got.data, p.t * p.d);
            attend(kernels, &p, got.data);
            assert_memory_equal(got.data, want.data, p.t * p.d * sizeof(float));
            p.queries = 1; /* the first token's row alone */
            fill_untouched(got.data, p.t * p.d);
            attend(kernels, &p, got.data);
            assert_memory_equal(got.data, want.data, p.d * sizeof(float));
            if (p.t > 1)
                assert_true(got.data[p.d] == untouched);
            p.queries = p.t;
        }
        guarded_free(&want);
        guarded_free(&got);
    }
}

static void attention_not_finite_spreads(void **state)
{
    (void)state;
    FOR_EACH_TILED_LEVEL(kernels)
    {
        for (size_t part = 0; part < 3; part++) {
            struct problem p = problem_new(20, 16, part + 5);
            float out[20 * 16];
            p.qkv.data[7 * 3 * p.d + part * p.d + 3] = part == 1 ? INFINITY : NAN;
            attend(kernels, &p, out);
            for (size_t i = 0; i < p.t; i++) {
                for (size_t c = 0; c < p.d; c++) {
                    const bool reached = part == 0 ? i == 7 : part == 1 || c == 3;
                    assert_int_equal(isfinite(out[i * p.d + c]) != 0, !reached);
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_follows_its_definition),
        cmocka_unit_test(attention_is_near_the_exact_one),
        cmocka_unit_test(attention_same_bits_at_every_level),
        cmocka_unit_test(attention_not_finite_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
