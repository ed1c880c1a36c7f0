/* gpu_train.h: training on an NVIDIA GPU: the plugin's part of it, with berth's statuses. What a call does is told in abi.h,
 * under the same name. */
#ifndef BERTH_CUDA_GPU_TRAIN_H
#define BERTH_CUDA_GPU_TRAIN_H

#include "cuda/gpu.h"

struct berth_gpu_trainer; /* one thread at a time */

/* An encoder's sizes as the plugin takes them; `labels` of the head, 0: none. */
struct berth_cuda_config berth_gpu_config(const struct berth_encoder *encoder, size_t labels, enum berth_cuda_number number);

/* NO_MEMORY when it does not fit: the process goes on. The config's arrays are read. */
enum berth_status berth_gpu_trainer_new(const struct berth_gpu *gpu, const struct berth_cuda_train_config *config,
                                        struct berth_gpu_trainer **trainer, struct berth_error *err);
void berth_gpu_trainer_free(struct berth_gpu_trainer *trainer); /* NULL is fine */
size_t berth_gpu_trainer_bytes(const struct berth_gpu_trainer *trainer);

enum berth_status berth_gpu_train_read(struct berth_gpu_trainer *trainer, enum berth_cuda_array array, float *numbers,
                                       struct berth_error *err);
enum berth_status berth_gpu_train_write(struct berth_gpu_trainer *trainer, enum berth_cuda_array array, const float *numbers,
                                        struct berth_error *err);
enum berth_status berth_gpu_train_forward(struct berth_gpu_trainer *trainer, const struct berth_cuda_train_batch *batch,
                                          float *logits, float *first, struct berth_error *err);
enum berth_status berth_gpu_train_masked_loss(struct berth_gpu_trainer *trainer, const int32_t *words, double scale, double *loss,
                                              size_t *right, struct berth_error *err); /* adds to *right */
enum berth_status berth_gpu_train_backward(struct berth_gpu_trainer *trainer, const float *dlogits, const float *dfirst,
                                           struct berth_error *err);
enum berth_status berth_gpu_train_update(struct berth_gpu_trainer *trainer, const struct berth_cuda_adamw *steps,
                                         double max_norm, double *norm, struct berth_error *err);

#endif
