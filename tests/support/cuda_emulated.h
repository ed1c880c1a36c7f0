/* cuda_emulated.h: the plugin of CUDA over an emulated device (tests/cuda/emulated), for tests on machines without one. */
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
};

/* Its path; prints "SKIP: ..." and exits with 77 where it was not built (sanitizers, no C++ compiler). */
const char *support_cuda_library(void);
struct support_cuda_state *support_cuda_state(void);

#endif
