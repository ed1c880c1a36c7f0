/* table.c: the tables of kernels and the one place that chooses among them. */
#include "kernels/kernels.h"

#include "base/checked.h"
#include "kernels/list.h"

#define LEVEL(suffix, level, tile, nr)                                    \
    {                                                                     \
        .isa = level,                                                     \
        .gemm_f32_name = "f32_gemm_" tile "__" #suffix,                   \
        .gemm_f32_nr = nr,                                                \
        .pack_f32 = berth_k_f32_pack__##suffix,                           \
        .gemm_f32_scratch = berth_k_f32_gemm_scratch__##suffix,           \
        .gemm_f32 = berth_k_f32_gemm__##suffix,                           \
        .attention_f32_name = "f32_attention__" #suffix,                  \
        .attention_f32_scratch = berth_k_f32_attention_scratch__##suffix, \
        .attention_f32 = berth_k_f32_attention__##suffix,                 \
        .layernorm_f32 = berth_k_f32_layernorm__##suffix,                 \
        .add3_f32 = berth_k_f32_add3__##suffix,                           \
        .act_f32 = berth_k_f32_act__##suffix,                             \
        .widen_f16 = berth_k_f16_widen__##suffix,                         \
        .widen_bf16 = berth_k_bf16_widen__##suffix,                       \
        .all_finite_f32 = berth_k_f32_all_finite__##suffix,               \
        .pack_columns_f32 = berth_k_f32_pack_columns__##suffix,           \
        .transpose_f32 = berth_k_f32_transpose__##suffix,                 \
        .layernorm_back_f32 = berth_k_f32_layernorm_back__##suffix,       \
        .act_back_f32 = berth_k_f32_act_back__##suffix,                   \
        .softmax_f32 = berth_k_f32_softmax__##suffix,                     \
        .softmax_back_f32 = berth_k_f32_softmax_back__##suffix,           \
        .dropout_f32 = berth_k_f32_dropout__##suffix,                     \
        .column_sums_f32 = berth_k_f32_column_sums__##suffix,             \
        .squares_f32 = berth_k_f32_squares__##suffix,                     \
        .adamw_f32 = berth_k_f32_adamw__##suffix,                         \
        .adamw_idle_f32 = berth_k_f32_adamw_idle__##suffix,               \
    },

static const struct berth_kernels levels[] = {BERTH_KERNEL_LEVELS(LEVEL)};

const struct berth_kernels *berth_kernels_select(enum berth_isa max)
{
    const struct berth_kernels *best = &levels[0];
    for (size_t i = 1; i < sizeof levels / sizeof levels[0]; i++) {
        if (levels[i].isa <= max)
            best = &levels[i];
    }
    return best;
}

size_t berth_gemm_f32_packed(const struct berth_kernels *kernels, size_t n, size_t k)
{
    const size_t nr = kernels->gemm_f32_nr;
    size_t columns, floats;
    if (!berth_add(n, nr - 1, &columns) || !berth_mul(columns / nr * nr, k, &floats) ||
        floats > SIZE_MAX / 4) {
        return SIZE_MAX / 4;
    }
    return floats;
}
