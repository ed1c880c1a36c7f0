/* test_onnx_memory.c: each allocation of exporting to ONNX and importing from it fails in turn: the call says
 * so, hands out nothing, leaks nothing and leaves no file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/encoder_write.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "support/engine_support.h"
#include "support/fault.h"

enum { IMPORT_SPARE = 1 }; /* jansson's own, where it reads config.json */

struct job {
    const struct berth_encoder *encoder;
    struct berth_onnx_export_options options;
    char directory[128], path[256];
};

static enum berth_status export_model(void *context, struct berth_error *err)
{
    struct job *job = context;
    struct berth_onnx_files files;
    unlink(job->path);
    enum berth_status status = berth_onnx_export(job->encoder, job->path, &job->options, &files, err);
    if (status == BERTH_OK)
        return berth_onnx_commit(&files, err);
    return access(job->path, F_OK) == 0 ? BERTH_INTERNAL : status;
}

static enum berth_status import_model(void *context, struct berth_error *err)
{
    struct job *job = context;
    struct berth_encoder *encoder;
    enum berth_status status = berth_onnx_import(job->path, &encoder, err);
    if (status != BERTH_OK && encoder)
        return BERTH_INTERNAL;
    berth_encoder_free(encoder);
    return status;
}

static enum berth_status write_model(void *context, struct berth_error *err)
{
    struct job *job = context;
    return berth_encoder_write(job->encoder, true, NULL, job->directory, err);
}

static void convert_survives_each_failure(void **state)
{
    (void)state;
    static const struct berth_onnx_export_options options[] = {
        {.opset = 13},
        {.opset = 17, .optimize = true, .contrib = true, .quantization = BERTH_ONNX_DYNAMIC},
    };
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct support_model model;
        struct berth_encoder *encoder;
        struct berth_error err;
        struct job job = {.options = options[i]};
        support_model_init(&model);
        support_model_write(&model);
        if (berth_encoder_open(model.directory, &encoder, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        job.encoder = encoder;
        snprintf(job.directory, sizeof job.directory, "%s", model.directory);
        snprintf(job.path, sizeof job.path, "%s/m.onnx", model.directory);
        fault_each(export_model, &job, 20, 1); /* spare: the name of the folder to sync */
        fault_each(import_model, &job, 100, IMPORT_SPARE);
        fault_each(write_model, &job, 6, 2);
        unlink(job.path);
        berth_encoder_free(encoder);
        support_model_clear(&model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convert_survives_each_failure),
    };
    fault_watch_json();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
