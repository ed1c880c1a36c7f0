/* encoder_write.h: an encoder as the weights and configuration of a Hugging Face directory. */
#ifndef BERTH_MODEL_ENCODER_WRITE_H
#define BERTH_MODEL_ENCODER_WRITE_H

#include "model/encoder.h"

/* Writes DIR/model.safetensors, every weight under the name that its family's files give it, then
 * DIR/config.json. `type` NULL: in the element type it is stored in (random ones: float32); else rounded to
 * F32, F16 or BF16, and a weight beyond what the type can hold is refused. Each file is whole or absent; DIR
 * exists. The vocabulary is the caller's. */
enum berth_status berth_encoder_write(const struct berth_encoder *encoder, const enum berth_dtype *type,
                                      const char *directory, struct berth_error *err);

#endif
