/* s8_gemm_simd.h: the int8 matrix product, the same bits at every level; include scalar.h, avx2.h or
 * avx512.h, then one of s8_tile_*.h first. */
#ifndef BERTH_KERNELS_GEMM_S8_GEMM_SIMD_H
#define BERTH_KERNELS_GEMM_S8_GEMM_SIMD_H

#include "kernels/kernels.h"

enum { TILED_BYTES = 1 };
typedef int32_t tiled_sum;
#define TILED_KERNEL(name) S8_KERNEL(s8_##name)
#define tiled_tile s8_tile
#define tiled_activate vf_activate_coarse

ALWAYS_INLINE vf finish_sums(const struct berth_gemm_tiled *g, size_t row, size_t column, const int32_t *sums,
                             vf bias)
{
    return vf_fma(vf_of_int(vi_load(sums)), vf_set(g->a_scale[row]) * vf_load(g->w_scale + column), bias);
}

#if defined(S8_ON_TILES)
#define tiled_dot _tile_dpbusd
#include "kernels/gemm/tiled_gemm_amx.h"
#else
enum { TILED_ROWS = S8_ROWS, TILED_SUMS = S8_SUMS };
#include "kernels/gemm/tiled_gemm_simd.h"
#endif

#endif
