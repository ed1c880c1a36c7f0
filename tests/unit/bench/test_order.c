/* test_order.c: every round is a permutation; the seed decides it; every cell comes at every place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "bench/order.h"

enum { CELLS = 7 };

static void shuffle_any_count_is_a_permutation(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    for (size_t cells = 0; cells <= 100; cells++) {
        size_t order[100], times[100] = {0};
        berth_order_shuffle(order, cells, &rng);
        for (size_t i = 0; i < cells; i++) {
            assert_true(order[i] < cells);
            times[order[i]]++;
        }
        for (size_t i = 0; i < cells; i++)
            assert_int_equal(times[i], 1);
    }
}

static void shuffle_same_seed_gives_the_same_order(void **state)
{
    (void)state;
    struct berth_rng a, b, c;
    berth_rng_seed(&a, 7);
    berth_rng_seed(&b, 7);
    berth_rng_seed(&c, 8);
    size_t first[50], second[50], other[50];
    berth_order_shuffle(first, 50, &a);
    berth_order_shuffle(second, 50, &b);
    berth_order_shuffle(other, 50, &c);
    assert_memory_equal(first, second, sizeof first);
    assert_true(memcmp(first, other, sizeof first) != 0);
    berth_order_shuffle(second, 50, &b);
    assert_true(memcmp(first, second, sizeof first) != 0); /* the next round differs */
}

/* Each of the 49 counts is binomial(7000, 1/7): mean 1000, deviation 29.3; six deviations are 176. */
static void shuffle_many_rounds_puts_each_cell_at_each_place_equally(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 3);
    size_t times[CELLS][CELLS] = {0};
    for (int round = 0; round < 1000 * CELLS; round++) {
        size_t order[CELLS];
        berth_order_shuffle(order, CELLS, &rng);
        for (size_t i = 0; i < CELLS; i++)
            times[i][order[i]]++;
    }
    for (size_t i = 0; i < CELLS; i++)
        for (size_t k = 0; k < CELLS; k++)
            assert_in_range(times[i][k], 1000 - 176, 1000 + 176);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffle_any_count_is_a_permutation),
        cmocka_unit_test(shuffle_same_seed_gives_the_same_order),
        cmocka_unit_test(shuffle_many_rounds_puts_each_cell_at_each_place_equally),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
