/* test_compare.c: the rank test of two series keeps its stated rate where nothing differs, neighbours alike
 * or not; and finds what differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "report/compare.h"

enum { ROUNDS = 600, LENGTH = 200 };

/* Latencies with a long tail; `memory` makes neighbours alike, `factor` the series slower. */
static void make_series(struct berth_rng *rng, double *ms, size_t n, double memory, double factor)
{
    double slow = berth_rng_normal(rng);
    for (size_t i = 0; i < n; i++) {
        slow = memory * slow + sqrt(1 - memory * memory) * berth_rng_normal(rng);
        ms[i] = factor * (5 + exp(slow));
    }
}

static size_t count_differences(double memory, double factor, size_t n, double error_rate)
{
    static double a[LENGTH], b[LENGTH];
    struct berth_rng rng;
    struct berth_difference d;
    size_t different = 0;
    berth_rng_seed(&rng, 7);
    for (int i = 0; i < ROUNDS; i++) {
        make_series(&rng, a, n, memory, 1);
        make_series(&rng, b, n, memory, factor);
        assert_int_equal(berth_compare_series(a, n, b, n, error_rate, &d, NULL), BERTH_OK);
        assert_int_not_equal(d.verdict, BERTH_TOO_FEW);
        different += d.verdict != BERTH_SAME;
        assert_true(d.interval[0] <= d.ratio && d.ratio <= d.interval[1]);
        assert_true((d.verdict == BERTH_SAME) == (d.interval[0] <= 1 && 1 <= d.interval[1]));
    }
    return different;
}

/* At most what a binomial of that rate gives with probability 0.999. */
static void check_rate(size_t found, double rate)
{
    double most = ROUNDS * rate + 3.1 * sqrt(ROUNDS * rate * (1 - rate));
    if ((double)found > most)
        fail_msg("%zu of %d differ, at most %.1f may", found, ROUNDS, most);
}

static void compare_identical_series_keeps_its_rate(void **state)
{
    (void)state;
    check_rate(count_differences(0, 1, LENGTH, 0.05), 0.05);
    check_rate(count_differences(0, 1, 20, 0.05), 0.05);
    check_rate(count_differences(0, 1, LENGTH, 0.01), 0.01);
}

/* Neighbours that are alike would give 30 % wrong differences without the widening. */
static void compare_dependent_series_stays_near_its_rate(void **state)
{
    (void)state;
    check_rate(count_differences(0.6, 1, LENGTH, 0.05), 0.08);
}

