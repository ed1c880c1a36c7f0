/* rows.cuh: what happens to whole rows between products: embedding, LayerNorm, activation, rounding to int8 or fp8. A
 * warp a row, the row in registers, so that each is read and written once. A row's sums run in one order whatever the
 * batch: the same text gives the same bits.
 *
 * A kernel is a source (where a row comes from), an operation, and where it goes. */
#pragma once

#include <type_traits>

#include "device.cuh"

namespace berth {

/* --- sources -------------------------------------------------------------------------------------- */

/* word[id] + position[p] + type[t] */
template <typename A> struct FromTables {
    const A *word;
    const float *position, *type; /* type NULL: none */
    const int32_t *ids, *positions;
    const uint8_t *types;
    __device__ void load(size_t row, int column, int width, bool aligned, float value[EIGHT]) const
    {
        float other[EIGHT];
        const int left = width - column;
        load_eight(word + static_cast<size_t>(ids[row]) * width + column, left, aligned, value);
        load_eight(position + static_cast<size_t>(positions[row]) * width + column, left, aligned, other);
        for (int i = 0; i < EIGHT; i++)
            value[i] += other[i];
        if (!type)
            return;
        load_eight(type + static_cast<size_t>(types[row]) * width + column, left, aligned, other);
        for (int i = 0; i < EIGHT; i++)
            value[i] += other[i];
    }
};

template <typename A> struct FromRows {
    const A *in;
    __device__ void load(size_t row, int column, int width, bool aligned, float value[EIGHT]) const
    {
        load_eight(in + row * width + column, width - column, aligned, value);
    }
};

/* What a quantised product left: its sums, to be scaled, with bias and residual still to be added. */
template <typename Sum, typename A> struct FromSums {
    const Sum *sums;
    const float *row_scale, *column_scale, *bias;
    const A *residual; /* NULL: none */
    __device__ void load(size_t row, int column, int width, bool aligned, float value[EIGHT]) const
    {
        float other[EIGHT], offset[EIGHT];
        const int left = width - column;
        const float scale = row_scale[row];
        load_eight(sums + row * width + column, left, aligned, value);
        load_eight(column_scale + column, left, aligned, other);
        load_eight(bias + column, left, aligned, offset);
        for (int i = 0; i < EIGHT; i++)
            value[i] = value[i] * (scale * other[i]) + offset[i];
        if (!residual)
            return;
        load_eight(residual + row * width + column, left, aligned, other);
        for (int i = 0; i < EIGHT; i++)
            value[i] += other[i];
    }
};

/* --- operations ----------------------------------------------------------------------------------- */

struct Keep {
    template <int CHUNKS> __device__ void apply(float (*)[EIGHT], int, int) const {}
};

struct Activate {
    int act;
    template <int CHUNKS> __device__ void apply(float (*value)[EIGHT], int, int) const
    {
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++)
                value[c][i] = activate(act, value[c][i]);
    }
};

/* Mean, then the mean square of what is left: two passes over registers, so nothing cancels. */
struct Norm {
    const float *gamma, *beta;
    float eps;
    template <int CHUNKS> __device__ void apply(float (*value)[EIGHT], int width, int lane) const
    {
        float sum = 0.0f, squares = 0.0f;
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++)
                sum += value[c][i]; /* columns beyond the width are 0 */
        const float mean = warp_sum(sum) / width;
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++) {
                const int column = (lane + c * WARP) * EIGHT + i;
                const float d = column < width ? value[c][i] - mean : 0.0f;
                value[c][i] = d;
                squares += d * d;
            }
        const float scale = 1.0f / sqrtf(warp_sum(squares) / width + eps);
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++) {
                const int column = (lane + c * WARP) * EIGHT + i;
                if (column < width)
                    value[c][i] = value[c][i] * scale * gamma[column] + beta[column];
            }
    }
};

/* --- the kernel ----------------------------------------------------------------------------------- */

