/* train_rows.cuh: what happens to rows between the products of training, forward and backward: embedding, LayerNorm with
 * dropout and residual, activation, dropout, column sums, and the rows that go into the embedding's gradient. A warp a row
 * where a row has sums; every sum runs in an order that sizes alone decide. No atomics. */
#pragma once

#include "rows.cuh"

#ifndef BERTH_CUDA_EMULATED
#define UNROLL _Pragma("unroll") /* a row's arrays stay in registers only when no index is a variable */
#else
#define UNROLL
#endif

namespace berth {

/* --- dropout -------------------------------------------------------------------------------------- */

/* The CPU's hash (kernels/train/dropout_hash.h): two rounds of a 32-bit finaliser with half of the key before each. */
struct Drop {
    uint32_t low, high, threshold; /* threshold 0: nothing is dropped */
    float scale;
    __device__ float operator()(float x, uint64_t index) const
    {
        if (threshold == 0)
            return x;
        uint32_t hash = static_cast<uint32_t>(index) ^ low;
        hash = round(hash) ^ (high + static_cast<uint32_t>(index >> 32));
        return round(hash) >= threshold ? x * scale : 0.0f;
    }
    __device__ static uint32_t round(uint32_t x)
    {
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15;
        x *= 0x846ca68bu;
        return x ^ x >> 16;
    }
};

/* --- LayerNorm ------------------------------------------------------------------------------------ */

/* dropped x + residual */
template <typename A> struct FromDropped {
    const A *x, *residual; /* residual NULL: none */
    Drop drop;
    __device__ void load(size_t row, int column, int width, bool aligned, float value[EIGHT]) const
    {
        float other[EIGHT];
        const size_t at = row * width + column;
        const int left = width - column;
        load_eight(x + at, left, aligned, value);
        for (int i = 0; i < EIGHT; i++)
            value[i] = drop(value[i], at + i);
        if (!residual)
            return;
        load_eight(residual + at, left, aligned, other);
        for (int i = 0; i < EIGHT; i++)
            value[i] += other[i];
    }
};

/* sum (NULL: not kept) = the source's row; out = LayerNorm of it, dropped by `after`. */
template <typename A, int CHUNKS, class Source>
__global__ void train_norm_kernel(Source source, Norm norm, Drop after, uint64_t rows, int width, A *sum, A *out)
{
    const uint64_t row = static_cast<uint64_t>(blockIdx.x) * ROW_WARPS + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    if (row >= rows)
        return;
    const bool aligned = width % EIGHT == 0;
    float value[CHUNKS][EIGHT];
    UNROLL
    for (int c = 0; c < CHUNKS; c++) {
        const int column = (lane + c * WARP) * EIGHT;
        for (int i = 0; i < EIGHT; i++)
            value[c][i] = 0.0f;
        if (column >= width)
            continue;
        source.load(row, column, width, aligned, value[c]);
        for (int i = 0; i < EIGHT; i++) /* the backward pass sees what was kept */
            value[c][i] = column + i < width ? widen(narrow<A>(value[c][i])) : 0.0f;
        if (sum)
            store_eight(sum + row * width + column, width - column, aligned, value[c]);
    }
    norm.template apply<CHUNKS>(value, width, lane);
    UNROLL
    for (int c = 0; c < CHUNKS; c++) {
        const int column = (lane + c * WARP) * EIGHT;
        if (column >= width)
            continue;
        for (int i = 0; i < EIGHT; i++)
            value[c][i] = after(value[c][i], row * width + column + i);
        store_eight(out + row * width + column, width - column, aligned, value[c]);
    }
}

#define BERTH_TRAIN_CHUNKS(width, RUN)              \
    if ((width) <= 1u * WARP * EIGHT) { RUN(1) }    \
    else if ((width) <= 3u * WARP * EIGHT) { RUN(3) } \
    else if ((width) <= 4u * WARP * EIGHT) { RUN(4) } \
    else { RUN(16) }

template <typename A, class Source>
cudaError_t run_train_norm(const Source &source, const Norm &norm, const Drop &after, uint64_t rows, uint64_t width, A *sum,
                           A *out, cudaStream_t stream)
{
    const int wide = static_cast<int>(width);
    if (rows == 0)
        return cudaSuccess;
#define BERTH_RUN(chunks)                                                                                           \
    auto kernel = train_norm_kernel<A, chunks, Source>;                                                             \
    LAUNCH(kernel, divide_up(rows, ROW_WARPS), WARP *ROW_WARPS, 0, stream, source, norm, after, rows, wide, sum, out);
    BERTH_TRAIN_CHUNKS(width, BERTH_RUN)
#undef BERTH_RUN
    return cudaGetLastError();
}

/* dx = gradient of LayerNorm's input x from that of its output, dy, which `before` drops first; dropped (NULL: none) =
 * dx as the dropout behind x passes it on. Each warp takes `each` rows and leaves its sums of gamma's and beta's gradients
 * in partial[warp][2 width]. dx may be dy. */
template <typename A, int CHUNKS>
__global__ void train_norm_back_kernel(const A *dy, Drop before, const A *x, const float *gamma, float eps, uint64_t rows,
                                       int each, int width, A *dx, Drop drop, A *dropped, float *partial)
{
    const uint64_t warp = static_cast<uint64_t>(blockIdx.x) * ROW_WARPS + threadIdx.x / WARP, first = warp * each;
    const int lane = threadIdx.x % WARP;
    if (first >= rows)
        return;
    const uint64_t end = first + each < rows ? first + each : rows;
    const bool aligned = width % EIGHT == 0;
    float dgamma[CHUNKS][EIGHT], dbeta[CHUNKS][EIGHT];
    UNROLL
    for (int c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EIGHT; i++)
            dgamma[c][i] = dbeta[c][i] = 0.0f;
    for (uint64_t row = first; row < end; row++) {
        float normal[CHUNKS][EIGHT], slope[CHUNKS][EIGHT], sum = 0.0f, squares = 0.0f, plain = 0.0f, weighted = 0.0f;
        UNROLL
        for (int c = 0; c < CHUNKS; c++) {
            const int column = (lane + c * WARP) * EIGHT;
            for (int i = 0; i < EIGHT; i++)
                normal[c][i] = slope[c][i] = 0.0f;
            if (column >= width)
                continue;
            load_eight(x + row * width + column, width - column, aligned, normal[c]);
            load_eight(dy + row * width + column, width - column, aligned, slope[c]);
            for (int i = 0; i < EIGHT; i++) {
                sum += normal[c][i];
                slope[c][i] = before(slope[c][i], row * width + column + i);
            }
        }
        const float mean = warp_sum(sum) / width;
        UNROLL
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++) {
                const int column = (lane + c * WARP) * EIGHT + i;
                normal[c][i] = column < width ? normal[c][i] - mean : 0.0f;
                squares += normal[c][i] * normal[c][i];
            }
        const float scale = 1.0f / sqrtf(warp_sum(squares) / width + eps);
        UNROLL
        for (int c = 0; c < CHUNKS; c++)
            for (int i = 0; i < EIGHT; i++) {
                const int column = (lane + c * WARP) * EIGHT + i;
                if (column >= width)
                    continue;
                normal[c][i] *= scale;
                dgamma[c][i] += slope[c][i] * normal[c][i];
                dbeta[c][i] += slope[c][i];
                slope[c][i] *= gamma[column];
                plain += slope[c][i];
                weighted += slope[c][i] * normal[c][i];
            }
        plain = warp_sum(plain) / width;
        weighted = warp_sum(weighted) / width;
        UNROLL
        for (int c = 0; c < CHUNKS; c++) {
            const int column = (lane + c * WARP) * EIGHT;
            if (column >= width)
                continue;
            for (int i = 0; i < EIGHT; i++)
                slope[c][i] = (slope[c][i] - plain - normal[c][i] * weighted) * scale;
            store_eight(dx + row * width + column, width - column, aligned, slope[c]);
            if (!dropped)
                continue;
            for (int i = 0; i < EIGHT; i++)
                slope[c][i] = drop(slope[c][i], row * width + column + i);
            store_eight(dropped + row * width + column, width - column, aligned, slope[c]);
        }
    }
    UNROLL
    for (int c = 0; c < CHUNKS; c++)
        for (int i = 0; i < EIGHT; i++) {
            const int column = (lane + c * WARP) * EIGHT + i;
            if (column >= width)
                continue;
            partial[warp * 2 * width + column] = dgamma[c][i];
            partial[warp * 2 * width + width + column] = dbeta[c][i];
        }
}

