/* f32_layernorm_avx2.c: f32_layernorm_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/layernorm/f32_layernorm_simd.h"
