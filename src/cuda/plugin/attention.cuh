/* attention.cuh: softmax(q k^T / sqrt(D)) v over packed texts. No padding: a list of tiles, made with the batch, says
 * which queries of which text a block computes, so blocks exist only for tokens that are there. Scores and softmax stay
 * in registers; keys and values pass through shared memory in blocks of KEYS. How a text is cut depends on its own length
 * alone. The running softmax is that of FlashAttention-2 (Dao, 2023). */
#pragma once

#include "device.cuh"
#include "mma.cuh"

namespace berth {

/* Which queries a block has. `begin`: first token of the text; `first`: its first query within the text; `row`: where
 * that query's row lies in q and context; `queries`: how many. */
struct Tile {
    int32_t begin, length, first, row, queries;
};

constexpr int KEYS = 64, TENSOR_QUERIES = 64, TENSOR_WARPS = 4, TENSOR_HEAD_MAX = 128;
constexpr int PLAIN_KEYS = 32, PLAIN_QUERIES = 16, PLAIN_WARPS = 4, PLAIN_HEAD_MAX = 256;

template <typename A> struct AttentionInput {
    const Tile *tiles;
    const A *query;      /* row r, head h: query + r * query_stride + h * D */
    const A *key, *value; /* token t, head h: key + t * stride + h * D */
    A *context;          /* [rows, H D] */
    int query_stride, stride, heads, head_size;
    float scale; /* 1 / sqrt(D) */
};

/* --- tensor cores: bf16 and fp16, D <= DP --------------------------------------------------------- */

template <typename A, int DP> __global__ void attend_tensor_kernel(AttentionInput<A> in)
{
    constexpr int ROW = DP + 8; /* numbers of a row in shared memory: neighbouring rows in other banks */
    __shared__ __align__(16) A keys[KEYS * ROW];
    __shared__ __align__(16) A values[KEYS * ROW];
    const Tile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, size = in.head_size, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    const int group = lane / 4, pair = lane % 4 * 2; /* a fragment's row (and that + 8), and its first column */
    const float scale = in.scale * 1.44269504088896340736f; /* powers of two, not of e */

    uint32_t query[DP / 16][4];
    for (int j = 0; j < DP / 16; j++)
        for (int part = 0; part < 4; part++) {
            const int row = warp * 16 + group + part % 2 * 8, column = j * 16 + pair + part / 2 * 8;
            const A *from = in.query + static_cast<size_t>(tile.row + row) * in.query_stride + head * size + column;
            const bool here = row < tile.queries;
            query[j][part] = pack(here && column < size ? from[0] : narrow<A>(0.0f),
                                  here && column + 1 < size ? from[1] : narrow<A>(0.0f));
        }
    float out[DP / 8][4], top[2] = {-INFINITY, -INFINITY}, sum[2] = {0.0f, 0.0f};
    for (int n = 0; n < DP / 8; n++)
        for (int i = 0; i < 4; i++)
            out[n][i] = 0.0f;

    for (int from = 0; from < tile.length; from += KEYS) {
        __syncthreads(); /* the block before was read by all */
        for (int i = threadIdx.x; i < KEYS * DP; i += TENSOR_WARPS * WARP) {
            const int key = i / DP, column = i % DP;
            const bool here = from + key < tile.length && column < size;
            const size_t at = static_cast<size_t>(tile.begin + from + key) * in.stride + head * size + column;
            keys[key * ROW + column] = here ? in.key[at] : narrow<A>(0.0f);
            values[key * ROW + column] = here ? in.value[at] : narrow<A>(0.0f);
        }
        __syncthreads();

        float score[KEYS / 8][4];
        for (int n = 0; n < KEYS / 8; n++) {
            for (int i = 0; i < 4; i++)
                score[n][i] = 0.0f;
            for (int j = 0; j < DP / 16; j++) {
                const A *row = keys + (n * 8 + group) * ROW + j * 16 + pair;
                const uint32_t right[2] = {pack(row[0], row[1]), pack(row[8], row[9])};
                mma<A>(score[n], query[j], right);
            }
        }
        float new_top[2] = {top[0], top[1]};
        for (int n = 0; n < KEYS / 8; n++)
            for (int i = 0; i < 4; i++) {
                if (from + n * 8 + pair + i % 2 >= tile.length)
                    score[n][i] = -INFINITY;
                score[n][i] *= scale;
                new_top[i / 2] = fmaxf(new_top[i / 2], score[n][i]);
            }
        float shrink[2];
        for (int r = 0; r < 2; r++) { /* four lanes hold a row */
            new_top[r] = fmaxf(new_top[r], __shfl_xor_sync(0xffffffffu, new_top[r], 1));
            new_top[r] = fmaxf(new_top[r], __shfl_xor_sync(0xffffffffu, new_top[r], 2));
            shrink[r] = exp2f(top[r] - new_top[r]);
            top[r] = new_top[r];
            sum[r] *= shrink[r];
        }
        for (int n = 0; n < KEYS / 8; n++)
            for (int i = 0; i < 4; i++) {
                score[n][i] = exp2f(score[n][i] - top[i / 2]);
                sum[i / 2] += score[n][i];
            }
        for (int n = 0; n < DP / 8; n++)
            for (int i = 0; i < 4; i++)
                out[n][i] *= shrink[i / 2];
        for (int j = 0; j < KEYS / 16; j++) {
            /* The sums' layout of two neighbouring products is a left operand's. */
            const float *low = score[2 * j], *high = score[2 * j + 1];
            const uint32_t left[4] = {pack(narrow<A>(low[0]), narrow<A>(low[1])),
                                      pack(narrow<A>(low[2]), narrow<A>(low[3])),
                                      pack(narrow<A>(high[0]), narrow<A>(high[1])),
                                      pack(narrow<A>(high[2]), narrow<A>(high[3]))};
            for (int n = 0; n < DP / 8; n++) {
                uint32_t right[2];
                load_transposed(right, values + (j * 16 + lane % 16) * ROW + n * 8);
                mma<A>(out[n], left, right);
            }
        }
    }
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 1);
        sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], 2);
    }
    for (int n = 0; n < DP / 8; n++)
        for (int i = 0; i < 4; i++) {
            const int row = warp * 16 + group + i / 2 * 8, column = n * 8 + pair + i % 2;
            if (row < tile.queries && column < size)
                in.context[static_cast<size_t>(tile.row + row) * in.heads * size + head * size + column] =
                    narrow<A>(out[n][i] / sum[i / 2]);
        }
}

