/* train_attention.cuh: attention over packed texts as training needs it: dropout on the shares, the logarithm of a row's sum
 * kept, and backward, where the shares are computed again. As in attention.cuh blocks exist only for tokens that are there.
 * Backward goes twice over a text's pairs, once by queries (dq) and once by keys (dk, dv), so that nothing is added by two
 * blocks: no atomics, the same bits.
 *
 * P = softmax(scale q k^T), D its dropout: context = D(P) v; dv = D(P)^T dc; dP = D(dc v^T); with delta = sum of dc context
 * (= sum of dP P) of a row: dS = P (dP - delta) scale; dq = dS k; dk = dS^T q. */
#pragma once

#include "attention.cuh"
#include "train_rows.cuh"

namespace berth {

/* Some tokens of a text, as queries or as keys. */
struct TrainTile {
    int32_t begin, length; /* of the text */
    int32_t first, count;  /* of the tile, within the text */
    int32_t text, unused;
    uint64_t pairs; /* sum of length * stride over the texts before */
};

constexpr int PAIR_STRIDE = 16; /* a row of shares is numbered in steps of so many (train/network.h) */

template <typename A> struct TrainAttention {
    const TrainTile *tiles;
    const A *query, *key, *value; /* row r, head h: query + r * C + h * D; token t: key + t * 2C + h * D */
    A *context;                   /* rows as query */
    float *log_sums;              /* [rows, H] */
    const A *d_context;           /* backward */
    A *d_query, *d_key, *d_value; /* as query, key and value lie */
    float *deltas;                /* [rows, H] */
    int heads, head_size;
    int first_only; /* one query a text, its first token's, in row `text` */
    float scale;    /* 1 / sqrt(D) */
    Drop drop;

    __device__ size_t width() const { return static_cast<size_t>(heads) * head_size; }
    __device__ int queries(const TrainTile &tile) const { return first_only ? 1 : tile.length; }
    /* Row of query q of the text. */
    __device__ size_t row(const TrainTile &tile, int q) const
    {
        return static_cast<size_t>(first_only ? tile.text : tile.begin + q);
    }
    __device__ uint64_t stride(const TrainTile &tile) const
    {
        return static_cast<uint64_t>((tile.length + PAIR_STRIDE - 1) / PAIR_STRIDE * PAIR_STRIDE);
    }
    /* Number, for dropout, of the first share of a head. */
    __device__ uint64_t first_share(const TrainTile &tile, int head) const
    {
        return heads * tile.pairs + static_cast<uint64_t>(head) * tile.length * stride(tile);
    }
};

/* --- any number, any head up to PLAIN_HEAD_MAX: fp32 sums ----------------------------------------- */

constexpr int EACH = PLAIN_QUERIES / PLAIN_WARPS, PLAIN_COLUMNS = PLAIN_HEAD_MAX / WARP;

/* Rows [0, count) of x, row_size apart, padded with zeros to `rows`, as float with `to_size` numbers a row. */
template <typename A>
__device__ inline void take_rows(float *to, int to_size, const A *x, size_t row_size, int count, int rows, int size)
{
    for (int i = threadIdx.x; i < rows * size; i += PLAIN_WARPS * WARP) {
        const int row = i / size, column = i % size;
        to[row * to_size + column] = row < count ? widen(x[row * row_size + column]) : 0.0f;
    }
}

/* A warp a query, EACH of them one after the other; a lane a key for the shares, a lane every 32nd column for the sums. */
template <typename A> __global__ void train_attend_kernel(TrainAttention<A> in)
{
    DYNAMIC_SHARED(memory);
    const int size = in.head_size, row_size = size + 1;
    float *keys = reinterpret_cast<float *>(memory), *values = keys + PLAIN_KEYS * row_size,
          *queries = values + PLAIN_KEYS * row_size, *shares = queries + PLAIN_QUERIES * size;
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const size_t width = in.width();
    const uint64_t share0 = in.first_share(tile, head), stride = in.stride(tile);
    float out[EACH][PLAIN_COLUMNS], top[EACH], sum[EACH];
    for (int e = 0; e < EACH; e++) {
        top[e] = -INFINITY;
        sum[e] = 0.0f;
        for (int c = 0; c < PLAIN_COLUMNS; c++)
            out[e][c] = 0.0f;
    }
    take_rows(queries, size, in.query + in.row(tile, tile.first) * width + head * size, width, tile.count, PLAIN_QUERIES, size);
    for (int from = 0; from < tile.length; from += PLAIN_KEYS) {
        const size_t at = static_cast<size_t>(tile.begin + from) * 2 * width + head * size;
        __syncthreads();
        take_rows(keys, row_size, in.key + at, 2 * width, tile.length - from, PLAIN_KEYS, size);
        take_rows(values, row_size, in.value + at, 2 * width, tile.length - from, PLAIN_KEYS, size);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            const int q = warp * EACH + e;
            if (q >= tile.count) /* a whole warp at a time */
                continue;
            float score = 0.0f;
            for (int c = 0; c < size; c++)
                score += queries[q * size + c] * keys[lane * row_size + c];
            score = from + lane < tile.length ? score * in.scale : -INFINITY;
            const float new_top = fmaxf(top[e], warp_max(score)), shrink = expf(top[e] - new_top), share = expf(score - new_top);
            top[e] = new_top;
            sum[e] = sum[e] * shrink + warp_sum(share);
            for (int c = 0; c < PLAIN_COLUMNS; c++)
                out[e][c] *= shrink;
            shares[warp * PLAIN_KEYS + lane] = in.drop(share, share0 + (tile.first + q) * stride + from + lane);
            __syncwarp();
            for (int key = 0; key < PLAIN_KEYS; key++)
                for (int c = 0; c < PLAIN_COLUMNS; c++)
                    if (c * WARP + lane < size)
                        out[e][c] += shares[warp * PLAIN_KEYS + key] * values[key * row_size + c * WARP + lane];
            __syncwarp(); /* before they are written again */
        }
    }
    for (int e = 0; e < EACH; e++) {
        const int q = warp * EACH + e;
        if (q >= tile.count)
            continue;
        const size_t row = in.row(tile, tile.first + q);
        A *to = in.context + row * width + head * size;
        for (int c = 0; c < PLAIN_COLUMNS; c++)
            if (c * WARP + lane < size)
                to[c * WARP + lane] = narrow<A>(out[e][c] / sum[e]);
        if (lane == 0)
            in.log_sums[row * in.heads + head] = top[e] + logf(sum[e]);
    }
}

