/* grid.c: measures models in process: opens them, checks every cell's answer, then times all cells in
 * interleaved rounds. */
#include "bench/grid.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/rng.h"
#include "bench/order.h"
#include "base/stats.h"

enum {
    DEFAULT_TRIALS = 20,
    DEFAULT_LENGTH = 128,
    MAX_TRIALS = 1000000,
    MAX_CELLS = 100000,
    MAX_TOKENS = 1 << 24,       /* of one run */
    WARM_RUNS = 3,              /* at most, while they take less than */
    WARM_NS = 100 * 1000 * 1000 /* this in all */
};

struct grid_cell {
    size_t model, precision, threads, batch, length; /* values, but for model and precision: indices */
    struct berth_session *session;                   /* borrowed from the grid; NULL: cannot be measured */
    int32_t *ids;                                    /* [batch * length] */
    size_t *offsets;                                 /* [batch + 1] */
    struct berth_result *results;                    /* [batch] */
    double *ms;                                      /* [trials] */
    size_t n;
};

struct grid {
    struct berth_bench_options o; /* lists filled in */
    size_t cells, sessions;
    struct berth_model **model; /* [model_count * precision_count]; NULL: its precision is not supported */
    struct berth_session **session; /* [model_count * precision_count * thread_count] */
    struct grid_cell *cell;
    size_t *order;
    struct berth_bench_owned *owned;
};

static const enum berth_precision default_precision[] = {BERTH_PRECISION_DEFAULT};
static const size_t default_threads[] = {0}, default_batch[] = {1}, default_length[] = {DEFAULT_LENGTH};

static enum berth_status check_options(struct grid *grid, const struct berth_bench_options *options,
                                       struct berth_error *err)
{
    struct berth_bench_options *o = &grid->o;
    *o = *options;
    if (!o->precisions || o->precision_count == 0)
        o->precisions = default_precision, o->precision_count = 1;
    if (!o->threads || o->thread_count == 0)
        o->threads = o->options.threads ? &o->options.threads : default_threads, o->thread_count = 1;
    if (!o->batches || o->batch_count == 0)
        o->batches = default_batch, o->batch_count = 1;
    if (!o->lengths || o->length_count == 0)
        o->lengths = default_length, o->length_count = 1;
    if (o->trials == 0)
        o->trials = DEFAULT_TRIALS;
    if (o->trials > MAX_TRIALS)
        return berth_fail(err, BERTH_LIMIT, "%zu trials: at most %d", o->trials, MAX_TRIALS);
    if (o->model_count == 0 || !o->models)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no model to measure: name at least one");
    for (size_t b = 0; b < o->batch_count; b++)
        for (size_t l = 0; l < o->length_count; l++) {
            size_t tokens;
            if (o->batches[b] == 0 || o->lengths[l] == 0 ||
                !berth_mul(o->batches[b], o->lengths[l], &tokens) || tokens > MAX_TOKENS)
                return berth_fail(err, BERTH_INVALID_ARGUMENT,
                                  "batch %zu of %zu tokens: between 1 and %d tokens in all", o->batches[b],
                                  o->lengths[l], MAX_TOKENS);
        }
    if (!berth_mul(o->model_count, o->precision_count, &grid->sessions) ||
        !berth_mul(grid->sessions, o->thread_count, &grid->sessions) ||
        !berth_mul(grid->sessions, o->batch_count, &grid->cells) ||
        !berth_mul(grid->cells, o->length_count, &grid->cells) || grid->cells > MAX_CELLS)
        return berth_fail(err, BERTH_LIMIT, "the grid has more than %d cells", MAX_CELLS);
    return BERTH_OK;
}

static enum berth_status allocate(struct grid *grid, struct berth_bench_report *report,
                                  struct berth_error *err)
{
    struct berth_bench_owned *owned = report->owned = grid->owned = berth_calloc(1, sizeof *owned);
    report->cell = berth_calloc(grid->cells, sizeof *report->cell);
    grid->model = berth_calloc(grid->o.model_count * grid->o.precision_count, sizeof *grid->model);
    grid->session = berth_calloc(grid->sessions, sizeof *grid->session);
    grid->cell = berth_calloc(grid->cells, sizeof *grid->cell);
    grid->order = berth_calloc(grid->cells, sizeof *grid->order);
    if (owned) {
        owned->model = berth_calloc(grid->o.model_count, sizeof *owned->model);
        owned->status = berth_calloc(grid->cells, sizeof *owned->status);
    }
    if (!owned || !owned->model || !owned->status || !report->cell || !grid->model || !grid->session ||
        !grid->cell || !grid->order)
        return berth_fail_memory(err, "the grid", grid->cells * sizeof *grid->cell);
    report->cells = grid->cells;
    owned->models = grid->o.model_count;
    for (size_t m = 0; m < owned->models; m++)
        if (!(owned->model[m] = berth_strdup(grid->o.models[m])))
            return berth_fail_memory(err, "the name of a model", strlen(grid->o.models[m]));
    return BERTH_OK;
}

