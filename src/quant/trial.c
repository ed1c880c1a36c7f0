/* trial.c: runs texts through a session in windows, and reads answers off logits. */
#include "quant/trial.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "eval/scorer.h"

enum { WINDOW = 256 };

static size_t labels_of(const struct berth_labelled *data)
{
    return data->labels.model->labels;
}

static enum berth_status step(struct berth_trial_progress *progress, size_t texts, struct berth_error *err)
{
    progress->done += texts;
    if (progress->call && !progress->call(progress->context, progress->done, progress->total))
        return berth_fail(err, BERTH_CANCELLED, "stopped; nothing was written");
    return BERTH_OK;
}

enum berth_status berth_trial_run(const struct berth_model *model, const struct berth_labelled *data,
                                  struct berth_trial_progress *progress, float *logits, struct berth_error *err)
{
    const size_t labels = labels_of(data);
    struct berth_session *session = NULL;
    struct berth_result *results = berth_calloc(WINDOW, sizeof *results);
    enum berth_status status;
    if (!results)
        return berth_fail_memory(err, "results", WINDOW * sizeof *results);
    BERTH_TRY(berth_session_new(model, NULL, &session, err));
    for (size_t first = 0; first < data->count; first += WINDOW) {
        const size_t count = berth_min(WINDOW, data->count - first);
        BERTH_TRY(berth_session_classify(session, data->texts + first, count, results, err));
        for (size_t i = 0; i < count; i++)
            memcpy(logits + (first + i) * labels, results[i].logits, labels * sizeof *logits);
        BERTH_TRY(step(progress, count, err));
    }
fail:
    berth_session_free(session);
    berth_free(results);
    return status;
}

enum berth_status berth_trial_score(const struct berth_labelled *data, const float *logits,
                                    struct berth_evaluation *evaluation, struct berth_error *err)
{
    struct berth_scorer scorer;
    enum berth_status status = berth_scorer_init(&scorer, &data->labels, err);
    if (status != BERTH_OK)
        return status;
    *evaluation = (struct berth_evaluation){.examples = 0};
    for (size_t i = 0; i < data->count && status == BERTH_OK; i++)
        status = berth_scorer_add(&scorer, data->targets + i * data->labels.width, logits + i * labels_of(data), err);
    if (status == BERTH_OK)
        status = berth_scorer_finish(&scorer, evaluation, err);
    berth_scorer_clear(&scorer);
    return status;
}

size_t berth_trial_answer(const struct berth_labelled *data, const float *logits, size_t index)
{
    const size_t labels = labels_of(data);
    const float *row = logits + index * labels;
    size_t best = berth_label_map_to_model(&data->labels, 0);
    if (data->labels.kind != BERTH_TARGET_CLASS) {
        best = 0;
        for (size_t i = 1; i < labels; i++)
            best = row[i] > row[best] ? i : best;
        return best;
    }
    for (size_t i = 1; i < labels; i++) {
        const size_t at = berth_label_map_to_model(&data->labels, i);
        best = row[at] > row[best] ? at : best;
    }
    return best;
}

bool berth_trial_is_right(const struct berth_labelled *data, const float *logits, size_t index)
{
    const double *target = data->targets + index * data->labels.width;
    const float *row = logits + index * labels_of(data);
    if (data->labels.kind == BERTH_TARGET_CLASS)
        return berth_trial_answer(data, logits, index) == berth_label_map_to_model(&data->labels, (size_t)*target);
    if (data->labels.kind == BERTH_TARGET_VALUE)
        return false;
    for (size_t i = 0; i < labels_of(data); i++)
        if ((target[i] != 0) != (row[i] >= 0))
            return false;
    return true;
}

bool berth_trial_same_answer(const struct berth_labelled *data, const float *a, const float *b, size_t index)
{
    const size_t labels = labels_of(data);
    if (data->labels.kind == BERTH_TARGET_CLASS)
        return berth_trial_answer(data, a, index) == berth_trial_answer(data, b, index);
    for (size_t i = index * labels; data->labels.kind == BERTH_TARGET_SET && i < (index + 1) * labels; i++)
        if ((a[i] >= 0) != (b[i] >= 0))
            return false;
    return true;
}

double berth_trial_score_of(const struct berth_labelled *data, const float *logits, size_t index, size_t label)
{
    const size_t labels = labels_of(data);
    const float *row = logits + index * labels;
    if (data->labels.kind == BERTH_TARGET_VALUE)
        return row[label];
    if (data->labels.kind == BERTH_TARGET_SET)
        return 1 / (1 + exp(-(double)row[label]));
    double sum = 0;
    for (size_t i = 0; i < labels; i++)
        sum += exp((double)row[i] - (double)row[label]);
    return 1 / sum;
}

double berth_trial_distance(const float *a, const float *b, size_t count, double *largest)
{
    double sum = 0, most = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = fabs((double)a[i] - (double)b[i]);
        sum += d * d;
        most = fmax(most, d);
    }
    if (largest)
        *largest = most;
    return count ? sqrt(sum / (double)count) : 0;
}
