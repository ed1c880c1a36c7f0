/* product.cuh: out[rows, n] = in[rows, k] . w[n, k]^T (+ bias) (+ residual), by cuBLASLt.
 *
 * cuBLASLt is free to take another algorithm for another number of rows, and another algorithm may add in another order.
 * The same text has to give the same bits whatever its batch, so for each weight shape one algorithm is the reference,
 * and the others, which are faster for fewer rows, are taken only when they give its bits on a trial of the model's own
 * weights (Products::settle). Sums that are cut along k are never taken. */
#pragma once

#include "lt.cuh"

namespace berth {

/* What is multiplied: the types of `in` and `w`, of `out` (and residual and bias), and of the sums. */
enum class Kind { F32, BF16, F16, INT8, FP8 };
inline size_t in_bytes(Kind kind) { return kind == Kind::F32 ? 4 : kind == Kind::BF16 || kind == Kind::F16 ? 2 : 1; }
inline size_t out_bytes(Kind kind) { return kind == Kind::BF16 || kind == Kind::F16 ? 2 : 4; }

struct Weight {
    uint64_t n, k;
    const void *numbers;       /* [n, k] on the device */
    const void *bias;          /* [n] in out's type, added by the product; INT8 and FP8: float, added with the scales */
    const float *column_scale; /* [n]: INT8, FP8 */
    int shape;                 /* index among Products' shapes */
};

class Products {
  public:
    enum { BUCKETS = 6, SHAPES_MAX = 16, TRIES = 8, PROBE_ROWS = 48 };
    static const uint64_t bucket_rows[BUCKETS]; /* a bucket serves up to so many rows */
    static constexpr size_t WORKSPACE = 32u << 20;

    int open(const Message &message);
    ~Products();

    /* Finds the algorithms of a weight's shape, once; fills weight.shape. `alignment`: of w, in and out, in bytes.
     * Quantised products leave bare sums. */
    int settle(Weight &weight, Kind kind, bool residual, unsigned alignment, const Message &message);

    /* workspace: WORKSPACE bytes of the caller's session. */
    int run(const Weight &weight, const void *in, uint64_t rows, const void *residual, void *out, void *workspace,
            cudaStream_t stream, const Message &message) const;

  private:
    struct Shape {
        uint64_t n, k;
        Kind kind;
        bool bias, residual;
        unsigned alignment;
        cublasLtMatmulAlgo_t algorithm[BUCKETS];
        bool own[BUCKETS]; /* proved to give the reference's bits; else the reference is used */
        cublasLtMatmulAlgo_t reference;
    };
    int launch(const Shape &shape, const cublasLtMatmulAlgo_t &algorithm, const Weight &weight, const void *in,
               uint64_t rows, const void *residual, void *out, void *workspace, cudaStream_t stream,
               const Message &message) const;
    int candidates(const Shape &shape, uint64_t rows, cublasLtMatmulHeuristicResult_t *found, int *count,
                   const Message &message) const;
    int prove(Shape &shape, const Weight &weight, const Message &message);
    cublasLtHandle_t handle_ = nullptr;
    Shape shape_[SHAPES_MAX];
    int shapes_ = 0;
};

} // namespace berth
