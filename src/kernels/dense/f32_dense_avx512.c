/* f32_dense_avx512.c: f32_dense_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/dense/f32_dense_simd.h"
