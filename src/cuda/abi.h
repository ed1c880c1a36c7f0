/* abi.h: what libberth and its plugin for NVIDIA GPUs say to each other: plain C, nothing of berth's own rooms. The
 * library loads libberth_cuda.so with dlopen when --runtime cuda asks for it, takes the table below from its one symbol,
 * and refuses another ABI number. So berth itself is linked to nothing of CUDA. */
#ifndef BERTH_CUDA_ABI_H
#define BERTH_CUDA_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { BERTH_CUDA_ABI = 2, BERTH_CUDA_MESSAGE = 400 };
#define BERTH_CUDA_SYMBOL "berth_cuda_table"

/* What a call came to. On all but OK, message holds one sentence. */
enum berth_cuda_result {
    BERTH_CUDA_OK,
    BERTH_CUDA_ABSENT,      /* no driver, no device, or one too old */
    BERTH_CUDA_NO_MEMORY,   /* of the device or pinned; the process goes on */
    BERTH_CUDA_UNSUPPORTED, /* this model or number on this device */
    BERTH_CUDA_NOT_FINITE,  /* logits overflowed */
    BERTH_CUDA_FAULT        /* anything else that CUDA or cuBLASLt said */
};

/* Numbers that the products multiply. Sums are float (int32 for INT8) throughout. */
enum berth_cuda_number {
    BERTH_CUDA_F32, /* without TF32 */
    BERTH_CUDA_BF16,
    BERTH_CUDA_F16,
    BERTH_CUDA_INT8, /* weights a scale a column, activations a scale a token; between products bf16 */
    BERTH_CUDA_FP8,  /* e4m3, scaled in the same way */
    BERTH_CUDA_NUMBERS
};

enum berth_cuda_act {
    BERTH_CUDA_GELU_ERF,
    BERTH_CUDA_GELU_TANH,
    BERTH_CUDA_RELU,
    BERTH_CUDA_SILU,
    BERTH_CUDA_TANH
};

/* Letters as everywhere: C hidden, E embedding, H heads, F feed-forward, L layers, V vocabulary, P positions. */
struct berth_cuda_config {
    uint64_t hidden, embedding, heads, ffn, layers, labels; /* labels 0: no head */
    uint64_t vocab, positions, types;                       /* types 0: none */
    int act, pooler_act;                                    /* enum berth_cuda_act */
    float eps;
    int number; /* enum berth_cuda_number */
};

/* Weights by role. A layer's have its index; the others 0. */
enum berth_cuda_weight {
    BERTH_CUDA_WORD, /* [V, E] */
    BERTH_CUDA_POSITION,
    BERTH_CUDA_TYPE,
    BERTH_CUDA_EMBED_GAMMA, /* [E] */
    BERTH_CUDA_EMBED_BETA,
    BERTH_CUDA_PROJECT, /* [C, E], only when E != C */
    BERTH_CUDA_PROJECT_BIAS,
    BERTH_CUDA_QUERY, /* [C, C] */
    BERTH_CUDA_KEY,
    BERTH_CUDA_VALUE,
    BERTH_CUDA_QUERY_BIAS, /* [C] */
    BERTH_CUDA_KEY_BIAS,
    BERTH_CUDA_VALUE_BIAS,
    BERTH_CUDA_OUT, /* [C, C] */
    BERTH_CUDA_OUT_BIAS,
    BERTH_CUDA_OUT_GAMMA,
    BERTH_CUDA_OUT_BETA,
    BERTH_CUDA_FFN_IN, /* [F, C] */
    BERTH_CUDA_FFN_IN_BIAS,
    BERTH_CUDA_FFN_OUT, /* [C, F] */
    BERTH_CUDA_FFN_OUT_BIAS,
    BERTH_CUDA_FFN_GAMMA,
    BERTH_CUDA_FFN_BETA,
    BERTH_CUDA_POOLER, /* [C, C] */
    BERTH_CUDA_POOLER_BIAS,
    BERTH_CUDA_CLASSIFIER, /* [labels, C] */
    BERTH_CUDA_CLASSIFIER_BIAS,
    BERTH_CUDA_WEIGHTS
};

/* Hands out numbers [first, first + count) of a weight as float32. */
typedef void berth_cuda_read(void *context, int weight, uint64_t layer, uint64_t first, uint64_t count, float *out);

