/* cuda_emulated.h: which plugin of CUDA tests run on: the emulated device (tests/cuda/emulated), on any machine, or a GPU. */
#ifndef BERTH_TESTS_CUDA_EMULATED_H
#define BERTH_TESTS_CUDA_EMULATED_H

#include <stdbool.h>
#include <stddef.h>

/* What the emulation may be told, and what it saw; the layout is emulated::State's. */
struct support_cuda_state {
    bool backwards;                              /* blocks run from the last to the first */
    size_t budget;                               /* bytes of the device */
    size_t used, launches, replays, overruns;    /* overruns: bytes written behind an allocation */
    int capability;                              /* 90 */
    size_t refuse;                               /* n: the n-th allocation from now on fails; 0: none */
};

/* From now on tests run on the GPU, by the plugin of this build; prints "SKIP: ..." and exits with 77 where there is none. */
void support_cuda_use_gpu(void);

/* The plugin's path; prints "SKIP: ..." and exits with 77 where the emulation was not built (sanitizers, no C++ compiler). */
const char *support_cuda_library(void);

/* The emulation's; on a GPU one that says nothing and is not listened to. */
struct support_cuda_state *support_cuda_state(void);

#endif
