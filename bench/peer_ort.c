/* peer_ort.c: calls ONNX Runtime through its table of functions. The table only grows at its end, so a slot's
 * number never changes its meaning; the numbers are those of the public C API header. */
#include "peer_ort.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INPUTS_MAX = 3,
    API_VERSION = 17,
    TENSOR_FLOAT = 1,
    TENSOR_INT64 = 7,
    OPTIMISE_ALL = 99,
    LOG_ERROR = 3
};

enum slot {
    GET_ERROR_MESSAGE = 2,
    CREATE_ENV = 3,
    CREATE_SESSION = 7,
    RUN = 9,
    CREATE_SESSION_OPTIONS = 10,
    SET_OPTIMISATION = 23,
    SET_INTRA_THREADS = 24,
    SET_INTER_THREADS = 25,
    INPUT_COUNT = 30,
    INPUT_NAME = 36,
    CREATE_TENSOR = 49,
    TENSOR_DATA = 51,
    ALLOCATOR_FREE = 76,
    CREATE_CPU_MEMORY = 69,
    DEFAULT_ALLOCATOR = 78,
    RELEASE_ENV = 92,
    RELEASE_STATUS = 93,
    RELEASE_MEMORY = 94,
    RELEASE_SESSION = 95,
    RELEASE_VALUE = 96,
    RELEASE_SESSION_OPTIONS = 100,
};

/* Objects of the library stay opaque; a status is NULL on success. */
typedef void *status_t;
typedef void function_t(void);

struct api_base {
    function_t *const *(*get_api)(uint32_t version);
    const char *(*get_version)(void);
};

struct peer_ort {
    function_t *const *api;
    const struct api_base *base;
    void *env, *memory;
};

struct peer_model {
    struct peer_ort *ort;
    void *session;
    size_t inputs;
    char *name[INPUTS_MAX];
    int64_t *data[INPUTS_MAX];
    void *value[INPUTS_MAX];
};

/* The function of a slot as the type it has. */
#define CALL(ort, slot, type) ((type)(ort)->api[slot])

typedef void release_fn(void *object);

static bool succeeded(const struct peer_ort *ort, status_t status, const char *what, char why[PEER_WHY_SIZE])
{
    if (!status)
        return true;
    snprintf(why, PEER_WHY_SIZE, "ONNX Runtime, %s: %s", what,
             CALL(ort, GET_ERROR_MESSAGE, const char *(*)(const void *))(status));
    CALL(ort, RELEASE_STATUS, release_fn *)(status);
    return false;
}

static void release(const struct peer_ort *ort, enum slot slot, void *object)
{
    if (object)
        CALL(ort, slot, release_fn *)(object);
}

bool peer_ort_open(const char *library, struct peer_ort **out, char why[PEER_WHY_SIZE])
{
    *out = NULL;
    void *handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    const struct api_base *(*get_base)(void) = NULL;
    if (handle)
        *(void **)&get_base = dlsym(handle, "OrtGetApiBase");
    const struct api_base *base = get_base ? get_base() : NULL;
    function_t *const *api = base ? base->get_api(API_VERSION) : NULL;
    struct peer_ort *ort = api ? calloc(1, sizeof *ort) : NULL;
    if (!ort) {
        const char *fault = dlerror();
        snprintf(why, PEER_WHY_SIZE, "%s: %s", library,
                 fault ? fault : "no ONNX Runtime of version 1.17 or newer");
        return false;
    }
    ort->api = api;
    ort->base = base;
    if (succeeded(
            ort,
            CALL(ort, CREATE_ENV, status_t(*)(int, const char *, void **))(LOG_ERROR, "berth", &ort->env),
            "environment", why) &&
        succeeded(ort, CALL(ort, CREATE_CPU_MEMORY, status_t(*)(int, int, void **))(0, 0, &ort->memory),
                  "memory", why)) {
        *out = ort;
        return true;
    }
    peer_ort_close(ort);
    return false;
}

void peer_ort_close(struct peer_ort *ort)
{
    if (!ort)
        return;
    release(ort, RELEASE_MEMORY, ort->memory);
    release(ort, RELEASE_ENV, ort->env);
    free(ort);
}

const char *peer_ort_version(const struct peer_ort *ort)
{
    return ort->base->get_version();
}

static bool read_names(struct peer_model *model, char why[PEER_WHY_SIZE])
{
    struct peer_ort *ort = model->ort;
    void *allocator;
    if (!succeeded(ort, CALL(ort, INPUT_COUNT, status_t(*)(void *, size_t *))(model->session, &model->inputs),
                   "inputs", why) ||
        !succeeded(ort, CALL(ort, DEFAULT_ALLOCATOR, status_t(*)(void **))(&allocator), "allocator", why))
        return false;
    if (model->inputs < 1 || model->inputs > INPUTS_MAX) {
        snprintf(why, PEER_WHY_SIZE, "the ONNX file has %zu inputs, not one to three", model->inputs);
        model->inputs = 0;
        return false;
    }
    for (size_t i = 0; i < model->inputs; i++) {
        char *name;
        if (!succeeded(ort,
                       CALL(ort, INPUT_NAME, status_t(*)(void *, size_t, void *, char **))(model->session, i,
                                                                                           allocator, &name),
                       "name of an input", why))
            return false;
        model->name[i] = strdup(name);
        succeeded(ort, CALL(ort, ALLOCATOR_FREE, status_t(*)(void *, void *))(allocator, name), "memory",
                  why);
        if (!model->name[i])
            return false;
    }
    return true;
}

