/* matrix.h: a weight matrix made ready for one kind of product, and a view of some of its columns. */
#ifndef BERTH_PLAN_MATRIX_H
#define BERTH_PLAN_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernels/kernels.h"

/* Numbers that a product multiplies. */
enum berth_number { BERTH_NUMBER_F32, BERTH_NUMBER_BF16, BERTH_NUMBER_S8 };

struct berth_matrix {
    enum berth_number number;
    bool unpacked;   /* [n, k] floats as stored, for dense_f32 */
    size_t n, k;     /* columns of the result, of the input */
    void *data;      /* packed as the number's kernel reads it; NULL while a plan is being sized */
    float *scale;    /* [n, filled up to 16], S8 only */
    int32_t *offset; /* likewise */
};

/* Columns that pieces of a product are cut at. */
size_t berth_matrix_step(const struct berth_kernels *kernels, enum berth_number number);

/* Bytes of the packed form, without scales and offsets. Saturates at SIZE_MAX / 4. */
size_t berth_matrix_bytes(const struct berth_kernels *kernels, enum berth_number number, size_t n, size_t k);

/* Columns [first, first + count) as a matrix; `first` is a multiple of berth_matrix_step. */
struct berth_matrix berth_matrix_columns(const struct berth_matrix *matrix,
                                         const struct berth_kernels *kernels, size_t first, size_t count);

#endif
