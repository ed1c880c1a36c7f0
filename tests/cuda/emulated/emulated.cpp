/* emulated.cpp: see cuda_runtime.h and cublasLt.h beside it. */
#include <csetjmp>
#include <map>
#include <ucontext.h>
#include <vector>

#include <cublasLt.h>

namespace emulated {

State state;
ThreadIndex thread, block;
dim3 block_size, grid_size;

/* --- a block's threads as fibres ------------------------------------------------------------------ */

constexpr unsigned WARP = 32, THREADS_MAX = 1024;
constexpr size_t STACK = 128 << 10, EXCHANGE = 64;

/* Where threads wait for each other: those of a block, or of a warp. Who has ended is not waited for. */
struct Meeting {
    unsigned alive, arrived;
    unsigned long held; /* meetings so far */
    void leave_if_all()
    {
        if (arrived > 0 && arrived == alive) {
            arrived = 0;
            held++;
        }
    }
};

/* Made once, and used again by every block: what it runs is `body`. */
struct Fibre {
    jmp_buf place;
    ucontext_t context;
    std::unique_ptr<unsigned char[]> stack;
    bool ended;
    unsigned exchanges;
};

static std::vector<Fibre> fibres(THREADS_MAX);
static Meeting block_meeting, warp_meetings[THREADS_MAX / WARP];
static unsigned count, now;
static jmp_buf scheduler;
static ucontext_t entry;
static const std::function<void()> *body;
static unsigned char traded[2][THREADS_MAX * EXCHANGE]; /* in turns: who writes the next has read the last but one */
static std::vector<unsigned char> shared_memory;

static void run_fibre()
{
    for (;;) {
        (*body)();
        fibres[now].ended = true;
        block_meeting.alive--;
        block_meeting.leave_if_all();
        warp_meetings[now / WARP].alive--;
        warp_meetings[now / WARP].leave_if_all();
        if (_setjmp(fibres[now].place) == 0)
            _longjmp(scheduler, 1);
    }
}

static void give_way()
{
    const ThreadIndex mine = thread;
    if (_setjmp(fibres[now].place) == 0)
        _longjmp(scheduler, 1);
    thread = mine;
}

static void meet(Meeting &meeting)
{
    const unsigned long held = meeting.held;
    meeting.arrived++;
    meeting.leave_if_all();
    while (meeting.held == held)
        give_way();
}

void barrier()
{
    meet(block_meeting);
}

void meet_warp()
{
    meet(warp_meetings[now / WARP]);
}

/* Puts this lane's value among those of its warp; where they lie once all have. */
static const unsigned char *trade(const void *mine, size_t size)
{
    if (size > EXCHANGE)
        abort();
    unsigned char *turn = traded[fibres[now].exchanges++ % 2];
    memcpy(turn + now * EXCHANGE, mine, size);
    meet_warp();
    return turn + now / WARP * WARP * EXCHANGE;
}

void exchange(const void *mine, size_t size, unsigned char *all)
{
    const unsigned char *values = trade(mine, size);
    for (unsigned i = 0; i < WARP; i++)
        memcpy(all + i * size, values + i * EXCHANGE, size);
}

void exchange_with(void *value, size_t size, unsigned source)
{
    const unsigned char *values = trade(value, size);
    memcpy(value, values + source % WARP * EXCHANGE, size);
}

unsigned lane()
{
    return thread.x % WARP;
}

unsigned char *dynamic_shared()
{
    return shared_memory.data();
}

static void run_block()
{
    block_meeting = {count, 0, 0};
    for (unsigned i = 0; i < count; i++) {
        fibres[i].ended = false;
        fibres[i].exchanges = 0;
        if (i % WARP == 0)
            warp_meetings[i / WARP] = {count - i < WARP ? count - i : WARP, 0, 0};
    }
    memset(shared_memory.data(), 0xff, shared_memory.size());
    while (block_meeting.alive > 0)
        for (unsigned i = 0; i < count; i++) {
            Fibre &fibre = fibres[i];
            if (fibre.ended)
                continue;
            now = i;
            thread = {i, 0, 0};
            if (_setjmp(scheduler) != 0)
                continue;
            if (fibre.stack)
                _longjmp(fibre.place, 1);
            fibre.stack.reset(new unsigned char[STACK]);
            getcontext(&fibre.context);
            fibre.context.uc_stack.ss_sp = fibre.stack.get();
            fibre.context.uc_stack.ss_size = STACK;
            fibre.context.uc_link = nullptr;
            makecontext(&fibre.context, run_fibre, 0);
            swapcontext(&entry, &fibre.context);
        }
}

/* --- streams and graphs --------------------------------------------------------------------------- */

struct Graph {
    std::vector<std::function<void()>> work;
};

struct Stream {
    std::unique_ptr<Graph> capturing;
};

void enqueue(Stream *stream, const std::function<void()> &work)
{
    if (stream && stream->capturing)
        stream->capturing->work.push_back(work);
    else
        work();
}

static cudaError_t last_error;

void launch(dim3 grid, unsigned threads, size_t shared, Stream *stream, const std::function<void()> &kernel)
{
    if (threads == 0 || threads > THREADS_MAX || grid.x == 0 || grid.y == 0 || grid.y > 65535 || grid.z != 1 || shared > 227 * 1024) {
        last_error = cudaErrorInvalidValue;
        return;
    }
    enqueue(stream, [=] {
        state.launches++;
        count = threads;
        block_size = dim3(threads);
        grid_size = grid;
        body = &kernel;
        shared_memory.resize(shared);
        const uint64_t blocks = static_cast<uint64_t>(grid.x) * grid.y;
        for (uint64_t i = 0; i < blocks; i++) {
            const uint64_t at = state.backwards ? blocks - 1 - i : i;
            block = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x), 0};
            run_block();
        }
    });
}

} // namespace emulated

