/* local.c: the cache of opened models and sessions. */
#include "bench/local.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"

void berth_local_init(struct berth_local *local, const struct berth_experiment *experiment)
{
    *local = (struct berth_local){.experiment = experiment};
}

static void free_model(struct berth_local_model *model)
{
    berth_model_free(model->opened);
    berth_free(model->why);
    berth_free(model);
}

void berth_local_clear(struct berth_local *local)
{
    for (size_t i = 0; i < local->sessions; i++)
        berth_session_free(local->session[i].session);
    for (size_t i = 0; i < local->models; i++)
        free_model(local->model[i]);
    berth_free(local->session);
    berth_free(local->model);
    *local = (struct berth_local){.experiment = local->experiment};
}

void berth_local_trim(struct berth_local *local)
{
    size_t kept = 0;
    for (size_t i = 0; i < local->sessions; i++)
        if (local->session[i].model->kept)
            local->session[kept++] = local->session[i];
        else
            berth_session_free(local->session[i].session);
    local->sessions = kept;
    kept = 0;
    for (size_t i = 0; i < local->models; i++)
        if (local->model[i]->kept)
            local->model[kept++] = local->model[i];
        else
            free_model(local->model[i]);
    local->models = kept;
}

/* Bytes of this process in memory, without what its allocator merely keeps: a model may be opened in the place of another's
 * file, and would seem to take nothing. */
static size_t resident_bytes(void)
{
    size_t size = 0, resident = 0;
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    FILE *statm = fopen("/proc/self/statm", "r");
    if (!statm)
        return 0;
    if (fscanf(statm, "%zu %zu", &size, &resident) != 2)
        resident = 0;
    fclose(statm);
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static size_t growth_since(size_t before)
{
    size_t after = resident_bytes();
    return after > before ? after - before : 0;
}

static bool same_choice(const struct berth_engine_choice *a, const struct berth_engine_choice *b)
{
    return a->runtime == b->runtime && a->optimization == b->optimization && a->precision == b->precision;
}

enum berth_status berth_local_open(struct berth_local *local, size_t model, const struct berth_engine_choice *choice,
                                   struct berth_local_model **out, struct berth_error *err)
{
    for (size_t i = 0; i < local->models; i++)
        if (local->model[i]->model == model && same_choice(&local->model[i]->choice, choice)) {
            *out = local->model[i];
            return BERTH_OK;
        }
    *out = NULL;
    struct berth_local_model **grown = berth_realloc(local->model, local->models + 1, sizeof *grown);
    if (!grown)
        return berth_fail_memory(err, "a list of models", sizeof *grown);
    local->model = grown;
    struct berth_local_model *opened = berth_calloc(1, sizeof *opened);
    if (!opened)
        return berth_fail_memory(err, "a model", sizeof *opened);
    local->model[local->models++] = opened;
    opened->model = model;
    opened->choice = *choice;
    struct berth_options options = local->experiment->o.options;
    options.runtime = choice->runtime;
    options.precision = choice->precision;
    options.optimization = choice->optimization;
    struct berth_error fault;
    size_t before = resident_bytes();
    uint64_t started = berth_clock_ns();
    enum berth_status status =
        berth_model_open(local->experiment->model[model].source, &options, &opened->opened, &fault);
    opened->status = status;
    opened->load_ms = (double)(berth_clock_ns() - started) * 1e-6;
    opened->memory_bytes = growth_since(before);
    if (status == BERTH_NO_MEMORY)
        return berth_fail(err, status, "%s", fault.message);
    if (status != BERTH_OK && !(opened->why = berth_strdup(fault.message)))
        return berth_fail_memory(err, "a message", sizeof fault.message);
    *out = opened;
    return BERTH_OK;
}

enum berth_status berth_local_reference(struct berth_local *local, size_t model, struct berth_local_model **out,
                                        struct berth_error *err)
{
    struct berth_engine_choice choice = {BERTH_RUNTIME_NATIVE, BERTH_OPTIMIZATION_DEFAULT, BERTH_PRECISION_FP32, ""};
    /* A cell may be of the same engine under its default's name. */
    for (size_t i = 0; i < local->models; i++) {
        struct berth_local_model *known = local->model[i];
        const struct berth_model_info *info = known->opened ? berth_model_get_info(known->opened) : NULL;
        if (known->model == model && info && strcmp(info->runtime, "native") == 0 &&
            strcmp(info->precision, "fp32") == 0) {
            *out = known;
            return BERTH_OK;
        }
    }
    return berth_local_open(local, model, &choice, out, err);
}

enum berth_status berth_local_session(struct berth_local *local, struct berth_local_model *model, size_t threads,
                                      struct berth_session **session, struct berth_error *err)
{
    bool first = true;
    for (size_t i = 0; i < local->sessions; i++) {
        if (local->session[i].model != model)
            continue;
        first = false;
        if (local->session[i].threads == threads) {
            *session = local->session[i].session;
            return BERTH_OK;
        }
    }
    struct berth_local_session *grown = berth_realloc(local->session, local->sessions + 1, sizeof *grown);
    if (!grown)
        return berth_fail_memory(err, "a list of sessions", sizeof *grown);
    local->session = grown;
    struct berth_options options = local->experiment->o.options;
    options.threads = threads;
    size_t before = first ? resident_bytes() : 0; /* ONNX Runtime has its weights from its session on */
    enum berth_status status = berth_session_new(model->opened, &options, session, err);
    if (first)
        model->memory_bytes += growth_since(before);
    if (status == BERTH_OK)
        local->session[local->sessions++] = (struct berth_local_session){model, threads, *session};
    return status;
}
