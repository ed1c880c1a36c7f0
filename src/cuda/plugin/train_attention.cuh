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

/* --- running them --------------------------------------------------------------------------------- */

template <typename A>
cudaError_t run_train_attention_kernel(void (*kernel)(TrainAttention<A>), const TrainAttention<A> &in, uint64_t tiles,
                                       cudaStream_t stream)
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
template <typename A> inline int train_tile_tokens(uint64_t) { return PLAIN_QUERIES; }

/* query_tiles: in.tiles, or of first tokens. */
template <typename A> cudaError_t run_train_attention(const TrainAttention<A> &in, uint64_t query_tiles, cudaStream_t stream)
{
    return run_train_attention_kernel(train_attend_kernel<A>, in, query_tiles, stream);
}

/* Queries' tiles are in.tiles; keys' are key_tiles, of all tokens. */
template <typename A>
cudaError_t run_train_attention_back(TrainAttention<A> in, uint64_t query_tiles, const TrainTile *key_tiles, uint64_t keys,
                                     cudaStream_t stream)
{
    const cudaError_t error = run_train_attention_kernel(train_attend_back_queries_kernel<A>, in, query_tiles, stream);
    if (error != cudaSuccess)
        return error;
    in.tiles = key_tiles;
    return run_train_attention_kernel(train_attend_back_keys_kernel<A>, in, keys, stream);
}

} // namespace berth
