/* glue.h: the tasks that berth knows by name, as one table: GLUE's nine in their own TSV layouts, and "csv"
 * and "jsonl", whose columns and labels are the caller's and the model's. */
#ifndef BERTH_FORMATS_GLUE_H
#define BERTH_FORMATS_GLUE_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/berth.h"

enum { BERTH_GLUE_LABELS_MAX = 3 };

/* What is measured; see eval/scorer.h for the names. */
enum berth_metric_set {
    BERTH_METRICS_BY_MODEL, /* all that fit the model's problem */
    BERTH_METRICS_ACCURACY,
    BERTH_METRICS_ACCURACY_F1, /* with their mean */
    BERTH_METRICS_MATTHEWS,
    BERTH_METRICS_CORRELATION,
};

struct berth_task {
    const char *name;
    enum berth_layout layout;
    const char *text, *pair, *label; /* columns, by the header's names; pair NULL: single texts */
    bool headerless;                 /* CoLA's train and dev: source, label, star, sentence */
    bool ragged; /* QQP: some rows are broken; short ones are skipped, as Hugging Face's reader does */
    enum berth_metric_set metrics;
    size_t labels;                                  /* 0: regression (GLUE), or the model's (csv, jsonl) */
    const char *label_names[BERTH_GLUE_LABELS_MAX]; /* in GLUE's order */
};

/* NULL for an unknown name; case matters. */
const struct berth_task *berth_task_find(const char *name);

/* The known names, "cola, sst2, ...": for messages. */
extern const char berth_task_names[];

#endif
