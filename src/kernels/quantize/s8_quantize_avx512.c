/* s8_quantize_avx512.c: s8_quantize_simd.h at the avx512 level. */
#include "kernels/simd/avx512.h"

#include "kernels/quantize/s8_quantize_simd.h"
