/* page_log.c: every trial of the page: kept in the results file, or in memory when there is none. On disk a row is
 * one run of one deployment; rows of one trial share their `click`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "results/results.h"
#include "serve/handlers.h"
#include "serve/page.h"

enum {
    TRIALS_MAX = 200,         /* of one POST */
    ANSWERS_MAX = 2000,       /* of one trial: deployments times runs */
    ROWS_MAX = 20000,         /* of one POST */
    PIECE_ROWS = 4000,        /* of one GET */
    MEMORY_ROWS_MAX = 500000, /* kept without a file */
    TEXT_MAX = 16384,         /* bytes kept of a text */
    WORD_MAX = 512,           /* bytes of a label, a name, a failure */
};

struct berth_page_log {
    struct berth_results *results; /* used by the page's worker alone, after the start */
    char *file;                    /* NULL: in memory */
    size_t rows;                   /* added, in memory */
    int64_t last_click;
};

static enum berth_status note_click(void *context, const struct berth_results_page_trial *trial,
                                    struct berth_error *err)
{
    (void)err;
    struct berth_page_log *log = context;
    log->last_click = berth_max(log->last_click, trial->click);
    return BERTH_OK;
}

enum berth_status berth_page_log_new(const char *results, struct berth_page_log **out, struct berth_error *err)
{
    *out = NULL;
    enum berth_status status;
    struct berth_page_log *log = berth_calloc(1, sizeof *log);
    if (!log)
        return berth_fail_memory(err, "the page's log", sizeof *log);
    if (results && !(log->file = berth_strdup(results))) {
        status = berth_fail_memory(err, "the page's log", strlen(results));
        goto fail;
    }
    BERTH_TRY(berth_results_open(results, results ? BERTH_RESULTS_APPEND : BERTH_RESULTS_MEMORY, &log->results, err));
    BERTH_TRY(berth_results_page_each(log->results, 0, SIZE_MAX, note_click, log, err));
    *out = log;
    return BERTH_OK;
fail:
    berth_page_log_free(log);
    return status;
}

void berth_page_log_free(struct berth_page_log *log)
{
    if (!log)
        return;
    berth_results_close(log->results);
    berth_free(log->file);
    berth_free(log);
}

const char *berth_page_log_file(const struct berth_page_log *log)
{
    return log->file;
}

/* ---- POST /api/log ---- */

/* Rows to add, and the strings that were cut for them. */
struct batch {
    struct berth_request *request;
    struct berth_results_page_trial *rows;
    size_t count, capacity;
    char **cut;
    size_t cuts;
};

/* The string cut at `limit` bytes, before a character rather than within; NULL: memory ran out. */
static const char *take_text(struct batch *batch, const char *text, size_t size, size_t limit)
{
    size = strnlen(text, size); /* a NUL ends what SQLite and we keep */
    if (size <= limit)
        return text;
    while (limit > 0 && ((unsigned char)text[limit] & 0xC0) == 0x80)
        limit--;
    char **cut = berth_realloc(batch->cut, batch->cuts + 1, sizeof *cut);
    char *copy = berth_malloc(limit + 4, 1);
    if (cut)
        batch->cut = cut;
    if (!cut || !copy) {
        berth_free(copy);
        return NULL;
    }
    memcpy(copy, text, limit);
    memcpy(copy + limit, "\xe2\x80\xa6", 4); /* an ellipsis */
    return batch->cut[batch->cuts++] = copy;
}

static bool read_string(struct batch *batch, const json_t *object, const char *name, size_t limit, const char **into)
{
    size_t size;
    if (!berth_page_text(batch->request, object, name, SIZE_MAX, into, &size))
        return false;
    *into = *into ? take_text(batch, *into, size, limit) : "";
    if (*into)
        return true;
    berth_reply_error(&batch->request->reply, 503, "memory ran out");
    return false;
}