/* dq of a tile of queries, and their deltas. */
template <typename A> __global__ void train_attend_back_queries_kernel(TrainAttention<A> in)
{
    DYNAMIC_SHARED(memory);
    const int size = in.head_size, row_size = size + 1;
    float *keys = reinterpret_cast<float *>(memory), *values = keys + PLAIN_KEYS * row_size,
          *queries = values + PLAIN_KEYS * row_size, *slopes = queries + PLAIN_QUERIES * size,
          *shares = slopes + PLAIN_QUERIES * size;
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const size_t width = in.width(), at_query = in.row(tile, tile.first) * width + head * size;
    const uint64_t share0 = in.first_share(tile, head), stride = in.stride(tile);
    float out[EACH][PLAIN_COLUMNS], delta[EACH], log_sum[EACH];
    take_rows(queries, size, in.query + at_query, width, tile.count, PLAIN_QUERIES, size);
    take_rows(slopes, size, in.d_context + at_query, width, tile.count, PLAIN_QUERIES, size);
    for (int e = 0; e < EACH; e++) {
        const int q = warp * EACH + e;
        delta[e] = log_sum[e] = 0.0f;
        for (int c = 0; c < PLAIN_COLUMNS; c++)
            out[e][c] = 0.0f;
        if (q >= tile.count)
            continue;
        const size_t row = in.row(tile, tile.first + q), at = row * width + head * size;
        for (int c = lane; c < size; c += WARP)
            delta[e] += widen(in.d_context[at + c]) * widen(in.context[at + c]);
        delta[e] = warp_sum(delta[e]);
        log_sum[e] = in.log_sums[row * in.heads + head];
        if (lane == 0)
            in.deltas[row * in.heads + head] = delta[e];
    }
    for (int from = 0; from < tile.length; from += PLAIN_KEYS) {
        const size_t at = static_cast<size_t>(tile.begin + from) * 2 * width + head * size;
        __syncthreads();
        take_rows(keys, row_size, in.key + at, 2 * width, tile.length - from, PLAIN_KEYS, size);
        take_rows(values, row_size, in.value + at, 2 * width, tile.length - from, PLAIN_KEYS, size);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            const int q = warp * EACH + e;
            if (q >= tile.count)
                continue;
            float score = 0.0f, slope = 0.0f;
            for (int c = 0; c < size; c++) {
                score += queries[q * size + c] * keys[lane * row_size + c];
                slope += slopes[q * size + c] * values[lane * row_size + c];
            }
            const float share = from + lane < tile.length ? expf(score * in.scale - log_sum[e]) : 0.0f;
            slope = in.drop(slope, share0 + (tile.first + q) * stride + from + lane);
            shares[warp * PLAIN_KEYS + lane] = share * (slope - delta[e]) * in.scale;
            __syncwarp();
            for (int key = 0; key < PLAIN_KEYS; key++)
                for (int c = 0; c < PLAIN_COLUMNS; c++)
                    if (c * WARP + lane < size)
                        out[e][c] += shares[warp * PLAIN_KEYS + key] * keys[key * row_size + c * WARP + lane];
            __syncwarp();
        }
    }
    for (int e = 0; e < EACH; e++) {
        const int q = warp * EACH + e;
        for (int c = 0; q < tile.count && c < PLAIN_COLUMNS; c++)
            if (c * WARP + lane < size)
                in.d_query[at_query + q * width + c * WARP + lane] = narrow<A>(out[e][c]);
    }
}

