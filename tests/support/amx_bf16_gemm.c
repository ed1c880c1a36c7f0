/* amx_bf16_gemm.c: src/kernels/gemm/bf16_gemm_amx.c over emulated tiles. Its float part is the scalar
 * level's, which gives the same bits. */
#include "kernels/simd/scalar.h"

#include "support/amx_emulated.h"
#include "support/amx_kernels.h"

#define BF16_KERNEL(name) berth_k_##name##__emulated
#include "kernels/simd/bf16_tile_amx.h"

#include "kernels/gemm/bf16_gemm_simd.h"
