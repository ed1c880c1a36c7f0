/* target_models.c: berth's models and ONNX Runtime's, their inputs, and the least time that the machine
 * allows. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

void target_batch_fill(struct target_run *run, struct target_batch *batch, size_t texts, size_t length)
{
    batch->texts = texts;
    batch->longest = length;
    for (size_t i = 0; i <= texts; i++)
        batch->offsets[i] = i * length;
    for (size_t i = 0; i < texts * length; i++)
        batch->ids[i] = 1000 + (int32_t)berth_rng_below(&run->rng, 29000);
}

struct berth_model *target_model_open(const char *name, enum berth_precision precision, const char *vocab,
                                      char why[TARGET_WHY_SIZE])
{
    char preset[64];
    snprintf(preset, sizeof preset, "random:%s", name);
    const struct berth_options options = {.precision = precision, .vocab = vocab};
    struct berth_model *model;
    struct berth_error err;
    if (berth_model_open(preset, &options, &model, &err) != BERTH_OK)
        snprintf(why, TARGET_WHY_SIZE, "%s", err.message);
    return model;
}

struct berth_session *target_session_new(const struct berth_model *model, size_t threads,
                                         char why[TARGET_WHY_SIZE])
{
    const struct berth_options options = {.threads = threads};
    struct berth_session *session = NULL;
    struct berth_error err;
    if (model && berth_session_new(model, &options, &session, &err) != BERTH_OK)
        snprintf(why, TARGET_WHY_SIZE, "%s", err.message);
    return session;
}

bool target_ours_run(void *context)
{
    const struct target_ours *ours = context;
    const struct target_batch *batch = ours->batch;
    struct berth_result results[TARGET_TEXTS_MAX];
    struct berth_error err;
    if (berth_session_classify_ids(ours->session, batch->ids, NULL, batch->offsets, batch->texts, results,
                                   &err) == BERTH_OK)
        return true;
    fprintf(stderr, "bench_targets: %s\n", err.message);
    return false;
}

struct target_work target_model_work(const struct berth_model *model, size_t texts, size_t length)
{
    struct target_work work = {0};
    char *text = berth_model_describe(model, true, length, true);
    json_t *description = text ? json_loads(text, 0, NULL) : NULL, *step;
    size_t i;
    json_array_foreach(json_object_get(description, "plan"), i, step)
    {
        work.operations += (double)texts * json_number_value(json_object_get(step, "operations"));
        work.weight_bytes += json_number_value(json_object_get(step, "weight_bytes"));
    }
    json_decref(description);
    berth_memory_free(text);
    return work;
}

static enum limit_format format_of(enum berth_precision precision)
{
    return precision == BERTH_PRECISION_INT8   ? LIMIT_INT8
           : precision == BERTH_PRECISION_BF16 ? LIMIT_BF16
                                               : LIMIT_FP32;
}

struct target_floor target_floor(const struct target_run *run, const struct target_work *work,
                                 enum berth_precision precision)
{
    struct target_floor floor = {.format = format_of(precision)};
    const double read_rate = limit_read_rate(run->cpu.best, (size_t)work->weight_bytes);
    const double rate = run->limit[floor.format];
    floor.compute_ms = rate > 0 ? work->operations / rate * 1e-6 : 0; /* 0: not known */
    floor.memory_ms = read_rate > 0 ? work->weight_bytes / read_rate * 1e-6 : 0;
    floor.ms = floor.compute_ms > floor.memory_ms ? floor.compute_ms : floor.memory_ms;
    return floor;
}

struct peer_model *target_peer_open(struct target_run *run, const char *name, enum limit_format format,
                                    size_t threads, char why[TARGET_WHY_SIZE])
{
    static const char *const endings[LIMIT_FORMATS][2] = {
        [LIMIT_FP32] = {".fp32.onnx", ".onnx"}, [LIMIT_INT8] = {".int8.onnx", ".quant.onnx"}};
    struct peer_model *model = NULL;
    char path[TARGET_PATH_SIZE], fault[PEER_WHY_SIZE];
    if (!run->ort) {
        snprintf(why, TARGET_WHY_SIZE, "ONNX Runtime's library is not here");
        return NULL;
    }
    for (size_t i = 0; run->ort_models && i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s%s", run->ort_models, name, endings[format][i]);
        if (access(path, R_OK) != 0)
            continue;
        if (!peer_model_open(run->ort, path, threads, &model, fault))
            snprintf(why, TARGET_WHY_SIZE, "%s", fault);
        return model;
    }
    snprintf(why, TARGET_WHY_SIZE, "%s%s%s%s", name, endings[format][0],
             run->ort_models ? " is missing in " : ": no folder of ONNX files is given",
             run->ort_models ? run->ort_models : "");
    return NULL;
}

bool target_peer_run(void *model)
{
    char why[PEER_WHY_SIZE];
    if (peer_model_run(model, NULL, why))
        return true;
    fprintf(stderr, "bench_targets: %s\n", why);
    return false;
}
