/* calibrate.h: what the inputs of a model's linear layers range over, seen on real texts. */
#ifndef BERTH_PIPELINE_CALIBRATE_H
#define BERTH_PIPELINE_CALIBRATE_H

#include "berth/berth.h"
#include "onnx/export.h"

enum { BERTH_CALIBRATION_TEXTS_MAX = 512 };

/* Runs at most BERTH_CALIBRATION_TEXTS_MAX texts of options->calibration through the model at fp32 and keeps
 * the lowest and highest number that each linear layer read, or what options->calibration_method leaves of it. ranges->layers is for berth_free, also on
 * failure. */
enum berth_status berth_calibrate(const char *model, const struct berth_convert_options *options,
                                  struct berth_onnx_ranges *ranges, struct berth_error *err);

#endif
