/* teacher.h: a trained model's logits for the examples that another one learns from: computed once, before
 * training, and kept with the data. */
#ifndef BERTH_PIPELINE_TEACHER_H
#define BERTH_PIPELINE_TEACHER_H

#include "berth/berth.h"
#include "train/data.h"

/* Fills data->teacher [count, labels] in the student's order of labels (matched by name where both have the
 * same names): the mean of all teachers' logits. With options->distill_hidden also data->states [count,
 * hidden]. A teacher with other labels, for another kind of problem, or then with another width than the
 * student's `hidden`, is refused. */
enum berth_status berth_teacher_ask(const struct berth_finetune_options *options,
                                    const struct berth_model_info *student, size_t hidden,
                                    struct berth_train_data *data, struct berth_error *err);

#endif
