/* summary.c: from recorded trials to a report. Everything is read back from the results: what is printed is what is
 * kept. */
#include "bench/summary.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/stats.h"
#include "bench/campaign.h"
#include "bench/find_rate.h"

/* Milliseconds of the trials that are ok; returns their number. */
static size_t good_values(const struct berth_results_series *series, const int64_t *ns, double *ms)
{
    size_t n = 0;
    for (size_t i = 0; i < series->n; i++)
        if (series->ok[i])
            ms[n++] = (double)ns[i] * 1e-6;
    return n;
}

static void fill_latencies(const struct berth_results_series *series, double *ms, struct berth_bench_cell *cell)
{
    struct berth_stats stats;
    size_t n = good_values(series, series->service_ns, ms);
    berth_stats_compute(ms, n, &stats);
    cell->service_mean_ms = stats.mean;
    cell->service_p50_ms = stats.p50;
    cell->service_p90_ms = stats.p90;
    cell->service_p95_ms = stats.p95;
    cell->service_p99_ms = stats.p99;
    n = good_values(series, series->latency_ns, ms);
    berth_stats_compute(ms, n, &stats);
    cell->n = n;
    cell->failed = series->n - n;
    cell->mean_ms = stats.mean, cell->min_ms = stats.min, cell->stddev_ms = stats.stddev;
    cell->p50_ms = stats.p50, cell->p90_ms = stats.p90, cell->p95_ms = stats.p95, cell->p99_ms = stats.p99;
    memcpy(cell->p50_ci_ms, stats.p50_interval, sizeof cell->p50_ci_ms);
    memcpy(cell->p90_ci_ms, stats.p90_interval, sizeof cell->p90_ci_ms);
    memcpy(cell->p95_ci_ms, stats.p95_interval, sizeof cell->p95_ci_ms);
    memcpy(cell->p99_ci_ms, stats.p99_interval, sizeof cell->p99_ci_ms);
}

static void fill_rates(const struct berth_results_series *series, struct berth_bench_cell *cell)
{
    double trials = (double)series->n, seconds = (double)series->wall_ns * 1e-9;
    double good = series->n ? (double)cell->n / trials : 0;
    double texts = trials > 0 ? (double)series->texts / trials : 0, tokens = trials > 0 ? (double)series->tokens / trials : 0;
    bool stream = strcmp(cell->scenario, "server") != 0 && strcmp(cell->scenario, "closed-loop") != 0;
    cell->achieved_rate = seconds > 0 ? (double)cell->n / seconds : NAN;
    /* One query after the other: at the median, which a single slow one does not move. */
    cell->texts_per_second = stream ? texts * 1e3 / cell->p50_ms : seconds > 0 ? good * (double)series->texts / seconds : NAN;
    cell->tokens_per_second =
        stream ? tokens * 1e3 / cell->p50_ms : seconds > 0 ? good * (double)series->tokens / seconds : NAN;
    cell->cpu_ms = trials > 0 ? (double)series->cpu_ns * 1e-6 / trials : NAN;
    cell->joules = trials > 0 && series->energy_uj > 0 ? (double)series->energy_uj * 1e-6 / trials : NAN;
    cell->late = (size_t)series->late;
}

struct stage_sums {
    double ms[3];
    size_t n[3];
};

static enum berth_status add_stage(void *context, const char *name, int64_t first, size_t count, const int64_t *ns,
                                   struct berth_error *err)
{
    static const char *const names[] = {"tokenization", "queue", "inference"};
    struct stage_sums *sums = context;
    (void)first;
    (void)err;
    for (int s = 0; s < 3; s++)
        for (size_t i = 0; strcmp(name, names[s]) == 0 && i < count; i++)
            if (ns[i] >= 0) {
                sums->ms[s] += (double)ns[i] * 1e-6;
                sums->n[s]++;
            }
    return BERTH_OK;
}

static enum berth_status fill_stages(struct berth_results *results, int64_t configuration,
                                     struct berth_bench_cell *cell, struct berth_error *err)
{
    struct stage_sums sums = {0};
    enum berth_status status = berth_results_each_stage(results, configuration, add_stage, &sums, err);
    double *const to[] = {&cell->tokenize_ms, &cell->queue_ms, &cell->inference_ms};
    for (int s = 0; s < 3; s++)
        *to[s] = sums.n[s] > 0 ? sums.ms[s] / (double)sums.n[s] : NAN;
    return status;
}

