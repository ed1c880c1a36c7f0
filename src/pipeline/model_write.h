/* model_write.h: a whole model directory. */
#ifndef BERTH_PIPELINE_MODEL_WRITE_H
#define BERTH_PIPELINE_MODEL_WRITE_H

#include "model/encoder.h"

/* Writes the encoder into `directory` (made when it is not there), with the vocabulary and tokenizer files of
 * `model`, or the vocabulary file `vocab` when not NULL, or the built-in one of a random model; weights in
 * `type` as berth_encoder_write takes it. config.json comes last: without it the directory is no model. */
enum berth_status berth_model_write(const char *model, const struct berth_encoder *encoder, const char *vocab,
                                    const enum berth_dtype *type, const char *directory,
                                    struct berth_error *err);

#endif
