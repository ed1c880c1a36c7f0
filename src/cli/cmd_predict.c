/* cmd_predict.c: `berth predict`: texts to labels, in windows, so that a file larger than memory is fine. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

enum format { FORMAT_UNSET, FORMAT_TABLE, FORMAT_JSONL, FORMAT_JSON, FORMAT_TSV };
static const char *const format_words[] = {"", "table", "jsonl", "json", "tsv"};

static bool read_format(void *target, const char *value)
{
    for (int i = FORMAT_TABLE; i <= FORMAT_TSV; i++)
        if (strcmp(value, format_words[i]) == 0) {
            *(enum format *)target = (enum format)i;
            return true;
        }
    return false;
}

enum { LABEL_SHOWN = 200 }; /* characters, in formats for people */

/* Texts collected: at most so many, and about so many bytes, are classified together. */
enum { WINDOW_TEXTS = 512, WINDOW_BYTES = 4 << 20 };

struct window {
    size_t count;
    char *bytes;
    size_t used, capacity;
    struct {
        size_t text, text_size, pair, pair_size; /* offsets into bytes; pair SIZE_MAX: none */
        size_t line;                             /* of the source, from 1 */
    } place[WINDOW_TEXTS];
    struct berth_text texts[WINDOW_TEXTS];
    struct berth_result results[WINDOW_TEXTS];
};

struct job {
    struct berth_session *session;
    const char *source; /* of the texts, for messages */
    struct window *window;
    enum format format;
    FILE *out;
    size_t written;
};

static void write_numbers(FILE *out, const char *name, const float *numbers, size_t count)
{
    fprintf(out, ", \"%s\": [", name);
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s%.9g", i ? ", " : "", (double)numbers[i]);
    putc(']', out);
}

static void write_json(FILE *out, const struct berth_model_info *info, const struct berth_result *result)
{
    if (!result->label) {
        fprintf(out, "{\"score\": %.9g", (double)result->score);
        write_numbers(out, "logits", result->logits, result->labels);
    } else {
        fputs("{\"label\": ", out);
        cli_json_string(out, result->label, strlen(result->label));
        fprintf(out, ", \"score\": %.9g", (double)result->score);
        if (strcmp(info->problem, "multi_label_classification") == 0) {
            fputs(", \"labels\": [", out);
            bool any = false;
            for (size_t i = 0; i < result->labels; i++)
                if (result->scores[i] >= 0.5f) {
                    fputs(any ? ", " : "", out);
                    cli_json_string(out, info->label_names[i], strlen(info->label_names[i]));
                    any = true;
                }
            putc(']', out);
        }
        write_numbers(out, "scores", result->scores, result->labels);
        write_numbers(out, "logits", result->logits, result->labels);
    }
    fprintf(out, ", \"tokens\": %zu", result->tokens);
    if (result->truncated)
        fputs(", \"truncated\": true", out);
    putc('}', out);
}

/* The beginning of a text on one line: control characters as spaces, cut at a character's boundary. Returns
 * the characters written. */
static size_t write_excerpt(FILE *out, const char *text, size_t size, size_t limit)
{
    size_t shown = 0;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c & 0xc0) != 0x80 && shown++ == limit) {
            fputs("...", out);
            return limit + 3;
        }
        putc(c < 0x20 || c == 0x7f ? ' ' : c, out);
    }
    return shown;
}

/* A label, which may be any text, and spaces up to the width. */
static void write_label(FILE *out, const char *label, size_t width)
{
    for (size_t shown = write_excerpt(out, label, strlen(label), LABEL_SHOWN); shown < width; shown++)
        putc(' ', out);
}

static void write_result(struct job *job, const struct berth_text *text, const struct berth_result *result)
{
    const struct berth_model_info *info = berth_model_get_info(berth_session_model(job->session));
    FILE *out = job->out;
    bool first = job->written++ == 0;
    switch (job->format) {
        case FORMAT_JSON:
            fputs(first ? "[" : ",\n ", out);
            write_json(out, info, result);
            break;
        case FORMAT_TSV:
            if (first)
                fputs("label\tscore\ttokens\n", out);
            write_label(out, result->label ? result->label : "", 0);
            fprintf(out, "\t%.9g\t%zu\n", (double)result->score, result->tokens);
            break;
        case FORMAT_TABLE:
            if (first)
                fprintf(out, "%-16s %8s %7s  %s\n", "label", "score", "tokens", "text");
            write_label(out, result->label ? result->label : "-", 16);
            fprintf(out, " %8.4f %7zu  ", (double)result->score, result->tokens);
            write_excerpt(out, text->text, text->size, 60);
            if (text->pair) {
                fputs(" | ", out);
                write_excerpt(out, text->pair, text->pair_size, 40);
            }
            putc('\n', out);
            break;
        default:
            write_json(out, info, result);
            putc('\n', out);
    }
}

