/* amx_kernels.h: the AMX kernels over emulated tiles (amx_emulated.h), for any machine. */
#ifndef BERTH_TESTS_AMX_KERNELS_H
#define BERTH_TESTS_AMX_KERNELS_H

#include "kernels/kernels.h"

void berth_k_s8_gemm__emulated(const struct berth_gemm_tiled *args);
void berth_k_bf16_gemm__emulated(const struct berth_gemm_tiled *args);
size_t berth_k_s8_attention_scratch__emulated(size_t t, size_t d);
void berth_k_s8_attention__emulated(const struct berth_attention_f32 *args);

#endif
