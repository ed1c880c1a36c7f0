/* tiled_gemm_simd.h: the matrix product of tiled rows by panels, compiled once per level for int8 and for
 * bf16. The file that includes it has included scalar.h, avx2.h or avx512.h and a tile, and says with
 *
 *   TILED_KERNEL(name)            the name of a function
 *   TILED_BYTES                   bytes of a number
 *   TILED_ROWS, TILED_SUMS        the largest tile, rows and columns
 *   tiled_tile                    its function; `tiled_sum` is the type of its sums
 *   vf finish_sums(g, row, column, sums, bias)   LANES sums as floats, with the bias added
 *   tiled_activate                vf_activate or vf_activate_coarse
 *
 * Rows are taken in blocks that stay in the second-level cache; within a block a few panels of weights at a
 * time pass all rows, a tile of sums in registers. A finished tile goes through the first-level cache to the
 * epilogue. */
#ifndef BERTH_KERNELS_GEMM_TILED_GEMM_SIMD_H
#define BERTH_KERNELS_GEMM_TILED_GEMM_SIMD_H

#include "kernels/gemm/tiled_finish.h"

enum { BLOCK_BYTES = 256 * 1024 }; /* of activations */

/* At most 16 rows from `row`, which begins a tile, by the panels from `column` on. */
static void multiply_group(const struct berth_gemm_tiled *g, size_t row, size_t column)
{
    const size_t row_bytes = berth_tiled_row(g->k * TILED_BYTES),
                 panel_bytes = BERTH_PANEL_COLUMNS * row_bytes;
    const size_t rows = berth_min(BERTH_TILE_ROWS, g->m - row), tiles = ceil_div(rows, TILED_ROWS);
    const size_t columns = berth_min(TILED_SUMS, g->n - column);
    _Alignas(64) tiled_sum sums[TILED_ROWS * TILED_SUMS];
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t first = tile * rows / tiles, height = (tile + 1) * rows / tiles - first;
        const struct tiled_operands operands = {
            .a = g->a + berth_tiled_offset(row + first, 0, row_bytes),
            .panels = (const uint8_t *)g->weights + column * row_bytes,
            .panel_bytes = panel_bytes,
            .quads = ceil_div(g->k * TILED_BYTES, 4),
            .offset = g->offset ? g->offset + column : NULL,
        };
        tiled_tile(height, ceil_div(columns, BERTH_PANEL_COLUMNS), sums, &operands);
        const struct tiled_block block = {sums, TILED_SUMS, row + first, height, column, columns};
        WITH_ACTIVATION(g->act, finish_rows, g, &block, 0, height)
    }
}

void TILED_KERNEL(gemm)(const struct berth_gemm_tiled *g)
{
    const size_t group_bytes = BERTH_TILE_ROWS * berth_max(berth_tiled_row(g->k * TILED_BYTES), 1);
    const size_t block = berth_max(1, BLOCK_BYTES / group_bytes) * BERTH_TILE_ROWS;
    for (size_t i0 = 0; i0 < g->m; i0 += block) {
        const size_t end = berth_min(i0 + block, g->m);
        for (size_t column = 0; column < g->n; column += TILED_SUMS) {
            for (size_t row = i0; row < end; row += BERTH_TILE_ROWS)
                multiply_group(g, row, column);
        }
    }
}

#endif
