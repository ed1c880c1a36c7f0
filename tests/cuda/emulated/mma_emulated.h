/* mma_emulated.h: mma.cuh's two instructions by their definition: each lane lays its fragment out as a matrix, and takes
 * its part of the product. */
#pragma once

namespace berth {

template <typename A> inline A unpack(uint32_t pair, int which)
{
    const uint16_t bits = static_cast<uint16_t>(which ? pair >> 16 : pair);
    A out;
    memcpy(&out, &bits, sizeof out);
    return out;
}

template <typename A> inline void mma(float sums[4], const uint32_t left[4], const uint32_t right[2])
{
    struct Fragment {
        uint32_t left[4], right[2];
    } mine = {{left[0], left[1], left[2], left[3]}, {right[0], right[1]}};
    unsigned char all[32 * 64];
    emulated::exchange(&mine, sizeof mine, all);
    float a[16][16], b[16][8];
    for (int lane = 0; lane < 32; lane++) {
        Fragment f;
        memcpy(&f, all + lane * sizeof f, sizeof f);
        const int group = lane / 4, pair = lane % 4 * 2;
        for (int i = 0; i < 2; i++) {
            a[group][pair + i] = widen(unpack<A>(f.left[0], i));
            a[group + 8][pair + i] = widen(unpack<A>(f.left[1], i));
            a[group][pair + 8 + i] = widen(unpack<A>(f.left[2], i));
            a[group + 8][pair + 8 + i] = widen(unpack<A>(f.left[3], i));
            b[pair + i][group] = widen(unpack<A>(f.right[0], i));
            b[pair + 8 + i][group] = widen(unpack<A>(f.right[1], i));
        }
    }
    const int group = static_cast<int>(emulated::lane()) / 4, pair = static_cast<int>(emulated::lane()) % 4 * 2;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++)
            sums[i] += a[group + i / 2 * 8][k] * b[k][pair + i % 2];
}

template <typename A> inline void load_transposed(uint32_t right[2], const A *row)
{
    unsigned char all[32 * 64];
    emulated::exchange(&row, sizeof row, all);
    const int group = static_cast<int>(emulated::lane()) / 4, pair = static_cast<int>(emulated::lane()) % 4 * 2;
    for (int matrix = 0; matrix < 2; matrix++) {
        A two[2];
        for (int i = 0; i < 2; i++) {
            const A *from;
            memcpy(&from, all + (matrix * 8 + pair + i) * sizeof from, sizeof from);
            two[i] = from[group];
        }
        right[matrix] = pack(two[0], two[1]);
    }
}

} // namespace berth
