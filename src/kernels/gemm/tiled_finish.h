/* tiled_finish.h: from the sums of a tiled product to its result; include what tiled_gemm_simd.h asks for
 * first. */
#ifndef BERTH_KERNELS_GEMM_TILED_FINISH_H
#define BERTH_KERNELS_GEMM_TILED_FINISH_H

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/wide.h"

/* Sums of rows [row, row + rows) by columns [column, column + columns). */
struct tiled_block {
    const tiled_sum *sums; /* `stride` apart */
    size_t stride, row, rows, column, columns;
};

/* Row `row` of the result, `columns` from `column` on; a constant, where it is one, leaves no checks. */
ALWAYS_INLINE void finish_row(const struct berth_gemm_tiled *g, const tiled_sum *sums, size_t row,
                              size_t column, size_t columns, enum berth_epilogue_act act)
{
    float *out = g->out + row * g->out_stride + column;
    const float *bias = g->bias ? g->bias + column : NULL;
    const float *residual = g->residual ? g->residual + row * g->residual_stride + column : NULL;
    for (size_t j = 0; j < columns; j += LANES) {
        const vf shift = bias ? load_at(bias, j, columns) : vf_set(0);
        vf x = tiled_activate(finish_sums(g, row, column + j, sums + j, shift), act);
        if (residual)
            x += load_at(residual, j, columns);
        store_at(out, x, j, columns);
    }
}

/* Rows [first, end) of the block. */
ALWAYS_INLINE void finish_rows(const struct berth_gemm_tiled *g, const struct tiled_block *b, size_t first,
                               size_t end, enum berth_epilogue_act act)
{
    for (size_t r = first; r < end; r++)
        finish_row(g, b->sums + r * b->stride, b->row + r, b->column, b->columns, act);
}

#endif
