/* experiment.c: options to cells. */
#include "bench/experiment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/threads.h"
#include "bench/load.h"

enum {
    DEFAULT_TRIALS = 20,
    DEFAULT_REQUESTS = 1000,
    DEFAULT_LENGTH = 128,
    MULTI_STREAM_TEXTS = 8, /* MLPerf Inference's samples of a query */
    OFFLINE_TEXTS = 256,
    MAX_TRIALS = 1000000,
    MAX_CELLS = 100000,
    MAX_TOKENS = 1 << 24, /* of one query */
    MAX_BATCH = 65536,
    MAX_ROUNDS = 100
};

static const enum berth_precision default_precision[] = {BERTH_PRECISION_DEFAULT};
static const size_t default_threads[] = {0}, one[] = {1}, eight[] = {MULTI_STREAM_TEXTS},
                    many[] = {OFFLINE_TEXTS}, default_length[] = {DEFAULT_LENGTH}, own_length[] = {0};
static const double no_rate[] = {0};
static const size_t no_concurrency[] = {0};
static const char *const local_target[] = {"local"};

static const char *const scenario_names[] = {"single-stream", "multi-stream", "offline", "server", "closed-loop"};

bool berth_scenario_parse(const char *word, enum berth_scenario *scenario)
{
    for (size_t i = 0; i < sizeof scenario_names / sizeof *scenario_names; i++)
        if (strcmp(word, scenario_names[i]) == 0) {
            *scenario = (enum berth_scenario)i;
            return true;
        }
    return false;
}

const char *berth_scenario_name(enum berth_scenario scenario)
{
    return (unsigned)scenario <= BERTH_CLOSED_LOOP ? scenario_names[scenario] : "unknown";
}

bool berth_protocol_parse(const char *word, enum berth_protocol *protocol)
{
    static const char *const names[] = {"auto", "study", "oip", "berth"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(word, names[i]) == 0) {
            *protocol = (enum berth_protocol)i;
            return true;
        }
    return false;
}

bool berth_experiment_single(const struct berth_experiment *experiment)
{
    return experiment->o.scenario <= BERTH_OFFLINE;
}

/* The largest value is the upper end of an interval when P(B = n) <= 2.5 %, for B binomial with n and q. */
size_t berth_experiment_needed(double q)
{
    double upper = log(0.025) / log(q), lower = log(0.025) / log1p(-q);
    return (size_t)ceil(fmax(upper, lower) - 1e-9);
}

/* The failure is about the option of this name. */
static enum berth_status about(struct berth_experiment *e, const char *key, enum berth_status status)
{
    e->key = key;
    return status;
}

/* An option that would be without effect is a mistake: what was meant by it does not happen. */
static enum berth_status check_contradictions(struct berth_experiment *e, const struct berth_bench_options *given,
                                              struct berth_error *err)
{
    const char *scenario = berth_scenario_name(e->o.scenario);
    if (given->find_rate && given->rate_count > 0)
        return about(e, "rate", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                           "a rate is either given or searched: leave --rate or --find-rate out"));
    if (given->rate_count > 0 && e->o.scenario != BERTH_SERVER)
        return about(e, "rate", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                           "a rate is kept in the server scenario, not in %s: give --scenario server, or "
                                           "leave --rate out",
                                           scenario));
    if (given->concurrency_count > 0 && e->o.scenario != BERTH_CLOSED_LOOP)
        return about(e, "concurrency", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                                  "so many queries at once are of the closed loop, not of %s: leave "
                                                  "--concurrency or --scenario out",
                                                  scenario));
    if (given->p99_ms != 0 && !given->find_rate)
        return about(e, "p99-ms", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                             "an objective is what a rate is searched within: give --find-rate, too, or "
                                             "leave --p99-ms out"));
    if (given->trials > 0 && given->percentile > 0)
        return about(e, "percentile", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                                 "the trials are either counted or what a percentile needs: leave --trials "
                                                 "or --percentile out"));
    if (!given->data && given->task)
        return about(e, "task", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                           "a task tells how labelled texts are laid out: give --data, or leave --task out"));
    return BERTH_OK;
}

