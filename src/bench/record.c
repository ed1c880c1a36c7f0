/* record.c: a campaign and its results file: which run it is, its configurations, its trials, what it ends with. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "bench/campaign.h"
#include "bench/environment.h"

enum { TEXT_MAX = 1 << 20 };

enum berth_status berth_block_init(struct berth_block *block, size_t capacity, struct berth_error *err)
{
    *block = (struct berth_block){.capacity = capacity};
    block->latency = berth_calloc(capacity, sizeof *block->latency);
    block->service = berth_calloc(capacity, sizeof *block->service);
    block->ok = berth_calloc(capacity, 1);
    bool good = block->latency && block->service && block->ok;
    for (int i = 0; i < 4; i++)
        good = (block->stage[i] = berth_calloc(capacity, sizeof(int64_t))) && good;
    return good ? BERTH_OK : berth_fail_memory(err, "trials", capacity * 7 * sizeof(int64_t));
}

void berth_block_clear(struct berth_block *block)
{
    berth_free(block->latency);
    berth_free(block->service);
    berth_free(block->ok);
    for (int i = 0; i < 4; i++)
        berth_free(block->stage[i]);
    *block = (struct berth_block){0};
}

/* "PID STARTTIME" of a process: the same for no other, before or after. False: there is no such process. */
static bool process_name(long pid, char *name, size_t size)
{
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (!berth_file_line(path, line, sizeof line))
        return false;
    const char *at = strrchr(line, ')'); /* the name before it may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at)
        return false;
    snprintf(name, size, "%ld %.*s", pid, (int)strcspn(at + 1, " "), at + 1);
    return true;
}

static const char *fact_of(const struct berth_results_book *book, int64_t run, const char *key)
{
    for (size_t i = 0; i < book->facts; i++)
        if (book->fact[i].run == run && strcmp(book->fact[i].key, key) == 0)
            return book->fact[i].value;
    return "";
}

/* Whether the process that began a run still works on it. */
static bool is_alive(const char *process, const char *machine, const char *here)
{
    char name[64];
    long pid = 0;
    if (strcmp(machine, here) != 0)
        return false;
    return sscanf(process, "%ld", &pid) == 1 && process_name(pid, name, sizeof name) && strcmp(name, process) == 0;
}

/* The newest unfinished run of the same experiment (and name, when one is given) that no living process works on; 0: none. */
static enum berth_status find_unfinished(struct berth_campaign *campaign, const char *experiment, int64_t *run,
                                         struct berth_error *err)
{
    struct berth_results_book book = {0};
    char machine[256] = "";
    gethostname(machine, sizeof machine - 1);
    const char *name = campaign->e.o.name;
    *run = 0;
    enum berth_status status = berth_results_read(campaign->results, 0, &book, err);
    if (status != BERTH_OK)
        return status;
    for (size_t i = 0; i < book.runs; i++) {
        int64_t id = book.run[i].id;
        if (book.run[i].finished_us == 0 && (!name || strcmp(book.run[i].name, name) == 0) && strcmp(fact_of(&book, id, "experiment"), experiment) == 0 &&
            strcmp(fact_of(&book, id, "machine"), machine) == 0 &&
            !is_alive(fact_of(&book, id, "process"), fact_of(&book, id, "machine"), machine))
            *run = id;
    }
    berth_results_book_clear(&book);
    return BERTH_OK;
}

struct telling {
    struct berth_results *results;
    int64_t run;
};

static enum berth_status tell_fact(void *context, const char *key, const char *value, struct berth_error *err)
{
    struct telling *telling = context;
    return berth_results_set_fact(telling->results, telling->run, key, value, err);
}

static enum berth_status record_environment(struct berth_campaign *campaign, const char *experiment,
                                            struct berth_error *err)
{
    struct telling telling = {campaign->results, campaign->run};
    char process[64] = "";
    enum berth_status status;
    BERTH_TRY(berth_environment_tell(tell_fact, &telling, err));
    BERTH_TRY(berth_results_set_fact(campaign->results, campaign->run, "experiment", experiment, err));
    process_name((long)getpid(), process, sizeof process);
    BERTH_TRY(berth_results_set_fact(campaign->results, campaign->run, "process", process, err));
    return BERTH_OK;
fail:
    return status;
}

/* Goes on with an unfinished run or adds one, and says that this process works on it: at once, for others look, too. */
static enum berth_status claim_run(struct berth_campaign *campaign, const char *experiment, struct berth_error *err)
{
    const struct berth_bench_options *o = &campaign->e.o;
    const struct berth_results_run run = {
        .name = o->name, .command = o->command, .suite = o->suite, .seed = o->seed};
    enum berth_status status = berth_results_begin(campaign->results, err);
    if (status != BERTH_OK)
        return status;
    if (o->output && !o->fresh)
        status = find_unfinished(campaign, experiment, &campaign->run, err);
    campaign->resumed = campaign->run != 0;
    if (status == BERTH_OK && !campaign->resumed)
        status = berth_results_add_run(campaign->results, &run, &campaign->run, err);
    if (status == BERTH_OK)
        status = record_environment(campaign, experiment, err);
    return berth_results_end(campaign->results, status, err);
}

enum berth_status berth_record_open(struct berth_campaign *campaign, struct berth_error *err)
{
    const char *output = campaign->e.o.output;
    struct berth_buffer text;
    enum berth_status status;
    berth_buffer_init(&text, TEXT_MAX);
    if (!berth_experiment_text(&campaign->e, &text)) {
        status = berth_fail_memory(err, "the experiment's text", text.size);
        goto fail;
    }
    BERTH_TRY(berth_results_open(output, output ? BERTH_RESULTS_APPEND : BERTH_RESULTS_MEMORY, &campaign->results, err));
    BERTH_TRY(claim_run(campaign, text.data, err));
fail:
    berth_buffer_clear(&text);
    return status;
}

enum berth_status berth_record_cell(struct berth_campaign *campaign, size_t cell, double rate, int64_t *configuration,
                                    struct berth_error *err)
{
    const struct berth_cell *c = &campaign->e.cell[cell];
    const struct berth_cell_state *state = &campaign->state[cell];
    const struct berth_bench_options *o = &campaign->e.o;
    const struct berth_results_configuration asked = {
        .run = campaign->run,
        .model = campaign->e.model[c->model].name,
        .target = campaign->e.target[c->target].name,
        .runtime = state->runtime,
        .optimization = state->optimization,
        .precision = state->precision,
        .scenario = berth_scenario_name(o->scenario),
        .data = o->data ? o->data : "synthetic",
        .threads = (int64_t)state->threads,
        .batch = (int64_t)c->batch,
        .length = (int64_t)c->length,
        .concurrency = (int64_t)c->concurrency,
        .rate = rate,
    };
    return berth_results_add_configuration(campaign->results, &asked, configuration, err);
}

enum berth_status berth_record_outcome(struct berth_campaign *campaign, size_t cell, int64_t configuration,
                                       struct berth_error *err)
{
    const struct berth_cell_state *state = &campaign->state[cell];
    const struct berth_results_outcome outcome = {
        .status = state->outcome,
        .failure = state->failure,
        .memory_bytes = (int64_t)state->memory_bytes,
        .load_ms = state->load_ms,
        .cold_ms = state->cold_ms,
        .difference = state->difference,
        .allowed = state->allowed,
    };
    return berth_results_set_outcome(campaign->results, configuration, &outcome, err);
}

enum berth_status berth_record_block(struct berth_campaign *campaign, size_t cell, int64_t configuration,
                                     const struct berth_block *block, struct berth_error *err)
{
    static const char *const names[] = {"tokenization", "queue", "inference", "total"};
    struct berth_cell_state *state = &campaign->state[cell];
    struct berth_results_stage stages[4];
    bool all_ok = true;
    size_t staged = 0;
    for (size_t i = 0; i < block->count; i++)
        all_ok = all_ok && block->ok[i];
    for (int i = 0; i < 4; i++)
        if (block->staged[i])
            stages[staged++] = (struct berth_results_stage){names[i], block->stage[i]};
    const struct berth_results_trials trials = {
        .configuration = configuration,
        .first = (int64_t)block->first,
        .count = block->count,
        .latency_ns = block->latency,
        .service_ns = block->service,
        .ok = all_ok ? NULL : block->ok,
        .failure = block->failure,
        .began_us = block->began_us,
        .wall_ns = block->wall_ns,
        .texts = block->texts,
        .tokens = block->tokens,
        .padded_tokens = block->padded_tokens,
        .late = block->late,
        .cpu_ns = block->cpu_ns,
        .energy_uj = block->energy_uj,
        .stages = staged,
        .stage = stages,
    };
    enum berth_status status = berth_results_append(campaign->results, &trials, err);
    if (status == BERTH_OK && block->labelled > 0) {
        state->correct += block->correct;
        state->labelled += block->labelled;
        status = berth_results_set_accuracy(campaign->results, configuration, (int64_t)state->correct,
                                            (int64_t)state->labelled, err);
    }
    return status;
}

static enum berth_status record_number(struct berth_campaign *campaign, const char *key, double value,
                                       struct berth_error *err)
{
    char text[32];
    if (isnan(value))
        return BERTH_OK;
    snprintf(text, sizeof text, "%.2f", value);
    return berth_results_set_fact(campaign->results, campaign->run, key, text, err);
}

enum berth_status berth_record_finish(struct berth_campaign *campaign, struct berth_error *err)
{
    struct berth_noise_verdict verdict;
    bool alone = true;
    enum berth_status status;
    for (size_t t = 0; t < campaign->e.targets; t++)
        alone = alone && campaign->e.target[t].local;
    berth_noise_end(&campaign->noise);
    berth_noise_judge(&campaign->noise, alone, &verdict);
    BERTH_TRY(record_number(campaign, "steal_percent", verdict.steal_percent, err));
    BERTH_TRY(record_number(campaign, "others_percent", verdict.others_percent, err));
    BERTH_TRY(record_number(campaign, "frequency_drop_percent", verdict.frequency_drop_percent, err));
    BERTH_TRY(record_number(campaign, "load_before", campaign->noise.begin.load, err));
    BERTH_TRY(record_number(campaign, "load_after", campaign->noise.end.load, err));
    BERTH_TRY(berth_results_set_fact(campaign->results, campaign->run, "noise", verdict.words, err));
    BERTH_TRY(berth_results_finish_run(campaign->results, campaign->run, err));
fail:
    return status;
}
