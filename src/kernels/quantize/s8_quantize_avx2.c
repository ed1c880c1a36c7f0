/* s8_quantize_avx2.c: s8_quantize_simd.h at the avx2 level. */
#include "kernels/simd/avx2.h"

#include "kernels/quantize/s8_quantize_simd.h"
