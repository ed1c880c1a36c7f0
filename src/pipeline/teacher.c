/* teacher.c: opens each teacher as any model and classifies the training file window by window: texts, since
 * its vocabulary may be another, or token ids where the file has those. Of several teachers, the logits are
 * averaged. */
#include "pipeline/teacher.h"

#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"

enum { WINDOW = 512 };

struct teacher {
    const struct berth_finetune_options *options;
    const struct berth_model_info *student;
    const char *name; /* of the one that is asked */
    struct berth_model *model;
    struct berth_session *session;
    struct berth_reader *reader;
    size_t hidden; /* of the student */
    struct berth_train_data *data;
    size_t *order; /* [labels] owned: the teacher's index of each of the student's labels */
    size_t done;
    struct berth_buffer bytes; /* texts of the window, end to end */
    struct berth_text texts[WINDOW];
    struct berth_result results[WINDOW];
    size_t count;
};

/* The teacher's index of a name, or labels. */
static size_t find_label(const struct berth_model_info *info, const char *name)
{
    size_t i = 0;
    while (i < info->labels && strcasecmp(info->label_names[i], name) != 0)
        i++;
    return i;
}

static bool is_generic(const struct berth_model_info *info)
{
    return strncmp(info->label_names[0], "LABEL_", 6) == 0;
}

static enum berth_status match_labels(struct teacher *t, struct berth_error *err)
{
    const struct berth_model_info *own = t->student, *info = berth_model_get_info(t->model);
    if (!info->has_head || info->labels != own->labels || strcmp(info->problem, own->problem) != 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "teacher %s is for %s with %zu labels, the student for %s with %zu", info->name,
                          info->problem, info->has_head ? info->labels : 0, own->problem, own->labels);
    t->order = berth_calloc(own->labels, sizeof *t->order);
    if (!t->order)
        return berth_fail_memory(err, "labels", own->labels * sizeof *t->order);
    bool named = !is_generic(info) && !is_generic(own);
    for (size_t i = 0; i < own->labels; i++) {
        t->order[i] = named ? find_label(info, own->label_names[i]) : i;
        if (t->order[i] == info->labels)
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "teacher %s has no label '%.100s', which the student learns", info->name,
                              own->label_names[i]);
    }
    return BERTH_OK;
}

static float *states_of(const struct teacher *t, size_t example)
{
    return t->data->states + example * t->data->hidden;
}

static void keep_logits(struct teacher *t, size_t count)
{
    size_t labels = t->student->labels;
    for (size_t i = 0; i < count; i++, t->done++) {
        for (size_t j = 0; j < labels; j++)
            t->data->teacher[t->done * labels + j] +=
                t->results[i].logits[t->order[j]] / (float)t->options->teacher_count;
    }
}

static enum berth_status ask_about_texts(struct teacher *t, struct berth_error *err)
{
    const char *at = t->bytes.data;
    for (size_t i = 0; i < t->count; i++) {
        struct berth_text *text = &t->texts[i];
        text->text = at;
        at += text->size;
        text->pair = text->pair ? at : NULL;
        at += text->pair_size;
    }
    size_t first = t->done;
    enum berth_status status = berth_session_classify(t->session, t->texts, t->count, t->results, err);
    if (status == BERTH_OK)
        keep_logits(t, t->count);
    if (status == BERTH_OK && t->data->states)
        status = berth_session_embed(t->session, t->texts, t->count, BERTH_POOLING_CLS, states_of(t, first),
                                     NULL, err);
    t->count = 0;
    t->bytes.size = 0;
    return status;
}

static enum berth_status read_texts(struct teacher *t, struct berth_error *err)
{
    enum berth_status status;
    for (bool end = false; !end;) {
        struct berth_record record;
        BERTH_TRY(berth_reader_next(t->reader, &record, &end, err));
        if (!end) {
            const struct berth_text *text = &record.text;
            if (t->done + t->count == t->data->count)
                return berth_fail(err, BERTH_FORMAT, "%s: changed while it was read", t->data->name);
            if (!berth_buffer_append(&t->bytes, text->text, text->size) ||
                (text->pair && !berth_buffer_append(&t->bytes, text->pair, text->pair_size)))
                return berth_fail_memory(err, "texts", text->size);
            t->texts[t->count++] = *text;
        }
        if (t->count == WINDOW || (end && t->count > 0))
            BERTH_TRY(ask_about_texts(t, err));
    }
    if (t->done != t->data->count)
        return berth_fail(err, BERTH_FORMAT, "%s: changed while it was read", t->data->name);
fail:
    return status;
}

