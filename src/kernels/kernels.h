/* kernels.h: the arithmetic of an encoder, one table of functions per instruction-set level.
 *
 * Kernels are pure functions over pointers and sizes: no allocation, no threads, no globals, no reads past
 * the end of an array. Arguments stand in the order output, inputs, sizes, strides, parameters; sizes and
 * strides count elements.
 *
 * Promise on bits: at one level, a row of a result depends on that row of the input (in attention: on that
 * text) and on nothing else: not on how many rows are computed together, nor on which piece of the work a
 * thread was given. Every output element of a matrix product is one chain of multiply-adds (fused from avx2
 * on) in increasing k.
 *
 * Values that are not finite spread as IEEE arithmetic has them spread; no kernel turns a NaN into a number.
 *
 * Letters: M rows (tokens), N output columns, K input columns, T tokens of one text, D size of a head. */
#ifndef BERTH_KERNELS_KERNELS_H
#define BERTH_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"

/* What a matrix product does to its sums before they are stored. */
enum berth_epilogue_act {
    BERTH_K_NONE,
    BERTH_K_GELU_ERF,  /* x * Phi(x), the exact one */
    BERTH_K_GELU_TANH, /* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) */
    BERTH_K_RELU,
    BERTH_K_SILU, /* x / (1 + exp(-x)) */
    BERTH_K_TANH
};

/* out[M,N] = act(a[M,K] . w[N,K]^T + bias[N]) + residual[M,N]
 *
 * Work is split by rows (any) or by columns (at a multiple of gemm_f32_nr: then `weights` starts at the first
 * panel of the piece, berth_gemm_f32_packed(kernels, first_column, k) floats into the packed matrix, and out,
 * bias and residual at that column). `out` may not overlap `a`. */
struct berth_gemm_f32 {
    float *out;            /* [M, N], row stride out_stride */
    const float *a;        /* [M, K], row stride a_stride */
    const float *weights;  /* packed by pack_f32: the panels of these N columns only */
    const float *bias;     /* [N] or NULL */
    const float *residual; /* [M, N], row stride residual_stride, or NULL; may be `out` itself */
    size_t m, n, k;        /* any of them may be 0 */
    size_t out_stride, a_stride, residual_stride;
    enum berth_epilogue_act act;
    float *scratch; /* gemm_f32_scratch(m, k) floats, 64-byte aligned; one per thread */
};

/* Attention of one head of one text: softmax(scale * q k^T) v, row i of out for query i. */
struct berth_attention_f32 {
    float *out;             /* [queries, D], row stride out_stride; may not overlap the inputs */
    const float *q, *k, *v; /* [queries, D], [T, D], [T, D], row stride qkv_stride */
    size_t queries;         /* rows of q and out when only the first tokens' are wanted; 0: T */
    size_t t, d;
    size_t out_stride, qkv_stride;
    float scale;
    float *scratch; /* attention_f32_scratch(t, d) floats, 64-byte aligned; one per thread */
};

/* --- int8 and bf16 -------------------------------------------------------------------------------------
 *
 * In int8 a number is q * scale with q in [-127, 127]: weights have a scale for each output column,
 * activations one for each row, found when the row is made. Sums are exact in 32 bits. Everything from
 * quantising to the last rounding of the result gives the same bits at every level.
 *
 * A tiled matrix holds rows of bytes in tiles of 16 rows x 64 bytes, each tile contiguous, the tiles of 16
 * rows one after another: what one AMX tile, or 16 broadcasts of 4 bytes, read. Byte b of row r lies at
 * berth_tiled_offset(r, b, row_bytes). Activations are stored as q + 128, unsigned, since the instructions
 * multiply unsigned by signed; bytes beyond K are 128. In bf16 a number takes two bytes, and is 0 beyond K.
 *
 * Packed weights are panels of 16 columns, each [K / 4][16][4] bytes in int8, [K / 2][16][2] numbers in bf16,
 * K filled up to a multiple of 64 bytes with zeros, N to one of 16. They are the same at every level. */
enum {
    BERTH_TILE_ROWS = 16,
    BERTH_TILE_BYTES = 64, /* of a row */
    BERTH_PANEL_COLUMNS = 16,
    BERTH_S8_K_MAX = 65536, /* K beyond which a sum might not fit 32 bits */
};

