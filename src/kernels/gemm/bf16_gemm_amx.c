/* bf16_gemm_amx.c: bf16_gemm_simd.h on AMX tiles. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/bf16_tile_amx.h"

#include "kernels/gemm/bf16_gemm_simd.h"
