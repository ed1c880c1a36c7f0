/* prepare.c: everything before the first timed query: opening, checking, warming up. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/campaign.h"

enum {
    POOL = 64,                   /* synthetic texts, at least */
    WARM_RUNS = 10,              /* at most, while they take less than */
    WARM_NS = 200 * 1000 * 1000, /* this in all */
    PLAN_NS = 20 * 1000 * 1000,  /* the same where nothing is timed */
    PLAN_STEP = 4                /* there, shapes up to so many times the last one's tokens are estimated from it */
};

enum berth_status berth_cell_skip(struct berth_cell_state *state, const char *outcome, const char *why,
                                  struct berth_error *err)
{
    berth_free(state->failure);
    state->outcome = outcome;
    state->failure = berth_strdup(why);
    return state->failure ? BERTH_OK : berth_fail_memory(err, "a status", strlen(why));
}

bool berth_campaign_going(struct berth_campaign *campaign, size_t extra)
{
    const struct berth_bench_options *o = &campaign->e.o;
    berth_noise_sample(&campaign->noise);
    return !o->progress || o->progress(o->progress_context, campaign->finished + extra, campaign->total);
}

enum berth_status berth_campaign_open(struct berth_campaign *campaign, const struct berth_bench_options *options,
                                      struct berth_error *err)
{
    enum berth_status status;
    *campaign = (struct berth_campaign){.planning = campaign->planning};
    BERTH_TRY(berth_experiment_init(&campaign->e, options, err));
    berth_local_init(&campaign->local, &campaign->e);
    const struct berth_experiment *e = &campaign->e;
    campaign->remote = berth_calloc(e->targets, sizeof *campaign->remote);
    campaign->inputs = berth_calloc(e->models * e->o.length_count, sizeof *campaign->inputs);
    campaign->reference = berth_calloc(e->models, sizeof *campaign->reference);
    if (!campaign->remote || !campaign->inputs || !campaign->reference)
        return berth_fail_memory(err, "the grid", e->models * sizeof *campaign->reference);
    for (size_t t = 0; t < e->targets; t++) {
        if (e->target[t].local)
            continue;
        BERTH_TRY(berth_remote_open(&e->target[t], (unsigned)e->o.timeout_ms, &campaign->remote[t], err));
        campaign->e.target[t].protocol = campaign->remote[t].protocol;
    }
    return BERTH_OK;
fail:
    return status;
}

void berth_campaign_close(struct berth_campaign *campaign)
{
    for (size_t i = 0; campaign->state && i < campaign->e.cells; i++) {
        berth_free(campaign->state[i].failure);
        berth_free(campaign->state[i].done);
    }
    for (size_t i = 0; campaign->inputs && i < campaign->e.models * campaign->e.o.length_count; i++)
        berth_inputs_clear(&campaign->inputs[i]);
    for (size_t i = 0; campaign->reference && i < campaign->e.models; i++)
        berth_logits_clear(&campaign->reference[i]);
    for (size_t i = 0; campaign->remote && i < campaign->e.targets; i++)
        berth_remote_close(&campaign->remote[i]);
    berth_local_clear(&campaign->local);
    if (campaign->stand_in)
        berth_model_free(campaign->stand_in->opened);
    berth_free(campaign->stand_in);
    berth_free(campaign->state);
    berth_free(campaign->inputs);
    berth_free(campaign->reference);
    berth_free(campaign->remote);
    berth_results_close(campaign->results);
    berth_experiment_clear(&campaign->e);
    *campaign = (struct berth_campaign){0};
}

/* The bundled vocabulary, for models that only a server has. */
static enum berth_status open_stand_in(struct berth_campaign *campaign, struct berth_error *err)
{
    if (campaign->stand_in)
        return BERTH_OK;
    struct berth_options options = campaign->e.o.options;
    options.tokenizer_only = true;
    if (!(campaign->stand_in = berth_calloc(1, sizeof *campaign->stand_in)))
        return berth_fail_memory(err, "a tokenizer", sizeof *campaign->stand_in);
    return berth_model_open("random:bert-tiny", &options, &campaign->stand_in->opened, err);
}

/* The model whose tokenizer and labels the cell's texts are made with, and whether it is the model itself. */
static enum berth_status find_own(struct berth_campaign *campaign, size_t model, struct berth_local_model **own,
                                  struct berth_error *err)
{
    enum berth_status status = berth_local_reference(&campaign->local, model, own, err);
    if (status == BERTH_OK && !(*own)->opened)
        *own = NULL;
    return status;
}

