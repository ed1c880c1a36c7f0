/* limit_compute.c: loops of one instruction on registers, the rate of each: no product of matrices is faster.
 */
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "limit.h"

enum { TRIALS = 7, STEPS = 4096 };

/* Chains that do not wait for each other: more than latency times units of any CPU in use. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { CHAIN_COUNT = 12 };

#if defined(__x86_64__)
#include <immintrin.h>

/* The compiler must believe that the sum is used, and that the factor may be another one each time. */
#define CHAIN_BEGIN(i) sum##i = start;
#define CHAIN_STEP(i)                           \
    sum##i = MULTIPLY_ADD(sum##i, left, right); \
    __asm__ volatile("" : "+x"(sum##i), "+x"(left));
#define DEFINE_LOOP(name, isa, sum_type, sum_value, factor_type, factor_value)             \
    __attribute__((target(isa))) static void name(void)                                    \
    {                                                                                      \
        const sum_type start = sum_value;                                                  \
        factor_type left = factor_value;                                                   \
        const factor_type right = factor_value;                                            \
        sum_type sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7, sum8, sum9, sum10, sum11; \
        CHAINS(CHAIN_BEGIN)                                                                \
        for (int step = 0; step < STEPS; step++) {                                         \
            CHAINS(CHAIN_STEP)                                                             \
        }                                                                                  \
    }

#define MULTIPLY_ADD(sum, x, y) ((sum) * (x) + (y))
DEFINE_LOOP(run_mulps, "sse2", __m128, _mm_set1_ps(1), __m128, _mm_set1_ps(0.5f))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm256_fmadd_ps(sum, x, y)
DEFINE_LOOP(run_fma_256, "avx2,fma", __m256, _mm256_set1_ps(1), __m256, _mm256_set1_ps(0.5f))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm512_fmadd_ps(sum, x, y)
DEFINE_LOOP(run_fma_512, "avx512f", __m512, _mm512_set1_ps(1), __m512, _mm512_set1_ps(0.5f))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm256_add_epi32(sum, _mm256_madd_epi16(x, y))
DEFINE_LOOP(run_maddwd_256, "avx2", __m256i, _mm256_set1_epi32(1), __m256i, _mm256_set1_epi16(3))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm512_add_epi32(sum, _mm512_madd_epi16(x, y))
DEFINE_LOOP(run_maddwd_512, "avx512f,avx512bw", __m512i, _mm512_set1_epi32(1), __m512i, _mm512_set1_epi16(3))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm512_dpbusd_epi32(sum, x, y)
DEFINE_LOOP(run_dpbusd_512, "avx512f,avx512vnni", __m512i, _mm512_set1_epi32(1), __m512i, _mm512_set1_epi8(3))
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(sum, x, y) _mm512_dpbf16_ps(sum, (__m512bh)(x), (__m512bh)(y))
DEFINE_LOOP(run_dpbf16_512, "avx512f,avx512bf16", __m512, _mm512_set1_ps(1), __m512i,
            _mm512_set1_epi16(0x3f00))
#undef MULTIPLY_ADD

/* Four tiles of sums, two of each operand: the largest block that eight tiles allow. */
struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};

static void configure(struct tile_config *config)
{
    memset(config, 0, sizeof *config);
    config->palette = 1;
    for (int i = 0; i < 8; i++) {
        config->row_bytes[i] = 64;
        config->rows[i] = 16;
    }
}

#define DEFINE_TILE_LOOP(name, isa, multiply)             \
    __attribute__((target(isa))) static void name(void)   \
    {                                                     \
        struct tile_config config;                        \
        configure(&config);                               \
        _tile_loadconfig(&config); /* zeroes the tiles */ \
        for (int step = 0; step < STEPS; step++) {        \
            multiply(0, 4, 6);                            \
            multiply(1, 4, 7);                            \
            multiply(2, 5, 6);                            \
            multiply(3, 5, 7);                            \
        }                                                 \
        _tile_release();                                  \
    }
DEFINE_TILE_LOOP(run_tiles_bf16, "amx-tile,amx-bf16", _tile_dpbf16ps)
DEFINE_TILE_LOOP(run_tiles_int8, "amx-tile,amx-int8", _tile_dpbusd)

#define VECTOR(products) (2.0 * (products)*CHAIN_COUNT * STEPS)
#define TILE(products) (2.0 * 16 * 16 * (products)*4 * STEPS)

static const struct limit_unit units[] = {
    {"mulps and addps, 128 bits", LIMIT_FP32, BERTH_ISA_SCALAR, VECTOR(4), run_mulps},
    {"vfmaddps, 256 bits", LIMIT_FP32, BERTH_ISA_AVX2, VECTOR(8), run_fma_256},
    {"vfmaddps, 512 bits", LIMIT_FP32, BERTH_ISA_AVX512, VECTOR(16), run_fma_512},
    {"vdpbf16ps, 512 bits", LIMIT_BF16, BERTH_ISA_VNNI, VECTOR(32), run_dpbf16_512},
    {"tdpbf16ps, tiles", LIMIT_BF16, BERTH_ISA_AMX, TILE(32), run_tiles_bf16},
    {"vpmaddwd and vpaddd, 256 bits", LIMIT_INT8, BERTH_ISA_AVX2, VECTOR(16), run_maddwd_256},
    {"vpmaddwd and vpaddd, 512 bits", LIMIT_INT8, BERTH_ISA_AVX512, VECTOR(32), run_maddwd_512},
    {"vpdpbusd, 512 bits", LIMIT_INT8, BERTH_ISA_VNNI, VECTOR(64), run_dpbusd_512},
    {"tdpbusd, tiles", LIMIT_INT8, BERTH_ISA_AMX, TILE(64), run_tiles_int8},
};
enum { UNITS = sizeof units / sizeof *units };
#else
static const struct limit_unit *const units = NULL;
enum { UNITS = 0 };
#endif

const char *limit_format_name(enum limit_format format)
{
    static const char *const names[] = {"fp32", "bf16", "int8"};
    return names[format];
}

const struct limit_unit *limit_units(size_t *count)
{
    *count = UNITS;
    return units;
}

const struct limit_unit *limit_unit_find(enum limit_format format, enum berth_isa isa)
{
    const struct limit_unit *found = NULL;
    for (size_t i = 0; i < UNITS; i++)
        if (units[i].format == format && units[i].least <= isa)
            found = &units[i];
    /* Without an instruction of their own, bf16 numbers are widened. */
    return !found && format == LIMIT_BF16 ? limit_unit_find(LIMIT_FP32, isa) : found;
}

double limit_unit_rate(const struct limit_unit *unit)
{
    double best = 0;
    for (int trial = 0; unit && trial < TRIALS; trial++) {
        const uint64_t started = berth_clock_ns();
        for (int call = 0; call < 4; call++)
            unit->run();
        const double rate = 4 * unit->operations / (double)(berth_clock_ns() - started);
        best = rate > best ? rate : best;
    }
    return best;
}
