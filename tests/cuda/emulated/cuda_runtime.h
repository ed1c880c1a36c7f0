/* cuda_runtime.h, emulated: enough of CUDA's runtime to run the plugin's own sources on a CPU, thread by thread. A block's
 * threads are fibres that take turns at barriers and at exchanges within a warp; blocks run one after the other, in an order
 * that a test may turn round. Streams do their work at once, or, while they are captured, write it down for a graph. Memory
 * of the device is the host's, filled with NaNs, with a red zone behind each block; a budget makes allocations fail. */
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>

#define __global__
#define __device__
#define __host__
#define __shared__ static
#define __align__(n) __attribute__((aligned(n)))
#define LAUNCH(kernel, blocks, threads, shared, stream, ...) \
    emulated::launch(emulated::grid(blocks), threads, shared, stream, [](auto... given) { \
        return [=](auto run) { return [=] { run(given...); }; }; }(__VA_ARGS__)(kernel))
#define DYNAMIC_SHARED(name) unsigned char *name = emulated::dynamic_shared()

using std::fmaxf;
using std::fminf;

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {}
};
struct int4 {
    int x, y, z, w;
};

enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorNoDevice,
    cudaErrorInsufficientDriver,
    cudaErrorLaunchFailure
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost, cudaMemcpyDeviceToDevice };
enum { cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize };

namespace emulated {
struct Stream;
struct Graph;

/* What the emulation may be told, and what it saw. */
struct State {
    bool backwards = false;   /* blocks from the last to the first */
    size_t budget = SIZE_MAX; /* bytes of the device */
    size_t used = 0, launches = 0, replays = 0, overruns = 0;
    int capability = 90;
    size_t refuse = 0; /* n: the n-th allocation from now on fails, of the device's memory or pinned; 0: none */
};
extern State state;

struct ThreadIndex {
    unsigned x = 0, y = 0, z = 0;
};
extern ThreadIndex thread, block;
extern dim3 block_size, grid_size;

inline dim3 grid(dim3 g) { return g; }
void launch(dim3 grid, unsigned threads, size_t shared, Stream *stream, const std::function<void()> &body);
/* Work in a stream's order: now, or when the graph that is being captured is replayed. */
void enqueue(Stream *stream, const std::function<void()> &work);
unsigned char *dynamic_shared();
void barrier();
void meet_warp();
/* All lanes' values of `size` bytes (at most 64), lane by lane, once every lane of the warp has given its own. */
void exchange(const void *mine, size_t size, unsigned char *all);
/* The same, of one lane alone, in place. */
void exchange_with(void *value, size_t size, unsigned source);
unsigned lane();

template <typename T> T from_lane(T value, unsigned source)
{
    exchange_with(&value, sizeof value, source);
    return value;
}
} // namespace emulated

#define threadIdx emulated::thread
#define blockIdx emulated::block
#define blockDim emulated::block_size
#define gridDim emulated::grid_size
inline void __syncthreads() { emulated::barrier(); }
inline void __syncwarp() { emulated::meet_warp(); }
template <typename T> T __shfl_xor_sync(unsigned, T value, int mask) { return emulated::from_lane(value, emulated::lane() ^ static_cast<unsigned>(mask)); }
template <typename T> T __shfl_sync(unsigned, T value, int source) { return emulated::from_lane(value, static_cast<unsigned>(source)); }
inline float atomicAdd(float *to, float x) { const float old = *to; *to += x; return old; }

using cudaStream_t = emulated::Stream *;
using cudaGraph_t = emulated::Graph *;
using cudaGraphExec_t = emulated::Graph *;
struct EmulatedEvent;
using cudaEvent_t = EmulatedEvent *;

struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount;
};

cudaError_t cudaMallocBytes(void **at, size_t bytes);
template <typename T> cudaError_t cudaMalloc(T **at, size_t bytes) { return cudaMallocBytes(reinterpret_cast<void **>(at), bytes); }
cudaError_t cudaFree(void *at);
cudaError_t cudaMallocHost(void **at, size_t bytes);
cudaError_t cudaFreeHost(void *at);
cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemset(void *to, int value, size_t bytes);
cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaMemGetInfo(size_t *left, size_t *all);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *facts, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *run, cudaGraph_t graph, unsigned flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t run, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t run);
template <typename F> cudaError_t cudaFuncSetAttribute(F *, cudaFuncAttribute, int) { return cudaSuccess; }