static void fill_defaults(struct berth_bench_options *o)
{
    if (o->concurrencies && o->concurrency_count > 0 && o->scenario == BERTH_SINGLE_STREAM)
        o->scenario = BERTH_CLOSED_LOOP;
    if (o->find_rate && o->scenario == BERTH_SINGLE_STREAM)
        o->scenario = BERTH_SERVER;
    if (!o->targets || o->target_count == 0)
        o->targets = local_target, o->target_count = 1;
    if (!o->precisions || o->precision_count == 0)
        o->precisions = o->options.precision ? &o->options.precision : default_precision, o->precision_count = 1;
    if (!o->runtimes || o->runtime_count == 0)
        o->runtimes = &o->options.runtime, o->runtime_count = 1;
    if (!o->threads || o->thread_count == 0)
        o->threads = o->options.threads ? &o->options.threads : default_threads, o->thread_count = 1;
    if (!o->batches || o->batch_count == 0)
        o->batches = o->scenario == BERTH_MULTI_STREAM ? eight : o->scenario == BERTH_OFFLINE ? many : one,
        o->batch_count = 1;
    if (!o->lengths || o->length_count == 0)
        o->lengths = o->data ? own_length : default_length, o->length_count = 1;
    if (o->scenario != BERTH_SERVER || o->find_rate)
        o->rates = no_rate, o->rate_count = 1;
    if (o->scenario != BERTH_CLOSED_LOOP)
        o->concurrencies = no_concurrency, o->concurrency_count = 1;
    if (o->timeout_ms == 0)
        o->timeout_ms = 30000;
    if (o->connections == 0)
        o->connections = 1024;
}

static enum berth_status check_scenario(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    const enum berth_status wrong = BERTH_INVALID_ARGUMENT;
    if (o->scenario == BERTH_SERVER && !o->find_rate && (!o->rates || o->rate_count == 0))
        return about(e, "scenario",
                     berth_fail(err, wrong, "the server scenario needs a rate: give --rate, or --find-rate --p99-ms"));
    if (o->find_rate && o->scenario != BERTH_SERVER)
        return about(e, "find-rate", berth_fail(err, wrong, "a rate is searched in the server scenario, not in %s",
                                                berth_scenario_name(o->scenario)));
    if (o->find_rate && !(o->p99_ms > 0 && isfinite(o->p99_ms)))
        return about(e, "find-rate", berth_fail(err, wrong, "a rate is searched within an objective: give --p99-ms"));
    if (o->scenario == BERTH_CLOSED_LOOP && (!o->concurrencies || o->concurrency_count == 0))
        return about(e, "scenario", berth_fail(err, wrong, "the closed loop needs --concurrency"));
    for (size_t i = 0; i < o->rate_count && o->scenario == BERTH_SERVER && !o->find_rate; i++)
        if (!(o->rates[i] > 0 && o->rates[i] <= 1e6))
            return about(e, "rate", berth_fail(err, wrong, "a rate of %g: more than 0, at most 1000000 a second",
                                               o->rates[i]));
    for (size_t i = 0; i < o->concurrency_count && o->scenario == BERTH_CLOSED_LOOP; i++)
        if (o->concurrencies[i] == 0 || o->concurrencies[i] > BERTH_LOAD_CONNECTIONS_MAX)
            return about(e, "concurrency", berth_fail(err, wrong, "a concurrency of %zu: between 1 and %d",
                                                      o->concurrencies[i], BERTH_LOAD_CONNECTIONS_MAX));
    if (o->connections > BERTH_LOAD_CONNECTIONS_MAX)
        return about(e, "connections", berth_fail(err, wrong, "%zu connections: at most %d", o->connections,
                                                  BERTH_LOAD_CONNECTIONS_MAX));
    if (o->timeout_ms > 3600000)
        return about(e, "timeout-ms", berth_fail(err, wrong, "a timeout of %zu ms: at most an hour", o->timeout_ms));
    if (o->data && o->lengths[0] != 0)
        return about(e, "length", berth_fail(err, wrong, "texts of %s have their own lengths: leave --length out", o->data));
    if (o->data && !o->task)
        return about(e, "data", berth_fail(err, wrong, "%s: give --task, which tells the file's columns", o->data));
    for (size_t i = 0; i < o->thread_count; i++)
        if (o->threads[i] > BERTH_THREADS_MAX)
            return about(e, "threads", berth_fail(err, wrong, "%zu threads: at most %d", o->threads[i], BERTH_THREADS_MAX));
    return BERTH_OK;
}

