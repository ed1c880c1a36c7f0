/* bench_kernels.c: speed of the kernels alone, one thread: by shape, beside the machine's own limits (fused
 * multiply-adds from registers; reading memory). Weights are rotated through more memory than the caches hold
 * where a model would read them once per call (few rows), so that such figures are those of a whole encoder.
 *
 * bench_kernels [--isa LEVEL] [--op gemm|attention|rowwise] [--runs N] [--json] */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/rng.h"
#include "kernels/kernels.h"

enum { RUNS_MAX = 101, MIN_NS = 5 * 1000 * 1000 };
static const size_t cold_floats = 32 * 1024 * 1024; /* 128 MB of weights */

struct bench {
    const struct berth_kernels *kernels;
    const char *level;
    size_t runs;
    bool json;
    double peak, memory; /* floating-point operations a ns, bytes a ns */
};

struct timing {
    double best, median, low, high; /* ns a call; low and high: quartiles */
};

struct job {
    void (*run)(void *context, size_t call);
    void *context;
};

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct timing measure(const struct bench *bench, struct job job)
{
    double ns[RUNS_MAX];
    size_t calls = 1, call = 0;
    for (;;) { /* warms up, too */
        const uint64_t start = berth_clock_ns();
        for (size_t i = 0; i < calls; i++)
            job.run(job.context, call++);
        if (berth_clock_ns() - start >= MIN_NS || calls > 1u << 20)
            break;
        calls *= 2;
    }
    for (size_t r = 0; r < bench->runs; r++) {
        const uint64_t start = berth_clock_ns();
        for (size_t i = 0; i < calls; i++)
            job.run(job.context, call++);
        ns[r] = (double)(berth_clock_ns() - start) / (double)calls;
    }
    qsort(ns, bench->runs, sizeof ns[0], compare_doubles);
    return (struct timing){ns[0], ns[bench->runs / 2], ns[bench->runs / 4], ns[bench->runs * 3 / 4]};
}

/* --- the machine -------------------------------------------------------------------------------------------
 */

/* Chains that do not wait for each other: more than latency times units of any CPU in use. */
#define CHAINS(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
enum { CHAIN_COUNT = 12, PEAK_STEPS = 4096 };

