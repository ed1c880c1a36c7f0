/* test_paired.c: intervals and tests against values computed elsewhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "quant/paired.h"

static void wilson_gives_the_published_interval(void **state)
{
    (void)state;
    /* The second row is the example of Newcombe (1998): 81 of 263, 0.2553 to 0.3662. */
    static const struct {
        size_t right, n;
        double low, high;
    } cases[] = {{705, 872, 0.781038, 0.833228}, {81, 263, 0.2553, 0.3662}, {0, 20, 0, 0.1611}, {20, 20, 0.8389, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double interval[2];
        berth_wilson(cases[i].right, cases[i].n, interval);
        assert_true(fabs(interval[0] - cases[i].low) < 1e-4 && fabs(interval[1] - cases[i].high) < 1e-4);
    }
    double interval[2];
    berth_wilson(0, 0, interval);
    assert_true(isnan(interval[0]) && isnan(interval[1]));
}

static void mcnemar_gives_exact_and_mid_p(void **state)
{
    (void)state;
    /* Sums of binomial probabilities, by hand: 2^-8; C(14, 0..4); the case of Fagerland et al. (2013), 1 against 7. */
    static const struct {
        size_t b, c;
        double exact, mid;
    } cases[] = {{9, 0, 0.00390625, 0.001953125},
                 {10, 4, 0.1795654296875, 0.118469238281250},
                 {1, 7, 0.0703125, 0.0390625},
                 {3, 3, 1, 0.84375},
                 {0, 0, 1, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double exact, mid, turned, turned_mid;
        berth_mcnemar(cases[i].b, cases[i].c, &exact, &mid);
        berth_mcnemar(cases[i].c, cases[i].b, &turned, &turned_mid);
        assert_true(fabs(exact - cases[i].exact) < 1e-12 && fabs(mid - cases[i].mid) < 1e-12);
        assert_true(exact == turned && mid == turned_mid);
    }
    double exact, mid;
    berth_mcnemar(5000, 5300, &exact, &mid); /* large counts stay finite: about the normal's 2 Phi(-2.956) */
    assert_true(mid > 0.0025 && mid < 0.0040 && exact > mid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wilson_gives_the_published_interval),
        cmocka_unit_test(mcnemar_gives_exact_and_mid_p),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
