/* s8_gemm_avx512.c: s8_gemm_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_avx512.h"

#include "kernels/gemm/s8_gemm_simd.h"
