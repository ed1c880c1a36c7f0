/* tiled_gemm_amx.h: the matrix product on AMX tiles, for int8 and for bf16; include what tiled_gemm_simd.h
 * asks for first, and define tiled_dot(sums, a, b) as the tile instruction.
 *
 * A block is four tiles of sums: two tiles of rows by two panels, so that each tile loaded is used twice; one
 * by four where there is only one tile of rows; one by two for the last rows of many. Rows are taken as many
 * as stay in the second-level cache; for them, two panels of weights at a time pass all rows.
 *
 * A step of a block, 64 bytes of k, keeps the tile unit busy for 64 cycles and the vector units for none:
 * they do what is left to do of the block before, a few rows a step, so that its sums make room in time for
 * the next. So are the panels asked for that come next, which lie further away than the second-level cache.
 *
 * docs/speed.md counts the cycles. */
#ifndef BERTH_KERNELS_GEMM_TILED_GEMM_AMX_H
#define BERTH_KERNELS_GEMM_TILED_GEMM_AMX_H

#include "kernels/gemm/tiled_finish.h"
#include "kernels/simd/tiles.h"

enum {
    BAND_COLUMNS = 2 * BERTH_PANEL_COLUMNS,
    BAND_SUMS = BERTH_TILE_ROWS * BAND_COLUMNS,
    BLOCK_ROWS = 2 * BERTH_TILE_ROWS,
    /* Of activations; CPUs with AMX have 2 MB of second-level cache. A pass of rows streams all weights,
     * which takes as long as the tile unit needs for some 145 rows: a pass should have more. */
    BLOCK_BYTES = 768 * 1024,
};

struct work {
    const struct berth_gemm_tiled *g;
    size_t row_bytes, steps;
    tiled_sum *sums;               /* of a block: two bands */
    struct tiled_block waiting[2]; /* the bands of a block; rows of the second may be 0 */
    size_t finished, to_wait;      /* rows of the waiting bands: done, altogether */
    size_t share, begin;           /* of them a step, from the step at this byte on */
    const uint8_t *ahead[2];       /* this block's share of each tile of the next panels */
    size_t ahead_lines;            /* cache lines of it */
};

/* Rows [first, end) of a band; most bands are whole. */
ALWAYS_INLINE void finish_band(const struct berth_gemm_tiled *g, const struct tiled_block *b, size_t first,
                               size_t end, enum berth_epilogue_act act)
{
    if (b->columns == BAND_COLUMNS) {
        for (size_t r = first; r < end; r++)
            finish_row(g, b->sums + r * BAND_COLUMNS, b->row + r, b->column, BAND_COLUMNS, act);
    } else {
        finish_rows(g, b, first, end, act);
    }
}

/* The next `rows` of those that wait, or as many as there are. A function of its own, so that the loops over
 * tiles are the same for all activations. */
static void finish_next(struct work *w, size_t rows)
{
    while (rows > 0 && w->finished < w->to_wait) {
        const size_t above = w->waiting[0].rows;
        const struct tiled_block b = w->waiting[w->finished >= above];
        const size_t first = w->finished - (w->finished >= above ? above : 0);
        const size_t count = berth_min(rows, b.rows - first);
        WITH_ACTIVATION(w->g->act, finish_band, w->g, &b, first, first + count)
        w->finished += count;
        rows -= count;
    }
}

/* What the vector units do while the tile unit does the step at byte `at` of the tiles. */
ALWAYS_INLINE void work_beside(struct work *w, size_t at)
{
    for (size_t i = 0; i < w->ahead_lines; i++) {
        __builtin_prefetch(w->ahead[0] + at + i * BERTH_TILE_BYTES, 0, 2);
        __builtin_prefetch(w->ahead[1] + at + i * BERTH_TILE_BYTES, 0, 2);
    }
    if (at >= w->begin && w->finished < w->to_wait)
        finish_next(w, w->share);
}

/* Panels of a block; where N ends before the last of them, that is the first once more, and dropped. */
struct panels {
    const uint8_t *data[4];
    const int32_t *offset[4]; /* NULL: 0 */
};