/* Bytes of a row of a tiled matrix of `bytes` bytes a row. */
static inline size_t berth_tiled_row(size_t bytes)
{
    return (bytes + BERTH_TILE_BYTES - 1) / BERTH_TILE_BYTES * BERTH_TILE_BYTES;
}

/* Bytes of a tiled matrix whose rows take row_bytes (of berth_tiled_row). The caller has bounded both. */
static inline size_t berth_tiled_size(size_t rows, size_t row_bytes)
{
    return (rows + BERTH_TILE_ROWS - 1) / BERTH_TILE_ROWS * BERTH_TILE_ROWS * row_bytes;
}

static inline size_t berth_tiled_offset(size_t row, size_t byte, size_t row_bytes)
{
    return row / BERTH_TILE_ROWS * BERTH_TILE_ROWS * row_bytes + row % BERTH_TILE_ROWS * BERTH_TILE_BYTES +
           byte / BERTH_TILE_BYTES * (BERTH_TILE_ROWS * BERTH_TILE_BYTES) + byte % BERTH_TILE_BYTES;
}

/* int8: out[M,N] = act(sum * a_scale[M] * w_scale[N] + bias[N]) + residual[M,N], with sum = offset[N] + a .
 * w^T: the offsets take the 128s back out. bf16: the same without scales and offsets, sums in fp32.
 *
 * Work is split by rows at multiples of BERTH_TILE_ROWS, by columns at multiples of BERTH_PANEL_COLUMNS (then
 * weights begin at berth_gemm_tiled_packed(first_column, bytes of a row of w) bytes, and all that goes by
 * column there too). */
struct berth_gemm_tiled {
    float *out;       /* [M, N], row stride out_stride */
    const uint8_t *a; /* tiled, rows of berth_tiled_row(bytes of k numbers), from a row that begins a tile */
    const void *weights;   /* packed by pack_s8 or pack_bf16: the panels of these N columns only */
    const float *a_scale;  /* [M]; int8 only, as the next two */
    const float *w_scale;  /* [N], readable up to a multiple of 16 */
    const int32_t *offset; /* [N], likewise */
    const float *bias;     /* [N] or NULL */
    const float *residual; /* [M, N], row stride residual_stride, or NULL; may be `out` itself */
    size_t m, n, k;        /* k at most BERTH_S8_K_MAX */
    size_t out_stride, residual_stride;
    enum berth_epilogue_act act;
};

/* LayerNorm's gradient over m rows: from dy and the rows x that went in (mean and deviation are computed
 * again). With g = dy * gamma and h = (x - mean) / deviation:
 * dx = (g - mean(g) - h mean(g h)) / deviation; dgamma += sum of dy h, dbeta += sum of dy, over the rows in
 * order. */
struct berth_layernorm_back_f32 {
    float *dx;             /* [M, N]; may be dy */
    float *dgamma, *dbeta; /* [N], added to */
    const float *dy, *x;   /* [M, N] */
    const float *gamma;    /* [N] */
    size_t m, n;           /* n > 0 */
    float eps;
};

/* Which elements a dropout keeps: element i of a tensor by a hash of i and the key alone, so that a mask is
 * made again instead of kept, and does not depend on how the work was cut. What is dropped becomes 0,
 * whatever it was. */
struct berth_dropout {
    uint64_t key;
    uint32_t threshold; /* of 2^32: the rate */
    float scale;        /* 1 / (1 - rate) of what is kept */
};

/* One AdamW step (decoupled weight decay, Loshchilov and Hutter 2019; the order of operations is PyTorch's):
 * p *= decay; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2;
 * p -= rate * m / (sqrt(v) * unbias + eps), all with g times `clip`. */
struct berth_adamw_f32 {
    float decay, beta1, beta2, eps;
    float rest1, rest2; /* 1 - beta1, 1 - beta2, rounded once */
    float rate;         /* learning rate / (1 - beta1^step) */
    float unbias;       /* 1 / sqrt(1 - beta2^step) */
    float clip;
};

struct berth_kernels {
    enum berth_isa isa; /* the level of these kernels */

    /* --- fp32 matrix product -------------------------------------------------------------------------------
     */
    const char *gemm_f32_name; /* as `berth info --plan` prints it: "f32_gemm_14x32__avx512" */
    size_t gemm_f32_nr;        /* columns of a panel; N is padded to a multiple of it when packing */

