/* f32_rowwise_avx2.c: f32_rowwise_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/rowwise/f32_rowwise_simd.h"
