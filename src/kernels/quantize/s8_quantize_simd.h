/* s8_quantize_simd.h: floats to int8, activations by rows and weights by output columns, compiled once per
 * level with the same bits at each; include scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_QUANTIZE_S8_QUANTIZE_SIMD_H
#define BERTH_KERNELS_QUANTIZE_S8_QUANTIZE_SIMD_H

#include <string.h>

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/quantum.h"

void KERNEL(s8_quantize)(uint8_t *tiled, float *scale, const float *x, size_t row, size_t m, size_t n,
                         size_t x_stride)
{
    const size_t row_bytes = berth_tiled_row(n);
    for (size_t r = 0; r < m; r++, x += x_stride) {
        const struct quantum q = quantum_of(largest_magnitude(x, n));
        const vf inverse = vf_set(q.inverse);
        uint8_t *out = tiled + berth_tiled_offset(row + r, 0, row_bytes);
        scale[r] = q.scale;
        for (size_t k0 = 0; k0 < row_bytes;
             k0 += BERTH_TILE_BYTES, out += BERTH_TILE_ROWS * BERTH_TILE_BYTES) {
            for (size_t i = 0; i < BERTH_TILE_BYTES; i += LANES)
                vi_store_bytes(out + i, quantize_at(x, k0 + i, n, inverse) + vi_set(128));
        }
    }
}

void KERNEL(s8_dequantize)(float *out, const uint8_t *tiled, float scale, size_t row, size_t n)
{
    const uint8_t *in = tiled + berth_tiled_offset(row, 0, berth_tiled_row(n));
    for (size_t i = 0; i < n; i += LANES) {
        const vi steps = vi_load_bytes(in + i / BERTH_TILE_BYTES * (BERTH_TILE_ROWS * BERTH_TILE_BYTES) +
                                       i % BERTH_TILE_BYTES);
        store_at(out, vf_of_int(steps - vi_set(128)) * vf_set(scale), i, n);
    }
}

/* One column of a panel from row w[k]; returns the sum of its numbers. */
static int32_t pack_column(int8_t *column, const float *w, size_t k, float inverse)
{
    vi sums = vi_set(0);
    for (size_t k0 = 0; k0 < berth_tiled_row(k); k0 += BERTH_TILE_BYTES) {
        uint8_t bytes[BERTH_TILE_BYTES];
        for (size_t i = 0; i < BERTH_TILE_BYTES; i += LANES) {
            const vi steps = quantize_at(w, k0 + i, k, vf_set(inverse));
            vi_store_bytes(bytes + i, steps);
            sums += steps;
        }
        for (size_t i = 0; i < BERTH_TILE_BYTES; i += 4, column += 4 * BERTH_PANEL_COLUMNS)
            memcpy(column, bytes + i, 4);
    }
    return vi_sum(sums);
}

void KERNEL(s8_pack)(int8_t *packed, float *scale, int32_t *offset, const float *w, size_t n0, size_t count,
                     size_t k, size_t w_stride)
{
    const size_t panel = BERTH_PANEL_COLUMNS * berth_tiled_row(k);
    const size_t end = n0 + berth_round_up(count, BERTH_PANEL_COLUMNS);
    for (size_t n = n0; n < end; n++) {
        int8_t *column = packed + n / BERTH_PANEL_COLUMNS * panel + n % BERTH_PANEL_COLUMNS * 4;
        const float *row = w + (n - n0) * w_stride;
        const size_t filled = n < n0 + count ? k : 0;
        const struct quantum q = quantum_of(largest_magnitude(row, filled));
        scale[n] = q.scale;
        offset[n] = -128 * pack_column(column, filled ? row : NULL, filled, q.inverse);
        for (size_t k0 = berth_tiled_row(filled); k0 < berth_tiled_row(k); k0 += 4)
            memset(column + k0 * BERTH_PANEL_COLUMNS, 0, 4);
    }
}

#endif
