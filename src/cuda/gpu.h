/* gpu.h: models on an NVIDIA GPU, through the plugin libberth_cuda.so (abi.h), which is loaded at run time. On a machine
 * without one this room says so in one sentence, and nothing else of berth depends on it. */
#ifndef BERTH_CUDA_GPU_H
#define BERTH_CUDA_GPU_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "cuda/abi.h"
#include "model/encoder.h"

struct berth_gpu; /* the plugin, and one of its devices */

/* Loads the plugin: `path`, or when NULL what BERTH_CUDA_LIBRARY names, or else libberth_cuda.so beside the program, in
 * ../lib from there, or where the system looks. Device `index` is the first, second, ... that CUDA_VISIBLE_DEVICES leaves.
 * NOT_FOUND: no plugin, no driver or no such device; FORMAT: a library that is no such plugin; UNSUPPORTED: another
 * version's. */
enum berth_status berth_gpu_open(const char *path, size_t index, struct berth_gpu **gpu, struct berth_error *err);
void berth_gpu_close(struct berth_gpu *gpu);                         /* NULL is fine; its models are closed before */
const struct berth_cuda_device *berth_gpu_device(const struct berth_gpu *gpu);
const char *berth_gpu_describe(const struct berth_gpu *gpu); /* "NVIDIA H200, 143771 MB, compute capability 9.0, ..." */

/* A model's weights on the device; immutable, any number of sessions. The encoder is only read. NO_MEMORY when they do
 * not fit: the process goes on. */
struct berth_gpu_model;
enum berth_status berth_gpu_model_new(const struct berth_gpu *gpu, const struct berth_encoder *encoder,
                                      enum berth_cuda_number number, struct berth_gpu_model **model,
                                      struct berth_error *err);
void berth_gpu_model_free(struct berth_gpu_model *model); /* NULL is fine; its sessions are closed before */
size_t berth_gpu_model_bytes(const struct berth_gpu_model *model);

/* Streams and buffers for batches of at most so many tokens and texts. One thread at a time. */
struct berth_gpu_session;
enum berth_status berth_gpu_session_new(const struct berth_gpu_model *model, size_t max_tokens, size_t max_texts,
                                        struct berth_gpu_session **session, struct berth_error *err);
void berth_gpu_session_free(struct berth_gpu_session *session); /* NULL is fine */
size_t berth_gpu_session_bytes(const struct berth_gpu_session *session);

/* Puts a batch in; at most two are under way. Ids, types and positions outside the model's tables are refused by value.
 * positions NULL: 0, 1, ... in each text. `outputs` are filled by the collect that belongs to it. */
enum berth_status berth_gpu_submit(struct berth_gpu_session *session, const int32_t *ids, const uint8_t *types,
                                   const int32_t *positions, const size_t *offsets, size_t texts,
                                   const struct berth_cuda_outputs *outputs, struct berth_error *err);
/* Waits for the oldest. */
enum berth_status berth_gpu_collect(struct berth_gpu_session *session, struct berth_error *err);

#endif
