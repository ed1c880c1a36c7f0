/* curves.h: a run's curves as a picture. */
#ifndef BERTH_TRAIN_CURVES_H
#define BERTH_TRAIN_CURVES_H

#include "berth/status.h"

/* DIRECTORY/training.svg from its train_log.jsonl (loss) and, when there is one, eval_log.jsonl (eval_loss
 * beside it, and the metric `metric` below; NULL: none). */
enum berth_status berth_curves_write(const char *directory, const char *metric, struct berth_error *err);

#endif