static void compare_finds_what_differs(void **state)
{
    (void)state;
    assert_true(count_differences(0, 1.1, LENGTH, 0.05) > ROUNDS * 9 / 10);
    static double a[LENGTH], b[LENGTH];
    struct berth_rng rng;
    struct berth_difference d;
    berth_rng_seed(&rng, 1);
    make_series(&rng, a, LENGTH, 0, 1);
    make_series(&rng, b, LENGTH, 0, 2);
    assert_int_equal(berth_compare_series(a, LENGTH, b, LENGTH, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_SLOWER);
    assert_true(d.interval[0] < 2 && d.interval[1] > 1.8 && d.p < 1e-10);
    assert_int_equal(berth_compare_series(b, LENGTH, a, LENGTH, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_FASTER);
}

static void compare_of_too_few_says_so(void **state)
{
    (void)state;
    static const double a[] = {1, 2, 3}, b[] = {10, 20, 30, 40};
    struct berth_difference d;
    assert_int_equal(berth_compare_series(a, 3, b, 4, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_TOO_FEW);
    assert_int_equal(berth_compare_series(b, 4, b, 4, 0.001, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_TOO_FEW);
    static const double constant[] = {5, 5, 5, 5, 5, 5};
    assert_int_equal(berth_compare_series(constant, 6, constant, 6, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_SAME);
    assert_true(fabs(d.ratio - 1) < 1e-6);
}

/* P of a signed-rank sum as far from its middle, by going through all signs. */
static double enumerate(const double *log_ratio, size_t n)
{
    double rank[12];
    size_t total = n * (n + 1) / 2, extreme = 0, observed = 0;
    for (size_t i = 0; i < n; i++) {
        rank[i] = 1;
        for (size_t k = 0; k < n; k++)
            rank[i] += fabs(log_ratio[k]) < fabs(log_ratio[i]);
        observed += log_ratio[i] > 0 ? (size_t)rank[i] : 0;
    }
    size_t tail = observed < total - observed ? observed : total - observed;
    for (size_t signs = 0; signs < (size_t)1 << n; signs++) {
        size_t sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += signs >> i & 1 ? i + 1 : 0;
        extreme += sum <= tail || sum >= total - tail;
    }
    return fmin(1, (double)extreme / (double)((size_t)1 << n));
}

/* Runs of a machine that has phases: a pair mostly lies within one, and its noise is a per cent. */
static void make_pairs(struct berth_rng *rng, double *log_ratio, size_t n, double factor)
{
    for (size_t i = 0; i < n; i++) {
        double phase = berth_rng_below(rng, 5) == 0 ? 0.44 * (berth_rng_below(rng, 2) ? 1 : -1) : 0;
        log_ratio[i] = log(factor) + phase + 0.01 * berth_rng_normal(rng);
    }
}

static void pairs_have_the_exact_distribution(void **state)
{
    (void)state;
    struct berth_rng rng;
    struct berth_difference d;
    double log_ratio[12];
    berth_rng_seed(&rng, 3);
    for (size_t n = 6; n <= 12; n++)
        for (int round = 0; round < 20; round++) {
            make_pairs(&rng, log_ratio, n, round % 2 ? 1.02 : 1);
            assert_int_equal(berth_compare_pairs(log_ratio, n, 0.05, &d, NULL), BERTH_OK);
            assert_true(fabs(d.p - enumerate(log_ratio, n)) < 1e-12);
            assert_true((d.p <= 0.05) == (d.verdict != BERTH_SAME));
            assert_true((d.verdict == BERTH_SAME) == (d.interval[0] <= 1 && 1 <= d.interval[1]));
            assert_true(d.interval[0] <= d.ratio && d.ratio <= d.interval[1]);
        }
}

static size_t count_pairs_that_differ(double factor, size_t n)
{
    struct berth_rng rng;
    struct berth_difference d;
    double log_ratio[40];
    size_t different = 0;
    berth_rng_seed(&rng, 11);
    for (int i = 0; i < ROUNDS; i++) {
        make_pairs(&rng, log_ratio, n, factor);
        assert_int_equal(berth_compare_pairs(log_ratio, n, 0.05, &d, NULL), BERTH_OK);
        different += d.verdict == BERTH_FASTER || d.verdict == BERTH_SLOWER;
    }
    return different;
}

static void pairs_keep_the_rate_and_find_what_differs(void **state)
{
    (void)state;
    check_rate(count_pairs_that_differ(1, 8), 0.05);
    check_rate(count_pairs_that_differ(1, 20), 0.05);
    assert_true(count_pairs_that_differ(1.05, 20) > ROUNDS * 8 / 10);
    struct berth_difference d;
    static const double same[] = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6};
    assert_int_equal(berth_compare_pairs(same, 5, 0.05, &d, NULL), BERTH_OK); /* 2 / 32 is above 5 % */
    assert_int_equal(d.verdict, BERTH_TOO_FEW);
    assert_int_equal(berth_compare_pairs(same, 6, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_SLOWER);
    assert_int_equal(berth_compare_pairs(same, 0, 0.05, &d, NULL), BERTH_OK);
    assert_int_equal(d.verdict, BERTH_TOO_FEW);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compare_identical_series_keeps_its_rate),
        cmocka_unit_test(compare_dependent_series_stays_near_its_rate),
        cmocka_unit_test(compare_finds_what_differs),
        cmocka_unit_test(compare_of_too_few_says_so),
        cmocka_unit_test(pairs_have_the_exact_distribution),
        cmocka_unit_test(pairs_keep_the_rate_and_find_what_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