ALWAYS_INLINE struct panels panels_from(const struct work *w, size_t column, size_t count)
{
    struct panels p = {.data = {NULL}};
    for (size_t i = 0; i < count; i++) {
        size_t first = column + i * BERTH_PANEL_COLUMNS;
        if (first >= w->g->n)
            first = column;
        p.data[i] = (const uint8_t *)w->g->weights + first * w->row_bytes;
        p.offset[i] = w->g->offset ? w->g->offset + first : NULL;
    }
    return p;
}

/* Every row of sums begins with the offsets of its columns: a stride of 0. */
#define START(tile, offset)                 \
    do {                                    \
        if (offset)                         \
            _tile_loadd(tile, (offset), 0); \
        else                                \
            _tile_zero(tile);               \
    } while (0)
#define STORE(tile, sums) _tile_stored(tile, (sums), BAND_COLUMNS * sizeof(tiled_sum))

/* Two tiles of rows from `a` by two panels. */
ALWAYS_INLINE void multiply_square(struct work *w, const uint8_t *a, const struct panels *p)
{
    const uint8_t *below = a + BERTH_TILE_ROWS * w->row_bytes;
    START(0, p->offset[0]);
    START(1, p->offset[1]);
    START(2, p->offset[0]);
    START(3, p->offset[1]);
    for (size_t step = 0, at = 0; step < w->steps; step++, at += TILE_SIZE) {
        _tile_loadd(4, a + at, BERTH_TILE_BYTES);
        _tile_loadd(6, p->data[0] + at, BERTH_TILE_BYTES);
        tiled_dot(0, 4, 6);
        _tile_loadd(7, p->data[1] + at, BERTH_TILE_BYTES);
        tiled_dot(1, 4, 7);
        _tile_loadd(5, below + at, BERTH_TILE_BYTES);
        tiled_dot(2, 5, 6);
        tiled_dot(3, 5, 7);
        work_beside(w, at);
    }
    STORE(0, w->sums);
    STORE(1, w->sums + BERTH_PANEL_COLUMNS);
    STORE(2, w->sums + BAND_SUMS);
    STORE(3, w->sums + BAND_SUMS + BERTH_PANEL_COLUMNS);
}

/* One tile of rows by two panels or by four: `count`, a constant where this is inlined. */
ALWAYS_INLINE void multiply_flat(struct work *w, const uint8_t *a, const struct panels *p, size_t count)
{
    START(0, p->offset[0]);
    START(1, p->offset[1]);
    if (count > 2) {
        START(2, p->offset[2]);
        START(3, p->offset[3]);
    }
    for (size_t step = 0, at = 0; step < w->steps; step++, at += TILE_SIZE) {
        _tile_loadd(4, a + at, BERTH_TILE_BYTES);
        _tile_loadd(5, p->data[0] + at, BERTH_TILE_BYTES);
        tiled_dot(0, 4, 5);
        _tile_loadd(6, p->data[1] + at, BERTH_TILE_BYTES);
        tiled_dot(1, 4, 6);
        if (count > 2) {
            _tile_loadd(7, p->data[2] + at, BERTH_TILE_BYTES);
            tiled_dot(2, 4, 7);
            _tile_loadd(5, p->data[3] + at, BERTH_TILE_BYTES);
            tiled_dot(3, 4, 5);
        }
        work_beside(w, at);
    }
    STORE(0, w->sums);
    STORE(1, w->sums + BERTH_PANEL_COLUMNS);
    if (count > 2) {
        STORE(2, w->sums + BAND_SUMS);
        STORE(3, w->sums + BAND_SUMS + BERTH_PANEL_COLUMNS);
    }
}
#undef START
#undef STORE

