/* test_target.c: what `make bench` says of its figures: spreads, ratios, verdicts, turns; limits; that every
 * maker of products makes every kind it claims. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "product.h"
#include "target.h"

static void spread_of_shuffled_values_is_their_order_statistics(void **state)
{
    (void)state;
    const double values[] = {7, 1, 10, 3, 5, 9, 2, 8, 6, 4, 11};
    const struct target_spread spread = target_spread(values, 11);
    assert_float_equal(spread.median, 6, 0);
    assert_float_equal(spread.low, 2, 0);
    assert_float_equal(spread.high, 10, 0);
    assert_float_equal(values[0], 7, 0); /* the order of rounds is kept */
    const struct target_spread one = target_spread(values, 1);
    assert_float_equal(one.low, 7, 0);
    assert_float_equal(one.high, 7, 0);
}

static void ratio_of_a_disturbed_machine_is_that_of_its_rounds(void **state)
{
    (void)state;
    /* Twice as fast in each round but one, when the machine slowed the peer alone; the medians' ratio is 6.
     */
    const struct target_contestant ours = {.ms = {1, 1, 3}, .rounds = 3},
                                   peer = {.ms = {2, 6, 6}, .rounds = 3};
    const struct target_spread ratio = target_ratio(&ours, &peer);
    assert_float_equal(ratio.median, 2, 1e-12);
    assert_float_equal(ratio.low, 2, 1e-12);
    assert_float_equal(ratio.high, 6, 1e-12);
}

static void word_near_the_target_is_a_tie(void **state)
{
    (void)state;
    assert_string_equal(target_word(2, TARGET_AT_LEAST, 2), "met");
    assert_string_equal(target_word(1.9, TARGET_AT_LEAST, 2), "a tie");
    assert_string_equal(target_word(1.7, TARGET_AT_LEAST, 2), "MISSED");
    assert_string_equal(target_word(100, TARGET_AT_MOST, 250), "met");
    assert_string_equal(target_word(260, TARGET_AT_MOST, 250), "a tie");
    assert_string_equal(target_word(300, TARGET_AT_MOST, 250), "MISSED");
}

static void wanted_with_a_list_is_its_whole_words(void **state)
{
    (void)state;
    struct target_run run = {.only = "T10,T6"};
    assert_true(target_wanted(&run, "T10"));
    assert_true(target_wanted(&run, "T6"));
    assert_false(target_wanted(&run, "T1"));
    run.only = NULL;
    assert_true(target_wanted(&run, "T1"));
}

/* Counts its calls, and fails at one of them. */
struct counter {
    size_t calls, fails_at;
};

static bool run_counter(void *context)
{
    struct counter *counter = context;
    return ++counter->calls != counter->fails_at;
}

static void measure_of_short_calls_repeats_them_in_equal_rounds(void **state)
{
    (void)state;
    struct target_run run = {0};
    struct counter counters[2] = {{0}};
    static struct target_contestant contestants[2];
    berth_rng_seed(&run.rng, 1);
    for (size_t i = 0; i < 2; i++)
        contestants[i] = (struct target_contestant){.run = run_counter, .context = &counters[i]};
    assert_true(target_measure(&run, contestants, 2, 0, 4));
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(contestants[i].rounds, 4);
        assert_true(contestants[i].calls > 10);
        assert_int_equal(counters[i].calls, 2 + 4 * contestants[i].calls); /* twice to warm up */
        assert_true(contestants[i].time.low >= 0 && contestants[i].time.low <= contestants[i].time.median &&
                    contestants[i].time.median <= contestants[i].time.high);
    }
}

static void measure_of_a_run_that_fails_says_so(void **state)
{
    (void)state;
    struct target_run run = {0};
    static struct target_contestant contestant;
    berth_rng_seed(&run.rng, 1);
    for (size_t at = 1; at < 4; at++) {
        struct counter counter = {0, at};
        contestant = (struct target_contestant){.run = run_counter, .context = &counter};
        assert_false(target_measure(&run, &contestant, 1, 0, 3));
    }
}

