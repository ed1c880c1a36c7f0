/* s8_gemm_avx2.c: s8_gemm_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/simd/s8_tile_avx2.h"

#include "kernels/gemm/s8_gemm_simd.h"
