/* s8_tile_vnni.h: tiles of int8 products by vpdpbusd (tiled.h). */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_VNNI_H
#define BERTH_KERNELS_SIMD_S8_TILE_VNNI_H

#include "kernels/simd/tiled.h"

#define S8_KERNEL(name) berth_k_##name##__vnni

/* 24 sums, 3 of weights and 1 broadcast: 28 of 32 registers. Two tiles make 16 rows. */
enum { S8_ROWS = 8, S8_PANELS = 3, S8_SUMS = S8_PANELS * BERTH_PANEL_COLUMNS, S8_FILL = 4 };

/* `rows` and `panels` are constants where this is inlined. */
ALWAYS_INLINE void s8_rows(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    __m512i sum[S8_ROWS][S8_PANELS];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            sum[r][p] =
                o->offset ? _mm512_loadu_si512(o->offset + p * BERTH_PANEL_COLUMNS) : _mm512_setzero_si512();
    }
    const int8_t *w = o->panels;
    const uint8_t *a = o->a;
    for (size_t left = o->quads; left > 0; a += TILE_SIZE) {
        const size_t quads = berth_min(TILE_QUADS, left);
        left -= quads;
        for (size_t quad = 0; quad < quads; quad++, w += BERTH_TILE_BYTES) {
            __m512i b[S8_PANELS];
            UNROLL
            for (size_t p = 0; p < panels; p++) {
                b[p] = _mm512_loadu_si512(w + p * o->panel_bytes);
                if (rows >= 4)
                    _mm_prefetch((const char *)(w + (p + panels) * o->panel_bytes), _MM_HINT_T1);
            }
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                const __m512i x = _mm512_set1_epi32(load_quad(a + r * BERTH_TILE_BYTES + quad * 4));
                UNROLL
                for (size_t p = 0; p < panels; p++)
                    sum[r][p] = _mm512_dpbusd_epi32(sum[r][p], x, b[p]);
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            _mm512_storeu_si512(sums + r * S8_SUMS + p * BERTH_PANEL_COLUMNS, sum[r][p]);
    }
}

static void s8_tile(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    switch (rows * S8_PANELS + panels - 1) {
#define CASE(r, p)              \
    case (r)*S8_PANELS + (p)-1: \
        s8_rows(r, p, sums, o); \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2) CASE(r, 3)
        CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) CASES(7) CASES(8)
#undef CASES
#undef CASE
    }
}

#endif
