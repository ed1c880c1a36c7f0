/* kernel_test.h: what the tests of kernels share: the levels this machine has, arrays that end where the
 * memory ends. */
#ifndef BERTH_TESTS_KERNEL_TEST_H
#define BERTH_TESTS_KERNEL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "support/amx_kernels.h"

#define EPS 0x1p-24    /* rounding of one float operation */
#define ACT_ERROR 3e-7 /* promised for every activation, times max(1, |x|) */

/* Asked of the compiler's own detection, so that these tests do not rest on berth's. */
static inline bool machine_has(enum berth_isa isa)
{
#if defined(__x86_64__)
    if (isa == BERTH_ISA_AVX2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (isa == BERTH_ISA_AVX512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
    if (isa == BERTH_ISA_AMX) { /* tiles must be asked for, too */
        struct berth_cpu cpu;
        berth_cpu_detect(&cpu);
        return cpu.best == BERTH_ISA_AMX;
    }
    if (isa == BERTH_ISA_VNNI)
        return machine_has(BERTH_ISA_AVX512) && __builtin_cpu_supports("avx512vnni") &&
               __builtin_cpu_supports("avx512bf16");
#endif
    return isa == BERTH_ISA_SCALAR;
}

/* for each table with kernels of its own that this machine can run */
#define FOR_EACH_LEVEL(kernels)                                                  \
    for (enum berth_isa isa_ = BERTH_ISA_SCALAR; isa_ < BERTH_ISA_COUNT; isa_++) \
        for (const struct berth_kernels *kernels = berth_kernels_select(isa_);   \
             kernels && kernels->isa == isa_ && machine_has(isa_); kernels = NULL)

/* The i-th of the tables with int8 and bf16 kernels of their own: the machine's, then the AMX kernels over
 * emulated tiles: two compiled for it, then the library's own, whose instructions are trapped where there is
 * no AMX. NULL for one that this machine cannot run. */
enum { TILED_LEVELS = BERTH_ISA_COUNT + 3 };

static inline const struct berth_kernels *tiled_level(size_t i)
{
    const bool avx512 = machine_has(BERTH_ISA_VNNI);
    if (i == BERTH_ISA_COUNT)
        return amx_emulated_table(false);
    if (i == BERTH_ISA_COUNT + 1)
        return avx512 ? amx_emulated_table(true) : NULL;
    if (i == BERTH_ISA_COUNT + 2)
        return avx512 && !machine_has(BERTH_ISA_AMX) && amx_trap() ? berth_kernels_select(BERTH_ISA_AMX)
                                                                   : NULL;
    const struct berth_kernels *kernels = berth_kernels_select((enum berth_isa)i);
    return kernels->isa == (enum berth_isa)i && machine_has(kernels->isa) ? kernels : NULL;
}

#define FOR_EACH_TILED_LEVEL(kernels)            \
    for (size_t i_ = 0; i_ < TILED_LEVELS; i_++) \
        for (const struct berth_kernels *kernels = tiled_level(i_); kernels; kernels = NULL)

/* Floats whose last one touches a page that cannot be read or written. */
struct guarded {
    float *data;
    void *map;
    size_t size;
};

/* `alignment` in floats: the end is moved up to it, for arrays that must be aligned. */
static inline struct guarded guarded_new(size_t count, size_t alignment)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t room = berth_round_up(berth_round_up(count, alignment) * sizeof(float), page);
    struct guarded g = {.size = room + page};
    g.map = mmap(NULL, g.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.map + room, page, PROT_NONE), 0);
    g.data = (float *)(void *)((char *)g.map + room) - berth_round_up(count, alignment);
    return g;
}

static inline void guarded_free(struct guarded *g)
{
    munmap(g->map, g->size);
}

static inline void fill_normal(float *x, size_t count, double deviation, struct berth_rng *rng)
{
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(deviation * berth_rng_normal(rng));
}

static inline struct guarded guarded_normal(size_t count, double deviation, struct berth_rng *rng)
{
    struct guarded g = guarded_new(count, 1);
    fill_normal(g.data, count, deviation, rng);
    return g;
}

/* A value that no kernel computes: marks what must not be written. */
static const float untouched = 12345.678f;

static inline void fill_untouched(float *x, size_t count)
{
    for (size_t i = 0; i < count; i++)
        x[i] = untouched;
}

static inline double act_exact(double x, enum berth_epilogue_act act)
{
    switch (act) {
        case BERTH_K_GELU_ERF:
            return 0.5 * x * erfc(-x * M_SQRT1_2);
        case BERTH_K_GELU_TANH:
            return x / (1 + exp(-2 * 0.79788456080286535588 * (x + 0.044715 * x * x * x)));
        case BERTH_K_RELU:
            return x > 0 ? x : 0;
        case BERTH_K_SILU:
            return x / (1 + exp(-x));
        case BERTH_K_TANH:
            return tanh(x);
        case BERTH_K_NONE:
            break;
    }
    return x;
}

#endif
