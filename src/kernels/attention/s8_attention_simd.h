/* s8_attention_simd.h: attention of one head of one text with both products in int8, compiled once per level
 * with the same bits at each; include scalar.h, avx2.h or avx512.h, then one of s8_tile_*.h first.
 *
 *   score(i, j) = (sum of q8 k8) * (q_scale(i) * scale * k_scale(j))       queries and keys: a scale a token
 *   p8(i, j)    = round(255 * exp(score(i, j) - largest of row i))         unsigned, no offset
 *   out(i, c)   = (sum of p8 v8) * (v_scale(c) / sum of p8)                values: a scale a column
 *
 * Row i is divided by the sum of the very numbers that were multiplied, an integer: no order of summation,
 * and no rounding error in the weights' sum. Keys and values are packed once; queries go a tile of rows at a
 * time, so that scores take S8_ROWS x T, never T x T. */
#ifndef BERTH_KERNELS_ATTENTION_S8_ATTENTION_SIMD_H
#define BERTH_KERNELS_ATTENTION_S8_ATTENTION_SIMD_H

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/functions.h"
#include "kernels/simd/quantum.h"

#if !defined(S8_BEGIN)
#define S8_BEGIN()
#define S8_END()
#endif

struct attention {
    size_t t, d;
    size_t t_columns, d_columns; /* filled up to whole panels */
    size_t t_bytes, d_bytes;     /* rows of tiles over tokens, over the head's columns */
    int8_t *keys, *values;       /* packed as weights: T columns of D, D columns of T */
    float *key_scale, *value_scale, *value_inverse;
    int32_t *key_offset;
    uint8_t *queries, *powers; /* tiled, of at most 16 rows */
    float *scores;             /* [S8_ROWS][t_columns] */
    float broken;              /* 0, or NaN when a key is not finite */
};

/* Bytes of a row that a tile may read. */
static size_t filled(size_t k)
{
    return ceil_div(k, S8_FILL) * S8_FILL;
}

/* Lays the parts out in scratch (NULL: only measures); returns their bytes. */
static size_t lay_out(struct attention *w, size_t t, size_t d, unsigned char *scratch)
{
    size_t used = 0;
    *w = (struct attention){.t = t, .d = d};
    w->t_columns = ceil_div(t, BERTH_PANEL_COLUMNS) * BERTH_PANEL_COLUMNS;
    w->d_columns = ceil_div(d, BERTH_PANEL_COLUMNS) * BERTH_PANEL_COLUMNS;
    w->t_bytes = berth_tiled_row(t);
    w->d_bytes = berth_tiled_row(d);
#define PLACE(member, count)                                     \
    do {                                                         \
        w->member = scratch ? (void *)(scratch + used) : NULL;   \
        used += berth_round_up((count) * sizeof *w->member, 64); \
    } while (0)
    PLACE(keys, w->t_columns * w->d_bytes);
    PLACE(values, w->d_columns * w->t_bytes);
    PLACE(key_scale, w->t_columns);
    PLACE(key_offset, w->t_columns);
    PLACE(value_scale, w->d_columns);
    PLACE(value_inverse, w->d_columns);
    PLACE(queries, BERTH_TILE_ROWS * w->d_bytes);
    PLACE(powers, BERTH_TILE_ROWS * w->t_bytes);
    PLACE(scores, S8_ROWS * w->t_columns);
#undef PLACE
    return used;
}

size_t S8_KERNEL(s8_attention_scratch)(size_t t, size_t d)
{
    struct attention w;
    return lay_out(&w, t, d, NULL) / sizeof(float);
}

/* Rows of a head lie far apart, a few cache lines each, which no hardware foresees: while keys are packed,
 * those of keys, values and queries are asked for that come next. */
static void prefetch_rows(const struct berth_attention_f32 *g, size_t token)
{
    enum { AHEAD = 8 };
    const size_t far = berth_min(token + AHEAD, g->t - 1) * g->qkv_stride;
    for (size_t c = 0; c < g->d; c += 16) {
        __builtin_prefetch(g->k + far + c);
        __builtin_prefetch(g->v + far + c);
        if (!g->queries || token + AHEAD < g->queries)
            __builtin_prefetch(g->q + far + c);
    }
}

