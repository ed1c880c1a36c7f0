/* amx_emulated.h: the AMX tile instructions in plain C, after the pseudo code of Intel's Software Developer's
 * Manual, volume 2: so that kernels built on tiles are tested on machines without them. Whatever the hardware
 * would fault at (a configuration that is not valid, a use without one, shapes that do not fit together)
 * aborts. Compile a kernel with -DBERTH_AMX_EMULATED='"support/amx_emulated.h"' to have it used. */
#ifndef BERTH_TESTS_AMX_EMULATED_H
#define BERTH_TESTS_AMX_EMULATED_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h> /* names the instructions, too: before they are named anew below */
#endif

#include "support/amx_kernels.h"

#if !defined(S8_KERNEL)
#define S8_KERNEL(name) berth_k_##name##__emulated512
#endif
#if !defined(BF16_KERNEL)
#define BF16_KERNEL(name) berth_k_##name##__emulated512
#endif

enum { AMX_TILES = 8, AMX_ROWS = 16, AMX_ROW_BYTES = 64 };

static _Thread_local struct {
    bool configured;
    uint8_t rows[AMX_TILES];
    uint16_t row_bytes[AMX_TILES];
    uint8_t tile[AMX_TILES][AMX_ROWS][AMX_ROW_BYTES];
} amx;

static inline void amx_require(bool condition)
{
    if (!condition)
        abort();
}

static inline void emulate_release(void)
{
    memset(&amx, 0, sizeof amx);
}

/* The layout: palette, first row of a restart, 14 reserved; bytes of a row of 16 tiles, two each; rows of 16
 * tiles, one each. Palette 0 is the state after a release; palette 1 has eight tiles. */
static inline void emulate_loadconfig(const void *memory)
{
    uint8_t bytes[64];
    memcpy(bytes, memory, sizeof bytes);
    emulate_release();
    if (bytes[0] == 0)
        return;
    amx_require(bytes[0] == 1);
    for (size_t i = 1; i < 16; i++) /* a restart is the operating system's affair */
        amx_require(bytes[i] == 0);
    for (size_t i = 0; i < AMX_TILES; i++) {
        memcpy(&amx.row_bytes[i], bytes + 16 + 2 * i, sizeof amx.row_bytes[i]);
        amx.rows[i] = bytes[48 + i];
        amx_require(amx.rows[i] <= AMX_ROWS && amx.row_bytes[i] <= AMX_ROW_BYTES);
        amx_require((amx.rows[i] == 0) == (amx.row_bytes[i] == 0));
        amx_require(bytes[32 + 2 * i] == 0 && bytes[33 + 2 * i] == 0 && bytes[56 + i] == 0);
    }
    amx.configured = true;
}

static inline void amx_require_tile(unsigned tile)
{
    amx_require(amx.configured && tile < AMX_TILES && amx.rows[tile] > 0);
}

static inline void emulate_zero(unsigned tile)
{
    amx_require_tile(tile);
    memset(amx.tile[tile], 0, sizeof amx.tile[tile]);
}

/* A stride of 0 makes all rows the same. What lies beyond the configured shape becomes zero. */
static inline void emulate_load(unsigned tile, const void *base, ptrdiff_t stride)
{
    emulate_zero(tile);
    for (ptrdiff_t r = 0; r < amx.rows[tile]; r++)
        memcpy(amx.tile[tile][r], (const uint8_t *)base + r * stride, amx.row_bytes[tile]);
    if (amx_emulated_fault)
        amx.tile[tile][amx.rows[tile] - 1][amx.row_bytes[tile] - 1] ^= 1;
}

static inline void emulate_store(unsigned tile, void *base, ptrdiff_t stride)
{
    amx_require_tile(tile);
    for (ptrdiff_t r = 0; r < amx.rows[tile]; r++)
        memcpy((uint8_t *)base + r * stride, amx.tile[tile][r], amx.row_bytes[tile]);
}