/* dk and dv of a tile of keys: a warp a key, a lane a query. Needs the deltas. */
template <typename A> __global__ void train_attend_back_keys_kernel(TrainAttention<A> in)
{
    DYNAMIC_SHARED(memory);
    const int size = in.head_size, row_size = size + 1;
    float *queries = reinterpret_cast<float *>(memory), *slopes = queries + PLAIN_KEYS * row_size,
          *keys = slopes + PLAIN_KEYS * row_size, *values = keys + PLAIN_QUERIES * size,
          *shares = values + PLAIN_QUERIES * size, *share_slopes = shares + PLAIN_WARPS * WARP;
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, all = in.queries(tile);
    const size_t width = in.width(), at_key = static_cast<size_t>(tile.begin + tile.first) * 2 * width + head * size;
    const uint64_t share0 = in.first_share(tile, head), stride = in.stride(tile);
    float d_key[EACH][PLAIN_COLUMNS], d_value[EACH][PLAIN_COLUMNS];
    for (int e = 0; e < EACH; e++)
        for (int c = 0; c < PLAIN_COLUMNS; c++)
            d_key[e][c] = d_value[e][c] = 0.0f;
    take_rows(keys, size, in.key + at_key, 2 * width, tile.count, PLAIN_QUERIES, size);
    take_rows(values, size, in.value + at_key, 2 * width, tile.count, PLAIN_QUERIES, size);
    for (int from = 0; from < all; from += WARP) {
        const size_t row = in.row(tile, from), at = row * width + head * size;
        const bool here = from + lane < all;
        const float log_sum = here ? in.log_sums[(row + lane) * in.heads + head] : 0.0f;
        const float delta = here ? in.deltas[(row + lane) * in.heads + head] : 0.0f;
        __syncthreads();
        take_rows(queries, row_size, in.query + at, width, all - from, WARP, size);
        take_rows(slopes, row_size, in.d_context + at, width, all - from, WARP, size);
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            const int k = warp * EACH + e;
            if (k >= tile.count)
                continue;
            float score = 0.0f, slope = 0.0f;
            for (int c = 0; c < size; c++) {
                score += queries[lane * row_size + c] * keys[k * size + c];
                slope += slopes[lane * row_size + c] * values[k * size + c];
            }
            const uint64_t index = share0 + (from + lane) * stride + tile.first + k;
            const float share = here ? expf(score * in.scale - log_sum) : 0.0f;
            shares[warp * WARP + lane] = in.drop(share, index);
            share_slopes[warp * WARP + lane] = share * (in.drop(slope, index) - delta) * in.scale;
            __syncwarp();
            for (int q = 0; q < WARP; q++)
                for (int c = 0; c < PLAIN_COLUMNS; c++)
                    if (c * WARP + lane < size) {
                        d_value[e][c] += shares[warp * WARP + q] * slopes[q * row_size + c * WARP + lane];
                        d_key[e][c] += share_slopes[warp * WARP + q] * queries[q * row_size + c * WARP + lane];
                    }
            __syncwarp();
        }
    }
    for (int e = 0; e < EACH; e++) {
        const int k = warp * EACH + e;
        for (int c = 0; k < tile.count && c < PLAIN_COLUMNS; c++)
            if (c * WARP + lane < size) {
                in.d_key[at_key + k * 2 * width + c * WARP + lane] = narrow<A>(d_key[e][c]);
                in.d_value[at_key + k * 2 * width + c * WARP + lane] = narrow<A>(d_value[e][c]);
            }
    }
}