static void pack_keys(struct attention *w, const struct berth_attention_f32 *g)
{
    const float *k = g->k;
    for (size_t j = 0; j < w->t_columns; j++, k += g->qkv_stride) {
        prefetch_rows(g, j);
        int8_t *column = w->keys + j / BERTH_PANEL_COLUMNS * BERTH_PANEL_COLUMNS * w->d_bytes +
                         j % BERTH_PANEL_COLUMNS * 4;
        const size_t d = j < w->t ? w->d : 0;
        const struct quantum q = quantum_of(largest_magnitude(k, d));
        const size_t end = isfinite(q.scale) ? d : 0; /* steps of a NaN have no bounds, their sum neither */
        vi sum = vi_set(0);
        for (size_t c = 0; c < filled(w->d); c += WIDE) {
            uint8_t bytes[WIDE];
            for (size_t p = 0; p < WIDE; p += LANES) {
                const vi steps = c + p < end ? quantize_at(k, c + p, end, vf_set(q.inverse)) : vi_set(0);
                vi_store_bytes(bytes + p, steps);
                sum += steps;
            }
            for (size_t i = 0; i < WIDE; i += 4, column += 4 * BERTH_PANEL_COLUMNS)
                memcpy(column, bytes + i, 4);
        }
        w->key_scale[j] = q.scale;
        w->key_offset[j] = -128 * vi_sum(sum);
        w->broken += q.scale * 0;
    }
}

/* Four tokens from t on of LANES columns, as they lie in a panel: a column's four bytes together. */
ALWAYS_INLINE vi four_values(const struct attention *w, const float *v, size_t stride, size_t t, size_t c,
                             vf inverse)
{
    vi all = vi_set(0);
    for (size_t i = 0; i < 4 && t + i < w->t; i++)
        all |= (quantize_at(v + (t + i) * stride, c, w->d, inverse) & vi_set(255)) << (int)(8 * i);
    return all;
}

static void pack_values(struct attention *w, const float *v, size_t stride)
{
    for (size_t c = 0; c < w->d_columns; c += LANES) {
        vf most = vf_set(0);
        for (size_t t = 0; t < w->t; t++)
            most = vf_most(most, load_at(v + t * stride, c, w->d));
        vf_store(w->value_scale + c, most);
    }
    for (size_t c = 0; c < w->d_columns; c++) {
        const struct quantum q = quantum_of(w->value_scale[c]);
        w->value_scale[c] = q.scale;
        w->value_inverse[c] = q.inverse;
    }
    for (size_t c = 0; c < w->d_columns; c += LANES) {
        int8_t *panel = w->values + c / BERTH_PANEL_COLUMNS * BERTH_PANEL_COLUMNS * w->t_bytes +
                        c % BERTH_PANEL_COLUMNS * 4;
        const vf inverse = vf_load(w->value_inverse + c);
        for (size_t t = 0; t < filled(w->t); t += 4, panel += 4 * BERTH_PANEL_COLUMNS) {
            const vi values = four_values(w, v, stride, t, c, inverse);
            memcpy(panel, &values, sizeof values);
        }
    }
}

/* Queries [first, first + rows) into rows of the tile; their scales times `scale`. */
static void take_queries(const struct attention *w, const struct berth_attention_f32 *g, size_t first,
                         size_t rows, float *scales)
{
    for (size_t r = 0; r < rows; r++) {
        const float *x = g->q + (first + r) * g->qkv_stride;
        const struct quantum q = quantum_of(largest_magnitude(x, w->d));
        uint8_t *out = w->queries + r * BERTH_TILE_BYTES;
        scales[r] = q.scale * g->scale;
        for (size_t c = 0; c < w->d_bytes; c += LANES) {
            vi_store_bytes(out + c / BERTH_TILE_BYTES * TILE_SIZE + c % BERTH_TILE_BYTES,
                           quantize_at(x, c, w->d, vf_set(q.inverse)) + vi_set(128));
        }
    }
}