static bool read_number(struct batch *batch, const json_t *object, const char *name, double scale, double *into)
{
    const json_t *value = json_object_get(object, name);
    *into = json_is_number(value) ? json_number_value(value) * scale : (double)NAN;
    if (!value || json_is_null(value) || isfinite(*into))
        return true;
    berth_reply_error(&batch->request->reply, 422, "'%s' is not a number", name);
    return false;
}

static bool read_answer(struct batch *batch, const json_t *answer, const struct berth_results_page_trial *trial)
{
    if (batch->count == ROWS_MAX) {
        berth_reply_error(&batch->request->reply, 413, "more than %d answers at once", ROWS_MAX);
        return false;
    }
    if (batch->count == batch->capacity) {
        size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
        void *rows = berth_realloc(batch->rows, capacity, sizeof *batch->rows);
        if (!rows) {
            berth_reply_error(&batch->request->reply, 503, "memory ran out");
            return false;
        }
        batch->rows = rows;
        batch->capacity = capacity;
    }
    struct berth_results_page_trial *row = &batch->rows[batch->count];
    double tokens;
    *row = *trial;
    if (!read_string(batch, answer, "deployment", WORD_MAX, &row->deployment) ||
        !read_string(batch, answer, "label", WORD_MAX, &row->prediction) ||
        !read_string(batch, answer, "error", WORD_MAX, &row->failure) ||
        !read_number(batch, answer, "score", 1, &row->score) ||
        !read_number(batch, answer, "queue_us", 1e-3, &row->queue_ms) ||
        !read_number(batch, answer, "compute_us", 1e-3, &row->compute_ms) ||
        !read_number(batch, answer, "total_us", 1e-3, &row->latency_ms) ||
        !read_number(batch, answer, "tokens", 1, &tokens))
        return false;
    row->tokens = tokens >= 0 && tokens < 1e9 ? (int64_t)tokens : 0;
    if (*row->deployment) {
        batch->count++;
        return true;
    }
    berth_reply_error(&batch->request->reply, 422, "an answer lacks its 'deployment'");
    return false;
}

static bool read_trial(struct batch *batch, const json_t *object, int64_t click)
{
    struct berth_results_page_trial trial = {.click = click};
    const json_t *answers = json_object_get(object, "answers");
    size_t count = json_array_size(answers);
    if (count == 0 || count > ANSWERS_MAX) {
        berth_reply_error(&batch->request->reply, 422, "a trial has 1 to %d 'answers'", ANSWERS_MAX);
        return false;
    }
    if (!read_string(batch, object, "text", TEXT_MAX, &trial.sentence) ||
        !read_string(batch, object, "pair", TEXT_MAX, &trial.pair) ||
        !read_string(batch, object, "truth", WORD_MAX, &trial.truth))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!read_answer(batch, json_array_get(answers, i), &trial))
            return false;
    return true;
}

/* Microseconds since 1970, and never twice the same. */
static int64_t next_click(struct berth_page_log *log)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    return log->last_click = berth_max(us, log->last_click + 1);
}

static void store(struct berth_request *request, struct batch *batch, json_t *ids)
{
    struct berth_page_log *log = request->server->page->log;
    struct berth_error err;
    if (!log->file && log->rows + batch->count > MEMORY_ROWS_MAX)
        berth_reply_error(&request->reply, 413, "the log in memory is full; start with --results FILE to keep more");
    else if (berth_results_page_add(log->results, batch->rows, batch->count, &err) != BERTH_OK)
        berth_reply_failure(&request->reply, &err);
    else {
        log->rows += batch->count;
        berth_page_answer(request, json_pack("{s:O}", "ids", ids));
    }
}

