/* product.cu: cuBLASLt behind Products (product.cuh). */
#include "product.cuh"

#include <memory>
#include <vector>

namespace berth {

const uint64_t Products::bucket_rows[BUCKETS] = {16, 64, 256, 1024, 4096, UINT64_MAX};

static cudaDataType_t in_type(Kind kind)
{
    switch (kind) {
    case Kind::F32: return CUDA_R_32F;
    case Kind::BF16: return CUDA_R_16BF;
    case Kind::F16: return CUDA_R_16F;
    case Kind::INT8: return CUDA_R_8I;
    default: return CUDA_R_8F_E4M3;
    }
}

static cudaDataType_t out_type(Kind kind)
{
    return kind == Kind::INT8 ? CUDA_R_32I : kind == Kind::FP8 ? CUDA_R_32F : in_type(kind);
}

int Products::open(const Message &message)
{
    return lt_check(message, cublasLtCreate(&handle_), "cuBLASLt");
}

Products::~Products()
{
    if (handle_)
        cublasLtDestroy(handle_);
}

/* cuBLASLt counts columns first: row-major out[rows, n] is its [n, rows], made of w as [k, n] transposed and in as [k, rows]. */
struct Call : LtCall {
    int make(Kind kind, uint64_t n, uint64_t k, uint64_t rows, const void *bias, const Message &message)
    {
        const cublasComputeType_t compute = kind == Kind::INT8 ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F; /* no TF32 */
        const cublasOperation_t transposed = CUBLAS_OP_T;
        LT_TRY(cublasLtMatmulDescInit(&description, compute, kind == Kind::INT8 ? CUDA_R_32I : CUDA_R_32F), "product");
        LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_TRANSA, &transposed, sizeof transposed),
               "product");
        if (bias) {
            const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue),
                   "bias");
            LT_TRY(cublasLtMatmulDescSetAttribute(&description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias),
                   "bias");
        }
        LT_TRY(cublasLtMatrixLayoutInit(&a, in_type(kind), k, n, static_cast<int64_t>(k)), "weights");
        LT_TRY(cublasLtMatrixLayoutInit(&b, in_type(kind), k, rows, static_cast<int64_t>(k)), "rows");
        LT_TRY(cublasLtMatrixLayoutInit(&c, out_type(kind), n, rows, static_cast<int64_t>(n)), "result");
        return BERTH_CUDA_OK;
    }
};

int Products::launch(const Shape &shape, const cublasLtMatmulAlgo_t &algorithm, const Weight &weight, const void *in,
                     uint64_t rows, const void *residual, void *out, void *workspace, cudaStream_t stream,
                     const Message &message) const
{
    Call call;
    const float one = 1.0f, beta = residual ? 1.0f : 0.0f;
    const int32_t whole = 1, none = 0;
    const bool integers = shape.kind == Kind::INT8;
    BERTH_PASS(call.make(shape.kind, weight.n, weight.k, rows, shape.bias ? weight.bias : nullptr, message));
    return lt_check(message,
                    cublasLtMatmul(handle_, &call.description, integers ? static_cast<const void *>(&whole) : &one,
                                   weight.numbers, &call.a, in, &call.b, integers ? static_cast<const void *>(&none) : &beta,
                                   residual ? residual : out, &call.c, out, &call.c, &algorithm, workspace, WORKSPACE, stream),
                    "product");
}

int Products::candidates(const Shape &shape, uint64_t rows, cublasLtMatmulHeuristicResult_t *found, int *count,
                         const Message &message) const
{
    Call call;
    const char anything = 0;
    BERTH_PASS(call.make(shape.kind, shape.n, shape.k, rows, shape.bias ? &anything : nullptr, message));
    int all;
    BERTH_PASS(lt_propose(handle_, call, WORKSPACE, CUBLASLT_REDUCTION_SCHEME_NONE, shape.alignment, found, TRIES, &all, message));
    *count = 0;
    for (int i = 0; i < all; i++) {
        int32_t parts = 1;
        size_t written = 0;
        const cublasStatus_t read = cublasLtMatmulAlgoConfigGetAttribute(
            &found[i].algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written);
        if (found[i].state == CUBLAS_STATUS_SUCCESS && read == CUBLAS_STATUS_SUCCESS && parts <= 1)
            found[(*count)++] = found[i];
    }
    if (*count == 0)
        return message.say(BERTH_CUDA_UNSUPPORTED,
                           "cuBLASLt has no algorithm on this device for a product of %llu rows, %llu by %llu",
                           static_cast<unsigned long long>(rows), static_cast<unsigned long long>(shape.n),
                           static_cast<unsigned long long>(shape.k));
    return BERTH_CUDA_OK;
}

/* Numbers for a trial: of both signs and many sizes, the same on every machine. */
static std::vector<unsigned char> probe_numbers(Kind kind, size_t count)
{
    std::vector<unsigned char> bytes(count * in_bytes(kind));
    uint32_t state = 12345;
    for (size_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float x = (static_cast<float>(state >> 8) / 8388608.0f - 1.0f) * ((state & 7) == 0 ? 8.0f : 1.0f);
        unsigned char *to = bytes.data() + i * in_bytes(kind);
        const bf16 b = narrow<bf16>(x);
        const half h = narrow<half>(x);
        const fp8 f = narrow<fp8>(x);
        const int8_t s = narrow<int8_t>(x * 15.0f);
        switch (kind) {
        case Kind::F32: memcpy(to, &x, sizeof x); break;
        case Kind::BF16: memcpy(to, &b, sizeof b); break;
        case Kind::F16: memcpy(to, &h, sizeof h); break;
        case Kind::INT8: memcpy(to, &s, sizeof s); break;
        case Kind::FP8: memcpy(to, &f, sizeof f); break;
        }
    }
    return bytes;
}

