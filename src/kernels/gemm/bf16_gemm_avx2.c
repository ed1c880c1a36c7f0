/* bf16_gemm_avx2.c: bf16_gemm_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/simd/bf16_tile_simd.h"

#include "kernels/gemm/bf16_gemm_simd.h"
