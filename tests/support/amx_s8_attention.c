/* amx_s8_attention.c: src/kernels/attention/s8_attention_amx.c over emulated tiles. Its float part is the
 * scalar level's, which gives the same bits. */
#include "kernels/simd/scalar.h"

#include "support/amx_emulated.h"
#include "support/amx_kernels.h"

#define S8_KERNEL(name) berth_k_##name##__emulated
#include "kernels/simd/s8_tile_amx.h"

#include "kernels/attention/s8_attention_simd.h"
