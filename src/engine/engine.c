/* engine.c: the encoder as one visible loop over the plan's steps, between checking a batch and handing out
 * results. */
#include "engine/engine.h"

#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "engine/steps.h"

struct berth_engine {
    struct berth_stage stage;
    struct berth_arena arena; /* slots, scratch and bookkeeping */
    size_t max_tokens, max_texts;
};

/* --- life ----------------------------------------------------------------------------------------- */

/* Hands out the arena, or sums what it must hold when it has no block yet. */
static void *take(struct berth_engine *engine, size_t *need, size_t count, size_t size)
{
    *need = berth_min(*need + berth_arena_need(count, size), SIZE_MAX / 4);
    return berth_arena_take(&engine->arena, count, size);
}

static size_t lay_out(struct berth_engine *engine)
{
    struct berth_stage *stage = &engine->stage;
    const struct berth_plan *plan = stage->plan;
    size_t need = 0, floats;
    struct berth_place places[BERTH_SLOT_COUNT];
    size_t slots = berth_plan_workspace(plan, engine->max_tokens, engine->max_texts, places);
    unsigned char *base = take(engine, &need, slots, 1);
    for (int slot = 0; slot < BERTH_SLOT_COUNT && base; slot++) {
        stage->slot[slot] = (float *)(void *)(base + places[slot].values);
        stage->twin[slot] = base + places[slot].twin;
        stage->scales[slot] = (float *)(void *)(base + places[slot].scales);
    }
    if (!berth_mul(stage->threads, stage->scratch_floats, &floats))
        return SIZE_MAX / 4;
    stage->scratch = take(engine, &need, floats, sizeof(float));
    stage->finished = take(engine, &need, berth_stage_row_blocks(stage->threads, engine->max_tokens),
                           sizeof *stage->finished);
    stage->heads_done = take(engine, &need, engine->max_texts, sizeof *stage->heads_done);
    stage->order = take(engine, &need, engine->max_texts, sizeof *stage->order);
    stage->bins =
        take(engine, &need, berth_min(plan->max_positions, engine->max_tokens) + 2, sizeof *stage->bins);
    return need;
}

enum berth_status berth_engine_new(const struct berth_plan *plan, size_t threads, size_t max_tokens,
                                   size_t max_texts, struct berth_engine **out, struct berth_error *err)
{
    enum berth_status status;
    *out = NULL;
    if (threads == 0 || threads > BERTH_THREADS_MAX || max_tokens == 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%zu threads and room for %zu tokens: 1 to %d threads, and a token at least",
                          threads, max_tokens, BERTH_THREADS_MAX);
    struct berth_engine *engine = berth_calloc(1, sizeof *engine);
    if (!engine)
        return berth_fail_memory(err, "the engine", sizeof *engine);
    engine->max_tokens = max_tokens;
    engine->max_texts = max_texts ? berth_min(max_texts, max_tokens) : max_tokens;
    engine->stage.plan = plan;
    engine->stage.threads = threads;
    engine->stage.scratch_floats = berth_stage_scratch(plan, max_tokens);
    size_t need = lay_out(engine);
    if (need >= SIZE_MAX / 4) {
        status = berth_fail(err, BERTH_LIMIT, "a batch of %zu tokens on %zu threads is beyond any memory",
                            max_tokens, threads);
        goto fail;
    }
    if (!berth_arena_init(&engine->arena, need)) {
        status = berth_fail_memory(err, "the engine's workspace", need);
        goto fail;
    }
    lay_out(engine);
    BERTH_TRY(berth_team_new(threads, &engine->stage.team, err));
    *out = engine;
    return BERTH_OK;
fail:
    berth_engine_free(engine);
    return status;
}

void berth_engine_free(struct berth_engine *engine)
{
    if (!engine)
        return;
    berth_team_free(engine->stage.team);
    berth_arena_clear(&engine->arena);
    berth_free(engine);
}

size_t berth_engine_max_tokens(const struct berth_engine *engine)
{
    return engine->max_tokens;
}

size_t berth_engine_max_texts(const struct berth_engine *engine)
{
    return engine->max_texts;
}

size_t berth_engine_threads(const struct berth_engine *engine)
{
    return engine->stage.threads;
}

size_t berth_engine_bytes(const struct berth_engine *engine)
{
    return engine->arena.size;
}

/* --- checks --------------------------------------------------------------------------------------- */

static enum berth_status check_lengths(const struct berth_engine *engine, const struct berth_batch *batch,
                                       struct berth_error *err)
{
    if (batch->texts == 0 || batch->texts > engine->max_texts)
        return berth_fail(err, BERTH_LIMIT, "a batch of %zu texts; this engine takes 1 to %zu", batch->texts,
                          engine->max_texts);
    if (batch->offsets[0] != 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "the batch's first offset is %zu, not 0",
                          batch->offsets[0]);
    for (size_t i = 0; i < batch->texts; i++) {
        if (batch->offsets[i + 1] <= batch->offsets[i])
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "text %zu of the batch has no token", i);
        size_t length = batch->offsets[i + 1] - batch->offsets[i];
        if (length > engine->stage.plan->max_positions)
            return berth_fail(err, BERTH_LIMIT,
                              "text %zu of the batch has %zu tokens; the model takes at most %zu", i, length,
                              engine->stage.plan->max_positions);
    }
    if (batch->offsets[batch->texts] > engine->max_tokens)
        return berth_fail(err, BERTH_LIMIT, "a batch of %zu tokens; this engine takes at most %zu",
                          batch->offsets[batch->texts], engine->max_tokens);
    return BERTH_OK;
}

