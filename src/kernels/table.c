/* table.c: the tables of kernels and the one place that chooses among them. */
#include "kernels/kernels.h"

#include "base/checked.h"
#include "kernels/list.h"

#define LEVEL(f, s, level, tile, nr, s8_tile, s8_nr, bf16_tile, bf16_nr) \
    {                                                                    \
        .isa = level,                                                    \
        .gemm_f32_name = "f32_gemm_" tile "__" #f,                       \
        .gemm_f32_nr = nr,                                               \
        .pack_f32 = berth_k_f32_pack__##f,                               \
        .gemm_f32_scratch = berth_k_f32_gemm_scratch__##f,               \
        .gemm_f32 = berth_k_f32_gemm__##f,                               \
        .attention_f32_name = "f32_attention__" #f,                      \
        .attention_f32_scratch = berth_k_f32_attention_scratch__##f,     \
        .attention_f32 = berth_k_f32_attention__##f,                     \
        .layernorm_f32 = berth_k_f32_layernorm__##f,                     \
        .add3_f32 = berth_k_f32_add3__##f,                               \
        .act_f32 = berth_k_f32_act__##f,                                 \
        .widen_f16 = berth_k_f16_widen__##f,                             \
        .widen_bf16 = berth_k_bf16_widen__##f,                           \
        .all_finite_f32 = berth_k_f32_all_finite__##f,                   \
        .dense_f32 = berth_k_f32_dense__##f,                             \
        .gemm_s8_name = "s8_gemm_" s8_tile "__" #s,                      \
        .gemm_s8_nr = s8_nr,                                             \
        .attention_s8_name = "s8_attention__" #s,                        \
        .quantize_s8 = berth_k_s8_quantize__##f,                         \
        .dequantize_s8 = berth_k_s8_dequantize__##f,                     \
        .pack_s8 = berth_k_s8_pack__##f,                                 \
        .gemm_s8 = berth_k_s8_gemm__##s,                                 \
        .attention_s8_scratch = berth_k_s8_attention_scratch__##s,       \
        .attention_s8 = berth_k_s8_attention__##s,                       \
        .gemm_bf16_name = "bf16_gemm_" bf16_tile "__" #s,                \
        .gemm_bf16_nr = bf16_nr,                                         \
        .round_bf16 = berth_k_bf16_round__##f,                           \
        .pack_bf16 = berth_k_bf16_pack__##f,                             \
        .gemm_bf16 = berth_k_bf16_gemm__##s,                             \
        .pack_columns_f32 = berth_k_f32_pack_columns__##f,               \
        .transpose_f32 = berth_k_f32_transpose__##f,                     \
        .layernorm_back_f32 = berth_k_f32_layernorm_back__##f,           \
        .act_back_f32 = berth_k_f32_act_back__##f,                       \
        .softmax_f32 = berth_k_f32_softmax__##f,                         \
        .softmax_back_f32 = berth_k_f32_softmax_back__##f,               \
        .dropout_f32 = berth_k_f32_dropout__##f,                         \
        .column_sums_f32 = berth_k_f32_column_sums__##f,                 \
        .squares_f32 = berth_k_f32_squares__##f,                         \
        .adamw_f32 = berth_k_f32_adamw__##f,                             \
        .adamw_idle_f32 = berth_k_f32_adamw_idle__##f,                   \
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

size_t berth_gemm_tiled_packed(size_t n, size_t row_bytes)
{
    size_t columns, rounded, bytes;
    if (!berth_add(n, BERTH_PANEL_COLUMNS - 1, &columns) ||
        !berth_add(row_bytes, BERTH_TILE_BYTES - 1, &rounded) ||
        !berth_mul(columns / BERTH_PANEL_COLUMNS * BERTH_PANEL_COLUMNS,
                   rounded / BERTH_TILE_BYTES * BERTH_TILE_BYTES, &bytes) ||
        bytes > SIZE_MAX / 4) {
        return SIZE_MAX / 4;
    }
    return bytes;
}