/* Device memory that goes with its scope. */
struct Block {
    void *at = nullptr;
    ~Block() { cudaFree(at); }
    int take(size_t bytes, const Message &message) { return message.cuda(cudaMalloc(&at, bytes), "memory for a trial"); }
};

int Products::prove(Shape &shape, const Weight &weight, const Message &message)
{
    const Kind kind = shape.kind;
    const std::vector<unsigned char> numbers = probe_numbers(kind, PROBE_ROWS * shape.k);
    const size_t row_out = shape.n * out_bytes(kind), all = PROBE_ROWS * row_out;
    std::vector<unsigned char> wanted(all), given(all);
    Block in, residual, out, workspace;
    BERTH_PASS(in.take(numbers.size(), message));
    BERTH_PASS(out.take(all, message));
    BERTH_PASS(workspace.take(WORKSPACE, message));
    if (shape.residual) {
        BERTH_PASS(residual.take(all, message));
        BERTH_CUDA_TRY(cudaMemset(residual.at, 0, all), "trial");
    }
    BERTH_CUDA_TRY(cudaMemcpy(in.at, numbers.data(), numbers.size(), cudaMemcpyHostToDevice), "trial");
    const auto trial = [&](const cublasLtMatmulAlgo_t &algorithm, uint64_t first, uint64_t rows, unsigned char *to) {
        BERTH_PASS(launch(shape, algorithm, weight, static_cast<unsigned char *>(in.at) + first * shape.k * in_bytes(kind), rows,
                          residual.at, out.at, workspace.at, nullptr, message));
        return message.cuda(cudaMemcpy(to, out.at, rows * row_out, cudaMemcpyDeviceToHost), "trial");
    };
    BERTH_PASS(trial(shape.reference, 0, PROBE_ROWS, wanted.data()));
    /* The reference itself: a row's bits may not depend on the rows beside it. */
    for (uint64_t rows : {uint64_t{1}, uint64_t{17}}) {
        const uint64_t first = 16; /* keeps the alignment */
        BERTH_PASS(trial(shape.reference, first, rows, given.data()));
        if (memcmp(given.data(), wanted.data() + first * row_out, rows * row_out) != 0)
            return message.say(BERTH_CUDA_UNSUPPORTED,
                               "cuBLASLt's product of %llu by %llu gives other bits in another batch on this device",
                               static_cast<unsigned long long>(shape.n), static_cast<unsigned long long>(shape.k));
    }
    for (int bucket = 0; bucket < BUCKETS; bucket++) {
        cublasLtMatmulHeuristicResult_t found[TRIES];
        int count = 0;
        shape.own[bucket] = false;
        const uint64_t rows = bucket_rows[bucket] == UINT64_MAX ? 16384 : bucket_rows[bucket];
        char ignored[BERTH_CUDA_MESSAGE];
        const Message quiet{ignored};
        if (candidates(shape, rows, found, &count, quiet) != BERTH_CUDA_OK)
            continue;
        for (int i = 0; i < count && !shape.own[bucket]; i++)
            if (trial(found[i].algo, 0, PROBE_ROWS, given.data()) == BERTH_CUDA_OK &&
                memcmp(given.data(), wanted.data(), all) == 0) {
                shape.algorithm[bucket] = found[i].algo;
                shape.own[bucket] = true;
            }
    }
    return BERTH_CUDA_OK;
}

int Products::settle(Weight &weight, Kind kind, bool residual, unsigned alignment, const Message &message)
{
    const bool bias = weight.bias && kind != Kind::INT8 && kind != Kind::FP8;
    for (weight.shape = 0; weight.shape < shapes_; weight.shape++) {
        const Shape &known = shape_[weight.shape];
        if (known.n == weight.n && known.k == weight.k && known.kind == kind && known.bias == bias &&
            known.residual == residual && known.alignment == alignment)
            return BERTH_CUDA_OK;
    }
    if (shapes_ == SHAPES_MAX)
        return message.say(BERTH_CUDA_FAULT, "more than %d shapes of products", SHAPES_MAX);
    Shape &shape = shape_[shapes_];
    shape = Shape{};
    shape.n = weight.n;
    shape.k = weight.k;
    shape.kind = kind;
    shape.bias = bias;
    shape.residual = residual;
    shape.alignment = alignment;
    cublasLtMatmulHeuristicResult_t found[TRIES];
    int count = 0;
    BERTH_PASS(candidates(shape, 4096, found, &count, message));
    shape.reference = found[0].algo;
    BERTH_PASS(prove(shape, weight, message));
    shapes_++;
    return BERTH_CUDA_OK;
}

int Products::run(const Weight &weight, const void *in, uint64_t rows, const void *residual, void *out, void *workspace,
                  cudaStream_t stream, const Message &message) const
{
    const Shape &shape = shape_[weight.shape];
    int bucket = 0;
    while (rows > bucket_rows[bucket])
        bucket++;
    if (rows == 0)
        return BERTH_CUDA_OK;
    return launch(shape, shape.own[bucket] ? shape.algorithm[bucket] : shape.reference, weight, in, rows, residual, out,
                  workspace, stream, message);
}

} // namespace berth
