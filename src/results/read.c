/* read.c: the book of a file (runs, models, configurations), and the latencies of one configuration. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "results/database.h"

struct berth_results_text {
    struct berth_results_text *next;
    char bytes[];
};

/* Rows of one query, one after the other, into an array that grows. */
struct rows {
    struct berth_results *results;
    struct berth_results_book *book;
    sqlite3_stmt *statement;
    bool short_of_memory;
};

static const char *keep_text(struct rows *rows, int column)
{
    const char *text = berth_results_text_of(rows->statement, column);
    size_t size = strlen(text) + 1;
    struct berth_results_text *kept = size > 1 ? berth_malloc(sizeof *kept + size, 1) : NULL;
    if (!kept) {
        rows->short_of_memory |= size > 1;
        return "";
    }
    memcpy(kept->bytes, text, size);
    kept->next = rows->book->texts;
    rows->book->texts = kept;
    return kept->bytes;
}

static int64_t number(struct rows *rows, int column)
{
    return sqlite3_column_int64(rows->statement, column);
}

static double real(struct rows *rows, int column)
{
    return berth_results_double_of(rows->statement, column);
}

static void read_run(struct rows *rows, void *item)
{
    *(struct berth_results_run *)item = (struct berth_results_run){
        number(rows, 0),    keep_text(rows, 1), keep_text(rows, 2), number(rows, 3),
        number(rows, 4), keep_text(rows, 5), keep_text(rows, 6), (uint64_t)number(rows, 7)};
}

static void read_fact(struct rows *rows, void *item)
{
    *(struct berth_results_fact *)item =
        (struct berth_results_fact){number(rows, 0), keep_text(rows, 1), keep_text(rows, 2)};
}

static void read_model(struct rows *rows, void *item)
{
    *(struct berth_results_model *)item = (struct berth_results_model){
        number(rows, 0), keep_text(rows, 1), keep_text(rows, 2), keep_text(rows, 3), keep_text(rows, 4),
        number(rows, 5), number(rows, 6),    number(rows, 7),    number(rows, 8)};
}

static void read_configuration(struct rows *rows, void *item)
{
    *(struct berth_results_configuration *)item = (struct berth_results_configuration){
        .id = number(rows, 0),
        .run = number(rows, 1),
        .model = keep_text(rows, 2),
        .target = keep_text(rows, 3),
        .runtime = keep_text(rows, 4),
        .optimization = keep_text(rows, 5),
        .precision = keep_text(rows, 6),
        .scenario = keep_text(rows, 7),
        .data = keep_text(rows, 8),
        .threads = number(rows, 9),
        .batch = number(rows, 10),
        .length = number(rows, 11),
        .concurrency = number(rows, 12),
        .rate = real(rows, 13),
        .status = keep_text(rows, 14),
        .failure = keep_text(rows, 15),
        .memory_bytes = number(rows, 16),
        .load_ms = real(rows, 17),
        .cold_ms = real(rows, 18),
        .difference = real(rows, 19),
        .allowed = real(rows, 20),
        .correct = number(rows, 21),
        .labelled = number(rows, 22),
        .summary = {number(rows, 23), real(rows, 24), real(rows, 25), real(rows, 26), real(rows, 27), real(rows, 28),
                    real(rows, 29)},
    };
}

static enum berth_status read_rows(struct rows *rows, const char *sql, int64_t run, size_t size,
                                   void (*read)(struct rows *, void *), void **items, size_t *count,
                                   struct berth_error *err)
{
    size_t capacity = 0;
    bool row;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(rows->results, &rows->statement, err, sql, "i", run));
    for (;;) {
        BERTH_TRY(berth_results_step(rows->results, rows->statement, &row, err));
        if (!row)
            break;
        if (*count == capacity) {
            capacity = capacity ? 2 * capacity : 16;
            void *grown = berth_realloc(*items, capacity, size);
            if (!grown)
                BERTH_TRY(berth_fail_memory(err, "the results", capacity * size));
            *items = grown;
        }
        read(rows, (char *)*items + *count * size);
        (*count)++;
        if (rows->short_of_memory)
            BERTH_TRY(berth_fail_memory(err, "the results", 0));
    }