/* --- tensor cores: bf16, D <= DP ------------------------------------------------------------------ */

/* Fragments are mma.cuh's: this lane's rows are group and group + 8 of its warp's sixteen, its columns pair and pair + 1
 * of each eight. A warp without rows only waits at the barriers. Shares are powers of two here, log_sums logarithms to 2. */
constexpr float LOG2_E = 1.44269504088896340736f;

/* A left operand: sixteen rows of x from `row` on, `count` of which are there. */
template <typename A, int DP>
__device__ inline void take_left(uint32_t left[DP / 16][4], const A *x, size_t row_size, int row, int count, int size, int group,
                                 int pair)
{
    UNROLL
    for (int j = 0; j < DP / 16; j++) {
        UNROLL
        for (int part = 0; part < 4; part++) {
            const int r = row + group + part % 2 * 8, column = j * 16 + pair + part / 2 * 8;
            const A *from = x + r * row_size + column;
            left[j][part] = pack(r < count && column < size ? from[0] : narrow<A>(0.0f),
                                 r < count && column + 1 < size ? from[1] : narrow<A>(0.0f));
        }
    }
}

/* Rows [0, count) of x into shared memory, padded with zeros to `rows` of DP + 8. */
template <typename A, int DP>
__device__ inline void take_tile(A *to, const A *x, size_t row_size, int count, int rows, int size)
{
    for (int i = threadIdx.x; i < rows * DP; i += TENSOR_WARPS * WARP) {
        const int row = i / DP, column = i % DP;
        to[row * (DP + 8) + column] = row < count && column < size ? x[row * row_size + column] : narrow<A>(0.0f);
    }
}

/* sums[n] = left . rows^T, for N rows in eights. */
template <typename A, int DP, int N>
__device__ inline void times_rows(float sums[N][4], const uint32_t left[DP / 16][4], const A *rows, int group, int pair)
{
    UNROLL
    for (int n = 0; n < N; n++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            sums[n][i] = 0.0f;
        UNROLL
        for (int j = 0; j < DP / 16; j++) {
            const A *row = rows + (n * 8 + group) * (DP + 8) + j * 16 + pair;
            const uint32_t right[2] = {pack(row[0], row[1]), pack(row[8], row[9])};
            mma<A>(sums[n], left[j], right);
        }
    }
}

