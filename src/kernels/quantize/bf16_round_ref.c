/* bf16_round_ref.c: bf16_round_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/quantize/bf16_round_simd.h"
