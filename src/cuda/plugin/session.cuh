/* session.cuh: one worker's streams and buffers, and a batch's way through them.
 *
 *   stage ─▶ pinned ──in──▶ input[slot] ──work──▶ logits[slot] ──out──▶ pinned ─▶ collect
 *
 * in, work and out are streams. There are two slots, so that one batch is copied while another computes. Small batches
 * run as CUDA graphs, one for each shape that comes again. */
#pragma once

#include "attention.cuh"
#include "model.cuh"

namespace berth {

constexpr int SLOTS = 2, GRAPHS = 32, GRAPH_TOKENS = 2048;

/* A batch's input as it lies on the device, and at the same distances in pinned memory. */
struct Input {
    int32_t *ids, *positions;  /* [tokens] */
    int32_t *begin;            /* [texts]: first tokens */
    Tile *tiles, *first_tiles; /* of all queries; of first tokens, one a text */
    uint8_t *types;            /* [tokens] */
};

struct Shape {
    uint64_t tokens = 0, texts = 0, tiles = 0;
    bool operator==(const Shape &o) const { return tokens == o.tokens && texts == o.texts && tiles == o.tiles; }
};

/* Where the parts of an input lie, in bytes from its start. */
struct InputPlaces {
    size_t ids, positions, begin, tiles, first_tiles, types, end;
    Input in(unsigned char *base) const;
};
InputPlaces place_input(const Shape &shape);
uint64_t count_tiles(const berth_cuda_batch &batch, int queries);
/* Fills place_input(shape).end bytes. */
void stage_input(const berth_cuda_batch &batch, const Shape &shape, int queries, unsigned char *to);

} // namespace berth

struct berth_cuda_session {
    const berth_cuda_model *model = nullptr;
    uint64_t max_tokens = 0, max_texts = 0, max_tiles = 0;
    int queries = 0; /* of a tile */
    cudaStream_t in = nullptr, work = nullptr, out = nullptr;
    struct Slot {
        unsigned char *pinned = nullptr, *input = nullptr;               /* host, device */
        float *logits = nullptr, *first = nullptr;                       /* device: [texts, labels], [texts, C] */
        float *pinned_logits = nullptr, *pinned_first = nullptr;
        cudaEvent_t uploaded = nullptr, computed = nullptr, done = nullptr;
        berth_cuda_outputs wanted = {};
        uint64_t texts = 0;
    } slot[berth::SLOTS];
    uint64_t submitted = 0, collected = 0;

    unsigned char *block = nullptr; /* the workspace, which the rest lies in */
    uint64_t bytes = 0;
    void *embedded = nullptr, *x = nullptr, *sum = nullptr, *qkv = nullptr, *context = nullptr, *ffn = nullptr;
    void *first = nullptr, *query = nullptr; /* [texts, C] */
    float *pooled = nullptr;                 /* [texts, C] */
    void *quantised = nullptr, *sums = nullptr; /* INT8 and FP8: rounded rows, and what products make of them */
    float *scales = nullptr;                    /* [tokens] */
    void *wide = nullptr;                       /* [wide_numbers] floats on their way to the caller */
    uint64_t wide_numbers = 0;
    void *lt_workspace = nullptr;

    struct Graph {
        berth::Shape shape;
        int slot = 0;
        uint64_t used = 0;             /* 0: free */
        cudaGraphExec_t run = nullptr; /* NULL: came once, captured when it comes again */
    } graph[berth::GRAPHS];

    ~berth_cuda_session();
};

namespace berth {

int open_session(const berth_cuda_model &model, uint64_t max_tokens, uint64_t max_texts, berth_cuda_session **session,
                 const Message &message);
int submit(berth_cuda_session &session, const berth_cuda_batch &batch, const berth_cuda_outputs &outputs,
           const Message &message);
int collect(berth_cuda_session &session, const Message &message);

/* The encoder on the work stream, from input to logits; one for each kind of numbers (forward_*.cu). */
struct Pass {
    berth_cuda_session &session;
    berth_cuda_session::Slot &slot;
    Shape shape;
    const berth_cuda_outputs &wanted;
    const Message &message;
};
int forward_f32(const Pass &pass);
int forward_bf16(const Pass &pass);
int forward_f16(const Pass &pass);
int forward_int8(const Pass &pass);
int forward_fp8(const Pass &pass);

} // namespace berth
