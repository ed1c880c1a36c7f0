/* evaluate.c: a file of labelled texts through a session, window by window, into a scorer. Memory is one
 * window and what the scorer keeps. Uses the library as any other program would: sessions and readers by
 * their public face. */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "eval/scorer.h"

enum {
    WINDOW_TEXTS = 4096,      /* enough for batches of like lengths */
    WINDOW_TARGETS = 4 << 20, /* labels of a window, for models with very many */
    WINDOW_BYTES = 8 << 20,   /* texts of a window; one text may be longer */
};

/* Texts read and not yet classified. */
struct window {
    size_t limit, count;
    struct berth_buffer bytes;    /* text, pair, text, pair, ... end to end */
    struct berth_text *texts;     /* [limit] owned; pointers are set when the bytes no longer move */
    double *targets;              /* [limit, width] owned */
    struct berth_result *results; /* [limit] owned */
};

struct run {
    const struct berth_evaluation_options *options;
    const char *name;              /* of the file, for messages */
    struct berth_session *session; /* borrowed */
    struct berth_reader *reader;
    struct berth_label_map labels;
    struct berth_scorer scorer;
    struct window window;
    size_t tokens;
};

static enum berth_status init_window(struct window *window, const struct berth_label_map *labels,
                                     struct berth_error *err)
{
    size_t limit = berth_min(WINDOW_TEXTS, berth_max(1, WINDOW_TARGETS / labels->model->labels));
    window->limit = limit;
    berth_buffer_init(&window->bytes,
                      SIZE_MAX / 4); /* bounded by WINDOW_BYTES and the reader's longest record */
    window->texts = berth_calloc(limit, sizeof *window->texts);
    window->targets = berth_calloc(limit * labels->width, sizeof *window->targets);
    window->results = berth_calloc(limit, sizeof *window->results);
    if (!window->texts || !window->targets || !window->results)
        return berth_fail_memory(err, "a window of texts", limit * sizeof *window->results);
    return BERTH_OK;
}

static void clear_run(struct run *run)
{
    berth_reader_close(run->reader);
    berth_scorer_clear(&run->scorer);
    berth_label_map_clear(&run->labels);
    berth_buffer_clear(&run->window.bytes);
    berth_free(run->window.texts);
    berth_free(run->window.targets);
    berth_free(run->window.results);
}

/* Copies a record into the window. */
static enum berth_status keep_record(struct run *run, const struct berth_record *record,
                                     struct berth_error *err)
{
    struct window *window = &run->window;
    const struct berth_text *text = &record->text;
    double *target = window->targets + window->count * run->labels.width;
    enum berth_status status = berth_label_map_read(&run->labels, record->label, target, err);
    if (status != BERTH_OK)
        return berth_fail_prefix(err, status, "%s:%zu", run->name, record->line);
    if (!berth_buffer_append(&window->bytes, text->text, text->size) ||
        (text->pair && !berth_buffer_append(&window->bytes, text->pair, text->pair_size)))
        return berth_fail_memory(err, "texts", text->size + text->pair_size);
    window->texts[window->count++] = *text;
    return BERTH_OK;
}

/* Classifies and scores the window, and empties it. */
static enum berth_status finish_window(struct run *run, struct berth_error *err)
{
    struct window *window = &run->window;
    const char *at = window->bytes.data;
    for (size_t i = 0; i < window->count; i++) {
        struct berth_text *text = &window->texts[i];
        text->text = at;
        at += text->size;
        if (text->pair)
            text->pair = at;
        at += text->pair_size;
    }
    enum berth_status status =
        berth_session_classify(run->session, window->texts, window->count, window->results, err);
    for (size_t i = 0; i < window->count && status == BERTH_OK; i++) {
        run->tokens += window->results[i].tokens;
        status = berth_scorer_add(&run->scorer, window->targets + i * run->labels.width,
                                  window->results[i].logits, err);
    }
    window->count = 0;
    window->bytes.size = 0;
    if (status == BERTH_OK && run->options->progress &&
        !run->options->progress(run->options->progress_context, run->scorer.examples, 0))
        return berth_fail(err, BERTH_CANCELLED, "evaluation stopped after %zu examples",
                          run->scorer.examples);
    return status;
}

/* All records through the windows. */
static enum berth_status score_file(struct run *run, struct berth_error *err)
{
    struct window *window = &run->window;
    enum berth_status status;
    for (bool end = false; !end;) {
        struct berth_record record;
        BERTH_TRY(berth_reader_next(run->reader, &record, &end, err));
        if (!end)
            BERTH_TRY(keep_record(run, &record, err));
        if (window->count > 0 &&
            (end || window->count == window->limit || window->bytes.size >= WINDOW_BYTES))
            BERTH_TRY(finish_window(run, err));
    }
    if (run->scorer.examples == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: no examples to evaluate on", run->name);
    return BERTH_OK;
fail:
    return status;
}

enum berth_status berth_evaluate(struct berth_session *session,
                                 const struct berth_evaluation_options *options,
                                 struct berth_evaluation *evaluation, struct berth_error *err)
{
    enum berth_status status;
    uint64_t start = berth_clock_ns();
    struct run run = {.options = options, .session = session};
    *evaluation = (struct berth_evaluation){0};
    const struct berth_task *task = options->task ? berth_task_find(options->task) : NULL;
    if (!task)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown task '%s'; known are %s",
                          options->task ? options->task : "", berth_task_names);
    if (!options->data)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "no data to evaluate on: name a file, or - for standard input");
    run.name = strcmp(options->data, "-") == 0 ? "standard input" : options->data;
    BERTH_TRY(
        berth_label_map_init(&run.labels, task, berth_model_get_info(berth_session_model(session)), err));
    BERTH_TRY(berth_scorer_init(&run.scorer, &run.labels, err));
    BERTH_TRY(init_window(&run.window, &run.labels, err));
    BERTH_TRY(berth_reader_open_task(options->data, task->name, &options->columns, true, &run.reader, err));
    BERTH_TRY(score_file(&run, err));
    BERTH_TRY(berth_scorer_finish(&run.scorer, evaluation, err));
    evaluation->tokens = run.tokens;
    evaluation->seconds = (double)(berth_clock_ns() - start) / 1e9;
fail:
    clear_run(&run);
    if (status != BERTH_OK)
        *evaluation = (struct berth_evaluation){0};
    return status;
}
