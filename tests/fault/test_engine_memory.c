/* test_engine_memory.c: running allocates nothing, and every allocation on the way there may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/engine_support.h"
#include "support/fault.h"

static void run_any_batch_allocates_nothing(void **state)
{
    (void)state;
    static const size_t lengths[3] = {100, 1, 40};
    struct support_runner runner;
    struct support_batch batch;
    struct berth_encoder *encoder;
    struct berth_error err;
    float logits[6];
    struct berth_outputs outputs = {.logits = logits};
    assert_int_equal(berth_encoder_random("bert-tiny", &encoder, &err), BERTH_OK);
    fault_arm(0);
    support_runner_open(&runner, encoder, support_best_isa(), 2, 256);
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

/* From folder to answer. */
static enum berth_status answer(void *directory, struct berth_error *err)
{
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
        status = berth_encoder_open(directory, &encoder, err);
    if (status == BERTH_OK)
        status = berth_plan_new(encoder, berth_kernels_select(BERTH_ISA_SCALAR), NULL, team, &plan, err);
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
    fault_each(answer, model.directory, 10, 0);
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
        cmocka_unit_test(run_any_batch_allocates_nothing),
        cmocka_unit_test(open_each_allocation_failing_is_an_error_without_leak),
        cmocka_unit_test(random_each_allocation_failing_is_an_error_without_leak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
