/* labelled.c: reads a whole file of labelled texts. */
#include "quant/labelled.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

static bool grow(struct berth_labelled *data)
{
    const size_t capacity = data->capacity ? data->capacity * 2 : 1024;
    struct berth_text *texts = berth_realloc(data->texts, capacity, sizeof *texts);
    if (texts)
        data->texts = texts;
    double *targets = berth_realloc(data->targets, capacity, data->labels.width * sizeof *targets);
    if (targets)
        data->targets = targets;
    size_t *lines = berth_realloc(data->lines, capacity, sizeof *lines);
    if (lines)
        data->lines = lines;
    if (!texts || !targets || !lines)
        return false;
    data->capacity = capacity;
    return true;
}

static enum berth_status keep(struct berth_labelled *data, const char *path, const struct berth_record *record,
                              struct berth_error *err)
{
    const struct berth_text *text = &record->text;
    if (data->count == data->capacity && !grow(data))
        return berth_fail_memory(err, path, data->capacity * 2 * sizeof *data->texts);
    double *target = data->targets + data->count * data->labels.width;
    enum berth_status status = berth_label_map_read(&data->labels, record->label, target, err);
    if (status != BERTH_OK)
        return berth_fail_prefix(err, status, "%s:%zu", path, record->line);
    if (data->bytes.size + text->size + text->pair_size > BERTH_LABELLED_BYTES)
        return berth_fail(err, BERTH_LIMIT, "%s: more than %d bytes of texts", path, BERTH_LABELLED_BYTES);
    if (!berth_buffer_append(&data->bytes, text->text, text->size) ||
        (text->pair && !berth_buffer_append(&data->bytes, text->pair, text->pair_size)))
        return berth_fail_memory(err, path, text->size + text->pair_size);
    data->lines[data->count] = record->line;
    data->texts[data->count++] = *text;
    return BERTH_OK;
}

/* The bytes no longer move: texts point into them. */
static void settle(struct berth_labelled *data)
{
    const char *at = data->bytes.data;
    for (size_t i = 0; i < data->count; i++) {
        struct berth_text *text = &data->texts[i];
        text->text = at;
        at += text->size;
        if (text->pair)
            text->pair = at;
        at += text->pair_size;
    }
}

enum berth_status berth_labelled_read(struct berth_labelled *data, const char *path, const char *task,
                                      const struct berth_columns *columns, const struct berth_model_info *model,
                                      size_t most, struct berth_error *err)
{
    struct berth_reader *reader = NULL;
    enum berth_status status;
    *data = (struct berth_labelled){.count = 0};
    berth_buffer_init(&data->bytes, SIZE_MAX / 4);
    const struct berth_task *found = berth_task_find(task);
    if (!found)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown task '%s'; known are %s", task, berth_task_names);
    BERTH_TRY(berth_label_map_init(&data->labels, found, model, err));
    BERTH_TRY(berth_reader_open_task(path, task, columns, true, &reader, err));
    for (bool end = false; !end && (most == 0 || data->count < most);) {
        struct berth_record record;
        BERTH_TRY(berth_reader_next(reader, &record, &end, err));
        if (!end)
            BERTH_TRY(keep(data, path, &record, err));
    }
    if (data->count == 0)
        status = berth_fail(err, BERTH_FORMAT, "%s: no examples", path);
    settle(data);
fail:
    berth_reader_close(reader);
    return status;
}

void berth_labelled_clear(struct berth_labelled *data)
{
    berth_label_map_clear(&data->labels);
    berth_buffer_clear(&data->bytes);
    berth_free(data->texts);
    berth_free(data->targets);
    berth_free(data->lines);
    *data = (struct berth_labelled){.count = 0};
}

static bool same_bytes(FILE *a, FILE *b)
{
    char left[4096], right[4096];
    for (;;) {
        const size_t n = fread(left, 1, sizeof left, a);
        if (fread(right, 1, sizeof right, b) != n || memcmp(left, right, n) != 0)
            return false;
        if (n == 0)
            return !ferror(a) && !ferror(b);
    }
}

bool berth_same_file(const char *a, const char *b)
{
    struct stat first, second;
    if (stat(a, &first) != 0 || stat(b, &second) != 0)
        return false;
    if (first.st_dev == second.st_dev && first.st_ino == second.st_ino)
        return true;
    if (!S_ISREG(first.st_mode) || !S_ISREG(second.st_mode) || first.st_size != second.st_size)
        return false;
    FILE *left = fopen(a, "rbe"), *right = fopen(b, "rbe");
    const bool same = left && right && same_bytes(left, right);
    if (left)
        fclose(left);
    if (right)
        fclose(right);
    return same;
}
