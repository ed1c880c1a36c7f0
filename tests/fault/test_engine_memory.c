/* test_engine_memory.c: running allocates nothing, and every allocation on the way there may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>

#include "support/engine_support.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static atomic_long calls, fail_at = -1; /* fail_at: the call that returns NULL; -1: none */

static bool may_allocate(void)
{
    return atomic_fetch_add(&calls, 1) != atomic_load(&fail_at);
}

void *__wrap_malloc(size_t size)
{
    return may_allocate() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    return may_allocate() ? __real_calloc(count, size) : NULL;
}

void *__wrap_realloc(void *block, size_t size)
{
    return may_allocate() ? __real_realloc(block, size) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return may_allocate() ? __real_aligned_alloc(alignment, size) : NULL;
}

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
    atomic_store(&calls, 0);
    support_runner_open(&runner, encoder, support_best_isa(), 2, 256);
    assert_true(atomic_load(&calls) > 5); /* the counter counts */
    support_batch_random(&batch, lengths, 3, 30522, 1);
    atomic_store(&calls, 0);
    for (size_t texts = 1; texts <= 3; texts++) {
        batch.batch.texts = texts;
        assert_int_equal(berth_engine_run(runner.engine, &batch.batch, &outputs, &err), BERTH_OK);
    }
    assert_int_equal(atomic_load(&calls), 0);
    support_batch_clear(&batch);
    support_runner_close(&runner);
}

/* From folder to answer; false when an allocation failed on the way. */
static bool answer(const char *directory)
{
    struct berth_encoder *encoder;
    struct berth_plan *plan = NULL;
    struct berth_engine *engine = NULL;
    struct berth_team *team = NULL;
    struct berth_error err = {0};
    int32_t ids[3] = {1, 2, 3};
    size_t offsets[2] = {0, 3};
    float logits[2];
    struct berth_batch batch = {.texts = 1, .offsets = offsets, .ids = ids};
    struct berth_outputs outputs = {.logits = logits};
    enum berth_status status = berth_team_new(2, &team, &err);
    if (status == BERTH_OK)
        status = berth_encoder_open(directory, &encoder, &err);
    if (status == BERTH_OK)
        status = berth_plan_new(encoder, berth_kernels_select(BERTH_ISA_SCALAR), team, &plan, &err);
    if (status == BERTH_OK)
        status = berth_engine_new(plan, 2, 8, 0, &engine, &err);
    if (status == BERTH_OK)
        status = berth_engine_run(engine, &batch, &outputs, &err);
    if (status != BERTH_OK && err.message[0] == 0)
        fail_msg("a failure without a message");
    berth_engine_free(engine);
    berth_plan_free(plan);
    berth_team_free(team);
    return status == BERTH_OK;
}

static void open_each_allocation_failing_is_an_error_without_leak(void **state)
{
    (void)state;
    struct support_model model;
    support_model_init(&model);
    support_model_write(&model);
    atomic_store(&calls, 0);
    assert_true(answer(model.directory));
    long needed = atomic_load(&calls);
    assert_true(needed > 10);
    for (long i = 0; i < needed; i++) {
        atomic_store(&calls, 0);
        atomic_store(&fail_at, i);
        answer(model.directory); /* may succeed: libc does without some of its own */
        atomic_store(&fail_at, -1);
    }
    assert_true(answer(model.directory));
    support_model_clear(&model);
}

static void random_each_allocation_failing_is_an_error_without_leak(void **state)
{
    (void)state;
    for (long i = 0;; i++) {
        struct berth_encoder *encoder;
        struct berth_error err = {0};
        atomic_store(&calls, 0);
        atomic_store(&fail_at, i);
        enum berth_status status = berth_encoder_random("bert-tiny", &encoder, &err);
        atomic_store(&fail_at, -1);
        berth_encoder_free(encoder);
        if (status == BERTH_OK) {
            assert_true(i > 4);
            return;
        }
        assert_int_equal(status, BERTH_NO_MEMORY);
        assert_null(encoder);
    }
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
