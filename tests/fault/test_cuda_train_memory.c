/* test_cuda_train_memory.c: each allocation of the library's side of training on a GPU fails in turn, over the emulated device:
 * one sentence, nothing kept. What the device refuses is tested in tests/golden/test_cuda_train.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "support/cuda_emulated.h"
#include "support/engine_support.h"
#include "support/fault.h"
#include "support/train_support.h"
#include "train/train_engine.h"

static struct berth_gpu *gpu;

static enum berth_status open_and_step(void *context, struct berth_error *err)
{
    static const struct berth_network_bounds bounds = {.tokens = 64, .texts = 4, .pairs = 4096, .longest = 32};
    static const struct berth_optimizer_options options = {
        .learning_rate = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .epsilon = 1e-8, .total_steps = 4, .layer_decay = 1};
    struct train_rig *rig = context;
    struct train_batch batch;
    struct berth_step_report report;
    struct berth_train_engine *engine;
    static const size_t lengths[] = {5, 9};
    enum berth_status status;
    train_batch_random(&batch, lengths, 2, 5, rig);
    BERTH_TRY(berth_train_engine_cuda(gpu, rig->encoder, rig->weights, &bounds, false, true, &options, &engine, err));
    struct berth_train_rates rates = train_rig_rates(rig);
    status = engine->calls->forward(engine, &batch.batch, &rates, err);
    memset(rig->dlogits, 0, sizeof rig->dlogits);
    if (status == BERTH_OK)
        status = engine->calls->backward(engine, rig->dlogits, NULL, err);
    if (status == BERTH_OK)
        status = engine->calls->update(engine, &report, err);
    if (status == BERTH_OK)
        status = engine->calls->read(engine, BERTH_TRAIN_MOMENTS, err);
    berth_train_engine_free(engine);
fail:
    return status;
}

static void training_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct train_rig rig;
    train_rig_open_config(&rig,
                          "{\"model_type\":\"bert\",\"hidden_size\":24,\"num_hidden_layers\":1,\"num_attention_heads\":3,"
                          "\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":60,\"type_vocab_size\":2,"
                          "\"hidden_dropout_prob\":0.2}",
                          false, support_best_isa(), 1);
    fault_each(open_and_step, &rig, 10, 0);
    assert_int_equal(support_cuda_state()->used, 0);
    train_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(training_survives_each_failing_allocation)};
    struct berth_error err;
    if (berth_gpu_open(support_cuda_library(), 0, &gpu, &err) != BERTH_OK)
        return 1;
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    berth_gpu_close(gpu);
    return result;
}