static enum berth_status check_shapes(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    for (size_t b = 0; b < o->batch_count; b++)
        for (size_t l = 0; l < o->length_count; l++) {
            size_t tokens = 0, length = o->data ? 1 : o->lengths[l];
            if (o->batches[b] == 0 || length == 0 || !berth_mul(o->batches[b], length, &tokens) ||
                tokens > MAX_TOKENS)
                return about(e, "batch", berth_fail(err, BERTH_INVALID_ARGUMENT,
                                                    "batch %zu of %zu tokens: between 1 and %d tokens in all",
                                                    o->batches[b], length, MAX_TOKENS));
            if (o->batches[b] > MAX_BATCH)
                return about(e, "batch", berth_fail(err, BERTH_INVALID_ARGUMENT, "batch %zu: at most %d texts",
                                                    o->batches[b], MAX_BATCH));
        }
    return BERTH_OK;
}

/* Trials: as many as were asked for, or as the percentile's interval needs. */
static enum berth_status choose_trials(struct berth_experiment *e, struct berth_error *err)
{
    struct berth_bench_options *o = &e->o;
    if (o->percentile != 0 && !(o->percentile >= 50 && o->percentile <= 99.9))
        return about(e, "percentile", berth_fail(err, BERTH_INVALID_ARGUMENT, "percentile %g: between 50 and 99.9",
                                                 o->percentile));
    if (o->trials == 0 && o->percentile > 0)
        o->trials = berth_experiment_needed(o->percentile / 100);
    if (o->trials == 0 && !o->data) /* with data: as its size says, once it is read */
        o->trials = berth_experiment_single(e) ? DEFAULT_TRIALS : DEFAULT_REQUESTS;
    if (o->trials > MAX_TRIALS)
        return about(e, "trials", berth_fail(err, BERTH_LIMIT, "%zu trials: at most %d", o->trials, MAX_TRIALS));
    return BERTH_OK;
}

static enum berth_status read_models(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    if (o->model_count == 0 || !o->models)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no model to measure: name at least one");
    e->model = berth_calloc(o->model_count, sizeof *e->model);
    if (!e->model)
        return berth_fail_memory(err, "models", o->model_count * sizeof *e->model);
    for (; e->models < o->model_count; e->models++) {
        const char *text = o->models[e->models], *equals = strchr(text, '=');
        struct berth_bench_model *model = &e->model[e->models];
        size_t name = equals ? (size_t)(equals - text) : strlen(text);
        if (equals && memchr(text, '/', name)) /* a path with = in it */
            equals = NULL, name = strlen(text);
        if (name == 0 || (equals && !equals[1]))
            return about(e, "model",
                         berth_fail(err, BERTH_INVALID_ARGUMENT, "model '%s': give MODEL or NAME=MODEL", text));
        model->name = berth_strndup(text, name);
        model->source = berth_strdup(equals ? equals + 1 : text);
        if (!model->name || !model->source) {
            e->models++;
            return berth_fail_memory(err, "the name of a model", strlen(text));
        }
        for (size_t i = 0; i < e->models; i++)
            if (strcmp(e->model[i].name, model->name) == 0) {
                e->models++;
                return about(e, "model", berth_fail(err, BERTH_INVALID_ARGUMENT, "two models are called '%s'",
                                                    e->model[i].name));
            }
    }
    return BERTH_OK;
}

