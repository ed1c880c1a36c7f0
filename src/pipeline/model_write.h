/* model_write.h: a whole model directory. */
#ifndef BERTH_PIPELINE_MODEL_WRITE_H
#define BERTH_PIPELINE_MODEL_WRITE_H

#include <stdbool.h>

#include "model/encoder.h"

/* Writes the encoder into `directory` (made when it is not there), with the vocabulary and tokenizer files of
 * `model`, or the vocabulary file `vocab` when not NULL, or the built-in one of a random model. config.json
 * comes last: without it the directory is no model. int8 weights stay such, or are widened to
 * float32; type as in encoder_write.h. */
enum berth_status berth_model_write(const char *model, const struct berth_encoder *encoder, bool widen,
                                    const enum berth_dtype *type, const char *vocab, const char *directory,
                                    struct berth_error *err);

#endif
