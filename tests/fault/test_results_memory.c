/* test_results_memory.c: each allocation of reading, merging, reporting, comparing and recommending fails in turn: one
 * sentence, nothing leaked. (SQLite's own allocations are its own.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/results_support.h"

static char path[128];
static const char *const paths[] = {path, "bundled:study-2021"};

static int make_file(void **state)
{
    (void)state;
    static double ms[40];
    for (int i = 0; i < 40; i++)
        ms[i] = 1 + i % 9;
    strcpy(path, results_file());
    struct berth_results *r = results_open(path, BERTH_RESULTS_APPEND);
    for (int run = 0; run < 2; run++) {
        int64_t id = results_run(r, run ? "b" : "a");
        for (int l = 12; l < 40; l += 10)
            results_append_ms(r, results_configuration(r, (struct berth_results_configuration){
                                                              .run = id, .model = "bert-base", .length = l}), 1, ms, 40);
    }
    berth_results_close(r);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    results_files_remove();
    return 0;
}

static enum berth_status read_book(void *context, struct berth_error *err)
{
    (void)context;
    struct berth_results *r;
    struct berth_results_book book;
    struct berth_results_series series;
    enum berth_status status = berth_results_open(path, BERTH_RESULTS_READ, &r, err);
    if (status != BERTH_OK)
        return status;
    if ((status = berth_results_read(r, 0, &book, err)) == BERTH_OK) {
        status = berth_results_read_series(r, book.configuration[0].id, &series, err);
        berth_results_series_clear(&series);
        berth_results_book_clear(&book);
    }
    berth_results_close(r);
    return status;
}

static enum berth_status compare_runs(void *context, struct berth_error *err)
{
    (void)context;
    const struct berth_compare_options options = {.results = paths, .result_count = 1, .run_a = "a", .run_b = "b"};
    char *text;
    enum berth_status status = berth_compare(&options, &text, NULL, err);
    berth_memory_free(text);
    return status;
}

static enum berth_status judge(void *context, struct berth_error *err)
{
    (void)context;
    const struct berth_recommend_options options = {.results = paths, .result_count = 1, .p99_ms = 5};
    char *text;
    bool met;
    enum berth_status status = berth_recommend(&options, &text, &met, err);
    berth_memory_free(text);
    return status;
}

static enum berth_status import_published(void *context, struct berth_error *err)
{
    (void)context;
    const struct berth_recommend_options options = {.results = paths + 1, .result_count = 1, .p50_ms = 5};
    char *text;
    bool met;
    enum berth_status status = berth_recommend(&options, &text, &met, err);
    berth_memory_free(text);
    return status;
}

static void reading_each_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(read_book, NULL, 10, 0);
}

static void comparing_each_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(compare_runs, NULL, 20, 0);
}

static void recommending_each_allocation_may_fail(void **state)
{
    (void)state;
    fault_each(judge, NULL, 20, 0);
    fault_each(import_published, NULL, 50, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_each_allocation_may_fail),
        cmocka_unit_test(comparing_each_allocation_may_fail),
        cmocka_unit_test(recommending_each_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, make_file, remove_files);
}
