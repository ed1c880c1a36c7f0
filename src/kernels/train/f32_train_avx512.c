/* f32_train_avx512.c: f32_train_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/train/f32_train_simd.h"