static bool read_property(struct berth_bench_target *target, const char *key, const char *value)
{
    char *end;
    if (strcmp(key, "precision") == 0)
        return berth_precision_parse(value, &target->precision);
    if (strcmp(key, "protocol") == 0)
        return berth_protocol_parse(value, &target->protocol);
    if (strcmp(key, "threads") == 0) {
        target->threads = strtoul(value, &end, 10);
        return *end == 0 && *value >= '0' && *value <= '9' && target->threads <= 4096;
    }
    if (strcmp(key, "runtime") != 0 || strlen(value) >= sizeof target->runtime || !*value)
        return false;
    strcpy(target->runtime, value);
    return true;
}

/* "local" or "NAME=http://host:port,precision=int8,threads=2". */
static enum berth_status read_target(const char *text, enum berth_protocol protocol, struct berth_bench_target *target,
                                     struct berth_error *err)
{
    const char *equals = strchr(text, '=');
    if (strcmp(text, "local") == 0) {
        target->local = true;
        target->name = berth_strdup(text);
        return target->name ? BERTH_OK : berth_fail_memory(err, "a target", strlen(text));
    }
    bool bare = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    if (bare)
        equals = NULL;
    if (!bare && (!equals || equals == text))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "target '%s': give local, or NAME=http://host:port", text);
    char *copy = berth_strdup(equals ? equals + 1 : text);
    target->name = bare ? berth_strndup(text, strcspn(text, ",")) : berth_strndup(text, (size_t)(equals - text));
    target->protocol = protocol;
    enum berth_status status = BERTH_OK;
    if (!copy || !target->name)
        status = berth_fail_memory(err, "a target", strlen(text));
    char *rest = copy ? strchr(copy, ',') : NULL;
    if (rest)
        *rest++ = 0;
    while (rest && *rest && status == BERTH_OK) {
        char *key = rest, *value = strchr(key, '=');
        rest = strchr(key, ',');
        if (rest)
            *rest++ = 0;
        if (value)
            *value++ = 0;
        if (!value || !read_property(target, key, value))
            status = berth_fail(err, BERTH_INVALID_ARGUMENT,
                                "target '%s': '%s' is none of precision=, threads=, runtime=, protocol= with a "
                                "value that it can have",
                                target->name, key);
    }
    if (status == BERTH_OK && strcmp(target->name, "local") == 0)
        status = berth_fail(err, BERTH_INVALID_ARGUMENT,
                            "target '%s': local is this process; give the server another name", text);
    if (status == BERTH_OK)
        status = berth_endpoint_parse(copy, &target->endpoint, err);
    berth_free(copy);
    return status;
}

static enum berth_status read_targets(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    enum berth_protocol protocol = BERTH_PROTOCOL_AUTO;
    if (o->protocol && !berth_protocol_parse(o->protocol, &protocol))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "protocol '%s': one of auto, study, oip, berth", o->protocol);
    e->target = berth_calloc(o->target_count, sizeof *e->target);
    if (!e->target)
        return berth_fail_memory(err, "targets", o->target_count * sizeof *e->target);
    for (size_t i = 0; i < o->target_count; i++) {
        e->targets++;
        enum berth_status status = read_target(o->targets[i], protocol, &e->target[i], err);
        if (status != BERTH_OK)
            return about(e, "target", status);
        for (size_t k = 0; k < i; k++)
            if (strcmp(e->target[k].name, e->target[i].name) == 0)
                return about(e, "target", berth_fail(err, BERTH_INVALID_ARGUMENT, "two targets are called '%s'",
                                                     e->target[i].name));
    }
    return BERTH_OK;
}

struct optimization_word {
    const char *word, *other;
    enum berth_optimization optimization;
    enum berth_precision precision;
};
static const struct optimization_word optimization_words[] = {
    {"plain", "none", BERTH_OPTIMIZATION_NONE, BERTH_PRECISION_FP32},
    {"runtime", "runtime", BERTH_OPTIMIZATION_RUNTIME, BERTH_PRECISION_FP32},
    {"optimized", "fused", BERTH_OPTIMIZATION_FUSED, BERTH_PRECISION_FP32},
    {"quantized", "quantised", BERTH_OPTIMIZATION_FUSED, BERTH_PRECISION_INT8},
};

