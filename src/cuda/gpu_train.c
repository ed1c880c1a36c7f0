/* gpu_train.c: the library's side of the plugin's training. */
#include "cuda/gpu_train.h"

#include "base/alloc.h"
#include "base/error.h"
#include "cuda/gpu_inside.h"

struct berth_gpu_trainer {
    const struct berth_cuda_table *table;
    struct berth_cuda_trainer *trainer;
};

enum berth_status berth_gpu_trainer_new(const struct berth_gpu *gpu, const struct berth_cuda_train_config *config,
                                        struct berth_gpu_trainer **out, struct berth_error *err)
{
    char message[BERTH_CUDA_MESSAGE] = "";
    *out = NULL;
    struct berth_gpu_trainer *trainer = berth_calloc(1, sizeof *trainer);
    if (!trainer)
        return berth_fail_memory(err, "training on the GPU", sizeof *trainer);
    trainer->table = gpu->table;
    enum berth_status status = berth_gpu_check(gpu->table->trainer_open(config, gpu->index, &trainer->trainer, message), message,
                                               "runtime cuda", err);
    if (status != BERTH_OK) {
        berth_free(trainer);
        return status;
    }
    *out = trainer;
    return BERTH_OK;
}

void berth_gpu_trainer_free(struct berth_gpu_trainer *trainer)
{
    if (!trainer)
        return;
    trainer->table->trainer_close(trainer->trainer);
    berth_free(trainer);
}

size_t berth_gpu_trainer_bytes(const struct berth_gpu_trainer *trainer)
{
    return trainer->table->trainer_bytes(trainer->trainer);
}

#define CALL(call, ...)                                                                                             \
    char message[BERTH_CUDA_MESSAGE] = "";                                                                          \
    return berth_gpu_check(trainer->table->call(trainer->trainer, __VA_ARGS__, message), message, "runtime cuda", err)

enum berth_status berth_gpu_train_read(struct berth_gpu_trainer *trainer, enum berth_cuda_array array, float *numbers,
                                       struct berth_error *err)
{
    CALL(train_read, array, numbers);
}

enum berth_status berth_gpu_train_write(struct berth_gpu_trainer *trainer, enum berth_cuda_array array, const float *numbers,
                                        struct berth_error *err)
{
    CALL(train_write, array, numbers);
}

enum berth_status berth_gpu_train_forward(struct berth_gpu_trainer *trainer, const struct berth_cuda_train_batch *batch,
                                          float *logits, float *first, struct berth_error *err)
{
    CALL(train_forward, batch, logits, first);
}

enum berth_status berth_gpu_train_masked_loss(struct berth_gpu_trainer *trainer, const int32_t *words, double scale, double *loss,
                                              size_t *right, struct berth_error *err)
{
    char message[BERTH_CUDA_MESSAGE] = "";
    uint64_t guessed = 0;
    int result = trainer->table->train_masked_loss(trainer->trainer, words, scale, loss, &guessed, message);
    *right += guessed;
    return berth_gpu_check(result, message, "runtime cuda", err);
}

enum berth_status berth_gpu_train_backward(struct berth_gpu_trainer *trainer, const float *dlogits, const float *dfirst,
                                           struct berth_error *err)
{
    CALL(train_backward, dlogits, dfirst);
}

enum berth_status berth_gpu_train_update(struct berth_gpu_trainer *trainer, const struct berth_cuda_adamw *steps,
                                         double max_norm, double *norm, struct berth_error *err)
{
    CALL(train_update, steps, max_norm, norm);
}
