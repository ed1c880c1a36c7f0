/* cuda_emulated.c: finds the emulated plugin. */
#include "support/cuda_emulated.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *support_cuda_library(void)
{
    const char *path = getenv("BERTH_CUDA_EMULATED");
    if (!path || access(path, R_OK) != 0) {
        printf("SKIP: the emulated CUDA plugin is not built here (sanitizers, or no C++ compiler)\n");
        exit(77);
    }
    return path;
}

struct support_cuda_state *support_cuda_state(void)
{
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
