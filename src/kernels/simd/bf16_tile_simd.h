/* bf16_tile_simd.h: tiles of bf16 products where the CPU cannot multiply bf16: numbers are widened as they
 * are read (tiled.h). A product of two bf16 numbers is exact in fp32, so that it does not matter whether it
 * is fused with its addition; sums go in increasing k. Include scalar.h, avx2.h or avx512.h first. */
#ifndef BERTH_KERNELS_SIMD_BF16_TILE_SIMD_H
#define BERTH_KERNELS_SIMD_BF16_TILE_SIMD_H

#include "kernels/simd/tiled.h"

#define BF16_KERNEL(name) KERNEL(name)

/* 16 sums of 16 columns with avx512, 8 of 8 with avx2. */
enum {
    BF16_ROWS = LANES == 16 ? 8 : 4,
    BF16_PANELS = LANES == 16 ? 2 : 1,
    BF16_SUMS = BF16_PANELS * BERTH_PANEL_COLUMNS
};

ALWAYS_INLINE vf add_product(vf sum, vf a, vf b)
{
    if (LANES == 4)
        return sum + a * b; /* exact in itself; fmaf would be a call */
    return vf_fma(a, b, sum);
}

ALWAYS_INLINE vf even_of(vi pair)
{
    return (vf)(pair << 16);
}

ALWAYS_INLINE vf odd_of(vi pair)
{
    return (vf)(pair & vi_set(-65536));
}

/* `rows` and `panels` are constants where this is inlined. */
ALWAYS_INLINE void bf16_rows(size_t rows, size_t panels, float *sums, const struct tiled_operands *o)
{
    vf sum[BF16_ROWS][BF16_PANELS * PARTS];
    const size_t vectors = panels * PARTS;
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            sum[r][v] = vf_set(0);
    }
    for (size_t quad = 0; quad < o->quads; quad++) {
        const uint8_t *a = o->a + quad / TILE_QUADS * TILE_SIZE + quad % TILE_QUADS * 4;
        vi w[BF16_PANELS * PARTS];
        UNROLL
        for (size_t v = 0; v < vectors; v++) {
            const uint8_t *panel = (const uint8_t *)o->panels + v / PARTS * o->panel_bytes;
            w[v] = vi_load((const int32_t *)(panel + quad * BERTH_TILE_BYTES) + v % PARTS * LANES);
        }
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            const vi x = vi_set(load_quad(a + r * BERTH_TILE_BYTES));
            UNROLL
            for (size_t v = 0; v < vectors; v++) {
                sum[r][v] = add_product(sum[r][v], even_of(x), even_of(w[v]));
                sum[r][v] = add_product(sum[r][v], odd_of(x), odd_of(w[v]));
            }
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++) {
        UNROLL
        for (size_t v = 0; v < vectors; v++)
            vf_store(sums + r * BF16_SUMS + v * LANES, sum[r][v]);
    }
}

static void bf16_tile(size_t rows, size_t panels, float *sums, const struct tiled_operands *o)
{
    switch (rows * 2 + panels - 1) {
#define CASE(r, p)                                                                  \
    case (r)*2 + (p)-1:                                                             \
        if (r <= BF16_ROWS && p <= BF16_PANELS)                                     \
            bf16_rows(berth_min(r, BF16_ROWS), berth_min(p, BF16_PANELS), sums, o); \
        break;
#define CASES(r) CASE(r, 1) CASE(r, 2)
        CASES(1) CASES(2) CASES(3) CASES(4) CASES(5) CASES(6) CASES(7) CASES(8)
#undef CASES
#undef CASE
    }
}

#endif
