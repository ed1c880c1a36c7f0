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
    /* This lane's two rows of the left matrix come from the four lanes of its group, its two columns of the right one from
     * those of two groups. */
    const int group = static_cast<int>(emulated::lane()) / 4, pair = static_cast<int>(emulated::lane()) % 4 * 2;
    float a[2][16], b[2][16];
    const auto from_lane = [&](int lane) {
        Fragment f;
        memcpy(&f, all + lane * sizeof f, sizeof f);
        return f;
    };
    for (int p = 0; p < 4; p++) {
        const Fragment row = from_lane(group * 4 + p);
        for (int i = 0; i < 2; i++) {
            const Fragment column = from_lane((pair + i) * 4 + p);
            a[0][p * 2 + i] = widen(unpack<A>(row.left[0], i));
            a[1][p * 2 + i] = widen(unpack<A>(row.left[1], i));
            a[0][p * 2 + 8 + i] = widen(unpack<A>(row.left[2], i));
            a[1][p * 2 + 8 + i] = widen(unpack<A>(row.left[3], i));
            for (int j = 0; j < 2; j++) {
                b[i][p * 2 + j] = widen(unpack<A>(column.right[0], j));
                b[i][p * 2 + 8 + j] = widen(unpack<A>(column.right[1], j));
            }
        }
    }
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 16; k++)
            sums[i] += a[i / 2][k] * b[i % 2][k];
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
