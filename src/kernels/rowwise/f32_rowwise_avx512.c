/* f32_rowwise_avx512.c: f32_rowwise_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/rowwise/f32_rowwise_simd.h"
