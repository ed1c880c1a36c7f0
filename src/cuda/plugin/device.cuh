/* device.cuh: the ground that kernels stand on: launching, checking, numbers narrower than float. Everything here has
 * a second life on the host: with BERTH_CUDA_EMULATED the same sources are compiled by a C++ compiler over
 * tests/cuda/emulated, and every kernel runs, thread by thread, on machines without a GPU. */
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include "../abi.h"

/* LAUNCH(kernel, blocks, threads, dynamic shared bytes, stream, arguments...); `kernel` is a name or a variable. */
#ifndef BERTH_CUDA_EMULATED
#define LAUNCH(kernel, blocks, threads, shared, stream, ...) kernel<<<blocks, threads, shared, stream>>>(__VA_ARGS__)
#define DYNAMIC_SHARED(name) extern __shared__ __align__(16) unsigned char name[]
#endif

namespace berth {

/* A failure on its way up: the result, with the sentence already in the caller's message. */
struct Message {
    char *text;
    int say(int result, const char *format, ...) const __attribute__((format(printf, 3, 4)));
    int cuda(cudaError_t error, const char *what) const; /* OK when error is success */
};

#define BERTH_CUDA_TRY(call, what)                           \
    do {                                                     \
        const int result_ = message.cuda((call), (what));    \
        if (result_ != BERTH_CUDA_OK)                        \
            return result_;                                  \
    } while (0)
#define BERTH_PASS(call)                     \
    do {                                     \
        const int result_ = (call);          \
        if (result_ != BERTH_CUDA_OK)        \
            return result_;                  \
    } while (0)

using bf16 = __nv_bfloat16;
using half = __half;
using fp8 = __nv_fp8_e4m3;
struct Nothing {}; /* in place of a number: no quantised copy is written */

__host__ __device__ inline float widen(float x) { return x; }
__host__ __device__ inline float widen(bf16 x) { return __bfloat162float(x); }
__host__ __device__ inline float widen(half x) { return __half2float(x); }
__host__ __device__ inline float widen(int32_t x) { return static_cast<float>(x); }

template <typename T> __host__ __device__ inline T narrow(float x);
template <> __host__ __device__ inline float narrow<float>(float x) { return x; }
template <> __host__ __device__ inline bf16 narrow<bf16>(float x) { return __float2bfloat16(x); }
template <> __host__ __device__ inline half narrow<half>(float x) { return __float2half(x); }
template <> __host__ __device__ inline fp8 narrow<fp8>(float x) { return fp8(x); }
/* Round half to even, as the CPU's int8 does. The caller has scaled to [-127, 127]. */
template <> __host__ __device__ inline int8_t narrow<int8_t>(float x)
{
    return static_cast<int8_t>(fminf(fmaxf(rintf(x), -127.0f), 127.0f));
}

/* The largest number of a quantised type: what the largest of a row is scaled to. */
template <typename Q> struct Range;
template <> struct Range<int8_t> { static constexpr float top = 127.0f; };
template <> struct Range<fp8> { static constexpr float top = 448.0f; };

/* Eight neighbours at once, in moves of 16 bytes (8 for bytes) when the row's width keeps them aligned. */
constexpr int EIGHT = 8;
template <typename T> using Move = std::conditional_t<sizeof(T) == 1, uint64_t, int4>;
template <typename T> constexpr int moves = EIGHT * sizeof(T) / (sizeof(Move<T>));

template <typename T> __device__ inline void load_eight(const T *from, int left, bool aligned, float value[EIGHT])
{
    if (aligned) {
        alignas(16) T raw[EIGHT];
        for (int i = 0; i < moves<T>; i++)
            reinterpret_cast<Move<T> *>(raw)[i] = reinterpret_cast<const Move<T> *>(from)[i];
        for (int i = 0; i < EIGHT; i++)
            value[i] = widen(raw[i]);
    } else {
        for (int i = 0; i < EIGHT; i++)
            value[i] = i < left ? widen(from[i]) : 0.0f;
    }
}

template <typename T> __device__ inline void store_eight(T *to, int left, bool aligned, const float value[EIGHT])
{
    if (aligned) {
        alignas(16) T raw[EIGHT];
        for (int i = 0; i < EIGHT; i++)
            raw[i] = narrow<T>(value[i]);
        for (int i = 0; i < moves<T>; i++)
            reinterpret_cast<Move<T> *>(to)[i] = reinterpret_cast<const Move<T> *>(raw)[i];
    } else {
        for (int i = 0; i < EIGHT; i++)
            if (i < left)
                to[i] = narrow<T>(value[i]);
    }
}

constexpr int WARP = 32, ROW_WARPS = 4; /* kernels over rows: a warp a row, four rows a block */

__device__ inline float warp_sum(float x)
{
    for (int step = WARP / 2; step; step /= 2)
        x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

__device__ inline float warp_max(float x)
{
    for (int step = WARP / 2; step; step /= 2)
        x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

__host__ __device__ inline float activate(int act, float x)
{
    switch (act) {
    case BERTH_CUDA_GELU_ERF:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752440f));
    case BERTH_CUDA_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456080286535588f * (x + 0.044715f * x * x * x)));
    case BERTH_CUDA_RELU:
        return fmaxf(x, 0.0f);
    case BERTH_CUDA_SILU:
        return x / (1.0f + expf(-x));
    default:
        return tanhf(x);
    }
}

__host__ __device__ inline unsigned divide_up(uint64_t n, uint64_t by) { return static_cast<unsigned>((n + by - 1) / by); }

} // namespace berth
