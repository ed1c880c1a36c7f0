/* s8_attention_avx2.c: s8_attention_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/simd/s8_tile_avx2.h"

#include "kernels/attention/s8_attention_simd.h"
