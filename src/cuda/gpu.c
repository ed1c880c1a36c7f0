/* gpu.c: the library's side of the plugin: finds it, hands it the weights of an encoder, checks what goes to it. */
#include "cuda/gpu_inside.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "cuda/gpu_train.h"

struct berth_gpu_model {
    const struct berth_gpu *gpu;
    struct berth_cuda_config config;
    struct berth_cuda_model *model;
};

struct berth_gpu_session {
    const struct berth_gpu_model *model;
    struct berth_cuda_session *session;
    uint64_t *offsets; /* [max_texts + 1] */
    size_t max_texts, max_tokens;
};

enum berth_status berth_gpu_check(int result, const char *message, const char *what, struct berth_error *err)
{
    static const enum berth_status statuses[] = {
        [BERTH_CUDA_OK] = BERTH_OK,
        [BERTH_CUDA_ABSENT] = BERTH_NOT_FOUND,
        [BERTH_CUDA_NO_MEMORY] = BERTH_NO_MEMORY,
        [BERTH_CUDA_UNSUPPORTED] = BERTH_UNSUPPORTED,
        [BERTH_CUDA_NOT_FINITE] = BERTH_FORMAT,
        [BERTH_CUDA_FAULT] = BERTH_INTERNAL,
    };
    if (result == BERTH_CUDA_OK)
        return BERTH_OK;
    bool known = result > 0 && (size_t)result < sizeof statuses / sizeof *statuses;
    return berth_fail(err, known ? statuses[result] : BERTH_INTERNAL, "%s: %s", what, message);
}

/* --- the plugin ----------------------------------------------------------------------------------- */

/* FOLDER-OF-THIS-PROGRAM/RELATIVE, when there is such a file. */
static void *load_beside(const char *relative, char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 1);
    if (length <= 0)
        return NULL;
    path[length] = 0;
    char *slash = strrchr(path, '/');
    size_t used = slash ? (size_t)(slash + 1 - path) : 0;
    if (snprintf(path + used, size - used, "%s", relative) >= (int)(size - used) || !berth_path_present(path))
        return NULL;
    return dlopen(path, RTLD_NOW | RTLD_LOCAL);
}

static enum berth_status load(const char *asked, void **handle, char *path, size_t size, struct berth_error *err)
{
    static const char *const places[] = {"libberth_cuda.so", "../lib/libberth_cuda.so", "../lib/berth/libberth_cuda.so"};
    if (!asked || !*asked)
        asked = getenv("BERTH_CUDA_LIBRARY");
    if (asked && *asked) {
        snprintf(path, size, "%s", asked);
        if (strchr(asked, '/') && !berth_path_present(asked))
            return berth_fail(err, BERTH_NOT_FOUND, "%s: there is no such file; give berth's libberth_cuda.so", asked);
        *handle = dlopen(asked, RTLD_NOW | RTLD_LOCAL);
    } else {
        for (size_t i = 0; i < sizeof places / sizeof *places && !*handle; i++)
            *handle = load_beside(places[i], path, size);
        if (!*handle && !berth_path_present(path)) {
            snprintf(path, size, "libberth_cuda.so");
            *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        }
    }
    if (*handle)
        return BERTH_OK;
    const char *fault = dlerror();
    if (asked && *asked)
        return berth_fail(err, BERTH_FORMAT, "%s: cannot be loaded as berth's plugin for CUDA: %s", asked,
                          fault ? fault : "no reason");
    return berth_fail(err, BERTH_NOT_FOUND,
                      "runtime cuda: the plugin libberth_cuda.so cannot be loaded (%s); build it with `make cuda` where nvcc "
                      "is, name it with BERTH_CUDA_LIBRARY, or use runtime native",
                      fault ? fault : "it is not beside the program");
}

