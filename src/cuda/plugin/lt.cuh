/* lt.cuh: what inference's products and training's ask of cuBLASLt alike. */
#pragma once

#include <cublasLt.h>

#include "device.cuh"

namespace berth {

inline int lt_check(const Message &message, cublasStatus_t status, const char *what)
{
    if (status == CUBLAS_STATUS_SUCCESS)
        return BERTH_CUDA_OK;
    if (status == CUBLAS_STATUS_ALLOC_FAILED)
        return message.say(BERTH_CUDA_NO_MEMORY, "%s: cuBLASLt could not allocate", what);
    return message.say(BERTH_CUDA_FAULT, "%s: cuBLASLt status %d", what, static_cast<int>(status));
}
#define LT_TRY(call, what) BERTH_PASS(lt_check(message, (call), (what)))

/* A product as cuBLASLt describes it. It counts columns first: a row-major [r, c] is its [c, r]. */
struct LtCall {
    cublasLtMatmulDescOpaque_t description;
    cublasLtMatrixLayoutOpaque_t a, b, c;
};

/* The algorithms that cuBLASLt proposes, the likely fastest first: found[*count], of `most`; none is no failure. `cuts`: a mask of the
 * ways in which sums may be cut along k; `alignment`: of all operands, in bytes. */
inline int lt_propose(cublasLtHandle_t handle, LtCall &call, size_t workspace, uint32_t cuts, uint32_t alignment,
                      cublasLtMatmulHeuristicResult_t *found, int most, int *count, const Message &message)
{
    cublasLtMatmulPreferenceOpaque_t preference;
    LT_TRY(cublasLtMatmulPreferenceInit(&preference), "preference");
    const struct {
        cublasLtMatmulPreferenceAttributes_t name;
        const void *value;
        size_t size;
    } wishes[] = {
        {CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace},
        {CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &cuts, sizeof cuts},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &alignment, sizeof alignment},
        {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &alignment, sizeof alignment},
    };
    for (const auto &wish : wishes)
        LT_TRY(cublasLtMatmulPreferenceSetAttribute(&preference, wish.name, wish.value, wish.size), "preference");
    *count = 0;
    const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle, &call.description, &call.a, &call.b, &call.c, &call.c,
                                                                 &preference, most, found, count);
    if (status != CUBLAS_STATUS_NOT_SUPPORTED)
        return lt_check(message, status, "choice of an algorithm");
    *count = 0;
    return BERTH_CUDA_OK;
}

} // namespace berth
