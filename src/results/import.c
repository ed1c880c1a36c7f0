/* import.c: results from CSV, and several files as one. A CSV has a row a latency (what berth export prints), or a row a
 * published figure (mean_ms); its columns are found by name. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/delimited.h"
#include "results/database.h"
#include "results/exchange.h"

enum column {
    RUN, MODEL, TARGET, RUNTIME, OPTIMIZATION, PRECISION, SCENARIO, DATA, THREADS, BATCH, LENGTH, TRIAL, LATENCY, SERVICE,
    OK, COUNT, MEAN, STDDEV, P50, P90, P95, P99, CORRECT, LABELLED, PARAMETERS, MEMORY, COLUMNS
};

static const char *const names[COLUMNS] = {
    "run", "model", "target", "runtime", "optimization", "precision", "scenario", "data", "threads", "batch", "length",
    "trial", "latency_ms", "service_ms", "ok", "n", "mean_ms", "stddev_ms", "p50_ms", "p90_ms", "p95_ms", "p99_ms",
    "correct", "labelled", "parameters", "memory_mb"};

enum { CSV_LIMIT = 1 << 30, CELLS = 64 };

struct import {
    struct berth_results *results;
    const char *name;
    size_t line;
    int place[CELLS]; /* of the cell: a column, or -1 */
    size_t cells;
    const char *cell[COLUMNS]; /* of this row; NULL: not there or empty */
    int64_t run, configuration; /* of the row before */
    struct berth_results_configuration last;
    char kept[DATA + 1][256]; /* its texts */
    int64_t *latency, *service, first; /* of trials that follow one another and wait to be appended */
    unsigned char *ok;
    size_t count, capacity;
};

static enum berth_status split(struct import *in, char *row, size_t size, char **cell, size_t *count,
                               struct berth_error *err)
{
    struct berth_cells cells = berth_cells_begin(row, size, true);
    bool malformed = false;
    size_t length;
    *count = 0;
    for (char *text; (text = berth_cells_next(&cells, &length, &malformed)) != NULL;) {
        if (*count == CELLS)
            return berth_fail(err, BERTH_LIMIT, "%s:%zu: more than %d columns", in->name, in->line, CELLS);
        cell[(*count)++] = text;
    }
    return malformed ? berth_fail(err, BERTH_FORMAT, "%s:%zu: text behind a closing quote", in->name, in->line) : BERTH_OK;
}

static enum berth_status read_header(struct import *in, char *row, size_t size, struct berth_error *err)
{
    char *cell[CELLS];
    bool has[COLUMNS] = {false};
    enum berth_status status = split(in, row, size, cell, &in->cells, err);
    for (size_t i = 0; status == BERTH_OK && i < in->cells; i++) {
        in->place[i] = -1;
        for (int c = 0; c < COLUMNS; c++)
            if (strcmp(cell[i], names[c]) == 0)
                in->place[i] = c, has[c] = true;
    }
    if (status == BERTH_OK && (!has[MODEL] || !has[TARGET] || !has[BATCH] || !(has[LATENCY] || has[MEAN])))
        return berth_fail(err, BERTH_FORMAT, "%s: neither a results file nor a CSV of results: the first line of one names "
                          "model, target, batch and latency_ms or mean_ms", in->name);
    return status;
}

static enum berth_status get_number(struct import *in, enum column column, double missing, double *value,
                                    struct berth_error *err)
{
    char *end;
    *value = missing;
    if (!in->cell[column])
        return BERTH_OK;
    *value = strtod(in->cell[column], &end);
    if (*end || !(*value >= 0 && *value < 1e15))
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: '%s' is no %s", in->name, in->line, in->cell[column], names[column]);
    return BERTH_OK;
}

static const char *get_text(struct import *in, enum column column, const char *missing)
{
    const char *text = in->cell[column] ? in->cell[column] : missing;
    snprintf(in->kept[column], sizeof in->kept[column], "%s", text);
    return in->kept[column];
}

static enum berth_status flush(struct import *in, struct berth_error *err)
{
    const struct berth_results_trials block = {.configuration = in->configuration,
                                               .first = in->first,
                                               .count = in->count,
                                               .latency_ns = in->latency,
                                               .service_ns = in->service,
                                               .ok = in->ok,
                                               .began_us = 1};
    if (in->count == 0)
        return BERTH_OK;
    in->count = 0;
    return berth_results_append(in->results, &block, err);
}

static enum berth_status find_run(struct import *in, const char *name, struct berth_error *err)
{
    struct berth_error ignored;
    if (berth_results_find_run(in->results, name, &in->run, &ignored) == BERTH_OK)
        return BERTH_OK;
    return berth_results_add_run(in->results, &(struct berth_results_run){.name = name, .started_us = 1}, &in->run, err);
}

static bool same_question(const struct berth_results_configuration *a, const struct berth_results_configuration *b)
{
    return a->threads == b->threads && a->batch == b->batch && a->length == b->length;
}

