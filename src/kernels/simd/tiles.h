/* tiles.h: AMX tiles: eight registers of 16 rows x 64 bytes. Tests define BERTH_AMX_EMULATED and include an
 * emulation of the instructions first, so that the code built on them is tested on machines without. */
#ifndef BERTH_KERNELS_SIMD_TILES_H
#define BERTH_KERNELS_SIMD_TILES_H

#if !defined(BERTH_AMX_EMULATED)
#include <immintrin.h>
#endif
#include <stdint.h>

#include "kernels/simd/tiled.h"

/* All registers whole: 16 rows of 64 bytes. What lies beyond an operand is computed with, and dropped. */
struct tiles_shape {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

/* Before tiles are loaded from memory that was written a moment ago: gcc's _tile_loadd does not say that it
 * reads. */
ALWAYS_INLINE void tiles_see_memory(void)
{
    __asm__ volatile("" ::: "memory");
}

/* Before the first use of a tile in a kernel. */
ALWAYS_INLINE void tiles_begin(void)
{
    static const _Alignas(64) struct tiles_shape shape = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {16, 16, 16, 16, 16, 16, 16, 16},
    };
    tiles_see_memory();
    _tile_loadconfig(&shape);
}

/* After the last: a core whose tiles are in use saves more in every switch of threads. */
ALWAYS_INLINE void tiles_end(void)
{
    _tile_release();
}

#endif
