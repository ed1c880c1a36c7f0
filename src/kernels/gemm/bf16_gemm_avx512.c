/* bf16_gemm_avx512.c: bf16_gemm_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/bf16_tile_simd.h"

#include "kernels/gemm/bf16_gemm_simd.h"
