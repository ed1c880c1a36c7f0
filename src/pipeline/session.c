/* session.c: texts in, results out: tokenise, pack end to end until the batch is full, run, name the labels.
 */
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "pipeline/model.h"

struct berth_session {
    const struct berth_model *model;
    struct berth_engine *engine;
    struct berth_ort_session *other; /* instead of an engine */
    struct berth_gpu_session *gpu;   /* likewise */
    size_t max_tokens, max_texts;    /* of one engine run */
    size_t labels;
    /* what this call asks for: vectors, or results when vectors is NULL */
    enum berth_pooling pooling;
    float *vectors; /* [texts of the call, hidden]; borrowed from the caller */
    float *rows;    /* [max_tokens, hidden] of a mean; made by the first that needs it */
    /* the batch being packed */
    int32_t *ids;      /* [max_tokens] */
    uint8_t *type_ids; /* [max_tokens] */
    size_t *offsets;   /* [max_texts + 1] */
    size_t texts;      /* packed so far */
    struct berth_encoding encoding;
    /* the batch that the GPU computes while the next one is packed: its texts of the call; none when texts is 0 */
    struct {
        size_t first, texts;
    } away;
    /* results of the last call: grow to the largest call, then stay */
    float *logits, *scores; /* [capacity, labels] */
    size_t capacity;        /* texts */
    struct berth_timing timing;
};

enum { BATCH_TEXTS_MAX = 4096 };

enum berth_status berth_session_new(const struct berth_model *model, const struct berth_options *options,
                                    struct berth_session **out, struct berth_error *err)
{
    *out = NULL;
    if (!model->plan && !model->other && !model->gpu_model)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%s was opened to tokenise only", model->name);
    if (!model->info.has_head && !(options && options->bare_encoder))
        return berth_fail(
            err, BERTH_UNSUPPORTED,
            "%s: the checkpoint (%s) has no classifier, so it cannot predict; fine-tune it first",
            model->name, model->info.architecture);
    struct berth_session *session = berth_calloc(1, sizeof *session);
    if (!session)
        return berth_fail_memory(err, "a session", sizeof *session);
    size_t threads = options && options->threads ? options->threads : model->threads;
    size_t tokens =
        options && options->max_batch_tokens ? options->max_batch_tokens : model->max_batch_tokens;
    session->model = model;
    session->labels = model->info.labels;
    session->max_tokens = berth_max(tokens, model->max_length);
    session->max_texts = berth_min(session->max_tokens, BATCH_TEXTS_MAX);
    session->ids = berth_malloc(session->max_tokens, sizeof *session->ids);
    session->type_ids = berth_malloc(session->max_tokens, sizeof *session->type_ids);
    session->offsets = berth_calloc(session->max_texts + 1, sizeof *session->offsets);
    enum berth_status status;
    if (!session->ids || !session->type_ids || !session->offsets) {
        status = berth_fail_memory(err, "a session", session->max_tokens * 5 + session->max_texts * 8);
        goto fail;
    }
    if (model->other)
        BERTH_TRY(berth_ort_model_session(model->other, threads, &session->other, err));
    else if (model->gpu_model)
        BERTH_TRY(berth_gpu_session_new(model->gpu_model, session->max_tokens, session->max_texts, &session->gpu, err));
    else
        BERTH_TRY(berth_engine_new(model->plan, threads, session->max_tokens, session->max_texts,
                                   &session->engine, err));
    *out = session;
    return BERTH_OK;
fail:
    berth_session_free(session);
    return status;
}

void berth_session_free(struct berth_session *session)
{
    if (!session)
        return;
    berth_engine_free(session->engine);
    berth_ort_session_close(session->other);
    berth_gpu_session_free(session->gpu);
    berth_encoding_clear(&session->encoding);
    berth_free(session->ids);
    berth_free(session->type_ids);
    berth_free(session->offsets);
    berth_free(session->rows);
    berth_free(session->logits);
    berth_free(session->scores);
    berth_free(session);
}

const struct berth_model *berth_session_model(const struct berth_session *session)
{
    return session->model;
}

struct berth_timing berth_session_timing(const struct berth_session *session)
{
    return session->timing;
}

