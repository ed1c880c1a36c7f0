/* test_results.c: what is written to a results file is read back: runs, configurations, trials, stages, the page's log;
 * resuming; merging. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "support/results_support.h"

static int remove_files(void **state)
{
    (void)state;
    results_files_remove();
    return 0;
}

static void run_with_all_it_has_is_read_back(void **state)
{
    (void)state;
    struct berth_results *r = results_open(results_file(), BERTH_RESULTS_APPEND);
    struct berth_error err;
    int64_t run, id, again, found;
    const struct berth_results_run given = {.name = "nightly",
                                            .uid = "0123456789abcdef0123456789abcdef",
                                            .started_us = 1600000000000000,
                                            .command = "berth bench -m x",
                                            .suite = "study",
                                            .seed = UINT64_MAX};
    assert_int_equal(berth_results_add_run(r, &given, &run, &err), BERTH_OK);
    assert_int_equal(berth_results_set_fact(r, run, "cpu", "old", &err), BERTH_OK);
    assert_int_equal(berth_results_set_fact(r, run, "cpu", "Some CPU", &err), BERTH_OK);
    const struct berth_results_model model = {.run = run, .name = "tiny", .hash = "ab", .parameters = 4400000};
    assert_int_equal(berth_results_set_model(r, &model, &err), BERTH_OK);
    struct berth_results_configuration c = {.run = run,
                                            .model = "tiny",
                                            .target = "local",
                                            .runtime = "native",
                                            .optimization = "plain",
                                            .precision = "fp32",
                                            .scenario = "server",
                                            .data = "dev.tsv",
                                            .threads = 2,
                                            .batch = 3,
                                            .rate = 12.5};
    assert_int_equal(berth_results_add_configuration(r, &c, &id, &err), BERTH_OK);
    assert_int_equal(berth_results_add_configuration(r, &c, &again, &err), BERTH_OK);
    assert_int_equal(id, again);
    c.rate = 12.25;
    assert_int_equal(berth_results_add_configuration(r, &c, &again, &err), BERTH_OK);
    assert_int_not_equal(id, again);
    const struct berth_results_outcome outcome = {"refused", "its logits differ", 1 << 20, 5, NAN, 0.5, 0.01};
    assert_int_equal(berth_results_set_outcome(r, id, &outcome, &err), BERTH_OK);
    assert_int_equal(berth_results_set_accuracy(r, id, 794, 872, &err), BERTH_OK);
    assert_int_equal(berth_results_set_accuracy(r, id, 873, 872, &err), BERTH_INVALID_ARGUMENT);
    const struct berth_results_summary summary = {5, 1.5, 0.25, NAN, NAN, NAN, NAN};
    assert_int_equal(berth_results_set_summary(r, id, &summary, &err), BERTH_OK);
    assert_int_equal(berth_results_finish_run(r, run, &err), BERTH_OK);

    struct berth_results_book book;
    assert_int_equal(berth_results_read(r, run, &book, &err), BERTH_OK);
    assert_int_equal(book.runs, 1);
    assert_string_equal(book.run[0].uid, given.uid);
    assert_string_equal(book.run[0].suite, "study");
    assert_true(book.run[0].seed == UINT64_MAX && book.run[0].started_us == given.started_us);
    assert_true(book.run[0].finished_us > given.started_us);
    assert_int_equal(book.facts, 1);
    assert_string_equal(book.fact[0].value, "Some CPU");
    assert_int_equal(book.models, 1);
    assert_int_equal(book.model[0].parameters, 4400000);
    assert_int_equal(book.configurations, 2);
    const struct berth_results_configuration *back = &book.configuration[0];
    assert_string_equal(back->failure, "its logits differ");
    assert_string_equal(back->data, "dev.tsv");
    assert_true(back->rate == 12.5 && back->correct == 794 && back->labelled == 872 && isnan(back->cold_ms));
    assert_true(back->summary.n == 5 && back->summary.stddev_ms == 0.25 && isnan(back->summary.p99_ms));
    assert_string_equal(book.configuration[1].status, "pending");
    assert_int_equal(book.configuration[1].concurrency, 1);
    berth_results_book_clear(&book);
    berth_results_book_clear(&book);

    static const char *const names[] = {"nightly", "", "last", "first", "1", "0123456"};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(berth_results_find_run(r, names[i], &found, &err), BERTH_OK);
        assert_int_equal(found, run);
    }
    assert_int_equal(berth_results_find_run(r, "weekly", &found, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "no run 'weekly'; there are: nightly"));
    berth_results_close(r);
}

static void trials_with_failures_and_stages_are_read_back_in_order(void **state)
{
    (void)state;
    struct berth_results *r = results_open(results_file(), BERTH_RESULTS_APPEND);
    struct berth_error err;
    int64_t c = results_configuration(r, (struct berth_results_configuration){.run = results_run(r, "a"), .batch = 4});
    const int64_t latency[] = {30, 40, 50}, service[] = {3, 4, 5}, queue[] = {1, -1, 2};
    const unsigned char ok[] = {1, 0, 1};
    const struct berth_results_stage stage = {"queue", queue};
    struct berth_results_trials block = {.configuration = c,
                                         .first = 3,
                                         .count = 3,
                                         .latency_ns = latency,
                                         .service_ns = service,
                                         .ok = ok,
                                         .failure = "status 500",
                                         .wall_ns = 100,
                                         .tokens = 70,
                                         .late = 1,
                                         .stages = 1,
                                         .stage = &stage};
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_OK);
    block = (struct berth_results_trials){.configuration = c, .first = 1, .count = 1, .latency_ns = latency};
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_OK);

    /* What overlaps is refused, whole. */
    block.count = 3;
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_BUSY);
    block.first = 5, block.count = 2;
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_BUSY);
    assert_non_null(strstr(err.message, "trial 5"));
    block.configuration = 99;
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_INVALID_ARGUMENT);
    block.configuration = c, block.first = 0;
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_INVALID_ARGUMENT);

    struct berth_results_series s;
    assert_int_equal(berth_results_read_series(r, c, &s, &err), BERTH_OK);
    assert_int_equal(s.n, 4);
    assert_int_equal(s.failed, 1);
    static const int64_t trial[] = {1, 3, 4, 5}, want[] = {30, 30, 40, 50}, served[] = {30, 3, 4, 5};
    assert_memory_equal(s.trial, trial, sizeof trial);
    assert_memory_equal(s.latency_ns, want, sizeof want);
    assert_memory_equal(s.service_ns, served, sizeof served);
    assert_true(s.ok[0] && s.ok[1] && !s.ok[2] && s.ok[3]);
    assert_string_equal(s.failure, "status 500");
    assert_true(s.texts == 16 && s.tokens == 70 && s.wall_ns == 130 && s.late == 1);
    berth_results_series_clear(&s);

    bool done[5];
    size_t count;
    assert_int_equal(berth_results_done(r, c, done, 5, &count, &err), BERTH_OK);
    assert_true(done[0] && !done[1] && done[2] && done[3] && done[4] && count == 4);
    assert_int_equal(berth_results_done(r, c, done, 4, &count, &err), BERTH_OK);
    assert_int_equal(count, 3);
    berth_results_close(r);
}

