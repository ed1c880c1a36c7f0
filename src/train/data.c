/* data.c: from files to token ids and targets. */
#include "train/data.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/json_load.h"
#include "formats/lines.h"

enum { EXAMPLES_MAX = 1 << 30, LINE_DEPTH = 8 };

/* Growing arrays, handed to the data at the end. */
struct builder {
    const struct berth_train_source *source;
    struct berth_train_data *data;
    struct berth_buffer ids, types, offsets, lines, label_at, labels;
};

static void begin(struct builder *b)
{
    struct berth_buffer *all[] = {&b->ids, &b->types, &b->offsets, &b->lines, &b->label_at, &b->labels};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        berth_buffer_init(all[i], SIZE_MAX / 4);
}

static void end(struct builder *b)
{
    struct berth_train_data *data = b->data;
    data->ids = (int32_t *)(void *)b->ids.data;
    data->types = (uint8_t *)(void *)b->types.data;
    data->offsets = (size_t *)(void *)b->offsets.data;
    data->lines = (size_t *)(void *)b->lines.data;
    data->label_at = (size_t *)(void *)b->label_at.data;
    data->labels = b->labels.data;
}

/* The tokens were appended; `line` and the label complete the example. */
static enum berth_status finish_example(struct builder *b, size_t tokens, size_t line, const char *label,
                                        struct berth_error *err)
{
    struct berth_train_data *data = b->data;
    size_t end_at = b->ids.size / sizeof(int32_t), label_at = b->labels.size;
    if (data->count == EXAMPLES_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: more than %d examples", data->name, EXAMPLES_MAX);
    if (!berth_buffer_append(&b->offsets, &end_at, sizeof end_at) ||
        !berth_buffer_append(&b->lines, &line, sizeof line) ||
        !berth_buffer_append(&b->label_at, &label_at, sizeof label_at) ||
        !berth_buffer_append(&b->labels, label, strlen(label) + 1))
        return berth_fail_memory(err, "examples", b->ids.size);
    data->count++;
    data->longest = berth_max(data->longest, tokens);
    return BERTH_OK;
}

/* --- texts ---------------------------------------------------------------------------------------- */

static bool only_special(const struct berth_tokenizer *tokenizer, const struct berth_encoding *encoding)
{
    int32_t cls = berth_tokenizer_special(tokenizer, BERTH_SPECIAL_CLS);
    int32_t sep = berth_tokenizer_special(tokenizer, BERTH_SPECIAL_SEP);
    for (size_t i = 0; i < encoding->size; i++)
        if (encoding->ids[i] != cls && encoding->ids[i] != sep)
            return false;
    return true;
}

static enum berth_status add_record(struct builder *b, const struct berth_record *record,
                                    struct berth_encoding *encoding, struct berth_error *err)
{
    const struct berth_train_source *source = b->source;
    const struct berth_text *text = &record->text;
    enum berth_status status = berth_tokenizer_encode(source->tokenizer, text->text, text->size, text->pair,
                                                      text->pair_size, source->max_length, encoding, err);
    if (status != BERTH_OK)
        return berth_fail_prefix(err, status, "%s:%zu", b->data->name, record->line);
    bool empty = only_special(source->tokenizer, encoding);
    if (empty && !source->labels)
        return BERTH_OK; /* nothing to guess in it */
    if (empty)
        return berth_fail(err, BERTH_FORMAT, "%s:%zu: the text is empty; remove the example", b->data->name,
                          record->line);
    for (size_t i = 0; i < encoding->size && source->types; i++)
        if (encoding->type_ids[i] >= source->types)
            return berth_fail(err, BERTH_UNSUPPORTED,
                              "%s:%zu: a pair of texts, but the model has one token type alone",
                              b->data->name, record->line);
    if (!berth_buffer_append(&b->ids, encoding->ids, encoding->size * sizeof *encoding->ids) ||
        !berth_buffer_append(&b->types, encoding->type_ids, encoding->size))
        return berth_fail_memory(err, "token ids", b->ids.size);
    return finish_example(b, encoding->size, record->line, record->label ? record->label : "", err);
}

static enum berth_status read_texts(struct builder *b, struct berth_error *err)
{
    const struct berth_train_source *source = b->source;
    struct berth_reader *reader = NULL;
    struct berth_encoding encoding = {0};
    enum berth_status status;
    if (source->task)
        BERTH_TRY(berth_reader_open_task(source->path, source->task->name, source->columns, source->labels,
                                         &reader, err));
    else
        BERTH_TRY(berth_reader_open(source->path, BERTH_LAYOUT_LINES, NULL, &reader, err));
    for (;;) {
        struct berth_record record;
        bool ended;
        BERTH_TRY(berth_reader_next(reader, &record, &ended, err));
        if (ended)
            break;
        BERTH_TRY(add_record(b, &record, &encoding, err));
    }
fail:
    berth_reader_close(reader);
    berth_encoding_clear(&encoding);
    return status;
}

/* --- token ids ------------------------------------------------------------------------------------ */

/* Numbers below `limit` of a JSON array, appended as int32 or uint8. */
static enum berth_status add_numbers(struct builder *b, const json_t *array, size_t limit, bool wide,
                                     const char *what, struct berth_error *err)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *item = json_array_get(array, i);
        json_int_t number = json_integer_value(item);
        int32_t id = (int32_t)number;
        uint8_t type = (uint8_t)number;
        if (!json_is_integer(item) || number < 0 || (uint64_t)number >= limit)
            return berth_fail(err, BERTH_FORMAT, "%s holds %" JSON_INTEGER_FORMAT "; the model has 0 to %zu",
                              what, number, limit - 1);
        if (!(wide ? berth_buffer_append(&b->ids, &id, sizeof id)
                   : berth_buffer_append(&b->types, &type, sizeof type)))
            return berth_fail_memory(err, "token ids", b->ids.size);
    }
    return BERTH_OK;
}

