/* plan.h: a model made ready to run: fused into a short list of steps, weights packed for one instruction set and
 * precision, workspace sized. Immutable and shared by all threads. After this room nothing knows the architecture. */
#ifndef BERTH_PLAN_PLAN_H
#define BERTH_PLAN_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/threads.h"
#include "berth/status.h"
#include "kernels/kernels.h"
#include "model/encoder.h"

/* Values a step reads or writes, each [rows, width] in the workspace. */
enum berth_slot {
    BERTH_SLOT_EMBEDDED, /* [tokens, E], only with a projection */
    BERTH_SLOT_X,        /* [tokens, C], the residual stream */
    BERTH_SLOT_QKV,      /* [tokens, 3C]: queries, keys, values side by side */
    BERTH_SLOT_CONTEXT,  /* [tokens, C] */
    BERTH_SLOT_FFN,      /* [tokens, F] */
    BERTH_SLOT_FIRST,    /* [texts, C]: rows of the first tokens */
    BERTH_SLOT_POOLED,   /* [texts, C] */
    BERTH_SLOT_LOGITS,   /* [texts, labels] */
    BERTH_SLOT_COUNT
};

enum berth_step_kind {
    BERTH_STEP_EMBED,     /* ids -> out, LayerNorm included */
    BERTH_STEP_LINEAR,    /* in -> out: product, bias, act, residual; then LayerNorm over whole rows when gamma is set */
    BERTH_STEP_ATTENTION, /* QKV -> CONTEXT, every head of every text */
    BERTH_STEP_FIRST      /* X -> FIRST: the rows of the first tokens */
};

struct berth_step {
    enum berth_step_kind kind;
    char name[48]; /* "layer 3 qkv" */
    enum berth_slot in, out;
    size_t n, k;             /* LINEAR: out and in width */
    const float *weights;    /* packed, borrowed from the plan */
    const float *bias;       /* [n] or NULL */
    enum berth_epilogue_act act;
    bool residual;           /* add `out`'s old content (X) before the LayerNorm */
    const float *gamma, *beta; /* [n] LayerNorm after it, or NULL */
    int layer;               /* 0-based; -1 outside the layers */
    bool per_text;           /* rows are texts, not tokens */
};

struct berth_plan {
    const struct berth_kernels *kernels;
    size_t hidden, embedding, heads, head_size, ffn, layers, labels; /* C, E, H, D, F, L; labels 0 without a head */
    size_t max_positions, vocab_size, type_vocab_size;
    size_t slot_width[BERTH_SLOT_COUNT]; /* floats of a row; 0: unused */
    struct berth_tensor word_embedding, position_embedding, type_embedding; /* views kept for gathering rows */
    const float *embedding_gamma, *embedding_beta;                          /* [E] */
    float eps;
    struct berth_step *steps; /* owned */
    size_t step_count;
    size_t packed_bytes;      /* of all packed weights */
    void *packed;             /* owned */
    struct berth_encoder *encoder; /* owned: it keeps the embedding views alive */
};

/* Builds the plan. Takes the encoder, also on failure. `team` (may be NULL) shares the packing. Weights that are not finite are
 * refused by name. Stored weights leave resident memory as they are packed, so that a model is in memory once. */
enum berth_status berth_plan_new(struct berth_encoder *encoder, const struct berth_kernels *kernels,
                                 struct berth_team *team, struct berth_plan **plan, struct berth_error *err);
void berth_plan_free(struct berth_plan *plan); /* NULL is fine */

/* Bytes of workspace for a batch of that many tokens and texts (all slots; per-thread scratch is the engine's). */
size_t berth_plan_workspace(const struct berth_plan *plan, size_t tokens, size_t texts);

/* One line of the bill: a step's kernel, shape, bytes of weights, and operations for `tokens` tokens in texts of `length`. */
struct berth_step_cost {
    const char *kernel;
    double weight_bytes;
    double operations; /* multiply and add counted as two */
};
struct berth_step_cost berth_step_cost(const struct berth_plan *plan, const struct berth_step *step, size_t tokens,
                                       size_t length);

#endif
