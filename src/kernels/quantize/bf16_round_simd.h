/* bf16_round_simd.h: floats to bf16, to nearest even, activations by rows and weights into panels, compiled
 * once per level with the same bits at each; include scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_QUANTIZE_BF16_ROUND_SIMD_H
#define BERTH_KERNELS_QUANTIZE_BF16_ROUND_SIMD_H

#include <string.h>

#include "base/checked.h"
#include "kernels/list.h"
#include "kernels/simd/wide.h"

enum { CHUNK = BERTH_TILE_BYTES / 2 }; /* numbers of a row of a tile */

/* In the low half of each element. A NaN stays one: rounding its fraction up would carry into the sign. */
ALWAYS_INLINE vi round_at(const float *x, size_t i, size_t n)
{
    const vf value = load_at(x, i, n);
    const vi broken = (vi)vf_most(vf_set(0), value) > vi_set(0x7f800000), bits = (vi)value & ~broken;
    const vi up = bits + vi_set(0x7fff) + ((bits >> 16) & vi_set(1));
    return (up | (vi_set(0x7fc00000) & broken)) >> 16;
}

void KERNEL(bf16_round)(uint8_t *tiled, const float *x, size_t row, size_t m, size_t n, size_t x_stride)
{
    const size_t row_bytes = berth_tiled_row(2 * n);
    for (size_t r = 0; r < m; r++, x += x_stride) {
        uint8_t *out = tiled + berth_tiled_offset(row + r, 0, row_bytes);
        for (size_t k0 = 0; k0 < n; k0 += CHUNK, out += BERTH_TILE_ROWS * BERTH_TILE_BYTES) {
            for (size_t i = 0; i < CHUNK; i += LANES)
                vi_store_halves(out + 2 * i, round_at(x, k0 + i, n));
        }
    }
}

void KERNEL(bf16_pack)(uint16_t *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride)
{
    const size_t row_bytes = berth_tiled_row(2 * k), end = n0 + berth_round_up(count, BERTH_PANEL_COLUMNS);
    for (size_t n = n0; n < end; n++) {
        uint8_t *column = (uint8_t *)packed + n / BERTH_PANEL_COLUMNS * BERTH_PANEL_COLUMNS * row_bytes +
                          n % BERTH_PANEL_COLUMNS * 4;
        const float *row = n < n0 + count ? w + (n - n0) * w_stride : NULL;
        for (size_t k0 = 0; k0 < row_bytes / 2; k0 += CHUNK) {
            uint8_t bytes[BERTH_TILE_BYTES];
            for (size_t i = 0; i < CHUNK; i += LANES)
                vi_store_halves(bytes + 2 * i, row ? round_at(row, k0 + i, k) : vi_set(0));
            for (size_t i = 0; i < BERTH_TILE_BYTES; i += 4, column += BERTH_PANEL_COLUMNS * 4)
                memcpy(column, bytes + i, 4);
        }
    }
}

#endif
