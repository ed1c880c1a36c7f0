/* page_json.c: the data of a report as JSON. */
#include <jansson.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "formats/json_load.h"
#include "report/page.h"
#include "report/study.h"

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *text(const char *words)
{
    json_t *value = json_string(words);
    return value ? value : json_string("?"); /* no UTF-8 */
}

static json_t *interval(const double bounds[2])
{
    return isfinite(bounds[0]) && isfinite(bounds[1]) ? json_pack("[f,f]", bounds[0], bounds[1]) : json_null();
}

static json_t *run_json(const struct berth_results_book *book, const struct berth_results_run *run)
{
    char when[32] = "";
    struct tm tm;
    time_t seconds = (time_t)(run->started_us / 1000000);
    json_t *environment = json_object();
    for (size_t i = 0; i < book->facts; i++)
        if (book->fact[i].run == run->id)
            json_object_set_new(environment, book->fact[i].key, text(book->fact[i].value));
    if (gmtime_r(&seconds, &tm))
        strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return json_pack("{s:o,s:o,s:s,s:b,s:o,s:o,s:o}", "name", text(run->name), "uid", text(run->uid), "started", when,
                     "finished", run->finished_us > 0, "suite", text(run->suite), "command", text(run->command),
                     "environment", environment);
}

static json_t *curve_json(const struct berth_cell *cell)
{
    if (!cell->measured || isnan(cell->curve[0]))
        return json_null();
    json_t *list = json_array();
    for (int i = 0; i <= BERTH_REPORT_CURVE; i++)
        json_array_append_new(list, number(cell->curve[i]));
    return list;
}

static json_t *question_json(const struct berth_drawing *d, const struct berth_cell *cell)
{
    char variant[64], place[BERTH_LABEL];
    const struct berth_results_configuration *c = cell->c;
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:I,s:I,s:f,s:b}", "run", text(cell->run->name), "model",
                     text(c->model), "target", text(c->target), "place",
                     text(berth_cell_place(d->data, cell, place, sizeof place)), "runtime", text(c->runtime), "optimization",
                     text(c->optimization), "precision", text(c->precision), "variant",
                     text(berth_cell_variant(cell, variant, sizeof variant)), "scenario", text(c->scenario), "data",
                     text(c->data), "threads", (json_int_t)c->threads, "batch", (json_int_t)c->batch, "length",
                     (json_int_t)c->length, "concurrency", (json_int_t)c->concurrency, "rate", c->rate, "timed",
                     berth_cell_is_timed(cell));
}

static json_t *cell_json(const struct berth_drawing *d, const struct berth_cell *cell)
{
    const struct berth_stats *s = &cell->latency;
    const struct berth_cell *known = berth_cell_find_accuracy(d->data, cell);
    double range[2];
    berth_cell_range(cell, range);
    json_t *value = question_json(d, cell);
    json_t *times = json_pack(
        "{s:o,s:o,s:b,s:I,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "status", text(cell->c->status),
        "failure", text(cell->c->failure), "published", !cell->measured && s->n > 0, "n", (json_int_t)s->n, "failed",
        (json_int_t)cell->failed, "time_ms", number(berth_cell_time(cell)), "range_ms", interval(range), "mean_ms",
        number(s->mean), "stddev_ms", number(s->stddev), "min_ms", number(s->min), "max_ms", number(s->max), "p50_ms",
        number(s->p50), "p90_ms", number(s->p90), "p95_ms", number(s->p95), "p99_ms", number(s->p99), "p50_ci_ms",
        interval(s->p50_interval), "p90_ci_ms", interval(s->p90_interval), "p95_ci_ms", interval(s->p95_interval),
        "p99_ci_ms", interval(s->p99_interval), "service_p50_ms", number(cell->service_p50));
    json_t *more = json_pack(
        "{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "service_p99_ms", number(cell->service_p99),
        "texts_per_second", number(cell->texts_per_second), "tokens_per_second", number(cell->tokens_per_second), "padding",
        number(cell->padding), "late", number(cell->late), "cpu_ms_per_text", number(cell->cpu_ms), "energy_mj_per_text",
        number(cell->energy_mj), "accuracy", number(cell->accuracy), "accuracy_ci", interval(cell->accuracy_interval),
        "known_accuracy", known ? number(known->accuracy) : json_null(), "known_accuracy_ci",
        known ? interval(known->accuracy_interval) : json_null(),
        "memory_mb", cell->c->memory_bytes > 0 ? json_real((double)cell->c->memory_bytes / 1048576) : json_null(),
        "load_ms", number(cell->c->load_ms), "cold_ms", number(cell->c->cold_ms), "usd_per_million_texts", number(cell->cost),
        "quantiles_ms", curve_json(cell));
    if (!value || !times || !more || json_object_update(value, times) != 0 || json_object_update(value, more) != 0) {
        json_decref(value);
        value = NULL;
    }
    json_decref(times);
    json_decref(more);
    return value;
}

static json_t *strings(const char (*list)[BERTH_LABEL], size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(array, text(list[i]));
    return array;
}

static json_t *models_json(const struct berth_drawing *d)
{
    json_t *list = json_array();
    for (size_t m = 0; m < d->models; m++) {
        int64_t parameters = 0;
        for (size_t i = 0; parameters == 0 && i < d->data->cells; i++)
            if (strcmp(d->data->cell[i].c->model, d->model[m]) == 0)
                parameters = berth_cell_parameters(d->data, &d->data->cell[i]);
        json_array_append_new(list, json_pack("{s:o,s:o}", "name", text(d->model[m]), "parameters",
                                              parameters > 0 ? json_integer((json_int_t)parameters) : json_null()));
    }
    return list;
}

static json_t *study_json(const struct berth_drawing *d)
{
    struct berth_study_row rows[BERTH_STUDY_ROWS];
    size_t count = berth_study_compare(d, rows);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:s,s:o,s:b,s:I,s:I,s:o,s:o}", "model", berth_study_models[rows[i].model],
                                              "place", text(rows[i].place), "published", rows[i].published, "batch",
                                              (json_int_t)rows[i].batch, "length", (json_int_t)rows[i].length, "time_ms",
                                              number(rows[i].time_ms), "speedup", number(rows[i].speedup)));
    return list;
}

char *berth_report_data_json(const struct berth_drawing *d)
{
    json_t *runs = json_array(), *cells = json_array();
    for (size_t i = 0; i < d->data->book.runs; i++)
        json_array_append_new(runs, run_json(&d->data->book, &d->data->book.run[i]));
    for (size_t i = 0; i < d->data->cells; i++)
        json_array_append_new(cells, cell_json(d, &d->data->cell[i]));
    bool whole = json_array_size(cells) == d->data->cells && json_array_size(runs) == d->data->book.runs;
    json_t *root = json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:{s:I,s:I},s:{s:I,s:I},s:I,s:I,s:I,s:o,s:o}", "berth", BERTH_VERSION,
                             "baseline", text(d->baseline), "models", models_json(d), "places", strings(d->place, d->places),
                             "variants", strings(d->variant, d->variants), "runs", runs, "largest", "batch",
                             (json_int_t)d->large_batch, "length", (json_int_t)d->large_length, "smallest", "batch",
                             (json_int_t)d->small_batch, "length", (json_int_t)d->small_length, "latencies",
                             (json_int_t)d->data->latencies, "failed", (json_int_t)d->data->failed, "older",
                             (json_int_t)d->data->older, "study", study_json(d), "cells", cells);
    char *line = root && whole ? berth_json_dump(root, JSON_COMPACT | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    return line;
}