/* out[DP] += shares[16, 8 N] . rows[8 N, DP]: the sums' layout of two neighbouring products is a left operand's. */
template <typename A, int DP, int N>
__device__ inline void add_times(float out[DP / 8][4], const float shares[N][4], const A *rows, int lane)
{
    UNROLL
    for (int j = 0; j < N / 2; j++) {
        const float *low = shares[2 * j], *high = shares[2 * j + 1];
        const uint32_t left[4] = {pack(narrow<A>(low[0]), narrow<A>(low[1])), pack(narrow<A>(low[2]), narrow<A>(low[3])),
                                  pack(narrow<A>(high[0]), narrow<A>(high[1])), pack(narrow<A>(high[2]), narrow<A>(high[3]))};
        UNROLL
        for (int n = 0; n < DP / 8; n++) {
            uint32_t right[2];
            load_transposed(right, rows + (j * 16 + lane % 16) * (DP + 8) + n * 8);
            mma<A>(out[n], left, right);
        }
    }
}

/* Rows of out, where they are there, to x. */
template <typename A, int DP>
__device__ inline void put_rows(A *x, size_t row_size, const float out[DP / 8][4], int row, int count, int size, int group, int pair)
{
    UNROLL
    for (int n = 0; n < DP / 8; n++) {
        UNROLL
        for (int i = 0; i < 4; i++) {
            const int r = row + group + i / 2 * 8, column = n * 8 + pair + i % 2;
            if (r < count && column < size)
                x[r * row_size + column] = narrow<A>(out[n][i]);
        }
    }
}

template <int N> __device__ inline void clear(float sums[N][4])
{
    UNROLL
    for (int n = 0; n < N; n++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            sums[n][i] = 0.0f;
    }
}

template <typename A, int DP> __global__ void train_attend_tensor_kernel(TrainAttention<A> in)
{
    constexpr int ROW = DP + 8, N = KEYS / 8;
    __shared__ __align__(16) A keys[KEYS * ROW];
    __shared__ __align__(16) A values[KEYS * ROW];
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, size = in.head_size, lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16;
    const int group = lane / 4, pair = lane % 4 * 2;
    const bool busy = row < tile.count;
    const float scale = in.scale * LOG2_E;
    const size_t width = in.width(), at_query = in.row(tile, tile.first) * width + head * size;
    const uint64_t stride = in.stride(tile), share0 = in.first_share(tile, head) + tile.first * stride;
    uint32_t query[DP / 16][4];
    float out[DP / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
    take_left<A, DP>(query, in.query + at_query, width, row, tile.count, size, group, pair);
    clear<DP / 8>(out);
    for (int from = 0; from < tile.length; from += KEYS) {
        const size_t at = static_cast<size_t>(tile.begin + from) * 2 * width + head * size;
        __syncthreads();
        take_tile<A, DP>(keys, in.key + at, 2 * width, tile.length - from, KEYS, size);
        take_tile<A, DP>(values, in.value + at, 2 * width, tile.length - from, KEYS, size);
        __syncthreads();
        if (!busy)
            continue;
        float share[N][4], new_top[2] = {top[0], top[1]};
        times_rows<A, DP, N>(share, query, keys, group, pair);
        UNROLL
        for (int n = 0; n < N; n++) {
            UNROLL
            for (int i = 0; i < 4; i++) {
                share[n][i] = from + n * 8 + pair + i % 2 < tile.length ? share[n][i] * scale : -INFINITY;
                new_top[i / 2] = fmaxf(new_top[i / 2], share[n][i]);
            }
        }
        float shrink[2];
        for (int r = 0; r < 2; r++) { /* four lanes hold a row */
            new_top[r] = fmaxf(new_top[r], __shfl_xor_sync(0xffffffffu, new_top[r], 1));
            new_top[r] = fmaxf(new_top[r], __shfl_xor_sync(0xffffffffu, new_top[r], 2));
            shrink[r] = exp2f(top[r] - new_top[r]);
            top[r] = new_top[r];
            sum[r] *= shrink[r];
        }
        UNROLL
        for (int n = 0; n < N; n++) {
            UNROLL
            for (int i = 0; i < 4; i++) {
                const uint64_t index = share0 + (row + group + i / 2 * 8) * stride + from + n * 8 + pair + i % 2;
                share[n][i] = exp2f(share[n][i] - top[i / 2]);
                sum[i / 2] += share[n][i];
                share[n][i] = in.drop(share[n][i], index);
            }
        }
        UNROLL
        for (int n = 0; n < DP / 8; n++) {
            UNROLL
            for (int i = 0; i < 4; i++)
                out[n][i] *= shrink[i / 2];
        }
        add_times<A, DP, N>(out, share, values, lane);
    }
    if (!busy)
        return;
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
        if (lane % 4 == 0 && row + group + r * 8 < tile.count)
            in.log_sums[in.row(tile, tile.first + row + group + r * 8) * in.heads + head] = top[r] + log2f(sum[r]);
    }
    UNROLL
    for (int n = 0; n < DP / 8; n++) {
        UNROLL
        for (int i = 0; i < 4; i++)
            out[n][i] /= sum[i / 2];
    }
    put_rows<A, DP>(in.context + at_query, width, out, row, tile.count, size, group, pair);
}

