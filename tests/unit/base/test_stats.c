/* test_stats.c: nearest rank, the sizes from which a percentile exists, and the binomial intervals against
 * exact sums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/stats.h"

enum { N_MAX = 1000 };

/* 1, 2, ... n: a value is its rank. */
static const double *ranks(size_t n)
{
    static double values[N_MAX];
    for (size_t i = 0; i < n; i++)
        values[i] = (double)(i + 1);
    return values;
}

static void quantile_of_known_series_is_the_nearest_rank(void **state)
{
    (void)state;
    assert_true(berth_stats_quantile(ranks(1), 1, 0.5) == 1);
    assert_true(berth_stats_quantile(ranks(2), 2, 0.5) == 1); /* half of them are at or below the first */
    assert_true(berth_stats_quantile(ranks(3), 3, 0.5) == 2);
    assert_true(berth_stats_quantile(ranks(10), 10, 0.9) == 9);
    assert_true(berth_stats_quantile(ranks(11), 11, 0.9) == 10);
    assert_true(berth_stats_quantile(ranks(20), 20, 0.95) == 19);
    assert_true(berth_stats_quantile(ranks(100), 100, 0.99) == 99);
    assert_true(berth_stats_quantile(ranks(1000), 1000, 0.9) == 900);
    assert_true(berth_stats_quantile(ranks(1000), 1000, 0.95) == 950);
    assert_true(berth_stats_quantile(ranks(1000), 1000, 0.99) == 990);
}

static void quantile_of_too_few_is_nan(void **state)
{
    (void)state;
    assert_true(isnan(berth_stats_quantile(ranks(0), 0, 0.5)));
    assert_true(isnan(berth_stats_quantile(ranks(9), 9, 0.9)));
    assert_true(isnan(berth_stats_quantile(ranks(19), 19, 0.95)));
    assert_true(isnan(berth_stats_quantile(ranks(99), 99, 0.99)));
}

/* Ranks from exact rational sums. */
static void interval_of_known_sizes_has_the_exact_ranks(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double q;
        double low, high;
    } known[] = {
        {6, 0.5, 1, 6},         {10, 0.5, 2, 9},       {15, 0.5, 4, 12},      {20, 0.5, 6, 15},
        {100, 0.5, 40, 61},     {1000, 0.5, 469, 532}, {36, 0.9, 29, 36},     {50, 0.9, 41, 50},
        {100, 0.9, 84, 96},     {1000, 0.9, 881, 919}, {368, 0.99, 360, 368}, {500, 0.99, 490, 500},
        {1000, 0.99, 983, 997},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        double interval[2];
        berth_stats_interval(ranks(known[i].n), known[i].n, known[i].q, interval);
        assert_true(interval[0] == known[i].low);
        assert_true(interval[1] == known[i].high);
    }
}

static void interval_of_too_few_is_nan(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        double q;
    } small[] = {{0, 0.5}, {1, 0.5}, {5, 0.5}, {35, 0.9}, {367, 0.99}};
    for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
        double interval[2] = {0, 0};
        berth_stats_interval(ranks(small[i].n), small[i].n, small[i].q, interval);
        assert_true(isnan(interval[0]) && isnan(interval[1]));
    }
}

static void compute_sorts_and_gives_the_moments(void **state)
{
    (void)state;
    double values[] = {9, 4, 5, 4, 2, 4, 7, 5}; /* mean 5, squares of differences sum to 32 */
    struct berth_stats stats;
    berth_stats_compute(values, 8, &stats);
    assert_int_equal(stats.n, 8);
    assert_true(stats.mean == 5 && stats.min == 2 && stats.p50 == 4);
    assert_true(fabs(stats.stddev - sqrt(32.0 / 7)) < 1e-15);
    assert_true(isnan(stats.p90) && isnan(stats.p99));
    assert_true(stats.p50_interval[0] == 2 && stats.p50_interval[1] == 9);
}

static void compute_of_one_or_none_has_no_deviation(void **state)
{
    (void)state;
    struct berth_stats stats;
    double one = 3;
    berth_stats_compute(&one, 1, &stats);
    assert_true(stats.mean == 3 && stats.p50 == 3 && isnan(stats.stddev));
    berth_stats_compute(NULL, 0, &stats);
    assert_true(isnan(stats.mean) && isnan(stats.min) && isnan(stats.p50) && isnan(stats.stddev));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantile_of_known_series_is_the_nearest_rank),
        cmocka_unit_test(quantile_of_too_few_is_nan),
        cmocka_unit_test(interval_of_known_sizes_has_the_exact_ranks),
        cmocka_unit_test(interval_of_too_few_is_nan),
        cmocka_unit_test(compute_sorts_and_gives_the_moments),
        cmocka_unit_test(compute_of_one_or_none_has_no_deviation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