static enum berth_status make_inputs(struct berth_campaign *campaign, const struct berth_cell *cell,
                                     const struct berth_model *tokenizer, bool own, struct berth_inputs **inputs,
                                     struct berth_error *err)
{
    struct berth_bench_options *o = &campaign->e.o;
    size_t l = 0;
    while (l + 1 < o->length_count && o->lengths[l] != cell->length)
        l++;
    *inputs = &campaign->inputs[cell->model * o->length_count + l];
    if ((*inputs)->count > 0)
        return BERTH_OK;
    enum berth_status status;
    if (o->data) {
        status = berth_inputs_data(tokenizer, o, own, *inputs, err);
    } else {
        size_t count = POOL;
        for (size_t b = 0; b < o->batch_count; b++)
            count = berth_max(count, o->batches[b]);
        status = berth_inputs_synthetic(tokenizer, cell->length, count, o->seed, *inputs, err);
    }
    if (status != BERTH_OK)
        berth_inputs_clear(*inputs);
    return status;
}

/* The reference's logits for the probes, computed once for each model. */
static enum berth_status make_reference(struct berth_campaign *campaign, size_t model, struct berth_error *err)
{
    struct berth_local_model *own;
    struct berth_session *session;
    if (campaign->reference[model].value)
        return BERTH_OK;
    enum berth_status status = find_own(campaign, model, &own, err);
    if (status != BERTH_OK || !own)
        return status;
    status = berth_local_session(&campaign->local, own, 0, &session, err);
    if (status == BERTH_OK)
        status = berth_check_probe(session, &campaign->reference[model], err);
    return status;
}

bool berth_cell_same_deployment(const struct berth_cell *a, const struct berth_cell *b)
{
    return a->model == b->model && a->target == b->target && a->engine == b->engine && a->threads == b->threads;
}

/* The answer of a text must not depend on its batch: not by a bit in berth's own engine. Others pad, and their int8
 * rounds by the batch's largest number. */
static bool same_answer(const char *runtime, const struct berth_logits *a, const struct berth_logits *b)
{
    if (a->labels != b->labels)
        return false;
    if (strcmp(runtime, "native") == 0)
        return memcmp(a->value, b->value, a->labels * sizeof *a->value) == 0;
    float largest = 1;
    for (size_t i = 0; i < a->labels; i++)
        largest = fmaxf(largest, fabsf(a->value[i]));
    for (size_t i = 0; i < a->labels; i++)
        if (!(fabsf(a->value[i] - b->value[i]) <= 0.25f * largest))
            return false;
    return true;
}

/* A plan's estimate, in place of queries: scaled by tokens from the deployment's last shape that was tried, when that is
 * near, or when this one would take long. */
static bool estimate(struct berth_campaign *campaign, size_t cell)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    size_t back = 1;
    while (back <= cell && berth_cell_same_deployment(c, c - back) && (state - back)->estimated)
        back++;
    if (back > cell || !berth_cell_same_deployment(c, c - back) || isnan((state - back)->warm_ms))
        return false;
    const struct berth_cell *tried = c - back;
    double ratio = (double)(c->batch * (c->length ? c->length : 1)) / (double)(tried->batch * (tried->length ? tried->length : 1));
    state->warm_ms = (state - back)->warm_ms * ratio;
    state->estimated = ratio < PLAN_STEP || state->warm_ms > 500;
    return state->estimated;
}

/* The first query (its time is the cold one), its first text alone, then until it is warm. */
static enum berth_status warm_up(struct berth_cell_state *state, size_t batch, bool offline, uint64_t enough,
                                 struct berth_error *err)
{
    enum berth_status (*query)(struct berth_cell_state *, size_t, size_t, uint64_t *, struct berth_logits *,
                               struct berth_error *) = state->session ? berth_local_query : berth_remote_query;
    struct berth_logits together = {0}, alone = {0};
    uint64_t ns = 0, spent, best;
    enum berth_status status;
    if (offline && !state->session) /* each text is a request of its own */
        batch = 1;
    BERTH_TRY(query(state, 0, batch, &ns, &together, err));
    state->cold_ms = (double)ns * 1e-6;
    best = spent = ns;
    if (batch > 1 && spent < 60000000000u) {
        BERTH_TRY(query(state, 0, 1, &ns, &alone, err));
        if (!same_answer(state->runtime, &together, &alone)) {
            status = berth_fail(err, BERTH_INTERNAL, "the answer depends on the batch");
            goto fail;
        }
    }
    for (int run = 1; run < WARM_RUNS && spent < enough; run++) {
        BERTH_TRY(query(state, 0, batch, &ns, NULL, err));
        spent += ns;
        best = ns < best ? ns : best;
    }
    state->warm_ms = (double)best * 1e-6;
fail:
    berth_logits_clear(&together);
    berth_logits_clear(&alone);
    return status;
}