fail:
    sqlite3_finalize(rows->statement);
    rows->statement = NULL;
    return status;
}

#define READ(rows, sql, one, items, count) \
    read_rows(&(rows), sql, run, sizeof *(items), one, (void **)&(items), &(count), err)

enum berth_status berth_results_read(struct berth_results *results, int64_t run, struct berth_results_book *book,
                                     struct berth_error *err)
{
    *book = (struct berth_results_book){0};
    struct rows rows = {.results = results, .book = book};
    enum berth_status status;
    BERTH_TRY(READ(rows,
                   "SELECT id, uid, name, started_us, finished_us, command, suite, seed FROM run WHERE ?1 IN (0, id) "
                   "ORDER BY id",
                   read_run, book->run, book->runs));
    BERTH_TRY(READ(rows, "SELECT run, key, value FROM fact WHERE ?1 IN (0, run) ORDER BY run, key", read_fact, book->fact,
                   book->facts));
    BERTH_TRY(READ(rows,
                   "SELECT run, name, source, hash, architecture, parameters, layers, hidden, bytes FROM model "
                   "WHERE ?1 IN (0, run) ORDER BY run, name",
                   read_model, book->model, book->models));
    BERTH_TRY(READ(rows,
                   "SELECT id, run, model, target, runtime, optimization, precision, scenario, data, threads, batch, "
                   "length, concurrency, rate, status, failure, memory_bytes, load_ms, cold_ms, difference, allowed, "
                   "correct, labelled, summary_n, mean_ms, stddev_ms, p50_ms, p90_ms, p95_ms, p99_ms "
                   "FROM configuration WHERE ?1 IN (0, run) ORDER BY id",
                   read_configuration, book->configuration, book->configurations));
    return BERTH_OK;
fail:
    berth_results_book_clear(book);
    return status;
}

void berth_results_book_clear(struct berth_results_book *book)
{
    if (!book)
        return;
    for (struct berth_results_text *text = book->texts, *next; text; text = next) {
        next = text->next;
        berth_free(text);
    }
    berth_free(book->run);
    berth_free(book->fact);
    berth_free(book->model);
    berth_free(book->configuration);
    *book = (struct berth_results_book){0};
}

/* ---- Latencies ---- */

static enum berth_status damaged(const struct berth_results *results, int64_t configuration, struct berth_error *err)
{
    return berth_fail(err, BERTH_FORMAT, "%s: the results file is damaged: a block of configuration %lld does not hold as "
                      "many latencies as it says", results->path, (long long)configuration);
}

/* Room for `more` latencies behind the `used` ones. */
static bool make_room(struct berth_results_series *s, size_t used, size_t more, size_t *capacity)
{
    size_t wanted = used + more;
    if (wanted <= *capacity)
        return true;
    wanted = wanted < 2 * *capacity ? 2 * *capacity : wanted;
    int64_t **const arrays[] = {&s->trial, &s->latency_ns, &s->service_ns};
    for (int i = 0; i < 3; i++) {
        int64_t *grown = berth_realloc(*arrays[i], wanted, sizeof *grown);
        if (!grown)
            return false;
        *arrays[i] = grown;
    }
    unsigned char *ok = berth_realloc(s->ok, wanted, 1);
    if (!ok)
        return false;
    s->ok = ok;
    *capacity = wanted;
    return true;
}

/* What a block holds is what it says: checked before anything of its size is allocated. */
static bool check_block(sqlite3_stmt *statement, size_t used)
{
    int64_t first = sqlite3_column_int64(statement, 0), count = sqlite3_column_int64(statement, 1);
    if (count < 1 || count > BERTH_RESULTS_BLOCK || first < 1 || first > INT64_MAX - count || used > SIZE_MAX / 64)
        return false;
    size_t n = (size_t)count, bytes = n * sizeof(int64_t);
    for (int column = 2; column <= 4; column++) {
        size_t size = (size_t)sqlite3_column_bytes(statement, column);
        bool absent = sqlite3_column_type(statement, column) == SQLITE_NULL;
        if (absent ? column == 2 : size != (column == 4 ? n : bytes))
            return false;
    }
    return true;
}

