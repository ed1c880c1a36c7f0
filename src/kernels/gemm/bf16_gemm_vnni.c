/* bf16_gemm_vnni.c: bf16_gemm_simd.h at the vnni level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/bf16_tile_vnni.h"

#include "kernels/gemm/bf16_gemm_simd.h"
