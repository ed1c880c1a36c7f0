/* scorer.c: which metrics a task has, and their names. Classes are counted in the task's order, so that
 * "class 1" of F1 is GLUE's whatever the model's order. */
#include "eval/scorer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"

enum berth_status berth_scorer_init(struct berth_scorer *scorer, const struct berth_label_map *labels,
                                    struct berth_error *err)
{
    size_t count = labels->model->labels;
    bool ok = true;
    *scorer = (struct berth_scorer){.labels = labels};
    if (labels->kind != BERTH_TARGET_VALUE)
        ok = berth_tally_init(&scorer->tally, count);
    if (ok && labels->kind == BERTH_TARGET_SET)
        ok = (scorer->sets = berth_malloc(count, 2)) != NULL;
    if (!ok)
        berth_scorer_clear(scorer);
    return ok ? BERTH_OK : berth_fail_memory(err, "counts of labels", count * sizeof(size_t));
}

void berth_scorer_clear(struct berth_scorer *scorer)
{
    berth_tally_clear(&scorer->tally);
    berth_free(scorer->sets);
    berth_free(scorer->values);
    berth_free(scorer->predictions);
    *scorer = (struct berth_scorer){0};
}

static bool grow(struct berth_scorer *scorer)
{
    size_t capacity = scorer->capacity ? scorer->capacity * 2 : 1024;
    double *values = berth_realloc(scorer->values, capacity, sizeof *values);
    if (!values)
        return false;
    scorer->values = values;
    double *predictions = berth_realloc(scorer->predictions, capacity, sizeof *predictions);
    if (!predictions)
        return false;
    scorer->predictions = predictions;
    scorer->capacity = capacity;
    return true;
}

static void add_class(struct berth_scorer *scorer, size_t actual, const float *logits)
{
    const struct berth_label_map *labels = scorer->labels;
    size_t count = labels->model->labels, best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[berth_label_map_to_model(labels, i)] > logits[berth_label_map_to_model(labels, best)])
            best = i;
    berth_tally_add(&scorer->tally, actual, best);
    scorer->loss += berth_cross_entropy(logits, count, berth_label_map_to_model(labels, actual));
}

static void add_set(struct berth_scorer *scorer, const double *target, const float *logits)
{
    size_t count = scorer->labels->model->labels;
    uint8_t *actual = scorer->sets, *predicted = actual + count;
    for (size_t i = 0; i < count; i++) {
        actual[i] = target[i] != 0;
        predicted[i] = logits[i] >= 0; /* sigmoid of 0.5 and more */
    }
    berth_tally_add_set(&scorer->tally, actual, predicted);
    scorer->loss += berth_binary_cross_entropy(logits, target, count);
}

enum berth_status berth_scorer_add(struct berth_scorer *scorer, const double *target, const float *logits,
                                   struct berth_error *err)
{
    switch (scorer->labels->kind) {
        case BERTH_TARGET_CLASS:
            add_class(scorer, (size_t)*target, logits);
            break;
        case BERTH_TARGET_SET:
            add_set(scorer, target, logits);
            break;
        case BERTH_TARGET_VALUE:
            if (scorer->examples == scorer->capacity && !grow(scorer))
                return berth_fail_memory(err, "predictions", scorer->capacity * 2 * sizeof(double));
            scorer->values[scorer->examples] = *target;
            scorer->predictions[scorer->examples] = logits[0];
            scorer->loss += (logits[0] - *target) * (logits[0] - *target);
            break;
    }
    scorer->examples++;
    return BERTH_OK;
}

static void report(struct berth_evaluation *evaluation, const char *name, double value)
{
    size_t i = evaluation->metrics++;
    snprintf(evaluation->metric[i].name, sizeof evaluation->metric[i].name, "%s", name);
    evaluation->metric[i].value = value;
}

static enum berth_status report_correlation(const struct berth_scorer *scorer,
                                            struct berth_evaluation *evaluation, struct berth_error *err)
{
    const double *x = scorer->predictions, *y = scorer->values;
    size_t n = scorer->examples;
    double pearson = berth_pearson(x, y, n), spearman;
    if (!berth_spearman(x, y, n, &spearman))
        return berth_fail_memory(err, "ranks", n * 4 * sizeof(double));
    report(evaluation, "pearson", pearson);
    report(evaluation, "spearmanr", spearman);
    report(evaluation, "corr", (pearson + spearman) / 2);
    report(evaluation, "mse", berth_mse(x, y, n));
    report(evaluation, "mae", berth_mae(x, y, n));
    return BERTH_OK;
}

static void report_by_model(const struct berth_scorer *scorer, struct berth_evaluation *evaluation)
{
    const struct berth_tally *tally = &scorer->tally;
    bool single = scorer->labels->kind == BERTH_TARGET_CLASS;
    report(evaluation, "accuracy", berth_accuracy(tally));
    if (single && tally->classes == 2)
        report(evaluation, "f1", berth_f1(tally, 1));
    report(evaluation, "f1_macro", berth_f1_macro(tally));
    report(evaluation, "f1_micro", berth_f1_micro(tally));
    report(evaluation, "f1_weighted", berth_f1_weighted(tally));
    if (single)
        report(evaluation, "matthews_correlation", berth_matthews(tally));
}

enum berth_status berth_scorer_finish(const struct berth_scorer *scorer, struct berth_evaluation *evaluation,
                                      struct berth_error *err)
{
    const struct berth_tally *tally = &scorer->tally;
    snprintf(evaluation->task, sizeof evaluation->task, "%s", scorer->labels->task->name);
    evaluation->examples = scorer->examples;
    evaluation->loss = scorer->examples ? (double)(scorer->loss / scorer->examples) : NAN;
    evaluation->metrics = 0;
    if (scorer->labels->kind == BERTH_TARGET_VALUE)
        return report_correlation(scorer, evaluation, err);
    switch (scorer->labels->task->metrics) {
        case BERTH_METRICS_ACCURACY:
            report(evaluation, "accuracy", berth_accuracy(tally));
            break;
        case BERTH_METRICS_ACCURACY_F1:
            report(evaluation, "accuracy", berth_accuracy(tally));
            report(evaluation, "f1", berth_f1(tally, 1));
            report(evaluation, "acc_and_f1", (berth_accuracy(tally) + berth_f1(tally, 1)) / 2);
            break;
        case BERTH_METRICS_MATTHEWS:
            report(evaluation, "matthews_correlation", berth_matthews(tally));
            report(evaluation, "accuracy", berth_accuracy(tally));
            break;
        case BERTH_METRICS_CORRELATION: /* regression: above */
            break;
        case BERTH_METRICS_BY_MODEL:
            report_by_model(scorer, evaluation);
            break;
    }
    return BERTH_OK;
}
