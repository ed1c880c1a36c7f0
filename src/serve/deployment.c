/* deployment.c: instances take batches from their queue, compute them and hand the calls back. */
#include "serve/deployment.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/registry.h"
#include "serve/request.h"
#include "serve/signals.h"

enum {
    BATCH_TOKENS = 1024, /* default */
    BATCH_TEXTS = 1024,  /* at most */
    BATCH_NS = 100000000, /* default: what arrives meanwhile waits so long */
};

struct berth_instance {
    struct berth_seat seat; /* first: a seat is its instance's */
    struct berth_deployment *deployment;
    struct berth_session *session;
    pthread_t thread;
    struct berth_batch batch;
    struct berth_result *results; /* [max_texts] of the batch */
    float *vectors;               /* [max_texts, hidden] of a batch of vectors; made by the first */
};

/* --- weights -------------------------------------------------------------------------------------- */

enum berth_status berth_weights_open(const char *path, const struct berth_options *options,
                                     struct berth_weights **out, struct berth_error *err)
{
    *out = NULL;
    struct berth_weights *weights = berth_calloc(1, sizeof *weights);
    if (!weights)
        return berth_fail_memory(err, "a model", sizeof *weights);
    enum berth_status status = berth_model_open(path, options, &weights->model, err);
    if (status != BERTH_OK) {
        berth_free(weights);
        return status;
    }
    weights->references = 1;
    *out = weights;
    return BERTH_OK;
}

void berth_weights_release(struct berth_weights *weights)
{
    if (!weights || atomic_fetch_sub(&weights->references, 1) > 1)
        return;
    berth_model_free(weights->model);
    berth_free(weights);
}

/* --- computing a batch ---------------------------------------------------------------------------- */

/* The session's arrays are gone with its next call: what the call keeps is copied. */
static void keep_result(const struct berth_batch_text *text, const struct berth_result *result)
{
    struct berth_call *call = text->call;
    struct berth_call_item *item = &call->items[text->index];
    float *logits = call->numbers + text->index * 2 * call->width, *scores = logits + call->width;
    memcpy(logits, result->logits, call->width * sizeof *logits);
    memcpy(scores, result->scores, call->width * sizeof *scores);
    item->result = *result;
    item->result.logits = logits;
    item->result.scores = scores;
    item->result.truncated = item->truncated;
}

static void keep_vector(const struct berth_batch_text *text, const float *vector)
{
    struct berth_call *call = text->call;
    float *kept = call->numbers + text->index * call->width;
    memcpy(kept, vector, call->width * sizeof *kept);
    if (call->normalize)
        berth_call_normalize(kept, call->width);
    call->items[text->index].vector = kept;
}

/* Texts [first, first + count) of the batch. */
static enum berth_status compute(struct berth_instance *instance, size_t first, size_t count,
                                 struct berth_error *err)
{
    const struct berth_batch *batch = &instance->batch;
    const struct berth_sequence *sequences = batch->sequence + first;
    size_t width = instance->deployment->info->hidden_size;
    enum berth_status status;
    if (batch->kind == BERTH_CALL_CLASSIFY) {
        status =
            berth_session_classify_sequences(instance->session, sequences, count, instance->results, err);
        for (size_t i = 0; status == BERTH_OK && i < count; i++)
            keep_result(&batch->text[first + i], &instance->results[i]);
        return status;
    }
    if (!instance->vectors &&
        !(instance->vectors = berth_malloc(instance->deployment->queue.max_texts, width * sizeof(float))))
        return berth_fail_memory(err, "the vectors of a batch", width * sizeof(float));
    status = berth_session_embed_sequences(instance->session, sequences, count, batch->pooling,
                                           instance->vectors, err);
    for (size_t i = 0; status == BERTH_OK && i < count; i++)
        keep_vector(&batch->text[first + i], instance->vectors + i * width);
    return status;
}