/* dq, and the deltas. */
template <typename A, int DP> __global__ void train_attend_back_queries_tensor_kernel(TrainAttention<A> in)
{
    constexpr int ROW = DP + 8, N = KEYS / 8;
    __shared__ __align__(16) A keys[KEYS * ROW];
    __shared__ __align__(16) A values[KEYS * ROW];
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, size = in.head_size, lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16;
    const int group = lane / 4, pair = lane % 4 * 2;
    const bool busy = row < tile.count;
    const size_t width = in.width(), at_query = in.row(tile, tile.first) * width + head * size;
    const uint64_t stride = in.stride(tile), share0 = in.first_share(tile, head) + tile.first * stride;
    uint32_t query[DP / 16][4], slope_of_context[DP / 16][4];
    float out[DP / 8][4], delta[2] = {0.0f, 0.0f}, log_sum[2] = {0.0f, 0.0f};
    take_left<A, DP>(query, in.query + at_query, width, row, tile.count, size, group, pair);
    take_left<A, DP>(slope_of_context, in.d_context + at_query, width, row, tile.count, size, group, pair);
    clear<DP / 8>(out);
    for (int r = 0; r < 2 && busy; r++) {
        const int q = row + group + r * 8;
        const bool here = q < tile.count;
        const size_t at = at_query + static_cast<size_t>(q) * width;
        for (int column = lane % 4; here && column < size; column += 4) /* four lanes hold a row */
            delta[r] += widen(in.d_context[at + column]) * widen(in.context[at + column]);
        delta[r] += __shfl_xor_sync(0xffffffffu, delta[r], 1);
        delta[r] += __shfl_xor_sync(0xffffffffu, delta[r], 2);
        if (!here)
            continue;
        const size_t index = in.row(tile, tile.first + q) * in.heads + head;
        log_sum[r] = in.log_sums[index];
        if (lane % 4 == 0)
            in.deltas[index] = delta[r];
    }
    for (int from = 0; from < tile.length; from += KEYS) {
        const size_t at = static_cast<size_t>(tile.begin + from) * 2 * width + head * size;
        __syncthreads();
        take_tile<A, DP>(keys, in.key + at, 2 * width, tile.length - from, KEYS, size);
        take_tile<A, DP>(values, in.value + at, 2 * width, tile.length - from, KEYS, size);
        __syncthreads();
        if (!busy)
            continue;
        float share[N][4], slope[N][4];
        times_rows<A, DP, N>(share, query, keys, group, pair);
        times_rows<A, DP, N>(slope, slope_of_context, values, group, pair);
        UNROLL
        for (int n = 0; n < N; n++) {
            UNROLL
            for (int i = 0; i < 4; i++) {
                const int key = from + n * 8 + pair + i % 2;
                const float p = key < tile.length ? exp2f(share[n][i] * (in.scale * LOG2_E) - log_sum[i / 2]) : 0.0f;
                const float s = in.drop(slope[n][i], share0 + (row + group + i / 2 * 8) * stride + key);
                share[n][i] = p * (s - delta[i / 2]) * in.scale;
            }
        }
        add_times<A, DP, N>(out, share, keys, lane);
    }
    if (busy)
        put_rows<A, DP>(in.d_query + at_query, width, out, row, tile.count, size, group, pair);
}