static enum berth_status read_ids(struct teacher *t, struct berth_error *err)
{
    const struct berth_train_data *data = t->data;
    struct berth_sequence sequences[WINDOW];
    enum berth_status status = BERTH_OK;
    while (t->done < data->count && status == BERTH_OK) {
        size_t first = t->done, count = berth_min(WINDOW, data->count - first);
        for (size_t i = 0; i < count; i++) {
            size_t at = data->offsets[first + i];
            sequences[i] = (struct berth_sequence){
                .ids = data->ids + at, .type_ids = data->types + at, .size = data->offsets[first + i + 1] - at};
        }
        status = berth_session_classify_sequences(t->session, sequences, count, t->results, err);
        if (status == BERTH_OK)
            keep_logits(t, count);
        if (status == BERTH_OK && data->states)
            status = berth_session_embed_sequences(t->session, sequences, count, BERTH_POOLING_CLS,
                                                   states_of(t, first), err);
    }
    return status;
}

static enum berth_status make_room(struct teacher *t, struct berth_error *err)
{
    struct berth_train_data *data = t->data;
    size_t hidden = t->options->distill_hidden > 0 ? t->hidden : 0, numbers;
    data->teacher = berth_calloc(data->count, t->student->labels * sizeof *data->teacher);
    if (!data->teacher)
        return berth_fail_memory(err, "the teacher's logits", data->count * sizeof *data->teacher);
    if (hidden == 0)
        return BERTH_OK;
    data->hidden = hidden;
    data->states =
        berth_mul(data->count, hidden, &numbers) ? berth_calloc(numbers, sizeof *data->states) : NULL;
    return data->states
               ? BERTH_OK
               : berth_fail_memory(err, "the teacher's hidden states", data->count * hidden * sizeof(float));
}

static enum berth_status check_states(const struct teacher *t, struct berth_error *err)
{
    const struct berth_model_info *info = berth_model_get_info(t->model);
    if (t->data->states && info->hidden_size != t->hidden)
        return berth_fail(
            err, BERTH_INVALID_ARGUMENT,
            "teacher %s has hidden states of %zu numbers, the student of %zu: --distill-hidden needs "
            "the same; leave it out",
            info->name, info->hidden_size, t->hidden);
    return BERTH_OK;
}

/* One teacher about all examples. */
static enum berth_status ask(struct teacher *t, struct berth_error *err)
{
    enum berth_status status;
    struct berth_options options = t->options->options;
    options.vocab = NULL; /* the student's */
    options.max_length = 0;
    t->done = t->count = 0;
    BERTH_TRY(berth_model_open(t->name, &options, &t->model, err));
    BERTH_TRY(match_labels(t, err));
    BERTH_TRY(check_states(t, err));
    BERTH_TRY(berth_session_new(t->model, &options, &t->session, err));
    if (t->data->from_ids)
        return read_ids(t, err);
    BERTH_TRY(berth_reader_open_task(t->options->train, t->options->task, &t->options->columns, false,
                                     &t->reader, err));
    status = read_texts(t, err);
fail:
    return status;
}

static void dismiss(struct teacher *t)
{
    berth_reader_close(t->reader);
    berth_session_free(t->session);
    berth_model_free(t->model);
    berth_free(t->order);
    t->reader = NULL;
    t->session = NULL;
    t->model = NULL;
    t->order = NULL;
}

enum berth_status berth_teacher_ask(const struct berth_finetune_options *options,
                                    const struct berth_model_info *student, size_t hidden,
                                    struct berth_train_data *data, struct berth_error *err)
{
    struct teacher *t = berth_calloc(1, sizeof *t);
    if (!t)
        return berth_fail_memory(err, "a teacher", sizeof *t);
    t->options = options;
    t->student = student;
    t->hidden = hidden;
    t->data = data;
    berth_buffer_init(&t->bytes, SIZE_MAX / 4);
    enum berth_status status = make_room(t, err);
    for (size_t i = 0; i < options->teacher_count && status == BERTH_OK; i++) {
        t->name = options->teachers[i];
        status = ask(t, err);
        dismiss(t);
    }
    berth_buffer_clear(&t->bytes);
    berth_free(t);
    return status;
}
