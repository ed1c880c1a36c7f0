/* train.cuh: what training keeps on the device: the flat arrays, the activations of one batch, and its way through them.
 *
 *   stage ─▶ pinned ──▶ input ──forward──▶ kept activations, logits ──▶ host: the loss and its gradient
 *   ──backward──▶ grad (+=) ──update──▶ value, moments, rounded; grad = 0
 *
 * One stream, in order. */
#pragma once

#include <memory>
#include <vector>

#include "model.cuh"
#include "train_attention.cuh"
#include "train_product.cuh"

namespace berth {

/* Some numbers of a span. */
struct UpdatePiece {
    uint64_t first;
    uint32_t count, span;
    int32_t frozen;
};
constexpr int UPDATE_THREADS = 256, UPDATE_PIECE = UPDATE_THREADS * 16;

struct Clip {
    double norm;
    float factor;
    int32_t finite;
};

/* A batch as it lies on the device, and at the same distances in pinned memory. */
struct TrainInput {
    int32_t *ids, *positions;        /* [tokens] */
    int32_t *begin, *slots, *words;  /* [texts]; [masked] */
    TrainTile *tiles, *first_tiles;  /* of all tokens; of first tokens, one a text */
    int32_t *list;                   /* [3 tokens]: tokens by word, by position, by type */
    TablePiece *pieces;
    TableJoin *joins;
    uint8_t *types;                  /* [tokens] */
    size_t bytes;
};
struct TrainShape {
    uint64_t tokens = 0, texts = 0, masked = 0, tiles = 0, pieces = 0, joins = 0, partials = 0;
};
TrainInput place_train_input(const TrainShape &bound, unsigned char *base);

/* What a layer keeps, of A (void: float or bf16). R rows: tokens, or texts in a classifier's last layer. */
struct KeptLayer {
    void *gathered;              /* [texts, C]: first tokens' rows; last layer of a classifier only */
    void *query, *key_value;     /* [R, C], [tokens, 2C] */
    void *context;               /* [R, C] */
    float *log_sums;             /* [R, H] */
    void *attention_sum, *attention_out, *ffn_sum, *ffn_act, *sum, *out;
};

} // namespace berth

struct berth_cuda_trainer {
    berth_cuda_train_config config; /* its arrays are those below */
    std::vector<berth_cuda_train_layer> layers;
    std::vector<berth_cuda_span> spans;
    int device = 0;
    berth::Kind kind = berth::Kind::F32;
    uint64_t head_size = 0, bytes = 0;
    std::vector<void *> owned; /* device */
    float *value = nullptr, *grad = nullptr, *first = nullptr, *second = nullptr; /* [total] */
    void *rounded = nullptr;                                                      /* [total] bf16; F32: value */
    berth::UpdatePiece *pieces = nullptr;
    uint64_t piece_count = 0;
    double *squares = nullptr; /* [pieces] */
    berth_cuda_adamw *steps = nullptr, *pinned_steps = nullptr;
    berth::Clip *clip = nullptr, *pinned_clip = nullptr;

    cudaStream_t stream = nullptr;
    cudaEvent_t uploaded = nullptr;
    unsigned char *pinned = nullptr, *input = nullptr;
    berth::TrainShape bound, shape;
    std::vector<berth_cuda_dropout> dropout; /* [L + 1, sites] of the batch at work */
    bool drops = false;

    unsigned char *block = nullptr;
    void *embedded = nullptr, *normed = nullptr, *projected = nullptr; /* [tokens, E], [tokens, C] */
    std::vector<berth::KeptLayer> kept;
    float *head_in = nullptr, *pool_sum = nullptr, *pool_out = nullptr; /* [texts, C] */
    float *logits = nullptr;                                            /* [texts, labels] or [masked, V] */
    float *dlogits = nullptr, *dfirst = nullptr;                        /* [texts, labels], [texts, C] */
    float *masked_in = nullptr, *masked_sum = nullptr, *masked_act = nullptr, *masked_out = nullptr;
    float *masked_loss = nullptr, *pinned_loss = nullptr; /* [masked, 2] */
    float *pinned_logits = nullptr, *pinned_first = nullptr; /* [texts, labels], [texts, C] */
    void *d_out = nullptr, *d_mid = nullptr, *d_ffn = nullptr, *d_query = nullptr, *d_key_value = nullptr;
    float *d_head = nullptr, *d_head_in = nullptr; /* [texts, C], or [masked, widest of C and E] */
    float *deltas = nullptr;                       /* [tokens, H] */
    float *partial = nullptr;
    void *lt_workspace = nullptr;
    berth::TrainProducts products;

    ~berth_cuda_trainer();
};

namespace berth {

int open_trainer(const berth_cuda_train_config &config, int device, berth_cuda_trainer **trainer, const Message &message);
int read_array(berth_cuda_trainer &t, int array, float *numbers, const Message &message);
int write_array(berth_cuda_trainer &t, int array, const float *numbers, const Message &message);
int train_forward(berth_cuda_trainer &t, const berth_cuda_train_batch &batch, float *logits, float *first,
                  const Message &message);
int train_masked_loss(berth_cuda_trainer &t, const int32_t *words, double scale, double *loss, uint64_t *right,
                      const Message &message);
int train_backward(berth_cuda_trainer &t, const float *dlogits, const float *dfirst, const Message &message);
int train_update(berth_cuda_trainer &t, const berth_cuda_adamw *steps, double max_norm, double *norm, const Message &message);

/* On the stream, for one kind of numbers (train_f32.cu, train_bf16.cu). backward: from dlogits, and from dfirst when it is
 * given, on the device. */
int forward_f32(berth_cuda_trainer &t, const Message &message);
int forward_bf16(berth_cuda_trainer &t, const Message &message);
int backward_f32(berth_cuda_trainer &t, bool dfirst, const Message &message);
int backward_bf16(berth_cuda_trainer &t, bool dfirst, const Message &message);
/* The first tokens' last hidden states, widened into dfirst. */
int first_f32(berth_cuda_trainer &t, const Message &message);
int first_bf16(berth_cuda_trainer &t, const Message &message);

} // namespace berth
