/* s8_steps.c: int8 weights that are stored as such, from rows to what the kernels read and back. Bytes are moved and
 * summed, never computed with, so there is one form for every level. */
#include <string.h>

#include "base/checked.h"
#include "kernels/kernels.h"

enum {
    QUAD = 4,
    SUMMED = 1024 /* bytes whose halves of 16 bits hold the sum: 128 words of two bytes a half */
};

static uint64_t load_word(const int8_t *steps)
{
    uint64_t word;
    memcpy(&word, steps, sizeof word);
    return word ^ 0x8080808080808080u; /* steps + 128, unsigned */
}

/* Eight bytes at a time, in halves of 16 bits. *wrong is set when a step is -128. */
static int32_t sum_steps(const int8_t *steps, size_t k, bool *wrong)
{
    const uint64_t low = 0x00ff00ff00ff00ffu, ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    int64_t sum = 0;
    uint64_t zeros = 0;
    size_t i = 0;
    while (k - i >= sizeof(uint64_t)) {
        const size_t end = i + berth_min(SUMMED, (k - i) / sizeof(uint64_t) * sizeof(uint64_t));
        uint64_t halves = 0;
        for (; i < end; i += sizeof(uint64_t)) {
            const uint64_t word = load_word(steps + i);
            zeros |= (word - ones) & ~word & highs;
            halves += (word & low) + (word >> 8 & low);
        }
        for (; halves; halves >>= 16)
            sum += (int64_t)(halves & 0xffff);
    }
    sum -= 128 * (int64_t)i;
    for (; i < k; i++) {
        sum += steps[i];
        zeros |= steps[i] == -128;
    }
    *wrong = *wrong || zeros != 0;
    return (int32_t)sum;
}

bool berth_s8_pack_steps(int8_t *packed, float *scale, int32_t *offset, const int8_t *steps, const void *scales,
                         size_t n0, size_t count, size_t k)
{
    const size_t row = berth_tiled_row(k), whole = k / QUAD;
    bool wrong = false;
    for (size_t first = 0; first < count; first += BERTH_PANEL_COLUMNS) {
        const size_t columns = berth_min(BERTH_PANEL_COLUMNS, count - first);
        const int8_t *rows = steps + first * k;
        int8_t *panel = packed + (n0 + first) / BERTH_PANEL_COLUMNS * (BERTH_PANEL_COLUMNS * row);
        memset(scale + n0 + first, 0, BERTH_PANEL_COLUMNS * sizeof *scale);
        memset(offset + n0 + first, 0, BERTH_PANEL_COLUMNS * sizeof *offset);
        memcpy(scale + n0 + first, (const char *)scales + first * sizeof *scale, columns * sizeof *scale);
        for (size_t c = 0; c < columns; c++)
            offset[n0 + first + c] = -128 * sum_steps(rows + c * k, k, &wrong);
        if (columns < BERTH_PANEL_COLUMNS)
            memset(panel, 0, BERTH_PANEL_COLUMNS * row);
        for (size_t quad = 0; quad < whole; quad++)
            for (size_t c = 0; c < columns; c++)
                memcpy(panel + (quad * BERTH_PANEL_COLUMNS + c) * QUAD, rows + c * k + quad * QUAD, QUAD);
        for (size_t at = whole * QUAD; at < row; at += QUAD)
            for (size_t c = 0; c < columns; c++) {
                int8_t *to = panel + at * BERTH_PANEL_COLUMNS + c * QUAD;
                memset(to, 0, QUAD);
                if (at < k)
                    memcpy(to, rows + c * k + at, k - at);
            }
    }
    return !wrong;
}

void berth_s8_unpack_steps(int8_t *steps, const int8_t *packed, size_t n, size_t k)
{
    const size_t row = berth_tiled_row(k);
    for (size_t i = 0; i < n; i++) {
        const int8_t *panel = packed + i / BERTH_PANEL_COLUMNS * (BERTH_PANEL_COLUMNS * row);
        for (size_t at = 0; at < k; at += QUAD)
            memcpy(steps + i * k + at, panel + at * BERTH_PANEL_COLUMNS + i % BERTH_PANEL_COLUMNS * QUAD,
                   berth_min(QUAD, k - at));
    }
}

bool berth_s8_tile_steps(uint8_t *tiled, const int8_t *steps, size_t row, size_t m, size_t n)
{
    const size_t row_bytes = berth_tiled_row(n);
    bool wrong = false;
    for (size_t r = 0; r < m; r++, steps += n) {
        (void)sum_steps(steps, n, &wrong);
        for (size_t at = 0; at < row_bytes; at += BERTH_TILE_BYTES) {
            uint8_t *to = tiled + berth_tiled_offset(row + r, at, row_bytes);
            const size_t count = berth_min(BERTH_TILE_BYTES, n - at);
            for (size_t i = 0; i < count; i++)
                to[i] = (uint8_t)steps[at + i] ^ 0x80;
            memset(to + count, 128, BERTH_TILE_BYTES - count);
        }
    }
    return !wrong;
}
