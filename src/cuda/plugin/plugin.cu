/* plugin.cu: the table that libberth takes (abi.h): C on the outside, no exception leaves it. */
#include <cstdarg>
#include <new>

#include "session.cuh"
#include "train.cuh"

namespace berth {

int Message::say(int result, const char *format, ...) const
{
    va_list args;
    va_start(args, format);
    vsnprintf(text, BERTH_CUDA_MESSAGE, format, args);
    va_end(args);
    return result;
}

int Message::cuda(cudaError_t error, const char *what) const
{
    if (error == cudaSuccess)
        return BERTH_CUDA_OK;
    cudaGetLastError(); /* the next call is not to report it again */
    if (error == cudaErrorMemoryAllocation) {
        size_t left = 0, all = 0;
        cudaMemGetInfo(&left, &all);
        return say(BERTH_CUDA_NO_MEMORY, "%s: the GPU's memory does not suffice (%zu MB of %zu are free)", what, left >> 20,
                   all >> 20);
    }
    if (error == cudaErrorInsufficientDriver) {
        int driver = 0;
        cudaDriverGetVersion(&driver); /* 0: none */
        if (driver == 0)
            return say(BERTH_CUDA_ABSENT, "there is no NVIDIA driver on this machine; use runtime native");
        return say(BERTH_CUDA_ABSENT, "the NVIDIA driver is for CUDA %d.%d and the plugin was built with %s; update the driver, or use runtime native",
                   driver / 1000, driver % 1000 / 10, BERTH_CUDA_BUILT);
    }
    if (error == cudaErrorNoDevice)
        return say(BERTH_CUDA_ABSENT, "the NVIDIA driver sees no GPU; use runtime native");
    return say(BERTH_CUDA_FAULT, "%s: CUDA: %s", what, cudaGetErrorString(error));
}

/* What `call` says; memory that the host lacks is one of its answers. */
template <class Call> static int guarded(char *text, const Call &call)
{
    const Message message{text};
    try {
        return call(message);
    } catch (const std::bad_alloc &) {
        return message.say(BERTH_CUDA_NO_MEMORY, "the host's memory does not suffice");
    } catch (...) {
        return message.say(BERTH_CUDA_FAULT, "an exception of the C++ library");
    }
}

static int count_devices(int *count, char text[BERTH_CUDA_MESSAGE])
{
    *count = 0;
    return guarded(text, [&](const Message &message) { return message.cuda(cudaGetDeviceCount(count), "devices"); });
}

static int describe(int device, berth_cuda_device *facts, char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) {
        cudaDeviceProp p;
        size_t left = 0, all = 0;
        *facts = {};
        BERTH_CUDA_TRY(cudaGetDeviceProperties(&p, device), "the device");
        OnDevice here(device);
        BERTH_CUDA_TRY(cudaMemGetInfo(&left, &all), "the device");
        snprintf(facts->name, sizeof facts->name, "%.*s", static_cast<int>(sizeof facts->name) - 1, p.name);
        facts->major = p.major;
        facts->minor = p.minor;
        facts->multiprocessors = p.multiProcessorCount;
        facts->memory = all;
        facts->free_memory = left;
        cudaDriverGetVersion(&facts->driver);
        cudaRuntimeGetVersion(&facts->runtime);
        return +BERTH_CUDA_OK;
    });
}

static int model_open(const berth_cuda_config *config, int device, berth_cuda_read *read, void *context,
                      berth_cuda_model **model, char text[BERTH_CUDA_MESSAGE])
{
    *model = nullptr;
    return guarded(text, [&](const Message &message) { return open_model(*config, device, read, context, model, message); });
}

static void model_close(berth_cuda_model *model)
{
    delete model;
}

static uint64_t model_bytes(const berth_cuda_model *model)
{
    return model->bytes;
}

static int session_open(const berth_cuda_model *model, uint64_t max_tokens, uint64_t max_texts, berth_cuda_session **session,
                        char text[BERTH_CUDA_MESSAGE])
{
    *session = nullptr;
    return guarded(text, [&](const Message &message) { return open_session(*model, max_tokens, max_texts, session, message); });
}

static void session_close(berth_cuda_session *session)
{
    delete session;
}

static uint64_t session_bytes(const berth_cuda_session *session)
{
    return session->bytes;
}

static int submit_batch(berth_cuda_session *session, const berth_cuda_batch *batch, const berth_cuda_outputs *outputs,
                        char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return submit(*session, *batch, *outputs, message); });
}

static int collect_batch(berth_cuda_session *session, char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return collect(*session, message); });
}

/* --- training ------------------------------------------------------------------------------------- */

static int trainer_open(const berth_cuda_train_config *config, int device, berth_cuda_trainer **trainer,
                        char text[BERTH_CUDA_MESSAGE])
{
    *trainer = nullptr;
    return guarded(text, [&](const Message &message) { return open_trainer(*config, device, trainer, message); });
}

static void trainer_close(berth_cuda_trainer *trainer)
{
    delete trainer;
}

static uint64_t trainer_bytes(const berth_cuda_trainer *trainer)
{
    return trainer->bytes;
}

static int read_numbers(berth_cuda_trainer *trainer, int array, float *numbers, char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return read_array(*trainer, array, numbers, message); });
}

static int write_numbers(berth_cuda_trainer *trainer, int array, const float *numbers, char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return write_array(*trainer, array, numbers, message); });
}

static int forward_batch(berth_cuda_trainer *trainer, const berth_cuda_train_batch *batch, float *logits, float *first,
                         char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return train_forward(*trainer, *batch, logits, first, message); });
}

static int masked_loss(berth_cuda_trainer *trainer, const int32_t *words, double scale, double *loss, uint64_t *right,
                       char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return train_masked_loss(*trainer, words, scale, loss, right, message); });
}

static int backward_batch(berth_cuda_trainer *trainer, const float *dlogits, const float *dfirst, char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return train_backward(*trainer, dlogits, dfirst, message); });
}

static int update(berth_cuda_trainer *trainer, const berth_cuda_adamw *steps, double max_norm, double *norm,
                  char text[BERTH_CUDA_MESSAGE])
{
    return guarded(text, [&](const Message &message) { return train_update(*trainer, steps, max_norm, norm, message); });
}

static const berth_cuda_table table = {
    .abi = BERTH_CUDA_ABI,
    .built = BERTH_CUDA_BUILT,
    .devices = count_devices,
    .describe = describe,
    .model_open = model_open,
    .model_close = model_close,
    .model_bytes = model_bytes,
    .session_open = session_open,
    .session_close = session_close,
    .session_bytes = session_bytes,
    .submit = submit_batch,
    .collect = collect_batch,
    .trainer_open = trainer_open,
    .trainer_close = trainer_close,
    .trainer_bytes = trainer_bytes,
    .train_read = read_numbers,
    .train_write = write_numbers,
    .train_forward = forward_batch,
    .train_masked_loss = masked_loss,
    .train_backward = backward_batch,
    .train_update = update,
};

} // namespace berth

extern "C" __attribute__((visibility("default"))) const berth_cuda_table *berth_cuda_table()
{
    return &berth::table;
}
