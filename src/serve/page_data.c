/* page_data.c: the labelled sentences that the page offers: the bundled reviews, or a file in any layout that
 * `berth eval` reads. They are kept as JSON, ready to be sent in pieces. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "serve/handlers.h"
#include "serve/page.h"

extern const unsigned char berth_builtin_reviews[]; /* examples/reviews.tsv */
extern const size_t berth_builtin_reviews_size;

enum {
    SENTENCES_MAX = 20000,
    JSON_MAX = 32 << 20, /* bytes of all of them */
    PIECE_MAX = 2000,    /* sentences of an answer */
    HEAD_MAX = 4096,     /* bytes of a file that are looked at for its layout */
};

struct berth_page_data {
    char name[256];
    const char *task;
    bool cut; /* the file has more */
    size_t count, capacity;
    size_t *ends;             /* [count] of each sentence's JSON; the next begins behind its comma */
    struct berth_buffer json; /* objects, a comma behind each */
};

/* ---- which layout a file has ---- */

struct layout {
    const char *task;
    const char *header; /* what its first line contains */
};

/* The first that fits. GLUE's files differ in their header; CoLA has none. */
static const struct layout layouts[] = {
    {"mrpc", "#1 String"},  {"qqp", "question1"},   {"mnli", "gold_label"}, {"qnli", "question\tsentence"},
    {"stsb", "\tscore"},    {"rte", "sentence1\t"}, {"sst2", "sentence\t"},
};

static bool ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), end_size = strlen(end);
    return size >= end_size && strcmp(text + size - end_size, end) == 0;
}

static enum berth_status guess_layout(const char *path, const char **task, struct berth_error *err)
{
    *task = ends_with(path, ".jsonl") || ends_with(path, ".json") ? "jsonl" : ends_with(path, ".csv") ? "csv" : NULL;
    if (*task)
        return BERTH_OK;
    char head[HEAD_MAX];
    FILE *file = fopen(path, "re");
    if (!file)
        return berth_fail_errno(err, errno, "%s: cannot open", path);
    bool read = fgets(head, sizeof head, file);
    fclose(file);
    for (size_t i = 0; read && i < sizeof layouts / sizeof *layouts && !*task; i++)
        if (strstr(head, layouts[i].header))
            *task = layouts[i].task;
    if (!*task)
        *task = read && strchr(head, '\t') ? "cola" : NULL;
    /* WNLI's columns are RTE's; its labels are numbers, which the page takes as they are. */
    return *task ? BERTH_OK : berth_fail(err, BERTH_FORMAT,
                                         "%s: neither .csv, .jsonl nor one of GLUE's layouts; name it with --task", path);
}

/* Names of a task's labels in GLUE's order, which is what numbers in its files mean; NULL-terminated. */
static const char *const *label_names(const char *task)
{
    static const struct {
        const char *task, *names[4];
    } known[] = {{"cola", {"unacceptable", "acceptable"}},
                 {"sst2", {"negative", "positive"}},
                 {"mrpc", {"not_equivalent", "equivalent"}},
                 {"qqp", {"not_duplicate", "duplicate"}},
                 {"mnli", {"entailment", "neutral", "contradiction"}},
                 {"qnli", {"entailment", "not_entailment"}},
                 {"rte", {"entailment", "not_entailment"}},
                 {"wnli", {"not_entailment", "entailment"}}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].task, task) == 0)
            return known[i].names;
    static const char *const none[] = {NULL};
    return none;
}

/* ---- reading ---- */

static json_t *text_or_null(const char *text, size_t size)
{
    if (!text)
        return json_null();
    json_t *value = json_stringn(text, size);
    return value ? value : json_string("\xef\xbf\xbd"); /* ill-formed UTF-8: the character for it */
}

/* False when it did not fit any more. */
static enum berth_status add(struct berth_page_data *data, const struct berth_text *text, const char *label,
                             struct berth_error *err)
{
    if (data->count == data->capacity) {
        size_t capacity = data->capacity ? data->capacity * 2 : 256;
        size_t *ends = berth_realloc(data->ends, capacity, sizeof *ends);
        if (!ends)
            return berth_fail_memory(err, "sentences", capacity * sizeof *ends);
        data->ends = ends;
        data->capacity = capacity;
    }
    size_t size = text->size;
    while (size > 0 && text->text[size - 1] == ' ') /* GLUE's training files have one behind each sentence */
        size--;
    json_t *object = json_pack("{s:o, s:o, s:o}", "text", text_or_null(text->text, size), "pair",
                               text_or_null(text->pair, text->pair_size), "label",
                               text_or_null(label, label ? strlen(label) : 0));
    size_t line = object ? json_dumpb(object, NULL, 0, JSON_COMPACT) : 0;
    bool fits = line > 0 && berth_buffer_reserve(&data->json, line + 1);
    if (fits) {
        json_dumpb(object, data->json.data + data->json.size, line, JSON_COMPACT);
        data->json.size += line;
        fits = berth_buffer_text(&data->json, ",");
    }
    json_decref(object);
    if (!fits)
        return berth_fail_memory(err, "sentences", data->json.size);
    data->ends[data->count++] = data->json.size;
    return BERTH_OK;
}

