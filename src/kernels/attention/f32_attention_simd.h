/* f32_attention_simd.h: attention of one head of one text, compiled once per level; include avx2.h or
 * avx512.h first.
 *
 * Keys are packed once as the right operand of q k^T, values as that of p v. Then a tile of query rows at a
 * time: scores against all keys, softmax, product with the values. So scores take TILE_ROWS x T floats, never
 * T x T, and lie in blocks of BLOCK_K keys, ready to be the left operand of the second product. The division
 * by the sum of the row comes last, once per output. */
#ifndef BERTH_KERNELS_ATTENTION_F32_ATTENTION_SIMD_H
#define BERTH_KERNELS_ATTENTION_F32_ATTENTION_SIMD_H

#include <math.h>

#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/tile.h"

enum { BLOCK_TILE = TILE_ROWS * BLOCK_STRIDE }; /* floats of one block of a packed tile of rows */

struct attention {
    float *keys, *values;           /* packed: panels of k^T, panels of v */
    float *queries, *scores, *sums; /* of the tile at work */
    size_t t, d;
};

static void pack_values(float *panels, const float *v, size_t t, size_t d, size_t stride)
{
    for (size_t first = 0; first < d; first += TILE_COLUMNS) {
        const size_t filled = berth_min(TILE_COLUMNS, d - first);
        for (size_t i = 0; i < t; i++, panels += TILE_COLUMNS) {
            const float *row = v + i * stride + first;
            if (filled == TILE_COLUMNS) {
                for (size_t j = 0; j < TILE_COLUMNS; j += LANES)
                    vf_store(panels + j, vf_load(row + j));
            } else {
                for (size_t j = 0; j < TILE_COLUMNS; j++)
                    panels[j] = j < filled ? row[j] : 0;
            }
        }
    }
}

/* sums[rows][TILE_COLUMNS] = left . panel, both k long, left in blocks of BLOCK_TILE floats. */
static void multiply_blocks(size_t rows, float *sums, size_t sums_stride, const float *left,
                            const float *panel, size_t k)
{
    for (size_t k0 = 0; k0 < k; k0 += BLOCK_K, left += BLOCK_TILE) {
        multiply_tile(rows, sums, sums_stride, left, panel + k0 * TILE_COLUMNS, berth_min(BLOCK_K, k - k0),
                      k0 > 0);
    }
}

/* Replaces one row of scores by exp(score - largest), returns one over their sum. Scores beyond t become 0.
 */
static float exponentiate(float *scores, size_t t)
{
    const size_t blocks = ceil_div(t, BLOCK_K), in_last = t - (blocks - 1) * BLOCK_K;
    float *last = scores + (blocks - 1) * BLOCK_TILE;
    for (size_t j = in_last; j % LANES; j++)
        last[j] = -INFINITY;
    vf most = vf_set(-INFINITY), sum = vf_set(0);
    for (size_t block = 0; block < blocks; block++) {
        const float *p = scores + block * BLOCK_TILE;
        const size_t n = block + 1 < blocks ? BLOCK_K : in_last;
        for (size_t j = 0; j < n; j += LANES)
            most = vf_max(most, vf_load(p + j));
    }
    const vf largest = vf_set(vf_largest(most));
    for (size_t block = 0; block < blocks; block++) {
        float *p = scores + block * BLOCK_TILE;
        const size_t n = block + 1 < blocks ? BLOCK_K : in_last;
        for (size_t j = 0; j < n; j += LANES) {
            const vf power = vf_exp(vf_load(p + j) - largest);
            vf_store(p + j, power);
            sum += power;
        }
    }
    return 1 / vf_sum(sum);
}

static void attend_tile(const struct attention *w, const struct berth_attention_f32 *g, size_t i0,
                        size_t rows)
{
    for (size_t k0 = 0, block = 0; k0 < w->d; k0 += BLOCK_K, block++) {
        pack_rows(w->queries + block * BLOCK_TILE, g->q + i0 * g->qkv_stride + k0, rows,
                  berth_min(BLOCK_K, w->d - k0), g->qkv_stride, g->scale);
    }
    for (size_t j0 = 0; j0 < w->t; j0 += TILE_COLUMNS) {
        float *scores = w->scores + j0 / BLOCK_K * BLOCK_TILE + j0 % BLOCK_K;
        multiply_blocks(rows, scores, BLOCK_STRIDE, w->queries, w->keys + j0 * w->d, w->d);
    }
    float scale[TILE_ROWS];
    for (size_t r = 0; r < rows; r++)
        scale[r] = exponentiate(w->scores + r * BLOCK_STRIDE, w->t);
    for (size_t j0 = 0; j0 < w->d; j0 += TILE_COLUMNS) {
        multiply_blocks(rows, w->sums, TILE_COLUMNS, w->scores, w->values + j0 * w->t, w->t);
        const size_t columns = berth_min(TILE_COLUMNS, w->d - j0);
        for (size_t r = 0; r < rows; r++) {
            const float *sums = w->sums + r * TILE_COLUMNS;
            float *out = g->out + (i0 + r) * g->out_stride + j0;
            size_t j = 0;
            for (; j + LANES <= columns; j += LANES)
                vf_store(out + j, vf_load(sums + j) * vf_set(scale[r]));
            if (j < columns)
                vf_store_part(out + j, vf_load(sums + j) * vf_set(scale[r]), columns - j);
        }
    }
}

size_t KERNEL(f32_attention_scratch)(size_t t, size_t d)
{
    const size_t keys = ceil_div(t, TILE_COLUMNS) * TILE_COLUMNS * d;
    const size_t values = ceil_div(d, TILE_COLUMNS) * TILE_COLUMNS * t;
    return keys + values + (ceil_div(d, BLOCK_K) + ceil_div(t, BLOCK_K)) * BLOCK_TILE +
           TILE_ROWS * TILE_COLUMNS;
}

void KERNEL(f32_attention)(const struct berth_attention_f32 *g)
{
    struct attention w = {.t = g->t, .d = g->d, .keys = g->scratch};
    w.values = w.keys + ceil_div(g->t, TILE_COLUMNS) * TILE_COLUMNS * g->d;
    w.queries = w.values + ceil_div(g->d, TILE_COLUMNS) * TILE_COLUMNS * g->t;
    w.scores = w.queries + ceil_div(g->d, BLOCK_K) * BLOCK_TILE;
    w.sums = w.scores + ceil_div(g->t, BLOCK_K) * BLOCK_TILE;
    pack_transposed(w.keys, g->k, g->t, g->d, g->qkv_stride);
    pack_values(w.values, g->v, g->t, g->d, g->qkv_stride);
    const size_t queries = g->queries ? g->queries : g->t, tiles = ceil_div(queries, TILE_ROWS);
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t first = tile * queries / tiles;
        attend_tile(&w, g, first, (tile + 1) * queries / tiles - first);
    }
}

#endif
