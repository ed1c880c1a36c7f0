/* f32_gemm_simd.h: the matrix product, compiled once per level; include avx2.h or avx512.h first.
 *
 * Rows are taken in blocks whose packed copy stays in the second-level cache while all panels of weights pass
 * by; within a block, one panel at a time, in steps of BLOCK_K, so that a step's weights are still near when
 * the next tile of the block reads them. Sums gather in scratch; when the last step of a tile is done, bias,
 * activation and residual are applied on the way out. */
#ifndef BERTH_KERNELS_GEMM_F32_GEMM_SIMD_H
#define BERTH_KERNELS_GEMM_F32_GEMM_SIMD_H

#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/tile.h"

void KERNEL(f32_pack)(float *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride)
{
    pack_transposed(packed + n0 * k, w, count, k, w_stride);
}

static size_t count_steps(size_t k)
{
    return berth_max(1, ceil_div(k, BLOCK_K));
}

/* A block is packed into at most BLOCK_FLOATS, but has at least one tile. */
static size_t block_rows(size_t k)
{
    return berth_max(TILE_ROWS, BLOCK_FLOATS / (count_steps(k) * BLOCK_STRIDE));
}

size_t KERNEL(f32_gemm_scratch)(size_t m, size_t k)
{
    const size_t row = count_steps(k) * BLOCK_STRIDE, rows = berth_min(m, block_rows(0));
    return berth_min(rows * row, berth_max(BLOCK_FLOATS, TILE_ROWS * row)) + rows * TILE_COLUMNS;
}

struct finish {
    float *out;
    const float *sums, *bias, *residual; /* bias, residual: NULL when there is none */
    size_t rows, columns, out_stride, residual_stride;
};

/* `part`: only the first n elements exist. Constants where this is inlined: part, act. */
ALWAYS_INLINE void finish_vector(const struct finish *f, size_t r, size_t j, size_t n, bool part,
                                 enum berth_epilogue_act act)
{
    vf x = vf_load(f->sums + r * TILE_COLUMNS + j);
    if (f->bias)
        x += part ? vf_load_part(f->bias + j, n) : vf_load(f->bias + j);
    x = vf_activate(x, act);
    if (f->residual) {
        const float *residual = f->residual + r * f->residual_stride + j;
        x += part ? vf_load_part(residual, n) : vf_load(residual);
    }
    float *out = f->out + r * f->out_stride + j;
    if (part) {
        vf_store_part(out, x, n);
    } else {
        vf_store(out, x);
    }
}

ALWAYS_INLINE void finish_tile(const struct finish *f, enum berth_epilogue_act act)
{
    for (size_t r = 0; r < f->rows; r++) {
        size_t j = 0;
        for (; j + LANES <= f->columns; j += LANES)
            finish_vector(f, r, j, LANES, false, act);
        if (j < f->columns)
            finish_vector(f, r, j, f->columns - j, true, act);
    }
}

/* What finish_tile will read and write, fetched while the product runs. */
static void prefetch_tile(const struct finish *f)
{
    for (size_t r = 0; r < f->rows; r++) {
        for (size_t j = 0; j < TILE_COLUMNS; j += 16) {
            _mm_prefetch((const char *)(f->out + r * f->out_stride + j), _MM_HINT_T0);
            if (f->residual)
                _mm_prefetch((const char *)(f->residual + r * f->residual_stride + j), _MM_HINT_T0);
        }
    }
}

/* Rows [row, row + rows) of the columns from j0 on. */
static struct finish describe_tile(const struct berth_gemm_f32 *g, const float *sums, size_t row, size_t rows,
                                   size_t j0)
{
    return (struct finish){
        .out = g->out + row * g->out_stride + j0,
        .sums = sums,
        .bias = g->bias ? g->bias + j0 : NULL,
        .residual = g->residual ? g->residual + row * g->residual_stride + j0 : NULL,
        .rows = rows,
        .columns = berth_min(TILE_COLUMNS, g->n - j0),
        .out_stride = g->out_stride,
        .residual_stride = g->residual_stride,
    };
}

/* Rows [i0, i0 + rows) of the product by the panel that holds column j0 on. The tiles are of one height, give
 * or take a row: a last tile of few rows would run at the speed of the additions' latency. */
static void multiply_panel(const struct berth_gemm_f32 *g, const float *left, float *sums, size_t i0,
                           size_t rows, size_t j0)
{
    const float *panel = g->weights + j0 * g->k;
    const size_t tiles = ceil_div(rows, TILE_ROWS), steps = count_steps(g->k);
    for (size_t step = 0; step < steps;
         step++, left += rows * BLOCK_STRIDE, panel += BLOCK_K * TILE_COLUMNS) {
        const size_t k = berth_min(BLOCK_K, g->k - step * BLOCK_K);
        const bool last = step + 1 == steps;
        for (size_t tile = 0; tile < tiles; tile++) {
            const size_t first = tile * rows / tiles, height = (tile + 1) * rows / tiles - first;
            float *tile_sums = sums + first * TILE_COLUMNS;
            const struct finish f = describe_tile(g, tile_sums, i0 + first, height, j0);
            if (last)
                prefetch_tile(&f);
            multiply_tile(height, tile_sums, TILE_COLUMNS, left + first * BLOCK_STRIDE, panel, k, step > 0);
            if (last) {
                WITH_ACTIVATION(g->act, finish_tile, &f)
            }
        }
    }
}

void KERNEL(f32_gemm)(const struct berth_gemm_f32 *g)
{
    const size_t blocks = ceil_div(g->m, block_rows(g->k)), steps = count_steps(g->k);
    for (size_t block = 0; block < blocks; block++) {
        const size_t i0 = block * g->m / blocks, rows = (block + 1) * g->m / blocks - i0;
        float *left = g->scratch, *sums = left + steps * rows * BLOCK_STRIDE;
        for (size_t step = 0; step < steps; step++) {
            const size_t k0 = step * BLOCK_K;
            pack_rows(left + step * rows * BLOCK_STRIDE, g->a + i0 * g->a_stride + k0, rows,
                      berth_min(BLOCK_K, g->k - k0), g->a_stride, 1);
        }
        for (size_t j0 = 0; j0 < g->n; j0 += TILE_COLUMNS)
            multiply_panel(g, left, sums, i0, rows, j0);
    }
}

#endif
