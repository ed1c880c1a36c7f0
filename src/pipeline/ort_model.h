/* ort_model.h: a model in ONNX Runtime instead of berth's own engine: the library, and the file that it runs.
 */
#ifndef BERTH_PIPELINE_ORT_MODEL_H
#define BERTH_PIPELINE_ORT_MODEL_H

#include "berth/berth.h"
#include "model/encoder.h"
#include "ort/ort.h"

struct berth_ort_model;

/* The user's own .onnx file runs as it is: `file`, encoder NULL. Otherwise the encoder is exported (as
 * `optimization` says, int8 when `quantized`) into memory that has a name under /proc; the encoder is only
 * read. `optimization` is one of the three, not the default. */
enum berth_status berth_ort_model_new(const char *library, const char *file,
                                      const struct berth_encoder *encoder, bool quantized,
                                      enum berth_optimization optimization, struct berth_ort_model **model,
                                      struct berth_error *err);
void berth_ort_model_free(struct berth_ort_model *model); /* NULL is fine; its sessions are closed before */

enum berth_status berth_ort_model_session(const struct berth_ort_model *model, size_t threads,
                                          struct berth_ort_session **session, struct berth_error *err);
const char *berth_ort_model_version(const struct berth_ort_model *model);

/* Runs texts laid end to end in groups that, padded to the longest of each, have at most max_tokens (one text
 * is always run). */
enum berth_status berth_ort_model_run(struct berth_ort_session *session, const int32_t *ids,
                                      const uint8_t *types, const size_t *offsets, size_t count,
                                      size_t labels, size_t max_tokens, float *logits,
                                      struct berth_error *err);

#endif
