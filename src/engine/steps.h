/* steps.h: one step of a plan over one batch, cut into pieces for the engine's team. */
#ifndef BERTH_ENGINE_STEPS_H
#define BERTH_ENGINE_STEPS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "base/threads.h"
#include "engine/engine.h"
#include "plan/plan.h"

/* What steps work on. The engine owns all of it. */
struct berth_stage {
    const struct berth_plan *plan;
    struct berth_team *team;
    size_t threads;
    float *slot[BERTH_SLOT_COUNT];
    uint8_t *twin[BERTH_SLOT_COUNT]; /* the slot's rows in the numbers that products read, tiled (plan.h) */
    float *scales[BERTH_SLOT_COUNT]; /* of the twin's rows, in int8 */
    float *scratch;                  /* scratch_floats for each member */
    size_t scratch_floats;           /* a multiple of 16 */
    atomic_uint *finished;           /* [berth_stage_row_blocks]: column groups done of each block of rows */
    atomic_uint *heads_done;         /* [max_texts]: heads of attention done of each text */
    size_t *order;                   /* [max_texts]: texts, longest first */
    size_t *bins;                    /* [longest text + 2]: for sorting by length */
    const struct berth_batch *batch; /* of this run */
    size_t tokens;
};

/* Sizes that the engine must provide for batches of at most that many tokens and texts. */
size_t berth_stage_scratch(const struct berth_plan *plan, size_t max_tokens);
size_t berth_stage_row_blocks(size_t threads, size_t max_tokens);

/* Takes up a checked batch. */
void berth_stage_begin(struct berth_stage *stage, const struct berth_batch *batch);

void berth_stage_run(struct berth_stage *stage, const struct berth_step *step);

#endif