struct berth_cuda_device {
    char name[128];
    int major, minor;           /* compute capability */
    int driver, runtime;        /* CUDA versions, 13000 */
    int multiprocessors;
    uint64_t memory, free_memory; /* bytes */
};

/* Texts end to end, without padding: text i is tokens [offsets[i], offsets[i + 1]). The caller has checked ids, types
 * and lengths against the model. */
struct berth_cuda_batch {
    uint64_t texts;
    const uint64_t *offsets; /* [texts + 1] */
    const int32_t *ids;
    const uint8_t *types;     /* NULL: all 0 */
    const int32_t *positions; /* NULL: 0, 1, ... in each text */
};

/* NULL members are not computed. */
struct berth_cuda_outputs {
    float *logits; /* [texts, labels] */
    float *first;  /* [texts, C] last hidden state of the first token */
    float *tokens; /* [tokens, C] last hidden state */
    float *hidden; /* [L + 1, tokens, C] */
};

/* --- training -------------------------------------------------------------------------------------
 * Weights, gradients and both moments are flat arrays of float32, laid out by the library; the plugin is told places, in
 * numbers from the start. A matrix is [N, K], its bias [N]. */

struct berth_cuda_linear {
    uint64_t w, b;
};
struct berth_cuda_norm {
    uint64_t gamma, beta;
};
struct berth_cuda_train_layer {
    struct berth_cuda_linear query, key_value; /* [C, C]; [2C, C]: key, then value */
    struct berth_cuda_linear out, ffn_in, ffn_out;
    struct berth_cuda_norm out_norm, ffn_norm;
};

/* Numbers that are updated alike: a weight. All of them, in order, without gaps. */
struct berth_cuda_span {
    uint64_t first, count;
    int frozen; /* left as they are, and out of the norm */
};

struct berth_cuda_train_config {
    struct berth_cuda_config model; /* number: F32 or BF16 (what lies between products, and their operands) */
    uint64_t total;
    uint64_t word, position, type; /* [V, E], [P, E], [types, E] */
    struct berth_cuda_norm embedding_norm;
    struct berth_cuda_linear project; /* [C, E], only when E != C */
    const struct berth_cuda_train_layer *layer; /* [L], read while it is opened */
    int masked; /* a head that guesses masked words, tied to the word embedding, in place of pooler and classifier */
    struct berth_cuda_linear pooler, classifier;
    struct berth_cuda_linear transform; /* [E, C] */
    struct berth_cuda_norm transform_norm;
    uint64_t output_bias; /* [V] */
    const struct berth_cuda_span *spans;
    uint64_t span_count;
    uint64_t pad; /* the word whose embedding has no gradient */
    uint64_t max_tokens, max_texts, max_masked;
};

enum berth_cuda_site { /* where dropout happens in a layer; the head's are in layer L, the embedding's in layer 0 */
    BERTH_CUDA_DROP_EMBEDDING,
    BERTH_CUDA_DROP_SHARE,
    BERTH_CUDA_DROP_ATTENTION,
    BERTH_CUDA_DROP_FFN,
    BERTH_CUDA_DROP_HEAD_IN,
    BERTH_CUDA_DROP_HEAD_OUT,
    BERTH_CUDA_DROP_SITES
};

/* Number i is dropped when a hash of i and the key is below the threshold; what is kept is multiplied by the scale. */
struct berth_cuda_dropout {
    uint64_t key;
    uint32_t threshold; /* of 2^32; 0: nothing is dropped */
    float scale;
};

struct berth_cuda_train_batch {
    uint64_t texts;
    const uint64_t *offsets; /* [texts + 1] */
    const int32_t *ids;
    const uint8_t *types;
    uint64_t masked;
    const uint64_t *slots;                    /* [masked] tokens whose words are asked for, ascending */
    const struct berth_cuda_dropout *dropout; /* [L + 1, BERTH_CUDA_DROP_SITES]; NULL: nothing is dropped */
};

/* One step of AdamW, of a span: p *= decay; m = beta1 m + rest1 g; v = beta2 v + rest2 g g;
 * p -= rate m / (sqrt(v) unbias + eps), g times what clips the norm. */
