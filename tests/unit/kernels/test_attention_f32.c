/* test_attention_f32.c: attention of one head at every level, against double precision. */
#include "kernel_test.h"

struct problem {
    size_t t, d, gap;
    double deviation; /* of queries and keys: large ones make the softmax sharp */
};

struct setup {
    struct guarded q, k, v, out, scratch;
    struct berth_attention_f32 args;
};

static struct setup set_up(const struct berth_kernels *kernels, const struct problem *p, uint64_t seed)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, seed);
    const size_t stride = p->d + p->gap, count = p->t * stride - p->gap, out_stride = p->d + 1;
    struct setup s = {
        .q = guarded_normal(count, p->deviation, &rng),
        .k = guarded_normal(count, p->deviation, &rng),
        .v = guarded_normal(count, 1, &rng),
        .out = guarded_new(p->t * out_stride - 1, 1),
        .scratch = guarded_new(kernels->attention_f32_scratch(p->t, p->d), 16),
    };
    fill_untouched(s.out.data, p->t * out_stride - 1);
    memset(s.scratch.data, 0xff, kernels->attention_f32_scratch(p->t, p->d) * sizeof(float)); /* NaN */
    s.args = (struct berth_attention_f32){
        .out = s.out.data,
        .q = s.q.data,
        .k = s.k.data,
        .v = s.v.data,
        .t = p->t,
        .d = p->d,
        .out_stride = out_stride,
        .qkv_stride = stride,
        .scale = (float)(1 / sqrt((double)p->d)),
        .scratch = s.scratch.data,
    };
    return s;
}

static void tear_down(struct setup *s)
{
    guarded_free(&s->q);
    guarded_free(&s->k);
    guarded_free(&s->v);
    guarded_free(&s->out);
    guarded_free(&s->scratch);
}

/* Row i against double precision. A score that is off by e makes its weight off by the factor exp(e), and all
 * weights together shift a result by at most twice that of sum(weight * |value|); weights and their sum add
 * roundings of their own. */
static bool row_is_right(const struct berth_attention_f32 *g, size_t i, double *weights)
{
    double largest = -INFINITY, least = INFINITY, score_error = 0, sum = 0;
    for (size_t j = 0; j < g->t; j++) {
        double score = 0, size = 0;
        for (size_t c = 0; c < g->d; c++) {
            const double term = (double)g->q[i * g->qkv_stride + c] * (double)g->k[j * g->qkv_stride + c];
            score += term;
            size += fabs(term);
        }
        weights[j] = score * (double)g->scale;
        largest = fmax(largest, weights[j]), least = fmin(least, weights[j]);
        score_error = fmax(score_error, ((double)g->d + 2) * EPS * size * (double)g->scale);
    }
    score_error += fmin(largest - least, 104) * EPS;
    for (size_t j = 0; j < g->t; j++)
        sum += weights[j] = exp(weights[j] - largest);
    for (size_t c = 0; c < g->d; c++) {
        double value = 0, size = 0;
        for (size_t j = 0; j < g->t; j++) {
            const double term = weights[j] / sum * (double)g->v[j * g->qkv_stride + c];
            value += term;
            size += fabs(term);
        }
        const double bound = size * 2 * (score_error + ((double)g->t + 10) * EPS) + 1e-30;
        if (!(fabs((double)g->out[i * g->out_stride + c] - value) <= bound))
            return false;
    }
    return i + 1 == g->t || g->out[i * g->out_stride + g->d] == untouched;
}

static bool is_right(const struct berth_kernels *kernels, const struct problem *p, uint64_t seed)
{
    struct setup s = set_up(kernels, p, seed);
    kernels->attention_f32(&s.args);
    double weights[1100];
    assert_true(p->t <= sizeof weights / sizeof weights[0]);
    bool right = true;
    const size_t step = 1 + p->t / 100; /* a sample of a long text's rows */
    for (size_t i = 0; i < p->t && right; i += step)
        right = row_is_right(&s.args, i, weights);
    tear_down(&s);
    return right;
}

static void attention_every_length_is_right(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 12, 16, 24, 32, 33, 64, 100, 300};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t t = 1; t <= 70; t++) {
            for (size_t round = 0; round < 2; round++) {
                const struct problem p = {t, sizes[(t * 2 + round * 3) % 10], (t + round) % 3, round ? 1 : 3};
                if (!is_right(kernels, &p, t))
                    fail_msg("%s: T %zu D %zu", kernels->attention_f32_name, t, p.d);
            }
        }
    }
}

