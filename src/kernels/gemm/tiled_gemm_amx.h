/* tiled_gemm_amx.h: the matrix product on AMX tiles, for int8 and for bf16; include what tiled_gemm_simd.h
 * asks for first, and define tiled_dot(sums, a, b) as the tile instruction.
 *
 * A block is two tiles of rows by two panels: four accumulators, each tile loaded twice used. Where only one
 * tile of rows is left, it is one by four. Within rows that stay in the second-level cache, two panels of
 * weights at a time pass all rows from the first-level cache. The epilogue of a block runs a few rows after
 * each step of the next block, while the tile unit works: its sums wait in one of two buffers. */
#ifndef BERTH_KERNELS_GEMM_TILED_GEMM_AMX_H
#define BERTH_KERNELS_GEMM_TILED_GEMM_AMX_H

#include "kernels/gemm/tiled_finish.h"
#include "kernels/simd/tiles.h"

enum {
    AMX_ROWS = 2 * BERTH_TILE_ROWS,
    AMX_SUMS = 4 * BERTH_TILE_ROWS * BERTH_PANEL_COLUMNS, /* of a block */
    AMX_BLOCK_BYTES = 512 * 1024,                         /* of activations; CPUs with AMX have 2 MB of L2 */
};

struct amx_work {
    const struct berth_gemm_tiled *g;
    size_t row_bytes, panel_bytes, steps;
    struct tiled_block waiting; /* whose sums are ready; rows 0: none */
    tiled_sum *buffers;         /* two of AMX_SUMS */
    size_t turn;                /* the one to fill next */
};

/* After step `step` of the block at work: the waiting block's share of rows. */
ALWAYS_INLINE void finish_share(const struct amx_work *w, size_t step, enum berth_epilogue_act act)
{
    finish_rows(w->g, &w->waiting, step * w->waiting.rows / w->steps, (step + 1) * w->waiting.rows / w->steps,
                act);
}

#define START(tile, offset)                 \
    do {                                    \
        if (offset)                         \
            _tile_loadd(tile, (offset), 0); \
        else                                \
            _tile_zero(tile);               \
    } while (0)

/* Rows of two tiles by one or two panels; `panels` and `act` are constants where this is inlined. */
ALWAYS_INLINE void multiply_two_tiles(const struct amx_work *w, size_t row, size_t column, tiled_sum *sums,
                                      size_t panels, enum berth_epilogue_act act)
{
    const struct berth_gemm_tiled *g = w->g;
    const uint8_t *a = g->a + row * w->row_bytes, *below = a + BERTH_TILE_ROWS * w->row_bytes;
    const uint8_t *b = (const uint8_t *)g->weights + column * w->row_bytes, *beside = b + w->panel_bytes;
    const int32_t *offset = g->offset ? g->offset + column : NULL;
    const size_t stride = panels * BERTH_PANEL_COLUMNS;
    START(0, offset);
    START(2, offset);
    if (panels > 1) {
        START(1, offset + (offset ? BERTH_PANEL_COLUMNS : 0));
        START(3, offset + (offset ? BERTH_PANEL_COLUMNS : 0));
    }
    for (size_t step = 0, at = 0; step < w->steps; step++, at += TILE_SIZE) {
        _tile_loadd(4, a + at, BERTH_TILE_BYTES);
        _tile_loadd(6, b + at, BERTH_TILE_BYTES);
        tiled_dot(0, 4, 6);
        if (panels > 1) {
            _tile_loadd(7, beside + at, BERTH_TILE_BYTES);
            tiled_dot(1, 4, 7);
        }
        _tile_loadd(5, below + at, BERTH_TILE_BYTES);
        tiled_dot(2, 5, 6);
        if (panels > 1)
            tiled_dot(3, 5, 7);
        finish_share(w, step, act);
    }
    _tile_stored(0, sums, stride * sizeof *sums);
    _tile_stored(2, sums + BERTH_TILE_ROWS * stride, stride * sizeof *sums);
    if (panels > 1) {
        _tile_stored(1, sums + BERTH_PANEL_COLUMNS, stride * sizeof *sums);
        _tile_stored(3, sums + BERTH_TILE_ROWS * stride + BERTH_PANEL_COLUMNS, stride * sizeof *sums);
    }
}

