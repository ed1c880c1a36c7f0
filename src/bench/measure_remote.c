/* measure_remote.c: queries to a server. Requests are written before, answers are read after: only the wire is timed. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/campaign.h"
#include "bench/schedule.h"

enum {
    LOOKED_AT = 1000,            /* answers of a run that are read after it, when there are no labels */
    KEPT_BYTES = 512 * 1024 * 1024
};

struct kept {
    char *bytes;
    size_t size;
};

/* A load and what it needs. */
struct remote_run {
    struct berth_campaign *campaign; /* NULL: a query of preparation */
    struct berth_wire *wires;
    size_t wires_count;
    struct berth_shot *shots;
    size_t count;
    uint64_t *due;
    struct kept *kept; /* [keep] bodies of the first ones */
    size_t keep, kept_bytes;
    struct berth_load_report report;
};

static void clear_run(struct remote_run *run)
{
    for (size_t i = 0; run->wires && i < run->wires_count; i++)
        berth_free(run->wires[i].bytes);
    for (size_t i = 0; run->kept && i < run->keep; i++)
        berth_free(run->kept[i].bytes);
    berth_free(run->wires);
    berth_free(run->shots);
    berth_free(run->due);
    berth_free(run->kept);
}

static bool keep_body(void *context, size_t shot, const char *body, size_t size)
{
    struct remote_run *run = context;
    if (shot >= run->keep || run->kept_bytes + size > KEPT_BYTES)
        return true;
    run->kept[shot].bytes = berth_strndup(size ? body : "", size);
    run->kept[shot].size = size;
    run->kept_bytes += size;
    return run->kept[shot].bytes != NULL;
}

static bool run_going(void *context, size_t done)
{
    struct remote_run *run = context;
    return !run->campaign || berth_campaign_going(run->campaign, done);
}

static const struct berth_model *tokenizer_of(const struct berth_cell_state *state)
{
    return state->opened ? state->opened->opened : NULL;
}

