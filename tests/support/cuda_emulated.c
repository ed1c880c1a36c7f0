/* cuda_emulated.c: finds the plugin. */
#include "support/cuda_emulated.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *gpu; /* the plugin's path; NULL: tests run on the emulation */

void support_cuda_use_gpu(void)
{
    gpu = getenv("BERTH_CUDA_PLUGIN");
    if (!gpu || access(gpu, R_OK) != 0)
        printf("SKIP: the CUDA plugin is not built here (no nvcc)\n");
    else if (access("/dev/nvidia0", F_OK) != 0)
        printf("SKIP: there is no NVIDIA GPU here\n");
    else
        return;
    exit(77);
}

const char *support_cuda_library(void)
{
    if (gpu)
        return gpu;
    const char *path = getenv("BERTH_CUDA_EMULATED");
    if (!path || access(path, R_OK) != 0) {
        printf("SKIP: the emulated CUDA plugin is not built here (sanitizers, or no C++ compiler)\n");
        exit(77);
    }
    return path;
}

struct support_cuda_state *support_cuda_state(void)
{
    static struct support_cuda_state silent;
    if (gpu)
        return &silent;
    void *handle = dlopen(support_cuda_library(), RTLD_NOW | RTLD_LOCAL);
    struct support_cuda_state *(*get)(void) = NULL;
    if (handle)
        *(void **)&get = dlsym(handle, "berth_emulated_state");
    if (!get) {
        printf("the emulated plugin cannot be loaded: %s\n", dlerror());
        exit(1);
    }
    return get();
}