static void limits_of_every_level_are_of_units_it_has(void **state)
{
    (void)state;
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    assert_float_equal(limit_unit_rate(NULL), 0, 0);
    for (enum berth_isa isa = 0; isa <= cpu.best; isa++)
        for (enum limit_format format = 0; format < LIMIT_FORMATS; format++) {
            const struct limit_unit *unit = limit_unit_find(format, isa);
            if (!unit)
                continue;
            assert_true(unit->least <= isa);
            assert_true(unit->format == format || (format == LIMIT_BF16 && unit->format == LIMIT_FP32));
            assert_true(limit_unit_rate(unit) > 0);
        }
    assert_true(limit_read_rate(cpu.best, 1 << 16) > 0);
    assert_float_equal(limit_read_rate(cpu.best, 0), 0, 0);
}

static void work_of_a_model_grows_with_texts_and_shrinks_with_precision(void **state)
{
    (void)state;
    char why[TARGET_WHY_SIZE];
    struct berth_model *fp32 = target_model_open("bert-tiny", BERTH_PRECISION_FP32, NULL, why);
    struct berth_model *int8 = target_model_open("bert-tiny", BERTH_PRECISION_INT8, NULL, why);
    assert_non_null(fp32);
    assert_non_null(int8);
    const struct target_work one = target_model_work(fp32, 1, 16), three = target_model_work(fp32, 3, 16);
    const struct target_work small = target_model_work(int8, 1, 16);
    assert_true(one.operations > 2.0 * 16 * 128 * 128); /* at least one product of that size */
    assert_float_equal(three.operations, 3 * one.operations, 1e-6 * three.operations);
    assert_float_equal(three.weight_bytes, one.weight_bytes, 0);
    assert_true(small.weight_bytes < one.weight_bytes / 3);
    berth_model_free(fp32);
    berth_model_free(int8);
}

static void model_that_does_not_exist_is_missing_with_a_reason(void **state)
{
    (void)state;
    char why[TARGET_WHY_SIZE] = "";
    struct target_run run = {0};
    assert_null(target_model_open("bert-gigantic", BERTH_PRECISION_FP32, NULL, why));
    assert_non_null(strstr(why, "bert-gigantic"));
    assert_null(target_peer_open(&run, "bert-tiny", LIMIT_INT8, 1, why));
    assert_non_null(strstr(why, "ONNX Runtime"));
}

/* Cold and warm, sizes that are no multiples of anything. */
static void products_of_every_maker_run_or_say_why_not(void **state)
{
    (void)state;
    static const struct product_maker *const makers[] = {&product_berth, &product_openblas, &product_onednn};
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    for (size_t i = 0; i < 3; i++)
        for (enum limit_format format = 0; format < LIMIT_FORMATS; format++) {
            char why[PRODUCT_WHY_SIZE] = "";
            const struct product_shape shape = {
                .m = 17, .n = 33, .k = 70, .copies = 1 + i % 2 * 2, .format = format};
            struct product *product = makers[i]->open(&shape, cpu.best, why);
            if (!product) {
                assert_int_not_equal(i, 0); /* berth makes them all */
                assert_true(strlen(why) > 0);
                print_message("%s %s: %s\n", makers[i]->name, limit_format_name(format), why);
                continue;
            }
            for (size_t call = 0; call < 4; call++)
                assert_true(product_run(product));
            product_close(product);
        }
    product_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spread_of_shuffled_values_is_their_order_statistics),
        cmocka_unit_test(ratio_of_a_disturbed_machine_is_that_of_its_rounds),
        cmocka_unit_test(word_near_the_target_is_a_tie),
        cmocka_unit_test(wanted_with_a_list_is_its_whole_words),
        cmocka_unit_test(measure_of_short_calls_repeats_them_in_equal_rounds),
        cmocka_unit_test(measure_of_a_run_that_fails_says_so),
        cmocka_unit_test(limits_of_every_level_are_of_units_it_has),
        cmocka_unit_test(work_of_a_model_grows_with_texts_and_shrinks_with_precision),
        cmocka_unit_test(model_that_does_not_exist_is_missing_with_a_reason),
        cmocka_unit_test(products_of_every_maker_run_or_say_why_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