#define CHAIN_BEGIN(i) sum##i = x;
#define CHAIN_STEP(i)                    \
    sum##i = MULTIPLY_ADD(sum##i, y, x); \
    __asm__ volatile("" : "+x"(sum##i));
#define CHAIN_END(i) total += sum##i;
#define DEFINE_PEAK(name, isa, type, set)                                                         \
    __attribute__((target(isa))) static void name(void *context, size_t call)                     \
    {                                                                                             \
        const type x = set(1.0f / (float)(call + 2)), y = set(0.5f);                              \
        type sum0, sum1, sum2, sum3, sum4, sum5, sum6, sum7, sum8, sum9, sum10, sum11, total = x; \
        CHAINS(CHAIN_BEGIN)                                                                       \
        for (int step = 0; step < PEAK_STEPS; step++) {                                           \
            CHAINS(CHAIN_STEP)                                                                    \
        }                                                                                         \
        CHAINS(CHAIN_END)                                                                         \
        *(volatile float *)context = ((float *)&total)[0];                                        \
    }

#if defined(__x86_64__)
#include <immintrin.h>
#define MULTIPLY_ADD _mm512_fmadd_ps
DEFINE_PEAK(peak_avx512, "avx512f", __m512, _mm512_set1_ps)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD _mm256_fmadd_ps
DEFINE_PEAK(peak_avx2, "avx2,fma", __m256, _mm256_set1_ps)
#undef MULTIPLY_ADD
#define MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
DEFINE_PEAK(peak_scalar, "sse2", __m128, _mm_set1_ps)
#endif

static double measure_peak(const struct bench *bench)
{
    volatile float sink;
    struct job job = {NULL, (void *)&sink};
    double lanes = 4;
#if defined(__x86_64__)
    job.run = peak_scalar;
    if (bench->kernels->isa == BERTH_ISA_AVX2)
        job.run = peak_avx2, lanes = 8;
    if (bench->kernels->isa >= BERTH_ISA_AVX512)
        job.run = peak_avx512, lanes = 16;
#endif
    return job.run ? 2 * lanes * CHAIN_COUNT * PEAK_STEPS / measure(bench, job).best : 0;
}

struct stream {
    uint64_t *words;
    uint64_t sum;
};

static void read_memory(void *context, size_t call)
{
    struct stream *s = context;
    uint64_t sum[8] = {call};
    for (size_t i = 0; i < cold_floats / 2; i += 8) {
        for (size_t j = 0; j < 8; j++)
            sum[j] ^= s->words[i + j];
    }
    for (size_t j = 0; j < 8; j++)
        s->sum += sum[j];
}

static double measure_memory(const struct bench *bench)
{
    struct stream s = {berth_aligned(cold_floats * sizeof(float)), 0};
    if (!s.words)
        return 0;
    memset(s.words, 1, cold_floats * sizeof(float));
    const double ns = measure(bench, (struct job){read_memory, &s}).best;
    berth_free(s.words);
    return (double)cold_floats * sizeof(float) / ns;
}

/* --- reports -----------------------------------------------------------------------------------------------
 */

/* `work` floating-point operations, `bytes` read of memory; 0: not told. */
static void report(const struct bench *bench, const char *kernel, const char *shape, struct timing t,
                   double work, double bytes)
{
    const double rate = work / t.median, spread = (t.high - t.low) / t.median;
    if (bench->json) {
        printf(
            "{\"kernel\":\"%s\",\"isa\":\"%s\",\"shape\":\"%s\",\"median_ns\":%.1f,\"spread\":%.4f,"
            "\"gflops\":%.2f,\"share_of_peak\":%.4f,\"gbytes_per_s\":%.2f}\n",
            kernel, bench->level, shape, t.median, spread, rate, rate / bench->peak, bytes / t.median);
        return;
    }
    printf("%-28s %-30s %12.1f us  +-%4.1f%%", kernel, shape, t.median / 1e3, 50 * spread);
    if (work > 0)
        printf("  %7.1f GFLOP/s  %5.1f%% of peak", rate, 100 * rate / bench->peak);
    if (bytes > 0)
        printf("  %6.1f GB/s", bytes / t.median);
    printf("\n");
    fflush(stdout);
}

static float *new_floats(size_t count)
{
    float *x = berth_aligned(berth_max(count, 1) * sizeof *x);
    if (!x) {
        fprintf(stderr, "bench_kernels: out of memory\n");
        exit(1);
    }
    struct berth_rng rng;
    berth_rng_seed(&rng, count);
    for (size_t i = 0; i < count; i++)
        x[i] = (float)(berth_rng_uniform(&rng) - 0.5);
    return x;
}

/* --- matrix product ----------------------------------------------------------------------------------------
 */

struct gemm_job {
    const struct berth_kernels *kernels;
    struct berth_gemm_f32 args;
    const float *weights;
    size_t copies, copy_floats;
};

static void run_gemm(void *context, size_t call)
{
    struct gemm_job *job = context;
    job->args.weights = job->weights + call % job->copies * job->copy_floats;
    job->kernels->gemm_f32(&job->args);
}

struct gemm_shape {
    size_t m, n, k;
    enum berth_epilogue_act act;
    bool residual;
};

static void bench_gemm(const struct bench *bench, const struct gemm_shape *s)
{
    const struct berth_kernels *kernels = bench->kernels;
    const size_t floats = berth_gemm_f32_packed(kernels, s->n, s->k);
    const bool cold = s->m <= 64;
    float *bias = new_floats(s->n), *out = new_floats(s->m * s->n);
    struct gemm_job job = {
        .kernels = kernels, .copies = cold ? cold_floats / floats + 1 : 1, .copy_floats = floats};
    float *weights = new_floats(job.copies * floats), *a = new_floats(s->m * s->k);
    job.weights = weights;
    job.args = (struct berth_gemm_f32){.out = out,
                                       .a = a,
                                       .bias = bias,
                                       .residual = s->residual ? out : NULL,
                                       .m = s->m,
                                       .n = s->n,
                                       .k = s->k,
                                       .out_stride = s->n,
                                       .a_stride = s->k,
                                       .residual_stride = s->n,
                                       .act = s->act,
                                       .scratch = new_floats(kernels->gemm_f32_scratch(s->m, s->k))};
    char shape[64];
    snprintf(shape, sizeof shape, "%zux%zux%zu%s%s%s", s->m, s->n, s->k,
             s->act == BERTH_K_GELU_ERF ? " gelu" : "", s->residual ? " residual" : "", cold ? " cold" : "");
    const double work = 2.0 * (double)s->m * (double)s->n * (double)s->k;
    report(bench, kernels->gemm_f32_name, shape, measure(bench, (struct job){run_gemm, &job}), work,
           4 * (double)floats);
    berth_free(job.args.scratch);
    berth_free(a);
    berth_free(weights);
    berth_free(out);
    berth_free(bias);
}

static void bench_gemms(const struct bench *bench)
{
    static const struct gemm_shape shapes[] = {
        {3584, 768, 768, BERTH_K_NONE, true},      {1024, 2304, 768, BERTH_K_NONE, false},
        {1024, 3072, 768, BERTH_K_NONE, false},    {1024, 3072, 768, BERTH_K_GELU_ERF, false},
        {1024, 768, 3072, BERTH_K_NONE, true},     {512, 768, 768, BERTH_K_NONE, true},
        {512, 3072, 768, BERTH_K_GELU_ERF, false}, {512, 768, 3072, BERTH_K_NONE, true},
        {128, 3072, 768, BERTH_K_GELU_ERF, false}, {128, 768, 3072, BERTH_K_NONE, true},
        {512, 1024, 256, BERTH_K_GELU_ERF, false}, {512, 256, 1024, BERTH_K_NONE, true},
        {512, 512, 128, BERTH_K_GELU_ERF, false},  {512, 128, 512, BERTH_K_NONE, true},
        {128, 128, 128, BERTH_K_NONE, false},      {32, 3072, 768, BERTH_K_GELU_ERF, false},
        {32, 768, 3072, BERTH_K_NONE, true},       {16, 3072, 768, BERTH_K_GELU_ERF, false},
        {16, 768, 3072, BERTH_K_NONE, true},       {16, 2304, 768, BERTH_K_NONE, false},
        {16, 768, 768, BERTH_K_NONE, true},        {15, 768, 768, BERTH_K_NONE, true},
        {8, 768, 768, BERTH_K_NONE, true},         {4, 768, 768, BERTH_K_NONE, true},
        {3, 768, 768, BERTH_K_NONE, true},         {2, 768, 768, BERTH_K_NONE, true},
        {1, 768, 768, BERTH_K_NONE, true},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        bench_gemm(bench, &shapes[i]);
}

/* --- attention ---------------------------------------------------------------------------------------------
 */

struct attention_job {
    const struct berth_kernels *kernels;
    struct berth_attention_f32 args;
};

static void run_attention(void *context, size_t call)
{
    (void)call;
    const struct attention_job *job = context;
    job->kernels->attention_f32(&job->args);
}

static void bench_attention(const struct bench *bench)
{
    static const size_t lengths[] = {16, 32, 112, 128, 512}, sizes[] = {64, 32};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0] * 2; i++) {
        const size_t t = lengths[i % 5], d = sizes[i / 5], stride = 3 * 768;
        float *qkv = new_floats(t * stride), *out = new_floats(t * 768);
        struct attention_job job = {bench->kernels,
                                    {.out = out,
                                     .q = qkv,
                                     .k = qkv + 768,
                                     .v = qkv + 1536,
                                     .t = t,
                                     .d = d,
                                     .out_stride = 768,
                                     .qkv_stride = stride,
                                     .scale = 0.125f,
                                     .scratch = new_floats(bench->kernels->attention_f32_scratch(t, d))}};
        char shape[64];
        snprintf(shape, sizeof shape, "T %zu D %zu", t, d);
        report(bench, bench->kernels->attention_f32_name, shape,
               measure(bench, (struct job){run_attention, &job}), 4.0 * (double)(t * t * d), 0);
        berth_free(job.args.scratch);
        berth_free(out);
        berth_free(qkv);
    }
}

/* --- rows --------------------------------------------------------------------------------------------------
 */

struct row_job {
    const struct berth_kernels *kernels;
    float *x, *out;
    size_t m, n;
    enum berth_epilogue_act act;
};

static void run_layernorm(void *context, size_t call)
{
    (void)call;
    const struct row_job *job = context;
    job->kernels->layernorm_f32(job->out, job->x, job->x, job->x, job->m, job->n, job->n, job->n, 1e-12f);
}

static void run_act(void *context, size_t call)
{
    (void)call;
    const struct row_job *job = context;
    job->kernels->act_f32(job->x, job->m * job->n, job->act);
}

static void run_pack(void *context, size_t call)
{
    (void)call;
    const struct row_job *job = context;
    job->kernels->pack_f32(job->out, job->x, 0, job->m, job->n, job->n);
}

static void bench_rows(const struct bench *bench)
{
    static const char *const act_names[] = {"none", "gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};
    struct row_job job = {.kernels = bench->kernels, .m = 768, .n = 768};
    const size_t count = job.m * job.n;
    job.x = new_floats(count), job.out = new_floats(count + 64 * job.n);
    const double bytes = 4.0 * (double)count;
    report(bench, "f32_layernorm", "768 rows of 768", measure(bench, (struct job){run_layernorm, &job}), 0,
           bytes);
    report(bench, "f32_pack", "768x768", measure(bench, (struct job){run_pack, &job}), 0, bytes);
    job.m = 4; /* in the first-level cache, as an epilogue finds its sums */
    for (job.act = BERTH_K_GELU_ERF; job.act <= BERTH_K_TANH; job.act++) {
        report(bench, "f32_act", act_names[job.act], measure(bench, (struct job){run_act, &job}), 0,
               16.0 * (double)job.n);
    }
    berth_free(job.out);
    berth_free(job.x);
}

/* -----------------------------------------------------------------------------------------------------------
 */

static void bench_level(struct bench *bench, const char *op)
{
    bench->peak = measure_peak(bench);
    bench->memory = measure_memory(bench);
    if (bench->json) {
        printf("{\"isa\":\"%s\",\"peak_gflops\":%.2f,\"memory_gbytes_per_s\":%.2f}\n", bench->level,
               bench->peak, bench->memory);
    } else {
        printf(
            "%s: peak %.1f GFLOP/s, memory %.1f GB/s, one thread; median of %zu, +- half the quartile "
            "distance\n",
            bench->level, bench->peak, bench->memory, bench->runs);
    }
    if (!op || strcmp(op, "gemm") == 0)
        bench_gemms(bench);
    if (!op || strcmp(op, "attention") == 0)
        bench_attention(bench);
    if (!op || strcmp(op, "rowwise") == 0)
        bench_rows(bench);
}

int main(int argc, char **argv)
{
    struct bench bench = {.runs = 11};
    const char *only = NULL, *op = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            bench.json = true;
        } else if (strcmp(argv[i], "--isa") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "--op") == 0 && i + 1 < argc) {
            op = argv[++i];
        } else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
            bench.runs = berth_min(RUNS_MAX, berth_max(1, strtoul(argv[++i], NULL, 10)));
        } else {
            fprintf(stderr,
                    "usage: bench_kernels [--isa LEVEL] [--op gemm|attention|rowwise] [--runs N] [--json]\n");
            return 2;
        }
    }
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    if (!bench.json)
        printf("%s\n", cpu.model);
    for (enum berth_isa isa = BERTH_ISA_SCALAR; isa <= cpu.best; isa++) {
        bench.kernels = berth_kernels_select(isa);
        bench.level = berth_isa_name(isa);
        if (bench.kernels->isa != isa || (only && strcmp(only, bench.level) != 0))
            continue;
        bench_level(&bench, op);
    }
    return 0;
}