    /* Packs `count` rows of w[N,K] (Hugging Face's Linear.weight: out x in), beginning with row n0, into
     * their place in `packed`, which holds panels of nr columns, each [K][nr], zero-filled beyond N. `w`
     * points at row n0, its row stride is w_stride. n0 is a multiple of nr; count is one too unless n0 +
     * count is N. So matrices that are computed as one (query, key, value) can be packed one after another
     * when their heights are multiples of nr, and threads can pack pieces. */
    void (*pack_f32)(float *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride);
    /* Floats of scratch that do for every product of at most m rows and at most k input columns. */
    size_t (*gemm_f32_scratch)(size_t m, size_t k);
    void (*gemm_f32)(const struct berth_gemm_f32 *args);

    /* --- attention -----------------------------------------------------------------------------------------
     */
    const char *attention_f32_name;
    /* Floats of scratch that do for every text of at most t tokens with heads of at most d. */
    size_t (*attention_f32_scratch)(size_t t, size_t d);
    void (*attention_f32)(const struct berth_attention_f32 *args);

    /* --- row-wise ------------------------------------------------------------------------------------------
     */
    /* out[i] = (x[i] - mean(x)) / sqrt(var(x) + eps) * gamma + beta for each of m rows of n > 0; out may be
     * x. Mean and variance (biased) in two passes. */
    void (*layernorm_f32)(float *out, const float *x, const float *gamma, const float *beta, size_t m,
                          size_t n, size_t out_stride, size_t x_stride, float eps);
    /* out[n] = a[n] + b[n] + (c ? c[n] : 0): one embedding row. out may be a, b or c. */
    void (*add3_f32)(float *out, const float *a, const float *b, const float *c, size_t n);
    /* x[n] in place. */
    void (*act_f32)(float *x, size_t n, enum berth_epilogue_act act);
    /* Widening of stored weights; exact. x need only be aligned as uint16_t. */
    void (*widen_f16)(float *out, const uint16_t *x, size_t n);
    void (*widen_bf16)(float *out, const uint16_t *x, size_t n);
    /* True when every value is finite. */
    bool (*all_finite_f32)(const float *x, size_t n);
    /* out[m,n] = x[m,k] . w[n,k]^T + bias[n] (or NULL), for a classifier's few columns: layernorm_f32 and
     * dense_f32 give the same bits at every level. */
    void (*dense_f32)(float *out, const float *x, const float *w, const float *bias, size_t m, size_t n,
                      size_t k, size_t out_stride, size_t x_stride);

    /* --- int8: the same bits at every level ------------------------------------------------------------- */
    const char *gemm_s8_name;
    size_t gemm_s8_nr; /* columns that are computed together: where to cut */
    const char *attention_s8_name;
    /* Quantises rows [0, m) of x[m,n] into rows [row, row + m) of a tiled matrix, and their scales into
     * scale[0, m). A row that is not finite gets a scale that is not. */
    void (*quantize_s8)(uint8_t *tiled, float *scale, const float *x, size_t row, size_t m, size_t n,
                        size_t x_stride);
    /* out[n]: a row of such a matrix as floats again. */
    void (*dequantize_s8)(float *out, const uint8_t *tiled, float scale, size_t row, size_t n);
    /* Quantises and packs `count` rows of w[N,K], beginning with n0, a multiple of 16, into their place in
     * `packed`, with their scales and offsets into scale[n0...] and offset[n0...]; where the rows end before
     * a panel does, the panel is filled up with zeros. */
    void (*pack_s8)(int8_t *packed, float *scale, int32_t *offset, const float *w, size_t n0, size_t count,
                    size_t k, size_t w_stride);
    void (*gemm_s8)(const struct berth_gemm_tiled *args);
    /* Attention with its two products in int8: queries and keys with a scale a token, values one a column,
     * probabilities in steps of 1/255 of the largest. Arguments and scratch as attention_f32's. */
    size_t (*attention_s8_scratch)(size_t t, size_t d);
    void (*attention_s8)(const struct berth_attention_f32 *args);

