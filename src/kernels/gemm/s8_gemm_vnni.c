/* s8_gemm_vnni.c: s8_gemm_simd.h at the vnni level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_vnni.h"

#include "kernels/gemm/s8_gemm_simd.h"