static enum berth_status take_stage(void *context, const char *name, int64_t first, size_t count, const int64_t *ns,
                                    struct berth_error *err)
{
    (void)err;
    assert_string_equal(name, "queue");
    assert_true(first == 1 && count == 2 && ns[0] == 7 && ns[1] == -1);
    ++*(int *)context;
    return BERTH_OK;
}

static void stages_come_block_by_block(void **state)
{
    (void)state;
    struct berth_results *r = results_open(results_file(), BERTH_RESULTS_APPEND);
    struct berth_error err;
    int64_t c = results_configuration(r, (struct berth_results_configuration){.run = results_run(r, "a")});
    const int64_t latency[] = {30, 40}, queue[] = {7, -1};
    const struct berth_results_stage stage = {"queue", queue};
    const struct berth_results_trials block = {
        .configuration = c, .first = 1, .count = 2, .latency_ns = latency, .stages = 1, .stage = &stage};
    assert_int_equal(berth_results_append(r, &block, &err), BERTH_OK);
    int calls = 0;
    assert_int_equal(berth_results_each_stage(r, c, take_stage, &calls, &err), BERTH_OK);
    assert_int_equal(calls, 1);
    berth_results_close(r);
}

static void merging_twice_is_merging_once(void **state)
{
    (void)state;
    char one[128], two[128];
    strcpy(one, results_file()), strcpy(two, results_file());
    struct berth_results *a = results_open(one, BERTH_RESULTS_APPEND), *b = results_open(two, BERTH_RESULTS_APPEND);
    struct berth_error err;
    static const double ms[] = {1, 2, 3};
    results_append_ms(a, results_configuration(a, (struct berth_results_configuration){.run = results_run(a, "here")}), 1,
                      ms, 3);
    int64_t c = results_configuration(b, (struct berth_results_configuration){.run = results_run(b, "there"),
                                                                              .target = "server"});
    results_append_ms(b, c, 1, ms, 2);
    assert_int_equal(berth_results_set_accuracy(b, c, 9, 10, &err), BERTH_OK);
    const struct berth_results_page_trial click = {.click = 1, .time_us = 5, .deployment = "d", .sentence = "s"};
    assert_int_equal(berth_results_page_add(b, &click, 1, &err), BERTH_OK);
    int64_t added;
    assert_int_equal(berth_results_merge(a, two, &added, &err), BERTH_OK);
    assert_int_equal(added, 2);
    assert_int_equal(berth_results_merge(a, two, &added, &err), BERTH_OK);
    assert_int_equal(added, 0);
    results_append_ms(b, c, 3, ms, 1); /* and what came later follows */
    assert_int_equal(berth_results_merge(a, two, &added, &err), BERTH_OK);
    assert_int_equal(added, 1);

    struct berth_results_book book;
    assert_int_equal(berth_results_read(a, 0, &book, &err), BERTH_OK);
    assert_int_equal(book.runs, 2);
    assert_int_equal(book.configurations, 2);
    assert_string_equal(book.configuration[1].target, "server");
    assert_int_equal(book.configuration[1].labelled, 10);
    struct berth_results_series s;
    assert_int_equal(berth_results_read_series(a, book.configuration[1].id, &s, &err), BERTH_OK);
    assert_int_equal(s.n, 3);
    berth_results_series_clear(&s);
    berth_results_book_clear(&book);
    assert_int_equal(berth_results_merge(a, "/nonexistent", NULL, &err), BERTH_NOT_FOUND);
    berth_results_close(a);
    berth_results_close(b);
}