static enum berth_status check_tokens(const struct berth_plan *plan, const struct berth_batch *batch,
                                      struct berth_error *err)
{
    size_t tokens = batch->offsets[batch->texts];
    for (size_t i = 0; i < tokens; i++) {
        if (batch->ids[i] < 0 || (size_t)batch->ids[i] >= plan->vocab_size)
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "token %zu of the batch has id %d; the embedding has %zu rows", i,
                              (int)batch->ids[i], plan->vocab_size);
        if (batch->type_ids && plan->type_vocab_size && batch->type_ids[i] >= plan->type_vocab_size)
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "token %zu of the batch has type %d; the model has %zu types", i,
                              (int)batch->type_ids[i], plan->type_vocab_size);
        if (batch->positions &&
            (batch->positions[i] < 0 || (size_t)batch->positions[i] >= plan->max_positions))
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "token %zu of the batch has position %d; the model has %zu positions", i,
                              (int)batch->positions[i], plan->max_positions);
    }
    return BERTH_OK;
}

static enum berth_status check_outputs(const struct berth_plan *plan, const struct berth_outputs *outputs,
                                       struct berth_error *err)
{
    if ((outputs->logits && plan->labels == 0) ||
        (outputs->pooled && plan->slot_width[BERTH_SLOT_POOLED] == 0))
        return berth_fail(
            err, BERTH_UNSUPPORTED,
            "this checkpoint is a bare encoder: it has no classification head and gives no logits");
    return BERTH_OK;
}

static enum berth_status check_finite(const struct berth_engine *engine, enum berth_slot slot,
                                      struct berth_error *err)
{
    const struct berth_stage *stage = &engine->stage;
    size_t width = stage->plan->slot_width[slot];
    for (size_t i = 0; i < stage->batch->texts; i++)
        if (!stage->plan->kernels->all_finite_f32(stage->slot[slot] + i * width, width))
            return berth_fail(
                err, BERTH_FORMAT,
                "the results of text %zu of the batch are not finite: the model's weights overflow float32",
                i);
    return BERTH_OK;
}

/* --- running -------------------------------------------------------------------------------------- */

/* False for the head's steps when nobody asks for what they give. */
static bool is_wanted(const struct berth_step *step, const struct berth_outputs *outputs)
{
    if (step->out == BERTH_SLOT_LOGITS)
        return outputs->logits;
    return step->out != BERTH_SLOT_POOLED || outputs->pooled || outputs->logits;
}

static void copy_slot(const struct berth_engine *engine, enum berth_slot slot, float *out)
{
    const struct berth_stage *stage = &engine->stage;
    size_t rows = berth_plan_slot_rows(slot, stage->tokens, stage->batch->texts);
    if (out)
        memcpy(out, stage->slot[slot], rows * stage->plan->slot_width[slot] * sizeof(float));
}

enum berth_status berth_engine_run(struct berth_engine *engine, const struct berth_batch *batch,
                                   const struct berth_outputs *outputs, struct berth_error *err)
{
    enum berth_status status;
    struct berth_stage *stage = &engine->stage;
    const struct berth_plan *plan = stage->plan;
    bool first_only = !outputs->tokens && !outputs->hidden;
    BERTH_TRY(check_outputs(plan, outputs, err));
    BERTH_TRY(check_lengths(engine, batch, err));
    BERTH_TRY(check_tokens(plan, batch, err));

    berth_stage_begin(stage, batch);
    float *hidden = outputs->hidden;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        if (!berth_step_runs(step, first_only) || !is_wanted(step, outputs))
            continue;
        if (outputs->observe && step->kind == BERTH_STEP_LINEAR)
            outputs->observe(outputs->observe_context, step, stage->slot[step->in],
                             berth_plan_slot_rows(step->in, stage->tokens, batch->texts));
        uint64_t start = outputs->step_ns ? berth_clock_ns() : 0;
        berth_stage_run(stage, step);
        if (outputs->step_ns)
            outputs->step_ns[i] += berth_clock_ns() - start;
        if (step->hidden_state && hidden) {
            copy_slot(engine, step->out, hidden);
            hidden += stage->tokens * plan->hidden;
        }
    }

    BERTH_TRY(check_finite(engine, BERTH_SLOT_FIRST, err));
    if (outputs->logits)
        BERTH_TRY(check_finite(engine, BERTH_SLOT_LOGITS, err));
    copy_slot(engine, BERTH_SLOT_LOGITS, outputs->logits);
    copy_slot(engine, BERTH_SLOT_POOLED, outputs->pooled);
    copy_slot(engine, BERTH_SLOT_FIRST, outputs->first);
    copy_slot(engine, BERTH_SLOT_X, outputs->tokens);
    return BERTH_OK;
fail:
    return status;
}
