/* measure_local.c: queries to a session in this process. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "bench/campaign.h"
#include "bench/schedule.h"

/* A query is small talk below this: the caches are not its own any more after another model ran. */
enum { SHORT_NS = 5 * 1000 * 1000 };

/* One query's arguments. */
struct query {
    struct berth_session *session; /* borrowed */
    const struct berth_inputs *inputs;
    size_t count, capacity; /* texts */
    struct berth_text *texts; /* [capacity] */
    size_t *offsets;          /* [capacity + 1], for ids */
    struct berth_result *results;
    const int32_t *ids;
};

static void clear_query(struct query *query)
{
    berth_free(query->texts);
    berth_free(query->offsets);
    berth_free(query->results);
}

static enum berth_status init_query(struct query *query, struct berth_session *session,
                                    const struct berth_inputs *inputs, size_t count, struct berth_error *err)
{
    *query = (struct query){.session = session, .inputs = inputs, .count = count, .capacity = count};
    query->texts = berth_calloc(count, sizeof *query->texts);
    query->offsets = berth_calloc(count + 1, sizeof *query->offsets);
    query->results = berth_calloc(count, sizeof *query->results);
    if (query->texts && query->offsets && query->results)
        return BERTH_OK;
    clear_query(query);
    return berth_fail_memory(err, "a query", count * sizeof *query->results);
}

/* The texts from `first` on. */
static void fill_query(struct query *query, size_t first)
{
    const struct berth_inputs *inputs = query->inputs;
    if (inputs->ids) { /* they lie end to end: from the start, as many as fit */
        query->ids = inputs->ids;
        for (size_t i = 0; i <= query->count; i++)
            query->offsets[i] = i * inputs->length;
        return;
    }
    for (size_t i = 0; i < query->count; i++)
        query->texts[i] = inputs->text[(first + i) % inputs->count];
}

static enum berth_status run_query(struct query *query, struct berth_error *err)
{
    if (query->ids)
        return berth_session_classify_ids(query->session, query->ids, NULL, query->offsets, query->count,
                                          query->results, err);
    return berth_session_classify(query->session, query->texts, query->count, query->results, err);
}

enum berth_status berth_local_query(struct berth_cell_state *state, size_t first, size_t count, uint64_t *ns,
                                    struct berth_logits *logits, struct berth_error *err)
{
    struct query query;
    enum berth_status status = init_query(&query, state->session, state->inputs, count, err);
    if (status != BERTH_OK)
        return status;
    fill_query(&query, first);
    uint64_t started = berth_clock_ns();
    status = run_query(&query, err);
    *ns = berth_clock_ns() - started;
    if (status == BERTH_OK && logits)
        status = berth_logits_new(1, query.results[0].labels, logits, err);
    if (status == BERTH_OK && logits)
        memcpy(logits->value, query.results[0].logits, logits->labels * sizeof(float));
    clear_query(&query);
    return status;
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t process_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Everything about a query but its times: tokens, padding, right answers, stages. */
static void note_query(struct berth_block *block, const struct query *query, size_t trial, size_t first)
{
    const struct berth_inputs *inputs = query->inputs;
    size_t longest, i = block->count - 1;
    block->texts += (int64_t)query->count;
    block->tokens += (int64_t)berth_inputs_tokens(inputs, first, query->count, &longest);
    block->padded_tokens += (int64_t)(longest * query->count);
    struct berth_timing timing = berth_session_timing(query->session);
    block->stage[0][i] = (int64_t)timing.tokenize_ns;
    block->stage[2][i] = (int64_t)timing.compute_ns;
    block->stage[1][i] = block->stage[3][i] = -1;
    block->staged[0] = block->staged[2] = true;
    for (size_t k = 0; inputs->label && k < query->count; k++) {
        size_t row = (trial - 1) * query->count + k;
        if (row >= inputs->count) /* each text's answer counts once */
            break;
        block->labelled++;
        block->correct += query->results[k].label_id == inputs->label[row];
    }
}

static void add_trial(struct berth_block *block, uint64_t due, uint64_t sent, uint64_t done, enum berth_status status,
                      const struct berth_error *fault)
{
    size_t i = block->count++;
    block->latency[i] = (int64_t)(done - due);
    block->service[i] = (int64_t)(done - sent);
    block->ok[i] = status == BERTH_OK;
    for (int s = 0; s < 4; s++)
        block->stage[s][i] = -1;
    if (status != BERTH_OK && !block->failure[0])
        snprintf(block->failure, sizeof block->failure, "%.250s", fault->message);
}

/* One query after the other. */
static enum berth_status measure_stream(struct berth_campaign *campaign, size_t cell, size_t first, size_t count,
                                        struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct query query;
    struct berth_error fault;
    enum berth_status status = init_query(&query, state->session, state->inputs, c->batch, err);
    if (status != BERTH_OK)
        return status;
    if (state->warm_ms * 1e6 < SHORT_NS) { /* so that its weights and code are in the caches again */
        fill_query(&query, (first - 1) * c->batch);
        status = run_query(&query, &fault);
    }
    for (size_t t = 0; t < count && status != BERTH_NO_MEMORY; t++) {
        size_t trial = first + t;
        fill_query(&query, (trial - 1) * c->batch);
        int64_t cpu = process_cpu_ns();
        uint64_t started = berth_clock_ns();
        status = run_query(&query, &fault);
        uint64_t ended = berth_clock_ns();
        block->cpu_ns += process_cpu_ns() - cpu;
        add_trial(block, started, started, ended, status, &fault);
        block->wall_ns += (int64_t)(ended - started);
        if (status == BERTH_OK)
            note_query(block, &query, trial, (trial - 1) * c->batch);
    }
    clear_query(&query);
    return status == BERTH_NO_MEMORY ? berth_fail(err, status, "%s", fault.message) : BERTH_OK;
}

static void sleep_until(uint64_t moment)
{
    const struct timespec at = {(time_t)(moment / 1000000000u), (long)(moment % 1000000000u)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) != 0)
        ;
}

