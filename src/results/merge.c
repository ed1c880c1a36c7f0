/* merge.c: what another file has and this one lacks. */
#include "base/error.h"
#include "results/database.h"

/* Every row of a query on `from` goes through a statement on `into`; the query's first column is left out when it is
 * `skip`ped, and the number `id` takes the place of the next. */
struct copy {
    const char *read, *write;
    int skip;
};

static const struct copy facts = {"SELECT run, key, value FROM fact WHERE run = ?",
                                  "INSERT OR IGNORE INTO fact VALUES(?, ?, ?)", 0};
static const struct copy models = {
    "SELECT run, name, source, hash, architecture, parameters, layers, hidden, bytes FROM model WHERE run = ?",
    "INSERT OR IGNORE INTO model(run, name, source, hash, architecture, parameters, layers, hidden, bytes) "
    "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)", 0};
static const struct copy trials = {
    "SELECT configuration, first, count, began_us, wall_ns, texts, tokens, padded_tokens, late, cpu_ns, energy_uj, "
    "failure, latency, service, ok FROM trials WHERE configuration = ?",
    "INSERT OR IGNORE INTO trials(configuration, first, count, began_us, wall_ns, texts, tokens, padded_tokens, late, "
    "cpu_ns, energy_uj, failure, latency, service, ok) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", 0};
static const struct copy stages = {"SELECT configuration, first, name, ns FROM stage WHERE configuration = ?",
                                   "INSERT OR IGNORE INTO stage(configuration, first, name, ns) VALUES(?, ?, ?, ?)", 0};
static const struct copy page = {
    "SELECT 0, click, time_us, deployment, sentence, pair, truth, prediction, score, latency_ms, queue_ms, compute_ms, "
    "tokens, failure FROM page_trial WHERE ? = 0 ORDER BY id",
    "INSERT INTO page_trial(click, time_us, deployment, sentence, pair, truth, prediction, score, latency_ms, queue_ms, "
    "compute_ms, tokens, failure) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13 WHERE NOT EXISTS("
    "SELECT 1 FROM page_trial WHERE click = ?1 AND time_us = ?2 AND deployment = ?3 AND sentence = ?4)", 1};

/* `key` selects on the one side, `id` replaces it on the other. *latencies grows by the counts of new trials. */
static enum berth_status copy_rows(struct berth_results *from, struct berth_results *into, const struct copy *copy,
                                   int64_t key, int64_t id, int64_t *latencies, struct berth_error *err)
{
    sqlite3_stmt *read = NULL, *write = NULL;
    bool row, ignored;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(from, &read, err, copy->read, "i", key));
    BERTH_TRY(berth_results_prepare(into, &write, err, copy->write, ""));
    for (;;) {
        BERTH_TRY(berth_results_step(from, read, &row, err));
        if (!row)
            break;
        sqlite3_reset(write);
        for (int column = copy->skip; column < sqlite3_column_count(read); column++)
            if (column == 0 ? sqlite3_bind_int64(write, 1, id)
                            : sqlite3_bind_value(write, column + 1 - copy->skip, sqlite3_column_value(read, column)))
                BERTH_TRY(berth_results_fail(into, err, "merge"));
        BERTH_TRY(berth_results_step(into, write, &ignored, err));
        if (latencies && sqlite3_changes(into->db) > 0)
            *latencies += sqlite3_column_int64(read, 2);
    }
fail:
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return status;
}

