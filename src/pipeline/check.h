/* check.h: the judge of a conversion. */
#ifndef BERTH_PIPELINE_CHECK_H
#define BERTH_PIPELINE_CHECK_H

#include "berth/berth.h"

/* Runs real texts through `model` in berth at fp32 and through the ONNX file in ONNX Runtime. Fills in
 * conversion's fields of the check; BERTH_FORMAT when the logits differ by more than their form of conversion
 * may. */
enum berth_status berth_check_onnx(const char *model, const char *file,
                                   const struct berth_convert_options *options,
                                   struct berth_conversion *conversion, struct berth_error *err);

/* The same of a model directory that was written: opened by berth at its own precision, which must be `precision`.
 * Then its own weights alone may have been rounded, to 16 bits (`rounded`). `output` is its name in messages. */
enum berth_status berth_check_folder(const char *model, const char *directory, const char *output,
                                     enum berth_precision precision, bool rounded,
                                     const struct berth_options *options,
                                     struct berth_conversion *conversion, struct berth_error *err);

/* The same of a model in memory, `before` being at fp32 and `after` of `precision`, with the same tokenizer and labels.
 * The verdict is the caller's: a difference that is too large is no error here. */
enum berth_status berth_check_models(const struct berth_model *before, const struct berth_model *after,
                                     enum berth_precision precision, struct berth_conversion *conversion,
                                     struct berth_error *err);

/* True when what was measured is within what may be lost. */
bool berth_check_passes(const struct berth_conversion *conversion);

#endif
