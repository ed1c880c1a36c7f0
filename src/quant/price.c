/* price.c: the comparison of two models, answer by answer, and their speed in turns. */
#include "quant/price.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "quant/paired.h"

enum { SPEED_TEXTS = 64, ROUNDS = 5, LOADS = 3, TEXT_SHOWN = 100 };

/* --- answers -------------------------------------------------------------------------------------- */

static void count_answers(struct berth_quantize_report *report, const struct berth_labelled *data,
                          const float *before, const float *after)
{
    size_t right_before = 0, right_after = 0;
    for (size_t i = 0; i < data->count; i++) {
        const bool was = berth_trial_is_right(data, before, i), is = berth_trial_is_right(data, after, i);
        right_before += was;
        right_after += is;
        report->broken += was && !is;
        report->mended += is && !was;
        report->flips += !berth_trial_same_answer(data, before, after, i);
    }
    report->before.accuracy = (double)right_before / (double)data->count;
    report->after.accuracy = (double)right_after / (double)data->count;
    berth_wilson(right_before, data->count, report->before.interval);
    berth_wilson(right_after, data->count, report->after.interval);
    berth_mcnemar(report->broken, report->mended, &report->p_value, &report->p_mid);
}

/* Regression has no answers to count. */
static void count_nothing(struct berth_quantize_report *report)
{
    report->before.accuracy = report->after.accuracy = NAN;
    report->before.interval[0] = report->before.interval[1] = NAN;
    report->after.interval[0] = report->after.interval[1] = NAN;
    report->p_value = report->p_mid = NAN;
}

struct moved {
    size_t index, label;
    double change, logit;
};

static int compare_moved(const void *a, const void *b)
{
    const struct moved *x = a, *y = b;
    if (fabs(x->change) != fabs(y->change))
        return fabs(x->change) < fabs(y->change) ? 1 : -1;
    return (x->index > y->index) - (x->index < y->index);
}

static struct moved move_of(const struct berth_labelled *data, const float *before, const float *after, size_t index)
{
    const size_t labels = data->labels.model->labels;
    struct moved moved = {.index = index, .label = berth_trial_answer(data, before, index)};
    moved.change = berth_trial_score_of(data, after, index, moved.label) -
                   berth_trial_score_of(data, before, index, moved.label);
    berth_trial_distance(before + index * labels, after + index * labels, labels, &moved.logit);
    return moved;
}

/* A text of at most TEXT_SHOWN bytes, whole characters; the second text after a bar. */
static char *cut_text(const struct berth_text *text)
{
    char *cut = berth_malloc(2 * TEXT_SHOWN + 16, 1);
    const char *const parts[] = {text->text, text->pair};
    const size_t sizes[] = {text->size, text->pair_size};
    size_t used = 0;
    for (size_t p = 0; cut && p < 2 && parts[p]; p++) {
        size_t size = berth_min(sizes[p], TEXT_SHOWN);
        while (size < sizes[p] && size > 0 && ((unsigned char)parts[p][size] & 0xc0) == 0x80)
            size--;
        memcpy(cut + used, " | ", 3);
        used += p ? 3 : 0;
        memcpy(cut + used, parts[p], size);
        used += size;
        memcpy(cut + used, "...", 3);
        used += size < sizes[p] ? 3 : 0;
    }
    if (cut)
        cut[used] = 0;
    return cut;
}

static enum berth_status describe_moved(struct berth_moved_text *out, const struct moved *moved,
                                        const struct berth_labelled *data, const float *before, const float *after,
                                        struct berth_error *err)
{
    const struct berth_model_info *info = data->labels.model;
    const double *target = data->targets + moved->index * data->labels.width;
    *out = (struct berth_moved_text){
        .line = data->lines[moved->index],
        .text = cut_text(&data->texts[moved->index]),
        .score_before = berth_trial_score_of(data, before, moved->index, moved->label),
        .score_after = berth_trial_score_of(data, after, moved->index, moved->label),
        .change = moved->change,
        .logit_change = moved->logit,
    };
    if (!out->text)
        return berth_fail_memory(err, "a text", TEXT_SHOWN);
    if (data->labels.kind != BERTH_TARGET_VALUE) {
        out->before = info->label_names[moved->label];
        out->after = info->label_names[berth_trial_answer(data, after, moved->index)];
    }
    if (data->labels.kind == BERTH_TARGET_CLASS)
        out->actual = info->label_names[berth_label_map_to_model(&data->labels, (size_t)*target)];
    return BERTH_OK;
}

static enum berth_status list_moved(struct berth_quantize_report *report, const struct berth_labelled *data,
                                    const float *before, const float *after, size_t worst, struct berth_error *err)
{
    struct moved *all = berth_calloc(data->count, sizeof *all);
    const size_t count = berth_min(worst, data->count);
    enum berth_status status = BERTH_OK;
    report->text = berth_calloc(count, sizeof *report->text);
    if (!all || !report->text)
        status = berth_fail_memory(err, "the texts that moved", data->count * sizeof *all);
    for (size_t i = 0; i < data->count && status == BERTH_OK; i++)
        all[i] = move_of(data, before, after, i);
    if (status == BERTH_OK)
        qsort(all, data->count, sizeof *all, compare_moved);
    for (size_t i = 0; i < count && status == BERTH_OK; i++) {
        status = describe_moved(&report->text[i], &all[i], data, before, after, err);
        report->moved++;
    }
    berth_free(all);
    return status;
}

