/* f32_gemm_avx2.c: f32_gemm_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/gemm/f32_gemm_simd.h"