/* c is M x N, a is M x K, b is K x N groups of four bytes. */
static inline void amx_require_product(unsigned c, unsigned a, unsigned b)
{
    amx_require_tile(c);
    amx_require_tile(a);
    amx_require_tile(b);
    amx_require(c != a && a != b && c != b);
    amx_require(amx.rows[c] == amx.rows[a] && amx.row_bytes[c] == amx.row_bytes[b]);
    amx_require(amx.row_bytes[a] == 4 * amx.rows[b] && amx.row_bytes[c] % 4 == 0);
}

static inline int32_t amx_byte(uint8_t byte, bool is_signed)
{
    return is_signed ? (int8_t)byte : byte;
}

/* Sums modulo 2^32: these do not saturate. */
static inline void amx_multiply_bytes(unsigned c, unsigned a, unsigned b, bool a_signed, bool b_signed)
{
    amx_require_product(c, a, b);
    const size_t groups = amx.row_bytes[c] / 4u;
    for (size_t m = 0; m < amx.rows[c]; m++) {
        uint32_t sums[AMX_ROW_BYTES / 4];
        memcpy(sums, amx.tile[c][m], 4 * groups);
        for (size_t k = 0; k < 4u * amx.rows[b]; k++) {
            const int32_t left = amx_byte(amx.tile[a][m][k], a_signed);
            const uint8_t *right = &amx.tile[b][k / 4][k % 4];
            for (size_t n = 0; n < groups; n++)
                sums[n] += (uint32_t)(left * amx_byte(right[4 * n], b_signed));
        }
        memcpy(amx.tile[c][m], sums, 4 * groups);
    }
}

static inline void emulate_dpbusd(unsigned c, unsigned a, unsigned b)
{
    amx_multiply_bytes(c, a, b, false, true);
}

static inline void emulate_dpbssd(unsigned c, unsigned a, unsigned b)
{
    amx_multiply_bytes(c, a, b, true, true);
}

/* Denormals are zero, coming in and going out, whatever the processor's own mode. */
static inline float amx_flush(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7f800000) == 0)
        bits &= 0x80000000;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float amx_bf16(const uint8_t *bytes)
{
    uint16_t half;
    float x;
    memcpy(&half, bytes, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    memcpy(&x, &bits, sizeof x);
    return amx_flush(x);
}

/* The even numbers of the rows are one chain of fused multiply-adds from 0, the odd ones another; the two are
 * added, then that is added to the sum. */
static inline void emulate_dpbf16ps(unsigned c, unsigned a, unsigned b)
{
    amx_require_product(c, a, b);
    for (size_t m = 0; m < amx.rows[c]; m++) {
        for (size_t n = 0; n < amx.row_bytes[c]; n += 4) {
            float part[2] = {0, 0}, sum;
            for (size_t k = 0; k < amx.rows[b]; k++) {
                for (size_t i = 0; i < 2; i++)
                    part[i] = amx_flush(fmaf(amx_bf16(&amx.tile[a][m][4 * k + 2 * i]),
                                             amx_bf16(&amx.tile[b][k][n + 2 * i]), part[i]));
            }
            memcpy(&sum, &amx.tile[c][m][n], sizeof sum);
            sum = amx_flush(amx_flush(sum) + amx_flush(part[0] + part[1]));
            memcpy(&amx.tile[c][m][n], &sum, sizeof sum);
        }
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stream_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbssd
#undef _tile_dpbf16ps
#define _tile_loadconfig emulate_loadconfig
#define _tile_release emulate_release
#define _tile_zero emulate_zero
#define _tile_loadd(tile, base, stride) emulate_load(tile, base, (ptrdiff_t)(stride))
#define _tile_stream_loadd(tile, base, stride) emulate_load(tile, base, (ptrdiff_t)(stride))
#define _tile_stored(tile, base, stride) emulate_store(tile, base, (ptrdiff_t)(stride))
#define _tile_dpbusd emulate_dpbusd
#define _tile_dpbssd emulate_dpbssd
#define _tile_dpbf16ps emulate_dpbf16ps

#endif