enum berth_status berth_gpu_open(const char *asked, size_t index, struct berth_gpu **out, struct berth_error *err)
{
    void *handle = NULL;
    char path[1024] = "", message[BERTH_CUDA_MESSAGE] = "";
    berth_cuda_table_fn *get = NULL;
    enum berth_status status;
    int devices = 0;
    *out = NULL;
    BERTH_TRY(load(asked, &handle, path, sizeof path, err));
    *(void **)&get = dlsym(handle, BERTH_CUDA_SYMBOL);
    const struct berth_cuda_table *table = get ? get() : NULL;
    if (!table) {
        dlclose(handle);
        return berth_fail(err, BERTH_FORMAT, "%s: is a library, but not berth's plugin for CUDA", path);
    }
    if (table->abi != BERTH_CUDA_ABI) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: speaks version %d of the plugin's interface, this berth %d; build both "
                                                    "from one source", path, table->abi, BERTH_CUDA_ABI);
        dlclose(handle);
        return status;
    }
    /* From here on it stays loaded until the process ends: CUDA's own threads may outlive its objects. */
    BERTH_TRY(berth_gpu_check(table->devices(&devices, message), message, "runtime cuda", err));
    if (index >= (size_t)devices)
        return berth_fail(err, BERTH_NOT_FOUND, "runtime cuda: there is no device %zu; CUDA sees %d", index, devices);
    struct berth_gpu *gpu = berth_calloc(1, sizeof *gpu);
    if (!gpu)
        return berth_fail_memory(err, "a GPU", sizeof *gpu);
    gpu->table = table;
    gpu->index = (int)index;
    status = berth_gpu_check(table->describe(gpu->index, &gpu->device, message), message, "runtime cuda", err);
    if (status != BERTH_OK) {
        berth_free(gpu);
        return status;
    }
    const struct berth_cuda_device *d = &gpu->device;
    snprintf(gpu->description, sizeof gpu->description,
             "%s, %llu MB, compute capability %d.%d, driver for CUDA %d.%d; plugin built with %s", d->name,
             (unsigned long long)(d->memory >> 20), d->major, d->minor, d->driver / 1000, d->driver % 1000 / 10,
             table->built);
    *out = gpu;
    return BERTH_OK;
fail:
    return status;
}

void berth_gpu_close(struct berth_gpu *gpu)
{
    berth_free(gpu);
}

const struct berth_cuda_device *berth_gpu_device(const struct berth_gpu *gpu)
{
    return &gpu->device;
}

const char *berth_gpu_describe(const struct berth_gpu *gpu)
{
    return gpu->description;
}

/* --- models --------------------------------------------------------------------------------------- */

static const struct berth_tensor *tensor_of(const struct berth_encoder *encoder, int weight, uint64_t index)
{
    const struct berth_layer *layer = &encoder->layers[index];
    switch ((enum berth_cuda_weight)weight) {
    case BERTH_CUDA_WORD: return &encoder->word_embedding;
    case BERTH_CUDA_POSITION: return &encoder->position_embedding;
    case BERTH_CUDA_TYPE: return &encoder->type_embedding;
    case BERTH_CUDA_EMBED_GAMMA: return &encoder->embedding_norm.gamma;
    case BERTH_CUDA_EMBED_BETA: return &encoder->embedding_norm.beta;
    case BERTH_CUDA_PROJECT: return &encoder->project.weight;
    case BERTH_CUDA_PROJECT_BIAS: return &encoder->project.bias;
    case BERTH_CUDA_QUERY: return &layer->query.weight;
    case BERTH_CUDA_KEY: return &layer->key.weight;
    case BERTH_CUDA_VALUE: return &layer->value.weight;
    case BERTH_CUDA_QUERY_BIAS: return &layer->query.bias;
    case BERTH_CUDA_KEY_BIAS: return &layer->key.bias;
    case BERTH_CUDA_VALUE_BIAS: return &layer->value.bias;
    case BERTH_CUDA_OUT: return &layer->attention_out.weight;
    case BERTH_CUDA_OUT_BIAS: return &layer->attention_out.bias;
    case BERTH_CUDA_OUT_GAMMA: return &layer->attention_norm.gamma;
    case BERTH_CUDA_OUT_BETA: return &layer->attention_norm.beta;
    case BERTH_CUDA_FFN_IN: return &layer->ffn_in.weight;
    case BERTH_CUDA_FFN_IN_BIAS: return &layer->ffn_in.bias;
    case BERTH_CUDA_FFN_OUT: return &layer->ffn_out.weight;
    case BERTH_CUDA_FFN_OUT_BIAS: return &layer->ffn_out.bias;
    case BERTH_CUDA_FFN_GAMMA: return &layer->ffn_norm.gamma;
    case BERTH_CUDA_FFN_BETA: return &layer->ffn_norm.beta;
    case BERTH_CUDA_POOLER: return &encoder->pooler.weight;
    case BERTH_CUDA_POOLER_BIAS: return &encoder->pooler.bias;
    case BERTH_CUDA_CLASSIFIER: return &encoder->classifier.weight;
    case BERTH_CUDA_CLASSIFIER_BIAS: return &encoder->classifier.bias;
    default: return NULL;
    }
}

