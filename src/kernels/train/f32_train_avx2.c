/* f32_train_avx2.c: f32_train_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/train/f32_train_simd.h"
