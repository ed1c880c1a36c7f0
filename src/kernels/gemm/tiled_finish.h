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

/* Rows [first, end) of the block. */
ALWAYS_INLINE void finish_rows(const struct berth_gemm_tiled *g, const struct tiled_block *b, size_t first,
                               size_t end, enum berth_epilogue_act act)
{
    for (size_t r = first; r < end; r++) {
        const tiled_sum *sums = b->sums + r * b->stride;
        float *out = g->out + (b->row + r) * g->out_stride + b->column;
        const float *bias = g->bias ? g->bias + b->column : NULL;
        const float *residual =
            g->residual ? g->residual + (b->row + r) * g->residual_stride + b->column : NULL;
        for (size_t j = 0; j < b->columns; j += LANES) {
            const vf shift = bias ? load_at(bias, j, b->columns) : vf_set(0);
            vf x = tiled_activate(finish_sums(g, b->row + r, b->column + j, sums + j, shift), act);
            if (residual)
                x += load_at(residual, j, b->columns);
            store_at(out, x, j, b->columns);
        }
    }
}

#endif