static void name_cell(const struct berth_results_configuration *c, struct berth_bench_cell *cell)
{
    *cell = (struct berth_bench_cell){
        .model = c->model,
        .target = c->target,
        .runtime = c->runtime,
        .precision = c->precision,
        .scenario = c->scenario,
        .optimization = c->optimization,
        .outcome = c->status,
        .threads = (size_t)c->threads,
        .batch = (size_t)c->batch,
        .length = (size_t)c->length,
        .concurrency = strcmp(c->scenario, "closed-loop") == 0 ? (size_t)c->concurrency : 0,
        .rate = c->rate,
        .difference = c->difference,
        .allowed = c->allowed,
        .correct = (size_t)c->correct,
        .labelled = (size_t)c->labelled,
        .memory_bytes = (size_t)c->memory_bytes,
        .accuracy_ci = {NAN, NAN},
    };
    if (c->labelled > 0)
        berth_stats_share(cell->correct, cell->labelled, cell->accuracy_ci);
}

/* "ok", why it was not measured, or how many of its trials failed and why the first did. */
static char *status_words(const struct berth_results_configuration *c, const struct berth_bench_cell *cell,
                          const char *failure)
{
    char words[400];
    if (strcmp(c->status, "ok") != 0)
        snprintf(words, sizeof words, "%.390s", *c->failure ? c->failure : c->status);
    else if (cell->failed > 0)
        snprintf(words, sizeof words, "%zu of %zu failed: %.300s", cell->failed, cell->failed + cell->n, failure);
    else
        snprintf(words, sizeof words, "ok");
    return berth_strdup(words);
}

/* The same rule as the search's own. */
static bool keeps_objective(const struct berth_results_series *series, double p99_ms)
{
    size_t over = 0;
    for (size_t i = 0; i < series->n; i++)
        over += !series->ok[i] || (double)series->latency_ns[i] * 1e-6 > p99_ms;
    return p99_ms > 0 && series->n > 0 && berth_within_objective(series->n, over, 0.99, 0.95);
}

static enum berth_status fill_cell(struct berth_results *results, const struct berth_results_configuration *c, double p99_ms,
                                   struct berth_bench_cell *cell, char **words, struct berth_error *err)
{
    struct berth_results_series series;
    name_cell(c, cell);
    enum berth_status status = berth_results_read_series(results, c->id, &series, err);
    if (status != BERTH_OK)
        return status;
    double *ms = berth_calloc(series.n ? series.n : 1, sizeof *ms);
    if (ms) {
        fill_latencies(&series, ms, cell);
        fill_rates(&series, cell);
        cell->within = keeps_objective(&series, p99_ms);
        status = fill_stages(results, c->id, cell, err);
        if (series.n > 0 && cell->n == 0 && strcmp(cell->outcome, "ok") == 0)
            cell->outcome = "failed";
        if (status == BERTH_OK && !(*words = status_words(c, cell, series.failure)))
            status = berth_fail_memory(err, "a status", 400);
        cell->status = *words;
    } else {
        status = berth_fail_memory(err, "latencies", series.n * sizeof *ms);
    }
    berth_free(ms);
    berth_results_series_clear(&series);
    return status;
}

enum berth_status berth_summary_read(struct berth_results *results, int64_t run, double p99_ms,
                                     struct berth_bench_report *report, struct berth_error *err)
{
    struct berth_bench_owned *owned = report->owned;
    enum berth_status status = berth_results_read(results, run, &owned->book, err);
    if (status != BERTH_OK)
        return status;
    size_t cells = owned->book.configurations;
    report->cell = berth_calloc(cells ? cells : 1, sizeof *report->cell);
    owned->status = berth_calloc(cells ? cells : 1, sizeof *owned->status);
    if (!report->cell || !owned->status)
        return berth_fail_memory(err, "a report", cells * sizeof *report->cell);
    report->cells = cells;
    for (size_t i = 0; i < cells && status == BERTH_OK; i++)
        status = fill_cell(results, &owned->book.configuration[i], p99_ms, &report->cell[i], &owned->status[i], err);
    return status;
}

void berth_bench_report_clear(struct berth_bench_report *report)
{
    if (!report)
        return;
    struct berth_bench_owned *owned = report->owned;
    for (size_t i = 0; owned && owned->status && i < report->cells; i++)
        berth_free(owned->status[i]);
    if (owned) {
        berth_results_book_clear(&owned->book);
        berth_buffer_clear(&owned->remarks);
        berth_free(owned->status);
    }
    berth_free(owned);
    berth_free(report->cell);
    *report = (struct berth_bench_report){0};
}

const char *berth_bench_run(const struct berth_bench_report *report)
{
    const struct berth_bench_owned *owned = report->owned;
    return owned->run;
}

const char *berth_bench_remarks(const struct berth_bench_report *report)
{
    const struct berth_bench_owned *owned = report->owned;
    return owned->remarks.data ? owned->remarks.data : "";
}
