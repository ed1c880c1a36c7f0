/* engine.h: runs a plan on packed tokens. One engine per worker: it owns the workspace and a team of threads;
 * the plan is shared. Nothing is allocated after berth_engine_new.
 *
 * The texts of a batch lie end to end, without padding: text i is tokens [offsets[i], offsets[i+1]). */
#ifndef BERTH_ENGINE_ENGINE_H
#define BERTH_ENGINE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "plan/plan.h"

struct berth_batch {
    size_t texts;
    const size_t *offsets;    /* [texts + 1], offsets[0] = 0, every text has at least one token */
    const int32_t *ids;       /* [tokens] */
    const uint8_t *type_ids;  /* [tokens] or NULL: all 0 */
    const int32_t *positions; /* [tokens] or NULL: 0, 1, ... within each text. Masked-out tokens of an attention mask
                                 are left out of the batch, and the others keep their positions */
    const float *embedded;    /* [tokens, E] or NULL: the embedding's output, LayerNorm included, given instead of looked
                                 up (ids must still be valid); for weights published without their tables */
};

/* Where results go; NULL members are not computed or copied. */
struct berth_outputs {
    float *logits;     /* [texts, labels] */
    float *pooled;     /* [texts, C]: what the last linear layer sees */
    float *first;      /* [texts, C]: last hidden state of the first token */
    float *tokens;     /* [tokens, C]: last hidden state */
    float *hidden;     /* [L + 1, tokens, C]: embedding output and every layer's (for tests and analysis) */
    /* Called before each linear step with the rows that it reads, [rows, step->k], from the calling thread:
     * for calibration. */
    void (*observe)(void *context, const struct berth_step *step, const float *numbers, size_t rows);
    void *observe_context;
    uint64_t *step_ns; /* [step_count]: the time each step of the plan took is added (for profiles) */
};

struct berth_engine;

/* `threads` members work on each run; `max_tokens` and `max_texts` bound a batch (max_texts 0: max_tokens).
 */
enum berth_status berth_engine_new(const struct berth_plan *plan, size_t threads, size_t max_tokens,
                                   size_t max_texts, struct berth_engine **engine, struct berth_error *err);
void berth_engine_free(struct berth_engine *engine); /* NULL is fine; the plan lives on */

size_t berth_engine_max_tokens(const struct berth_engine *engine);
size_t berth_engine_max_texts(const struct berth_engine *engine);
size_t berth_engine_threads(const struct berth_engine *engine);
size_t berth_engine_bytes(const struct berth_engine *engine); /* workspace and scratch */

/* Runs one batch. When neither tokens nor hidden is asked for, the last layer is computed for first tokens
 * only. One call at a time per engine. Ids, types and positions outside the model's tables are refused by
 * value, as are batches beyond the bounds, and results that are not finite. */
enum berth_status berth_engine_run(struct berth_engine *engine, const struct berth_batch *batch,
                                   const struct berth_outputs *outputs, struct berth_error *err);

#endif
