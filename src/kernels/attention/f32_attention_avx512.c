/* f32_attention_avx512.c: f32_attention_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/attention/f32_attention_simd.h"
