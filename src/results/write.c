/* write.c: runs, configurations, and blocks of trials. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/error.h"
#include "results/database.h"

enum { UID_DIGITS = 32 };

static enum berth_status make_uid(char uid[UID_DIGITS + 1], struct berth_error *err)
{
    unsigned char bytes[UID_DIGITS / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return berth_fail(err, BERTH_IO, "the system gives no random numbers for the identity of a run");
    for (size_t i = 0; i < sizeof bytes; i++)
        sprintf(uid + 2 * i, "%02x", bytes[i]);
    return BERTH_OK;
}

enum berth_status berth_results_add_run(struct berth_results *results, const struct berth_results_run *new_run,
                                        int64_t *run, struct berth_error *err)
{
    char uid[UID_DIGITS + 1], name[16];
    enum berth_status status;
    if (new_run->uid && (strlen(new_run->uid) != UID_DIGITS || strspn(new_run->uid, "0123456789abcdef") != UID_DIGITS))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a run's uid is %d hex digits, not '%s'", UID_DIGITS,
                          new_run->uid);
    if (new_run->uid)
        strcpy(uid, new_run->uid);
    else
        BERTH_TRY(make_uid(uid, err));
    snprintf(name, sizeof name, "run-%.8s", uid);
    BERTH_TRY(berth_results_execute(
        results, err,
        "INSERT INTO run(uid, name, started_us, finished_us, command, suite, seed) VALUES(?, ?, ?, ?, ?, ?, ?)",
        "ttiitti", uid, new_run->name && *new_run->name ? new_run->name : name,
        new_run->started_us ? new_run->started_us : berth_results_now_us(), new_run->finished_us, new_run->command,
        new_run->suite, (int64_t)new_run->seed));
    *run = sqlite3_last_insert_rowid(results->db);
    return BERTH_OK;
fail:
    return status;
}

enum berth_status berth_results_finish_run(struct berth_results *results, int64_t run, struct berth_error *err)
{
    return berth_results_execute(results, err, "UPDATE run SET finished_us = ? WHERE id = ?", "ii",
                                 berth_results_now_us(), run);
}

enum berth_status berth_results_set_fact(struct berth_results *results, int64_t run, const char *key, const char *value,
                                         struct berth_error *err)
{
    return berth_results_execute(results, err, "INSERT OR REPLACE INTO fact(run, key, value) VALUES(?, ?, ?)", "itt",
                                 run, key, value);
}

enum berth_status berth_results_set_model(struct berth_results *results, const struct berth_results_model *model,
                                          struct berth_error *err)
{
    return berth_results_execute(
        results, err,
        "INSERT OR REPLACE INTO model(run, name, source, hash, architecture, parameters, layers, hidden, bytes) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "ittttiiii", model->run, model->name, model->source, model->hash, model->architecture, model->parameters,
        model->layers, model->hidden, model->bytes);
}

static enum berth_status find_configuration(struct berth_results *results, const struct berth_results_configuration *c,
                                            int64_t *id, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row = false;
    enum berth_status status = berth_results_prepare(
        results, &statement, err,
        "SELECT id FROM configuration WHERE run = ? AND model = ? AND target = ? AND runtime = ? AND optimization = ? "
        "AND precision = ? AND scenario = ? AND data = ? AND threads = ? AND batch = ? AND length = ? "
        "AND concurrency = ? AND rate = ?",
        "itttttttiiiid", c->run, c->model, c->target, c->runtime, c->optimization, c->precision, c->scenario, c->data,
        c->threads, c->batch, c->length, c->concurrency ? c->concurrency : INT64_C(1), c->rate);
    if (status == BERTH_OK)
        status = berth_results_step(results, statement, &row, err);
    *id = row ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    return status;
}

enum berth_status berth_results_add_configuration(struct berth_results *results,
                                                  const struct berth_results_configuration *c, int64_t *id,
                                                  struct berth_error *err)
{
    if (c->batch < 1 || c->length < 0 || c->threads < 0 || c->concurrency < 0 || !(c->rate >= 0))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a configuration of batch %lld, length %lld, %lld threads, "
                          "concurrency %lld, rate %g cannot be recorded", (long long)c->batch, (long long)c->length,
                          (long long)c->threads, (long long)c->concurrency, c->rate);
    enum berth_status status = berth_results_execute(
        results, err,
        "INSERT OR IGNORE INTO configuration(run, model, target, runtime, optimization, precision, scenario, data, "
        "threads, batch, length, concurrency, rate) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "itttttttiiiid", c->run, c->model, c->target, c->runtime, c->optimization, c->precision, c->scenario, c->data,
        c->threads, c->batch, c->length, c->concurrency ? c->concurrency : INT64_C(1), c->rate);
    return status == BERTH_OK ? find_configuration(results, c, id, err) : status;
}

enum berth_status berth_results_set_outcome(struct berth_results *results, int64_t configuration,
                                            const struct berth_results_outcome *outcome, struct berth_error *err)
{
    return berth_results_execute(results, err,
                                 "UPDATE configuration SET status = ?, failure = ?, memory_bytes = ?, load_ms = ?, "
                                 "cold_ms = ?, difference = ?, allowed = ? WHERE id = ?",
                                 "ttiddddi", outcome->status, outcome->failure, outcome->memory_bytes, outcome->load_ms,
                                 outcome->cold_ms, outcome->difference, outcome->allowed, configuration);
}

enum berth_status berth_results_set_accuracy(struct berth_results *results, int64_t configuration, int64_t correct,
                                             int64_t labelled, struct berth_error *err)
{
    if (correct < 0 || correct > labelled)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%lld right answers of %lld cannot be recorded",
                          (long long)correct, (long long)labelled);
    return berth_results_execute(results, err, "UPDATE configuration SET correct = ?, labelled = ? WHERE id = ?", "iii",
                                 correct, labelled, configuration);
}

enum berth_status berth_results_set_summary(struct berth_results *results, int64_t configuration,
                                            const struct berth_results_summary *s, struct berth_error *err)
{
    return berth_results_execute(results, err,
                                 "UPDATE configuration SET summary_n = ?, mean_ms = ?, stddev_ms = ?, p50_ms = ?, "
                                 "p90_ms = ?, p95_ms = ?, p99_ms = ? WHERE id = ?",
                                 "iddddddi", s->n, s->mean_ms, s->stddev_ms, s->p50_ms, s->p90_ms, s->p95_ms, s->p99_ms,
                                 configuration);
}

/* Blocks do not overlap, so the last one that begins before the end of this is the only one that can. */
static enum berth_status check_free(struct berth_results *results, const struct berth_results_trials *t,
                                    int64_t *batch, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row = false;
    int64_t end = 0;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(results, &statement, err,
                                    "SELECT batch, (SELECT first + count FROM trials WHERE configuration = c.id AND "
                                    "first < ?2 ORDER BY first DESC LIMIT 1) FROM configuration c WHERE id = ?1",
                                    "ii", t->configuration, t->first + (int64_t)t->count));
    BERTH_TRY(berth_results_step(results, statement, &row, err));
    *batch = row ? sqlite3_column_int64(statement, 0) : 0;
    end = row ? sqlite3_column_int64(statement, 1) : 0;
    if (!row)
        status = berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: there is no configuration %lld", results->path,
                            (long long)t->configuration);
    else if (end > t->first)
        status = berth_fail(err, BERTH_BUSY, "%s: trial %lld of configuration %lld is there already: does another process "
                            "measure the same run?", results->path, (long long)t->first, (long long)t->configuration);
