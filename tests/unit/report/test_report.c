/* test_report.c: a report of everything that a results file can hold: the data as JSON, the figures, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rng.h"
#include "berth/berth.h"
#include "support/results_support.h"

static char results_path[128];

static int remove_files(void **state)
{
    (void)state;
    results_files_remove();
    return 0;
}

static void measure(struct berth_results *r, struct berth_results_configuration c, double ms, size_t n, struct berth_rng *rng,
                    int64_t correct)
{
    double *series = malloc(n * sizeof *series);
    int64_t *ns = malloc(n * sizeof *ns);
    int64_t id = results_configuration(r, c);
    for (size_t i = 0; i < n; i++)
        ns[i] = (int64_t)(1e6 * ms * (1 - 0.15 * log(1 - berth_rng_uniform(rng))));
    const struct berth_results_trials block = {.configuration = id,
                                               .first = 1,
                                               .count = n,
                                               .latency_ns = ns,
                                               .wall_ns = c.rate > 0 ? (int64_t)((double)n / c.rate * 1e9) : 0,
                                               .tokens = c.length > 0 ? 0 : 700,
                                               .padded_tokens = c.length > 0 ? 0 : 1000};
    assert_int_equal(berth_results_append(r, &block, NULL), BERTH_OK);
    if (correct)
        assert_int_equal(berth_results_set_accuracy(r, id, correct, 872, NULL), BERTH_OK);
    const struct berth_results_outcome outcome = {"ok", "", 100 << 20, 12, 3, 0, 0.01};
    assert_int_equal(berth_results_set_outcome(r, id, &outcome, NULL), BERTH_OK);
    free(series);
    free(ns);
}

/* Four models at two precisions on two targets, over all inputs of the study; loads; a file of texts; what failed. */
static void fill(struct berth_results *r)
{
    static const char *const models[] = {"bert-base", "distilbert", "electra-small", "bert-tiny"};
    static const double speed[] = {4, 2, 0.7, 0.1};
    static const int64_t correct[] = {813, 788, 800, 718};
    struct berth_rng rng;
    berth_rng_seed(&rng, 11);
    int64_t run;
    assert_int_equal(berth_results_add_run(r, &(struct berth_results_run){.name = "study", .suite = "study"}, &run, NULL), BERTH_OK);
    berth_results_set_fact(r, run, "cpu", "A <script>alert(1)</script> CPU", NULL);
    for (int m = 0; m < 4; m++) {
        berth_results_set_model(r, &(struct berth_results_model){.run = run, .name = models[m], .parameters = 110000000 >> m}, NULL);
        for (int t = 0; t < 2; t++)
            for (int p = 0; p < 2; p++)
                for (int64_t b = 2; b <= 32; b *= 4)
                    for (int64_t l = 12; l <= 112; l += 20)
                        measure(r, (struct berth_results_configuration){.run = run, .model = models[m], .length = l, .batch = b,
                                                                        .threads = t + 1, .target = t ? "two threads" : "local",
                                                                        .precision = p ? "int8" : "fp32"},
                                speed[m] * (0.3 + (double)(b * l) / 40) * (p ? 0.35 : 1) / (1 + 0.8 * t), 60, &rng,
                                correct[m] - 3 * p);
        for (int load = 1; load < 7; load++)
            measure(r, (struct berth_results_configuration){.run = run, .model = models[m], .length = 32, .batch = 1,
                                                            .target = "local", .scenario = "server", .rate = 30 * load / speed[m]},
                    speed[m] * (1 + 3.0 / (7 - load)), 700, &rng, 0);
    }
    for (int64_t b = 8; b <= 32; b *= 2)
        measure(r, (struct berth_results_configuration){.run = run, .model = models[0], .batch = b, .data = "dev.tsv"}, 9, 20, &rng, 0);
    int64_t failed = results_configuration(r, (struct berth_results_configuration){.run = run, .model = "bert-base",
                                                                                  .target = "x|`y`'$(z)<b>", .length = 12});
    berth_results_set_outcome(r, failed, &(struct berth_results_outcome){"refused", "its logits differ by 4.2", 0, NAN, NAN, NAN, NAN}, NULL);
}

static int make_file(void **state)
{
    (void)state;
    strcpy(results_path, results_file());
    struct berth_results *r = results_open(results_path, BERTH_RESULTS_APPEND);
    fill(r);
    berth_results_close(r);
    return 0;
}

static const char *const paths[] = {results_path};

