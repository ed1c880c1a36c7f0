/* label_map.c: names and numbers to targets. GLUE's files and the models trained on them agree on names more
 * often than on their order, so names decide wherever there are any. */
#include "eval/label_map.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"

#define NOT_FOUND SIZE_MAX

/* Index of `text` among names: as it stands, else with case ignored. */
static size_t find_name(const char *const *names, size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], text) == 0)
            return i;
    for (size_t i = 0; i < count; i++)
        if (strcasecmp(names[i], text) == 0)
            return i;
    return NOT_FOUND;
}

/* The model's order when its names are the task's, else the task's own. */
static void map_names(struct berth_label_map *labels)
{
    const struct berth_task *task = labels->task;
    bool named = true;
    for (size_t i = 0; i < task->labels; i++) {
        labels->order[i] = find_name(labels->model->label_names, labels->model->labels, task->label_names[i]);
        named = named && labels->order[i] != NOT_FOUND;
    }
    for (size_t i = 0; i < task->labels && !named; i++)
        labels->order[i] = i;
}

/* Whether the model's head fits the task. */
static enum berth_status check_model(const struct berth_task *task, const struct berth_model_info *model,
                                     enum berth_target_kind kind, struct berth_error *err)
{
    if (!model->has_head || model->labels == 0)
        return berth_fail(err, BERTH_UNSUPPORTED, "model %s has no classification head; fine-tune it first",
                          model->name);
    bool glue = task->metrics != BERTH_METRICS_BY_MODEL;
    if (glue && task->labels == 0 && kind != BERTH_TARGET_VALUE)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "task %s is a regression; model %s is for %s with %zu labels", task->name,
                          model->name, model->problem, model->labels);
    if (glue && task->labels > 0 && kind != BERTH_TARGET_CLASS)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "task %s has %zu labels, one for each text; model %s is for %s", task->name,
                          task->labels, model->name, model->problem);
    if (task->labels > 0 && task->labels != model->labels)
        return berth_fail(err, BERTH_UNSUPPORTED, "task %s has %zu labels, model %s has %zu", task->name,
                          task->labels, model->name, model->labels);
    if (kind == BERTH_TARGET_VALUE && model->labels != 1)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "model %s is a regression with %zu outputs; metrics are for one", model->name,
                          model->labels);
    return BERTH_OK;
}

enum berth_status berth_label_map_init(struct berth_label_map *labels, const struct berth_task *task,
                                       const struct berth_model_info *model, struct berth_error *err)
{
    *labels = (struct berth_label_map){.task = task, .model = model, .width = 1, .kind = BERTH_TARGET_CLASS};
    if (strcmp(model->problem, "regression") == 0)
        labels->kind = BERTH_TARGET_VALUE;
    else if (strcmp(model->problem, "multi_label_classification") == 0) {
        labels->kind = BERTH_TARGET_SET;
        labels->width = model->labels;
    }
    enum berth_status status = check_model(task, model, labels->kind, err);
    if (status != BERTH_OK)
        return status;
    map_names(labels);
    labels->numeric = newlocale(LC_NUMERIC_MASK, "C", (locale_t)0);
    return labels->numeric ? BERTH_OK : berth_fail_memory(err, "a locale", 0);
}

void berth_label_map_clear(struct berth_label_map *labels)
{
    if (labels->numeric)
        freelocale(labels->numeric);
    *labels = (struct berth_label_map){0};
}

size_t berth_label_map_to_model(const struct berth_label_map *labels, size_t class_index)
{
    return labels->task->labels ? labels->order[class_index] : class_index;
}

/* The whole of text as a finite decimal number. */
static bool read_number(const struct berth_label_map *labels, const char *text, double *value)
{
    char *end;
    if (!text[0] || text[strspn(text, "0123456789+-.eE")])
        return false;
    *value = strtod_l(text, &end, labels->numeric);
    return !*end && isfinite(*value);
}

static enum berth_status refuse(const struct berth_label_map *labels, const char *text,
                                struct berth_error *err)
{
    const struct berth_task *task = labels->task;
    size_t count = labels->model->labels;
    const char *const *names = task->labels ? task->label_names : labels->model->label_names;
    const char *shape =
        labels->kind == BERTH_TARGET_SET ? "a list of names or indices" : "a name or an index";
    if (labels->kind == BERTH_TARGET_VALUE)
        return berth_fail(err, BERTH_FORMAT, "label '%.100s' is not a number, as the regression needs", text);
    if (count == 1)
        return berth_fail(err, BERTH_FORMAT, "label '%.100s' is not %s: '%.100s' or 0", text, shape,
                          names[0]);
    return berth_fail(err, BERTH_FORMAT,
                      "label '%.100s' is not %s of the %zu labels: '%.100s' %s '%.100s', 0 %s %zu", text,
                      shape, count, names[0], count == 2 ? "and" : "to", names[count - 1],
                      count == 2 ? "and" : "to", count - 1);
}

static size_t index_of_number(double number, size_t count)
{
    return number >= 0 && number < (double)count && number == floor(number) ? (size_t)number : NOT_FOUND;
}

/* Index of one label by name or number; NOT_FOUND. */
static size_t find_class(const struct berth_label_map *labels, const char *text)
{
    const struct berth_task *task = labels->task;
    size_t count = labels->model->labels, found;
    double number;
    if (task->labels)
        found = find_name(task->label_names, task->labels, text);
    else
        found = find_name(labels->model->label_names, count, text);
    if (found != NOT_FOUND)
        return found;
    if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)
        number = strcasecmp(text, "true") == 0;
    else if (!read_number(labels, text, &number))
        return NOT_FOUND;
    return index_of_number(number, count);
}

/* Zeros and ones, as many as labels. */
static bool read_flags(const json_t *list, size_t count, double *target)
{
    if (json_array_size(list) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);
        if (!json_is_number(item) || (json_number_value(item) != 0 && json_number_value(item) != 1))
            return false;
        target[i] = json_number_value(item);
    }
    return true;
}

static bool read_members(const struct berth_label_map *labels, const json_t *list, double *target)
{
    size_t count = labels->model->labels;
    memset(target, 0, count * sizeof *target);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        size_t index = json_is_string(item)   ? find_class(labels, json_string_value(item))
                       : json_is_number(item) ? index_of_number(json_number_value(item), count)
                                              : NOT_FOUND;
        if (index == NOT_FOUND)
            return false;
        target[index] = 1;
    }
    return true;
}

static bool read_set(const struct berth_label_map *labels, const char *text, double *target)
{
    size_t count = labels->model->labels;
    if (text[0] != '[') {
        memset(target, 0, count * sizeof *target);
        size_t index = find_class(labels, text);
        if (index != NOT_FOUND)
            target[index] = 1;
        return index != NOT_FOUND;
    }
    json_t *list = json_loads(text, 0, NULL);
    bool ok = list && (read_flags(list, count, target) || read_members(labels, list, target));
    json_decref(list);
    return ok;
}

enum berth_status berth_label_map_read(const struct berth_label_map *labels, const char *text, double *target,
                                       struct berth_error *err)
{
    bool ok = false;
    switch (labels->kind) {
        case BERTH_TARGET_VALUE:
            ok = read_number(labels, text, target);
            break;
        case BERTH_TARGET_SET:
            ok = read_set(labels, text, target);
            break;
        case BERTH_TARGET_CLASS: {
            size_t index = find_class(labels, text);
            ok = index != NOT_FOUND;
            *target = ok ? (double)index : 0;
            break;
        }
    }
    return ok ? BERTH_OK : refuse(labels, text, err);
}
