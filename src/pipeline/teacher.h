/* teacher.h: a trained model's logits for the examples that another one learns from: computed once, before
 * training, and kept with the data. */
#ifndef BERTH_PIPELINE_TEACHER_H
#define BERTH_PIPELINE_TEACHER_H

#include "berth/berth.h"
#include "train/data.h"

/* Fills data->teacher [count, labels] in the student's order of labels (matched by name where both have the
 * same names). A teacher with other labels, or for another kind of problem, is refused. */
enum berth_status berth_teacher_ask(const struct berth_finetune_options *options,
                                    const struct berth_model_info *student, struct berth_train_data *data,
                                    struct berth_error *err);

#endif
