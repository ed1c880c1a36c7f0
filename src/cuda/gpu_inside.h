/* gpu_inside.h: what the files of this room share. */
#ifndef BERTH_CUDA_GPU_INSIDE_H
#define BERTH_CUDA_GPU_INSIDE_H

#include "cuda/gpu.h"

struct berth_gpu {
    const struct berth_cuda_table *table;
    int index;
    struct berth_cuda_device device;
    char description[320];
};

/* The plugin's result as a status; on failure the error is "what: message". */
enum berth_status berth_gpu_check(int result, const char *message, const char *what, struct berth_error *err);
int berth_gpu_act(enum berth_activation activation); /* enum berth_cuda_act */

#endif
