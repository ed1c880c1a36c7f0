/* s8_attention_amx.c: s8_attention_simd.h on AMX tiles. */
#include "kernels/simd/avx512.h"

#include "kernels/simd/s8_tile_amx.h"

#include "kernels/attention/s8_attention_simd.h"
