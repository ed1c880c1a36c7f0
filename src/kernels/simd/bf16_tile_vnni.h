/* bf16_tile_vnni.h: tiles of bf16 products by vdpbf16ps, which rounds to nearest, takes denormals as 0, and
 * adds the product of the second of a pair before that of the first (tiled.h). */
#ifndef BERTH_KERNELS_SIMD_BF16_TILE_VNNI_H
#define BERTH_KERNELS_SIMD_BF16_TILE_VNNI_H

#include "kernels/simd/tiled.h"

#define BF16_KERNEL(name) berth_k_##name##__vnni

/* 24 sums, 3 of weights and 1 broadcast: 28 of 32 registers. Two tiles make 16 rows. */
enum { BF16_ROWS = 8, BF16_PANELS = 3, BF16_SUMS = BF16_PANELS * BERTH_PANEL_COLUMNS };

/* `rows` and `panels` are constants where this is inlined. */
ALWAYS_INLINE void bf16_rows(size_t rows, size_t panels, float *sums, const struct tiled_operands *o)
{
    __m512 sum[BF16_ROWS][BF16_PANELS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            sum[r][p] = _mm512_setzero_ps();
    }
    const uint8_t *w = o->panels;
    const uint8_t *a = o->a;
    for (size_t left = o->quads; left > 0; a += TILE_SIZE) {
        const size_t quads = berth_min(TILE_QUADS, left);
        left -= quads;
        for (size_t quad = 0; quad < quads; quad++, w += BERTH_TILE_BYTES) {
            __m512i b[BF16_PANELS];
            UNROLL
            for (size_t p = 0; p < panels; p++)
                b[p] = _mm512_loadu_si512(w + p * o->panel_bytes);
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                const __m512i x = _mm512_set1_epi32(load_quad(a + r * BERTH_TILE_BYTES + quad * 4));
                UNROLL
                for (size_t p = 0; p < panels; p++)
                    sum[r][p] = _mm512_dpbf16_ps(sum[r][p], (__m512bh)x, (__m512bh)b[p]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            _mm512_storeu_ps(sums + r * BF16_SUMS + p * BERTH_PANEL_COLUMNS, sum[r][p]);
    }
}

static void bf16_tile(size_t rows, size_t panels, float *sums, const struct tiled_operands *o)
{
    switch (rows * BF16_PANELS + panels - 1) {
#define CASE(r, p)                \
    case (r)*BF16_PANELS + (p)-1: \
        bf16_rows(r, p, sums, o); \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3)
        CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) CASES(7) CASES(8)
#undef CASES
#undef CASE
    }
}

#endif
