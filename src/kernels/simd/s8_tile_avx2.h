/* s8_tile_avx2.h: tiles of int8 products by vpmaddwd on numbers widened to 16 bits, which is exact where
 * vpmaddubsw saturates (tiled.h). */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_AVX2_H
#define BERTH_KERNELS_SIMD_S8_TILE_AVX2_H

#include "kernels/simd/tiled.h"

#define S8_KERNEL(name) berth_k_##name##__avx2

/* 12 sums of four columns (two a column), 3 rows and 1 of weights: 16 registers. */
enum { S8_ROWS = 3, S8_PANELS = 1, S8_SUMS = S8_PANELS * BERTH_PANEL_COLUMNS, S8_FILL = 4 };

/* `rows` is a constant where this is inlined. */
ALWAYS_INLINE void s8_rows(size_t rows, int32_t *sums, const struct tiled_operands *o)
{
    __m256i sum[S8_ROWS][4];
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t c = 0; c < 4; c++)
            sum[r][c] = _mm256_setzero_si256();
    }
    for (size_t quad = 0; quad < o->quads; quad++) {
        const uint8_t *a = o->a + quad / TILE_QUADS * TILE_SIZE + quad % TILE_QUADS * 4;
        const __m128i *w = (const __m128i *)((const int8_t *)o->panels + quad * BERTH_TILE_BYTES);
        __m256i x[S8_ROWS];
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            x[r] = _mm256_cvtepu8_epi16(_mm_set1_epi32(load_quad(a + r * BERTH_TILE_BYTES)));
        }
        UNROLL
        for (size_t c = 0; c < 4; c++) {
            const __m256i wide = _mm256_cvtepi8_epi16(_mm_loadu_si128(w + c));
            UNROLL
            for (size_t r = 0; r < rows; r++)
                sum[r][c] = _mm256_add_epi32(sum[r][c], _mm256_madd_epi16(x[r], wide));
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t c = 0; c < 2; c++) {
            const __m256i pairs = _mm256_hadd_epi32(sum[r][2 * c], sum[r][2 * c + 1]);
            __m256i total = _mm256_permute4x64_epi64(pairs, _MM_SHUFFLE(3, 1, 2, 0));
            if (o->offset)
                total = _mm256_add_epi32(total, _mm256_loadu_si256((const __m256i *)(o->offset + 8 * c)));
            _mm256_storeu_si256((__m256i *)(sums + r * S8_SUMS + 8 * c), total);
        }
    }
}

static void s8_tile(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    (void)panels;
    switch (rows) {
        case 1:
            s8_rows(1, sums, o);
            break;
        case 2:
            s8_rows(2, sums, o);
            break;
        default:
            s8_rows(3, sums, o);
            break;
    }
}

#endif