/* Rows that one warp of train_norm_back_kernel takes: enough warps for a large chip, not more sums than need be. */
inline uint64_t norm_back_rows(uint64_t rows)
{
    const uint64_t each = (rows + 1023) / 1024;
    return each < 2 ? 2 : each > 64 ? 64 : each;
}

/* --- column sums ---------------------------------------------------------------------------------- */

constexpr int SUM_ROWS = 64, SUM_COLUMNS = 128, JOIN_GROUPS = 8;

/* Sums over SUM_ROWS rows each: partial[piece][n]; or added to out, when partial is NULL. */
template <typename A> __global__ void sum_rows_kernel(const A *x, uint64_t rows, int n, float *partial, float *out)
{
    const int column = blockIdx.y * SUM_COLUMNS + threadIdx.x;
    const uint64_t first = static_cast<uint64_t>(blockIdx.x) * SUM_ROWS;
    const uint64_t end = first + SUM_ROWS < rows ? first + SUM_ROWS : rows;
    float sum = 0.0f;
    if (column >= n)
        return;
    for (uint64_t row = first; row < end; row++)
        sum += widen(x[row * n + column]);
    if (partial)
        partial[static_cast<uint64_t>(blockIdx.x) * n + column] = sum;
    else
        out[column] += sum;
}