static const char *optimization_label(enum berth_optimization optimization, enum berth_precision precision)
{
    if (precision == BERTH_PRECISION_INT8)
        return "quantized";
    return optimization == BERTH_OPTIMIZATION_NONE      ? "plain"
           : optimization == BERTH_OPTIMIZATION_RUNTIME ? "runtime"
                                                        : "optimized";
}

static const struct optimization_word *find_optimization(const char *word)
{
    for (size_t i = 0; i < sizeof optimization_words / sizeof *optimization_words; i++) {
        const struct optimization_word *known = &optimization_words[i];
        if (strcmp(word, known->word) == 0 || strcmp(word, known->other) == 0 ||
            (i == 2 && strcmp(word, "optimised") == 0))
            return known;
    }
    return NULL;
}

bool berth_optimization_word(const char *word)
{
    return find_optimization(word) != NULL;
}

static enum berth_status add_optimization(struct berth_experiment *e, const char *word, struct berth_error *err)
{
    const struct optimization_word *known = find_optimization(word);
    if (!known)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "optimization '%s': one of plain, runtime, optimized, quantized", word);
    e->engine[e->engines++] =
        (struct berth_engine_choice){BERTH_RUNTIME_ONNXRUNTIME, known->optimization, known->precision, known->word};
    return BERTH_OK;
}

/* What would be asked for and never run. The study's grid is filled in whole: there nothing was asked for by name. */
static enum berth_status check_choices(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    bool native = o->runtime_count == 0 && o->options.runtime != BERTH_RUNTIME_ONNXRUNTIME;
    bool ort = o->runtime_count == 0 && !native, server = false;
    for (size_t i = 0; i < o->runtime_count; i++)
        *(o->runtimes[i] == BERTH_RUNTIME_ONNXRUNTIME ? &ort : &native) = true;
    for (size_t i = 0; i < o->target_count; i++)
        server = server || strcmp(o->targets[i], "local") != 0;
    if (o->suite || o->optimization_count == 0)
        return BERTH_OK;
    if (!ort)
        return about(e, "optimization",
                     berth_fail(err, BERTH_INVALID_ARGUMENT,
                                "optimization '%s' is of ONNX Runtime's graphs, and no runtime here is onnxruntime; add it to "
                                "--runtime",
                                o->optimizations[0]));
    for (size_t p = 0; p < o->precision_count && !native && !server; p++) {
        bool made = false;
        for (size_t i = 0; i < o->optimization_count; i++) {
            const struct optimization_word *known = find_optimization(o->optimizations[i]);
            made = made || !known || known->precision == o->precisions[p]; /* an unknown one is told of by its word */
        }
        if (!made)
            return about(e, "precision",
                         berth_fail(err, BERTH_INVALID_ARGUMENT,
                                    "precision %s is that of none of the optimizations that are listed (quantized is int8, the "
                                    "others fp32); leave it out, or add runtime native",
                                    berth_precision_name(o->precisions[p])));
    }
    return BERTH_OK;
}

static enum berth_status list_engines(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    size_t most, each = o->precision_count + o->optimization_count;
    if (!berth_mul(o->runtime_count, each, &most) || most > MAX_CELLS)
        return berth_fail(err, BERTH_LIMIT, "the grid has more than %d cells", MAX_CELLS);
    e->engine = berth_calloc(most, sizeof *e->engine);
    if (!e->engine)
        return berth_fail_memory(err, "runtimes", most * sizeof *e->engine);
    for (size_t r = 0; r < o->runtime_count; r++) {
        bool ort = o->runtimes[r] == BERTH_RUNTIME_ONNXRUNTIME;
        for (size_t i = 0; ort && i < o->optimization_count; i++) {
            enum berth_status status = add_optimization(e, o->optimizations[i], err);
            if (status != BERTH_OK)
                return status;
        }
        for (size_t p = 0; p < o->precision_count && !(ort && o->optimization_count); p++)
            e->engine[e->engines++] = (struct berth_engine_choice){
                o->runtimes[r], o->options.optimization, o->precisions[p],
                ort ? optimization_label(o->options.optimization, o->precisions[p]) : ""};
    }
    return BERTH_OK;
}

