/* encoder.h: one description of a BERT-family encoder with its classification head: configuration and typed
 * weights. BERT, DistilBERT and ELECTRA are tables of tensor names and a few switches (families.c); nothing
 * after this room knows which one it was, or which file the weights came from.
 *
 *   x   = LayerNorm(word[id] + position[p] + type[t])            E columns
 *   x   = x . project^T + b                                      C columns, only when project is present
 * (ELECTRA) for each layer: x = LayerNorm(x + attention(x . q^T, x . k^T, x . v^T) . attention_out^T + b) x =
 * LayerNorm(x + act(x . ffn_in^T + b) . ffn_out^T + b) pooled = pooler_act(x[first token] . pooler^T + b)
 *   logits = pooled . classifier^T + b */
#ifndef BERTH_MODEL_ENCODER_H
#define BERTH_MODEL_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "formats/checkpoint.h"
#include "formats/hf_config.h"
#include "formats/tensor.h"

/* Weights are views (F32, F16, BF16, or I8 with scales) on the checkpoint or on memory the encoder owns;
 * absent: elements == 0. The weights of a random model are not stored but generated when read (data == NULL),
 * except the word embedding. berth_encoder_read serves all of them. */
struct berth_linear {
    struct berth_tensor weight; /* [out, in] */
    struct berth_tensor bias;   /* [out] */
    /* BF16, FP32: a plan in coarser numbers multiplies this weight in these all the same. PLAIN, INT8: as the
     * plan. Query, key and value of a layer have the same, which is its attention's too. */
    enum berth_stored keep;
};

struct berth_norm {
    struct berth_tensor gamma; /* [C] */
    struct berth_tensor beta;  /* [C] */
};

struct berth_layer {
    struct berth_linear query, key, value; /* [C, C] */
    struct berth_linear attention_out;     /* [C, C] */
    struct berth_norm attention_norm;      /* [C] */
    struct berth_linear ffn_in;            /* [F, C] */
    struct berth_linear ffn_out;           /* [C, F] */
    struct berth_norm ffn_norm;            /* [C] */
};

struct berth_encoder {
    struct berth_config config;             /* owned */
    struct berth_tensor word_embedding;     /* [V, E] */
    enum berth_stored word_keep;            /* as a linear's */
    struct berth_tensor position_embedding; /* [P, E] */
    struct berth_tensor type_embedding;     /* [type_vocab_size, E]; absent for DistilBERT */
    struct berth_norm embedding_norm;       /* [E] */
    struct berth_linear project;            /* [C, E]; absent unless E != C */
    struct berth_layer *layers;             /* [L], owned */
    struct berth_linear pooler;             /* [C, C]; may be absent without a head */
    enum berth_activation pooler_act;       /* BERT tanh, DistilBERT relu, ELECTRA exact gelu */
    struct berth_linear classifier;         /* [labels, C]; absent without a head */
    bool has_head;                          /* pooler and classifier are present */
    size_t parameters;                      /* numbers in the weights used */
    struct berth_checkpoint *checkpoint;    /* owned; NULL for random weights */
    uint64_t seed;                          /* of random weights */
    void *names, *memory; /* owned: tensor names of a random model; the word embedding, settled */
    void *quantized;      /* owned: weights that were quantised in memory, as long as the views live */
};

/* Opens config.json and the weights of a model directory. Where quantization_config says so, the weights of
 * products and the word embedding are I8 with float32 scales beside them ("NAME_scale"), or kept finer;
 * anything else than what it says is refused by the tensor's name. Missing or mis-shaped tensors are refused
 * by name with both shapes; extra ones (pre-training heads, position_ids) are ignored. A checkpoint that has
 * no classifier, and whose configuration claims none, opens with has_head false. */
enum berth_status berth_encoder_open(const char *directory, struct berth_encoder **encoder,
                                     struct berth_error *err);

/* The same over an already parsed configuration (taken: cleared in the caller) and checkpoint (taken), both
 * also on failure. `name` stands in messages. */
enum berth_status berth_encoder_bind(struct berth_config *config, struct berth_checkpoint *checkpoint,
                                     const char *name, struct berth_encoder **encoder,
                                     struct berth_error *err);

/* A published architecture with seeded random weights (deviation initializer_range) and two labels:
 * "bert-base", ...; "bert-base@7" sets the seed. The same name gives the same weights on every machine. */
enum berth_status berth_encoder_random(const char *preset, struct berth_encoder **encoder,
                                       struct berth_error *err);

/* Names of the presets, NULL-terminated, static. */
const char *const *berth_encoder_presets(void);

void berth_encoder_free(struct berth_encoder *encoder); /* NULL and half-built are fine */

/* Numbers [first, first + count) of one of the encoder's weights as float32: widened, or generated. */
void berth_encoder_read(const struct berth_encoder *encoder, const struct berth_tensor *tensor, size_t first,
                        size_t count, float *out);

/* The bytes of one weight may leave resident memory; all views stay valid. */
void berth_encoder_forget(const struct berth_encoder *encoder, const struct berth_tensor *tensor);

/* Lets go of the weight files, once everything was packed: all views die, but for the word embedding when
 * keep_words asks for it, which moves into memory of the encoder's own, as it is stored. From then on nothing
 * that happens to the files can reach this process. */
enum berth_status berth_encoder_settle(struct berth_encoder *encoder, bool keep_words,
                                       struct berth_error *err);

/* "tensor 'NAME' of model.safetensors" for messages; returns text. */
char *berth_encoder_locate(const struct berth_encoder *encoder, const struct berth_tensor *tensor, char *text,
                           size_t size);

#endif
