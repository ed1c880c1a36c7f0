/* pack.h: moves one weight from the model into the plan: widened, checked, packed, and gone from where it
 * was. */
#ifndef BERTH_PLAN_PACK_H
#define BERTH_PLAN_PACK_H

#include <stddef.h>

#include "base/threads.h"
#include "berth/status.h"
#include "kernels/kernels.h"
#include "model/encoder.h"
#include "plan/matrix.h"

/* What packing needs, for all weights of a model. */
struct berth_packer {
    const struct berth_encoder *encoder;
    const struct berth_kernels *kernels;
    struct berth_team *team;
    float *tiles; /* owned: tile_floats for each member of the team */
    size_t tile_floats;
};

/* `columns` is the widest weight's K. */
enum berth_status berth_packer_init(struct berth_packer *packer, const struct berth_encoder *encoder,
                                    const struct berth_kernels *kernels, struct berth_team *team,
                                    size_t columns, struct berth_error *err);
void berth_packer_clear(struct berth_packer *packer);

/* weight [n, k] -> matrix: n and k of the matrix may be those of a larger one that this is the first columns
 * of. */
enum berth_status berth_pack_matrix(struct berth_packer *packer, const struct berth_tensor *weight,
                                    const struct berth_matrix *matrix, struct berth_error *err);

/* A table of rows [n, k], such as the word embedding, to int8 or bf16 rows: tiled, and in int8 a scale for
 * each. */
enum berth_status berth_pack_rows(struct berth_packer *packer, const struct berth_tensor *weight,
                                  enum berth_number number, uint8_t *tiled, float *scale,
                                  struct berth_error *err);

/* Copies a weight as float32; out [elements] may be NULL: then it is only checked and left where it is. */
enum berth_status berth_pack_copy(struct berth_packer *packer, const struct berth_tensor *weight, float *out,
                                  struct berth_error *err);

#endif
