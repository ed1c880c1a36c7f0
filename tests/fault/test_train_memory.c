/* test_train_memory.c: each allocation of a short fine-tuning fails in turn: always one sentence, nothing
 * kept, and the same weights once none fails. A step allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/golden.h"

static char directory[] =
    "/dev/shm/berth-train-XXXXXX"; /* where a sync costs nothing: thousands of runs write files */
static char data[64], output[64];

static void write_data(void)
{
    assert_non_null(mkdtemp(directory));
    snprintf(data, sizeof data, "%s/data.csv", directory);
    snprintf(output, sizeof output, "%s/out", directory);
    FILE *file = fopen(data, "w");
    fputs("text,label\ngood,praise\nbad,blame\nfine,praise\nawful,blame\n", file);
    fclose(file);
}

static struct berth_finetune_options options_of(const char *model)
{
    struct berth_finetune_options options;
    berth_finetune_defaults(model, &options);
    options.task = "csv";
    options.train = options.dev = data;
    options.output = output;
    options.batch_size = 2;
    options.max_steps = 2;
    options.logging_steps = options.save_steps = options.eval_steps = 1;
    options.class_weights = "balanced";
    options.options.threads = 2;
    return options;
}

static enum berth_status finetune(void *context, struct berth_error *err)
{
    const struct berth_finetune_options options = options_of(context);
    struct berth_finetune_report report;
    return berth_finetune(&options, &report, err);
}

static void finetune_survives_each_failing_allocation(void **state)
{
    (void)state;
    char model[512];
    snprintf(model, sizeof model, "%s", golden_path("golden/models/bert-base-unprefixed"));
    write_data();
    fault_watch_json();
    /* spare: names of folders to sync after each written file, a state to remove that may stay, and what the
     * parser itself can do without */
    fault_each(finetune, model, 1000, 50);
}

/* One classifier teaches another. */
static enum berth_status distill(void *context, struct berth_error *err)
{
    char teacher[512];
    struct berth_finetune_options options = options_of(context);
    const char *const teachers[] = {teacher};
    struct berth_finetune_report report;
    snprintf(teacher, sizeof teacher, "%s", golden_path("golden/models/bert-gelu-2"));
    options.dev = NULL;
    options.max_steps = 1;
    options.save_steps = 0;
    options.teachers = teachers;
    options.teacher_count = 1;
    options.distill_hidden = options.word_dropout = 0.1;
    return berth_finetune(&options, &report, err);
}

static void distillation_survives_each_failing_allocation(void **state)
{
    (void)state;
    char model[512];
    snprintf(model, sizeof model, "%s", golden_path("golden/models/bert-base-unprefixed"));
    fault_each(distill, model, 1000, 19);
}

/* Allocations of a run of that many steps. */
static long count(const char *model, size_t steps)
{
    struct berth_finetune_options options = options_of(model);
    struct berth_finetune_report report;
    struct berth_error err;
    options.dev = NULL;
    options.max_steps = steps;
    options.save_steps = 0;
    options.logging_steps = 1000;
    fault_arm(0);
    if (berth_finetune(&options, &report, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return fault_calls();
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    const char *model = golden_path("golden/models/bert-base-unprefixed");
    long few = count(model, 2), more = count(model, 20);
    assert_true(few > 0);
    assert_int_equal(few, more);
}

static int remove_data(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finetune_survives_each_failing_allocation),
        cmocka_unit_test(distillation_survives_each_failing_allocation),
        cmocka_unit_test(steps_allocate_nothing),
    };
    golden_path("golden/models/bert-base-unprefixed");
    return cmocka_run_group_tests(tests, NULL, remove_data);
}
