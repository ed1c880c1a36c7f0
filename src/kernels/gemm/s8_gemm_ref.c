/* s8_gemm_ref.c: s8_gemm_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/simd/s8_tile_ref.h"

#include "kernels/gemm/s8_gemm_simd.h"
