/* limit_read.c: how fast one core reads memory: weights that are used once per text cannot come faster. */
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "limit.h"

enum { TRIALS = 5, TRIAL_NS = 4 * 1000 * 1000 };

static void read_words(const void *memory, size_t bytes)
{
    const uint64_t *words = memory;
    uint64_t sum[4] = {0};
    for (size_t i = 0; i < bytes / sizeof *words; i += 4)
        for (size_t j = 0; j < 4; j++)
            sum[j] ^= words[i + j];
    __asm__ volatile("" : : "r"(sum[0] ^ sum[1] ^ sum[2] ^ sum[3]));
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx2"))) static void read_avx2(const void *memory, size_t bytes)
{
    const __m256i *words = memory;
    __m256i sum[8] = {0};
    for (size_t i = 0; i < bytes / sizeof *words; i += 8)
        _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; j++) sum[j] =
            _mm256_xor_si256(sum[j], _mm256_loadu_si256(words + i + j));
    for (size_t j = 0; j < 8; j++)
        __asm__ volatile("" : : "x"(sum[j]));
}

__attribute__((target("avx512f"))) static void read_avx512(const void *memory, size_t bytes)
{
    const __m512i *words = memory;
    __m512i sum[8] = {0};
    for (size_t i = 0; i < bytes / sizeof *words; i += 8)
        _Pragma("GCC unroll 8") for (size_t j = 0; j < 8; j++) sum[j] =
            _mm512_xor_si512(sum[j], _mm512_loadu_si512(words + i + j));
    for (size_t j = 0; j < 8; j++)
        __asm__ volatile("" : : "x"(sum[j]));
}
#endif

void limit_read(enum berth_isa isa, const void *memory, size_t bytes)
{
#if defined(__x86_64__)
    if (isa >= BERTH_ISA_AVX512) {
        read_avx512(memory, bytes);
        return;
    }
    if (isa >= BERTH_ISA_AVX2) {
        read_avx2(memory, bytes);
        return;
    }
#endif
    (void)isa;
    read_words(memory, bytes);
}

double limit_read_rate(enum berth_isa isa, size_t bytes)
{
    bytes = bytes / 512 * 512;
    void *memory = bytes ? berth_aligned(bytes) : NULL;
    if (!memory)
        return 0;
    memset(memory, 1, bytes); /* backed by memory of its own, not by the page of zeros */
    double best = 0;
    for (int trial = 0; trial <= TRIALS; trial++) {
        const uint64_t started = berth_clock_ns();
        uint64_t elapsed;
        double passes = 0;
        do {
            limit_read(isa, memory, bytes);
            passes++;
            elapsed = berth_clock_ns() - started;
        } while (elapsed < TRIAL_NS);
        const double rate = passes * (double)bytes / (double)elapsed;
        best = trial > 0 && rate > best ? rate : best; /* the first warms up */
    }
    berth_free(memory);
    return best;
}
