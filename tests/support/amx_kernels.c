/* amx_kernels.c: tables of the kernels over emulated tiles. */
#include "support/amx_kernels.h"

bool amx_emulated_fault;

#define TABLE(suffix)                                                        \
    {                                                                        \
        table = *berth_kernels_select(BERTH_ISA_SCALAR);                     \
        table.gemm_s8_name = "s8_gemm_32x32__" #suffix;                      \
        table.gemm_s8 = berth_k_s8_gemm__##suffix;                           \
        table.gemm_s8_nr = 32;                                               \
        table.gemm_bf16_name = "bf16_gemm_32x32__" #suffix;                  \
        table.gemm_bf16 = berth_k_bf16_gemm__##suffix;                       \
        table.gemm_bf16_nr = 32;                                             \
        table.attention_s8_name = "s8_attention__" #suffix;                  \
        table.attention_s8 = berth_k_s8_attention__##suffix;                 \
        table.attention_s8_scratch = berth_k_s8_attention_scratch__##suffix; \
        return &table;                                                       \
    }

static const struct berth_kernels *portable_table(void)
{
    static struct berth_kernels table;
    TABLE(emulated)
}

#if defined(__x86_64__)
static const struct berth_kernels *avx512_table(void)
{
    static struct berth_kernels table;
    TABLE(emulated512)
}
#else
static const struct berth_kernels *avx512_table(void)
{
    return NULL;
}
#endif

const struct berth_kernels *amx_emulated_table(bool avx512)
{
    return avx512 ? avx512_table() : portable_table();
}
