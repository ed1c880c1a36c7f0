/* plan.h: a model made ready to run: fused into a short list of steps, weights packed for one instruction set
 * and precision, workspace sized. Immutable and shared by all threads. After this room nothing knows the
 * architecture. */
#ifndef BERTH_PLAN_PLAN_H
#define BERTH_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/threads.h"
#include "berth/status.h"
#include "kernels/kernels.h"
#include "model/encoder.h"
#include "plan/matrix.h"

/* Values a step reads or writes, each [rows, width] in the workspace. */
enum berth_slot {
    BERTH_SLOT_EMBEDDED, /* [tokens, E], only with a projection */
    BERTH_SLOT_X,        /* [tokens, C], the residual stream */
    BERTH_SLOT_QKV, /* [tokens, 3 part]: queries, keys, values side by side, each padded to `part` columns */
    BERTH_SLOT_CONTEXT, /* [tokens, C], or [texts, C] once only first tokens count */
    BERTH_SLOT_FFN,     /* [tokens, F], or [texts, F] likewise */
    BERTH_SLOT_FIRST,   /* [texts, C]: rows of the first tokens */
    BERTH_SLOT_QUERY,   /* [texts, part]: the first tokens' queries of the last layer */
    BERTH_SLOT_POOLED,  /* [texts, C] */
    BERTH_SLOT_LOGITS,  /* [texts, labels] */
    BERTH_SLOT_COUNT
};

enum berth_step_kind {
    BERTH_STEP_EMBED,  /* ids -> out, LayerNorm included */
    BERTH_STEP_LINEAR, /* in -> out: product, bias, act, residual; then LayerNorm over whole rows when gamma
                          is set */
    BERTH_STEP_ATTENTION, /* queries of `in`, keys and values of QKV -> CONTEXT, every head of every text */
    BERTH_STEP_FIRST      /* X -> FIRST: the rows of the first tokens */
};

/* The last layer is planned twice. What a classifier needs of it is the first token's row alone: its keys and
 * values come from all tokens, everything else is computed for one row a text. The same bits come out as the
 * first rows of the other variant, which serves callers who ask for every token. */
enum berth_step_when { BERTH_WHEN_ALWAYS, BERTH_WHEN_ALL_TOKENS, BERTH_WHEN_FIRST_ONLY };

struct berth_step {
    enum berth_step_kind kind;
    enum berth_step_when when;
    char name[48]; /* "layer 3 qkv" */
    enum berth_slot in, out;
    size_t n, k;                 /* LINEAR: out and in width */
    size_t column;               /* LINEAR: first column of `out` it writes */
    struct berth_matrix weights; /* LINEAR: borrowed from the plan */
    enum berth_number number;    /* ATTENTION: of its products */
    const float *bias;           /* [n] or NULL */
    enum berth_epilogue_act act;
    bool residual;             /* add `out`'s old content before the LayerNorm */
    const float *gamma, *beta; /* [n] LayerNorm after it, or NULL */
    /* The numbers that the product which reads `out` next multiplies: other than F32, this step leaves its rows
     * in the slot's twin as well, rounded to them. */
    enum berth_number twin;
    int layer;                 /* 0-based; -1 outside the layers */
    bool per_text;             /* rows of `out` are texts, not tokens */
    bool hidden_state;         /* `out` is then a hidden state: the embedding output or a layer's */
};

/* What a plan is made for. */
struct berth_plan_options {
    /* Of the products; the word embedding is stored in them too. What the encoder keeps finer is finer. */
    enum berth_number number;
    size_t l2;                /* bytes of a core's second-level cache; 0: 1 MiB */
};