/* `queries` requests of `batch` texts, from query `first` (from 0) on; as many different ones as the inputs give. */
static enum berth_status prepare_run(struct remote_run *run, const struct berth_cell_state *state, size_t first,
                                     size_t queries, size_t batch, bool poisson, size_t keep, struct berth_error *err)
{
    size_t different = state->inputs->count % batch == 0 ? state->inputs->count / batch : state->inputs->count;
    *run = (struct remote_run){.count = queries, .wires_count = berth_min(queries, different), .keep = keep};
    run->wires = berth_calloc(run->wires_count, sizeof *run->wires);
    run->shots = berth_calloc(queries, sizeof *run->shots);
    run->kept = berth_calloc(keep ? keep : 1, sizeof *run->kept);
    if (poisson)
        run->due = berth_calloc(queries, sizeof *run->due);
    if (!run->wires || !run->shots || !run->kept || (poisson && !run->due))
        return berth_fail_memory(err, "requests", queries * sizeof *run->shots);
    for (size_t i = 0; i < run->wires_count; i++) {
        enum berth_status status =
            berth_remote_wire(state->remote, tokenizer_of(state), state->inputs->text, state->inputs->count,
                              (first + i) * batch, batch, &run->wires[i], err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

static enum berth_status run_load(struct remote_run *run, const struct berth_cell_state *state, size_t connections,
                                  struct berth_error *err)
{
    const struct berth_load load = {
        .endpoint = &state->remote->target->endpoint,
        .wires = run->wires,
        .wires_count = run->wires_count,
        .count = run->count,
        .due = run->due,
        .connections = connections,
        .timeout_ms = state->remote->timeout_ms,
        .answered = keep_body,
        .going = run_going,
        .context = run,
    };
    return berth_load_run(&load, run->shots, &run->report, err);
}

static enum berth_status parse_kept(const struct berth_cell_state *state, const struct kept *kept, size_t texts,
                                    struct berth_logits *logits, struct berth_error *err)
{
    const struct berth_model *model = tokenizer_of(state);
    const struct berth_model_info *info = model ? berth_model_get_info(model) : NULL;
    return berth_remote_parse(state->remote, kept->bytes, kept->size, texts, info ? info->label_names : NULL,
                              info ? info->labels : 0, logits, err);
}

enum berth_status berth_remote_query(struct berth_cell_state *state, size_t first, size_t count, uint64_t *ns,
                                     struct berth_logits *logits, struct berth_error *err)
{
    struct remote_run run;
    struct berth_logits own;
    if (!logits)
        logits = &own;
    *logits = (struct berth_logits){0};
    enum berth_status status = prepare_run(&run, state, first / count, 1, count, false, 1, err);
    if (status == BERTH_OK)
        status = run_load(&run, state, 1, err);
    if (status == BERTH_OK && run.shots[0].fault != BERTH_SHOT_OK)
        status = berth_fail(err, BERTH_IO, "target %s: %s", state->remote->target->name,
                            run.report.fault[0] ? run.report.fault : "no answer");
    if (status == BERTH_OK) {
        *ns = run.shots[0].done - run.shots[0].sent;
        status = parse_kept(state, &run.kept[0], count, logits, err);
    }
    clear_run(&run);
    if (logits == &own)
        berth_logits_clear(&own);
    return status;
}

static int64_t stage_ns(double ms)
{
    return ms >= 0 && ms < 1e9 ? (int64_t)(ms * 1e6) : -1;
}

static void add_shot(struct berth_block *block, const struct berth_shot *shot)
{
    size_t i = block->count++;
    uint64_t done = shot->done ? shot->done : shot->sent;
    block->latency[i] = shot->sent ? (int64_t)(done - shot->due) : 0;
    block->service[i] = shot->sent ? (int64_t)(done - shot->sent) : 0;
    block->ok[i] = shot->fault == BERTH_SHOT_OK;
    const double ms[] = {shot->stages.tokenize_ms, shot->stages.queue_ms, shot->stages.inference_ms,
                         shot->stages.total_ms};
    for (int s = 0; s < 4; s++) {
        block->stage[s][i] = shot->done ? stage_ns(ms[s]) : -1;
        block->staged[s] = block->staged[s] || block->stage[s][i] >= 0;
    }
}

/* Best of a text's logits: what the server's answer means. */
static size_t best_label(const struct berth_logits *logits, size_t text)
{
    const float *row = logits->value + text * logits->labels;
    size_t best = 0;
    for (size_t k = 1; k < logits->labels; k++)
        if (row[k] > row[best])
            best = k;
    return best;
}

/* Reads the answers that were kept: wrong ones fail their trial, right labels are counted. `first` is a trial from 1. */
static void read_answers(struct remote_run *run, const struct berth_cell_state *state, size_t batch, size_t first,
                         struct berth_block *block)
{
    const struct berth_inputs *inputs = state->inputs;
    for (size_t i = 0; i < run->keep && i < run->count; i++) {
        struct berth_logits logits;
        struct berth_error fault;
        if (!run->kept[i].bytes)
            continue;
        if (parse_kept(state, &run->kept[i], batch, &logits, &fault) != BERTH_OK) {
            block->ok[i] = 0;
            if (!block->failure[0])
                snprintf(block->failure, sizeof block->failure, "%.250s", fault.message);
            continue;
        }
        for (size_t k = 0; inputs->label && k < batch; k++) {
            size_t row = (first - 1 + i) * batch + k;
            if (row >= inputs->count)
                break;
            block->labelled++;
            block->correct += best_label(&logits, k) == inputs->label[row];
        }
        berth_logits_clear(&logits);
    }
}

static void note_run(struct berth_block *block, const struct berth_cell_state *state, const struct remote_run *run,
                     size_t first_text, size_t texts, size_t batch)
{
    for (size_t i = 0; i < texts; i += batch) {
        size_t longest;
        block->tokens += (int64_t)berth_inputs_tokens(state->inputs, first_text + i, berth_min(batch, texts - i), &longest);
        block->padded_tokens += (int64_t)(longest * berth_min(batch, texts - i));
    }
    block->texts += (int64_t)texts;
    block->late += (int64_t)run->report.late;
    block->cpu_ns += (int64_t)run->report.cpu_ns;
    if (run->report.fault[0] && !block->failure[0])
        snprintf(block->failure, sizeof block->failure, "%.250s", run->report.fault);
}

/* Offline: each text a request of its own, all due at once; one trial is all of them. */
static enum berth_status measure_offline(struct berth_campaign *campaign, size_t cell, size_t trial,
                                         struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct remote_run run;
    size_t first = (trial - 1) * c->batch;
    enum berth_status status = prepare_run(&run, state, first, c->batch, 1, true, c->batch, err);
    if (status == BERTH_OK) {
        run.campaign = campaign;
        status = run_load(&run, state, berth_min(campaign->e.o.connections, c->batch), err);
    }
    if (status == BERTH_OK) {
        struct berth_shot whole = {.due = run.report.started, .sent = run.report.started, .done = run.report.ended,
                                   .fault = run.report.failed ? BERTH_SHOT_STATUS : BERTH_SHOT_OK,
                                   .stages = {NAN, NAN, NAN, NAN}};
        struct berth_block inner;
        status = berth_block_init(&inner, run.count, err);
        for (size_t i = 0; status == BERTH_OK && i < run.count; i++)
            add_shot(&inner, &run.shots[i]);
        if (status == BERTH_OK)
            read_answers(&run, state, 1, first + 1, &inner);
        for (size_t i = 0; status == BERTH_OK && i < run.count; i++)
            if (!inner.ok[i])
                whole.fault = BERTH_SHOT_WRONG;
        run.report.late = 0; /* all are due at once, and sent as connections are free */
        if (!block->failure[0] && inner.failure[0])
            memcpy(block->failure, inner.failure, sizeof block->failure);
        block->correct += inner.correct;
        block->labelled += inner.labelled;
        berth_block_clear(&inner);
        if (status == BERTH_OK) {
            add_shot(block, &whole);
            block->wall_ns += (int64_t)(run.report.ended - run.report.started);
            note_run(block, state, &run, first, c->batch, c->batch);
        }
    }
    clear_run(&run);
    return status;
}

/* The other scenarios: streams and closed loops keep some connections busy, the server scenario has a schedule. */
static enum berth_status measure_queries(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                         size_t count, struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    bool poisson = campaign->e.o.scenario == BERTH_SERVER;
    size_t connections = poisson ? campaign->e.o.connections : c->concurrency ? c->concurrency : 1;
    size_t keep = state->inputs->label ? count : berth_min(count, LOOKED_AT);
    struct remote_run run;
    enum berth_status status = prepare_run(&run, state, first - 1, count, c->batch, poisson, keep, err);
    if (status == BERTH_OK) {
        run.campaign = campaign;
        if (poisson)
            berth_schedule_poisson(rate, campaign->e.o.seed, run.due, count);
        status = run_load(&run, state, connections, err);
    }
    if (status == BERTH_OK) {
        for (size_t i = 0; i < count; i++)
            add_shot(block, &run.shots[i]);
        block->wall_ns += (int64_t)(run.report.ended - run.report.started);
        note_run(block, state, &run, (first - 1) * c->batch, count * c->batch, c->batch);
        read_answers(&run, state, c->batch, first, block);
    }
    clear_run(&run);
    return status;
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

enum berth_status berth_measure_remote(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                       size_t count, struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    block->began_us = wall_us();
    enum berth_status status =
        berth_remote_select(state->remote, campaign->e.model[c->model].name, state->asked, c->threads, err);
    if (status != BERTH_OK)
        return status;
    if (campaign->e.o.scenario != BERTH_OFFLINE)
        return measure_queries(campaign, cell, rate, first, count, block, err);
    for (size_t i = 0; i < count && status == BERTH_OK; i++)
        status = measure_offline(campaign, cell, first + i, block, err);
    return status;
}
