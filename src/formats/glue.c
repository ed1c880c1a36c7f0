/* glue.c: the table of tasks. Columns are those of GLUE's published files, label names Hugging Face's. */
#include "formats/glue.h"

#include <string.h>

const char berth_task_names[] = "cola, sst2, mrpc, stsb, qqp, mnli, qnli, rte, wnli, csv, jsonl";

static const struct berth_task tasks[] = {
    {"cola", BERTH_LAYOUT_TSV, "sentence", NULL, "label", .headerless = true,
     .metrics = BERTH_METRICS_MATTHEWS, .labels = 2, .label_names = {"unacceptable", "acceptable"}},
    {"sst2", BERTH_LAYOUT_TSV, "sentence", NULL, "label", .metrics = BERTH_METRICS_ACCURACY, .labels = 2,
     .label_names = {"negative", "positive"}},
    {"mrpc", BERTH_LAYOUT_TSV, "#1 String", "#2 String", "Quality", .metrics = BERTH_METRICS_ACCURACY_F1,
     .labels = 2, .label_names = {"not_equivalent", "equivalent"}},
    {"stsb", BERTH_LAYOUT_TSV, "sentence1", "sentence2", "score", .metrics = BERTH_METRICS_CORRELATION},
    {"qqp", BERTH_LAYOUT_TSV, "question1", "question2", "is_duplicate", .ragged = true,
     .metrics = BERTH_METRICS_ACCURACY_F1, .labels = 2, .label_names = {"not_duplicate", "duplicate"}},
    {"mnli", BERTH_LAYOUT_TSV, "sentence1", "sentence2", "gold_label", .metrics = BERTH_METRICS_ACCURACY,
     .labels = 3, .label_names = {"entailment", "neutral", "contradiction"}},
    {"qnli", BERTH_LAYOUT_TSV, "question", "sentence", "label", .metrics = BERTH_METRICS_ACCURACY,
     .labels = 2, .label_names = {"entailment", "not_entailment"}},
    {"rte", BERTH_LAYOUT_TSV, "sentence1", "sentence2", "label", .metrics = BERTH_METRICS_ACCURACY,
     .labels = 2, .label_names = {"entailment", "not_entailment"}},
    {"wnli", BERTH_LAYOUT_TSV, "sentence1", "sentence2", "label", .metrics = BERTH_METRICS_ACCURACY,
     .labels = 2, .label_names = {"not_entailment", "entailment"}},
    {"csv", BERTH_LAYOUT_CSV, NULL, NULL, "label", .metrics = BERTH_METRICS_BY_MODEL},
    {"jsonl", BERTH_LAYOUT_JSONL, NULL, NULL, "label", .metrics = BERTH_METRICS_BY_MODEL},
};

const struct berth_task *berth_task_find(const char *name)
{
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(tasks[i].name, name) == 0)
            return &tasks[i];
    return NULL;
}
