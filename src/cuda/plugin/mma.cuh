/* mma.cuh: one product of tensor cores and the move that feeds it, as a warp's lanes see them (PTX ISA, "Matrix
 * Fragments for mma.m16n8k16" and "ldmatrix"):
 *
 *   left  16x16  a0 (row g, columns p p+1)  a1 (row g+8)  a2 (row g, columns p+8 p+9)  a3 (row g+8, columns p+8 p+9)
 *   right 16x8   b0 (rows p p+1, column g)  b1 (rows p+8 p+9, column g)
 *   sums  16x8   d0 d1 (row g, columns p p+1)  d2 d3 (row g+8)          g = lane / 4, p = lane % 4 * 2 */
#pragma once

#include "device.cuh"

namespace berth {

template <typename A> __device__ inline uint32_t pack(A low, A high)
{
    uint16_t bits[2];
    memcpy(&bits[0], &low, sizeof bits[0]);
    memcpy(&bits[1], &high, sizeof bits[1]);
    return static_cast<uint32_t>(bits[1]) << 16 | bits[0];
}

#ifndef BERTH_CUDA_EMULATED

template <typename A> __device__ inline void mma(float sums[4], const uint32_t left[4], const uint32_t right[2]);

template <> __device__ inline void mma<bf16>(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

template <> __device__ inline void mma<half>(float d[4], const uint32_t a[4], const uint32_t b[2])
{
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/* Two 8x8 matrices from shared memory, transposed: lanes 0 to 7 give the rows of the first, 8 to 15 of the second. */
template <typename A> __device__ inline void load_transposed(uint32_t right[2], const A *row)
{
    const unsigned address = static_cast<unsigned>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                 : "=r"(right[0]), "=r"(right[1])
                 : "r"(address));
}

#endif

} // namespace berth

#ifdef BERTH_CUDA_EMULATED
#include "mma_emulated.h"
#endif
