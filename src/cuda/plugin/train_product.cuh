/* train_product.cuh: the three products of a linear map in training, by cuBLASLt, on flat weights. Sums are fp32 (no TF32)
 * throughout.
 *
 *   forward       y[m, n]  = x[m, k] w[n, k]^T + b
 *   back_input    dx[m, k] = dy[m, n] w[n, k] (+ residual)
 *   back_weight   dw[n, k] += dy[m, n]^T x[m, k], in fp32
 *
 * Which algorithm is taken depends on sizes alone (the rows by buckets), so that a run that is resumed takes the same ones
 * and gives the same bits. Unlike inference, a text's bits may depend on its batch. */
#pragma once

#include <map>
#include <tuple>

#include "product.cuh"

namespace berth {

enum class Turn { FORWARD, BACK_INPUT, BACK_WEIGHT };

class TrainProducts {
  public:
    int open(const Message &message);
    ~TrainProducts();

    /* kind: F32 or BF16, of both operands, and of the result but for BACK_WEIGHT's. FORWARD: left x, right w, extra the
     * bias (NULL: none). BACK_INPUT: left dy, right w, extra what is added (NULL: nothing; may be out). BACK_WEIGHT: left
     * dy, right x, added to out. workspace: Products::WORKSPACE bytes. */
    int run(Turn turn, Kind kind, uint64_t m, uint64_t n, uint64_t k, const void *left, const void *right, const void *extra,
            void *out, void *workspace, cudaStream_t stream, const Message &message);

  private:
    using Key = std::tuple<int, int, uint64_t, uint64_t, uint64_t, bool, unsigned>; /* turn, kind, rows, n, k, extra, alignment */
    int choose(const Key &key, cublasLtMatmulAlgo_t *algorithm, const Message &message);
    cublasLtHandle_t handle_ = nullptr;
    std::map<Key, cublasLtMatmulAlgo_t> chosen_;
};

} // namespace berth