/* Labels of the report outlive the model. */
static enum berth_status own_labels(struct berth_quantize_report *report, const struct berth_model_info *info,
                                    struct berth_error *err)
{
    size_t bytes = 0, at = 0;
    for (size_t i = 0; i < info->labels; i++)
        bytes += strlen(info->label_names[i]) + 1;
    char *names = berth_malloc(bytes, 1);
    if (!names)
        return berth_fail_memory(err, "label names", bytes);
    report->owned = names;
    for (size_t i = 0; i < info->labels; i++) {
        const char *name = info->label_names[i];
        for (size_t t = 0; t < report->moved; t++) {
            const char **users[] = {&report->text[t].before, &report->text[t].after, &report->text[t].actual};
            for (size_t u = 0; u < 3; u++)
                if (*users[u] == name)
                    *users[u] = names + at;
        }
        memcpy(names + at, name, strlen(name) + 1);
        at += strlen(name) + 1;
    }
    return BERTH_OK;
}

enum berth_status berth_price_fill(struct berth_quantize_report *report, const struct berth_labelled *data,
                                   const float *before, const float *after, size_t worst, struct berth_error *err)
{
    report->logit_rms = berth_trial_distance(before, after, data->count * data->labels.model->labels,
                                             &report->logit_largest);
    if (data->labels.kind == BERTH_TARGET_VALUE)
        count_nothing(report);
    else
        count_answers(report, data, before, after);
    enum berth_status status = list_moved(report, data, before, after, worst, err);
    return status == BERTH_OK ? own_labels(report, data->labels.model, err) : status;
}

/* --- speed ---------------------------------------------------------------------------------------- */

struct runner {
    struct berth_model *model;
    struct berth_session *session;
    double rates[ROUNDS];
};

static void close_runner(struct runner *runner)
{
    berth_session_free(runner->session);
    berth_model_free(runner->model);
    runner->session = NULL;
    runner->model = NULL;
}

/* Opens the model anew; the shortest time of all calls counts. */
static enum berth_status open_runner(struct runner *runner, const char *model, const struct berth_options *options,
                                     struct berth_quantize_side *side, struct berth_error *err)
{
    const uint64_t start = berth_clock_ns();
    enum berth_status status;
    close_runner(runner);
    BERTH_TRY(berth_model_open(model, options, &runner->model, err));
    BERTH_TRY(berth_session_new(runner->model, NULL, &runner->session, err));
    const double ms = (double)(berth_clock_ns() - start) / 1e6;
    side->load_ms = side->load_ms > 0 ? fmin(side->load_ms, ms) : ms;
    side->memory_bytes = berth_model_get_info(runner->model)->weight_bytes;
fail:
    return status;
}

/* Lasts `ns` at least. */
static enum berth_status run_round(struct runner *runner, size_t round, uint64_t ns, const struct berth_labelled *data,
                                   struct berth_result *results, struct berth_error *err)
{
    const size_t texts = berth_min(SPEED_TEXTS, data->count);
    const uint64_t start = berth_clock_ns();
    uint64_t now = start;
    size_t done = 0;
    for (; done == 0 || now - start < ns; now = berth_clock_ns()) {
        enum berth_status status = berth_session_classify(runner->session, data->texts, texts, results, err);
        if (status != BERTH_OK)
            return status;
        done += texts;
    }
    runner->rates[round] = (double)done * 1e9 / (double)(now - start);
    return BERTH_OK;
}

static int compare_rates(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(struct runner *runner)
{
    qsort(runner->rates, ROUNDS, sizeof *runner->rates, compare_rates);
    return runner->rates[ROUNDS / 2];
}

enum berth_status berth_price_speed(struct berth_quantize_report *report, const char *before,
                                    const struct berth_options *before_options, const char *after,
                                    const struct berth_options *after_options, const struct berth_labelled *data,
                                    double seconds, struct berth_error *err)
{
    const uint64_t ns = (uint64_t)(seconds * 1e9 / ROUNDS);
    struct runner first = {.model = NULL}, second = {.model = NULL};
    struct berth_result *results = berth_calloc(SPEED_TEXTS, sizeof *results);
    enum berth_status status;
    if (!results)
        return berth_fail_memory(err, "results", SPEED_TEXTS * sizeof *results);
    for (int i = 0; i < LOADS; i++) {
        BERTH_TRY(open_runner(&first, before, before_options, &report->before, err));
        BERTH_TRY(open_runner(&second, after, after_options, &report->after, err));
    }
    for (size_t round = 0; round < ROUNDS; round++) {
        BERTH_TRY(run_round(&first, round, ns, data, results, err));
        BERTH_TRY(run_round(&second, round, ns, data, results, err));
    }
    report->before.texts_per_second = median(&first);
    report->after.texts_per_second = median(&second);
fail:
    close_runner(&first);
    close_runner(&second);
    berth_free(results);
    return status;
}
