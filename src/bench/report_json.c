/* report_json.c: a report as the JSON object of `berth bench --json`. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/summary.h"
#include "berth/berth.h"

/* A number, or null where there is none. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *count(size_t value)
{
    return json_integer((json_int_t)value);
}

static json_t *interval(const double ends[2])
{
    return isfinite(ends[0]) && isfinite(ends[1]) ? json_pack("[f, f]", ends[0], ends[1]) : json_null();
}

static json_t *accuracy(const struct berth_bench_cell *cell)
{
    return cell->labelled ? json_real((double)cell->correct / (double)cell->labelled) : json_null();
}

static json_t *cell_json(const struct berth_bench_cell *c)
{
    json_t *cell = json_object();
    const struct {
        const char *key;
        json_t *value;
    } members[] = {
        {"model", json_string(c->model)},
        {"target", json_string(c->target)},
        {"runtime", json_string(c->runtime)},
        {"precision", json_string(c->precision)},
        {"threads", count(c->threads)},
        {"batch", count(c->batch)},
        {"length", count(c->length)},
        {"scenario", json_string(c->scenario)},
        {"n", count(c->n)},
        {"mean_ms", number(c->mean_ms)},
        {"min_ms", number(c->min_ms)},
        {"p50_ms", number(c->p50_ms)},
        {"p90_ms", number(c->p90_ms)},
        {"p95_ms", number(c->p95_ms)},
        {"p99_ms", number(c->p99_ms)},
        {"stddev_ms", number(c->stddev_ms)},
        {"p50_ci_ms", interval(c->p50_ci_ms)},
        {"p90_ci_ms", interval(c->p90_ci_ms)},
        {"p95_ci_ms", interval(c->p95_ci_ms)},
        {"p99_ci_ms", interval(c->p99_ci_ms)},
        {"service_mean_ms", number(c->service_mean_ms)},
        {"service_p50_ms", number(c->service_p50_ms)},
        {"service_p90_ms", number(c->service_p90_ms)},
        {"service_p95_ms", number(c->service_p95_ms)},
        {"service_p99_ms", number(c->service_p99_ms)},
        {"texts_per_second", number(c->texts_per_second)},
        {"tokens_per_second", number(c->tokens_per_second)},
        {"optimization", json_string(c->optimization)},
        {"concurrency", count(c->concurrency)},
        {"rate", number(c->rate)},
        {"achieved_rate", number(c->achieved_rate)},
        {"failed", count(c->failed)},
        {"late", count(c->late)},
        {"cpu_ms", number(c->cpu_ms)},
        {"joules", number(c->joules)},
        {"memory_bytes", count(c->memory_bytes)},
        {"difference", number(c->difference)},
        {"allowed", number(c->allowed)},
        {"accuracy", accuracy(c)},
        {"accuracy_ci", interval(c->accuracy_ci)},
        {"labelled", count(c->labelled)},
        {"tokenization_ms", number(c->tokenize_ms)},
        {"queue_ms", number(c->queue_ms)},
        {"inference_ms", number(c->inference_ms)},
        {"outcome", json_string(c->outcome)},
        {"status", json_string(c->status)},
    };
    bool complete = cell != NULL;
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) /* takes every value, even once it failed */
        complete = json_object_set_new(cell, members[i].key, members[i].value) == 0 && complete;
    if (complete)
        return cell;
    json_decref(cell);
    return NULL;
}

/* The facts of the run, but for those that serve to go on with it; numbers as numbers. */
static json_t *environment_json(const struct berth_bench_owned *owned)
{
    json_t *environment = json_object();
    bool complete = environment != NULL;
    for (size_t i = 0; i < owned->book.facts && complete; i++) {
        const struct berth_results_fact *fact = &owned->book.fact[i];
        if (strcmp(fact->key, "experiment") == 0 || strcmp(fact->key, "process") == 0)
            continue;
        char *end;
        double value = strtod(fact->value, &end);
        bool numeric = *fact->value && *end == 0 && isfinite(value) && strcmp(fact->key, "berth") != 0 &&
                       strcmp(fact->key, "machine") != 0;
        json_t *json = !numeric                       ? json_string(fact->value)
                       : strchr(fact->value, '.') == NULL ? json_integer((json_int_t)value)
                                                      : json_real(value);
        complete = json_object_set_new(environment, fact->key, json) == 0;
    }
    if (complete)
        return environment;
    json_decref(environment);
    return NULL;
}

char *berth_bench_json(const struct berth_bench_report *report)
{
    const struct berth_bench_owned *owned = report->owned;
    json_t *results = json_array();
    bool complete = results != NULL;
    for (size_t c = 0; complete && c < report->cells; c++)
        complete = json_array_append_new(results, cell_json(&report->cell[c])) == 0;
    json_t *whole = json_pack("{s:o, s:o}", "environment", environment_json(owned), "results", results);
    char *text =
        whole && complete ? json_dumps(whole, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(whole);
    return text;
}
