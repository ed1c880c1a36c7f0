/* bf16_round_avx512.c: bf16_round_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/quantize/bf16_round_simd.h"
