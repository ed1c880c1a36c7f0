/* weights.h: every number that training changes, in one flat array, with its gradient in a second array at
 * the same place (and the optimiser's moments in further ones).
 *
 * A weight is found by its place: `weights->value + linear.w`. Query, key and value lie one after another, so
 * that they can be used as one matrix. Names are Hugging Face's, with the family's prefix, whatever the
 * checkpoint that training started from called them. */
#ifndef BERTH_TRAIN_WEIGHTS_H
#define BERTH_TRAIN_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "kernels/kernels.h"
#include "model/encoder.h"

/* Places in the flat arrays. */
struct berth_train_linear {
    size_t w, b; /* w [N, K], b [N] */
    size_t n, k;
};

struct berth_train_norm {
    size_t gamma, beta; /* [n] */
    size_t n;
};

struct berth_train_layer {
    struct berth_train_linear query;     /* [C, C] */
    struct berth_train_linear key_value; /* [2C, C]: key, then value; follows query */
    struct berth_train_linear attention_out;
    struct berth_train_norm attention_norm;
    struct berth_train_linear ffn_in, ffn_out;
    struct berth_train_norm ffn_norm;
};

/* One tensor of the checkpoint. */
struct berth_weight {
    char name[96];
    size_t rank, rows, columns; /* columns 0: a vector */
    size_t first, elements;     /* place */
    bool decays;                /* weight decay applies: neither a bias nor of a LayerNorm */
    bool fresh;                 /* was not in the checkpoint */
    size_t depth;               /* 0 embeddings, 1 ... L layers, L + 1 head */
};

struct berth_weights {
    float *value, *grad; /* [total], owned */
    size_t total;
    struct berth_weight *list; /* [count], owned, in order of `first` */
    size_t count;
    size_t embedding, hidden, ffn, heads, layers, labels; /* E, C, F, H, L */
    size_t vocab, positions, types;                       /* types 0: none */
    size_t word, position, type;                          /* [V, E], [P, E], [types, E] */
    struct berth_train_norm embedding_norm;
    bool has_project;
    struct berth_train_linear project;
    struct berth_train_layer *layer;              /* [L], owned */
    struct berth_train_linear pooler, classifier; /* n 0 when masked */
    bool masked; /* a masked-language head instead: logits = norm(act(x . transform)) . word^T + bias */
    struct berth_train_linear transform; /* [E, C] */
    struct berth_train_norm transform_norm;
    size_t output_bias; /* [V] */
};

struct berth_weights_options {
    size_t labels; /* of the head, when the encoder brings none of its own */
    size_t vocab;  /* rows of a random encoder's word embedding; 0: the preset's */
    uint64_t seed; /* of weights that are made anew */
    bool masked;   /* with a masked-language head, tied to the word embedding */
};

/* Copies the encoder's weights, widened; what it lacks (the head of a bare encoder, everything of a random
 * one) is drawn as Hugging Face's code does: normal with initializer_range, biases 0, LayerNorm 1 and 0.
 * Weights that are not finite are refused by name. The encoder is no longer needed afterwards. */
enum berth_status berth_weights_new(const struct berth_encoder *encoder,
                                    const struct berth_weights_options *options,
                                    const struct berth_kernels *kernels, struct berth_weights **weights,
                                    struct berth_error *err);
void berth_weights_free(struct berth_weights *weights); /* NULL is fine */

/* Reads weights->value back from such a file. */
enum berth_status berth_weights_read(struct berth_weights *weights, const char *path,
                                     struct berth_error *err);

/* Writes one of the flat arrays as safetensors under the weights' names, sorted, atomically. metadata as for
 * berth_safetensors_write. */
enum berth_status berth_weights_write(const struct berth_weights *weights, const float *numbers,
                                      const char *path, const char *const *metadata, struct berth_error *err);

#endif