/* A server is asked for precisions and threads only by the study's protocol, which can set them: for each of the
 * experiment's numbers of threads, or for the one that was said of this server. */
static size_t server_engines(const struct berth_experiment *e, const struct berth_bench_target *target)
{
    return target->protocol == BERTH_PROTOCOL_STUDY ? e->o.precision_count : 1;
}

static size_t target_threads(const struct berth_experiment *e, const struct berth_bench_target *target)
{
    bool set = target->local || (target->protocol == BERTH_PROTOCOL_STUDY && target->threads == 0);
    return set ? e->o.thread_count : 1;
}

static enum berth_status multiply_out(struct berth_experiment *e, struct berth_error *err)
{
    const struct berth_bench_options *o = &e->o;
    size_t inner = 1, outer = 0, total;
    if (!berth_mul(inner, o->batch_count, &inner) || !berth_mul(inner, o->length_count, &inner) ||
        !berth_mul(inner, o->rate_count, &inner) || !berth_mul(inner, o->concurrency_count, &inner) ||
        !berth_mul(inner, o->thread_count, &inner) || !berth_mul(inner, o->model_count, &inner))
        return berth_fail(err, BERTH_LIMIT, "the grid has more than %d cells", MAX_CELLS);
    for (size_t t = 0; t < e->targets; t++)
        outer += e->target[t].local ? e->engines : server_engines(e, &e->target[t]);
    if (!berth_mul(inner, outer, &total) || total > MAX_CELLS)
        return berth_fail(err, BERTH_LIMIT, "the grid has more than %d cells", MAX_CELLS);
    e->cell = berth_calloc(total ? total : 1, sizeof *e->cell);
    if (!e->cell)
        return berth_fail_memory(err, "the grid", total * sizeof *e->cell);
    for (size_t m = 0; m < e->models; m++)
        for (size_t t = 0; t < e->targets; t++) {
            const struct berth_bench_target *target = &e->target[t];
            size_t engines = target->local ? e->engines : server_engines(e, target);
            size_t threads = target_threads(e, target);
            bool own = !target->local && (target->threads > 0 || target->protocol != BERTH_PROTOCOL_STUDY);
            for (size_t rest = 0; rest < engines * threads * o->batch_count * o->length_count * o->rate_count *
                                             o->concurrency_count;
                 rest++) {
                struct berth_cell *cell = &e->cell[e->cells++];
                size_t k = rest;
                cell->model = m, cell->target = t;
                cell->concurrency = o->concurrencies[k % o->concurrency_count], k /= o->concurrency_count;
                cell->rate = o->rates[k % o->rate_count], k /= o->rate_count;
                cell->length = o->lengths[k % o->length_count], k /= o->length_count;
                cell->batch = o->batches[k % o->batch_count], k /= o->batch_count;
                cell->threads = own ? target->threads : o->threads[k % threads], k /= threads;
                cell->engine = k;
            }
        }
    return BERTH_OK;
}

enum berth_status berth_experiment_init(struct berth_experiment *experiment,
                                        const struct berth_bench_options *options, struct berth_error *err)
{
    enum berth_status status;
    *experiment = (struct berth_experiment){.o = *options};
    BERTH_TRY(check_choices(experiment, err));
    fill_defaults(&experiment->o);
    BERTH_TRY(read_models(experiment, err));
    BERTH_TRY(check_contradictions(experiment, options, err));
    BERTH_TRY(check_shapes(experiment, err));
    BERTH_TRY(check_scenario(experiment, err));
    BERTH_TRY(choose_trials(experiment, err));
    BERTH_TRY(read_targets(experiment, err));
    BERTH_TRY(list_engines(experiment, err));
    return BERTH_OK;
fail:
    if (options->spec && experiment->key)
        berth_bench_spec_locate(options->spec, experiment->key, options, err);
    return status;
}

