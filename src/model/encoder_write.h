/* encoder_write.h: an encoder as the weights and configuration of a Hugging Face directory. */
#ifndef BERTH_MODEL_ENCODER_WRITE_H
#define BERTH_MODEL_ENCODER_WRITE_H

#include "model/encoder.h"

/* Writes DIR/model.safetensors, every weight under the name that its family's files give it, in the element
 * type it is stored in (random ones: float32), then DIR/config.json. int8 weights keep their scales beside
 * them
 * ("NAME_scale") and config.json says what is quantised and what is kept; or, with `widen`, they become
 * float32 and nothing is. With `type` (NULL: none) all are widened, and rounded to F32, F16 or BF16; one
 * beyond what the type can hold is refused. Each file is whole or absent; DIR exists. The vocabulary is the
 * caller's. */
enum berth_status berth_encoder_write(const struct berth_encoder *encoder, bool widen,
                                      const enum berth_dtype *type, const char *directory,
                                      struct berth_error *err);

#endif
