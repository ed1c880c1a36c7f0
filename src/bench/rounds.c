/* rounds.c: the order of the trials. A grid is measured in rounds, each a fresh permutation of its cells: whatever
 * drifts (heat, neighbours, caches) meets all cells alike, and no cell always follows the same other one. Cells of a
 * server that has to be set to a model stay together within a round. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "bench/campaign.h"
#include "bench/order.h"

static bool is_stateful(const struct berth_campaign *campaign, size_t cell)
{
    return campaign->e.target[campaign->e.cell[cell].target].protocol == BERTH_PROTOCOL_STUDY;
}

static bool same_state(const struct berth_cell *a, const struct berth_cell *b)
{
    return a->model == b->model && a->target == b->target && a->engine == b->engine && a->threads == b->threads;
}

/* Groups of cells [begin[g], begin[g + 1]) that stay together: cells of one state stand next to each other. */
static size_t find_groups(const struct berth_campaign *campaign, size_t *begin)
{
    size_t groups = 0;
    for (size_t c = 0; c < campaign->e.cells; c++) {
        const struct berth_cell *cell = &campaign->e.cell[c];
        if (c == 0 || !is_stateful(campaign, c) || !same_state(cell, cell - 1))
            begin[groups++] = c;
    }
    begin[groups] = campaign->e.cells;
    return groups;
}

/* A server that fails in the midst: the trials are there, and failed. */
static void fail_block(struct berth_block *block, size_t count, const struct berth_error *fault)
{
    for (size_t i = 0; i < count; i++) {
        block->latency[i] = block->service[i] = 0;
        block->ok[i] = 0;
        for (int s = 0; s < 4; s++)
            block->stage[s][i] = -1;
    }
    for (int s = 0; s < 4; s++)
        block->staged[s] = false;
    block->count = count;
    block->texts = block->tokens = block->padded_tokens = 0;
    block->correct = block->labelled = 0;
    snprintf(block->failure, sizeof block->failure, "%.250s", fault->message);
}

static enum berth_status measure_block(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                       size_t count, struct berth_block *block, struct berth_error *err)
{
    struct berth_error fault = {0};
    enum berth_status status;
    block->first = first;
    status = campaign->state[cell].session
                 ? berth_measure_local(campaign, cell, rate, first, count, block, &fault)
                 : berth_measure_remote(campaign, cell, rate, first, count, block, &fault);
    if (status == BERTH_NO_MEMORY || status == BERTH_CANCELLED)
        return berth_fail(err, status, "%s", fault.message);
    if (status != BERTH_OK)
        fail_block(block, count, &fault);
    return BERTH_OK;
}

enum berth_status berth_campaign_block(struct berth_campaign *campaign, size_t cell, double rate,
                                       int64_t configuration, size_t first, size_t count, struct berth_block *block,
                                       struct berth_error *err)
{
    enum berth_status status = berth_block_init(block, count, err);
    if (status == BERTH_OK)
        status = measure_block(campaign, cell, rate, first, count, block, err);
    if (status == BERTH_OK)
        status = berth_record_block(campaign, cell, configuration, block, err);
    return status;
}

/* Trials of the cell that fall to a round: the same ones whether or not the run was interrupted. */
static enum berth_status visit(struct berth_campaign *campaign, size_t cell, size_t round, struct berth_error *err)
{
    struct berth_cell_state *state = &campaign->state[cell];
    size_t trials = campaign->e.o.trials, rounds = campaign->e.rounds;
    size_t from = trials * round / rounds, to = trials * (round + 1) / rounds;
    bool single = berth_experiment_single(&campaign->e);
    for (size_t t = from; t < to;) {
        size_t count = single ? 1 : to - t;
        struct berth_block block = {0};
        if (state->done[t]) {
            t += count;
            continue;
        }
        if (!berth_campaign_going(campaign, 0))
            return berth_fail(err, BERTH_CANCELLED, "stopped after %zu of %zu trials", campaign->finished,
                              campaign->total);
        enum berth_status status = berth_campaign_block(campaign, cell, campaign->e.cell[cell].rate,
                                                        state->configuration, t + 1, count, &block, err);
        berth_block_clear(&block);
        if (status == BERTH_CANCELLED)
            return berth_fail(err, BERTH_CANCELLED, "stopped after %zu of %zu trials", campaign->finished,
                              campaign->total);
        if (status != BERTH_OK)
            return status;
        campaign->finished += count;
        t += count;
    }
    return BERTH_OK;
}