fail:
    sqlite3_finalize(statement);
    return status;
}

static int64_t sum_of(const int64_t *values, size_t n)
{
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return sum;
}

static enum berth_status insert_block(struct berth_results *results, const struct berth_results_trials *t,
                                      int64_t batch, struct berth_error *err)
{
    const int64_t *service = t->service_ns ? t->service_ns : t->latency_ns;
    size_t bytes = t->count * sizeof(int64_t);
    enum berth_status status;
    BERTH_TRY(berth_results_execute(
        results, err,
        "INSERT INTO trials(configuration, first, count, began_us, wall_ns, texts, tokens, padded_tokens, late, cpu_ns, "
        "energy_uj, failure, latency, service, ok) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiiiiiiiiiitbbb", t->configuration, t->first, (int64_t)t->count,
        t->began_us ? t->began_us : berth_results_now_us(), t->wall_ns ? t->wall_ns : sum_of(service, t->count),
        t->texts ? t->texts : (int64_t)t->count * batch, t->tokens, t->padded_tokens, t->late, t->cpu_ns, t->energy_uj,
        t->failure, (const void *)t->latency_ns, bytes, (const void *)t->service_ns, bytes, (const void *)t->ok,
        t->count));
    for (size_t s = 0; s < t->stages; s++)
        BERTH_TRY(berth_results_execute(results, err,
                                        "INSERT INTO stage(configuration, first, name, ns) VALUES(?, ?, ?, ?)", "iitb",
                                        t->configuration, t->first, t->stage[s].name, (const void *)t->stage[s].ns,
                                        bytes));
fail:
    return status;
}

enum berth_status berth_results_append(struct berth_results *results, const struct berth_results_trials *trials,
                                       struct berth_error *err)
{
    if (trials->count < 1 || trials->count > BERTH_RESULTS_BLOCK || trials->first < 1 || !trials->latency_ns)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%zu trials from number %lld cannot be one block: 1 to %d, "
                          "numbered from 1", trials->count, (long long)trials->first, BERTH_RESULTS_BLOCK);
    int64_t batch = 1;
    enum berth_status status = berth_results_begin(results, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(check_free(results, trials, &batch, err));
    BERTH_TRY(insert_block(results, trials, batch, err));
fail:
    return berth_results_end(results, status, err);
}

enum berth_status berth_results_done(struct berth_results *results, int64_t configuration, bool *done, size_t trials,
                                     size_t *count, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row;
    enum berth_status status;
    memset(done, 0, trials * sizeof *done);
    *count = 0;
    BERTH_TRY(berth_results_prepare(results, &statement, err,
                                    "SELECT first, count FROM trials WHERE configuration = ? AND first <= ?", "ii",
                                    configuration, (int64_t)trials));
    for (;;) {
        BERTH_TRY(berth_results_step(results, statement, &row, err));
        if (!row)
            break;
        int64_t first = sqlite3_column_int64(statement, 0), n = sqlite3_column_int64(statement, 1);
        for (int64_t i = first < 1 ? 1 : first; i - first < n && i <= (int64_t)trials; i++) {
            *count += !done[i - 1];
            done[i - 1] = true;
        }
    }
fail:
    sqlite3_finalize(statement);
    return status;
}