static bool add(struct window *window, const char *bytes, size_t size, size_t *offset)
{
    if (window->capacity - window->used < size + 1) {
        size_t capacity = 2 * window->capacity + size + 1;
        char *grown = realloc(window->bytes, capacity);
        if (!grown)
            return false;
        window->bytes = grown;
        window->capacity = capacity;
    }
    *offset = window->used;
    memcpy(window->bytes + window->used, bytes, size);
    window->used += size;
    return true;
}

static enum berth_status collect(struct window *window, const struct berth_text *text, size_t line,
                                 struct berth_error *err)
{
    size_t i = window->count, text_at, pair_at = SIZE_MAX;
    if (!add(window, text->text, text->size, &text_at) ||
        (text->pair && !add(window, text->pair, text->pair_size, &pair_at))) {
        snprintf(err->message, sizeof err->message, "out of memory for a text of %zu bytes",
                 text->size + text->pair_size);
        return err->status = BERTH_NO_MEMORY;
    }
    window->place[i].text = text_at;
    window->place[i].text_size = text->size;
    window->place[i].pair = pair_at;
    window->place[i].pair_size = text->pair_size;
    window->place[i].line = line;
    window->count++;
    return BERTH_OK;
}

static bool is_full(const struct window *window)
{
    return window->count == WINDOW_TEXTS || window->used >= WINDOW_BYTES;
}

/* After a window failed: each text by itself, up to the one at fault, which the message then names by its
 * place.
 */
static enum berth_status classify_each(struct job *job, struct berth_error *err)
{
    struct window *window = job->window;
    for (size_t i = 0; i < window->count; i++) {
        if (berth_session_classify(job->session, &window->texts[i], 1, &window->results[0], err) != BERTH_OK)
            return cli_place_error(err, job->source, window->place[i].line);
        write_result(job, &window->texts[i], &window->results[0]);
    }
    return BERTH_OK;
}

static enum berth_status flush_window(struct job *job, struct berth_error *err)
{
    struct window *window = job->window;
    for (size_t i = 0; i < window->count; i++) {
        bool pair = window->place[i].pair != SIZE_MAX;
        window->texts[i] = (struct berth_text){
            window->bytes + window->place[i].text, window->place[i].text_size,
            pair ? window->bytes + window->place[i].pair : NULL, window->place[i].pair_size};
    }
    enum berth_status status =
        berth_session_classify(job->session, window->texts, window->count, window->results, err);
    if (status == BERTH_INVALID_ARGUMENT || status == BERTH_LIMIT)
        status = classify_each(job, err);
    else
        for (size_t i = 0; i < window->count && status == BERTH_OK; i++)
            write_result(job, &window->texts[i], &window->results[i]);
    window->count = window->used = 0;
    return status;
}

static enum berth_status predict_reader(struct job *job, struct berth_reader *reader,
                                        struct berth_progress *progress, struct berth_error *err)
{
    for (bool end = false; !end;) {
        struct berth_record record;
        enum berth_status status = berth_reader_next(reader, &record, &end, err);
        if (status != BERTH_OK) { /* what came before a malformed record is still answered */
            struct berth_error ignored;
            return flush_window(job, &ignored) == BERTH_OK ? status : (*err = ignored, ignored.status);
        }
        if (!end)
            status = collect(job->window, &record.text, record.line, err);
        if (status != BERTH_OK)
            return status;
        bool waits = !end && !berth_reader_ready(reader);
        if (end || waits || is_full(job->window)) {
            status = flush_window(job, err);
            if (status != BERTH_OK)
                return status;
            if (waits)
                fflush(job->out);
        }
        if (ferror(job->out)) /* nobody reads any more: cli_output_close says why */
            return BERTH_OK;
        berth_progress_update(progress, job->written);
    }
    return BERTH_OK;
}