/* Poisson arrivals at one session, first come, first served. */
static enum berth_status measure_server(struct berth_campaign *campaign, size_t cell, double rate, size_t count,
                                        struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct query query;
    struct berth_error fault;
    uint64_t *due = berth_calloc(count, sizeof *due);
    if (!due)
        return berth_fail_memory(err, "a schedule", count * sizeof *due);
    enum berth_status status = init_query(&query, state->session, state->inputs, c->batch, err);
    if (status != BERTH_OK) {
        berth_free(due);
        return status;
    }
    berth_schedule_poisson(rate, campaign->e.o.seed, due, count);
    int64_t cpu = process_cpu_ns();
    uint64_t start = berth_clock_ns(), ended = start, looked = start;
    for (size_t t = 0; t < count && status != BERTH_NO_MEMORY; t++) {
        fill_query(&query, t * c->batch);
        sleep_until(start + due[t]);
        uint64_t began = berth_clock_ns();
        status = run_query(&query, &fault);
        ended = berth_clock_ns();
        add_trial(block, start + due[t], began, ended, status, &fault);
        block->late += began - start - due[t] > BERTH_LOAD_LATE_NS;
        if (status == BERTH_OK)
            note_query(block, &query, t + 1, t * c->batch);
        if (ended - looked > 20000000u) {
            looked = ended;
            if (!berth_campaign_going(campaign, t + 1)) {
                status = berth_fail(err, BERTH_CANCELLED, "stopped");
                break;
            }
        }
    }
    block->wall_ns = (int64_t)(ended - start);
    block->cpu_ns = process_cpu_ns() - cpu;
    clear_query(&query);
    berth_free(due);
    return status == BERTH_NO_MEMORY    ? berth_fail(err, status, "%s", fault.message)
           : status == BERTH_CANCELLED ? status
                                       : BERTH_OK;
}

/* A closed loop: workers that take the next trial as soon as they are done with the last. */
struct closed_loop {
    struct berth_campaign *campaign;
    size_t batch, count;
    atomic_size_t next;
    atomic_bool stop;
    pthread_mutex_t lock; /* of the block */
    struct berth_block *block;
};

struct closed_worker {
    struct closed_loop *loop;
    struct query query;
    pthread_t thread;
    bool started;
};