/* out (NULL: none) in A; and when Q is a number, the row scaled to Q's range in `quantised`, its scale in scales[row]. */
template <typename A, typename Q, int CHUNKS, class Source, class Operation>
__global__ void rows_kernel(Source source, Operation operation, uint64_t rows, int width, A *out, Q *quantised,
                            float *scales)
{
    const uint64_t row = static_cast<uint64_t>(blockIdx.x) * ROW_WARPS + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (row >= rows) /* a whole warp at a time: no lane is missed by the sums */
        return;
    const bool aligned = width % EIGHT == 0;
    float value[CHUNKS][EIGHT];
    for (int c = 0; c < CHUNKS; c++) {
        const int column = (lane + c * WARP) * EIGHT;
        if (column < width)
            source.load(row, column, width, aligned, value[c]);
        else
            for (int i = 0; i < EIGHT; i++)
                value[c][i] = 0.0f;
    }
    operation.template apply<CHUNKS>(value, width, lane);
    if (out)
        for (int c = 0; c < CHUNKS; c++) {
            const int column = (lane + c * WARP) * EIGHT;
            if (column < width)
                store_eight(out + row * width + column, width - column, aligned, value[c]);
        }
    if constexpr (!std::is_same_v<Q, Nothing>) {
        float top = 0.0f;
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++) {
                const int column = (lane + c * WARP) * EIGHT + i;
                if (column < width)
                    top = fmaxf(top, fabsf(value[c][i]));
            }
        top = warp_max(top);
        const float scale = top > 0.0f ? top / Range<Q>::top : 1.0f, inverse = 1.0f / scale;
        if (lane == 0)
            scales[row] = scale;
        for (int c = 0; c < CHUNKS; c++) {
            const int column = (lane + c * WARP) * EIGHT;
            if (column >= width)
                continue;
            for (int i = 0; i < EIGHT; i++)
                value[c][i] *= inverse;
            store_eight(quantised + row * width + column, width - column, aligned, value[c]);
        }
    }
}

constexpr int WIDTH_MAX = 16 * WARP * EIGHT; /* columns that a warp's registers hold */

template <typename A, typename Q, class Source, class Operation>
cudaError_t run_rows(const Source &source, const Operation &operation, uint64_t rows, uint64_t width, A *out,
                     Q *quantised, float *scales, cudaStream_t stream)
{
    const int wide = static_cast<int>(width);
    const unsigned blocks = divide_up(rows, ROW_WARPS);
    if (rows == 0)
        return cudaSuccess;
#define BERTH_ROWS(chunks)                                                                            \
    if (width <= static_cast<uint64_t>(chunks) * WARP * EIGHT) {                                      \
        auto kernel = rows_kernel<A, Q, chunks, Source, Operation>;                                   \
        LAUNCH(kernel, blocks, WARP * ROW_WARPS, 0, stream, source, operation, rows, wide, out, quantised, scales); \
        return cudaGetLastError();                                                                    \
    }
    BERTH_ROWS(1)
    BERTH_ROWS(3)
    BERTH_ROWS(4)
    BERTH_ROWS(12)
    BERTH_ROWS(16)
#undef BERTH_ROWS
    return cudaErrorInvalidValue; /* the model was refused when it was opened */
}

/* Rows begin[i] of `in` [.., width] to rows i of out: the first tokens' rows. */
template <typename From, typename To>
__global__ void gather_kernel(const From *in, const int32_t *begin, int width, To *out)
{
    const From *from = in + static_cast<size_t>(begin[blockIdx.x]) * width;
    for (int column = threadIdx.x; column < width; column += blockDim.x)
        out[static_cast<size_t>(blockIdx.x) * width + column] = narrow<To>(widen(from[column]));
}

template <typename From, typename To>
cudaError_t run_gather(const From *in, const int32_t *begin, uint64_t rows, uint64_t width, To *out, cudaStream_t stream)
{
    auto kernel = gather_kernel<From, To>;
    LAUNCH(kernel, static_cast<unsigned>(rows), 128, 0, stream, in, begin, static_cast<int>(width), out);
    return cudaGetLastError();
}

/* The activation of every number, in place. */
template <typename A> __global__ void act_kernel(A *numbers, uint64_t count, int act)
{
    const uint64_t at = (static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * EIGHT;
    if (at >= count)
        return;
    float value[EIGHT];
    const int left = count - at < EIGHT ? static_cast<int>(count - at) : EIGHT;
    load_eight(numbers + at, left, left == EIGHT, value);
    for (int i = 0; i < EIGHT; i++)
        value[i] = activate(act, value[i]);
    store_eight(numbers + at, left, left == EIGHT, value);
}

template <typename A> cudaError_t run_act(A *numbers, uint64_t count, int act, cudaStream_t stream)
{
    auto kernel = act_kernel<A>;
    LAUNCH(kernel, divide_up(count, 256 * EIGHT), 256, 0, stream, numbers, count, act);
    return cudaGetLastError();
}

/* out = number for number what `in` is, widened. */
template <typename From> __global__ void widen_kernel(const From *in, uint64_t count, float *out)
{
    const uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count)
        out[i] = widen(in[i]);
}

} // namespace berth