/* Adds every cell to the file and learns which of its trials are there already. */
static enum berth_status register_cells(struct berth_campaign *campaign, struct berth_error *err)
{
    enum berth_status status;
    size_t trials = campaign->e.o.trials;
    for (size_t c = 0; c < campaign->e.cells; c++) {
        struct berth_cell_state *state = &campaign->state[c];
        BERTH_TRY(berth_record_cell(campaign, c, campaign->e.cell[c].rate, &state->configuration, err));
        BERTH_TRY(berth_record_outcome(campaign, c, state->configuration, err));
        if (strcmp(state->outcome, "ok") != 0)
            continue;
        state->done = berth_calloc(trials, sizeof *state->done);
        if (!state->done)
            return berth_fail_memory(err, "trials", trials);
        BERTH_TRY(berth_results_done(campaign->results, state->configuration, state->done, trials, &state->done_count,
                                     err));
        campaign->total += trials;
        campaign->finished += state->done_count;
    }
    if (campaign->resumed) {
        struct berth_results_book book;
        BERTH_TRY(berth_results_read(campaign->results, campaign->run, &book, err));
        for (size_t i = 0; i < book.configurations; i++)
            for (size_t c = 0; c < campaign->e.cells; c++)
                if (campaign->state[c].configuration == book.configuration[i].id) {
                    campaign->state[c].correct = (size_t)book.configuration[i].correct;
                    campaign->state[c].labelled = (size_t)book.configuration[i].labelled;
                }
        berth_results_book_clear(&book);
    }
    return BERTH_OK;
fail:
    return status;
}

static enum berth_status run_round(struct berth_campaign *campaign, size_t round, const size_t *begin, size_t groups,
                                   size_t *order, size_t *inner, struct berth_error *err)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, campaign->e.o.seed ^ (round + 1) * 0x9e3779b97f4a7c15u);
    berth_order_shuffle(order, groups, &rng);
    for (size_t g = 0; g < groups; g++) {
        size_t from = begin[order[g]], size = begin[order[g] + 1] - from;
        berth_order_shuffle(inner, size, &rng);
        for (size_t i = 0; i < size; i++) {
            size_t cell = from + inner[i];
            if (!campaign->state[cell].done)
                continue;
            enum berth_status status = visit(campaign, cell, round, err);
            if (status != BERTH_OK)
                return status;
        }
    }
    return BERTH_OK;
}

enum berth_status berth_campaign_measure(struct berth_campaign *campaign, struct berth_error *err)
{
    enum berth_status status;
    size_t cells = campaign->e.cells;
    size_t *begin = berth_calloc(cells + 1, sizeof *begin), *order = berth_calloc(cells + 1, sizeof *order),
           *inner = berth_calloc(cells + 1, sizeof *inner);
    if (!begin || !order || !inner) {
        status = berth_fail_memory(err, "the order of trials", cells * sizeof *order);
        goto fail;
    }
    BERTH_TRY(register_cells(campaign, err));
    berth_noise_begin(&campaign->noise);
    size_t groups = find_groups(campaign, begin);
    for (size_t round = 0; round < campaign->e.rounds; round++)
        BERTH_TRY(run_round(campaign, round, begin, groups, order, inner, err));
fail:
    berth_free(begin);
    berth_free(order);
    berth_free(inner);
    return status;
}