using emulated::state;

/* For the tests, which load all this as a plugin. */
extern "C" __attribute__((visibility("default"))) emulated::State *berth_emulated_state()
{
    return &state;
}

/* --- memory --------------------------------------------------------------------------------------- */

static std::map<void *, size_t> blocks;
constexpr size_t RED = 256;

static bool is_refused()
{
    return state.refuse > 0 && --state.refuse == 0;
}

cudaError_t cudaMallocBytes(void **at, size_t bytes)
{
    *at = nullptr;
    if (bytes > state.budget - state.used || is_refused())
        return emulated::last_error = cudaErrorMemoryAllocation;
    unsigned char *block = static_cast<unsigned char *>(aligned_alloc(256, (bytes + RED + 255) / 256 * 256));
    memset(block, 0xff, bytes + RED); /* NaN in every format */
    blocks[block] = bytes;
    state.used += bytes;
    *at = block;
    return cudaSuccess;
}

cudaError_t cudaFree(void *at)
{
    const auto found = blocks.find(at);
    if (!at)
        return cudaSuccess;
    if (found == blocks.end())
        abort();
    for (size_t i = 0; i < RED; i++)
        state.overruns += static_cast<unsigned char *>(at)[found->second + i] != 0xff;
    state.used -= found->second;
    blocks.erase(found);
    free(at);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **at, size_t bytes)
{
    *at = is_refused() ? nullptr : malloc(bytes ? bytes : 1);
    return *at ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void *at)
{
    free(at);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind)
{
    memmove(to, from, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind, cudaStream_t stream)
{
    emulated::enqueue(stream, [=] { memmove(to, from, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    memset(to, value, bytes);
    return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    emulated::enqueue(stream, [=] { memset(to, value, bytes); });
    return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *left, size_t *all)
{
    *all = state.budget;
    *left = state.budget - state.used;
    return cudaSuccess;
}

/* --- device, errors, streams, events, graphs ------------------------------------------------------ */

cudaError_t cudaGetDevice(int *device) { *device = 0; return cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceCount(int *count) { *count = 1; return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *facts, int)
{
    *facts = {};
    strcpy(facts->name, "an emulated GPU");
    facts->major = state.capability / 10;
    facts->minor = state.capability % 10;
    facts->multiProcessorCount = 1;
    return cudaSuccess;
}
cudaError_t cudaDriverGetVersion(int *version) { *version = 0; return cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int *version) { *version = 0; return cudaSuccess; }
cudaError_t cudaGetLastError()
{
    const cudaError_t error = emulated::last_error;
    emulated::last_error = cudaSuccess;
    return error;
}
const char *cudaGetErrorString(cudaError_t error) { return error == cudaErrorInvalidValue ? "invalid value" : "an error"; }

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) { *stream = new emulated::Stream; return cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream) { delete stream; return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode)
{
    stream->capturing.reset(new emulated::Graph);
    return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph)
{
    *graph = stream->capturing.release();
    return cudaSuccess;
}
struct EmulatedEvent {};
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned) { *event = new EmulatedEvent; return cudaSuccess; }
cudaError_t cudaEventDestroy(cudaEvent_t event) { delete event; return cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *run, cudaGraph_t graph, unsigned)
{
    *run = new emulated::Graph(*graph);
    return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t run, cudaStream_t)
{
    state.replays++;
    for (const auto &work : run->work)
        work();
    return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { delete graph; return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t run) { delete run; return cudaSuccess; }

/* --- cuBLASLt ------------------------------------------------------------------------------------- */

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) { *handle = new int; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { delete handle; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulDescInit(cublasLtMatmulDescOpaque_t *desc, cublasComputeType_t compute, cudaDataType_t)
{
    *desc = {compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, nullptr};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDescOpaque_t *desc, cublasLtMatmulDescAttributes_t name, const void *value, size_t size)
{
    switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA: memcpy(&desc->a, value, size); break;
    case CUBLASLT_MATMUL_DESC_TRANSB: memcpy(&desc->b, value, size); break;
    case CUBLASLT_MATMUL_DESC_EPILOGUE: memcpy(&desc->epilogue, value, size); break;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: memcpy(&desc->bias, value, size); break;
    }
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutInit(cublasLtMatrixLayoutOpaque_t *layout, cudaDataType_t type, uint64_t rows, uint64_t columns, int64_t ld)
{
    *layout = {type, rows, columns, ld};
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceInit(cublasLtMatmulPreferenceOpaque_t *preference) { *preference = {256}; return CUBLAS_STATUS_SUCCESS; }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreferenceOpaque_t *preference, cublasLtMatmulPreferenceAttributes_t name, const void *value, size_t)
{
    if (name == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES)
        memcpy(&preference->alignment, value, sizeof preference->alignment);
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDescOpaque_t *desc, cublasLtMatrixLayoutOpaque_t *, cublasLtMatrixLayoutOpaque_t *b,
                                              cublasLtMatrixLayoutOpaque_t *, cublasLtMatrixLayoutOpaque_t *, cublasLtMatmulPreferenceOpaque_t *preference, int asked,
                                              cublasLtMatmulHeuristicResult_t *found, int *count)
{
    *count = 0;
    if (asked < 2 || (desc->compute == CUBLAS_COMPUTE_32I && preference->alignment < 4))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    const bool small = b->columns <= 64; /* as cuBLASLt does: another one first when there are few rows */
    found[0] = {{small ? 1 : 0}, CUBLAS_STATUS_SUCCESS};
    found[1] = {{small ? 0 : 1}, CUBLAS_STATUS_SUCCESS};
    *count = 2;
    return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *, cublasLtMatmulAlgoConfigAttributes_t, void *value, size_t, size_t *written)
{
    const int32_t one = 1;
    memcpy(value, &one, sizeof one);
    *written = sizeof one;
    return CUBLAS_STATUS_SUCCESS;
}

static float read_number(cudaDataType_t type, const void *at, uint64_t i)
{
    switch (type) {
    case CUDA_R_32F: return static_cast<const float *>(at)[i];
    case CUDA_R_16F: return __half2float(static_cast<const __half *>(at)[i]);
    case CUDA_R_16BF: return __bfloat162float(static_cast<const __nv_bfloat16 *>(at)[i]);
    case CUDA_R_8I: return static_cast<const int8_t *>(at)[i];
    case CUDA_R_32I: return static_cast<float>(static_cast<const int32_t *>(at)[i]);
    default: return static_cast<float>(static_cast<const __nv_fp8_e4m3 *>(at)[i]);
    }
}

static void write_number(cudaDataType_t type, void *at, uint64_t i, float x)
{
    switch (type) {
    case CUDA_R_32F: static_cast<float *>(at)[i] = x; break;
    case CUDA_R_16F: static_cast<__half *>(at)[i] = __float2half(x); break;
    case CUDA_R_16BF: static_cast<__nv_bfloat16 *>(at)[i] = __float2bfloat16(x); break;
    case CUDA_R_32I: static_cast<int32_t *>(at)[i] = static_cast<int32_t>(x); break;
    default: abort();
    }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDescOpaque_t *desc, const void *alpha, const void *a, cublasLtMatrixLayoutOpaque_t *la, const void *b,
                              cublasLtMatrixLayoutOpaque_t *lb, const void *beta, const void *c, cublasLtMatrixLayoutOpaque_t *lc, void *d, cublasLtMatrixLayoutOpaque_t *ld,
                              const cublasLtMatmulAlgo_t *algo, void *, size_t, cudaStream_t stream)
{
    const bool integers = desc->compute == CUBLAS_COMPUTE_32I, ta = desc->a == CUBLAS_OP_T, tb = desc->b == CUBLAS_OP_T;
    const uint64_t m = ld->rows, n = ld->columns, k = ta ? la->rows : la->columns;
    if ((ta ? la->columns : la->rows) != m || (tb ? lb->rows : lb->columns) != n || (tb ? lb->columns : lb->rows) != k || la->type != lb->type)
        return CUBLAS_STATUS_INVALID_VALUE;
    double by = 0, keep = 0;
    if (integers) {
        int32_t i;
        memcpy(&i, alpha, sizeof i), by = i;
        memcpy(&i, beta, sizeof i), keep = i;
    } else {
        float f;
        memcpy(&f, alpha, sizeof f), by = f;
        memcpy(&f, beta, sizeof f), keep = f;
    }
    const cublasLtMatmulDescOpaque_t how = *desc;
    const cublasLtMatrixLayoutOpaque_t A = *la, B = *lb, C = *lc, D = *ld;
    const int which = algo->which;
    emulated::enqueue(stream, [=] {
        /* Right operands and left ones as floats, k along. */
        std::vector<float> left(m * k), right(n * k);
        for (uint64_t i = 0; i < m; i++)
            for (uint64_t p = 0; p < k; p++)
                left[i * k + p] = read_number(A.type, a, ta ? i * A.ld + p : p * A.ld + i);
        for (uint64_t j = 0; j < n; j++)
            for (uint64_t p = 0; p < k; p++)
                right[j * k + p] = read_number(B.type, b, tb ? p * B.ld + j : j * B.ld + p);
        for (uint64_t j = 0; j < n; j++)
            for (uint64_t i = 0; i < m; i++) {
                float sum = 0;
                const float *x = &left[i * k], *y = &right[j * k];
                if (which == 0)
                    for (uint64_t p = 0; p < k; p++)
                        sum += x[p] * y[p];
                else
                    for (uint64_t p = k; p-- > 0;)
                        sum += x[p] * y[p];
                sum *= static_cast<float>(by);
                if (keep != 0)
                    sum += static_cast<float>(keep) * read_number(C.type, c, j * C.ld + i);
                if (how.epilogue == CUBLASLT_EPILOGUE_BIAS)
                    sum += read_number(D.type, how.bias, i);
                write_number(D.type, d, j * D.ld + i, sum);
            }
    });
    return CUBLAS_STATUS_SUCCESS;
}
