/* amx_emulated.h: the AMX tile instructions in plain C, after the pseudo code of Intel's Software Developer's
 * Manual, volume 2: so that kernels built on tiles are tested on machines without them. A use that the
 * hardware would fault at (no configuration, a tile beyond the eighth) aborts. */
#ifndef BERTH_TESTS_AMX_EMULATED_H
#define BERTH_TESTS_AMX_EMULATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define BERTH_AMX_EMULATED

/* When set, the last byte of every tile that is loaded is wrong: what a test must notice. Defined by the
 * test. */
extern bool amx_emulated_fault;

static struct {
    bool configured;
    uint8_t rows[8];
    uint16_t row_bytes[8];
    uint8_t tile[8][16][64];
} amx;

static inline void amx_require(bool condition)
{
    if (!condition)
        abort();
}

static inline void emulate_loadconfig(const void *memory)
{
    const uint8_t *bytes = memory;
    amx_require(bytes[0] == 1 && bytes[1] == 0);
    for (size_t i = 2; i < 16; i++)
        amx_require(bytes[i] == 0);
    for (size_t i = 0; i < 8; i++) {
        memcpy(&amx.row_bytes[i], bytes + 16 + 2 * i, 2);
        amx.rows[i] = bytes[48 + i];
        amx_require(amx.rows[i] <= 16 && amx.row_bytes[i] <= 64);
    }
    for (size_t i = 32; i < 48; i++)
        amx_require(bytes[i] == 0);
    memset(amx.tile, 0, sizeof amx.tile);
    amx.configured = true;
}

static inline void emulate_release(void)
{
    amx.configured = false;
    memset(amx.tile, 0xa5, sizeof amx.tile);
}

static inline void amx_require_tile(unsigned tile)
{
    amx_require(amx.configured && tile < 8 && amx.rows[tile] > 0 && amx.row_bytes[tile] > 0);
}

static inline void emulate_zero(unsigned tile)
{
    amx_require_tile(tile);
    memset(amx.tile[tile], 0, sizeof amx.tile[tile]);
}

static inline void emulate_load(unsigned tile, const void *base, ptrdiff_t stride)
{
    amx_require_tile(tile);
    memset(amx.tile[tile], 0, sizeof amx.tile[tile]);
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

/* Both products want k to agree: bytes of a row of a, times 4 of rows of b. */
static inline void amx_require_product(unsigned c, unsigned a, unsigned b)
{
    amx_require_tile(c);
    amx_require_tile(a);
    amx_require_tile(b);
    amx_require(c != a && a != b && c != b);
    amx_require(amx.row_bytes[a] == 4 * amx.rows[b] && amx.row_bytes[c] == amx.row_bytes[b] &&
                amx.rows[c] == amx.rows[a]);
}

static inline void emulate_dpbusd(unsigned c, unsigned a, unsigned b)
{
    amx_require_product(c, a, b);
    for (size_t m = 0; m < amx.rows[c]; m++) {
        for (size_t k = 0; k < amx.rows[b]; k++) {
            for (size_t n = 0; n < amx.row_bytes[c] / 4u; n++) {
                uint32_t sum;
                memcpy(&sum, &amx.tile[c][m][4 * n], sizeof sum);
                for (size_t i = 0; i < 4; i++)
                    sum += (uint32_t)(amx.tile[a][m][4 * k + i] * (int8_t)amx.tile[b][k][4 * n + i]);
                memcpy(&amx.tile[c][m][4 * n], &sum, sizeof sum);
            }
        }
    }
}

/* Denormals are zero, coming in and going out. */
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

/* Even and odd products of a row are summed apart, then together, then added. A product of two bf16 is exact,
 * so that an addition after it is a fused one. */
static inline void emulate_dpbf16ps(unsigned c, unsigned a, unsigned b)
{
    amx_require_product(c, a, b);
    for (size_t m = 0; m < amx.rows[c]; m++) {
        for (size_t n = 0; n < amx.row_bytes[c] / 4u; n++) {
            float part[2] = {0, 0}, sum;
            for (size_t k = 0; k < amx.rows[b]; k++) {
                for (size_t i = 0; i < 2; i++)
                    part[i] = amx_flush(part[i] + amx_bf16(&amx.tile[a][m][4 * k + 2 * i]) *
                                                      amx_bf16(&amx.tile[b][k][4 * n + 2 * i]));
            }
            memcpy(&sum, &amx.tile[c][m][4 * n], sizeof sum);
            sum = amx_flush(amx_flush(sum) + amx_flush(part[0] + part[1]));
            memcpy(&amx.tile[c][m][4 * n], &sum, sizeof sum);
        }
    }
}

#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbusd
#undef _tile_dpbf16ps
#define _tile_loadconfig emulate_loadconfig
#define _tile_release emulate_release
#define _tile_zero emulate_zero
#define _tile_loadd(tile, base, stride) emulate_load(tile, base, (ptrdiff_t)(stride))
#define _tile_stored(tile, base, stride) emulate_store(tile, base, (ptrdiff_t)(stride))
#define _tile_dpbusd emulate_dpbusd
#define _tile_dpbf16ps emulate_dpbf16ps

#endif