/* Hands calls back to their event loops; linked by `next`, which is gone with the call. */
static void hand_back(struct berth_call *calls)
{
    while (calls) {
        struct berth_call *next = calls->next;
        berth_request_computed(calls->request);
        calls = next;
    }
}

/* A batch that fails is computed again text by text, so that a bad one fails alone. */
static void compute_batch(struct berth_instance *instance)
{
    struct berth_deployment *deployment = instance->deployment;
    struct berth_batch *batch = &instance->batch;
    struct berth_error err;
    uint64_t began = berth_clock_ns();
    if (compute(instance, 0, batch->texts, &err) != BERTH_OK)
        for (size_t i = 0; i < batch->texts; i++)
            if (compute(instance, i, 1, &err) != BERTH_OK)
                berth_queue_fail_text(&deployment->queue, &batch->text[i], &err);
    uint64_t ns = berth_clock_ns() - began;
    berth_metrics_batch(deployment->entry->metrics, batch->texts, batch->tokens, batch->longest, ns);
    hand_back(berth_queue_finish(&deployment->queue, batch, began, ns));
}

static void *run_instance(void *argument)
{
    struct berth_instance *instance = argument;
    struct berth_call *dead;
    while (berth_queue_take(&instance->deployment->queue, &instance->seat, &instance->batch, &dead)) {
        hand_back(dead);
        if (instance->batch.texts > 0)
            compute_batch(instance);
    }
    return NULL;
}

static struct berth_batch *batch_of(struct berth_seat *seat)
{
    return &((struct berth_instance *)seat)->batch;
}

bool berth_deployment_dispatch(struct berth_deployment *deployment, uint64_t limit_ns)
{
    struct berth_call *dead;
    struct berth_seat *seat = berth_queue_claim(&deployment->queue, limit_ns, batch_of, &dead);
    if (!seat) {
        berth_queue_kick(&deployment->queue);
        return false;
    }
    hand_back(dead);
    struct berth_instance *instance = (struct berth_instance *)seat;
    if (instance->batch.texts > 0)
        compute_batch(instance);
    berth_queue_release(&deployment->queue, seat);
    return true;
}

/* --- life ----------------------------------------------------------------------------------------- */

/* Computes texts of one id each and of many, so that memory is touched and the speed is known. */
static enum berth_status warm(struct berth_instance *instance, struct berth_error *err)
{
    enum { LENGTH = 16, TEXTS = 8, ROUNDS = 3 };
    struct berth_queue *queue = &instance->deployment->queue;
    const struct berth_model_info *info = instance->deployment->info;
    int32_t ids[LENGTH] = {0};
    struct berth_sequence sequences[TEXTS];
    float *vectors = NULL;
    enum berth_status status = BERTH_OK;
    size_t length = berth_min(LENGTH, info->max_length);
    if (!info->has_head && !(vectors = berth_malloc(TEXTS * info->hidden_size, sizeof *vectors)))
        return berth_fail_memory(err, "the first vectors", info->hidden_size);
    for (size_t i = 0; i < TEXTS; i++)
        sequences[i] = (struct berth_sequence){.ids = ids, .size = length};
    for (size_t round = 0; round < ROUNDS && status == BERTH_OK; round++) {
        size_t count = round == 0 ? 1 : berth_min(TEXTS, queue->max_texts);
        uint64_t began = berth_clock_ns();
        status = info->has_head ? berth_session_classify_sequences(instance->session, sequences, count,
                                                                   instance->results, err)
                                : berth_session_embed_sequences(instance->session, sequences, count,
                                                                BERTH_POOLING_CLS, vectors, err);
        if (round == ROUNDS - 1)
            queue->ns_per_token = (double)(berth_clock_ns() - began) / (double)(count * length);
    }
    berth_free(vectors);
    return status;
}

