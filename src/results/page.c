/* page.c: the log of the page: what each deployment answered to a sentence. */
#include "base/error.h"
#include "results/database.h"

static enum berth_status add_one(struct berth_results *results, const struct berth_results_page_trial *t,
                                 struct berth_error *err)
{
    return berth_results_execute(
        results, err,
        "INSERT INTO page_trial(click, time_us, deployment, sentence, pair, truth, prediction, score, latency_ms, "
        "queue_ms, compute_ms, tokens, failure) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iitttttddddit", t->click, t->time_us ? t->time_us : berth_results_now_us(), t->deployment, t->sentence,
        t->pair, t->truth, t->prediction, t->score, t->latency_ms, t->queue_ms, t->compute_ms, t->tokens, t->failure);
}

enum berth_status berth_results_page_add(struct berth_results *results, const struct berth_results_page_trial *trials,
                                         size_t count, struct berth_error *err)
{
    enum berth_status status = berth_results_begin(results, err);
    if (status != BERTH_OK)
        return status;
    for (size_t i = 0; status == BERTH_OK && i < count; i++)
        status = add_one(results, &trials[i], err);
    return berth_results_end(results, status, err);
}

enum berth_status berth_results_page_each(struct berth_results *results, int64_t after, size_t limit,
                                          berth_results_page_fn *each, void *context, struct berth_error *err)
{
    sqlite3_stmt *statement;
    bool row;
    enum berth_status status;
    BERTH_TRY(berth_results_prepare(results, &statement, err,
                                    "SELECT id, click, time_us, deployment, sentence, pair, truth, prediction, score, "
                                    "latency_ms, queue_ms, compute_ms, tokens, failure FROM page_trial WHERE id > ? "
                                    "ORDER BY id LIMIT ?",
                                    "ii", after, limit > INT64_MAX ? INT64_MAX : (int64_t)limit));
    for (;;) {
        BERTH_TRY(berth_results_step(results, statement, &row, err));
        if (!row)
            break;
        const struct berth_results_page_trial trial = {
            .id = sqlite3_column_int64(statement, 0),
            .click = sqlite3_column_int64(statement, 1),
            .time_us = sqlite3_column_int64(statement, 2),
            .deployment = berth_results_text_of(statement, 3),
            .sentence = berth_results_text_of(statement, 4),
            .pair = berth_results_text_of(statement, 5),
            .truth = berth_results_text_of(statement, 6),
            .prediction = berth_results_text_of(statement, 7),
            .score = berth_results_double_of(statement, 8),
            .latency_ms = berth_results_double_of(statement, 9),
            .queue_ms = berth_results_double_of(statement, 10),
            .compute_ms = berth_results_double_of(statement, 11),
            .tokens = sqlite3_column_int64(statement, 12),
            .failure = berth_results_text_of(statement, 13),
        };
        BERTH_TRY(each(context, &trial, err));
    }
fail:
    sqlite3_finalize(statement);
    return status;
}

enum berth_status berth_results_page_clear(struct berth_results *results, struct berth_error *err)
{
    return berth_results_execute(results, err, "DELETE FROM page_trial", "");
}