static enum berth_status take_click(void *context, const struct berth_results_page_trial *t, struct berth_error *err)
{
    (void)err;
    int64_t *last = context;
    assert_true(t->id > *last);
    *last = t->id;
    assert_string_equal(t->sentence, "naïve <b>");
    assert_true(t->click == 4 && t->time_us > 0 && t->tokens == 7 && isnan(t->queue_ms) && t->latency_ms == 1.25);
    assert_string_equal(t->prediction, "positive");
    assert_string_equal(t->pair, "");
    return BERTH_OK;
}

static void page_log_survives_and_is_read_from_where_one_was(void **state)
{
    (void)state;
    char path[128];
    strcpy(path, results_file());
    struct berth_results *r = results_open(path, BERTH_RESULTS_APPEND);
    struct berth_error err;
    const struct berth_results_page_trial one = {.click = 4,
                                                 .deployment = "tiny",
                                                 .sentence = "naïve <b>",
                                                 .truth = "negative",
                                                 .prediction = "positive",
                                                 .score = 0.75,
                                                 .latency_ms = 1.25,
                                                 .queue_ms = NAN,
                                                 .compute_ms = 1,
                                                 .tokens = 7};
    const struct berth_results_page_trial two[] = {one, one};
    assert_int_equal(berth_results_page_add(r, two, 2, &err), BERTH_OK);
    berth_results_close(r);
    r = results_open(path, BERTH_RESULTS_APPEND);
    int64_t last = 0;
    assert_int_equal(berth_results_page_each(r, 0, 100, take_click, &last, &err), BERTH_OK);
    assert_int_equal(last, 2);
    last = 0;
    assert_int_equal(berth_results_page_each(r, 0, 1, take_click, &last, &err), BERTH_OK);
    assert_int_equal(last, 1);
    assert_int_equal(berth_results_page_clear(r, &err), BERTH_OK);
    assert_int_equal(berth_results_page_each(r, 0, 100, take_click, &last, &err), BERTH_OK);
    assert_int_equal(last, 1);
    berth_results_close(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_with_all_it_has_is_read_back),
        cmocka_unit_test(trials_with_failures_and_stages_are_read_back_in_order),
        cmocka_unit_test(stages_come_block_by_block),
        cmocka_unit_test(merging_twice_is_merging_once),
        cmocka_unit_test(page_log_survives_and_is_read_from_where_one_was),
    };
    return cmocka_run_group_tests(tests, NULL, remove_files);
}