static bool create_session(struct peer_model *model, const char *path, size_t threads,
                           char why[PEER_WHY_SIZE])
{
    struct peer_ort *ort = model->ort;
    void *options = NULL;
    typedef status_t set_fn(void *options, int value);
    bool done =
        succeeded(ort, CALL(ort, CREATE_SESSION_OPTIONS, status_t(*)(void **))(&options), "options", why) &&
        succeeded(ort, CALL(ort, SET_OPTIMISATION, set_fn *)(options, OPTIMISE_ALL), "optimisation level",
                  why) &&
        succeeded(ort, CALL(ort, SET_INTRA_THREADS, set_fn *)(options, (int)threads), "threads", why) &&
        succeeded(ort, CALL(ort, SET_INTER_THREADS, set_fn *)(options, 1), "threads", why) &&
        succeeded(ort,
                  CALL(ort, CREATE_SESSION, status_t(*)(void *, const char *, void *, void **))(
                      ort->env, path, options, &model->session),
                  path, why);
    release(ort, RELEASE_SESSION_OPTIONS, options);
    return done;
}

bool peer_model_open(struct peer_ort *ort, const char *path, size_t threads, struct peer_model **out,
                     char why[PEER_WHY_SIZE])
{
    *out = NULL;
    struct peer_model *model = calloc(1, sizeof *model);
    snprintf(why, PEER_WHY_SIZE, "out of memory");
    if (!model)
        return false;
    model->ort = ort;
    if (create_session(model, path, threads, why) && read_names(model, why)) {
        *out = model;
        return true;
    }
    peer_model_close(model);
    return false;
}

static void drop_inputs(struct peer_model *model)
{
    for (size_t i = 0; i < INPUTS_MAX; i++) {
        release(model->ort, RELEASE_VALUE, model->value[i]);
        free(model->data[i]);
        model->value[i] = NULL;
        model->data[i] = NULL;
    }
}

void peer_model_close(struct peer_model *model)
{
    if (!model)
        return;
    drop_inputs(model);
    for (size_t i = 0; i < INPUTS_MAX; i++)
        free(model->name[i]);
    release(model->ort, RELEASE_SESSION, model->session);
    free(model);
}

static int64_t *new_input(const char *name, const int32_t *ids, const size_t *offsets, size_t texts,
                          size_t length)
{
    int64_t *data = calloc(texts * length, sizeof *data);
    const bool mask = strcmp(name, "attention_mask") == 0, types = strcmp(name, "token_type_ids") == 0;
    for (size_t i = 0; data && !types && i < texts; i++)
        for (size_t k = offsets[i]; k < offsets[i + 1]; k++)
            data[i * length + k - offsets[i]] = mask ? 1 : ids[k];
    return data;
}

bool peer_model_prepare(struct peer_model *model, const int32_t *ids, const size_t *offsets, size_t texts,
                        char why[PEER_WHY_SIZE])
{
    drop_inputs(model);
    size_t length = 0;
    for (size_t i = 0; i < texts; i++)
        length = offsets[i + 1] - offsets[i] > length ? offsets[i + 1] - offsets[i] : length;
    const int64_t shape[2] = {(int64_t)texts, (int64_t)length};
    typedef status_t create_fn(void *memory, void *data, size_t bytes, const int64_t *shape, size_t rank,
                               int type, void **value);
    for (size_t i = 0; i < model->inputs; i++) {
        int64_t *data = model->data[i] = new_input(model->name[i], ids, offsets, texts, length);
        if (!data) {
            snprintf(why, PEER_WHY_SIZE, "out of memory");
            return false;
        }
        if (!succeeded(model->ort,
                       CALL(model->ort, CREATE_TENSOR, create_fn *)(model->ort->memory, data,
                                                                    texts * length * sizeof *data, shape, 2,
                                                                    TENSOR_INT64, &model->value[i]),
                       "an input", why))
            return false;
    }
    return true;
}

bool peer_model_run(struct peer_model *model, float *checksum, char why[PEER_WHY_SIZE])
{
    static const char *const output_name = "logits";
    struct peer_ort *ort = model->ort;
    void *output = NULL;
    typedef status_t run_fn(void *session, const void *options, const char *const *input_names,
                            void *const *inputs, size_t input_count, const char *const *output_names,
                            size_t output_count, void **outputs);
    if (!succeeded(ort,
                   CALL(ort, RUN, run_fn *)(model->session, NULL, (const char *const *)model->name,
                                            model->value, model->inputs, &output_name, 1, &output),
                   "run", why))
        return false;
    float *logits;
    bool done = succeeded(ort, CALL(ort, TENSOR_DATA, status_t(*)(void *, void **))(output, (void **)&logits),
                          "logits", why);
    if (done && checksum)
        *checksum = logits[0];
    release(ort, RELEASE_VALUE, output);
    return done;
}