/* --- any number, any head up to PLAIN_HEAD_MAX: fp32 sums ----------------------------------------- */

/* A warp a query; a lane a key while scores are made, a lane every 32nd column while values are summed. */
template <typename A> __global__ void attend_plain_kernel(AttentionInput<A> in)
{
    DYNAMIC_SHARED(memory);
    const int size = in.head_size, row_size = size + 1;
    float *keys = reinterpret_cast<float *>(memory), *values = keys + PLAIN_KEYS * row_size,
          *queries = values + PLAIN_KEYS * row_size, /* [PLAIN_QUERIES, size] */
          *shares = queries + PLAIN_QUERIES * size;  /* [PLAIN_WARPS, PLAIN_KEYS] */
    const Tile tile = in.tiles[blockIdx.x];
    const int head = blockIdx.y, lane = threadIdx.x % WARP, warp = threadIdx.x / WARP;
    constexpr int EACH = PLAIN_QUERIES / PLAIN_WARPS, COLUMNS = PLAIN_HEAD_MAX / WARP;
    float out[EACH][COLUMNS], top[EACH], sum[EACH];
    for (int e = 0; e < EACH; e++) {
        top[e] = -INFINITY;
        sum[e] = 0.0f;
        for (int c = 0; c < COLUMNS; c++)
            out[e][c] = 0.0f;
    }
    for (int i = threadIdx.x; i < PLAIN_QUERIES * size; i += PLAIN_WARPS * WARP) {
        const int row = i / size, column = i % size;
        queries[i] = row < tile.queries ? widen(in.query[static_cast<size_t>(tile.row + row) * in.query_stride +
                                                         head * size + column]) *
                                              in.scale
                                        : 0.0f;
    }
    for (int from = 0; from < tile.length; from += PLAIN_KEYS) {
        __syncthreads();
        for (int i = threadIdx.x; i < PLAIN_KEYS * size; i += PLAIN_WARPS * WARP) {
            const int key = i / size, column = i % size;
            const bool here = from + key < tile.length;
            const size_t at = static_cast<size_t>(tile.begin + from + key) * in.stride + head * size + column;
            keys[key * row_size + column] = here ? widen(in.key[at]) : 0.0f;
            values[key * row_size + column] = here ? widen(in.value[at]) : 0.0f;
        }
        __syncthreads();
        for (int e = 0; e < EACH; e++) {
            const float *query = queries + (warp * EACH + e) * size;
            float score = 0.0f;
            for (int c = 0; c < size; c++)
                score += query[c] * keys[lane * row_size + c];
            if (from + lane >= tile.length)
                score = -INFINITY;
            const float new_top = fmaxf(top[e], warp_max(score)), shrink = expf(top[e] - new_top);
            const float share = expf(score - new_top);
            top[e] = new_top;
            sum[e] = sum[e] * shrink + warp_sum(share);
            for (int c = 0; c < COLUMNS; c++)
                out[e][c] *= shrink;
            shares[warp * PLAIN_KEYS + lane] = share;
            __syncwarp();
            for (int key = 0; key < PLAIN_KEYS; key++)
                for (int c = 0; c < COLUMNS; c++)
                    if (c * WARP + lane < size)
                        out[e][c] += shares[warp * PLAIN_KEYS + key] * values[key * row_size + c * WARP + lane];
            __syncwarp(); /* before they are written again */
        }
    }
    for (int e = 0; e < EACH; e++) {
        const int row = warp * EACH + e;
        if (row >= tile.queries)
            continue;
        A *to = in.context + static_cast<size_t>(tile.row + row) * in.heads * size + head * size;
        for (int c = 0; c < COLUMNS; c++)
            if (c * WARP + lane < size)
                to[c * WARP + lane] = narrow<A>(out[e][c] / sum[e]);
    }
}