/* Rows of one tile by one to four panels. */
ALWAYS_INLINE void multiply_one_tile(const struct amx_work *w, size_t row, size_t column, tiled_sum *sums,
                                     size_t panels, enum berth_epilogue_act act)
{
    const struct berth_gemm_tiled *g = w->g;
    const uint8_t *a = g->a + row * w->row_bytes;
    const uint8_t *b = (const uint8_t *)g->weights + column * w->row_bytes;
    const int32_t *offset = g->offset ? g->offset + column : NULL;
    const size_t stride = panels * BERTH_PANEL_COLUMNS, next = offset ? BERTH_PANEL_COLUMNS : 0;
    START(0, offset);
    if (panels > 1)
        START(1, offset + next);
    if (panels > 2)
        START(2, offset + 2 * next);
    if (panels > 3)
        START(3, offset + 3 * next);
    for (size_t step = 0, at = 0; step < w->steps; step++, at += TILE_SIZE) {
        _tile_loadd(4, a + at, BERTH_TILE_BYTES);
        _tile_loadd(5, b + at, BERTH_TILE_BYTES);
        tiled_dot(0, 4, 5);
        if (panels > 1) {
            _tile_loadd(6, b + w->panel_bytes + at, BERTH_TILE_BYTES);
            tiled_dot(1, 4, 6);
        }
        if (panels > 2) {
            _tile_loadd(7, b + 2 * w->panel_bytes + at, BERTH_TILE_BYTES);
            tiled_dot(2, 4, 7);
        }
        if (panels > 3) {
            _tile_loadd(5, b + 3 * w->panel_bytes + at, BERTH_TILE_BYTES);
            tiled_dot(3, 4, 5);
        }
        finish_share(w, step, act);
    }
    _tile_stored(0, sums, stride * sizeof *sums);
    if (panels > 1)
        _tile_stored(1, sums + 16, stride * sizeof *sums);
    if (panels > 2)
        _tile_stored(2, sums + 32, stride * sizeof *sums);
    if (panels > 3)
        _tile_stored(3, sums + 48, stride * sizeof *sums);
}
#undef START

/* Rows [row, row + rows) by the panels of [column, column + columns): at most a block. Leaves it waiting. */
ALWAYS_INLINE void multiply_block(struct amx_work *w, size_t row, size_t rows, size_t column, size_t columns,
                                  enum berth_epilogue_act act)
{
    tiled_sum *sums = w->buffers + w->turn * AMX_SUMS;
    const size_t panels = ceil_div(columns, BERTH_PANEL_COLUMNS);
    switch ((rows > BERTH_TILE_ROWS) * 4 + panels) {
        case 1:
            multiply_one_tile(w, row, column, sums, 1, act);
            break;
        case 2:
            multiply_one_tile(w, row, column, sums, 2, act);
            break;
        case 3:
            multiply_one_tile(w, row, column, sums, 3, act);
            break;
        case 4:
            multiply_one_tile(w, row, column, sums, 4, act);
            break;
        case 5:
            multiply_two_tiles(w, row, column, sums, 1, act);
            break;
        default:
            multiply_two_tiles(w, row, column, sums, 2, act);
            break;
    }
    if (w->steps == 0) /* nothing to wait behind */
        finish_rows(w->g, &w->waiting, 0, w->waiting.rows, act);
    w->waiting = (struct tiled_block){sums, panels * BERTH_PANEL_COLUMNS, row, rows, column, columns};
    w->turn ^= 1;
}

ALWAYS_INLINE void multiply_all(struct amx_work *w, enum berth_epilogue_act act)
{
    const struct berth_gemm_tiled *g = w->g;
    const size_t rows_near =
        berth_max(1, AMX_BLOCK_BYTES / (AMX_ROWS * berth_max(w->row_bytes, 1))) * AMX_ROWS;
    for (size_t i0 = 0; i0 < g->m; i0 += rows_near) {
        const size_t end = berth_min(i0 + rows_near, g->m), whole = (end - i0) / AMX_ROWS * AMX_ROWS;
        /* A rest of one tile of rows goes with the other blocks' panels two at a time when there are others,
         * and alone four at a time. */
        const size_t width = end - i0 > BERTH_TILE_ROWS ? 2 * BERTH_PANEL_COLUMNS : 4 * BERTH_PANEL_COLUMNS;
        for (size_t column = 0; column < g->n; column += width) {
            const size_t columns = berth_min(width, g->n - column);
            for (size_t row = i0; row < i0 + whole; row += AMX_ROWS)
                multiply_block(w, row, AMX_ROWS, column, columns, act);
            if (i0 + whole < end)
                multiply_block(w, i0 + whole, end - i0 - whole, column, columns, act);
        }
    }
    finish_rows(g, &w->waiting, 0, w->waiting.rows, act);
}

void TILED_KERNEL(gemm)(const struct berth_gemm_tiled *g)
{
    _Alignas(64) tiled_sum buffers[2 * AMX_SUMS];
    struct amx_work w = {.g = g, .buffers = buffers, .row_bytes = berth_tiled_row(g->k * TILED_BYTES)};
    w.panel_bytes = BERTH_PANEL_COLUMNS * w.row_bytes;
    w.steps = w.row_bytes / BERTH_TILE_BYTES;
    tiles_begin(); /* sees what was written before; here nothing is that tiles read */
    WITH_ACTIVATION(g->act, multiply_all, &w)
    tiles_end();
}

#endif
