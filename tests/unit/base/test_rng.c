/* test_rng.c: published sequences; ranges; moments within five standard errors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "base/rng.h"

static void seed_follows_splitmix64(void **state)
{
    (void)state;
    static const uint64_t want[4] = {6457827717110365317u, 3203168211198807973u, 9817491932198370423u,
                                     4593380528125082431u};
    struct berth_rng rng;
    berth_rng_seed(&rng, 1234567);
    for (int i = 0; i < 4; i++)
        assert_true(rng.s[i] == want[i]);
}

static void next_follows_xoshiro256starstar(void **state)
{
    (void)state;
    static const uint64_t want[10] = {11520u,
                                      0u,
                                      1509978240u,
                                      1215971899390074240u,
                                      1216172134540287360u,
                                      607988272756665600u,
                                      16172922978634559625u,
                                      8476171486693032832u,
                                      10595114339597558777u,
                                      2904607092377533576u};
    struct berth_rng rng = {{1, 2, 3, 4}};
    for (int i = 0; i < 10; i++)
        assert_true(berth_rng_next(&rng) == want[i]);
}

static void below_stays_below_and_reaches_all(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    int seen[7] = {0};
    enum { DRAWS = 70000 };
    for (int i = 0; i < DRAWS; i++) {
        uint64_t n = berth_rng_below(&rng, 7);
        assert_true(n < 7);
        seen[n]++;
    }
    double expected = DRAWS / 7.0, deviation = sqrt(expected * 6 / 7);
    for (int i = 0; i < 7; i++)
        assert_true(fabs(seen[i] - expected) < 5 * deviation);
    for (int i = 0; i < 100; i++) {
        assert_true(berth_rng_below(&rng, 1) == 0);
        assert_true(berth_rng_below(&rng, UINT64_MAX) < UINT64_MAX);
    }
}

/* Mean and variance of n draws against the law's, within five standard errors of each. */
static void check_moments(double (*draw)(struct berth_rng *), double mean, double variance,
                          double fourth_moment)
{
    enum { DRAWS = 200000 };
    struct berth_rng rng;
    berth_rng_seed(&rng, 3);
    double sum = 0, squares = 0;
    for (int i = 0; i < DRAWS; i++) {
        double x = draw(&rng) - mean;
        sum += x;
        squares += x * x;
    }
    assert_true(fabs(sum / DRAWS) < 5 * sqrt(variance / DRAWS));
    assert_true(fabs(squares / DRAWS - variance) < 5 * sqrt((fourth_moment - variance * variance) / DRAWS));
}

static void uniform_and_normal_have_their_moments(void **state)
{
    (void)state;
    check_moments(berth_rng_uniform, 0.5, 1 / 12.0, 1 / 80.0);
    check_moments(berth_rng_normal, 0, 1, 3);
    struct berth_rng rng;
    berth_rng_seed(&rng, 5);
    for (int i = 0; i < 100000; i++) {
        double u = berth_rng_uniform(&rng);
        assert_true(u >= 0 && u < 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seed_follows_splitmix64),
        cmocka_unit_test(next_follows_xoshiro256starstar),
        cmocka_unit_test(below_stays_below_and_reaches_all),
        cmocka_unit_test(uniform_and_normal_have_their_moments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
