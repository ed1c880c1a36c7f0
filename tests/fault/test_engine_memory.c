/* test_engine_memory.c: running allocates nothing, and every allocation on the way there may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "support/engine_support.h"
#include "support/fault.h"

static const enum berth_number numbers[] = {BERTH_NUMBER_F32, BERTH_NUMBER_BF16, BERTH_NUMBER_S8};

static void check_run(enum berth_number number)
{
    static const size_t lengths[3] = {100, 1, 40};
    struct support_runner runner;
    struct support_batch batch;
    struct berth_encoder *encoder;
    struct berth_error err;
    float logits[6];
    struct berth_outputs outputs = {.logits = logits};
    assert_int_equal(berth_encoder_random("bert-tiny", &encoder, &err), BERTH_OK);
    fault_arm(0);
    support_runner_open_as(&runner, encoder, number, support_best_isa(), 2, 256);
    assert_true(fault_calls() > 5); /* the counter counts */
    support_batch_random(&batch, lengths, 3, 30522, 1);
    fault_arm(0);
    for (size_t texts = 1; texts <= 3; texts++) {
        batch.batch.texts = texts;
        assert_int_equal(berth_engine_run(runner.engine, &batch.batch, &outputs, &err), BERTH_OK);
    }
    assert_int_equal(fault_calls(), 0);
    support_batch_clear(&batch);
    support_runner_close(&runner);
}

static void run_any_batch_at_any_precision_allocates_nothing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        check_run(numbers[i]);
}

/* Pages of this process in memory. */
static size_t resident_pages(void)
{
    size_t size, resident;
    FILE *file = fopen("/proc/self/statm", "r");
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%zu %zu", &size, &resident), 2);
    fclose(file);
    return resident;
}

/* A short version of an hour of changing lengths: what is resident after some batches is what stays. */
static void run_changing_lengths_keeps_memory_flat(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct support_runner runner;
        struct support_batch batch;
        struct berth_encoder *encoder;
        struct berth_error err;
        float logits[2];
        struct berth_outputs outputs = {.logits = logits};
        size_t early = 0, length = 256;
        assert_int_equal(berth_encoder_random("bert-tiny", &encoder, &err), BERTH_OK);
        support_runner_open_as(&runner, encoder, numbers[i], support_best_isa(), 2, 256);
        support_batch_random(&batch, &length, 1, 30522, 1);
        for (size_t run = 0; run < 300; run++) {
            size_t offsets[2] = {0, 1 + (run * 97 + 255) % 256};
            batch.batch.offsets = offsets;
            assert_int_equal(berth_engine_run(runner.engine, &batch.batch, &outputs, &err), BERTH_OK);
            if (run == 20)
                early = resident_pages();
        }
#if defined(__SANITIZE_ADDRESS__)
        const size_t spare = 4096; /* shadow memory is touched as it comes */
#else
        const size_t spare = 64; /* 256 KiB, for what the C library and the stacks do */
#endif
        assert_true(resident_pages() <= early + spare);
        support_batch_clear(&batch);
        support_runner_close(&runner);
    }
}

struct question {
    const char *directory;
    struct berth_plan_options options;
};

/* From folder to answer. */
static enum berth_status answer(void *context, struct berth_error *err)
{
    const struct question *question = context;
    struct berth_encoder *encoder;
    struct berth_plan *plan = NULL;
    struct berth_engine *engine = NULL;
    struct berth_team *team = NULL;
    int32_t ids[3] = {1, 2, 3};
    size_t offsets[2] = {0, 3};
    float logits[2];
    struct berth_batch batch = {.texts = 1, .offsets = offsets, .ids = ids};
    struct berth_outputs outputs = {.logits = logits};
    enum berth_status status = berth_team_new(2, &team, err);
    if (status == BERTH_OK)
        status = berth_encoder_open(question->directory, &encoder, err);
    if (status == BERTH_OK)
        status = berth_plan_new(encoder, berth_kernels_select(BERTH_ISA_SCALAR), &question->options, team, &plan, err);
    if (status == BERTH_OK)
        status = berth_engine_new(plan, 2, 8, 0, &engine, err);
    if (status == BERTH_OK)
        status = berth_engine_run(engine, &batch, &outputs, err);
    berth_engine_free(engine);
    berth_plan_free(plan);
    berth_team_free(team);
    return status;
}

static enum berth_status draw_random(void *preset, struct berth_error *err)
{
    struct berth_encoder *encoder;
    enum berth_status status = berth_encoder_random(preset, &encoder, err);
    if (status != BERTH_OK && encoder)
        return BERTH_INTERNAL;
    berth_encoder_free(encoder);
    return status;
}

static void open_each_allocation_failing_is_an_error_without_leak(void **state)
{
    (void)state;
    struct support_model model;
    support_model_init(&model);
    support_model_write(&model);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct question question = {model.directory, {.number = numbers[i]}};
        fault_each(answer, &question, 10, 0);
    }
    support_model_clear(&model);
}

static void random_each_allocation_failing_is_an_error_without_leak(void **state)
{
    (void)state;
    char preset[] = "bert-tiny";
    fault_each(draw_random, preset, 4, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_any_batch_at_any_precision_allocates_nothing),
        cmocka_unit_test(run_changing_lengths_keeps_memory_flat),
        cmocka_unit_test(open_each_allocation_failing_is_an_error_without_leak),
        cmocka_unit_test(random_each_allocation_failing_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
