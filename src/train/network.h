/* network.h: the encoder with its head, forward with kept activations and backward to every gradient, on
 * packed texts (without padding). The formulas are encoder.h's; dropouts stand where Hugging Face's code has
 * them.
 *
 * What a classifier needs of the last layer is the first token's row: its keys and values come from all
 * tokens, everything else is computed for one row a text, forward and backward.
 *
 * All memory is one arena, made once for the largest batch. Where it would be more than the bounds allow, the
 * lowest layers share one set of activations, and all but the topmost of them are computed a second time when
 * the backward pass comes to them: the same bits, for time instead of memory. */
#ifndef BERTH_TRAIN_NETWORK_H
#define BERTH_TRAIN_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "berth/status.h"
#include "model/encoder.h"
#include "train/crew.h"
#include "train/weights.h"

/* Texts end to end: text i is tokens [offsets[i], offsets[i + 1]). Ids, types and positions are in range: the
 * caller has checked. */
struct berth_train_batch {
    size_t texts;
    const size_t *offsets;   /* [texts + 1], offsets[0] = 0, every text has a token */
    const int32_t *ids;      /* [tokens] */
    const uint8_t *type_ids; /* [tokens] */
    size_t masked;           /* tokens whose words are asked for; masked-language heads only */
    const size_t *slots;     /* [masked]: those tokens, ascending */
};

/* Where dropout happens. One key for each site and step makes all masks. */
struct berth_train_rates {
    double hidden, attention, classifier;
    uint64_t seed, step;
};

/* What a layer keeps for its backward pass. R rows: tokens, or texts in the last layer. */
struct berth_kept_layer {
    const float *in;      /* [tokens, C] borrowed */
    const float *first;   /* [R, C]: `in`, or its rows of first tokens */
    float *gathered;      /* [texts, C]: those rows; last layer only */
    float *query;         /* [R, C] */
    float *key_value;     /* [tokens, 2C] */
    float *share;         /* softmax of every head of every text, before dropout */
    float *context;       /* [R, C] */
    float *attention_sum; /* [R, C]: what the LayerNorm read */
    float *attention_out; /* [R, C]: what it gave */
    float *ffn_sum;       /* [R, F]: before the activation */
    float *ffn_act;       /* [R, F] */
    float *sum, *out;     /* [R, C] */
    bool again;           /* others have used these activations since: compute them again, from `in` */
};

struct berth_network {
    const struct berth_weights *weights; /* borrowed */
    struct berth_crew crew;              /* kernels and team are the caller's, scratch is the arena's */
    struct berth_arena arena;
    bool bf16; /* products of the layers with operands rounded to bf16; may be set between passes */
    enum berth_epilogue_act act, pooler_act;
    enum berth_family family;
    size_t pad; /* id whose embedding has no gradient */
    float eps;
    size_t max_tokens, max_texts, max_pairs;
    size_t sharing; /* lowest layers with one set of activations (but for `out`) */
    /* The batch at work, copied so that the caller's arrays may change between forward and backward. */
    size_t texts, tokens;
    size_t *offsets;    /* [max_texts + 1] */
    size_t *pairs;      /* [max_texts + 1]: where a text's softmax begins, in tokens x padded tokens */
    size_t *order;      /* [max_texts]: texts, longest first */
    int32_t *ids;       /* [max_tokens] */
    uint8_t *types;     /* [max_tokens] */
    int32_t *positions; /* [max_tokens] */
    struct berth_train_rates rates;
    bool drops; /* this pass */
    /* Kept activations. */
    float *embedded, *normed, *projected; /* [tokens, E]: LayerNorm's input, its output; [tokens, C] */
    struct berth_kept_layer *layer;       /* [L], owned */
    float *head_in, *pool_sum, *pool_out; /* [texts, C] */
    float *logits;                        /* [texts, labels], or [masked, V] */
    size_t max_masked, masked;
    size_t *slots;      /* [max_masked] */
    float *masked_loss; /* [max_masked, 2]: the loss of a word, and whether it was predicted */
    float *masked_in, *masked_sum, *masked_act, *masked_out; /* [max_masked, C], then [max_masked, E] */
    /* Gradients on their way back. */
    const float *d_first; /* [texts, C] borrowed, or NULL: of the first tokens' last hidden states, besides
                             the head's; set before the backward pass */
    float *d_out, *d_mid, *d_ffn, *d_query,
        *d_key_value; /* [tokens, C], [tokens, C], [tokens, F], [tokens, C], [tokens, 2C] */
};

/* Bounds of a batch; max_pairs is the sum of berth_network_pairs over its texts. */
struct berth_network_bounds {
    size_t tokens, texts, pairs, longest;
    size_t memory; /* bytes of the arena at most; 0: as many as it takes */
};
size_t berth_network_pairs(size_t length);

enum berth_status berth_network_new(const struct berth_encoder *encoder, const struct berth_weights *weights,
                                    const struct berth_kernels *kernels, struct berth_team *team,
                                    const struct berth_network_bounds *bounds, struct berth_network **network,
                                    struct berth_error *err);
void berth_network_free(struct berth_network *network); /* NULL is fine */

/* Slots that a batch of so many tokens may have. */
size_t berth_network_slots(size_t tokens);

/* Last hidden states [texts, C] of the first tokens of the batch that went forward last; classifiers only. */
const float *berth_network_first(const struct berth_network *network);

/* Logits [texts, labels] of the batch, in network->logits. rates NULL: nothing is dropped (evaluation). */
void berth_network_forward(struct berth_network *network, const struct berth_train_batch *batch,
                           const struct berth_train_rates *rates);

/* With a masked-language head: the mean cross entropy of the words at the slots, whose logits become their
 * gradient times `scale`; *right counts words that are predicted rightly. */
double berth_network_masked_loss(struct berth_network *network, const int32_t *words, double scale,
                                 size_t *right);

/* Adds the gradient of every weight to weights->grad, for the batch that went forward last and the gradient
 * dlogits [texts, labels]. */
void berth_network_backward(struct berth_network *network, const float *dlogits);

/* --- for the files of this room ------------------------------------------------------------------- */

/* Softmax and context of all heads; and from the gradient of the context those of query, key and value. */
void berth_network_attend(struct berth_network *network, size_t layer);
void berth_network_attend_back(struct berth_network *network, size_t layer, const float *d_context);
size_t berth_network_attend_scratch(const struct berth_kernels *kernels, size_t longest, size_t d);

/* The dropout of a site (layer, and which of it), or NULL when nothing is dropped there. Element i of a site's numbers,
 * rows of a batch end to end, is dropped by a hash of i; of the softmax, element r * stride + c of row r of a head whose
 * numbers begin at heads * (pairs of the texts before) + head * length * stride, stride being the length rounded up to
 * 16. */
enum berth_dropout_site {
    BERTH_DROP_EMBEDDING,
    BERTH_DROP_SHARE,
    BERTH_DROP_ATTENTION,
    BERTH_DROP_FFN,
    BERTH_DROP_HEAD_IN,
    BERTH_DROP_HEAD_OUT,
    BERTH_DROP_SITES
};
const struct berth_dropout *berth_dropout_at(const struct berth_train_rates *rates, enum berth_family family,
                                             size_t layer, enum berth_dropout_site site,
                                             struct berth_dropout *dropout); /* rates NULL: nothing is dropped */
const struct berth_dropout *berth_network_dropout(const struct berth_network *network, size_t layer,
                                                  enum berth_dropout_site site,
                                                  struct berth_dropout *dropout);

#endif