static void run_add(struct berth_request *request)
{
    json_t *body = berth_page_body(request);
    if (!body)
        return;
    struct batch batch = {.request = request};
    const json_t *trials = json_object_get(body, "trials");
    json_t *ids = json_array();
    size_t count = json_array_size(trials);
    bool good = ids && count > 0 && count <= TRIALS_MAX;
    if (!good)
        berth_reply_error(&request->reply, 422, "'trials' is not a list of 1 to %d trials", TRIALS_MAX);
    for (size_t i = 0; good && i < count; i++) {
        int64_t click = next_click(request->server->page->log);
        good = read_trial(&batch, json_array_get(trials, i), click);
        json_array_append_new(ids, json_integer(click));
    }
    if (good)
        store(request, &batch, ids);
    for (size_t i = 0; i < batch.cuts; i++)
        berth_free(batch.cut[i]);
    berth_free(batch.cut);
    berth_free(batch.rows);
    json_decref(ids);
    json_decref(body);
}

void berth_handle_page_record(struct berth_request *request)
{
    berth_page_defer(request, run_add);
}

/* ---- GET /api/log?after=N ---- */

struct piece {
    json_t *trials;
    json_t *last, *answers; /* of the trial that is being read; borrowed */
    int64_t click;
    int64_t next, last_next; /* the newest row; that before the last trial's first */
    size_t rows;
};

static json_t *number_or_null(double value, double scale)
{
    return isfinite(value) ? json_real(value * scale) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? json_string(text) : json_null();
}

static enum berth_status add_row(void *context, const struct berth_results_page_trial *row, struct berth_error *err)
{
    struct piece *piece = context;
    if (!piece->last || row->click != piece->click) {
        piece->last_next = piece->next;
        piece->answers = json_array();
        piece->last = json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)row->click, "time",
                                (json_int_t)(row->time_us / 1000), "text", json_string(row->sentence ? row->sentence : ""),
                                "pair", text_or_null(row->pair), "truth", text_or_null(row->truth), "answers",
                                piece->answers);
        piece->click = row->click;
        if (!piece->last || json_array_append_new(piece->trials, piece->last) != 0)
            return berth_fail_memory(err, "the log", 0);
    }
    json_t *answer = json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:I}", "deployment", row->deployment, "label",
                               text_or_null(row->prediction), "score", number_or_null(row->score, 1), "queue_us",
                               number_or_null(row->queue_ms, 1e3), "compute_us", number_or_null(row->compute_ms, 1e3),
                               "total_us", number_or_null(row->latency_ms, 1e3), "tokens", (json_int_t)row->tokens);
    if (answer && row->failure && *row->failure)
        json_object_set_new(answer, "error", json_string(row->failure));
    if (!answer || json_array_append_new(piece->answers, answer) != 0)
        return berth_fail_memory(err, "the log", 0);
    piece->next = row->id;
    piece->rows++;
    return BERTH_OK;
}

static void run_list(struct berth_request *request)
{
    char value[BERTH_VALUE_SIZE] = "";
    berth_request_query(request, "after", value);
    int64_t after = (int64_t)strtoll(value, NULL, 10);
    struct piece piece = {.trials = json_array(), .next = after, .last_next = after};
    struct berth_error err;
    if (!piece.trials)
        berth_reply_error(&request->reply, 503, "memory ran out");
    else if (berth_results_page_each(request->server->page->log->results, after, PIECE_ROWS, add_row, &piece, &err) !=
             BERTH_OK)
        berth_reply_failure(&request->reply, &err);
    else {
        bool more = piece.rows == PIECE_ROWS;
        /* The last trial may go on behind the piece: it comes whole with the next one. */
        if (more && json_array_size(piece.trials) > 1) {
            json_array_remove(piece.trials, json_array_size(piece.trials) - 1);
            piece.next = piece.last_next;
        }
        berth_page_answer(request, json_pack("{s:O, s:I, s:b}", "trials", piece.trials, "next", (json_int_t)piece.next,
                                             "more", (int)more));
    }
    json_decref(piece.trials);
}

void berth_handle_page_log(struct berth_request *request)
{
    berth_page_defer(request, run_list);
}