/* Softmax, sigmoid or the value itself, in double; then the best label. */
static void score(const struct berth_session *session, const float *logits, float *scores,
                  struct berth_result *result)
{
    const struct berth_model_info *info = &session->model->info;
    enum berth_problem problem = berth_model_config(session->model)->problem;
    size_t n = session->labels, best = 0;
    for (size_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    double sum = 0;
    for (size_t i = 0; i < n && problem == BERTH_PROBLEM_SINGLE_LABEL; i++)
        sum += exp((double)logits[i] - (double)logits[best]);
    for (size_t i = 0; i < n; i++)
        scores[i] = problem == BERTH_PROBLEM_REGRESSION ? logits[i]
                    : problem == BERTH_PROBLEM_MULTI_LABEL
                        ? (float)(1 / (1 + exp(-(double)logits[i])))
                        : (float)(exp((double)logits[i] - (double)logits[best]) / sum);
    if (problem == BERTH_PROBLEM_REGRESSION)
        best = 0;
    result->label_id = best;
    result->label = problem == BERTH_PROBLEM_REGRESSION ? NULL : info->label_names[best];
    result->score = scores[best];
    result->scores = scores;
    result->logits = logits;
    result->labels = n;
}

static enum berth_status classify_packed(struct berth_session *session, const struct berth_batch *batch,
                                         float *logits, struct berth_error *err)
{
    if (session->other)
        return berth_ort_model_run(session->other, session->ids, session->type_ids, session->offsets,
                                   session->texts, session->labels, session->max_tokens, logits, err);
    struct berth_outputs outputs = {.logits = logits};
    return berth_engine_run(session->engine, batch, &outputs, err);
}

/* Mean of a text's rows, added in their order, so that its bits depend on the text alone. */
static void mean_of(float *out, const float *rows, size_t count, size_t width)
{
    memset(out, 0, width * sizeof *out);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < width; k++)
            out[k] += rows[i * width + k];
    for (size_t k = 0; k < width; k++)
        out[k] /= (float)count;
}

/* One batch there and back, for vectors. */
static enum berth_status run_on_gpu(struct berth_session *session, const struct berth_outputs *outputs,
                                    struct berth_error *err)
{
    const struct berth_cuda_outputs wanted = {.first = outputs->first, .tokens = outputs->tokens};
    enum berth_status status = berth_gpu_submit(session->gpu, session->ids, session->type_ids, NULL, session->offsets,
                                                session->texts, &wanted, err);
    return status == BERTH_OK ? berth_gpu_collect(session->gpu, err) : status;
}

static enum berth_status embed_packed(struct berth_session *session, const struct berth_batch *batch,
                                      float *vectors, struct berth_error *err)
{
    size_t width = session->model->info.hidden_size;
    struct berth_outputs outputs = {0};
    if (session->pooling == BERTH_POOLING_CLS)
        outputs.first = vectors;
    else
        outputs.tokens = session->rows;
    enum berth_status status = session->gpu ? run_on_gpu(session, &outputs, err)
                                            : berth_engine_run(session->engine, batch, &outputs, err);
    for (size_t i = 0; status == BERTH_OK && outputs.tokens && i < batch->texts; i++) {
        mean_of(vectors + i * width, session->rows + batch->offsets[i] * width,
                batch->offsets[i + 1] - batch->offsets[i], width);
        if (!session->model->kernels->all_finite_f32(vectors + i * width, width))
            status = berth_fail(
                err, BERTH_FORMAT,
                "the vector of text %zu of the batch is not finite: the model's weights overflow float32", i);
    }
    return status;
}

static void score_all(struct berth_session *session, size_t first, size_t count, struct berth_result *results)
{
    for (size_t i = first; i < first + count; i++)
        score(session, session->logits + i * session->labels, session->scores + i * session->labels, &results[i]);
}

/* Takes back the batch that the GPU has, when there is one; results NULL: nobody wants them any more. */
static enum berth_status take_back(struct berth_session *session, struct berth_result *results, struct berth_error *err)
{
    if (session->away.texts == 0)
        return BERTH_OK;
    uint64_t started = berth_clock_ns();
    enum berth_status status = berth_gpu_collect(session->gpu, err);
    session->timing.compute_ns += berth_clock_ns() - started;
    if (status == BERTH_OK && results)
        score_all(session, session->away.first, session->away.texts, results);
    session->away.texts = 0;
    return status;
}

/* Gives the GPU what is packed, and while it computes takes back the batch before. */
static enum berth_status send_packed(struct berth_session *session, size_t first, struct berth_result *results,
                                     struct berth_error *err)
{
    const struct berth_cuda_outputs wanted = {.logits = session->logits + first * session->labels};
    uint64_t started = berth_clock_ns();
    enum berth_status status = berth_gpu_submit(session->gpu, session->ids, session->type_ids, NULL, session->offsets,
                                                session->texts, &wanted, err);
    session->timing.compute_ns += berth_clock_ns() - started;
    if (status != BERTH_OK)
        return status;
    status = take_back(session, results, err);
    session->away.first = first;
    session->away.texts = session->texts;
    session->timing.batches++;
    session->timing.tokens += session->offsets[session->texts];
    session->texts = 0;
    return status;
}

