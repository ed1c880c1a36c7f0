/* f32_dense_ref.c: f32_dense_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/dense/f32_dense_simd.h"