struct berth_plan {
    const struct berth_kernels *kernels;
    enum berth_number number;
    size_t l2;
    size_t hidden, embedding, heads, head_size, ffn, layers,
        labels;                                        /* C, E, H, D, F, L; labels 0 without a head */
    size_t max_positions, vocab_size, type_vocab_size; /* type_vocab_size 0: types are not read */
    size_t part;                         /* C padded to whole panels: columns of one of q, k, v */
    size_t slot_width[BERTH_SLOT_COUNT]; /* floats of a row; 0: unused */
    /* Bytes of a row of a slot's twin in the widest numbers that any step leaves there; 0: it has none. */
    size_t twin_row[BERTH_SLOT_COUNT];
    enum berth_number word_number; /* of the word embedding */
    const struct berth_tensor *word_embedding; /* [V, E], gathered row by row; its data in F32 plans only */
    uint8_t *word_tiled;                       /* the same in int8 or bf16, tiled */
    float *word_scale;                         /* [V] in int8 */
    const float *position_embedding;           /* [P, E] */
    const float *type_embedding;               /* [type_vocab_size, E] or NULL */
    const float *embedding_gamma, *embedding_beta; /* [E] */
    float eps;
    struct berth_step *steps; /* owned */
    size_t step_count;
    struct berth_arena packed;     /* owned: all packed weights */
    struct berth_encoder *encoder; /* owned: it keeps the embedding view alive */
};

/* Builds the plan. Takes the encoder, also on failure, and lets go of its files (berth_encoder_settle).
 * `options` may be NULL: fp32. `team` (may be NULL) shares the packing. Weights that are not finite are
 * refused by name. Stored weights leave resident memory as they are packed, so that a model is in memory
 * once. */
enum berth_status berth_plan_new(struct berth_encoder *encoder, const struct berth_kernels *kernels,
                                 const struct berth_plan_options *options, struct berth_team *team,
                                 struct berth_plan **plan, struct berth_error *err);
void berth_plan_free(struct berth_plan *plan); /* NULL is fine */

/* True when the step runs for a caller who wants all tokens' rows / the first tokens' only. */
bool berth_step_runs(const struct berth_step *step, bool first_only);

/* Row `id` of the word embedding as float32: the stored row itself, or widened into scratch [E]. */
const float *berth_plan_word(const struct berth_plan *plan, size_t id, float *scratch);

/* Rows of a slot for a batch of that many tokens and texts. */
size_t berth_plan_slot_rows(enum berth_slot slot, size_t tokens, size_t texts);

/* Where in the workspace a slot lies, in bytes. */
struct berth_place {
    size_t values; /* floats [rows, slot_width] */
    size_t twin;   /* tiled, when the slot has one */
    size_t scales; /* float [rows], of the twin's rows while they are int8 */
};

/* Bytes of workspace for a batch of that many tokens and texts (per-thread scratch is the engine's), and
 * where each slot lies (places may be NULL). Slots that are never alive together share their place. SIZE_MAX
 * / 4 when the batch is beyond any memory. */
size_t berth_plan_workspace(const struct berth_plan *plan, size_t tokens, size_t texts,
                            struct berth_place places[BERTH_SLOT_COUNT]);

/* Bytes of a row of a slot's twin in these numbers, which are not F32. */
size_t berth_plan_twin_row(const struct berth_plan *plan, enum berth_slot slot, enum berth_number number);

/* Bytes of weights this plan keeps: packed ones and the word embedding. */
size_t berth_plan_weight_bytes(const struct berth_plan *plan);

/* Products that are computed in finer numbers than plan->number, and all of them, the classifier aside. */
void berth_plan_kept(const struct berth_plan *plan, size_t *kept, size_t *products);

/* One line of the bill: a step's kernel, bytes of weights, and operations for `texts` texts of `length`
 * tokens. */
struct berth_step_cost {
    const char *kernel;
    double weight_bytes;
    double activation_bytes; /* read and written between steps */
    double operations;       /* multiply and add counted as two */
};
struct berth_step_cost berth_step_cost(const struct berth_plan *plan, const struct berth_step *step,
                                       size_t texts, size_t length);

/* What a step does to its result before it leaves it: "gelu, to int8", "residual, LayerNorm"; "" for nothing.
 * Returns text. */
const char *berth_step_epilogue(const struct berth_step *step, char *text, size_t size);

#endif