/* The row's configuration: mostly that of the row before. */
static enum berth_status find_configuration(struct import *in, struct berth_error *err)
{
    const char *missing[] = {"imported", "", "", "", "", "fp32", "single-stream", ""};
    struct berth_results_configuration c = {0};
    double threads, batch, length;
    bool changed = in->configuration == 0;
    enum berth_status status;
    BERTH_TRY(get_number(in, THREADS, 0, &threads, err));
    BERTH_TRY(get_number(in, BATCH, 1, &batch, err));
    BERTH_TRY(get_number(in, LENGTH, 0, &length, err));
    if (length > 0 && in->cell[LATENCY]) /* as it is where berth measured: what it exports is the same question again */
        missing[DATA] = "synthetic";
    c.threads = (int64_t)threads, c.batch = (int64_t)batch, c.length = (int64_t)length;
    for (int t = RUN; t <= DATA; t++)
        changed |= strncmp(in->kept[t], in->cell[t] ? in->cell[t] : missing[t], sizeof in->kept[t] - 1) != 0;
    if (!changed && same_question(&c, &in->last))
        return BERTH_OK;
    BERTH_TRY(flush(in, err));
    for (int t = RUN; t <= DATA; t++)
        get_text(in, (enum column)t, missing[t]);
    BERTH_TRY(find_run(in, in->kept[RUN], err));
    c.run = in->run, c.model = in->kept[MODEL], c.target = in->kept[TARGET], c.runtime = in->kept[RUNTIME];
    c.optimization = in->kept[OPTIMIZATION], c.precision = in->kept[PRECISION], c.scenario = in->kept[SCENARIO];
    c.data = in->kept[DATA];
    BERTH_TRY(berth_results_add_configuration(in->results, &c, &in->configuration, err));
    in->last = c;
fail:
    return status;
}

static enum berth_status take_latency(struct import *in, struct berth_error *err)
{
    double trial, latency, service, ok;
    enum berth_status status;
    BERTH_TRY(get_number(in, TRIAL, (double)(in->first + (int64_t)in->count), &trial, err));
    BERTH_TRY(get_number(in, LATENCY, NAN, &latency, err));
    BERTH_TRY(get_number(in, SERVICE, latency, &service, err));
    BERTH_TRY(get_number(in, OK, 1, &ok, err));
    if (in->count > 0 && (int64_t)trial != in->first + (int64_t)in->count)
        BERTH_TRY(flush(in, err));
    if (in->count == 0)
        in->first = (int64_t)trial;
    if (in->count == in->capacity) {
        size_t capacity = in->capacity ? 2 * in->capacity : 1024;
        int64_t *a = berth_realloc(in->latency, capacity, sizeof *a);
        in->latency = a ? a : in->latency;
        int64_t *b = a ? berth_realloc(in->service, capacity, sizeof *b) : NULL;
        in->service = b ? b : in->service;
        unsigned char *o = b ? berth_realloc(in->ok, capacity, 1) : NULL;
        if (!o)
            return berth_fail_memory(err, "latencies", capacity * 17);
        in->ok = o, in->capacity = capacity;
    }
    in->latency[in->count] = (int64_t)(latency * 1e6 + 0.5);
    in->service[in->count] = (int64_t)(service * 1e6 + 0.5);
    in->ok[in->count++] = ok != 0;
    if (in->count == BERTH_RESULTS_BLOCK)
        BERTH_TRY(flush(in, err));
fail:
    return status;
}

static enum berth_status take_figures(struct import *in, struct berth_error *err)
{
    struct berth_results_summary s;
    struct berth_results_outcome outcome = {"ok", "", 0, NAN, NAN, NAN, NAN};
    double n, correct, labelled, parameters, memory;
    enum berth_status status;
    BERTH_TRY(get_number(in, COUNT, 1, &n, err));
    BERTH_TRY(get_number(in, MEAN, NAN, &s.mean_ms, err));
    BERTH_TRY(get_number(in, STDDEV, NAN, &s.stddev_ms, err));
    BERTH_TRY(get_number(in, P50, NAN, &s.p50_ms, err));
    BERTH_TRY(get_number(in, P90, NAN, &s.p90_ms, err));
    BERTH_TRY(get_number(in, P95, NAN, &s.p95_ms, err));
    BERTH_TRY(get_number(in, P99, NAN, &s.p99_ms, err));
    BERTH_TRY(get_number(in, CORRECT, 0, &correct, err));
    BERTH_TRY(get_number(in, LABELLED, 0, &labelled, err));
    BERTH_TRY(get_number(in, PARAMETERS, 0, &parameters, err));
    BERTH_TRY(get_number(in, MEMORY, 0, &memory, err));
    s.n = n < 1 ? 1 : (int64_t)n;
    outcome.memory_bytes = (int64_t)(memory * 1048576);
    BERTH_TRY(berth_results_set_summary(in->results, in->configuration, &s, err));
    BERTH_TRY(berth_results_set_outcome(in->results, in->configuration, &outcome, err));
    if (labelled > 0)
        BERTH_TRY(berth_results_set_accuracy(in->results, in->configuration, (int64_t)correct, (int64_t)labelled, err));
    if (parameters > 0)
        BERTH_TRY(berth_results_set_model(in->results, &(struct berth_results_model){.run = in->run,
                                                                                     .name = in->kept[MODEL],
                                                                                     .parameters = (int64_t)parameters},
                                          err));
fail:
    return status;
}