static enum berth_status predict_arguments(struct job *job, char **texts, size_t count,
                                           struct berth_error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct berth_text text = {texts[i], strlen(texts[i]), NULL, 0};
        enum berth_status status = collect(job->window, &text, i + 1, err);
        if (status == BERTH_OK && is_full(job->window))
            status = flush_window(job, err);
        if (status != BERTH_OK)
            return status;
    }
    return flush_window(job, err);
}

static int predict(const struct cli_common *common, const char *input, enum berth_layout layout,
                   const struct berth_columns *columns, const char *output_path, enum format format,
                   char **texts, size_t count)
{
    struct berth_error err;
    struct berth_model *model = NULL;
    struct berth_reader *reader = NULL;
    struct job job = {.source = count > 0 ? "arguments" : cli_source_name(input),
                      .format = format,
                      .window = calloc(1, sizeof *job.window)};
    struct cli_output output;
    int exit_status = CLI_FAILED;
    if (!job.window) {
        fputs("berth predict: out of memory\n", stderr);
        return CLI_FAILED;
    }
    /* The input is looked at before the model: a wrong file name should not cost a load. */
    if ((count == 0 && berth_reader_open(input, layout, columns, &reader, &err) != BERTH_OK) ||
        berth_model_open(common->model, &common->options, &model, &err) != BERTH_OK ||
        berth_session_new(model, &common->options, &job.session, &err) != BERTH_OK ||
        cli_output_open(&output, output_path, &err) != BERTH_OK) {
        cli_fail("predict", &err);
        goto done;
    }
    job.out = output.stream;
    if (format == FORMAT_UNSET)
        job.format = !output.to_file && isatty(STDOUT_FILENO) ? FORMAT_TABLE : FORMAT_JSONL;
    struct berth_progress progress;
    berth_progress_begin(
        &progress, common->quiet || (!output.to_file && isatty(STDOUT_FILENO)) ? NULL : stderr, "texts", 0);
    enum berth_status status = count > 0 ? predict_arguments(&job, texts, count, &err)
                                         : predict_reader(&job, reader, &progress, &err);
    berth_progress_end(&progress, job.written);
    if (job.format == FORMAT_JSON && status == BERTH_OK)
        fputs(job.written ? "]\n" : "[]\n", job.out);
    exit_status = cli_output_close(&output, "predict", status, &err);
done:
    berth_session_free(job.session);
    berth_model_free(model);
    berth_reader_close(reader);
    free(job.window->bytes);
    free(job.window);
    return exit_status;
}

int cli_predict(int argc, char **argv)
{
    struct cli_common common = {0};
    const char *input = NULL, *output_path = NULL;
    enum berth_layout layout = BERTH_LAYOUT_LINES;
    struct berth_columns columns = {0};
    enum format format = FORMAT_UNSET;
    const struct cli_flag flags[] = {
        CLI_HEADING("input"),
        CLI_INPUT_FLAGS(input, layout, columns),
        CLI_HEADING("model"),
        CLI_MODEL_FLAG(common),
        CLI_ENGINE_FLAGS(common),
        {"max-batch-tokens", 0, "N", cli_read_positive, &common.options.max_batch_tokens,
         "tokens computed together (default 1024)"},
        CLI_TOKENIZER_FLAGS(common),
        CLI_HEADING("output"),
        {"format", 'f', "F", read_format, &format,
         "table, jsonl, json or tsv (default: table on a terminal, else jsonl)"},
        CLI_OUTPUT_FLAG(output_path),
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "predict",
        "-m MODEL [TEXT ...] [-i FILE] [OPTIONS]",
        "Classifies texts: those given as arguments, or a file's, or standard input's, in order.",
        "A line of jsonl input is {\"text\": \"...\", \"pair\": \"...\"}; one of jsonl output is\n"
        "{\"label\": \"positive\", \"score\": 0.9981, \"scores\": [...], \"logits\": [...], \"tokens\": 12}.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model)
        return cli_usage(&verb, "no model; give -m MODEL");
    if (first < argc && input)
        return cli_usage(&verb, "texts come from the arguments or from -i FILE, not from both");
    cli_log_to_stderr(&common);
    return predict(&common, input, layout, &columns, output_path, format, argv + first,
                   (size_t)(argc - first));
}
