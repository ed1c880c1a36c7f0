/* f32_attention_avx2.c: f32_attention_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/attention/f32_attention_simd.h"
