/* s8_tile.h: what the levels' int8 products have in common. Each s8_tile_*.h defines
 *
 *   enum { S8_ROWS, S8_PANELS }  the largest tile of sums
 *   s8_tile(rows, panels, sums, operands)
 *
 * sums[rows][S8_SUMS] = offset + a . panels, exact modulo 2^32: 1 to S8_ROWS rows, 1 to S8_PANELS panels of 16
 * columns. */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_H
#define BERTH_KERNELS_SIMD_S8_TILE_H

#include "base/checked.h"
#include "kernels/kernels.h"
#include "kernels/simd/wide.h"

enum { TILE_QUADS = BERTH_TILE_BYTES / 4, TILE_SIZE = BERTH_TILE_ROWS * BERTH_TILE_BYTES };

struct s8_operands {
    const uint8_t *a;      /* tiled, from the first row on */
    const int8_t *panels;  /* panel_bytes apart */
    size_t panel_bytes;
    size_t quads;          /* of k: ceil(K / 4) */
    const int32_t *offset; /* [panels * 16] or NULL: 0 */
};

#endif
