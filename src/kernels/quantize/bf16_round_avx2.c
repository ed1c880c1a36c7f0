/* bf16_round_avx2.c: bf16_round_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/quantize/bf16_round_simd.h"