static void read_weight(void *context, int weight, uint64_t layer, uint64_t first, uint64_t count, float *out)
{
    const struct berth_encoder *encoder = context;
    berth_encoder_read(encoder, tensor_of(encoder, weight, layer), first, count, out);
}

int berth_gpu_act(enum berth_activation activation)
{
    switch (activation) {
    case BERTH_ACT_GELU_TANH: return BERTH_CUDA_GELU_TANH;
    case BERTH_ACT_RELU: return BERTH_CUDA_RELU;
    case BERTH_ACT_SILU: return BERTH_CUDA_SILU;
    case BERTH_ACT_TANH: return BERTH_CUDA_TANH;
    default: return BERTH_CUDA_GELU_ERF;
    }
}

struct berth_cuda_config berth_gpu_config(const struct berth_encoder *encoder, size_t labels, enum berth_cuda_number number)
{
    const struct berth_config *c = &encoder->config;
    return (struct berth_cuda_config){
        .hidden = c->hidden_size,
        .embedding = c->embedding_size,
        .heads = c->heads,
        .ffn = c->intermediate_size,
        .layers = c->layers,
        .labels = labels,
        .vocab = c->vocab_size,
        .positions = c->max_positions,
        .types = c->type_vocab_size,
        .act = berth_gpu_act(c->activation),
        .pooler_act = berth_gpu_act(encoder->pooler_act),
        .eps = (float)c->layer_norm_eps,
        .number = number,
    };
}

enum berth_status berth_gpu_model_new(const struct berth_gpu *gpu, const struct berth_encoder *encoder,
                                      enum berth_cuda_number number, struct berth_gpu_model **out,
                                      struct berth_error *err)
{
    const struct berth_config *c = &encoder->config;
    char message[BERTH_CUDA_MESSAGE] = "";
    *out = NULL;
    struct berth_gpu_model *model = berth_calloc(1, sizeof *model);
    if (!model)
        return berth_fail_memory(err, "a model on the GPU", sizeof *model);
    model->gpu = gpu;
    model->config = berth_gpu_config(encoder, encoder->has_head ? c->labels : 0, number);
    enum berth_status status =
        berth_gpu_check(gpu->table->model_open(&model->config, gpu->index, read_weight, (void *)encoder, &model->model, message), message,
              "runtime cuda", err);
    if (status != BERTH_OK) {
        berth_free(model);
        return status;
    }
    *out = model;
    return BERTH_OK;
}

void berth_gpu_model_free(struct berth_gpu_model *model)
{
    if (!model)
        return;
    model->gpu->table->model_close(model->model);
    berth_free(model);
}

size_t berth_gpu_model_bytes(const struct berth_gpu_model *model)
{
    return model->gpu->table->model_bytes(model->model);
}

/* --- sessions ------------------------------------------------------------------------------------- */

