/* session.c: one model in ONNX Runtime: opened, its inputs matched by name, run on padded texts. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "ort/ort.h"
#include "ort/ort_api.h"

enum { INPUTS_MAX = 3 };

static const char *const known_inputs[INPUTS_MAX] = {"input_ids", "attention_mask", "token_type_ids"};

struct berth_ort_session {
    struct berth_ort *ort;
    char *model; /* owned; for messages */
    void *session;
    size_t inputs;
    size_t input[INPUTS_MAX]; /* which of known_inputs, in the graph's order */
    char *output;             /* owned */
};

void berth_ort_session_close(struct berth_ort_session *session)
{
    if (!session)
        return;
    berth_ort_release(session->ort, ORT_RELEASE_SESSION, session->session);
    berth_free(session->output);
    berth_free(session->model);
    berth_free(session);
}

static enum berth_status create_session(struct berth_ort_session *session, size_t threads, bool optimize,
                                        struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status;
    void *options = NULL;
    typedef ort_status set_fn(void *options, int value);
    typedef ort_status create_fn(void *env, const char *path, void *options, void **session);
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, ORT_CREATE_SESSION_OPTIONS, ort_status(*)(void **))(&options),
                              session->model, err));
    const int level = optimize ? ORT_OPTIMISE_ALL : ORT_OPTIMISE_NOTHING;
    BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_SET_OPTIMISATION, set_fn *)(options, level),
                              session->model, err));
    BERTH_TRY(berth_ort_check(
        ort, ORT_CALL(ort, ORT_SET_INTRA_THREADS, set_fn *)(options, (int)berth_max(threads, 1)),
        session->model, err));
    BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_SET_INTER_THREADS, set_fn *)(options, 1), session->model,
                              err));
    BERTH_TRY(berth_ort_check(
        ort,
        ORT_CALL(ort, ORT_CREATE_SESSION, create_fn *)(ort->env, session->model, options, &session->session),
        session->model, err));
fail:
    berth_ort_release(ort, ORT_RELEASE_SESSION_OPTIONS, options);
    return status;
}

/* A copy of the name of input or output `index`; berth_free. */
static enum berth_status read_name(struct berth_ort_session *session, enum ort_slot slot, size_t index,
                                   char **name, struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status;
    void *allocator = NULL;
    char *theirs = NULL;
    typedef ort_status name_fn(void *session, size_t index, void *allocator, char **name);
    typedef ort_status free_fn(void *allocator, void *block);
    *name = NULL;
    BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_DEFAULT_ALLOCATOR, ort_status(*)(void **))(&allocator),
                              session->model, err));
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, slot, name_fn *)(session->session, index, allocator, &theirs),
                              session->model, err));
    *name = berth_strdup(theirs);
    if (!*name)
        status = berth_fail_memory(err, session->model, strlen(theirs));
    ort_status freed = ORT_CALL(ort, ORT_ALLOCATOR_FREE, free_fn *)(allocator, theirs);
    if (status == BERTH_OK)
        status = berth_ort_check(ort, freed, session->model, err);
fail:
    return status;
}

static enum berth_status match_input(struct berth_ort_session *session, size_t index, struct berth_error *err)
{
    char *name;
    enum berth_status status = read_name(session, ORT_INPUT_NAME, index, &name, err);
    if (status != BERTH_OK)
        return status;
    size_t known = 0;
    while (known < INPUTS_MAX && strcmp(known_inputs[known], name) != 0)
        known++;
    session->input[index] = known;
    if (known == INPUTS_MAX)
        status = berth_fail(err, BERTH_UNSUPPORTED,
                            "%s: input '%s' is none of input_ids, attention_mask and token_type_ids",
                            session->model, name);
    berth_free(name);
    return status;
}

static enum berth_status match_output(struct berth_ort_session *session, size_t outputs,
                                      struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < outputs && status == BERTH_OK && !session->output; i++) {
        char *name;
        status = read_name(session, ORT_OUTPUT_NAME, i, &name, err);
        if (status == BERTH_OK && (outputs == 1 || strcmp(name, "logits") == 0))
            session->output = name;
        else
            berth_free(name);
    }
    if (status == BERTH_OK && !session->output)
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: has %zu outputs, and none is called logits",
                            session->model, outputs);
    return status;
}

static enum berth_status match_names(struct berth_ort_session *session, struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status;
    size_t outputs = 0;
    typedef ort_status count_fn(void *session, size_t *count);
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, ORT_INPUT_COUNT, count_fn *)(session->session, &session->inputs),
                              session->model, err));
    BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_OUTPUT_COUNT, count_fn *)(session->session, &outputs),
                              session->model, err));
    if (session->inputs < 1 || session->inputs > INPUTS_MAX)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: has %zu inputs; a text classifier has one to three",
                          session->model, session->inputs);
    for (size_t i = 0; i < session->inputs; i++)
        BERTH_TRY(match_input(session, i, err));
    status = match_output(session, outputs, err);
fail:
    return status;
}

enum berth_status berth_ort_session_open(struct berth_ort *ort, const char *model, size_t threads, bool optimize,
                                         struct berth_ort_session **out, struct berth_error *err)
{
    enum berth_status status;
    struct berth_ort_session *session = berth_calloc(1, sizeof *session);
    *out = NULL;
    if (!session)
        return berth_fail_memory(err, model, sizeof *session);
    session->ort = ort;
    session->model = berth_strdup(model);
    if (!session->model) {
        status = berth_fail_memory(err, model, strlen(model));
        goto fail;
    }
    BERTH_TRY(create_session(session, threads, optimize, err));
    BERTH_TRY(match_names(session, err));
    *out = session;
    return BERTH_OK;
fail:
    berth_ort_session_close(session);
    return status;
}