enum berth_status berth_experiment_expand(struct berth_experiment *experiment, struct berth_error *err)
{
    size_t most = MAX_ROUNDS;
    for (size_t t = 0; t < experiment->targets; t++)
        if (!experiment->target[t].local && experiment->target[t].protocol == BERTH_PROTOCOL_STUDY)
            most = 5; /* each visit may have to make the server load a model */
    experiment->rounds = berth_experiment_single(experiment) ? berth_min(most, experiment->o.trials) : 1;
    return multiply_out(experiment, err);
}

void berth_experiment_clear(struct berth_experiment *experiment)
{
    for (size_t i = 0; experiment->model && i < experiment->models; i++) {
        berth_free(experiment->model[i].name);
        berth_free(experiment->model[i].source);
    }
    for (size_t i = 0; experiment->target && i < experiment->targets; i++)
        berth_free(experiment->target[i].name);
    berth_free(experiment->model);
    berth_free(experiment->target);
    berth_free(experiment->engine);
    berth_free(experiment->cell);
    *experiment = (struct berth_experiment){0};
}

bool berth_experiment_text(const struct berth_experiment *experiment, struct berth_buffer *text)
{
    const struct berth_bench_options *o = &experiment->o;
    bool good = berth_buffer_format(text, "scenario=%s trials=%zu seed=%llu find=%g data=%s task=%s models=",
                                    berth_scenario_name(o->scenario), o->trials, (unsigned long long)o->seed,
                                    o->find_rate ? o->p99_ms : 0, o->data ? o->data : "", o->task ? o->task : "");
    for (size_t i = 0; i < experiment->models; i++)
        good = good && berth_buffer_format(text, "%s=%s,", experiment->model[i].name, experiment->model[i].source);
    good = good && berth_buffer_text(text, " targets=");
    for (size_t i = 0; i < experiment->targets; i++)
        good = good && berth_buffer_format(text, "%s=%s/%d/%d/%zu/%s,", experiment->target[i].name,
                                           experiment->target[i].endpoint.url, (int)experiment->target[i].protocol,
                                           (int)experiment->target[i].precision, experiment->target[i].threads,
                                           experiment->target[i].runtime);
    good = good && berth_buffer_text(text, " engines=");
    for (size_t i = 0; i < experiment->engines; i++)
        good = good && berth_buffer_format(text, "%d/%d/%d,", (int)experiment->engine[i].runtime,
                                           (int)experiment->engine[i].optimization,
                                           (int)experiment->engine[i].precision);
    const struct {
        const char *name;
        const size_t *list;
        size_t count;
    } lists[] = {{"threads", o->threads, o->thread_count},
                 {"batches", o->batches, o->batch_count},
                 {"lengths", o->lengths, o->length_count},
                 {"concurrency", o->concurrencies, o->concurrency_count}};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        good = good && berth_buffer_format(text, " %s=", lists[i].name);
        for (size_t k = 0; k < lists[i].count; k++)
            good = good && berth_buffer_format(text, "%zu,", lists[i].list[k]);
    }
    good = good && berth_buffer_text(text, " rates=");
    for (size_t k = 0; k < o->rate_count; k++)
        good = good && berth_buffer_format(text, "%.17g,", o->rates[k]);
    return good && berth_buffer_format(text, " isa=%s vocab=%s max-length=%zu columns=%s,%s,%s",
                                       o->options.isa ? o->options.isa : "", o->options.vocab ? o->options.vocab : "",
                                       o->options.max_length, o->columns.text ? o->columns.text : "",
                                       o->columns.pair ? o->columns.pair : "", o->columns.label ? o->columns.label : "");
}