enum berth_status berth_gpu_session_new(const struct berth_gpu_model *model, size_t max_tokens, size_t max_texts,
                                        struct berth_gpu_session **out, struct berth_error *err)
{
    char message[BERTH_CUDA_MESSAGE] = "";
    *out = NULL;
    struct berth_gpu_session *session = berth_calloc(1, sizeof *session);
    uint64_t *offsets = berth_calloc(max_texts + 1, sizeof *offsets);
    if (!session || !offsets) {
        berth_free(session);
        berth_free(offsets);
        return berth_fail_memory(err, "a session on the GPU", (max_texts + 1) * sizeof *offsets);
    }
    *session = (struct berth_gpu_session){
        .model = model, .offsets = offsets, .max_texts = max_texts, .max_tokens = max_tokens};
    enum berth_status status =
        berth_gpu_check(model->gpu->table->session_open(model->model, max_tokens, max_texts, &session->session, message), message,
              "runtime cuda", err);
    if (status != BERTH_OK) {
        berth_gpu_session_free(session);
        return status;
    }
    *out = session;
    return BERTH_OK;
}

void berth_gpu_session_free(struct berth_gpu_session *session)
{
    if (!session)
        return;
    if (session->session)
        session->model->gpu->table->session_close(session->session);
    berth_free(session->offsets);
    berth_free(session);
}

size_t berth_gpu_session_bytes(const struct berth_gpu_session *session)
{
    return session->model->gpu->table->session_bytes(session->session);
}

static enum berth_status check_lengths(const struct berth_gpu_session *session, const size_t *offsets, size_t texts,
                                       struct berth_error *err)
{
    size_t longest = session->model->config.positions;
    if (texts == 0 || texts > session->max_texts)
        return berth_fail(err, BERTH_LIMIT, "a batch of %zu texts; this session takes 1 to %zu", texts, session->max_texts);
    for (size_t i = 0; i < texts; i++)
        if (offsets[i + 1] <= offsets[i] || offsets[i + 1] - offsets[i] > longest)
            return berth_fail(err, BERTH_LIMIT, "text %zu of the batch has %zu tokens; the model takes 1 to %zu", i,
                              offsets[i + 1] > offsets[i] ? offsets[i + 1] - offsets[i] : 0, longest);
    if (offsets[0] != 0 || offsets[texts] > session->max_tokens)
        return berth_fail(err, BERTH_LIMIT, "a batch of %zu tokens; this session takes at most %zu", offsets[texts],
                          session->max_tokens);
    return BERTH_OK;
}

static enum berth_status check_tokens(const struct berth_cuda_config *config, const int32_t *ids, const uint8_t *types,
                                      const int32_t *positions, size_t tokens, struct berth_error *err)
{
    for (size_t i = 0; i < tokens; i++) {
        if (ids[i] < 0 || (uint64_t)ids[i] >= config->vocab)
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "token %zu of the batch has id %d; the embedding has %llu rows", i,
                              (int)ids[i], (unsigned long long)config->vocab);
        if (types && config->types && types[i] >= config->types)
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "token %zu of the batch has type %d; the model has %llu types", i,
                              (int)types[i], (unsigned long long)config->types);
        if (positions && (positions[i] < 0 || (uint64_t)positions[i] >= config->positions))
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "token %zu of the batch has position %d; the model has %llu positions", i, (int)positions[i],
                              (unsigned long long)config->positions);
    }
    return BERTH_OK;
}

enum berth_status berth_gpu_submit(struct berth_gpu_session *session, const int32_t *ids, const uint8_t *types,
                                   const int32_t *positions, const size_t *offsets, size_t texts,
                                   const struct berth_cuda_outputs *outputs, struct berth_error *err)
{
    enum berth_status status;
    char message[BERTH_CUDA_MESSAGE] = "";
    BERTH_TRY(check_lengths(session, offsets, texts, err));
    BERTH_TRY(check_tokens(&session->model->config, ids, types, positions, offsets[texts], err));
    for (size_t i = 0; i <= texts; i++)
        session->offsets[i] = offsets[i];
    const struct berth_cuda_batch batch = {
        .texts = texts, .offsets = session->offsets, .ids = ids, .types = types, .positions = positions};
    status = berth_gpu_check(session->model->gpu->table->submit(session->session, &batch, outputs, message), message, "runtime cuda", err);
fail:
    return status;
}

enum berth_status berth_gpu_collect(struct berth_gpu_session *session, struct berth_error *err)
{
    char message[BERTH_CUDA_MESSAGE] = "";
    return berth_gpu_check(session->model->gpu->table->collect(session->session, message), message, "runtime cuda", err);
}
