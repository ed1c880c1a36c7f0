/* bf16_tile_amx.h: bf16 products by tdpbf16ps, in the loop of tiled_gemm_amx.h. */
#ifndef BERTH_KERNELS_SIMD_BF16_TILE_AMX_H
#define BERTH_KERNELS_SIMD_BF16_TILE_AMX_H

#include "kernels/simd/tiles.h"

#if !defined(BF16_KERNEL)
#define BF16_KERNEL(name) berth_k_##name##__amx
#endif
#define BF16_ON_TILES

#endif