struct berth_cuda_adamw {
    float decay, beta1, beta2, eps, rest1, rest2, rate, unbias;
};

enum berth_cuda_array { BERTH_CUDA_VALUES, BERTH_CUDA_GRADIENTS, BERTH_CUDA_FIRST_MOMENTS, BERTH_CUDA_SECOND_MOMENTS };

struct berth_cuda_model;   /* immutable; any number of sessions */
struct berth_cuda_session; /* one thread at a time */
struct berth_cuda_trainer; /* one thread at a time */
struct berth_cuda_table {
    int abi;
    const char *built; /* "CUDA 13.0, sm_80 sm_90" */
    int (*devices)(int *count, char message[BERTH_CUDA_MESSAGE]);
    int (*describe)(int device, struct berth_cuda_device *facts, char message[BERTH_CUDA_MESSAGE]);

    int (*model_open)(const struct berth_cuda_config *config, int device, berth_cuda_read *read, void *context,
                      struct berth_cuda_model **model, char message[BERTH_CUDA_MESSAGE]);
    void (*model_close)(struct berth_cuda_model *model);
    uint64_t (*model_bytes)(const struct berth_cuda_model *model); /* on the device */

    int (*session_open)(const struct berth_cuda_model *model, uint64_t max_tokens, uint64_t max_texts,
                        struct berth_cuda_session **session, char message[BERTH_CUDA_MESSAGE]);
    void (*session_close)(struct berth_cuda_session *session);
    uint64_t (*session_bytes)(const struct berth_cuda_session *session);
    /* Two batches may be under way: submit puts one in and returns, collect waits for the oldest and copies its results
     * to where submit was told. The batch's arrays may change after submit, the outputs not before collect. */
    int (*submit)(struct berth_cuda_session *session, const struct berth_cuda_batch *batch,
                  const struct berth_cuda_outputs *outputs, char message[BERTH_CUDA_MESSAGE]);
    int (*collect)(struct berth_cuda_session *session, char message[BERTH_CUDA_MESSAGE]);

    /* Gradients and moments begin as 0, values are to be written. */
    int (*trainer_open)(const struct berth_cuda_train_config *config, int device, struct berth_cuda_trainer **trainer,
                        char message[BERTH_CUDA_MESSAGE]);
    void (*trainer_close)(struct berth_cuda_trainer *trainer);
    uint64_t (*trainer_bytes)(const struct berth_cuda_trainer *trainer);
    /* One of the arrays to or from the host, whole. */
    int (*train_read)(struct berth_cuda_trainer *trainer, int array, float *numbers, char message[BERTH_CUDA_MESSAGE]);
    int (*train_write)(struct berth_cuda_trainer *trainer, int array, const float *numbers, char message[BERTH_CUDA_MESSAGE]);
    /* The batch forward, its activations kept. Without a masked head: logits [texts, labels], and unless NULL the first
     * tokens' last hidden states [texts, C]. */
    int (*train_forward)(struct berth_cuda_trainer *trainer, const struct berth_cuda_train_batch *batch, float *logits,
                         float *first, char message[BERTH_CUDA_MESSAGE]);
    /* With a masked head: the mean cross entropy of the words at the slots, whose gradient times `scale` is what backward
     * begins with; and how many were guessed. */
    int (*train_masked_loss)(struct berth_cuda_trainer *trainer, const int32_t *words, double scale, double *loss,
                             uint64_t *right, char message[BERTH_CUDA_MESSAGE]);
    /* Adds the gradients of the batch that went forward last, from dlogits [texts, labels] (without a masked head) and,
     * unless NULL, dfirst [texts, C]. */
    int (*train_backward)(struct berth_cuda_trainer *trainer, const float *dlogits, const float *dfirst,
                          char message[BERTH_CUDA_MESSAGE]);
    /* One update, steps[i] of span i, from the gradients, whose norm is bounded by max_norm (0: not) and which become 0.
     * A norm that is not finite changes nothing. */
    int (*train_update)(struct berth_cuda_trainer *trainer, const struct berth_cuda_adamw *steps, double max_norm, double *norm,
                        char message[BERTH_CUDA_MESSAGE]);
};

/* The plugin's one symbol. */
typedef const struct berth_cuda_table *berth_cuda_table_fn(void);

#ifdef __cplusplus
}
#endif
#endif