static void score(const struct attention *w, size_t rows, const float *scales)
{
    _Alignas(64) int32_t sums[S8_ROWS * S8_SUMS];
    for (size_t j0 = 0; j0 < w->t_columns; j0 += S8_SUMS) {
        const size_t columns = berth_min(S8_SUMS, w->t_columns - j0);
        const struct tiled_operands operands = {
            .a = w->queries,
            .panels = w->keys + j0 * w->d_bytes,
            .panel_bytes = BERTH_PANEL_COLUMNS * w->d_bytes,
            .quads = ceil_div(w->d, 4),
            .offset = w->key_offset + j0,
        };
        s8_tile(rows, columns / BERTH_PANEL_COLUMNS, sums, &operands);
        for (size_t r = 0; r < rows; r++) {
            for (size_t j = 0; j < columns; j += LANES) {
                const vf scale = vf_set(scales[r]) * vf_load(w->key_scale + j0 + j);
                vf_store(w->scores + r * w->t_columns + j0 + j,
                         vf_of_int(vi_load(sums + r * S8_SUMS + j)) * scale);
            }
        }
    }
}

/* One row of scores to powers; returns the sum of the powers. */
static int32_t exponentiate(const struct attention *w, float *scores, uint8_t *powers)
{
    for (size_t j = w->t; j < w->t_columns; j++)
        scores[j] = -INFINITY;
    vf most = vf_set(-INFINITY);
    for (size_t j = 0; j < w->t_columns; j += LANES)
        most = vf_max(most, vf_load(scores + j));
    const vf largest = vf_set(vf_largest(most));
    vi sum = vi_set(0);
    for (size_t j = 0; j < w->t_columns; j += LANES) {
        const vi power = vi_round(vf_exp(vf_load(scores + j) - largest) * vf_set(255.0f)) & vi_set(255);
        vi_store_bytes(powers + j / BERTH_TILE_BYTES * TILE_SIZE + j % BERTH_TILE_BYTES, power);
        sum += power;
    }
    for (size_t j = w->t_columns; j < filled(w->t); j += LANES)
        vi_store_bytes(powers + j / BERTH_TILE_BYTES * TILE_SIZE + j % BERTH_TILE_BYTES, vi_set(0));
    return vi_sum(sum);
}

static void average(const struct attention *w, const struct berth_attention_f32 *g, size_t row, size_t rows,
                    const float *inverse)
{
    _Alignas(64) int32_t sums[S8_ROWS * S8_SUMS];
    for (size_t c0 = 0; c0 < w->d; c0 += S8_SUMS) {
        const size_t columns = berth_min(S8_SUMS, w->d - c0);
        const struct tiled_operands operands = {
            .a = w->powers,
            .panels = w->values + c0 * w->t_bytes,
            .panel_bytes = BERTH_PANEL_COLUMNS * w->t_bytes,
            .quads = ceil_div(w->t, 4),
        };
        s8_tile(rows, ceil_div(columns, BERTH_PANEL_COLUMNS), sums, &operands);
        for (size_t r = 0; r < rows; r++) {
            float *out = g->out + (row + r) * g->out_stride + c0;
            for (size_t j = 0; j < columns; j += LANES) {
                const vf scale = vf_load(w->value_scale + c0 + j) * vf_set(inverse[r]);
                store_at(out, vf_of_int(vi_load(sums + r * S8_SUMS + j)) * scale, j, columns);
            }
        }
    }
}

void S8_KERNEL(s8_attention)(const struct berth_attention_f32 *g)
{
    struct attention w;
    lay_out(&w, g->t, g->d, (unsigned char *)g->scratch);
    S8_BEGIN();
    pack_keys(&w, g);
    pack_values(&w, g->v, g->qkv_stride);
    const size_t queries = g->queries ? g->queries : g->t, tiles = ceil_div(queries, S8_ROWS);
    for (size_t tile = 0; tile < tiles; tile++) {
        const size_t row = tile * queries / tiles, rows = (tile + 1) * queries / tiles - row;
        float scales[S8_ROWS], inverse[S8_ROWS];
        take_queries(&w, g, row, rows, scales);
        score(&w, rows, scales);
        for (size_t r = 0; r < rows; r++) {
            const int32_t sum = exponentiate(&w, w.scores + r * w.t_columns, w.powers + r * BERTH_TILE_BYTES);
            inverse[r] = 1 / (float)sum + (w.broken + scales[r] * 0);
        }
        average(&w, g, row, rows, inverse);
    }
    S8_END();
}

#endif
