/* ort_model.c: hands ONNX Runtime a file to run, made on the spot when the model has none. */
#include "pipeline/ort_model.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "onnx/export.h"

struct berth_ort_model {
    struct berth_ort *ort;
    FILE *made; /* NULL: the user's file */
    char *path; /* owned */
    enum berth_optimization optimization;
};

void berth_ort_model_free(struct berth_ort_model *model)
{
    if (!model)
        return;
    berth_ort_close(model->ort);
    if (model->made)
        fclose(model->made);
    berth_free(model->path);
    berth_free(model);
}

/* A file without a name, but with a path: it goes when this process does, however that ends. */
static enum berth_status make_file(struct berth_ort_model *model, const struct berth_encoder *encoder,
                                   bool quantized, struct berth_error *err)
{
    const struct berth_onnx_export_options options = {
        .opset = BERTH_OPSET_DEFAULT,
        .optimize = model->optimization == BERTH_OPTIMIZATION_FUSED,
        .contrib = model->optimization == BERTH_OPTIMIZATION_FUSED,
        .quantization = quantized ? BERTH_ONNX_DYNAMIC : BERTH_ONNX_UNQUANTIZED,
    };
    char path[64];
    int fd = memfd_create("berth", MFD_CLOEXEC);
    model->made = fd < 0 ? NULL : fdopen(fd, "wb");
    if (!model->made) {
        enum berth_status status =
            berth_fail_errno(err, errno, "memory for ONNX Runtime's model: cannot open");
        if (fd >= 0)
            close(fd);
        return status;
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    model->path = berth_strdup(path);
    if (!model->path)
        return berth_fail_memory(err, "a path", strlen(path));
    return berth_onnx_export_stream(encoder, &options, model->made, err);
}

enum berth_status berth_ort_model_new(const char *library, const char *file,
                                      const struct berth_encoder *encoder, bool quantized,
                                      enum berth_optimization optimization, struct berth_ort_model **out,
                                      struct berth_error *err)
{
    enum berth_status status;
    struct berth_ort_model *model = berth_calloc(1, sizeof *model);
    *out = NULL;
    if (!model)
        return berth_fail_memory(err, "a model of ONNX Runtime", sizeof *model);
    model->optimization = optimization;
    BERTH_TRY(berth_ort_open(library, &model->ort, err));
    if (encoder) {
        BERTH_TRY(make_file(model, encoder, quantized, err));
    } else if (!(model->path = berth_strdup(file))) {
        status = berth_fail_memory(err, file, strlen(file));
        goto fail;
    }
    *out = model;
    return BERTH_OK;
fail:
    berth_ort_model_free(model);
    return status;
}

enum berth_status berth_ort_model_session(const struct berth_ort_model *model, size_t threads,
                                          struct berth_ort_session **session, struct berth_error *err)
{
    return berth_ort_session_open(model->ort, model->path, threads,
                                  model->optimization != BERTH_OPTIMIZATION_NONE, session, err);
}

const char *berth_ort_model_version(const struct berth_ort_model *model)
{
    return berth_ort_version(model->ort);
}

enum berth_status berth_ort_model_run(struct berth_ort_session *session, const int32_t *ids,
                                      const uint8_t *types, const size_t *offsets, size_t count,
                                      size_t labels, size_t max_tokens, float *logits,
                                      struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (size_t first = 0, end; first < count && status == BERTH_OK; first = end) {
        size_t width = 0;
        for (end = first; end < count; end++) {
            size_t wider = berth_max(width, offsets[end + 1] - offsets[end]);
            if (end > first && wider * (end + 1 - first) > max_tokens)
                break;
            width = wider;
        }
        status = berth_ort_session_run(session, ids, types, offsets + first, end - first, labels,
                                       logits + first * labels, err);
    }
    return status;
}