/* Compares with fp32, once for each deployment: cells of the same one follow each other. */
static enum berth_status check_cell(struct berth_campaign *campaign, size_t cell, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct berth_logits logits = {0};
    enum berth_status status;
    if (cell > 0 && berth_cell_same_deployment(c, c - 1) && strcmp(state[-1].outcome, "ok") == 0 && !isnan(state[-1].difference)) {
        state->difference = state[-1].difference;
        state->allowed = state[-1].allowed;
        return BERTH_OK;
    }
    BERTH_TRY(make_reference(campaign, c->model, err));
    if (!campaign->reference[c->model].value)
        return BERTH_OK; /* the model is the server's alone: said in the remarks */
    if (state->session) {
        BERTH_TRY(berth_check_probe(state->session, &logits, err));
    } else {
        struct berth_text probes[BERTH_PROBES];
        size_t tokens[BERTH_PROBES] = {0};
        memcpy(probes, berth_probes, sizeof probes);
        const struct berth_inputs inputs = {.count = BERTH_PROBES, .text = probes, .tokens = tokens};
        struct berth_cell_state asking = *state;
        uint64_t ns;
        asking.inputs = &inputs;
        BERTH_TRY(berth_remote_query(&asking, 0, BERTH_PROBES, &ns, &logits, err));
    }
    state->allowed = berth_check_allowed(state->precision);
    status = berth_check_compare(&campaign->reference[c->model], &logits, state->precision, &state->difference, err);
fail:
    berth_logits_clear(&logits);
    return status;
}

/* A model that cannot be opened ends the run, but one of several ways of running it only loses its cells. */
static enum berth_status open_cell(struct berth_campaign *campaign, size_t cell, bool *usable, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    const struct berth_engine_choice *choice = &campaign->e.engine[c->engine];
    struct berth_local_model *opened;
    enum berth_status status = berth_local_open(&campaign->local, c->model, choice, &opened, err);
    *usable = false;
    if (status != BERTH_OK)
        return status;
    state->optimization = choice->label;
    state->runtime = berth_runtime_name(choice->runtime ? choice->runtime : BERTH_RUNTIME_NATIVE);
    state->precision = berth_precision_name(choice->precision ? choice->precision : BERTH_PRECISION_FP32);
    if (!opened->opened) {
        if (campaign->e.engines == 1 ||
            (opened->status != BERTH_UNSUPPORTED && choice->runtime != BERTH_RUNTIME_ONNXRUNTIME &&
             choice->runtime != BERTH_RUNTIME_CUDA))
            return berth_fail(err, opened->status, "%s", opened->why);
        return berth_cell_skip(state, "failed", opened->why, err);
    }
    const struct berth_model_info *info = berth_model_get_info(opened->opened);
    opened->kept = true;
    state->opened = opened;
    snprintf(state->precision_text, sizeof state->precision_text, "%s", info->precision);
    state->precision = state->precision_text;
    state->threads = c->threads ? c->threads : info->threads;
    state->load_ms = opened->load_ms;
    if (c->length > info->max_length) {
        char why[96];
        snprintf(why, sizeof why, "the model takes at most %zu tokens", info->max_length);
        return berth_cell_skip(state, "failed", why, err);
    }
    status = berth_local_session(&campaign->local, opened, c->threads, &state->session, err);
    state->memory_bytes = berth_max(opened->memory_bytes, info->weight_bytes);
    *usable = status == BERTH_OK;
    return status;
}

/* The server's side of the same. */
static enum berth_status select_cell(struct berth_campaign *campaign, size_t cell, bool *usable,
                                     struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    const struct berth_bench_target *target = &campaign->e.target[c->target];
    bool study = target->protocol == BERTH_PROTOCOL_STUDY;
    enum berth_precision precision = study ? campaign->e.o.precisions[c->engine] : target->precision;
    struct berth_error fault;
    if (study && precision == BERTH_PRECISION_DEFAULT)
        precision = target->precision ? target->precision : BERTH_PRECISION_FP32;
    state->remote = &campaign->remote[c->target];
    state->threads = c->threads;
    state->asked = study ? precision : BERTH_PRECISION_DEFAULT;
    state->runtime = *target->runtime ? target->runtime : "remote";
    state->precision = precision ? berth_precision_name(precision) : "unknown";
    state->optimization = study ? (precision == BERTH_PRECISION_INT8 ? "quantized" : "optimized") : "";
    enum berth_status status = berth_remote_select(state->remote, campaign->e.model[c->model].name, state->asked,
                                                   c->threads, &fault);
    *usable = status == BERTH_OK;
    if (status == BERTH_NO_MEMORY)
        return berth_fail(err, status, "%s", fault.message);
    return status == BERTH_OK ? BERTH_OK : berth_cell_skip(state, "failed", fault.message, err);
}

