/* f32_layernorm_avx512.c: f32_layernorm_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/layernorm/f32_layernorm_simd.h"