static enum berth_status add_ids(struct builder *b, const json_t *root, size_t line, struct berth_error *err)
{
    const struct berth_train_source *source = b->source;
    const json_t *ids = json_object_get(root, "input_ids"), *types = json_object_get(root, "token_type_ids");
    const json_t *label = json_object_get(root, "label");
    size_t count = json_array_size(ids);
    enum berth_status status;
    if (!json_is_array(ids) || count == 0 || count > source->max_length)
        return berth_fail(err, BERTH_FORMAT, "'input_ids' must be a list of 1 to %zu ids",
                          source->max_length);
    if (types && json_array_size(types) != count)
        return berth_fail(err, BERTH_FORMAT, "'token_type_ids' must be a list as long as 'input_ids'");
    if (!label || json_is_null(label))
        return berth_fail(err, BERTH_FORMAT, "no 'label'");
    status = add_numbers(b, ids, source->vocab, true, "'input_ids'", err);
    if (status == BERTH_OK && types && source->types)
        status = add_numbers(b, types, source->types, false, "'token_type_ids'", err);
    for (size_t i = 0; i < count && status == BERTH_OK && !(types && source->types); i++)
        if (!berth_buffer_append(&b->types, "", 1))
            status = berth_fail_memory(err, "token types", b->types.size);
    if (status != BERTH_OK)
        return status;
    char *text = json_is_string(label) ? berth_strdup(json_string_value(label))
                                       : json_dumps(label, JSON_ENCODE_ANY | JSON_COMPACT);
    status = text ? finish_example(b, count, line, text, err) : berth_fail_memory(err, "a label", 0);
    if (json_is_string(label))
        berth_free(text);
    else
        free(text);
    return status;
}

/* Reads lines of ids; *found is false, and nothing was read, when the file's first line is not one. */
static enum berth_status read_ids(struct builder *b, bool *found, struct berth_error *err)
{
    struct berth_lines lines;
    json_t *root = NULL;
    enum berth_status status = berth_lines_open(b->source->path, &lines, err);
    *found = false;
    if (status != BERTH_OK)
        return status;
    for (;;) {
        bool more;
        size_t size;
        BERTH_TRY(berth_lines_next(&lines, &more, err));
        if (!more)
            break;
        char *text = berth_lines_text(&lines, &size);
        text[size] = 0;
        if (strspn(text, " \t") == size)
            continue;
        status = berth_json_load(lines.name, text, size, LINE_DEPTH, 0, &root, err);
        if (!*found && (status != BERTH_OK || !json_object_get(root, "input_ids"))) {
            status = BERTH_OK; /* the reader of texts says what is wrong */
            break;
        }
        *found = true;
        if (status == BERTH_OK)
            status = add_ids(b, root, lines.number, err);
        if (status != BERTH_OK) {
            berth_fail_prefix(err, status, "%s:%zu", lines.name, lines.number);
            goto fail;
        }
        json_decref(root);
        root = NULL;
    }
fail:
    json_decref(root);
    berth_lines_close(&lines);
    return status;
}

/* --- both ----------------------------------------------------------------------------------------- */