/* Runs what is packed; its texts are results[first .. first + session->texts), or vectors likewise. */
static enum berth_status run_packed(struct berth_session *session, size_t first, struct berth_result *results,
                                    struct berth_error *err)
{
    if (session->texts == 0)
        return BERTH_OK;
    struct berth_batch batch = {.texts = session->texts,
                                .offsets = session->offsets,
                                .ids = session->ids,
                                .type_ids = session->type_ids};
    if (session->gpu && !session->vectors)
        return send_packed(session, first, results, err);
    uint64_t started = berth_clock_ns();
    enum berth_status status;
    if (session->vectors)
        status =
            embed_packed(session, &batch, session->vectors + first * session->model->info.hidden_size, err);
    else
        status = classify_packed(session, &batch, session->logits + first * session->labels, err);
    session->timing.compute_ns += berth_clock_ns() - started;
    if (status != BERTH_OK)
        return status;
    if (!session->vectors)
        score_all(session, first, session->texts, results);
    session->timing.batches++;
    session->timing.tokens += session->offsets[session->texts];
    session->texts = 0;
    return BERTH_OK;
}

static enum berth_status begin(struct berth_session *session, size_t count, struct berth_error *err)
{
    take_back(session, NULL, NULL); /* of a call that failed */
    session->timing = (struct berth_timing){.texts = count};
    session->texts = 0;
    session->offsets[0] = 0;
    session->vectors = NULL;
    if (!session->model->info.has_head)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s has no classifier, so it cannot predict; fine-tune it first",
                          session->model->name);
    if (count <= session->capacity)
        return BERTH_OK;
    size_t numbers;
    if (!berth_mul(count, session->labels, &numbers))
        return berth_fail_memory(err, "results", count);
    float *logits = berth_realloc(session->logits, numbers, sizeof *logits);
    if (logits)
        session->logits = logits;
    float *scores = berth_realloc(session->scores, numbers, sizeof *scores);
    if (scores)
        session->scores = scores;
    if (!logits || !scores)
        return berth_fail_memory(err, "results", 2 * numbers * sizeof *logits);
    session->capacity = count;
    return BERTH_OK;
}

/* Packs one text's tokens (at most max_tokens), running what was packed before when they do not fit beside
 * it. `index` is the text's. */
static enum berth_status pack(struct berth_session *session, const int32_t *ids, const uint8_t *type_ids,
                              size_t size, size_t index, struct berth_result *results,
                              struct berth_error *err)
{
    if (session->texts == session->max_texts ||
        session->offsets[session->texts] + size > session->max_tokens) {
        enum berth_status status = run_packed(session, index - session->texts, results, err);
        if (status != BERTH_OK)
            return status;
    }
    size_t at = session->offsets[session->texts];
    memcpy(session->ids + at, ids, size * sizeof *ids);
    if (type_ids)
        memcpy(session->type_ids + at, type_ids, size);
    else
        memset(session->type_ids + at, 0, size);
    session->offsets[++session->texts] = at + size;
    session->timing.longest = berth_max(session->timing.longest, size);
    if (results)
        results[index] = (struct berth_result){.tokens = size};
    return BERTH_OK;
}

static enum berth_status begin_embed(struct berth_session *session, size_t count, enum berth_pooling pooling,
                                     float *vectors, struct berth_error *err)
{
    const struct berth_model_info *info = &session->model->info;
    take_back(session, NULL, NULL); /* of a call that failed */
    session->timing = (struct berth_timing){.texts = count};
    session->texts = 0;
    session->offsets[0] = 0;
    session->pooling = pooling;
    session->vectors = vectors;
    if (session->other)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: vectors need the native runtime, not %s", info->name,
                          info->runtime);
    if (pooling == BERTH_POOLING_CLS || session->rows)
        return BERTH_OK;
    size_t floats;
    if (!berth_mul(session->max_tokens, info->hidden_size, &floats) ||
        !(session->rows = berth_malloc(floats, sizeof *session->rows)))
        return berth_fail_memory(err, "the rows of a batch", session->max_tokens);
    return BERTH_OK;
}

