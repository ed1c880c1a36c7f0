/* s8_tile_ref.h: tiles of int8 products in plain C (tiled.h). */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_REF_H
#define BERTH_KERNELS_SIMD_S8_TILE_REF_H

#include "kernels/simd/tiled.h"

#define S8_KERNEL(name) berth_k_##name##__ref

enum { S8_ROWS = 4, S8_PANELS = 1, S8_SUMS = S8_PANELS * BERTH_PANEL_COLUMNS, S8_FILL = 4 };

static void s8_tile(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    (void)panels;
    for (size_t r = 0; r < rows; r++) {
        uint32_t sum[BERTH_PANEL_COLUMNS]; /* unsigned: it may wrap on its way */
        for (size_t j = 0; j < BERTH_PANEL_COLUMNS; j++)
            sum[j] = o->offset ? (uint32_t)o->offset[j] : 0;
        for (size_t quad = 0; quad < o->quads; quad++) {
            const uint8_t *a =
                o->a + quad / TILE_QUADS * TILE_SIZE + r * BERTH_TILE_BYTES + quad % TILE_QUADS * 4;
            const int8_t *w = (const int8_t *)o->panels + quad * BERTH_TILE_BYTES;
            for (size_t j = 0; j < BERTH_PANEL_COLUMNS; j++, w += 4)
                sum[j] += (uint32_t)(a[0] * w[0] + a[1] * w[1] + a[2] * w[2] + a[3] * w[3]);
        }
        memcpy(sums + r * S8_SUMS, sum, sizeof sum);
    }
}

#endif