enum berth_status berth_train_data_read(const struct berth_train_source *source,
                                        struct berth_train_data *data, struct berth_error *err)
{
    enum berth_status status;
    struct builder b = {.source = source, .data = data};
    size_t zero = 0;
    *data = (struct berth_train_data){0};
    begin(&b);
    data->name = berth_strdup(source->path);
    if (!data->name || !berth_buffer_append(&b.offsets, &zero, sizeof zero)) {
        status = berth_fail_memory(err, "examples", 0);
        goto fail;
    }
    if (source->labels && strcmp(source->task->name, "jsonl") == 0)
        BERTH_TRY(read_ids(&b, &data->from_ids, err));
    if (!data->from_ids)
        BERTH_TRY(read_texts(&b, err));
    end(&b);
    data->width = 1;
    if (!source->labels && data->count > 0)
        data->targets = berth_calloc(data->count, sizeof *data->targets);
    if (!source->labels && data->count > 0 && !data->targets) {
        status = berth_fail_memory(err, "targets", data->count * sizeof *data->targets);
        goto fail;
    }
    if (data->count == 0) {
        status = berth_fail(err, BERTH_FORMAT, "%s: no examples", data->name);
        berth_train_data_clear(data);
    }
    return status;
fail:
    end(&b); /* again, perhaps: the buffers are the data's by then */
    berth_train_data_clear(data);
    return status;
}

void berth_train_data_clear(struct berth_train_data *data)
{
    berth_free(data->name);
    berth_free(data->ids);
    berth_free(data->types);
    berth_free(data->offsets);
    berth_free(data->lines);
    berth_free(data->label_at);
    berth_free(data->labels);
    berth_free(data->targets);
    berth_free(data->teacher);
    berth_free(data->states);
    *data = (struct berth_train_data){0};
}

