/* bench_kernels.c: speed of the kernels alone, one thread: by shape, beside the machine's own limits
 * (multiplying and adding from registers; reading memory). Weights are rotated through more memory than the
 * caches hold where a model would read them once per call (few rows), so that such figures are those of a
 * whole encoder.
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
#include "limit.h"
#include "product.h"

enum { RUNS_MAX = 101, MIN_NS = 5 * 1000 * 1000 };
static const size_t cold_bytes = 128 * 1024 * 1024; /* of weights: more than the caches hold */

struct bench {
    const struct berth_kernels *kernels;
    enum berth_isa isa;
    const char *level;
    size_t runs;
    bool json;
    double peak[LIMIT_FORMATS], memory; /* operations a ns, bytes a ns */
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

/* --- reports -----------------------------------------------------------------------------------------------
 */

/* `work` operations of that format, `bytes` read of memory; 0: not told. */
static void report(const struct bench *bench, const char *kernel, const char *shape, struct timing t,
                   enum limit_format format, double work, double bytes)
{
    const double peak = bench->peak[format] > 0 ? bench->peak[format] : INFINITY;
    const double rate = work / t.median, spread = (t.high - t.low) / t.median;
    if (bench->json) {
        printf(
            "{\"kernel\":\"%s\",\"isa\":\"%s\",\"shape\":\"%s\",\"median_ns\":%.1f,\"spread\":%.4f,"
            "\"gops\":%.2f,\"share_of_peak\":%.4f,\"gbytes_per_s\":%.2f}\n",
            kernel, bench->level, shape, t.median, spread, rate, rate / peak, bytes / t.median);
        return;
    }
    printf("%-28s %-30s %12.1f us  +-%4.1f%%", kernel, shape, t.median / 1e3, 50 * spread);
    if (work > 0)
        printf("  %7.1f GOP/s  %5.1f%% of peak", rate, 100 * rate / peak);
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

static void run_gemm(void *context, size_t call)
{
    (void)call; /* the product counts itself */
    product_run(context);
}

static void bench_gemm(const struct bench *bench, struct product_shape s, enum limit_format format)
{
    static const size_t sizes[LIMIT_FORMATS] = {4, 2, 1};
    const size_t bytes = s.n * s.k * sizes[format];
    const bool cold = s.m <= 64;
    char shape[64], why[PRODUCT_WHY_SIZE];
    s.format = format;
    s.copies = cold ? cold_bytes / bytes + 1 : 1;
    struct product *product = product_berth.open(&s, bench->isa, why);
    if (!product) {
        fprintf(stderr, "bench_kernels: %s\n", why);
        exit(1);
    }
    snprintf(shape, sizeof shape, "%zux%zux%zu%s%s%s", s.m, s.n, s.k,
             s.act == BERTH_K_GELU_ERF ? " gelu" : "", s.residual ? " residual" : "", cold ? " cold" : "");
    report(bench, product_kernel_name(format, bench->isa), shape,
           measure(bench, (struct job){run_gemm, product}), format,
           2.0 * (double)s.m * (double)s.n * (double)s.k, (double)bytes);
    product_close(product);
}

static void bench_gemms(const struct bench *bench)
{
    static const struct product_shape shapes[] = {
        {.m = 3584, .n = 768, .k = 768, .residual = true},
        {.m = 1024, .n = 2304, .k = 768},
        {.m = 1024, .n = 3072, .k = 768},
        {.m = 1024, .n = 3072, .k = 768, .act = BERTH_K_GELU_ERF},
        {.m = 1024, .n = 768, .k = 3072, .residual = true},
        {.m = 512, .n = 768, .k = 768, .residual = true},
        {.m = 512, .n = 3072, .k = 768, .act = BERTH_K_GELU_ERF},
        {.m = 512, .n = 768, .k = 3072, .residual = true},
        {.m = 128, .n = 3072, .k = 768, .act = BERTH_K_GELU_ERF},
        {.m = 128, .n = 768, .k = 3072, .residual = true},
        {.m = 512, .n = 1024, .k = 256, .act = BERTH_K_GELU_ERF},
        {.m = 512, .n = 256, .k = 1024, .residual = true},
        {.m = 512, .n = 512, .k = 128, .act = BERTH_K_GELU_ERF},
        {.m = 512, .n = 128, .k = 512, .residual = true},
        {.m = 128, .n = 128, .k = 128},
        {.m = 32, .n = 3072, .k = 768, .act = BERTH_K_GELU_ERF},
        {.m = 32, .n = 768, .k = 3072, .residual = true},
        {.m = 16, .n = 3072, .k = 768, .act = BERTH_K_GELU_ERF},
        {.m = 16, .n = 768, .k = 3072, .residual = true},
        {.m = 16, .n = 2304, .k = 768},
        {.m = 16, .n = 768, .k = 768, .residual = true},
        {.m = 15, .n = 768, .k = 768, .residual = true},
        {.m = 8, .n = 768, .k = 768, .residual = true},
        {.m = 4, .n = 768, .k = 768, .residual = true},
        {.m = 3, .n = 768, .k = 768, .residual = true},
        {.m = 2, .n = 768, .k = 768, .residual = true},
        {.m = 1, .n = 768, .k = 768, .residual = true},
    };
    for (enum limit_format format = 0; format < LIMIT_FORMATS; format++)
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            bench_gemm(bench, shapes[i], format);
}

/* --- attention ---------------------------------------------------------------------------------------------
 */

struct attention_job {
    void (*run)(const struct berth_attention_f32 *args);
    struct berth_attention_f32 args;
};

static void run_attention(void *context, size_t call)
{
    (void)call;
    const struct attention_job *job = context;
    job->run(&job->args);
}

static void bench_attention_of(const struct bench *bench, size_t t, size_t d, bool int8)
{
    const struct berth_kernels *kernels = bench->kernels;
    const size_t stride = 3 * 768;
    float *qkv = new_floats(t * stride), *out = new_floats(t * 768);
    float *scratch =
        new_floats(int8 ? kernels->attention_s8_scratch(t, d) : kernels->attention_f32_scratch(t, d));
    struct attention_job job = {int8 ? kernels->attention_s8 : kernels->attention_f32,
                                {.out = out,
                                 .q = qkv,
                                 .k = qkv + 768,
                                 .v = qkv + 1536,
                                 .t = t,
                                 .d = d,
                                 .out_stride = 768,
                                 .qkv_stride = stride,
                                 .scale = 0.125f,
                                 .scratch = scratch}};
    char shape[64];
    snprintf(shape, sizeof shape, "T %zu D %zu", t, d);
    report(bench, int8 ? kernels->attention_s8_name : kernels->attention_f32_name, shape,
           measure(bench, (struct job){run_attention, &job}), int8 ? LIMIT_INT8 : LIMIT_FP32,
           4.0 * (double)(t * t * d), 0);
    berth_free(scratch);
    berth_free(out);
    berth_free(qkv);
}

static void bench_attention(const struct bench *bench)
{
    static const size_t lengths[] = {16, 32, 112, 128, 512}, sizes[] = {64, 32};
    for (size_t i = 0; i < 20; i++)
        bench_attention_of(bench, lengths[i % 5], sizes[i / 5 % 2], i >= 10);
}

/* --- rows --------------------------------------------------------------------------------------------------
 */

struct row_job {
    const struct berth_kernels *kernels;
    float *x, *out;
    uint8_t *tiled;
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

static void run_quantize(void *context, size_t call)
{
    (void)call;
    const struct row_job *job = context;
    job->kernels->quantize_s8(job->tiled, job->out, job->x, 0, job->m, job->n, job->n);
}

static void run_round(void *context, size_t call)
{
    (void)call;
    const struct row_job *job = context;
    job->kernels->round_bf16(job->tiled, job->x, 0, job->m, job->n, job->n);
}

static void report_rows(const struct bench *bench, const char *kernel, const char *shape, struct job job,
                        double bytes)
{
    report(bench, kernel, shape, measure(bench, job), LIMIT_FP32, 0, bytes);
}

static void bench_rows(const struct bench *bench)
{
    static const char *const act_names[] = {"none", "gelu_erf", "gelu_tanh", "relu", "silu", "tanh"};
    struct row_job job = {.kernels = bench->kernels, .m = 768, .n = 768};
    const size_t count = job.m * job.n;
    job.x = new_floats(count), job.out = new_floats(count + 64 * job.n);
    job.tiled = (uint8_t *)new_floats(count); /* room for either */
    const double bytes = 4.0 * (double)count;
    report_rows(bench, "f32_layernorm", "768 rows of 768", (struct job){run_layernorm, &job}, bytes);
    report_rows(bench, "s8_quantize", "768 rows of 768", (struct job){run_quantize, &job}, bytes);
    report_rows(bench, "bf16_round", "768 rows of 768", (struct job){run_round, &job}, bytes);
    report_rows(bench, "f32_pack", "768x768", (struct job){run_pack, &job}, bytes);
    job.m = 4; /* in the first-level cache, as an epilogue finds its sums */
    for (job.act = BERTH_K_GELU_ERF; job.act <= BERTH_K_TANH; job.act++) {
        report_rows(bench, "f32_act", act_names[job.act], (struct job){run_act, &job}, 16.0 * (double)job.n);
    }
    berth_free(job.tiled);
    berth_free(job.out);
    berth_free(job.x);
}

/* -----------------------------------------------------------------------------------------------------------
 */

static void bench_level(struct bench *bench, const char *op)
{
    for (enum limit_format format = 0; format < LIMIT_FORMATS; format++)
        bench->peak[format] = limit_unit_rate(limit_unit_find(format, bench->isa));
    bench->memory = limit_read_rate(bench->isa, cold_bytes);
    if (bench->json)
        printf(
            "{\"isa\":\"%s\",\"peak_gops\":{\"fp32\":%.2f,\"bf16\":%.2f,\"int8\":%.2f},\"memory_gbytes_per_"
            "s\":%.2f}\n",
            bench->level, bench->peak[LIMIT_FP32], bench->peak[LIMIT_BF16], bench->peak[LIMIT_INT8],
            bench->memory);
    else
        printf(
            "%s: fp32 %.1f, bf16 %.1f, int8 %.1f GOP/s at most, memory %.1f GB/s, one thread; median of %zu, "
            "+- half the "
            "quartile distance\n",
            bench->level, bench->peak[LIMIT_FP32], bench->peak[LIMIT_BF16], bench->peak[LIMIT_INT8],
            bench->memory, bench->runs);
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
        bench.isa = isa;
        bench.level = berth_isa_name(isa);
        if (bench.kernels->isa != isa || (only && strcmp(only, bench.level) != 0))
            continue;
        bench_level(&bench, op);
    }
    return 0;
}
