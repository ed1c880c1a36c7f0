/* vectors.h: how the vectors of texts are asked for and written, for the protocols that have them. */
#ifndef BERTH_SERVE_VECTORS_H
#define BERTH_SERVE_VECTORS_H

#include "serve/json_write.h"

/* The part of a vector that is answered: its first numbers, made length 1 again when the whole was. */
struct berth_cut {
    size_t width; /* numbers answered */
    bool cut;     /* fewer than there are */
    bool normalize;
};

/* Numbers as an array, or with `base64` as the bytes of float32, little-endian. */
void berth_vector_write(const struct berth_cut *cut, const float *vector, struct berth_writer *writer);
void berth_vector_write_base64(const struct berth_cut *cut, const float *vector, struct berth_writer *writer);

#endif
