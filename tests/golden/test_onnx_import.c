/* test_onnx_import.c: files of torch.onnx: the imported weights are the checkpoint's, bit for bit, and the
 * logits the reference's; and the same comparison rejects another model's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "onnx/import.h"
#include "support/engine_support.h"
#include "support/golden.h"

static const char *const models[] = {"bert-gelu-2", "bert-oddsizes", "distilbert-gelu-2"};
enum { MODELS = sizeof models / sizeof *models };

static const double bound = 5e-5; /* docs/numerics.md: fp32 against the reference */

static struct berth_encoder *import_model(const char *name)
{
    char path[128];
    struct berth_encoder *encoder;
    struct berth_error err;
    snprintf(path, sizeof path, "golden/onnx/%s/model.onnx", name);
    if (berth_onnx_import(golden_path(path), &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

static size_t count_unequal(const struct berth_checkpoint *got, const struct berth_checkpoint *want)
{
    size_t unequal = 0;
    for (size_t i = 0; i < berth_checkpoint_count(got); i++) {
        const struct berth_tensor *a = berth_checkpoint_at(got, i), *b = berth_checkpoint_find(want, a->name);
        unequal += !b || a->dtype != b->dtype || a->rank != b->rank ||
                   memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0 ||
                   memcmp(a->data, b->data, a->bytes) != 0;
    }
    return unequal;
}

static void import_gives_the_checkpoint_s_weights(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        char path[128];
        struct berth_checkpoint *checkpoint;
        struct berth_error err;
        struct berth_encoder *encoder = import_model(models[i]);
        for (size_t other = 0; other < MODELS; other++) {
            snprintf(path, sizeof path, "golden/models/%s", models[other]);
            if (berth_checkpoint_open(golden_path(path), &checkpoint, &err) != BERTH_OK)
                fail_msg("%s", err.message);
            size_t unequal = count_unequal(encoder->checkpoint, checkpoint);
            assert_true(other == i ? unequal == 0 : unequal > 0);
            berth_checkpoint_close(checkpoint);
        }
        assert_true(berth_checkpoint_count(encoder->checkpoint) > encoder->config.layers * 16);
        berth_encoder_free(encoder);
    }
}

static void run_imported_gives_the_reference_logits(void **state)
{
    (void)state;
    for (size_t i = 0; i < MODELS; i++) {
        char path[128];
        struct support_runner runner;
        struct berth_error err;
        snprintf(path, sizeof path, "golden/onnx/%s/golden.json", models[i]);
        json_t *golden = golden_json(golden_path(path)), *batches = json_object_get(golden, "batches"),
               *batch_json;
        size_t index, compared = 0;
        support_runner_open(&runner, import_model(models[i]), support_best_isa(), 1, 4096);
        json_array_foreach(batches, index, batch_json)
        {
            struct support_batch batch;
            double *want;
            support_batch_from_json(&batch, batch_json);
            size_t count = support_numbers(json_object_get(batch_json, "logits"), &want);
            float *logits = calloc(count, sizeof *logits);
            assert_int_equal(count, batch.batch.texts * runner.plan->labels);
            struct berth_outputs outputs = {.logits = logits};
            if (berth_engine_run(runner.engine, &batch.batch, &outputs, &err) != BERTH_OK)
                fail_msg("%s", err.message);
            assert_true(support_distance(logits, want, count) <= bound);
            logits[0] += (float)(10 * bound);
            assert_true(support_distance(logits, want, count) > bound);
            compared += count;
            free(logits);
            free(want);
            support_batch_clear(&batch);
        }
        assert_true(compared > 0);
        support_runner_close(&runner);
        json_decref(golden);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_gives_the_checkpoint_s_weights),
        cmocka_unit_test(run_imported_gives_the_reference_logits),
    };
    (void)golden_path("golden/onnx");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