static enum berth_status read_file(struct berth_page_data *data, const char *path, struct berth_error *err)
{
    enum berth_status status;
    struct berth_reader *reader;
    struct berth_record record;
    bool end;
    BERTH_TRY(berth_reader_open_task(path, data->task, NULL, true, &reader, err));
    for (;;) {
        BERTH_TRY(berth_reader_next(reader, &record, &end, err));
        if (end)
            break;
        data->cut = data->count == SENTENCES_MAX || data->json.size > JSON_MAX;
        if (data->cut)
            break;
        BERTH_TRY(add(data, &record.text, record.label, err));
    }
    if (data->count == 0)
        status = berth_fail(err, BERTH_FORMAT, "%s: there is no sentence in it", path);
fail:
    berth_reader_close(reader);
    return status;
}

/* Our own file: a header, then sentence, tab, label. */
static enum berth_status read_bundled(struct berth_page_data *data, struct berth_error *err)
{
    const char *at = (const char *)berth_builtin_reviews, *end = at + berth_builtin_reviews_size;
    enum berth_status status = BERTH_OK;
    for (bool header = true; status == BERTH_OK && at < end; header = false) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        line_end = line_end ? line_end : end;
        const char *tab = memchr(at, '\t', (size_t)(line_end - at));
        if (tab && !header) {
            char label[] = {tab[1], 0};
            struct berth_text text = {.text = at, .size = (size_t)(tab - at)};
            status = add(data, &text, label, err);
        }
        at = line_end + 1;
    }
    return status;
}

enum berth_status berth_page_data_new(const char *path, const char *task, struct berth_page_data **out,
                                      struct berth_error *err)
{
    *out = NULL;
    enum berth_status status = BERTH_OK;
    struct berth_page_data *data = berth_calloc(1, sizeof *data);
    if (!data)
        return berth_fail_memory(err, "sentences", sizeof *data);
    berth_buffer_init(&data->json, SIZE_MAX / 2);
    const char *slash = path ? strrchr(path, '/') : NULL;
    snprintf(data->name, sizeof data->name, "%s", path ? (slash ? slash + 1 : path) : "bundled reviews");
    data->task = task ? task : "sst2";
    if (path && !task)
        BERTH_TRY(guess_layout(path, &data->task, err));
    BERTH_TRY(path ? read_file(data, path, err) : read_bundled(data, err));
    *out = data;
    return BERTH_OK;
fail:
    berth_page_data_free(data);
    return status;
}

void berth_page_data_free(struct berth_page_data *data)
{
    if (!data)
        return;
    berth_buffer_clear(&data->json);
    berth_free(data->ends);
    berth_free(data);
}

/* ---- GET /api/sentences?offset=N&limit=N ---- */

static size_t query_number(const struct berth_request *request, const char *name, size_t otherwise)
{
    char value[BERTH_VALUE_SIZE];
    if (!berth_request_query(request, name, value))
        return otherwise;
    char *end;
    unsigned long number = strtoul(value, &end, 10);
    return value[0] >= '0' && value[0] <= '9' && !*end ? number : otherwise;
}

void berth_handle_page_sentences(struct berth_request *request)
{
    const struct berth_page_data *data = request->server->page->data;
    size_t first = berth_min(query_number(request, "offset", 0), data->count);
    size_t count = berth_min(berth_min(query_number(request, "limit", PIECE_MAX), PIECE_MAX), data->count - first);
    json_t *labels = json_array();
    for (const char *const *name = label_names(data->task); labels && *name; name++)
        json_array_append_new(labels, json_string(*name));
    json_t *head = json_pack("{s:s, s:s, s:I, s:b, s:o}", "name", data->name, "task", data->task, "count",
                             (json_int_t)data->count, "truncated", (int)data->cut, "labels", labels);
    char *text = head ? json_dumps(head, JSON_COMPACT) : NULL;
    json_decref(head);
    struct berth_reply *reply = &request->reply;
    berth_reply_begin(reply, 200, "application/json");
    berth_reply_header(reply, "Cache-Control", "no-store");
    size_t from = first ? data->ends[first - 1] : 0, to = count ? data->ends[first + count - 1] - 1 : from;
    bool fits = text && berth_buffer_append(&reply->body, text, strlen(text) - 1) &&
                berth_buffer_text(&reply->body, ",\"sentences\":[") &&
                (to == from || berth_buffer_append(&reply->body, data->json.data + from, to - from)) &&
                berth_buffer_text(&reply->body, "]}");
    berth_free(text);
    if (!fits)
        berth_reply_error(reply, 503, "memory ran out");
}