/* dk and dv of a tile of keys: everything transposed, a lane's columns are queries. Needs the deltas. */
template <typename A, int DP> __global__ void train_attend_back_keys_tensor_kernel(TrainAttention<A> in)
{
    constexpr int ROW = DP + 8, QUERIES = DP > 64 ? 32 : 64, N = QUERIES / 8; /* as many as registers hold */
    __shared__ __align__(16) A queries[QUERIES * ROW];
    __shared__ __align__(16) A slopes[QUERIES * ROW];
    __shared__ float log_sums[QUERIES], deltas[QUERIES];
    const TrainTile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, size = in.head_size, lane = threadIdx.x % WARP, row = threadIdx.x / WARP * 16;
    const int group = lane / 4, pair = lane % 4 * 2, all = in.queries(tile);
    const bool busy = row < tile.count;
    const size_t width = in.width(), at_key = static_cast<size_t>(tile.begin + tile.first) * 2 * width + head * size;
    const uint64_t stride = in.stride(tile), share0 = in.first_share(tile, head) + tile.first;
    uint32_t key[DP / 16][4], value[DP / 16][4];
    float d_key[DP / 8][4], d_value[DP / 8][4];
    take_left<A, DP>(key, in.key + at_key, 2 * width, row, tile.count, size, group, pair);
    take_left<A, DP>(value, in.value + at_key, 2 * width, row, tile.count, size, group, pair);
    clear<DP / 8>(d_key);
    clear<DP / 8>(d_value);
    for (int from = 0; from < all; from += QUERIES) {
        const size_t first = in.row(tile, from), at = first * width + head * size;
        __syncthreads();
        take_tile<A, DP>(queries, in.query + at, width, all - from, QUERIES, size);
        take_tile<A, DP>(slopes, in.d_context + at, width, all - from, QUERIES, size);
        if (threadIdx.x < QUERIES) {
            const bool here = from + static_cast<int>(threadIdx.x) < all;
            log_sums[threadIdx.x] = here ? in.log_sums[(first + threadIdx.x) * in.heads + head] : 0.0f;
            deltas[threadIdx.x] = here ? in.deltas[(first + threadIdx.x) * in.heads + head] : 0.0f;
        }
        __syncthreads();
        if (!busy)
            continue;
        float share[N][4], slope[N][4];
        times_rows<A, DP, N>(share, key, queries, group, pair);
        times_rows<A, DP, N>(slope, value, slopes, group, pair);
        UNROLL
        for (int n = 0; n < N; n++) {
            UNROLL
            for (int i = 0; i < 4; i++) {
                const int q = n * 8 + pair + i % 2;
                const uint64_t index = share0 + (from + q) * stride + row + group + i / 2 * 8;
                const float p = from + q < all ? exp2f(share[n][i] * (in.scale * LOG2_E) - log_sums[q]) : 0.0f;
                share[n][i] = in.drop(p, index);
                slope[n][i] = p * (in.drop(slope[n][i], index) - deltas[q]) * in.scale;
            }
        }
        add_times<A, DP, N>(d_value, share, slopes, lane);
        add_times<A, DP, N>(d_key, slope, queries, lane);
    }
    if (!busy)
        return;
    put_rows<A, DP>(in.d_key + at_key, 2 * width, d_key, row, tile.count, size, group, pair);
    put_rows<A, DP>(in.d_value + at_key, 2 * width, d_value, row, tile.count, size, group, pair);
}

