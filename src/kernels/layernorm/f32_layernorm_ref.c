/* f32_layernorm_ref.c: f32_layernorm_simd.h at the scalar level. */
#include "kernels/simd/scalar.h"

#include "kernels/layernorm/f32_layernorm_simd.h"
