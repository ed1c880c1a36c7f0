/* matrix.c: sizes and views of packed weights. */
#include "plan/matrix.h"

#include "base/checked.h"

size_t berth_matrix_step(const struct berth_kernels *kernels, enum berth_number number)
{
    switch (number) {
        case BERTH_NUMBER_S8:
            return kernels->gemm_s8_nr;
        case BERTH_NUMBER_BF16:
            return kernels->gemm_bf16_nr;
        case BERTH_NUMBER_F32:
            break;
    }
    return kernels->gemm_f32_nr;
}

size_t berth_matrix_bytes(const struct berth_kernels *kernels, enum berth_number number, size_t n, size_t k)
{
    if (number == BERTH_NUMBER_S8)
        return berth_gemm_tiled_packed(n, k);
    if (number == BERTH_NUMBER_BF16)
        return berth_gemm_tiled_packed(n, berth_min(k, SIZE_MAX / 4) * 2);
    const size_t floats = berth_gemm_f32_packed(kernels, n, k);
    return floats > SIZE_MAX / 16 ? SIZE_MAX / 4 : floats * sizeof(float);
}

struct berth_matrix berth_matrix_columns(const struct berth_matrix *matrix,
                                         const struct berth_kernels *kernels, size_t first, size_t count)
{
    struct berth_matrix view = *matrix;
    view.n = count;
    if (matrix->data)
        view.data =
            (unsigned char *)matrix->data + berth_matrix_bytes(kernels, matrix->number, first, matrix->k);
    if (matrix->scale) {
        view.scale += first;
        view.offset += first;
    }
    return view;
}
