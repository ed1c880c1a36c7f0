/* test_grid.c: the grid through the public API: what is measured, what is refused, how it stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"

static const char *const tiny[] = {"random:bert-tiny"};

static struct berth_bench_report measure(const struct berth_bench_options *options)
{
    struct berth_bench_report report;
    struct berth_error err = {0};
    enum berth_status status = berth_bench(options, &report, &err);
    if (status != BERTH_OK)
        fail_msg("%s", err.message);
    return report;
}

static void bench_of_lists_has_a_cell_for_each_combination(void **state)
{
    (void)state;
    static const size_t batches[] = {1, 3}, lengths[] = {1, 2, 20}, threads[] = {1, 2};
    struct berth_bench_options options = {.models = tiny,
                                          .model_count = 1,
                                          .batches = batches,
                                          .batch_count = 2,
                                          .lengths = lengths,
                                          .length_count = 3,
                                          .threads = threads,
                                          .thread_count = 2,
                                          .trials = 12};
    struct berth_bench_report report = measure(&options);
    assert_int_equal(report.cells, 12);
    size_t c = 0;
    for (size_t t = 0; t < 2; t++)
        for (size_t b = 0; b < 2; b++)
            for (size_t l = 0; l < 3; l++, c++) {
                const struct berth_bench_cell *cell = &report.cell[c];
                assert_string_equal(cell->status, "ok");
                assert_string_equal(cell->model, tiny[0]);
                assert_int_equal(cell->threads, threads[t]);
                assert_int_equal(cell->batch, batches[b]);
                assert_int_equal(cell->length, lengths[l]);
                assert_int_equal(cell->n, 12);
                assert_true(cell->min_ms > 0 && cell->min_ms <= cell->p50_ms && cell->p50_ms <= cell->p90_ms);
                assert_true(cell->p50_ci_ms[0] <= cell->p50_ms && cell->p50_ms <= cell->p50_ci_ms[1]);
                assert_true(isnan(cell->p95_ms) && isnan(cell->p99_ms) && isnan(cell->p90_ci_ms[0]));
                assert_true(fabs(cell->tokens_per_second * cell->p50_ms / 1e3 -
                                 (double)(cell->batch * cell->length)) < 1e-6);
            }
    berth_bench_report_clear(&report);
    berth_bench_report_clear(&report);
}

static void bench_of_a_cell_that_cannot_be_says_why_and_measures_the_rest(void **state)
{
    (void)state;
    static const size_t lengths[] = {513, 16};
    static const enum berth_precision precisions[] = {BERTH_PRECISION_FP32, BERTH_PRECISION_INT8};
    struct berth_bench_options options = {.models = tiny,
                                          .model_count = 1,
                                          .lengths = lengths,
                                          .length_count = 2,
                                          .precisions = precisions,
                                          .precision_count = 2,
                                          .trials = 1};
    struct berth_bench_report report = measure(&options);
    assert_int_equal(report.cells, 4);
    assert_non_null(strstr(report.cell[0].status, "512"));
    assert_int_equal(report.cell[0].n, 0);
    assert_true(isnan(report.cell[0].p50_ms) && isnan(report.cell[0].texts_per_second));
    assert_string_equal(report.cell[1].status, "ok");
    assert_string_equal(report.cell[3].precision, "int8");
    assert_string_equal(report.cell[3].status, "ok");

    char *text = berth_bench_json(&report);
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    const json_t *cell = json_array_get(json_object_get(json, "results"), 0);
    assert_true(json_is_null(json_object_get(cell, "p50_ms")) &&
                json_is_null(json_object_get(cell, "p50_ci_ms")));
    assert_true(json_is_string(json_object_get(json_object_get(json, "environment"), "cpu")));
    json_decref(json);
    berth_memory_free(text);
    berth_bench_report_clear(&report);
}

static bool stop_at_third(void *context, size_t done, size_t total)
{
    if (total == 0) /* the preparation */
        return true;
    assert_int_equal(total, 10);
    assert_true(done < total);
    return ++*(int *)context < 3;
}