/* Adds one number of the block to a sum over blocks; false when it is none. */
static bool add_up(sqlite3_stmt *statement, int column, int64_t *sum)
{
    int64_t value = sqlite3_column_int64(statement, column);
    return value >= 0 && !__builtin_add_overflow(*sum, value, sum);
}

static bool take_sums(struct berth_results_series *s, sqlite3_stmt *statement)
{
    int64_t *const sums[] = {&s->texts, &s->tokens, &s->padded_tokens, &s->late, &s->wall_ns, &s->cpu_ns, &s->energy_uj};
    for (int i = 0; i < 7; i++)
        if (!add_up(statement, 6 + i, sums[i]))
            return false;
    int64_t began = sqlite3_column_int64(statement, 13), wall = sqlite3_column_int64(statement, 10);
    if (began > 1 && began < INT64_MAX / 2 && wall >= 0) { /* 1: imported, its time is not known */
        s->began_us = s->began_us == 0 || began < s->began_us ? began : s->began_us;
        s->ended_us = began + wall / 1000 > s->ended_us ? began + wall / 1000 : s->ended_us;
    }
    return true;
}

/* The latencies of a checked block, into room that is there; false when one is negative. */
static bool take_block(struct berth_results_series *s, size_t used, sqlite3_stmt *statement)
{
    int64_t first = sqlite3_column_int64(statement, 0);
    size_t n = (size_t)sqlite3_column_int64(statement, 1);
    const void *latency = sqlite3_column_blob(statement, 2), *service = sqlite3_column_blob(statement, 3),
               *ok = sqlite3_column_blob(statement, 4);
    if (!latency) /* without memory */
        return false;
    memcpy(s->latency_ns + used, latency, n * sizeof(int64_t));
    memcpy(s->service_ns + used, service ? service : latency, n * sizeof(int64_t));
    for (size_t i = 0; i < n; i++) {
        s->trial[used + i] = first + (int64_t)i;
        s->ok[used + i] = !ok || ((const unsigned char *)ok)[i] != 0;
        s->failed += !s->ok[used + i];
        if (s->latency_ns[used + i] < 0 || s->service_ns[used + i] < 0)
            return false;
    }
    if (!s->failure[0])
        snprintf(s->failure, sizeof s->failure, "%s", berth_results_text_of(statement, 5));
    return true;
}

enum berth_status berth_results_read_series(struct berth_results *results, int64_t configuration,
                                            struct berth_results_series *series, struct berth_error *err)
{
    *series = (struct berth_results_series){0};
    sqlite3_stmt *statement;
    size_t capacity = 0;
    bool row;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(results, &statement, err,
                                    "SELECT first, count, latency, service, ok, failure, texts, tokens, padded_tokens, late, "
                                    "wall_ns, cpu_ns, energy_uj, began_us FROM trials WHERE configuration = ? ORDER BY first",
                                    "i", configuration));
    for (;;) {
        BERTH_TRY(berth_results_step(results, statement, &row, err));
        if (!row)
            break;
        if (!check_block(statement, series->n))
            BERTH_TRY(damaged(results, configuration, err));
        size_t n = (size_t)sqlite3_column_int64(statement, 1);
        if (!make_room(series, series->n, n, &capacity))
            BERTH_TRY(berth_fail_memory(err, "the latencies of a configuration", (series->n + n) * 25));
        if (!take_sums(series, statement) || !take_block(series, series->n, statement))
            BERTH_TRY(damaged(results, configuration, err));
        series->n += n;
    }
fail:
    sqlite3_finalize(statement);
    if (status != BERTH_OK)
        berth_results_series_clear(series);
    return status;
}