/* Records why a cell cannot be measured; the others still are. */
static enum berth_status skip_cell(struct grid *grid, size_t c, const char *why, struct berth_error *err)
{
    grid->cell[c].session = NULL;
    grid->owned->status[c] = berth_strdup(why);
    return grid->owned->status[c] ? BERTH_OK : berth_fail_memory(err, "a status", strlen(why));
}

/* A model that cannot be opened ends the run, but one that lacks a precision only loses those cells. */
static enum berth_status open_models(struct grid *grid, char *why, size_t why_size, struct berth_error *err)
{
    const struct berth_bench_options *o = &grid->o;
    struct berth_error fault;
    for (size_t m = 0; m < o->model_count; m++)
        for (size_t p = 0; p < o->precision_count; p++) {
            struct berth_options options = o->options;
            if (o->precisions[p] != BERTH_PRECISION_DEFAULT)
                options.precision = o->precisions[p];
            struct berth_model **model = &grid->model[m * o->precision_count + p];
            enum berth_status status = berth_model_open(o->models[m], &options, model, &fault);
            if (status == BERTH_UNSUPPORTED && o->precision_count > 1)
                snprintf(why, why_size, "%s", fault.message);
            else if (status != BERTH_OK)
                return berth_fail(err, status, "%s", fault.message);
        }
    return BERTH_OK;
}

static enum berth_status open_sessions(struct grid *grid, struct berth_error *err)
{
    enum berth_status status;
    const struct berth_bench_options *o = &grid->o;
    for (size_t s = 0; s < grid->sessions; s++) {
        const struct berth_model *model = grid->model[s / o->thread_count];
        struct berth_options options = o->options;
        options.threads = o->threads[s % o->thread_count];
        if (model)
            BERTH_TRY(berth_session_new(model, &options, &grid->session[s], err));
    }
    return BERTH_OK;
fail:
    return status;
}

/* Random ids between [CLS] and [SEP], which an empty text consists of. */
static enum berth_status fill_ids(const struct berth_model *model, struct grid_cell *cell,
                                  struct berth_rng *rng, struct berth_error *err)
{
    const struct berth_model_info *info = berth_model_get_info(model);
    struct berth_tokens empty = {0};
    struct berth_text text = BERTH_TEXT("");
    enum berth_status status = berth_tokenize(model, &text, 0, &empty, err);
    bool special = status == BERTH_OK && empty.size == 2 && cell->length >= 2;
    for (size_t i = 0; i < cell->batch; i++) {
        int32_t *ids = cell->ids + i * cell->length;
        for (size_t t = 0; t < cell->length; t++)
            ids[t] = (int32_t)berth_rng_below(rng, info->vocab_size);
        if (special) {
            ids[0] = empty.ids[0];
            ids[cell->length - 1] = empty.ids[1];
        }
        cell->offsets[i + 1] = (i + 1) * cell->length;
    }
    berth_tokens_clear(&empty);
    return status;
}

static enum berth_status run_cell(struct grid_cell *cell, size_t count, struct berth_error *err)
{
    return berth_session_classify_ids(cell->session, cell->ids, NULL, cell->offsets, count, cell->results,
                                      err);
}

/* The very bits of berth's own engine. Another runtime pads and rounds by the batch: int8 by its largest
 * number. */
static bool same_answer(const struct berth_model_info *info, const float *a, const float *b, size_t labels)
{
    static const float allowed = 0.25f;
    float largest = 1;
    if (strcmp(info->runtime, "native") == 0)
        return memcmp(a, b, labels * sizeof *a) == 0;
    for (size_t i = 0; i < labels; i++)
        largest = fmaxf(largest, fabsf(a[i]));
    for (size_t i = 0; i < labels; i++)
        if (!(fabsf(a[i] - b[i]) <= allowed * largest))
            return false;
    return true;
}

/* A wrong configuration is never timed: the first text alone must get the answer that it gets within its
 * batch. */