enum berth_status berth_train_data_label(struct berth_train_data *data, const struct berth_label_map *labels,
                                         bool models_order, struct berth_error *err)
{
    data->width = labels->width;
    data->targets = berth_calloc(data->count * data->width, sizeof *data->targets);
    if (!data->targets)
        return berth_fail_memory(err, "targets", data->count * data->width * sizeof *data->targets);
    for (size_t i = 0; i < data->count; i++) {
        double *target = data->targets + i * data->width;
        enum berth_status status =
            berth_label_map_read(labels, data->labels + data->label_at[i], target, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s:%zu", data->name, data->lines[i]);
        if (models_order && labels->kind == BERTH_TARGET_CLASS)
            *target = (double)berth_label_map_to_model(labels, (size_t)*target);
    }
    return BERTH_OK;
}

/* --- heads ---------------------------------------------------------------------------------------- */

enum berth_status berth_config_set_labels(struct berth_config *config, enum berth_problem problem,
                                          size_t count, const char *const *names, struct berth_error *err)
{
    if (count == 0 || count > BERTH_LABELS_MAX)
        return berth_fail(err, BERTH_LIMIT, "%zu labels; there may be 1 to %d", count, BERTH_LABELS_MAX);
    char **copies = berth_calloc(count, sizeof *copies);
    bool ok = copies != NULL;
    for (size_t i = 0; ok && i < count; i++) {
        char made[32];
        snprintf(made, sizeof made, "LABEL_%zu", i);
        ok = (copies[i] = berth_strdup(names ? names[i] : made)) != NULL;
    }
    if (!ok) {
        for (size_t i = 0; copies && i < count; i++)
            berth_free(copies[i]);
        berth_free(copies);
        return berth_fail_memory(err, "label names", count * sizeof *copies);
    }
    for (size_t i = 0; config->label_names && i < config->labels; i++)
        berth_free(config->label_names[i]);
    berth_free(config->label_names);
    config->label_names = copies;
    config->labels = count;
    config->problem = problem;
    config->has_label_names = names != NULL;
    return BERTH_OK;
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool is_whole(const char *label)
{
    return label[0] && !label[strspn(label, "0123456789")] && strlen(label) < 6;
}

static bool is_number(const char *label)
{
    char *rest;
    if (!label[0] || label[strspn(label, "0123456789+-.eE")])
        return false;
    (void)strtod(label, &rest);
    return !*rest;
}

/* Distinct words of sorted labels, in place; returns how many. */
static size_t keep_distinct(const char **labels, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (kept == 0 || strcmp(labels[kept - 1], labels[i]) != 0)
            labels[kept++] = labels[i];
    return kept;
}

/* Lists of zeros and ones, one for each label. */
static enum berth_status infer_sets(const struct berth_train_data *data, struct berth_config *config,
                                    struct berth_error *err)
{
    json_t *first = json_loads(data->labels + data->label_at[0], JSON_DECODE_ANY, NULL);
    size_t count = json_array_size(first);
    bool numbers = count > 0;
    for (size_t i = 0; i < count; i++)
        numbers = numbers && json_is_number(json_array_get(first, i));
    json_decref(first);
    if (!numbers)
        return berth_fail(
            err, BERTH_FORMAT,
            "%s:%zu: a multi-label model is made from lists of zeros and ones, one for each label",
            data->name, data->lines[0]);
    return berth_config_set_labels(config, BERTH_PROBLEM_MULTI_LABEL, count, NULL, err);
}

enum berth_status berth_train_data_infer(const struct berth_train_data *data, struct berth_config *config,
                                         struct berth_error *err)
{
    bool whole = true, numbers = true;
    size_t largest = 0;
    if (data->labels[data->label_at[0]] == '[')
        return infer_sets(data, config, err);
    const char **labels = berth_calloc(data->count, sizeof *labels);
    if (!labels)
        return berth_fail_memory(err, "labels", data->count * sizeof *labels);
    for (size_t i = 0; i < data->count; i++) {
        labels[i] = data->labels + data->label_at[i];
        whole = whole && is_whole(labels[i]);
        numbers = numbers && is_number(labels[i]);
        largest = whole ? berth_max(largest, (size_t)atoi(labels[i])) : 0;
    }
    enum berth_status status;
    if (whole) {
        status =
            berth_config_set_labels(config, BERTH_PROBLEM_SINGLE_LABEL, berth_max(largest + 1, 2), NULL, err);
    } else if (numbers) {
        status = berth_config_set_labels(config, BERTH_PROBLEM_REGRESSION, 1, NULL, err);
    } else {
        qsort(labels, data->count, sizeof *labels, compare_labels);
        size_t count = keep_distinct(labels, data->count);
        status = berth_config_set_labels(config, BERTH_PROBLEM_SINGLE_LABEL, count, labels, err);
    }
    berth_free(labels);
    return status;
}

/* --- batches -------------------------------------------------------------------------------------- */

enum berth_status berth_train_window_init(struct berth_train_window *window, size_t texts, size_t tokens,
                                          size_t width, size_t labels, size_t hidden, struct berth_error *err)
{
    *window = (struct berth_train_window){.offsets = berth_calloc(texts + 1, sizeof *window->offsets),
                                          .ids = berth_calloc(tokens, sizeof *window->ids),
                                          .types = berth_calloc(tokens, 1),
                                          .targets = berth_calloc(texts * width, sizeof *window->targets),
                                          .teacher = berth_calloc(texts * labels, sizeof *window->teacher)};
    if (hidden > 0)
        window->states = berth_calloc(texts * hidden, sizeof *window->states);
    if (window->offsets && window->ids && window->types && window->targets && window->teacher &&
        (window->states || hidden == 0))
        return BERTH_OK;
    berth_train_window_clear(window);
    return berth_fail_memory(err, "a batch", tokens * sizeof(int32_t));
}

void berth_train_window_clear(struct berth_train_window *window)
{
    berth_free(window->offsets);
    berth_free(window->ids);
    berth_free(window->types);
    berth_free(window->targets);
    berth_free(window->teacher);
    berth_free(window->states);
    *window = (struct berth_train_window){0};
}

void berth_train_window_fill(struct berth_train_window *window, const struct berth_train_data *data,
                             const size_t *rows, size_t count, size_t labels)
{
    size_t tokens = 0;
    for (size_t i = 0; i < count; i++) {
        size_t row = rows[i], first = data->offsets[row], length = data->offsets[row + 1] - first;
        memcpy(window->ids + tokens, data->ids + first, length * sizeof *window->ids);
        memcpy(window->types + tokens, data->types + first, length);
        memcpy(window->targets + i * data->width, data->targets + row * data->width,
               data->width * sizeof *window->targets);
        if (data->teacher)
            memcpy(window->teacher + i * labels, data->teacher + row * labels,
                   labels * sizeof *window->teacher);
        if (window->states && data->states)
            memcpy(window->states + i * data->hidden, data->states + row * data->hidden,
                   data->hidden * sizeof *window->states);
        tokens += length;
        window->offsets[i + 1] = tokens;
    }
    window->batch = (struct berth_train_batch){
        .texts = count, .offsets = window->offsets, .ids = window->ids, .type_ids = window->types};
}