void berth_results_series_clear(struct berth_results_series *series)
{
    berth_free(series->trial);
    berth_free(series->latency_ns);
    berth_free(series->service_ns);
    berth_free(series->ok);
    *series = (struct berth_results_series){0};
}

enum berth_status berth_results_each_stage(struct berth_results *results, int64_t configuration,
                                           berth_results_stage_fn *each, void *context, struct berth_error *err)
{
    sqlite3_stmt *statement = NULL;
    int64_t *values = NULL;
    bool row;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(results, &statement, err,
                                    "SELECT name, first, ns FROM stage WHERE configuration = ? ORDER BY first, name", "i",
                                    configuration));
    for (;;) {
        BERTH_TRY(berth_results_step(results, statement, &row, err));
        if (!row)
            break;
        const void *bytes = sqlite3_column_blob(statement, 2);
        size_t size = (size_t)sqlite3_column_bytes(statement, 2);
        if (!bytes || size % sizeof *values != 0)
            BERTH_TRY(damaged(results, configuration, err));
        int64_t *grown = berth_realloc(values, size, 1); /* a blob need not be aligned */
        if (!grown)
            BERTH_TRY(berth_fail_memory(err, "the stages of a configuration", size));
        values = grown;
        memcpy(values, bytes, size);
        BERTH_TRY(each(context, berth_results_text_of(statement, 0), sqlite3_column_int64(statement, 1),
                       size / sizeof *values, values, err));
    }
fail:
    sqlite3_finalize(statement);
    berth_free(values);
    return status;
}

/* ---- Finding a run ---- */

static enum berth_status list_runs(struct berth_results *results, const char *name, struct berth_error *err)
{
    sqlite3_stmt *statement;
    char list[512];
    size_t used = 0;
    bool row = true;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(results, &statement, err, "SELECT DISTINCT name FROM run ORDER BY id DESC", ""));
    for (;;) {
        BERTH_TRY(berth_results_step(results, statement, &row, err));
        if (!row)
            break;
        int length = snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                              berth_results_text_of(statement, 0));
        if (length < 0 || (size_t)length >= sizeof list - used)
            break;
        used += (size_t)length;
    }
    list[used] = 0;
    if (used == 0)
        status = berth_fail(err, BERTH_NOT_FOUND, "%s: holds no run", results->path);
    else
        status = berth_fail(err, BERTH_NOT_FOUND, "%s: there is no run '%s'; there are: %s%s", results->path, name, list,
                            row ? ", ..." : "");
fail:
    sqlite3_finalize(statement);
    return status;
}

enum berth_status berth_results_find_run(struct berth_results *results, const char *name, int64_t *run,
                                         struct berth_error *err)
{
    static const char any[] = "SELECT id FROM run WHERE ?1 IN ('', 'last') ORDER BY started_us DESC, id DESC LIMIT 1";
    static const char oldest[] = "SELECT id FROM run WHERE ?1 = 'first' ORDER BY started_us, id LIMIT 1";
    static const char named[] = "SELECT id FROM run WHERE name = ?1 ORDER BY started_us DESC, id DESC LIMIT 1";
    static const char by_id[] = "SELECT id FROM run WHERE CAST(id AS TEXT) = ?1";
    static const char by_uid[] =
        "SELECT id FROM run WHERE length(?1) >= 4 AND substr(uid, 1, length(?1)) = ?1 ORDER BY id DESC LIMIT 1";
    static const char *const ways[] = {named, any, oldest, by_id, by_uid};
    sqlite3_stmt *statement;
    bool row = false;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        enum berth_status status = berth_results_prepare(results, &statement, err, ways[i], "t", name);
        if (status == BERTH_OK)
            status = berth_results_step(results, statement, &row, err);
        if (status == BERTH_OK && row)
            *run = sqlite3_column_int64(statement, 0);
        sqlite3_finalize(statement);
        if (status != BERTH_OK || row)
            return status;
    }
    return list_runs(results, name, err);
}