/* Texts, check, warm-up: what goes wrong here is the cell's. */
static enum berth_status try_cell(struct berth_campaign *campaign, size_t cell, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct berth_local_model *own = NULL;
    struct berth_inputs *inputs;
    enum berth_status status;
    if (state->session) {
        BERTH_TRY(make_inputs(campaign, c, state->opened->opened, true, &inputs, err));
    } else {
        BERTH_TRY(find_own(campaign, c->model, &own, err));
        if (own) {
            state->opened = own;
            own->kept = true;
        } else {
            BERTH_TRY(open_stand_in(campaign, err));
        }
        BERTH_TRY(make_inputs(campaign, c, own ? own->opened : campaign->stand_in->opened, own != NULL, &inputs, err));
        if (inputs->ids)
            return berth_fail(err, BERTH_UNSUPPORTED, "no text has as few as %zu tokens", c->length);
    }
    state->inputs = inputs;
    BERTH_TRY(check_cell(campaign, cell, err));
    if (!campaign->planning || !estimate(campaign, cell))
        BERTH_TRY(warm_up(state, c->batch, campaign->e.o.scenario == BERTH_OFFLINE, campaign->planning ? PLAN_NS : WARM_NS,
                          err));
fail:
    return status;
}

static enum berth_status prepare_cell(struct berth_campaign *campaign, size_t cell, struct berth_error *err)
{
    struct berth_cell_state *state = &campaign->state[cell];
    bool usable;
    state->outcome = "ok";
    state->load_ms = state->cold_ms = state->warm_ms = state->difference = state->allowed = NAN;
    state->runtime = state->precision = state->optimization = "";
    enum berth_status status = campaign->e.target[campaign->e.cell[cell].target].local
                                   ? open_cell(campaign, cell, &usable, err)
                                   : select_cell(campaign, cell, &usable, err);
    if (status != BERTH_OK || !usable)
        return status;
    struct berth_error fault;
    status = try_cell(campaign, cell, &fault);
    if (status == BERTH_OK)
        return BERTH_OK;
    if (status == BERTH_NO_MEMORY)
        return berth_fail(err, status, "%s: %s", campaign->e.model[campaign->e.cell[cell].model].name, fault.message);
    bool refused = strncmp(fault.message, "not timed", 9) == 0;
    return berth_cell_skip(state, refused ? "refused" : "failed", fault.message, err);
}

/* With data and no number of trials: once through it. Needs the file's size, so the first model's texts. */
static enum berth_status count_data(struct berth_campaign *campaign, struct berth_error *err)
{
    struct berth_bench_options *o = &campaign->e.o;
    struct berth_inputs inputs;
    if (!o->data)
        return BERTH_OK;
    enum berth_status status = open_stand_in(campaign, err);
    if (status == BERTH_OK)
        status = berth_inputs_data(campaign->stand_in->opened, o, false, &inputs, err);
    if (status != BERTH_OK)
        return status;
    size_t count = inputs.count;
    berth_inputs_clear(&inputs);
    if (o->trials > 0)
        return BERTH_OK;
    size_t batch = o->batches[0];
    for (size_t b = 1; b < o->batch_count; b++)
        batch = berth_min(batch, o->batches[b]);
    o->trials = (count + batch - 1) / batch;
    return BERTH_OK;
}

enum berth_status berth_campaign_prepare(struct berth_campaign *campaign, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(count_data(campaign, err));
    BERTH_TRY(berth_experiment_expand(&campaign->e, err));
    size_t cells = campaign->e.cells;
    campaign->state = berth_calloc(cells ? cells : 1, sizeof *campaign->state);
    if (!campaign->state)
        return berth_fail_memory(err, "the grid", cells * sizeof *campaign->state);
    for (size_t c = 0; c < cells; c++) {
        if (campaign->e.o.progress && !campaign->e.o.progress(campaign->e.o.progress_context, c, 0))
            return berth_fail(err, BERTH_CANCELLED, "stopped before the first trial");
        BERTH_TRY(prepare_cell(campaign, c, err));
    }
    berth_local_trim(&campaign->local);
    return BERTH_OK;
fail:
    return status;
}