/* The tile of rows from `row` by the columns from `column` on waits, as far as the result reaches. */
ALWAYS_INLINE void let_wait(struct work *w, size_t band, size_t row, size_t column)
{
    const struct berth_gemm_tiled *g = w->g;
    const bool exists = row < g->m && column < g->n;
    w->waiting[band] = (struct tiled_block){
        .sums = w->sums + band * BAND_SUMS,
        .stride = BAND_COLUMNS,
        .row = row,
        .rows = exists ? berth_min(g->m - row, BERTH_TILE_ROWS) : 0,
        .column = column,
        .columns = exists ? berth_min(g->n - column, BAND_COLUMNS) : 0,
    };
    w->to_wait += w->waiting[band].rows;
}

/* Rows from `row` by columns from `column` on; `wide`: one tile of rows by four panels. */
ALWAYS_INLINE void multiply_block(struct work *w, size_t row, size_t column, bool wide)
{
    const struct panels p = panels_from(w, column, wide ? 4 : 2);
    const uint8_t *a = w->g->a + row * w->row_bytes;
    if (w->steps == 0) /* nothing to do it beside */
        finish_next(w, SIZE_MAX);
    if (wide)
        multiply_flat(w, a, &p, 4);
    else if (row + BERTH_TILE_ROWS < w->g->m)
        multiply_square(w, a, &p);
    else
        multiply_flat(w, a, &p, 2);
    w->finished = w->to_wait = 0;
    let_wait(w, 0, row, column);
    if (wide)
        let_wait(w, 1, row, column + BAND_COLUMNS);
    else
        let_wait(w, 1, row + BERTH_TILE_ROWS, column);
}

/* Block `block` of `blocks` that pass the panels before those from `column` on asks for its share of them. A
 * single block would ask as fast as it reads, and gain nothing. */
ALWAYS_INLINE void look_ahead(struct work *w, size_t column, size_t block, size_t blocks)
{
    const size_t share = ceil_div(BERTH_TILE_ROWS, blocks), first = berth_min(block * share, BERTH_TILE_ROWS);
    const bool any = blocks > 1 && column < w->g->n;
    w->ahead_lines = any ? berth_min(share, BERTH_TILE_ROWS - first) : 0;
    if (w->ahead_lines) {
        const struct panels p = panels_from(w, column, 2);
        w->ahead[0] = p.data[0] + first * BERTH_TILE_BYTES;
        w->ahead[1] = p.data[1] + first * BERTH_TILE_BYTES;
    }
}

ALWAYS_INLINE void multiply_all(struct work *w)
{
    const struct berth_gemm_tiled *g = w->g;
    const size_t most = berth_max(1, BLOCK_BYTES / berth_max(BLOCK_ROWS * w->row_bytes, 1)); /* blocks near */
    const size_t all = ceil_div(g->m, BLOCK_ROWS), passes = ceil_div(all, most);
    for (size_t pass = 0; pass < passes; pass++) {
        const size_t begin = pass * all / passes, blocks = (pass + 1) * all / passes - begin;
        const bool wide = g->m - begin * BLOCK_ROWS <= BERTH_TILE_ROWS;
        const size_t width = wide ? 2 * BAND_COLUMNS : BAND_COLUMNS;
        for (size_t column = 0; column < g->n; column += width) {
            for (size_t block = 0; block < blocks; block++) {
                look_ahead(w, column + width, block, blocks);
                multiply_block(w, (begin + block) * BLOCK_ROWS, column, wide);
            }
        }
    }
    finish_next(w, SIZE_MAX);
}

void TILED_KERNEL(gemm)(const struct berth_gemm_tiled *g)
{
    _Alignas(64) tiled_sum sums[2 * BAND_SUMS];
    struct work w = {.g = g, .sums = sums, .row_bytes = berth_tiled_row(g->k * TILED_BYTES)};
    w.steps = w.row_bytes / BERTH_TILE_BYTES;
    /* Not in the first step: sums are still on their way to memory, and what waits for them would keep the
     * next tiles out of the scheduler. */
    w.begin = w.steps > 1 ? TILE_SIZE : 0;
    w.share = ceil_div(BLOCK_ROWS, w.steps > 1 ? w.steps - 1 : 1);
    tiles_begin();
    multiply_all(&w);
    tiles_end();
}

#endif