static enum berth_status take_row(struct import *in, char *row, size_t size, struct berth_error *err)
{
    static const struct berth_results_outcome ok = {"ok", "", 0, NAN, NAN, NAN, NAN};
    char *cell[CELLS];
    size_t count;
    int64_t before = in->configuration;
    enum berth_status status;
    BERTH_TRY(split(in, row, size, cell, &count, err));
    if (count != in->cells)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: %zu columns, the first line has %zu", in->name, in->line, count,
                          in->cells);
    memset(in->cell, 0, sizeof in->cell);
    for (size_t i = 0; i < count; i++)
        if (in->place[i] >= 0 && *cell[i])
            in->cell[in->place[i]] = cell[i];
    BERTH_TRY(find_configuration(in, err));
    if (!in->cell[LATENCY])
        return take_figures(in, err);
    if (in->configuration != before)
        BERTH_TRY(berth_results_set_outcome(in->results, in->configuration, &ok, err));
    BERTH_TRY(take_latency(in, err));
fail:
    return status;
}

enum berth_status berth_results_import_csv(struct berth_results *results, const char *name, char *text, size_t size,
                                           struct berth_error *err)
{
    struct import in = {.results = results, .name = name, .first = 1};
    enum berth_status status = BERTH_OK;
    size_t rows = 0;
    for (size_t at = 0, next; at < size && status == BERTH_OK; at = next) {
        enum berth_csv_state state = BERTH_CSV_CELL_START;
        size_t end = at, from = at;
        do { /* a quoted cell may hold line ends */
            char *line_end = memchr(text + from, '\n', size - from);
            end = line_end ? (size_t)(line_end - text) : size;
            state = berth_csv_scan(state, text + from, end - from);
            from = end + 1;
        } while (state == BERTH_CSV_QUOTED && from < size);
        next = end + 1;
        in.line++;
        size_t length = end - at - (end > at && text[end - 1] == '\r');
        if (length == 0)
            continue;
        status = in.cells == 0 ? read_header(&in, text + at, length, err) : take_row(&in, text + at, length, err);
        rows++;
    }
    if (status == BERTH_OK)
        status = flush(&in, err);
    if (status == BERTH_OK && rows < 2)
        status = berth_fail(err, BERTH_FORMAT, "%s: holds no results", name);
    berth_free(in.latency);
    berth_free(in.service);
    berth_free(in.ok);
    return status;
}

/* ---- Several files as one ---- */

extern const unsigned char berth_study_2021[];
extern const size_t berth_study_2021_size;

static bool is_database(const char *path)
{
    char magic[16] = "";
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(magic, 1, sizeof magic, file) : 0;
    if (file)
        fclose(file);
    return !file || size < sizeof magic || memcmp(magic, "SQLite format 3", sizeof magic) == 0;
}

static enum berth_status add_file(struct berth_results *into, const char *path, struct berth_error *err)
{
    char *text = NULL;
    size_t size = berth_study_2021_size;
    enum berth_status status;
    if (strcmp(path, "bundled:study-2021") == 0) {
        if (!(text = berth_malloc(size + 1, 1)))
            return berth_fail_memory(err, "the study's figures", size);
        memcpy(text, berth_study_2021, size);
        text[size] = 0;
    } else if (is_database(path)) {
        return berth_results_merge(into, path, NULL, err);
    } else if ((status = berth_file_read(path, CSV_LIMIT, &text, &size, err)) != BERTH_OK) {
        return status;
    }
    if (memchr(text, 0, size))
        status = berth_fail(err, BERTH_FORMAT, "%s: neither a results file nor a CSV of results", path);
    else
        status = berth_results_import_csv(into, path, text, size, err);
    berth_free(text);
    return status;
}

enum berth_status berth_results_open_all(const char *const *paths, size_t count, struct berth_results **results,
                                         struct berth_error *err)
{
    *results = NULL;
    if (count == 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no results file: name one that berth bench wrote");
    if (count == 1 && strcmp(paths[0], "bundled:study-2021") != 0 && is_database(paths[0]))
        return berth_results_open(paths[0], BERTH_RESULTS_READ, results, err);
    struct berth_results *all;
    enum berth_status status = berth_results_open(NULL, BERTH_RESULTS_MEMORY, &all, err);
    for (size_t i = 0; status == BERTH_OK && i < count; i++)
        status = add_file(all, paths[i], err);
    if (status == BERTH_OK)
        *results = all;
    else
        berth_results_close(all);
    return status;
}
