/* f32_dense_avx2.c: f32_dense_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/dense/f32_dense_simd.h"