/* Adds partial's column sums to low[0, split) and high[0, n - split). JOIN_GROUPS rows at a time. */
[[maybe_unused]] static __global__ void join_rows_kernel(const float *partial, uint64_t rows, int n, float *low, float *high, int split)
{
    __shared__ float sums[JOIN_GROUPS][WARP];
    const int lane = threadIdx.x % WARP, group = threadIdx.x / WARP, column = blockIdx.x * WARP + lane;
    float sum = 0.0f;
    for (uint64_t row = group; column < n && row < rows; row += JOIN_GROUPS)
        sum += partial[row * n + column];
    sums[group][lane] = sum;
    __syncthreads();
    if (group > 0 || column >= n)
        return;
    for (int i = 1; i < JOIN_GROUPS; i++)
        sum += sums[i][lane];
    (column < split ? low[column] : high[column - split]) += sum;
}

inline cudaError_t run_join(const float *partial, uint64_t rows, uint64_t n, float *low, float *high, uint64_t split,
                            cudaStream_t stream)
{
    LAUNCH(join_rows_kernel, divide_up(n, WARP), WARP * JOIN_GROUPS, 0, stream, partial, rows, static_cast<int>(n), low, high,
           static_cast<int>(split));
    return cudaGetLastError();
}

/* out[n] += column sums of x[rows, n]; partial [rows / SUM_ROWS + 1, n] */
template <typename A>
cudaError_t run_column_sums(const A *x, uint64_t rows, uint64_t n, float *partial, float *out, cudaStream_t stream)
{
    auto kernel = sum_rows_kernel<A>;
    const unsigned pieces = divide_up(rows, SUM_ROWS);
    if (rows == 0)
        return cudaSuccess;
    LAUNCH(kernel, dim3(pieces, divide_up(n, SUM_COLUMNS)), SUM_COLUMNS, 0, stream, x, rows, static_cast<int>(n),
           pieces > 1 ? partial : nullptr, out);
    const cudaError_t error = cudaGetLastError();
    return pieces > 1 && error == cudaSuccess ? run_join(partial, pieces, n, out, out, n, stream) : error;
}

template <typename A>
cudaError_t run_norm_back(const A *dy, const Drop &before, const A *x, const float *gamma, float eps, uint64_t rows,
                          uint64_t width, A *dx, const Drop &drop, A *dropped, float *partial, float *dgamma, float *dbeta,
                          cudaStream_t stream)
{
    const int wide = static_cast<int>(width), each = static_cast<int>(norm_back_rows(rows));
    const unsigned warps = divide_up(rows, static_cast<uint64_t>(each));
    if (rows == 0)
        return cudaSuccess;
#define BERTH_RUN(chunks)                                                                                                   \
    auto kernel = train_norm_back_kernel<A, chunks>;                                                                        \
    LAUNCH(kernel, divide_up(warps, ROW_WARPS), WARP *ROW_WARPS, 0, stream, dy, before, x, gamma, eps, rows, each, wide, dx, \
           drop, dropped, partial);
    BERTH_TRAIN_CHUNKS(width, BERTH_RUN)
#undef BERTH_RUN
    const cudaError_t error = cudaGetLastError();
    return error == cudaSuccess ? run_join(partial, warps, 2 * width, dgamma, dbeta, width, stream) : error;
}

