/* test_ranges.c: percentiles and entropy cut what they should, and leave alone what they should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>

#include "pipeline/ranges.h"

enum { NUMBERS = 200000 };
static float numbers[NUMBERS];

/* In [0, 1): the upper bits of a linear congruence (Knuth's MMIX). */
static float uniform(void)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(state >> 40) / 16777216;
}

static struct berth_histogram *histogram_of(void)
{
    struct berth_histogram *histogram = calloc(1, sizeof *histogram);
    assert_non_null(histogram);
    for (size_t i = 0; i < NUMBERS; i++) {
        histogram->range.low = fminf(histogram->range.low, numbers[i]);
        histogram->range.high = fmaxf(histogram->range.high, numbers[i]);
    }
    berth_histogram_add(histogram, numbers, NUMBERS);
    return histogram;
}

static void percentile_cuts_both_tails(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++)
        numbers[i] = -1 + 4 * (float)i / NUMBERS; /* even over [-1, 3) */
    struct berth_histogram *histogram = histogram_of();
    struct berth_onnx_range all = berth_range_percentile(histogram, 100), most = berth_range_percentile(histogram, 99),
                            half;
    assert_true(all.low == histogram->range.low && all.high == histogram->range.high);
    assert_true(fabsf(most.low + 0.98f) < 0.003f && fabsf(most.high - 2.98f) < 0.003f);
    free(histogram);
    for (size_t i = 0; i < NUMBERS; i++)
        numbers[i] = -0.1f + 4 * (float)i / NUMBERS;
    histogram = histogram_of();
    half = berth_range_percentile(histogram, 51);
    assert_true(half.low == 0 && fabsf(half.high - 2.92f) < 0.01f); /* 0 stays within */
    free(histogram);
}

/* A bell with one number far out: both methods give the far one up, and keep the bell. */
static void outliers_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++) {
        float sum = 0; /* twelve dice of [0, 1): deviation 1 */
        for (size_t j = 0; j < 12; j++)
            sum += uniform();
        numbers[i] = sum - 6;
    }
    numbers[77] = 100;
    struct berth_histogram *histogram = histogram_of();
    struct berth_onnx_range percentile = berth_range_percentile(histogram, 99.99), entropy = berth_range_entropy(histogram);
    assert_true(percentile.high < 7 && percentile.low < -1.5f);
    assert_true(entropy.high < 20 && entropy.high > 1.5f && entropy.low < -1.5f);
    free(histogram);
}

/* Numbers that fill their range evenly lose by any cut. */
static void even_numbers_stay_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++)
        numbers[i] = -2 + 4 * (float)(i * 2654435761u % 1000003) / 1000003;
    struct berth_histogram *histogram = histogram_of();
    struct berth_onnx_range entropy = berth_range_entropy(histogram);
    assert_true(entropy.low < -1.9f && entropy.high > 1.9f);
    free(histogram);
}

static void constants_do_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < NUMBERS; i++)
        numbers[i] = 0;
    struct berth_histogram *histogram = histogram_of();
    struct berth_onnx_range entropy = berth_range_entropy(histogram), percentile = berth_range_percentile(histogram, 99);
    assert_true(entropy.low == 0 && entropy.high == 0 && percentile.low == 0 && percentile.high == 0);
    free(histogram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentile_cuts_both_tails),
        cmocka_unit_test(outliers_are_cut),
        cmocka_unit_test(even_numbers_stay_whole),
        cmocka_unit_test(constants_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
