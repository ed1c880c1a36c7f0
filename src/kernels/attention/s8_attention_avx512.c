/* s8_attention_avx512.c: s8_attention_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_avx512.h"

#include "kernels/attention/s8_attention_simd.h"
