/* f32_gemm_avx512.c: f32_gemm_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/gemm/f32_gemm_simd.h"
