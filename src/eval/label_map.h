/* label_map.h: what a label in a file means to a model on a task. Shared by evaluation and training. */
#ifndef BERTH_EVAL_LABEL_MAP_H
#define BERTH_EVAL_LABEL_MAP_H

#include <locale.h>
#include <stdbool.h>
#include <stddef.h>

#include "berth/berth.h"
#include "formats/glue.h"

enum berth_target_kind { BERTH_TARGET_CLASS, BERTH_TARGET_SET, BERTH_TARGET_VALUE };

struct berth_label_map {
    const struct berth_task *task;
    const struct berth_model_info *model; /* borrowed */
    enum berth_target_kind kind;
    size_t width;                        /* doubles of a target */
    size_t order[BERTH_GLUE_LABELS_MAX]; /* the model's index of each of the task's labels; GLUE tasks only */
    locale_t numeric;                    /* owned: "C", whatever the program runs under */
};

/* Refuses, by name, a model that cannot answer the task: without a head, with another number of labels,
 * regression for classification or the reverse. *labels needs no clear after a failure. */
enum berth_status berth_label_map_init(struct berth_label_map *labels, const struct berth_task *task,
                                       const struct berth_model_info *model, struct berth_error *err);
void berth_label_map_clear(struct berth_label_map *labels); /* {0} is fine */

/* Reads a label into target [width]:
 *     class   its index among the task's labels (csv, jsonl: the model's), from the name (case is ignored
 * unless two names differ by it alone) or the index; "1.0", "true" and "false" are indices too set     0 or 1
 * for each label, from a JSON list of names or indices, or of as many zeros and ones as there are labels; or
 * from one name or index value   a finite number The message names the label and what was expected. */
enum berth_status berth_label_map_read(const struct berth_label_map *labels, const char *text, double *target,
                                       struct berth_error *err);

/* The model's index of the task's class. */
size_t berth_label_map_to_model(const struct berth_label_map *labels, size_t class_index);

#endif
