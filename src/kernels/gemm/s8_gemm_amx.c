/* s8_gemm_amx.c: s8_gemm_simd.h on AMX tiles. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_amx.h"

#include "kernels/gemm/s8_gemm_simd.h"