static void bench_stopped_by_its_progress_is_cancelled(void **state)
{
    (void)state;
    int calls = 0;
    struct berth_bench_options options = {.models = tiny,
                                          .model_count = 1,
                                          .trials = 10,
                                          .progress = stop_at_third,
                                          .progress_context = &calls};
    struct berth_bench_report report;
    assert_int_equal(berth_bench(&options, &report, NULL), BERTH_CANCELLED);
    assert_int_equal(calls, 3);
    assert_null(report.cell);
}

static bool stop_at_once(void *context, size_t done, size_t total)
{
    ++*(int *)context;
    assert_int_equal(done + total, 0);
    return false;
}

static void bench_stopped_while_it_prepares_is_cancelled(void **state)
{
    (void)state;
    int calls = 0;
    char *plan;
    struct berth_bench_options options = {
        .models = tiny, .model_count = 1, .progress = stop_at_once, .progress_context = &calls};
    struct berth_bench_report report;
    assert_int_equal(berth_bench(&options, &report, NULL), BERTH_CANCELLED);
    assert_int_equal(berth_bench_plan(&options, &plan, NULL), BERTH_CANCELLED);
    assert_null(plan);
    assert_int_equal(calls, 2);
}

/* What is estimated is in the order of what is tried: the same cells as a bench has, in a line each. */
static void plan_has_a_line_and_a_time_for_each_combination(void **state)
{
    (void)state;
    static const size_t lengths[] = {8, 16, 64, 600}, batches[] = {1, 3};
    struct berth_bench_options options = {.models = tiny,
                                          .model_count = 1,
                                          .lengths = lengths,
                                          .length_count = 4,
                                          .batches = batches,
                                          .batch_count = 2,
                                          .trials = 7};
    char *plan;
    size_t lines = 0, timed = 0;
    assert_int_equal(berth_bench_plan(&options, &plan, NULL), BERTH_OK);
    for (const char *at = plan; (at = strchr(at, '\n')); at++)
        lines++, timed += at > plan + 1 && strncmp(at - 2, " s", 2) == 0;
    assert_int_equal(lines, 1 + 8 + 1);
    assert_int_equal(timed, 6); /* the two of 600 tokens say why not */
    assert_non_null(strstr(plan, "8 combinations, 2 of which cannot be measured (see above), 42 trials, about "));
    berth_memory_free(plan);
}

static void check_refused(struct berth_bench_options options, enum berth_status status, const char *words)
{
    struct berth_bench_report report;
    struct berth_error err = {0};
    assert_int_equal(berth_bench(&options, &report, &err), status);
    assert_non_null(strstr(err.message, words));
    assert_null(report.cell);
}

static void bench_of_wrong_options_is_refused(void **state)
{
    (void)state;
    static const size_t zero[] = {0}, huge[] = {SIZE_MAX}, large[] = {1 << 20};
    static const char *const absent[] = {"random:bert-tiny", "/nonexistent"};
    struct berth_bench_options good = {.models = tiny, .model_count = 1}, options;
    check_refused((struct berth_bench_options){0}, BERTH_INVALID_ARGUMENT, "no model");
    options = good, options.batches = zero, options.batch_count = 1;
    check_refused(options, BERTH_INVALID_ARGUMENT, "batch 0");
    options = good, options.lengths = huge, options.length_count = 1;
    check_refused(options, BERTH_INVALID_ARGUMENT, "tokens");
    options = good, options.batches = options.lengths = large, options.batch_count = options.length_count = 1;
    check_refused(options, BERTH_INVALID_ARGUMENT, "tokens");
    options = good, options.trials = SIZE_MAX;
    check_refused(options, BERTH_LIMIT, "trials");
    options = good, options.batches = huge, options.batch_count = SIZE_MAX / 2;
    options.lengths = large, options.length_count = 1;
    check_refused(options, BERTH_INVALID_ARGUMENT, "batch");
    options = good, options.models = absent, options.model_count = 2;
    check_refused(options, BERTH_NOT_FOUND, "/nonexistent");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bench_of_lists_has_a_cell_for_each_combination),
        cmocka_unit_test(bench_of_a_cell_that_cannot_be_says_why_and_measures_the_rest),
        cmocka_unit_test(bench_stopped_by_its_progress_is_cancelled),
        cmocka_unit_test(bench_stopped_while_it_prepares_is_cancelled),
        cmocka_unit_test(plan_has_a_line_and_a_time_for_each_combination),
        cmocka_unit_test(bench_of_wrong_options_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