static enum berth_status check_answer(struct grid_cell *cell, struct berth_error *err)
{
    enum berth_status status = run_cell(cell, cell->batch, err);
    if (status != BERTH_OK || cell->batch == 1)
        return status;
    size_t labels = cell->results[0].labels;
    float *logits = berth_malloc(labels, sizeof *logits);
    if (!logits)
        return berth_fail_memory(err, "logits", labels * sizeof *logits);
    memcpy(logits, cell->results[0].logits, labels * sizeof *logits);
    status = run_cell(cell, 1, err);
    const struct berth_model_info *info = berth_model_get_info(berth_session_model(cell->session));
    if (status == BERTH_OK && !same_answer(info, logits, cell->results[0].logits, labels))
        status = berth_fail(err, BERTH_INTERNAL, "the answer depends on the batch");
    berth_free(logits);
    return status;
}

static enum berth_status warm_up(struct grid_cell *cell, struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status = check_answer(cell, err);
    for (int run = 1; run < WARM_RUNS && status == BERTH_OK && berth_clock_ns() - started < WARM_NS; run++)
        status = run_cell(cell, cell->batch, err);
    return status;
}

static enum berth_status prepare_cell(struct grid *grid, size_t c, const char *unsupported,
                                      struct berth_rng *rng, struct berth_error *err)
{
    const struct berth_bench_options *o = &grid->o;
    struct grid_cell *cell = &grid->cell[c];
    size_t rest = c;
    cell->length = o->lengths[rest % o->length_count], rest /= o->length_count;
    cell->batch = o->batches[rest % o->batch_count], rest /= o->batch_count;
    cell->session = grid->session[rest];
    cell->threads = o->threads[rest % o->thread_count], rest /= o->thread_count;
    cell->precision = rest % o->precision_count;
    cell->model = rest / o->precision_count;
    const struct berth_model *model = grid->model[rest];
    if (!model)
        return skip_cell(grid, c, unsupported, err);
    const struct berth_model_info *info = berth_model_get_info(model);
    if (cell->threads == 0)
        cell->threads = info->threads;
    if (cell->length > info->max_length) {
        char why[96];
        snprintf(why, sizeof why, "the model takes at most %zu tokens", info->max_length);
        return skip_cell(grid, c, why, err);
    }
    cell->ids = berth_calloc(cell->batch * cell->length, sizeof *cell->ids);
    cell->offsets = berth_calloc(cell->batch + 1, sizeof *cell->offsets);
    cell->results = berth_calloc(cell->batch, sizeof *cell->results);
    cell->ms = berth_calloc(o->trials, sizeof *cell->ms);
    if (!cell->ids || !cell->offsets || !cell->results || !cell->ms)
        return berth_fail_memory(err, "a cell of the grid", cell->batch * cell->length * sizeof *cell->ids);
    struct berth_error fault;
    enum berth_status status = fill_ids(model, cell, rng, &fault);
    if (status == BERTH_OK)
        status = warm_up(cell, &fault);
    if (status == BERTH_NO_MEMORY)
        return berth_fail(err, status, "%s: %s", o->models[cell->model], fault.message);
    return status == BERTH_OK ? BERTH_OK : skip_cell(grid, c, fault.message, err);
}

static enum berth_status measure(struct grid *grid, struct berth_rng *rng, struct berth_error *err)
{
    const struct berth_bench_options *o = &grid->o;
    enum berth_status status;
    for (size_t round = 0; round < o->trials; round++) {
        berth_order_shuffle(grid->order, grid->cells, rng);
        for (size_t i = 0; i < grid->cells; i++) {
            struct grid_cell *cell = &grid->cell[grid->order[i]];
            if (o->progress &&
                !o->progress(o->progress_context, round * grid->cells + i, o->trials * grid->cells))
                return berth_fail(err, BERTH_CANCELLED, "stopped after %zu rounds", round);
            if (!cell->session)
                continue;
            uint64_t started = berth_clock_ns();
            BERTH_TRY(run_cell(cell, cell->batch, err));
            cell->ms[cell->n++] = (double)(berth_clock_ns() - started) * 1e-6;
        }
    }
    return BERTH_OK;
fail:
    return status;
}

