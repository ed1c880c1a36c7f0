/* bf16_gemm_simd.h: the bf16 matrix product, summed in fp32; include scalar.h, avx2.h or avx512.h, then one
 * of bf16_tile_*.h first. */
#ifndef BERTH_KERNELS_GEMM_BF16_GEMM_SIMD_H
#define BERTH_KERNELS_GEMM_BF16_GEMM_SIMD_H

#include "kernels/kernels.h"

enum { TILED_BYTES = 2 };
typedef float tiled_sum;
#define TILED_KERNEL(name) BF16_KERNEL(bf16_##name)
#define tiled_tile bf16_tile
#define tiled_activate vf_activate

ALWAYS_INLINE vf finish_sums(const struct berth_gemm_tiled *g, size_t row, size_t column, const float *sums,
                             vf bias)
{
    (void)g, (void)row, (void)column;
    return vf_load(sums) + bias;
}

#if defined(BF16_ON_TILES)
#define tiled_dot _tile_dpbf16ps
#include "kernels/gemm/tiled_gemm_amx.h"
#else
enum { TILED_ROWS = BF16_ROWS, TILED_SUMS = BF16_SUMS };
#include "kernels/gemm/tiled_gemm_simd.h"
#endif

#endif
