/* s8_tile_avx512.h: tiles of int8 products by vpmaddwd, for AVX-512 without VNNI (tiled.h). */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_AVX512_H
#define BERTH_KERNELS_SIMD_S8_TILE_AVX512_H

#include "kernels/simd/tiled.h"

#define S8_KERNEL(name) berth_k_##name##__avx512

/* 24 sums of eight columns (two a column), 4 rows and 2 of weights: 30 of 32 registers. */
enum { S8_ROWS = 4, S8_PANELS = 3, S8_SUMS = S8_PANELS * BERTH_PANEL_COLUMNS, S8_FILL = 4 };

/* `rows` and `panels` are constants where this is inlined. */
ALWAYS_INLINE void s8_rows(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    __m512i sum[S8_ROWS][S8_PANELS][2];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++)
            sum[r][p][0] = sum[r][p][1] = _mm512_setzero_si512();
    }
    for (size_t quad = 0; quad < o->quads; quad++) {
        const uint8_t *a = o->a + quad / TILE_QUADS * TILE_SIZE + quad % TILE_QUADS * 4;
        __m512i x[S8_ROWS];
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            x[r] = _mm512_cvtepu8_epi16(_mm256_set1_epi32(load_quad(a + r * BERTH_TILE_BYTES)));
        }
        UNROLL
        for (size_t p = 0; p < panels; p++) {
            const __m256i *w =
                (const __m256i *)((const int8_t *)o->panels + p * o->panel_bytes + quad * BERTH_TILE_BYTES);
            const __m512i low = _mm512_cvtepi8_epi16(_mm256_loadu_si256(w));
            const __m512i high = _mm512_cvtepi8_epi16(_mm256_loadu_si256(w + 1));
            UNROLL
            for (size_t r = 0; r < rows; r++) {
                sum[r][p][0] = _mm512_add_epi32(sum[r][p][0], _mm512_madd_epi16(x[r], low));
                sum[r][p][1] = _mm512_add_epi32(sum[r][p][1], _mm512_madd_epi16(x[r], high));
            }
        }
    }
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t p = 0; p < panels; p++) {
            __m512i total = _mm512_add_epi32(_mm512_permutex2var_epi32(sum[r][p][0], even, sum[r][p][1]),
                                             _mm512_permutex2var_epi32(sum[r][p][0], odd, sum[r][p][1]));
            if (o->offset)
                total = _mm512_add_epi32(total, _mm512_loadu_si512(o->offset + p * BERTH_PANEL_COLUMNS));
            _mm512_storeu_si512(sums + r * S8_SUMS + p * BERTH_PANEL_COLUMNS, total);
        }
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
        CASES(1) CASES(2) CASES(3) CASES(4)
#undef CASES
#undef CASE
    }
}

#endif
