/* torch_stride.h: a tensor as torch describes it: some elements of a storage, each dimension with its own
 * step. */
#ifndef BERTH_FORMATS_TORCH_STRIDE_H
#define BERTH_FORMATS_TORCH_STRIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "formats/tensor.h"

struct berth_strided {
    enum berth_dtype dtype;
    const unsigned char *data; /* of the storage; may be unaligned */
    size_t elements;           /* of the storage */
    int64_t offset;            /* of the first element, in elements */
    size_t rank;               /* at most BERTH_TENSOR_MAX_RANK */
    int64_t size[BERTH_TENSOR_MAX_RANK];
    int64_t stride[BERTH_TENSOR_MAX_RANK]; /* in elements */
};

/* Fills everything of `tensor` but its name; data is NULL when the elements are not contiguous and have to be
 * copied. False when a number is negative or an element would lie outside of the storage. */
bool berth_strided_resolve(const struct berth_strided *view, struct berth_tensor *tensor);

/* Copies the elements of a view that was resolved, row-major. */
void berth_strided_copy(const struct berth_strided *view, unsigned char *out);

#endif
