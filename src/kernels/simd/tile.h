/* tile.h: the inner product of blocks, shared by the matrix product and attention; include avx2.h or avx512.h
 * first.
 *
 * A tile is up to TILE_ROWS rows by TILE_COLUMNS columns of sums, held in registers while k runs. Its left
 * operand is packed by rows in blocks of BLOCK_K columns: the fixed stride lets every row be addressed from
 * one register, and its 16 floats above BLOCK_K keep the rows of a tile in different sets of the first-level
 * cache. Its right operand is a panel, [K][TILE_COLUMNS]. Sums that go on from block to block are stored and
 * loaded, which rounds nothing: each is one chain of fused multiply-adds in increasing k, whatever the tile
 * it was computed in.
 *
 * The figures behind the sizes stand in docs/speed.md. */
#ifndef BERTH_KERNELS_SIMD_TILE_H
#define BERTH_KERNELS_SIMD_TILE_H

#include <stdbool.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/simd/wide.h"

enum { TILE_COLUMNS = 2 * LANES, BLOCK_K = 768, BLOCK_STRIDE = BLOCK_K + 16 };

/* Weights that a tile will want one block later, into the second-level cache: with few rows they come
 * straight from memory, and the hardware's own prefetch loses its way when several tiles read one block. A
 * tile of less than PREFETCH_ROWS rows waits for memory whatever is done, so that it only loses by asking
 * twice. */
ALWAYS_INLINE void prefetch_panel(const float *panel, size_t ahead)
{
    for (size_t j = 0; j < TILE_COLUMNS; j += 16)
        _mm_prefetch((const char *)(panel + ahead + j), _MM_HINT_T1);
}

/* sums[rows][TILE_COLUMNS] (+)= left[rows][k] . panel[k][TILE_COLUMNS]; `rows` is a constant where this is
 * inlined. */
ALWAYS_INLINE void multiply_rows(size_t rows, float *restrict sums, size_t sums_stride,
                                 const float *restrict left, const float *restrict panel, size_t k,
                                 bool go_on)
{
    vf sum[TILE_ROWS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        sum[r][0] = go_on ? vf_load(sums + r * sums_stride) : vf_set(0);
        sum[r][1] = go_on ? vf_load(sums + r * sums_stride + LANES) : vf_set(0);
    }
    for (size_t i = 0; i < k; i++, panel += TILE_COLUMNS) {
        if (rows >= PREFETCH_ROWS)
            prefetch_panel(panel, k * TILE_COLUMNS);
        const vf b0 = vf_load(panel), b1 = vf_load(panel + LANES);
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vf x = vf_set(left[r * BLOCK_STRIDE + i]);
            sum[r][0] = vf_fma(x, b0, sum[r][0]);
            sum[r][1] = vf_fma(x, b1, sum[r][1]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        vf_store(sums + r * sums_stride, sum[r][0]);
        vf_store(sums + r * sums_stride + LANES, sum[r][1]);
    }
}

/* The same for 1 to TILE_ROWS rows, k at most BLOCK_K. */
static void multiply_tile(size_t rows, float *sums, size_t sums_stride, const float *left, const float *panel,
                          size_t k, bool go_on)
{
    switch (rows) {
#define CASE(height)                                                     \
    case height:                                                         \
        multiply_rows(height, sums, sums_stride, left, panel, k, go_on); \
        break;
        TILE_HEIGHTS(CASE)
#undef CASE
    }
}

/* Copies columns [first, first + k) of `rows` rows, times `factor`, to where multiply_tile reads them. */
ALWAYS_INLINE void pack_rows(float *packed, const float *x, size_t rows, size_t k, size_t stride,
                             float factor)
{
    const vf factors = vf_set(factor);
    for (size_t r = 0; r < rows; r++, packed += BLOCK_STRIDE, x += stride) {
        size_t i = 0;
        for (; i + LANES <= k; i += LANES)
            vf_store(packed + i, vf_load(x + i) * factors);
        if (i < k)
            vf_store_part(packed + i, vf_load_part(x + i, k - i) * factors, k - i);
    }
}

/* panel[i][column + j] = x[j][i] for four rows of x. */
ALWAYS_INLINE void transpose_four(float *panel, const float *x, size_t k, size_t stride)
{
    size_t i = 0;
    for (; i + 4 <= k; i += 4) {
        __m128 a = _mm_loadu_ps(x + i), b = _mm_loadu_ps(x + stride + i);
        __m128 c = _mm_loadu_ps(x + 2 * stride + i), d = _mm_loadu_ps(x + 3 * stride + i);
        _MM_TRANSPOSE4_PS(a, b, c, d);
        _mm_storeu_ps(panel + i * TILE_COLUMNS, a);
        _mm_storeu_ps(panel + (i + 1) * TILE_COLUMNS, b);
        _mm_storeu_ps(panel + (i + 2) * TILE_COLUMNS, c);
        _mm_storeu_ps(panel + (i + 3) * TILE_COLUMNS, d);
    }
    for (; i < k; i++) {
        for (size_t j = 0; j < 4; j++)
            panel[i * TILE_COLUMNS + j] = x[j * stride + i];
    }
}

/* Panels of the transpose of x[count][k]: panel p holds rows p * TILE_COLUMNS and on, zeros beyond `count`.
 */
static inline void pack_transposed(float *panels, const float *x, size_t count, size_t k, size_t stride)
{
    for (size_t first = 0; first < count; first += TILE_COLUMNS, panels += k * TILE_COLUMNS) {
        const size_t filled = berth_min(TILE_COLUMNS, count - first);
        if (filled < TILE_COLUMNS)
            memset(panels, 0, k * TILE_COLUMNS * sizeof *panels);
        size_t j = 0;
        for (; j + 4 <= filled; j += 4)
            transpose_four(panels + j, x + (first + j) * stride, k, stride);
        for (; j < filled; j++) {
            for (size_t i = 0; i < k; i++)
                panels[i * TILE_COLUMNS + j] = x[(first + j) * stride + i];
        }
    }
}

#endif
