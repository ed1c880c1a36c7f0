/* s8_tile_amx.h: tiles of int8 products by tdpbusd (tiled.h), as attention needs them: up to 16 rows by four
 * panels, one accumulator each. The matrix product has a loop of its own (tiled_gemm_amx.h). */
#ifndef BERTH_KERNELS_SIMD_S8_TILE_AMX_H
#define BERTH_KERNELS_SIMD_S8_TILE_AMX_H

#include "kernels/simd/tiles.h"

#if !defined(S8_KERNEL)
#define S8_KERNEL(name) berth_k_##name##__amx
#endif
#define S8_ON_TILES
#define S8_BEGIN() tiles_begin()
#define S8_END() tiles_end()

/* A tile reads 64 bytes of a row at once: operands are filled up so far. */
enum { S8_ROWS = 16, S8_PANELS = 4, S8_SUMS = S8_PANELS * BERTH_PANEL_COLUMNS, S8_FILL = BERTH_TILE_BYTES };

/* One column of 16 sums for each panel: of `panels`, a constant where this is inlined. */
ALWAYS_INLINE void s8_panels(size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    static const int32_t zeros[BERTH_PANEL_COLUMNS];
    const int32_t *offset = o->offset ? o->offset : zeros;
    const size_t step = o->offset ? BERTH_PANEL_COLUMNS : 0;
    const uint8_t *a = o->a, *w = o->panels;
    tiles_see_memory();
    _tile_loadd(0, offset, 0); /* every row the same: a stride of 0 */
    if (panels > 1)
        _tile_loadd(1, offset + step, 0);
    if (panels > 2)
        _tile_loadd(2, offset + 2 * step, 0);
    if (panels > 3)
        _tile_loadd(3, offset + 3 * step, 0);
    for (size_t quad = 0; quad < o->quads; quad += TILE_QUADS, a += TILE_SIZE, w += TILE_SIZE) {
        _tile_loadd(4, a, BERTH_TILE_BYTES);
        _tile_loadd(5, w, BERTH_TILE_BYTES);
        _tile_dpbusd(0, 4, 5);
        if (panels > 1) {
            _tile_loadd(6, w + o->panel_bytes, BERTH_TILE_BYTES);
            _tile_dpbusd(1, 4, 6);
        }
        if (panels > 2) {
            _tile_loadd(7, w + 2 * o->panel_bytes, BERTH_TILE_BYTES);
            _tile_dpbusd(2, 4, 7);
        }
        if (panels > 3) {
            _tile_loadd(5, w + 3 * o->panel_bytes, BERTH_TILE_BYTES);
            _tile_dpbusd(3, 4, 5);
        }
    }
    _tile_stored(0, sums, S8_SUMS * sizeof *sums);
    if (panels > 1)
        _tile_stored(1, sums + 16, S8_SUMS * sizeof *sums);
    if (panels > 2)
        _tile_stored(2, sums + 32, S8_SUMS * sizeof *sums);
    if (panels > 3)
        _tile_stored(3, sums + 48, S8_SUMS * sizeof *sums);
}

static inline void s8_tile(size_t rows, size_t panels, int32_t *sums, const struct tiled_operands *o)
{
    (void)rows; /* the others are computed and not looked at */
    switch (panels) {
        case 1:
            s8_panels(1, sums, o);
            break;
        case 2:
            s8_panels(2, sums, o);
            break;
        case 3:
            s8_panels(3, sums, o);
            break;
        default:
            s8_panels(4, sums, o);
            break;
    }
}

#endif