    /* --- bf16 ---------------------------------------------------------------------------------------------
     */
    const char *gemm_bf16_name;
    size_t gemm_bf16_nr; /* columns that are computed together */
    /* As quantize_s8 and pack_s8: rounded to the nearest, ties to even. */
    void (*round_bf16)(uint8_t *tiled, const float *x, size_t row, size_t m, size_t n, size_t x_stride);
    void (*pack_bf16)(uint16_t *packed, const float *w, size_t n0, size_t count, size_t k, size_t w_stride);
    void (*gemm_bf16)(const struct berth_gemm_tiled *args);

    /* --- training ------------------------------------------------------------------------------------------
     */
    /* As pack_f32, of a matrix that lies the other way: x[K,N], pointing at column n0. */
    void (*pack_columns_f32)(float *packed, const float *x, size_t n0, size_t count, size_t k,
                             size_t x_stride);
    /* out[N,M] = x[M,N]^T; they may not overlap. */
    void (*transpose_f32)(float *out, const float *x, size_t m, size_t n, size_t out_stride, size_t x_stride);
    void (*layernorm_back_f32)(const struct berth_layernorm_back_f32 *args);
    /* dx[n] = dy[n] act'(x[n]); dx may be dy. */
    void (*act_back_f32)(float *dx, const float *dy, const float *x, size_t n, enum berth_epilogue_act act);
    /* x[n] = softmax(scale x), n > 0; and from dp, the gradient of p = softmax(scale x), that of x, in place.
     */
    void (*softmax_f32)(float *x, size_t n, float scale);
    void (*softmax_back_f32)(float *dp, const float *p, size_t n, float scale);
    /* out[n] = dropped x[n] + (residual ? residual[n] : 0); x[0] is element `first` of its tensor; out may be
     * x or residual. */
    void (*dropout_f32)(float *out, const float *x, const float *residual, size_t n, uint64_t first,
                        const struct berth_dropout *dropout);
    /* sums[n] += x[0][n] + x[1][n] + ..., in that order. */
    void (*column_sums_f32)(float *sums, const float *x, size_t m, size_t n, size_t x_stride);
    /* Sum of squares. */
    double (*squares_f32)(const float *x, size_t n);
    void (*adamw_f32)(float *p, const float *g, float *m, float *v, size_t n,
                      const struct berth_adamw_f32 *step);
    /* The same for `count` steps one after another with a gradient of 0. */
    void (*adamw_idle_f32)(float *p, float *m, float *v, size_t n, const struct berth_adamw_f32 *steps,
                           size_t count);
};

/* The best table at or below `max` that was compiled in; never NULL (scalar is always there). The caller
 * passes a level that the machine has (berth_cpu_detect). Levels without kernels of their own use the next
 * lower one's. */
const struct berth_kernels *berth_kernels_select(enum berth_isa max);

/* Floats of the packed form of w[n, k]. Saturates at SIZE_MAX / 4 on overflow. */
size_t berth_gemm_f32_packed(const struct berth_kernels *kernels, size_t n, size_t k);

/* Bytes of the packed form of w[n, k] whose rows take row_bytes: k in int8 (scales and offsets are apart), 2
 * k in bf16. Saturates at SIZE_MAX / 4. */
size_t berth_gemm_tiled_packed(size_t n, size_t row_bytes);

/* Weights that are stored as int8 steps, rows of k of them with a float32 scale each (maybe unaligned): rows
 * [n0, n0 + count) of w[N,K] into their place in `packed` as pack_s8 lays it, their scales and offsets beside it; n0
 * is a multiple of 16, and what fills the last panel up is zero. False when a step is -128, which no kernel takes. */
bool berth_s8_pack_steps(int8_t *packed, float *scale, int32_t *offset, const int8_t *steps, const void *scales,
                         size_t n0, size_t count, size_t k);
/* Back: steps[n, k] of a packed matrix. */
void berth_s8_unpack_steps(int8_t *steps, const int8_t *packed, size_t n, size_t k);
/* Rows [row, row + m) of a tiled matrix from steps[m, n], as quantize_s8 leaves them. False as above. */
bool berth_s8_tile_steps(uint8_t *tiled, const int8_t *steps, size_t row, size_t m, size_t n);

/* Runs each kernel of the table on small fixed problems against the plain C reference, in well below 5 ms;
 * returns the name of the first that is wrong ("gemm_f32"), NULL when all are right, "memory" when there
 * was none for the test. */
const char *berth_kernels_self_test(const struct berth_kernels *kernels);

#endif
