/* grid_json.c: a report as the JSON object of `berth bench --json`. */
#include <jansson.h>
#include <math.h>

#include "bench/grid.h"

/* A number, or null where there is none. */
static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *interval(const double ends[2])
{
    return isfinite(ends[0]) ? json_pack("[f, f]", ends[0], ends[1]) : json_null();
}

static json_t *cell_json(const struct berth_bench_cell *cell)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:o, s:o, s:s}",
        "model", cell->model, "target", cell->target, "runtime", cell->runtime, "precision", cell->precision,
        "threads", (json_int_t)cell->threads, "batch", (json_int_t)cell->batch, "length",
        (json_int_t)cell->length, "scenario", cell->scenario, "n", (json_int_t)cell->n, "mean_ms",
        number(cell->mean_ms), "min_ms", number(cell->min_ms), "p50_ms", number(cell->p50_ms), "p90_ms",
        number(cell->p90_ms), "p95_ms", number(cell->p95_ms), "p99_ms", number(cell->p99_ms), "stddev_ms",
        number(cell->stddev_ms), "p50_ci_ms", interval(cell->p50_ci_ms), "p90_ci_ms",
        interval(cell->p90_ci_ms), "p99_ci_ms", interval(cell->p99_ci_ms), "texts_per_second",
        number(cell->texts_per_second), "tokens_per_second", number(cell->tokens_per_second), "status",
        cell->status);
}

char *berth_bench_json(const struct berth_bench_report *report)
{
    const struct berth_bench_owned *owned = report->owned;
    json_t *results = json_array();
    bool complete = results != NULL;
    for (size_t c = 0; complete && c < report->cells; c++)
        complete = json_array_append_new(results, cell_json(&report->cell[c])) == 0;
    json_t *whole =
        json_pack("{s:{s:s, s:s, s:s, s:s, s:I, s:s}, s:o}", "environment", "berth", berth_version(), "cpu",
                  owned->cpu, "isa", owned->isa, "system", owned->system, "processors",
                  (json_int_t)owned->processors, "processors_reason", owned->why, "results", results);
    char *text = whole && complete
                     ? json_dumps(whole, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9))
                     : NULL;
    json_decref(whole);
    return text;
}