/* --- running -------------------------------------------------------------------------------------- */

/* One input [count, width]: the texts, then padding. */
static void fill_input(int64_t *out, size_t which, const int32_t *ids, const uint8_t *types,
                       const size_t *offsets, size_t count, size_t width)
{
    memset(out, 0, count * width * sizeof *out);
    for (size_t i = 0; i < count; i++)
        for (size_t k = offsets[i]; k < offsets[i + 1]; k++) {
            int64_t value = which == 0 ? ids[k] : which == 1 ? 1 : types ? types[k] : 0;
            out[i * width + k - offsets[i]] = value;
        }
}

/* The output is float32 [count, labels]. */
static enum berth_status check_output(const struct berth_ort_session *session, void *value, size_t count,
                                      size_t labels, struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status;
    void *shape = NULL;
    int type = 0;
    size_t rank = 0;
    int64_t dims[2] = {0, 0};
    typedef ort_status shape_fn(void *value, void **shape);
    typedef ort_status dims_fn(void *shape, int64_t *dims, size_t count);
    BERTH_TRY(
        berth_ort_check(ort, ORT_CALL(ort, ORT_VALUE_SHAPE, shape_fn *)(value, &shape), session->model, err));
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, ORT_ELEMENT_TYPE, ort_status(*)(void *, int *))(shape, &type),
                              session->model, err));
    BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_RANK, ort_status(*)(void *, size_t *))(shape, &rank),
                              session->model, err));
    if (rank == 2)
        BERTH_TRY(berth_ort_check(ort, ORT_CALL(ort, ORT_DIMENSIONS, dims_fn *)(shape, dims, 2),
                                  session->model, err));
    if (type != ORT_FLOAT || rank != 2 || dims[0] != (int64_t)count || dims[1] != (int64_t)labels)
        status = berth_fail(err, BERTH_FORMAT, "%s: output '%s' is not float32 [%zu,%zu]", session->model,
                            session->output, count, labels);
fail:
    berth_ort_release(ort, ORT_RELEASE_SHAPE, shape);
    return status;
}

static enum berth_status run_padded(struct berth_ort_session *session, void *const *values, size_t count,
                                    size_t labels, float *logits, struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status;
    const char *names[INPUTS_MAX];
    void *output = NULL;
    float *numbers = NULL;
    typedef ort_status run_fn(void *session, const void *options, const char *const *input_names,
                              void *const *inputs, size_t input_count, const char *const *output_names,
                              size_t output_count, void **outputs);
    for (size_t i = 0; i < session->inputs; i++)
        names[i] = known_inputs[session->input[i]];
    const char *const output_name = session->output;
    BERTH_TRY(berth_ort_check(ort,
                              ORT_CALL(ort, ORT_RUN, run_fn *)(session->session, NULL, names, values,
                                                               session->inputs, &output_name, 1, &output),
                              session->model, err));
    BERTH_TRY(check_output(session, output, count, labels, err));
    BERTH_TRY(berth_ort_check(
        ort, ORT_CALL(ort, ORT_TENSOR_DATA, ort_status(*)(void *, void **))(output, (void **)&numbers),
        session->model, err));
    memcpy(logits, numbers, count * labels * sizeof *logits);
fail:
    berth_ort_release(ort, ORT_RELEASE_VALUE, output);
    return status;
}

enum berth_status berth_ort_session_run(struct berth_ort_session *session, const int32_t *ids,
                                        const uint8_t *types, const size_t *offsets, size_t count,
                                        size_t labels, float *logits, struct berth_error *err)
{
    struct berth_ort *ort = session->ort;
    enum berth_status status = BERTH_OK;
    void *values[INPUTS_MAX] = {NULL};
    int64_t *data = NULL;
    size_t width = 0, numbers, bytes;
    typedef ort_status create_fn(void *memory, void *data, size_t bytes, const int64_t *shape, size_t rank,
                                 int type, void **value);
    for (size_t i = 0; i < count; i++)
        width = berth_max(width, offsets[i + 1] - offsets[i]);
    if (!berth_mul(count, width, &numbers) || !berth_mul(numbers, session->inputs * sizeof *data, &bytes))
        return berth_fail(err, BERTH_LIMIT, "%zu texts of %zu tokens are too many for one run", count, width);
    data = berth_malloc(bytes, 1);
    if (!data)
        return berth_fail_memory(err, "padded texts", bytes);
    const int64_t shape[2] = {(int64_t)count, (int64_t)width};
    for (size_t i = 0; i < session->inputs; i++) {
        int64_t *input = data + i * numbers;
        fill_input(input, session->input[i], ids, types, offsets, count, width);
        BERTH_TRY(
            berth_ort_check(ort,
                            ORT_CALL(ort, ORT_CREATE_TENSOR, create_fn *)(
                                ort->memory, input, numbers * sizeof *input, shape, 2, ORT_INT64, &values[i]),
                            session->model, err));
    }
    status = run_padded(session, values, count, labels, logits, err);
fail:
    for (size_t i = 0; i < INPUTS_MAX; i++)
        berth_ort_release(ort, ORT_RELEASE_VALUE, values[i]);
    berth_free(data);
    return status;
}