/* Tokenises, packs and runs; tokens (may be NULL) receives the sizes, results (NULL for vectors) the rest. */
static enum berth_status run_texts(struct berth_session *session, const struct berth_text *texts,
                                   size_t count, struct berth_result *results, size_t *tokens,
                                   struct berth_error *err)
{
    enum berth_status status;
    for (size_t i = 0; i < count; i++) {
        const struct berth_text *text = &texts[i];
        uint64_t before = berth_clock_ns();
        struct berth_encoding *encoding = &session->encoding;
        BERTH_TRY(berth_tokenizer_encode(session->model->tokenizer, text->text, text->size, text->pair,
                                         text->pair_size, session->model->max_length, encoding, err));
        session->timing.tokenize_ns += berth_clock_ns() - before;
        if (encoding->size == 0)
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "text %zu has no tokens, and no special ones are added", i + 1);
        BERTH_TRY(pack(session, encoding->ids, encoding->type_ids, encoding->size, i, results, err));
        if (results)
            results[i].truncated = encoding->truncated;
        if (tokens)
            tokens[i] = encoding->size;
    }
    BERTH_TRY(run_packed(session, count - session->texts, results, err));
    status = take_back(session, results, err);
fail:
    return status;
}

static enum berth_status run_sequences(struct berth_session *session, const struct berth_sequence *sequences,
                                       size_t count, struct berth_result *results, struct berth_error *err)
{
    enum berth_status status;
    for (size_t i = 0; i < count; i++) {
        const struct berth_sequence *sequence = &sequences[i];
        if (sequence->size == 0 ||
            sequence->size > session->model->max_length) /* each batch has room for that */
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "text %zu: %zu token ids; 1 to %zu are allowed",
                              i + 1, sequence->size, session->model->max_length);
        BERTH_TRY(pack(session, sequence->ids, sequence->type_ids, sequence->size, i, results, err));
    }
    BERTH_TRY(run_packed(session, count - session->texts, results, err));
    status = take_back(session, results, err);
fail:
    return status;
}

enum berth_status berth_session_classify(struct berth_session *session, const struct berth_text *texts,
                                         size_t count, struct berth_result *results, struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status = begin(session, count, err);
    if (status == BERTH_OK)
        status = run_texts(session, texts, count, results, NULL, err);
    session->timing.total_ns = berth_clock_ns() - started;
    return status;
}

enum berth_status berth_session_embed(struct berth_session *session, const struct berth_text *texts,
                                      size_t count, enum berth_pooling pooling, float *vectors,
                                      size_t *tokens, struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status = begin_embed(session, count, pooling, vectors, err);
    if (status == BERTH_OK)
        status = run_texts(session, texts, count, NULL, tokens, err);
    session->timing.total_ns = berth_clock_ns() - started;
    return status;
}

enum berth_status berth_session_classify_sequences(struct berth_session *session,
                                                   const struct berth_sequence *sequences, size_t count,
                                                   struct berth_result *results, struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status = begin(session, count, err);
    if (status == BERTH_OK)
        status = run_sequences(session, sequences, count, results, err);
    session->timing.total_ns = berth_clock_ns() - started;
    return status;
}

enum berth_status berth_session_embed_sequences(struct berth_session *session,
                                                const struct berth_sequence *sequences, size_t count,
                                                enum berth_pooling pooling, float *vectors,
                                                struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status = begin_embed(session, count, pooling, vectors, err);
    if (status == BERTH_OK)
        status = run_sequences(session, sequences, count, NULL, err);
    session->timing.total_ns = berth_clock_ns() - started;
    return status;
}

enum berth_status berth_session_classify_ids(struct berth_session *session, const int32_t *ids,
                                             const uint8_t *type_ids, const size_t *offsets, size_t count,
                                             struct berth_result *results, struct berth_error *err)
{
    uint64_t started = berth_clock_ns();
    enum berth_status status;
    BERTH_TRY(begin(session, count, err));
    for (size_t i = 0; i < count; i++) {
        size_t from = offsets[i], size = offsets[i + 1] > from ? offsets[i + 1] - from : 0;
        if (size == 0 || size > session->model->max_length) { /* which every batch has room for */
            status = berth_fail(err, BERTH_INVALID_ARGUMENT, "text %zu: %zu token ids; 1 to %zu are allowed",
                                i + 1, size, session->model->max_length);
            goto fail;
        }
        BERTH_TRY(pack(session, ids + from, type_ids ? type_ids + from : NULL, size, i, results, err));
    }
    BERTH_TRY(run_packed(session, count - session->texts, results, err));
    BERTH_TRY(take_back(session, results, err));
fail:
    session->timing.total_ns = berth_clock_ns() - started;
    return status;
}