static void summarise(const struct grid *grid, size_t c, struct berth_bench_cell *out)
{
    const struct grid_cell *cell = &grid->cell[c];
    struct berth_stats stats;
    berth_stats_compute(cell->ms, cell->n, &stats);
    const struct berth_model *model = grid->model[cell->model * grid->o.precision_count + cell->precision];
    enum berth_precision wanted = grid->o.precisions[cell->precision];
    *out = (struct berth_bench_cell){
        .model = grid->owned->model[cell->model],
        .target = "local",
        .runtime = berth_model_get_info(model)->runtime,
        /* The name in force may be the model's own choice; names are static, so they outlive the model. */
        .precision = berth_precision_name(wanted != BERTH_PRECISION_DEFAULT ? wanted : BERTH_PRECISION_FP32),
        .scenario = "single-stream",
        .status = grid->owned->status[c] ? grid->owned->status[c] : "ok",
        .threads = cell->threads,
        .batch = cell->batch,
        .length = cell->length,
        .n = cell->n,
        .mean_ms = stats.mean,
        .min_ms = stats.min,
        .p50_ms = stats.p50,
        .p90_ms = stats.p90,
        .p95_ms = stats.p95,
        .p99_ms = stats.p99,
        .stddev_ms = stats.stddev,
        .texts_per_second = (double)cell->batch * 1e3 / stats.p50,
        .tokens_per_second = (double)(cell->batch * cell->length) * 1e3 / stats.p50,
    };
    enum berth_precision in_force;
    if (model && berth_precision_parse(berth_model_get_info(model)->precision, &in_force))
        out->precision = berth_precision_name(in_force);
    memcpy(out->p50_ci_ms, stats.p50_interval, sizeof out->p50_ci_ms);
    memcpy(out->p90_ci_ms, stats.p90_interval, sizeof out->p90_ci_ms);
    memcpy(out->p99_ci_ms, stats.p99_interval, sizeof out->p99_ci_ms);
}

static void record_environment(const struct grid *grid)
{
    struct berth_bench_owned *owned = grid->owned;
    for (size_t m = 0; m < grid->o.model_count * grid->o.precision_count; m++)
        if (grid->model[m]) {
            const struct berth_model_info *info = berth_model_get_info(grid->model[m]);
            snprintf(owned->cpu, sizeof owned->cpu, "%s", info->cpu);
            snprintf(owned->isa, sizeof owned->isa, "%s", info->isa);
            break;
        }
    owned->processors = berth_cpu_allowed(owned->why, sizeof owned->why);
    struct utsname system;
    if (uname(&system) == 0)
        snprintf(owned->system, sizeof owned->system, "%.40s %.70s %.40s", system.sysname, system.release,
                 system.machine);
}

static void clear_grid(struct grid *grid)
{
    for (size_t c = 0; grid->cell && c < grid->cells; c++) {
        berth_free(grid->cell[c].ids);
        berth_free(grid->cell[c].offsets);
        berth_free(grid->cell[c].results);
        berth_free(grid->cell[c].ms);
    }
    for (size_t s = 0; grid->session && s < grid->sessions; s++)
        berth_session_free(grid->session[s]);
    for (size_t m = 0; grid->model && m < grid->o.model_count * grid->o.precision_count; m++)
        berth_model_free(grid->model[m]);
    berth_free(grid->cell);
    berth_free(grid->session);
    berth_free(grid->model);
    berth_free(grid->order);
}

enum berth_status berth_bench(const struct berth_bench_options *options, struct berth_bench_report *report,
                              struct berth_error *err)
{
    *report = (struct berth_bench_report){0};
    struct grid grid = {0};
    struct berth_rng rng;
    char unsupported[BERTH_ERROR_SIZE] = "";
    enum berth_status status;
    BERTH_TRY(check_options(&grid, options, err));
    BERTH_TRY(allocate(&grid, report, err));
    BERTH_TRY(open_models(&grid, unsupported, sizeof unsupported, err));
    BERTH_TRY(open_sessions(&grid, err));
    berth_rng_seed(&rng, grid.o.seed);
    for (size_t c = 0; c < grid.cells; c++)
        BERTH_TRY(prepare_cell(&grid, c, unsupported, &rng, err));
    BERTH_TRY(measure(&grid, &rng, err));
    for (size_t c = 0; c < grid.cells; c++)
        summarise(&grid, c, &report->cell[c]);
    record_environment(&grid);
    clear_grid(&grid);
    return BERTH_OK;
fail:
    clear_grid(&grid);
    berth_bench_report_clear(report);
    return status;
}

void berth_bench_report_clear(struct berth_bench_report *report)
{
    if (!report)
        return;
    struct berth_bench_owned *owned = report->owned;
    for (size_t m = 0; owned && owned->model && m < owned->models; m++)
        berth_free(owned->model[m]);
    for (size_t c = 0; owned && owned->status && c < report->cells; c++)
        berth_free(owned->status[c]);
    if (owned) {
        berth_free(owned->model);
        berth_free(owned->status);
    }
    berth_free(owned);
    berth_free(report->cell);
    *report = (struct berth_bench_report){0};
}