/* What came of a configuration stays; what the other file knows takes the place of what is not known here. */
static enum berth_status merge_outcome(struct berth_results *into, int64_t id,
                                       const struct berth_results_configuration *c, struct berth_error *err)
{
    const struct berth_results_summary *s = &c->summary;
    enum berth_status status;
    BERTH_TRY(berth_results_execute(into, err,
                                    "UPDATE configuration SET status = ?, failure = ?, memory_bytes = ?, load_ms = ?, "
                                    "cold_ms = ?, difference = ?, allowed = ? WHERE id = ? AND status = 'pending'",
                                    "ttiddddi", c->status, c->failure, c->memory_bytes, c->load_ms, c->cold_ms,
                                    c->difference, c->allowed, id));
    BERTH_TRY(berth_results_execute(into, err,
                                    "UPDATE configuration SET correct = ?, labelled = ? WHERE id = ? AND labelled = 0",
                                    "iii", c->correct, c->labelled, id));
    BERTH_TRY(berth_results_execute(into, err,
                                    "UPDATE configuration SET summary_n = ?, mean_ms = ?, stddev_ms = ?, p50_ms = ?, "
                                    "p90_ms = ?, p95_ms = ?, p99_ms = ? WHERE id = ? AND summary_n = 0",
                                    "iddddddi", s->n, s->mean_ms, s->stddev_ms, s->p50_ms, s->p90_ms, s->p95_ms,
                                    s->p99_ms, id));
fail:
    return status;
}

static enum berth_status merge_configuration(struct berth_results *from, struct berth_results *into,
                                             struct berth_results_configuration *c, int64_t run, int64_t *added,
                                             struct berth_error *err)
{
    int64_t id;
    enum berth_status status;
    c->run = run;
    BERTH_TRY(berth_results_add_configuration(into, c, &id, err));
    BERTH_TRY(merge_outcome(into, id, c, err));
    BERTH_TRY(copy_rows(from, into, &trials, c->id, id, added, err));
    BERTH_TRY(copy_rows(from, into, &stages, c->id, id, NULL, err));
fail:
    return status;
}

static enum berth_status find_uid(struct berth_results *results, const char *uid, int64_t *run, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row = false;
    enum berth_status status = berth_results_prepare(results, &statement, err, "SELECT id FROM run WHERE uid = ?", "t", uid);
    if (status == BERTH_OK)
        status = berth_results_step(results, statement, &row, err);
    *run = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

static enum berth_status merge_run(struct berth_results *from, struct berth_results *into,
                                   const struct berth_results_run *run, int64_t *added, struct berth_error *err)
{
    int64_t id;
    struct berth_results_book book = {0};
    enum berth_status status;
    BERTH_TRY(find_uid(into, run->uid, &id, err));
    if (id == 0)
        BERTH_TRY(berth_results_add_run(into, run, &id, err));
    else if (run->finished_us > 0)
        BERTH_TRY(berth_results_execute(into, err, "UPDATE run SET finished_us = ? WHERE id = ? AND finished_us = 0", "ii",
                                        run->finished_us, id));
    BERTH_TRY(copy_rows(from, into, &facts, run->id, id, NULL, err));
    BERTH_TRY(copy_rows(from, into, &models, run->id, id, NULL, err));
    BERTH_TRY(berth_results_read(from, run->id, &book, err));
    for (size_t i = 0; i < book.configurations; i++)
        BERTH_TRY(merge_configuration(from, into, &book.configuration[i], id, added, err));
fail:
    berth_results_book_clear(&book);
    return status;
}

enum berth_status berth_results_merge_from(struct berth_results *into, struct berth_results *from, int64_t *added,
                                           struct berth_error *err)
{
    struct berth_results_book book;
    int64_t latencies = 0;
    enum berth_status status = berth_results_read(from, 0, &book, err);
    if (status == BERTH_OK && (status = berth_results_begin(into, err)) == BERTH_OK) {
        for (size_t i = 0; status == BERTH_OK && i < book.runs; i++)
            status = merge_run(from, into, &book.run[i], &latencies, err);
        if (status == BERTH_OK)
            status = copy_rows(from, into, &page, 0, 0, NULL, err);
        status = berth_results_end(into, status, err);
    }
    berth_results_book_clear(&book);
    if (added)
        *added = status == BERTH_OK ? latencies : 0;
    return status;
}

enum berth_status berth_results_merge(struct berth_results *into, const char *path, int64_t *added,
                                      struct berth_error *err)
{
    struct berth_results *from;
    enum berth_status status = berth_results_open(path, BERTH_RESULTS_READ, &from, err);
    if (status == BERTH_OK)
        status = berth_results_merge_from(into, from, added, err);
    berth_results_close(from);
    return status;
}