static enum berth_status begin_instance(struct berth_deployment *deployment, struct berth_instance *instance,
                                        struct berth_error *err)
{
    struct berth_queue *queue = &deployment->queue;
    struct berth_options options = deployment->entry->options;
    options.threads = deployment->threads;
    options.max_batch_tokens = queue->max_tokens;
    options.bare_encoder = true;
    instance->deployment = deployment;
    berth_queue_add_seat(queue, &instance->seat);
    instance->batch.text = berth_malloc(queue->max_texts, sizeof *instance->batch.text);
    instance->batch.sequence = berth_malloc(queue->max_texts, sizeof *instance->batch.sequence);
    instance->results = berth_malloc(queue->max_texts, sizeof *instance->results);
    if (!instance->batch.text || !instance->batch.sequence || !instance->results)
        return berth_fail_memory(err, "an instance of a model", queue->max_texts * sizeof *instance->results);
    sigset_t before;
    berth_signals_block(&before); /* for the session's own threads */
    enum berth_status status =
        berth_session_new(deployment->weights->model, &options, &instance->session, err);
    berth_signals_restore(&before);
    return status == BERTH_OK ? warm(instance, err) : status;
}

enum berth_status berth_deployment_new(struct berth_entry *entry, struct berth_weights *weights,
                                       const struct berth_deployment_options *options,
                                       struct berth_deployment **out, struct berth_error *err)
{
    *out = NULL;
    enum berth_status status = BERTH_OK;
    struct berth_deployment *deployment = berth_calloc(1, sizeof *deployment);
    if (!deployment)
        return berth_fail_memory(err, "a deployment", sizeof *deployment);
    atomic_fetch_add(&weights->references, 1);
    deployment->references = 1;
    deployment->entry = entry;
    deployment->weights = weights;
    deployment->info = berth_model_get_info(weights->model);
    deployment->threads = options->threads;
    struct berth_queue *queue = &deployment->queue;
    berth_queue_init(queue);
    queue->max_tokens = berth_max(options->max_batch_tokens ? options->max_batch_tokens : BATCH_TOKENS,
                                  deployment->info->max_length);
    queue->max_texts = berth_min(queue->max_tokens, BATCH_TEXTS);
    if (options->max_batch_texts)
        queue->max_texts = berth_min(queue->max_texts, options->max_batch_texts);
    queue->batch_ns = options->max_batch_tokens ? 0 : BATCH_NS;
    queue->max_delay_ns = options->max_delay_ns;
    deployment->instance = berth_calloc(options->instances, sizeof *deployment->instance);
    if (!deployment->instance) {
        status = berth_fail_memory(err, "instances", options->instances * sizeof *deployment->instance);
        goto fail;
    }
    for (size_t i = 0; i < options->instances; i++) {
        deployment->instances++;
        BERTH_TRY(begin_instance(deployment, &deployment->instance[i], err));
    }
    for (size_t i = 0; i < options->instances; i++, deployment->started++) {
        int fault =
            berth_thread_start(&deployment->instance[i].thread, run_instance, &deployment->instance[i]);
        if (fault != 0) {
            status = berth_fail_errno(err, fault, "cannot start a worker thread");
            goto fail;
        }
    }
    *out = deployment;
    return BERTH_OK;
fail:
    berth_deployment_free(deployment);
    return status;
}

void berth_deployment_stop(struct berth_deployment *deployment)
{
    berth_queue_close(&deployment->queue);
    for (; deployment->started > 0; deployment->started--)
        pthread_join(deployment->instance[deployment->started - 1].thread, NULL);
}

void berth_deployment_free(struct berth_deployment *deployment)
{
    if (!deployment)
        return;
    berth_deployment_stop(deployment);
    for (size_t i = 0; i < deployment->instances; i++) {
        struct berth_instance *instance = &deployment->instance[i];
        berth_session_free(instance->session);
        berth_free(instance->batch.text);
        berth_free(instance->batch.sequence);
        berth_free(instance->results);
        berth_free(instance->vectors);
        berth_queue_clear_seat(&instance->seat);
    }
    berth_free(deployment->instance);
    berth_queue_clear(&deployment->queue);
    berth_weights_release(deployment->weights);
    berth_free(deployment);
}
