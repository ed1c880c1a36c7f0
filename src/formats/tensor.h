/* tensor.h: a named array of numbers somewhere in memory. The common currency of file formats. */
#ifndef BERTH_FORMATS_TENSOR_H
#define BERTH_FORMATS_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum berth_dtype {
    BERTH_DTYPE_F32,
    BERTH_DTYPE_F16,
    BERTH_DTYPE_BF16,
    BERTH_DTYPE_F64,
    BERTH_DTYPE_I8,
    BERTH_DTYPE_U8,
    BERTH_DTYPE_I16,
    BERTH_DTYPE_I32,
    BERTH_DTYPE_I64,
    BERTH_DTYPE_BOOL,
    BERTH_DTYPE_COUNT
};

const char *berth_dtype_name(enum berth_dtype dtype); /* "f32", ... */
size_t berth_dtype_size(enum berth_dtype dtype);      /* bytes of one element */

enum { BERTH_TENSOR_MAX_RANK = 8 };

/* True for the types that berth_tensor_read_f32 takes. */
bool berth_dtype_is_float(enum berth_dtype dtype);

/* A view: owns neither name nor data. Row-major and contiguous. Data may be unaligned. */
struct berth_tensor {
    const char *name;
    enum berth_dtype dtype;
    size_t rank;
    size_t shape[BERTH_TENSOR_MAX_RANK];
    size_t elements; /* product of the shape; 1 for rank 0 */
    const void *data;
    size_t bytes;
    /* Of a quantised weight (I8, rank 2): float32 [shape[0]], may be unaligned; a number is its step times
     * the scale of its row. NULL for every other tensor. */
    const void *scales;
};

/* Writes "f32[768,3072]" (truncated if it must be; "f32[]" for rank 0). Returns text. */
char *berth_tensor_describe(const struct berth_tensor *tensor, char *text, size_t size);

/* Converts `count` elements from element `first` on to float32: exactly from F32, F16 and BF16, rounded from
 * F64 and from steps with scales. For another dtype it writes nothing: check berth_dtype_is_float first. */
void berth_tensor_read_f32(const struct berth_tensor *tensor, size_t first, size_t count, float *out);

/* Rounds float32 numbers to F32, F16 or BF16, to nearest even; false when a finite number is beyond what the
 * type can hold (some are written then). */
bool berth_narrow(enum berth_dtype dtype, const float *x, size_t count, void *out);

#endif