/* --- which of them -------------------------------------------------------------------------------- */

template <typename A> inline bool attends_on_tensor_cores(uint64_t head_size)
{
    return !std::is_same_v<A, float> && head_size <= TENSOR_HEAD_MAX;
}

template <typename A> inline int tile_queries(uint64_t head_size)
{
    return attends_on_tensor_cores<A>(head_size) ? TENSOR_QUERIES : PLAIN_QUERIES;
}

inline size_t plain_attention_shared(uint64_t head_size)
{
    return (2 * PLAIN_KEYS * (head_size + 1) + PLAIN_QUERIES * head_size + PLAIN_WARPS * PLAIN_KEYS) * sizeof(float);
}

template <typename A> cudaError_t run_attention(const AttentionInput<A> &in, uint64_t tiles, cudaStream_t stream)
{
    const dim3 grid(static_cast<unsigned>(tiles), static_cast<unsigned>(in.heads));
    if constexpr (!std::is_same_v<A, float>) {
#define BERTH_ATTEND(padded)                                                    \
    if (in.head_size <= padded) {                                               \
        auto kernel = attend_tensor_kernel<A, padded>;                          \
        LAUNCH(kernel, grid, TENSOR_WARPS * WARP, 0, stream, in);               \
        return cudaGetLastError();                                              \
    }
        BERTH_ATTEND(16)
        BERTH_ATTEND(32)
        BERTH_ATTEND(64)
        BERTH_ATTEND(96)
        BERTH_ATTEND(128)
#undef BERTH_ATTEND
    }
    auto kernel = attend_plain_kernel<A>;
    const size_t shared = plain_attention_shared(static_cast<uint64_t>(in.head_size));
    if (shared > 48 * 1024) {
        const cudaError_t error =
            cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
        if (error != cudaSuccess)
            return error;
    }
    LAUNCH(kernel, grid, PLAIN_WARPS * WARP, shared, stream, in);
    return cudaGetLastError();
}

} // namespace berth