/* --- number for number ---------------------------------------------------------------------------- */

__device__ inline float gated_slope(float x, float z, float slope)
{
    const float s = 1.0f / (1.0f + expf(-z));
    return s + x * slope * s * (1.0f - s);
}

/* The derivative of activate(act, x). */
__device__ inline float slope_of(int act, float x)
{
    constexpr float c = 2.0f * 0.79788456080286535588f;
    switch (act) {
    case BERTH_CUDA_GELU_ERF:
        return 0.5f * (1.0f + erff(x * 0.70710678118654752440f)) + x * 0.39894228040143267794f * expf(-0.5f * x * x);
    case BERTH_CUDA_GELU_TANH:
        return gated_slope(x, x * (c + c * 0.044715f * x * x), c + 3.0f * c * 0.044715f * x * x);
    case BERTH_CUDA_RELU:
        return x <= 0.0f ? 0.0f : 1.0f;
    case BERTH_CUDA_SILU:
        return gated_slope(x, x, 1.0f);
    default:
        return 1.0f - tanhf(x) * tanhf(x);
    }
}

/* out = act(x); or, with BACK, out *= act'(x) */
template <typename A, bool BACK> __global__ void train_act_kernel(const A *x, uint64_t count, int act, A *out)
{
    const uint64_t at = (static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * EIGHT;
    if (at >= count)
        return;
    float value[EIGHT], other[EIGHT];
    const int left = count - at < EIGHT ? static_cast<int>(count - at) : EIGHT;
    load_eight(x + at, left, left == EIGHT, value);
    if (BACK)
        load_eight(out + at, left, left == EIGHT, other);
    for (int i = 0; i < EIGHT; i++)
        value[i] = BACK ? other[i] * slope_of(act, value[i]) : activate(act, value[i]);
    store_eight(out + at, left, left == EIGHT, value);
}

template <typename A, bool BACK> cudaError_t run_train_act(const A *x, uint64_t count, int act, A *out, cudaStream_t stream)
{
    auto kernel = train_act_kernel<A, BACK>;
    if (count == 0)
        return cudaSuccess;
    LAUNCH(kernel, divide_up(count, 256 * EIGHT), 256, 0, stream, x, count, act, out);
    return cudaGetLastError();
}

/* out = dropped x + residual (NULL: none) */
template <typename From, typename To>
__global__ void train_drop_kernel(const From *x, uint64_t count, Drop drop, const float *residual, To *out)
{
    const uint64_t i = static_cast<uint64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < count)
        out[i] = narrow<To>(drop(widen(x[i]), i) + (residual ? residual[i] : 0.0f));
}

template <typename From, typename To>
cudaError_t run_train_drop(const From *x, uint64_t count, const Drop &drop, const float *residual, To *out, cudaStream_t stream)
{
    auto kernel = train_drop_kernel<From, To>;
    if (count == 0)
        return cudaSuccess;
    LAUNCH(kernel, divide_up(count, 256), 256, 0, stream, x, count, drop, residual, out);
    return cudaGetLastError();
}

/* Row at[i] of x [.., width] = row i of rows, or that plus what it was. */
template <typename From, typename To>
__global__ void scatter_kernel(const From *rows, const int32_t *at, int width, bool add, To *x)
{
    To *to = x + static_cast<size_t>(at[blockIdx.x]) * width;
    for (int column = threadIdx.x; column < width; column += blockDim.x) {
        const float value = widen(rows[static_cast<size_t>(blockIdx.x) * width + column]);
        to[column] = narrow<To>(add ? widen(to[column]) + value : value);
    }
}