static void attention_long_texts_are_right(void **state)
{
    (void)state;
    static const struct problem problems[] = {{255, 12, 0, 1}, {256, 64, 2, 1}, {257, 16, 0, 1},
                                              {512, 64, 0, 2}, {513, 33, 1, 1}, {1030, 8, 0, 1}};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t i = 0; i < sizeof problems / sizeof problems[0]; i++) {
            assert_true(is_right(kernels, &problems[i], i));
        }
    }
}

static void attention_of_the_first_queries_gives_same_bits(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t queries = 1; queries <= 33; queries += 4) {
            struct setup all = set_up(kernels, &(struct problem){45, 24, 0, 1}, 3);
            struct setup some = set_up(kernels, &(struct problem){45, 24, 0, 1}, 3);
            some.args.queries = queries;
            kernels->attention_f32(&all.args);
            kernels->attention_f32(&some.args);
            for (size_t i = 0; i < queries; i++) {
                assert_memory_equal(all.out.data + i * 25, some.out.data + i * 25, 24 * sizeof(float));
            }
            for (size_t i = queries * 25; i < 45 * 25 - 1; i++)
                assert_true(some.out.data[i] == untouched);
            tear_down(&all);
            tear_down(&some);
        }
    }
}

static void attention_huge_scores_stay_finite(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels) assert_true(is_right(kernels, &(struct problem){37, 16, 0, 100}, 1));
}

static void attention_of_one_token_is_its_value(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        struct setup s = set_up(kernels, &(struct problem){1, 24, 0, 1}, 4);
        kernels->attention_f32(&s.args);
        assert_memory_equal(s.out.data, s.v.data, 24 * sizeof(float));
        tear_down(&s);
    }
}

static void attention_of_what_is_not_finite_does_not_crash_nor_hide_it(void **state)
{
    (void)state;
    static const float values[] = {-INFINITY, INFINITY, NAN};
    FOR_EACH_LEVEL(kernels)
    {
        for (size_t i = 0; i < 3; i++) {
            struct setup s = set_up(kernels, &(struct problem){40, 20, 0, 1}, 4);
            s.q.data[3 * 20 + 5] = values[i];
            kernels->attention_f32(&s.args);
            assert_true(isnan(s.out.data[3 * 21]));
            assert_true(isfinite(s.out.data[4 * 21]));
            tear_down(&s);
        }
    }
}

static void attention_scratch_does_for_every_shorter_text(void **state)
{
    (void)state;
    FOR_EACH_LEVEL(kernels)
    {
        size_t last = 0;
        for (size_t t = 1; t < 600; t += 13) {
            const size_t floats = kernels->attention_f32_scratch(t, 64);
            assert_true(floats >= last && floats >= kernels->attention_f32_scratch(t, 63));
            last = floats;
        }
    }
}

/* --- the checker itself
 * ---------------------------------------------------------------------------------------- */

static void write_zeros(const struct berth_attention_f32 *g)
{
    for (size_t i = 0; i < g->t; i++)
        memset(g->out + i * g->out_stride, 0, g->d * sizeof(float));
}

static void forget_the_scale(const struct berth_attention_f32 *g)
{
    struct berth_attention_f32 other = *g;
    other.scale = 1;
    berth_kernels_select(BERTH_ISA_SCALAR)->attention_f32(&other);
}

static void swap_keys_and_queries(const struct berth_attention_f32 *g)
{
    struct berth_attention_f32 other = *g;
    other.q = g->k, other.k = g->q;
    berth_kernels_select(BERTH_ISA_SCALAR)->attention_f32(&other);
}

static void be_slightly_wrong(const struct berth_attention_f32 *g)
{
    berth_kernels_select(BERTH_ISA_SCALAR)->attention_f32(g);
    g->out[g->d - 1] *= 1.0002f;
}

static void checker_refuses_wrong_kernels(void **state)
{
    (void)state;
    void (*const wrong[])(const struct berth_attention_f32 *) = {write_zeros, forget_the_scale,
                                                                 swap_keys_and_queries, be_slightly_wrong};
    const struct problem p = {20, 16, 1, 1};
    struct berth_kernels kernels = *berth_kernels_select(BERTH_ISA_SCALAR);
    assert_true(is_right(&kernels, &p, 5));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        kernels.attention_f32 = wrong[i];
        assert_false(is_right(&kernels, &p, 5));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attention_every_length_is_right),
        cmocka_unit_test(attention_long_texts_are_right),
        cmocka_unit_test(attention_of_the_first_queries_gives_same_bits),
        cmocka_unit_test(attention_huge_scores_stay_finite),
        cmocka_unit_test(attention_of_one_token_is_its_value),
        cmocka_unit_test(attention_of_what_is_not_finite_does_not_crash_nor_hide_it),
        cmocka_unit_test(attention_scratch_does_for_every_shorter_text),
        cmocka_unit_test(checker_refuses_wrong_kernels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
