/* s8_attention_ref.c: s8_attention_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/simd/s8_tile_ref.h"

#include "kernels/attention/s8_attention_simd.h"
