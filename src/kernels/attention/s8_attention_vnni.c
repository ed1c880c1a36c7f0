/* s8_attention_vnni.c: s8_attention_simd.h at the vnni level. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_vnni.h"

#include "kernels/attention/s8_attention_simd.h"