template <typename From, typename To>
cudaError_t run_scatter(const From *rows, const int32_t *at, uint64_t count, uint64_t width, bool add, To *x, cudaStream_t stream)
{
    auto kernel = scatter_kernel<From, To>;
    if (count == 0)
        return cudaSuccess;
    LAUNCH(kernel, static_cast<unsigned>(count), 128, 0, stream, rows, at, static_cast<int>(width), add, x);
    return cudaGetLastError();
}

/* --- the embedding's gradient --------------------------------------------------------------------- */

constexpr int PIECE_ROWS = 32;

/* Some tokens that share a row of a table: tokens list[first, first + count). */
struct TablePiece {
    uint64_t target; /* where the row begins in the gradients */
    uint32_t first, count;
    int32_t partial; /* row of the sums that are joined later; -1: the only piece of its row, added at once */
};

/* A row with several pieces: rows [first, first + count) of the sums. */
struct TableJoin {
    uint64_t target;
    uint32_t first, count;
};

template <typename A>
__global__ void table_piece_kernel(const A *slopes, const TablePiece *pieces, const int32_t *list, int width, float *partial,
                                   float *grad)
{
    const TablePiece piece = pieces[blockIdx.x];
    const int column = blockIdx.y * SUM_COLUMNS + threadIdx.x;
    float sum = 0.0f;
    if (column >= width)
        return;
    for (uint32_t i = 0; i < piece.count; i++)
        sum += widen(slopes[static_cast<size_t>(list[piece.first + i]) * width + column]);
    if (piece.partial < 0)
        grad[piece.target + column] += sum;
    else
        partial[static_cast<size_t>(piece.partial) * width + column] = sum;
}

[[maybe_unused]] static __global__ void table_join_kernel(const float *partial, const TableJoin *joins, int width, float *grad)
{
    const TableJoin join = joins[blockIdx.x];
    const int column = blockIdx.y * SUM_COLUMNS + threadIdx.x;
    float sum = 0.0f;
    if (column >= width)
        return;
    for (uint32_t i = 0; i < join.count; i++)
        sum += partial[static_cast<size_t>(join.first + i) * width + column];
    grad[join.target + column] += sum;
}

/* --- masked words --------------------------------------------------------------------------------- */

constexpr int LOSS_THREADS = 256;

/* Row i of logits becomes the gradient of its cross entropy times `scale`; loss[i][2]: the loss, and whether the word had
 * the largest logit (of equal ones the first). */
[[maybe_unused]] static __global__ void masked_loss_kernel(float *logits, const int32_t *words, int vocab, float scale, float *loss)
{
    __shared__ float tops[LOSS_THREADS], sums[LOSS_THREADS];
    __shared__ int places[LOSS_THREADS];
    const int t = threadIdx.x;
    float *row = logits + static_cast<size_t>(blockIdx.x) * vocab;
    float top = -INFINITY, sum = 0.0f;
    int place = 0;
    for (int i = t; i < vocab; i += LOSS_THREADS)
        if (row[i] > top) {
            top = row[i];
            place = i;
        }
    tops[t] = top;
    places[t] = place;
    for (int step = LOSS_THREADS / 2; step; step /= 2) {
        __syncthreads();
        if (t < step && (tops[t + step] > tops[t] || (tops[t + step] == tops[t] && places[t + step] < places[t]))) {
            tops[t] = tops[t + step];
            places[t] = places[t + step];
        }
    }
    __syncthreads();
    top = tops[0];
    for (int i = t; i < vocab; i += LOSS_THREADS)
        sum += expf(row[i] - top);
    sums[t] = sum;
    for (int step = LOSS_THREADS / 2; step; step /= 2) {
        __syncthreads();
        if (t < step)
            sums[t] += sums[t + step];
    }
    __syncthreads();
    const int word = words[blockIdx.x];
    const float inverse = 1.0f / sums[0];
    if (t == 0) {
        loss[blockIdx.x * 2] = -logf(fmaxf(expf(row[word] - top) * inverse, 1e-37f));
        loss[blockIdx.x * 2 + 1] = places[0] == word ? 1.0f : 0.0f;
    }
    __syncthreads();
    for (int i = t; i < vocab; i += LOSS_THREADS)
        row[i] = (expf(row[i] - top) * inverse - (i == word ? 1.0f : 0.0f)) * scale;
}

} // namespace berth
