/* bf16_gemm_ref.c: bf16_gemm_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/simd/bf16_tile_simd.h"

#include "kernels/gemm/bf16_gemm_simd.h"
