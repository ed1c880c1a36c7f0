/* s8_quantize_ref.c: s8_quantize_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/quantize/s8_quantize_simd.h"
