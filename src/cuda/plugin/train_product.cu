/* train_product.cu: cuBLASLt behind TrainProducts (train_product.cuh). */
#include "train_product.cuh"

namespace berth {

int TrainProducts::open(const Message &message)
{
    return lt_check(message, cublasLtCreate(&handle_), "cuBLASLt");
}

TrainProducts::~TrainProducts()
{
    if (handle_)
        cublasLtDestroy(handle_);
}

/* cuBLASLt counts columns first: a row-major [r, c] is its [c, r]. So out^T is made of right^T and left^T. */
struct TrainCall : LtCall {
    int make(Turn turn, Kind kind, uint64_t m, uint64_t n, uint64_t k, const void *bias, const Message &message)
    {
        const cudaDataType_t number = kind == Kind::F32 ? CUDA_R_32F : CUDA_R_16BF;
        const cublasOperation_t transposed = CUBLAS_OP_T;
        const bool forward = turn == Turn::FORWARD, weight = turn == Turn::BACK_WEIGHT;
        LT_TRY(cublasLtMatmulDescInit(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F), "product");
        if (forward)
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
                   "product");
        if (weight)
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_TRANSB, &transposed, sizeof transposed),
                   "product");
        if (forward && bias) {
            const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
                   "bias");
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
                   "bias");
        }
        LT_TRY(cublasLtMatrixLayoutInit(&a, number, k, weight ? m : n, static_cast<int64_t>(k)), "right operand");
        LT_TRY(cublasLtMatrixLayoutInit(&b, number, forward ? k : n, m, static_cast<int64_t>(forward ? k : n)), "left operand");
        const uint64_t wide = forward ? n : k;
        LT_TRY(cublasLtMatrixLayoutInit(&c, weight ? CUDA_R_32F : number, wide, weight ? n : m, static_cast<int64_t>(wide)),
               "result");
        return BERTH_CUDA_OK;
    }
};

int TrainProducts::choose(const Key &key, cublasLtMatmulAlgo_t *algorithm, const Message &message)
{
    const auto &[turn, kind, m, n, k, extra, alignment] = key;
    const auto known = chosen_.find(key);
    if (known != chosen_.end()) {
        *algorithm = known->second;
        return BERTH_CUDA_OK;
    }
    TrainCall call;
    const char anything = 0;
    /* A gradient's few columns and rows are made of many tokens: its sums may be cut along them, and are then added in
     * order, in fp32, from the workspace. */
    const uint32_t cuts = turn == static_cast<int>(Turn::BACK_WEIGHT)
                              ? CUBLASLT_REDUCTION_SCHEME_NONE | CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE
                              : CUBLASLT_REDUCTION_SCHEME_NONE;
    BERTH_PASS(call.make(static_cast<Turn>(turn), static_cast<Kind>(kind), m, n, k, extra ? &anything : nullptr, message));
    cublasLtMatmulHeuristicResult_t found[Products::TRIES];
    int all, i = 0;
    BERTH_PASS(lt_propose(handle_, call, Products::WORKSPACE, cuts, alignment, found, Products::TRIES, &all, message));
    while (i < all && found[i].state != CUBLAS_STATUS_SUCCESS)
        i++;
    if (i == all)
        return message.say(BERTH_CUDA_UNSUPPORTED,
                           "cuBLASLt has no algorithm on this device for training's product of %llu rows, %llu by %llu",
                           static_cast<unsigned long long>(m), static_cast<unsigned long long>(n),
                           static_cast<unsigned long long>(k));
    *algorithm = chosen_[key] = found[i].algo;
    return BERTH_CUDA_OK;
}

int TrainProducts::run(Turn turn, Kind kind, uint64_t m, uint64_t n, uint64_t k, const void *left, const void *right,
                       const void *extra, void *out, void *workspace, cudaStream_t stream, const Message &message)
{
    if (m == 0 || n == 0)
        return BERTH_CUDA_OK;
    const bool forward = turn == Turn::FORWARD, weight = turn == Turn::BACK_WEIGHT;
    const uint64_t size = in_bytes(kind), out_size = weight ? sizeof(float) : size;
    /* The largest power of two, up to 16, that divides all addresses and rows. */
    uint64_t together = 16 | k * size | n * size | (forward ? n : k) * out_size;
    for (const void *at : {left, right, static_cast<const void *>(out), extra})
        together |= reinterpret_cast<uint64_t>(at);
    const unsigned alignment = static_cast<unsigned>(together & -together);
    int bucket = 0;
    while (m > Products::bucket_rows[bucket])
        bucket++;
    const uint64_t rows = bucket + 1 < Products::BUCKETS ? Products::bucket_rows[bucket] : 16384;
    cublasLtMatmulAlgo_t algorithm;
    const Key key{static_cast<int>(turn), static_cast<int>(kind), rows, n, k, extra != nullptr, alignment};
    BERTH_PASS(choose(key, &algorithm, message));
    TrainCall call;
    const bool adds = weight || (turn == Turn::BACK_INPUT && extra);
    const float one = 1.0f, beta = adds ? 1.0f : 0.0f;
    const void *added = turn == Turn::BACK_INPUT && extra ? extra : out;
    BERTH_PASS(call.make(turn, kind, m, n, k, forward ? extra : nullptr, message));
    const auto multiply = [&] {
        return cublasLtMatmul(handle_, &call.description, &one, right, &call.a, left, &call.b, &beta, added, &call.c, out,
                              &call.c, &algorithm, workspace, Products::WORKSPACE, stream);
    };
    cublasStatus_t status = multiply();
    if (status == CUBLAS_STATUS_NOT_SUPPORTED && rows != m) { /* the bucket's algorithm does not take these rows: their own */
        Key exact = key;
        std::get<2>(exact) = m;
        BERTH_PASS(choose(exact, &algorithm, message));
        status = multiply();
    }
    return lt_check(message, status, "product");
}

} // namespace berth