static void report_json_holds_every_configuration(void **state)
{
    (void)state;
    const struct berth_price price = {"local", 0.5};
    const struct berth_report_options options = {.results = paths, .result_count = 1, .prices = &price, .price_count = 1};
    char *text;
    struct berth_error err;
    if (berth_report_json(&options, &text, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    json_t *root = json_loads(text, 0, NULL), *cell;
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "baseline")), "bert-base");
    const json_t *cells = json_object_get(root, "cells");
    assert_int_equal(json_array_size(cells), 4 * 2 * 2 * 3 * 6 + 4 * 6 + 3 + 1);
    size_t i, priced = 0, refused = 0;
    json_array_foreach((json_t *)cells, i, cell) {
        priced += json_is_real(json_object_get(cell, "usd_per_million_texts"));
        refused += strcmp(json_string_value(json_object_get(cell, "status")), "refused") == 0;
        if (json_integer_value(json_object_get(cell, "n")) == 60)
            assert_true(json_is_null(json_object_get(cell, "p99_ms")) && json_is_real(json_object_get(cell, "p90_ms")));
    }
    assert_true(priced > 0 && refused == 1);
    assert_true(json_array_size(json_object_get(root, "study")) > 20);
    json_decref(root);
    berth_memory_free(text);
}

static bool holds(const char *folder, const char *name, const char *words)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (!file)
        return false;
    static char text[4 << 20];
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return strstr(text, words) != NULL;
}

static void report_writes_every_figure_of_full_data(void **state)
{
    (void)state;
    static const char *const figures[] = {"model_summary", "time_vs_input", "speedup", "all_vs_all", "largest_input",
                                          "optimization", "pareto", "tail_vs_load", "padding", "cost", "study"};
    char folder[160], name[64];
    const char *kept = getenv("BERTH_REPORT_FOLDER"); /* to look at them */
    snprintf(folder, sizeof folder, "%s", kept ? kept : results_file());
    const struct berth_price price = {"local", 0.5};
    const struct berth_report_options options = {
        .results = paths, .result_count = 1, .prices = &price, .price_count = 1, .directory = folder};
    struct berth_report_summary summary;
    struct berth_error err;
    if (system("command -v gnuplot >/dev/null") != 0)
        skip();
    if (berth_report(&options, &summary, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    assert_int_equal(summary.figures, 11);
    assert_string_equal(summary.missing, "");
    for (size_t i = 0; i < 11; i++) {
        snprintf(name, sizeof name, "%s.svg", figures[i]);
        if (!holds(folder, name, "</svg>"))
            fail_msg("%s is not whole", name);
        snprintf(name, sizeof name, "%s.png", figures[i]);
        assert_true(holds(folder, name, "PNG"));
        assert_true(holds(folder, "report.md", figures[i]));
    }
    assert_true(holds(folder, "report.html", "\\u003cscript>alert"));
    assert_false(holds(folder, "report.html", "<script>alert"));
    assert_false(holds(folder, "report.html", "http://") && !holds(folder, "report.html", "http://www.w3.org/2000/svg"));
    assert_false(holds(folder, "report.html", "src="));
    assert_true(holds(folder, "report.md", "x\\|\\`y\\`'$(z)\\<b\\>"));
    assert_false(holds(folder, "report.md", "<script>"));
}

static void check_refused(struct berth_report_options options, enum berth_status status, const char *words)
{
    struct berth_report_summary summary;
    struct berth_error err = {0};
    options.results = options.results ? options.results : paths, options.result_count = 1;
    assert_int_equal(berth_report(&options, &summary, &err), status);
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
}

static void report_refuses_in_a_sentence(void **state)
{
    (void)state;
    char folder[160];
    snprintf(folder, sizeof folder, "%s", results_file());
    check_refused((struct berth_report_options){.directory = folder, .baseline = "gpt"}, BERTH_NOT_FOUND, "no model 'gpt'");
    check_refused((struct berth_report_options){.directory = folder, .gnuplot = "/nonexistent/gnuplot"}, BERTH_NOT_FOUND,
                  "install the package gnuplot-nox");
    check_refused((struct berth_report_options){.directory = folder, .gnuplot = "false"}, BERTH_IO, "false failed to draw");
    check_refused((struct berth_report_options){.directory = folder, .selection = {.model = "x"}}, BERTH_NOT_FOUND, "none of its");
    check_refused((struct berth_report_options){.directory = "/nonexistent/folder"}, BERTH_NOT_FOUND, "cannot make the folder");
    check_refused((struct berth_report_options){.directory = results_path}, BERTH_INVALID_ARGUMENT, "not a folder");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_json_holds_every_configuration),
        cmocka_unit_test(report_writes_every_figure_of_full_data),
        cmocka_unit_test(report_refuses_in_a_sentence),
    };
    return cmocka_run_group_tests(tests, make_file, remove_files);
}
