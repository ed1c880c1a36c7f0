/* tiled.h: what products of tiled rows by panels of 16 columns have in common, int8 and bf16, at every level.
 * Each s8_tile_*.h and bf16_tile_*.h defines
 *
 *   enum { S8_ROWS, S8_PANELS, S8_SUMS }  the largest tile of sums; BF16_... likewise
 *   s8_tile(rows, panels, sums, operands)
 *   S8_FILL                               bytes of k that it reads at once: operands are filled up to them
 *   S8_BEGIN(), S8_END()                  around all of a kernel's tiles, where the CPU wants that
 *
 * sums[rows][S8_SUMS] = offset + a . panels: 1 to S8_ROWS rows, 1 to S8_PANELS panels. In int8 exact modulo
 * 2^32. */
#ifndef BERTH_KERNELS_SIMD_TILED_H
#define BERTH_KERNELS_SIMD_TILED_H

#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"
#include "kernels/simd/wide.h"

enum { TILE_QUADS = BERTH_TILE_BYTES / 4, TILE_SIZE = BERTH_TILE_ROWS * BERTH_TILE_BYTES };

struct tiled_operands {
    const uint8_t *a;   /* tiled, from the first row on */
    const void *panels; /* panel_bytes apart */
    size_t panel_bytes;
    size_t quads;          /* groups of four bytes of k: four int8, two bf16 */
    const int32_t *offset; /* [panels * 16] or NULL: 0; int8 only */
};

/* Four bytes of a row, at a multiple of four. */
ALWAYS_INLINE int32_t load_quad(const uint8_t *p)
{
    int32_t quad;
    memcpy(&quad, p, sizeof quad);
    return quad;
}

#endif