/* --- running them --------------------------------------------------------------------------------- */

template <typename A>
cudaError_t run_plain(void (*kernel)(TrainAttention<A>), const TrainAttention<A> &in, uint64_t tiles, cudaStream_t stream)
{
    const size_t size = static_cast<size_t>(in.head_size);
    const size_t shared = (2 * PLAIN_KEYS * (size + 1) + 2 * PLAIN_QUERIES * size + 2 * PLAIN_WARPS * WARP) * sizeof(float);
    if (shared > 48 * 1024) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess)
            return error;
    }
    LAUNCH(kernel, dim3(static_cast<unsigned>(tiles), static_cast<unsigned>(in.heads)), PLAIN_WARPS * WARP, shared, stream, in);
    return cudaGetLastError();
}

/* Tokens of a tile. */
template <typename A> inline int train_tile_tokens(uint64_t head_size) { return tile_queries<A>(head_size); }

/* The kernel for in's numbers and head size, of two that do the same. */
#define BERTH_TRAIN_ATTENTION(name, in, tiles, stream)                                                           \
    if constexpr (!std::is_same_v<A, float>) {                                                                   \
        const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>((in).heads));                        \
        const auto launch = [&](auto kernel) {                                                                   \
            LAUNCH(kernel, grid, TENSOR_WARPS *WARP, 0, stream, in);                                             \
            return cudaGetLastError();                                                                           \
        };                                                                                                       \
        if ((in).head_size <= 16)                                                                                \
            return launch(name##_tensor_kernel<A, 16>);                                                          \
        if ((in).head_size <= 32)                                                                                \
            return launch(name##_tensor_kernel<A, 32>);                                                          \
        if ((in).head_size <= 64)                                                                                \
            return launch(name##_tensor_kernel<A, 64>);                                                          \
        if ((in).head_size <= TENSOR_HEAD_MAX)                                                                   \
            return launch(name##_tensor_kernel<A, TENSOR_HEAD_MAX>);                                             \
    }                                                                                                            \
    return run_plain(name##_kernel<A>, in, tiles, stream)

/* tiles: how many in.tiles are. */
template <typename A> cudaError_t run_train_attention(const TrainAttention<A> &in, uint64_t tiles, cudaStream_t stream)
{
    BERTH_TRAIN_ATTENTION(train_attend, in, tiles, stream);
}

template <typename A> cudaError_t run_back_queries(const TrainAttention<A> &in, uint64_t tiles, cudaStream_t stream)
{
    BERTH_TRAIN_ATTENTION(train_attend_back_queries, in, tiles, stream);
}

template <typename A> cudaError_t run_back_keys(const TrainAttention<A> &in, uint64_t tiles, cudaStream_t stream)
{
    BERTH_TRAIN_ATTENTION(train_attend_back_keys, in, tiles, stream);
}

/* Queries' tiles are in.tiles; keys' are key_tiles, of all tokens. */
template <typename A>
cudaError_t run_train_attention_back(TrainAttention<A> in, uint64_t query_tiles, const TrainTile *key_tiles, uint64_t keys,
                                     cudaStream_t stream)
{
    const cudaError_t error = run_back_queries(in, query_tiles, stream);
    if (error != cudaSuccess)
        return error;
    in.tiles = key_tiles;
    return run_back_keys(in, keys, stream);
}

} // namespace berth