static void *work_closed(void *context)
{
    struct closed_worker *worker = context;
    struct closed_loop *loop = worker->loop;
    struct berth_error fault;
    size_t t;
    while (!atomic_load(&loop->stop) && (t = atomic_fetch_add(&loop->next, 1)) < loop->count) {
        fill_query(&worker->query, t * loop->batch);
        uint64_t began = berth_clock_ns();
        enum berth_status status = run_query(&worker->query, &fault);
        uint64_t ended = berth_clock_ns();
        pthread_mutex_lock(&loop->lock);
        add_trial(loop->block, began, began, ended, status, &fault);
        if (status == BERTH_OK)
            note_query(loop->block, &worker->query, t + 1, t * loop->batch);
        pthread_mutex_unlock(&loop->lock);
    }
    return NULL;
}

static enum berth_status start_workers(struct closed_loop *loop, struct closed_worker *workers, size_t count,
                                       size_t cell, struct berth_error *err)
{
    const struct berth_cell *c = &loop->campaign->e.cell[cell];
    struct berth_cell_state *state = &loop->campaign->state[cell];
    struct berth_options options = loop->campaign->e.o.options;
    options.threads = c->threads;
    for (size_t i = 0; i < count; i++) {
        struct berth_session *session = state->session;
        enum berth_status status =
            i == 0 ? BERTH_OK : berth_session_new(state->opened->opened, &options, &session, err);
        if (status == BERTH_OK)
            status = init_query(&workers[i].query, session, state->inputs, c->batch, err);
        if (status != BERTH_OK)
            return status;
        workers[i].loop = loop;
        fill_query(&workers[i].query, i * c->batch);
        struct berth_error fault;
        if (run_query(&workers[i].query, &fault) == BERTH_NO_MEMORY)
            return berth_fail(err, BERTH_NO_MEMORY, "%s", fault.message);
    }
    return BERTH_OK;
}

static enum berth_status measure_closed(struct berth_campaign *campaign, size_t cell, size_t count,
                                        struct berth_block *block, struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    struct berth_cell_state *state = &campaign->state[cell];
    struct closed_loop loop = {.campaign = campaign, .batch = c->batch, .count = count, .block = block};
    struct closed_worker *workers = berth_calloc(c->concurrency, sizeof *workers);
    if (!workers)
        return berth_fail_memory(err, "workers", c->concurrency * sizeof *workers);
    pthread_mutex_init(&loop.lock, NULL);
    enum berth_status status = start_workers(&loop, workers, c->concurrency, cell, err);
    int64_t cpu = process_cpu_ns();
    uint64_t start = berth_clock_ns();
    for (size_t i = 0; status == BERTH_OK && i < c->concurrency; i++) {
        workers[i].started = pthread_create(&workers[i].thread, NULL, work_closed, &workers[i]) == 0;
        if (!workers[i].started)
            status = berth_fail(err, BERTH_IO, "cannot start %zu threads", c->concurrency);
    }
    while (status == BERTH_OK && atomic_load(&loop.next) < count) {
        const struct timespec nap = {0, 20000000};
        nanosleep(&nap, NULL);
        if (!berth_campaign_going(campaign, atomic_load(&loop.next)))
            status = berth_fail(err, BERTH_CANCELLED, "stopped");
    }
    if (status != BERTH_OK)
        atomic_store(&loop.stop, true);
    for (size_t i = 0; i < c->concurrency; i++) {
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
    }
    block->wall_ns = 0;
    block->cpu_ns = process_cpu_ns() - cpu;
    block->wall_ns = (int64_t)(berth_clock_ns() - start);
    for (size_t i = 0; i < c->concurrency; i++) {
        if (workers[i].query.session != state->session)
            berth_session_free(workers[i].query.session);
        clear_query(&workers[i].query);
    }
    pthread_mutex_destroy(&loop.lock);
    berth_free(workers);
    return status;
}

enum berth_status berth_measure_local(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                      size_t count, struct berth_block *block, struct berth_error *err)
{
    block->began_us = wall_us();
    uint64_t energy = berth_energy_uj();
    enum berth_status status;
    if (campaign->e.o.scenario == BERTH_SERVER)
        status = measure_server(campaign, cell, rate, count, block, err);
    else if (campaign->e.o.scenario == BERTH_CLOSED_LOOP)
        status = measure_closed(campaign, cell, count, block, err);
    else
        status = measure_stream(campaign, cell, first, count, block, err);
    uint64_t used = berth_energy_uj() - energy;
    block->energy_uj = energy > 0 && (int64_t)used > 0 ? (int64_t)used : 0;
    return status;
}
