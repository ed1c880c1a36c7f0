/* s8_gemm_simd.h: the int8 matrix product, compiled once per level with the same bits at each; include scalar.h,
 * avx2.h or avx512.h, then one of s8_tile_*.h first.
 *
 * Rows are taken in blocks that stay in the second-level cache; within a block S8_PANELS panels of weights at a
 * time pass all rows, a tile of sums in registers. A finished tile goes through the first-level cache to the
 * epilogue. */
#ifndef BERTH_KERNELS_GEMM_S8_GEMM_SIMD_H
#define BERTH_KERNELS_GEMM_S8_GEMM_SIMD_H

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/wide.h"

enum { BLOCK_BYTES = 256 * 1024 }; /* of activations */

/* Rows [row, row + rows) by columns [column, column + columns) of the result, as integers. */
struct s8_block {
    const int32_t *sums;
    size_t row, rows, column, columns;
};

ALWAYS_INLINE void finish_block(const struct berth_gemm_s8 *g, const struct s8_block *b, enum berth_epilogue_act act)
{
    for (size_t r = 0; r < b->rows; r++) {
        const int32_t *sums = b->sums + r * S8_SUMS;
        const vf a_scale = vf_set(g->a_scale[b->row + r]);
        float *out = g->out + (b->row + r) * g->out_stride + b->column;
        const float *bias = g->bias ? g->bias + b->column : NULL;
        const float *residual = g->residual ? g->residual + (b->row + r) * g->residual_stride + b->column : NULL;
        for (size_t j = 0; j < b->columns; j += LANES) {
            const vf scale = a_scale * vf_load(g->w_scale + b->column + j);
            vf x = vf_fma(vf_of_int(vi_load(sums + j)), scale, bias ? load_at(bias, j, b->columns) : vf_set(0));
            x = vf_activate(x, act);
            if (residual)
                x += load_at(residual, j, b->columns);
            store_at(out, x, j, b->columns);
        }
    }
}

/* At most 16 rows from `row`, which begins a tile, by the panels from `column` on. */
static void multiply_group(const struct berth_gemm_s8 *g, size_t row, size_t column)
{
    const size_t row_bytes = berth_tiled_row(g->k), panel_bytes = BERTH_PANEL_COLUMNS * row_bytes;
    const size_t rows = berth_min(BERTH_TILE_ROWS, g->m - row), tiles = ceil_div(rows, S8_ROWS);
    const size_t columns = berth_min(S8_SUMS, g->n - column);
    _Alignas(64) int32_t sums[S8_ROWS * S8_SUMS];
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t first = tile * rows / tiles, height = (tile + 1) * rows / tiles - first;
        const struct s8_operands operands = {
            .a = g->a + berth_tiled_offset(row + first, 0, row_bytes),
            .panels = g->weights + column * row_bytes,
            .panel_bytes = panel_bytes,
            .quads = ceil_div(g->k, 4),
            .offset = g->offset + column,
        };
        s8_tile(height, ceil_div(columns, BERTH_PANEL_COLUMNS), sums, &operands);
        const struct s8_block block = {sums, row + first, height, column, columns};
        WITH_ACTIVATION(g->act, finish_block, g, &block)
    }
}

void S8_KERNEL(s8_gemm)(const struct berth_gemm_s8 *g)
{
    const size_t group_bytes = BERTH_TILE_ROWS * berth_max(berth_tiled_row(g->k), 1);
    const size_t block = berth_max(1, BLOCK_BYTES / group_bytes) * BERTH_TILE_ROWS;
    for (size_t i0 = 0; i0 < g->m; i0 += block) {
        const size_t end = berth_min(i0 + block, g->m);
        for (size_t column = 0; column < g->n; column += S8_SUMS) {
            for (size_t row = i0; row < end; row += BERTH_TILE_ROWS)
                multiply_group(g, row, column);
        }
    }
}

#endif
