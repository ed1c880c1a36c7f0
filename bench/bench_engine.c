/* bench_engine.c: how fast the engine runs random models: every model x batch x length x threads asked for,
 * interleaved so that noise hits all alike. Medians with spread, tokens a second, and GFLOP/s as a share of
 * this machine's measured multiply-add rate.
 *
 *   bench_engine [--models A,B] [--batch 1,8] [--length 16,128] [--threads 1,2] [--isa NAME] [--seconds S]
 * [--steps] [--json] */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { LIST_MAX = 16, TRIALS_MAX = 4096, WARM_UP = 2, TRIALS_LEAST = 5 };

struct options {
    const char *models[LIST_MAX];
    size_t model_count;
    size_t batches[LIST_MAX], batch_count;
    size_t lengths[LIST_MAX], length_count;
    size_t threads[LIST_MAX], thread_count;
    enum berth_isa isa;
    double seconds; /* of trials for each cell */
    bool json, steps;
};

/* --- the machine's limit -------------------------------------------------------------------------- */

/* Twelve independent chains hide the latency of a fused multiply-add. */
#if defined(__x86_64__)
#define PEAK_LOOP(vector, set1, fmadd, lanes)                                           \
    vector x = set1(0.999f), y = set1(1e-9f), s[12];                                    \
    for (int i = 0; i < 12; i++)                                                        \
        s[i] = set1((float)i);                                                          \
    for (long n = 0; n < rounds; n++) {                                                 \
        _Pragma("GCC unroll 12") for (int i = 0; i < 12; i++) s[i] = fmadd(s[i], x, y); \
    }                                                                                   \
    vector sum = s[0];                                                                  \
    for (int i = 1; i < 12; i++)                                                        \
        sum += s[i];                                                                    \
    *sink = ((float *)&sum)[0];                                                         \
    return 2.0 * 12 * (lanes) * (double)rounds;

__attribute__((target("avx2,fma"))) static double run_peak_avx2(long rounds, float *sink)
{
    PEAK_LOOP(__m256, _mm256_set1_ps, _mm256_fmadd_ps, 8)
}

__attribute__((target("avx512f"))) static double run_peak_avx512(long rounds, float *sink)
{
    PEAK_LOOP(__m512, _mm512_set1_ps, _mm512_fmadd_ps, 16)
}
#endif

/* Operations a second of one core at that level; NaN where it is not measured. */
static double measure_peak(enum berth_isa isa)
{
    double best = NAN;
#if defined(__x86_64__)
    float sink;
    for (int i = 0; i < 5 && isa >= BERTH_ISA_AVX2; i++) {
        uint64_t start = berth_clock_ns();
        double operations =
            isa >= BERTH_ISA_AVX512 ? run_peak_avx512(400000, &sink) : run_peak_avx2(400000, &sink);
        double rate = operations / ((double)(berth_clock_ns() - start) * 1e-9);
        best = rate > best || isnan(best) ? rate : best;
    }
#else
    (void)isa;
#endif
    return best;
}

/* --- one cell ------------------------------------------------------------------------------------- */

struct cell {
    const char *model;
    size_t batch, length, threads;
    struct berth_engine *engine;
    double ms[TRIALS_MAX];
    size_t trials;
    double operations, total_ms;
};

_Noreturn static void die(const struct berth_error *err)
{
    fprintf(stderr, "bench_engine: %s\n", err->message);
    exit(1);
}

static double run_once(struct cell *cell, uint64_t *step_ns)
{
    static int32_t ids[1 << 16];
    static size_t offsets[4097];
    static float logits[2 * 4096];
    struct berth_error err;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    for (size_t i = 0; i < cell->batch * cell->length; i++)
        ids[i] = (int32_t)berth_rng_below(&rng, 30522);
    for (size_t i = 0; i <= cell->batch; i++)
        offsets[i] = i * cell->length;
    struct berth_batch batch = {.texts = cell->batch, .offsets = offsets, .ids = ids};
    struct berth_outputs outputs = {.logits = logits, .step_ns = step_ns};
    uint64_t start = berth_clock_ns();
    if (berth_engine_run(cell->engine, &batch, &outputs, &err) != BERTH_OK)
        die(&err);
    return (double)(berth_clock_ns() - start) * 1e-6;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(const struct cell *cell, double q)
{
    return cell->ms[(size_t)(q * (double)(cell->trials - 1) + 0.5)];
}

static void print_steps(const struct berth_plan *plan, struct cell *cell)
{
    uint64_t *ns = calloc(plan->step_count, sizeof *ns);
    int runs = 5;
    for (int i = 0; ns && i < runs; i++)
        run_once(cell, ns);
    for (size_t i = 0; ns && i < plan->step_count; i++) {
        if (ns[i] == 0)
            continue;
        struct berth_step_cost cost = berth_step_cost(plan, &plan->steps[i], cell->batch, cell->length);
        double us = (double)ns[i] * 1e-3 / runs;
        printf("    %-42s %9.1f us %8.1f GFLOP/s %8.1f GB/s of weights\n", plan->steps[i].name, us,
               cost.operations / us * 1e-3, cost.weight_bytes / us * 1e-3);
    }
    free(ns);
}

/* --- one model ------------------------------------------------------------------------------------ */

static double count_operations(const struct berth_plan *plan, size_t batch, size_t length)
{
    double sum = 0;
    for (size_t i = 0; i < plan->step_count; i++)
        if (berth_step_runs(&plan->steps[i], true))
            sum += berth_step_cost(plan, &plan->steps[i], batch, length).operations;
    return sum;
}

static void print_cell(const struct cell *cell, const char *isa, double peak, bool json, bool *first)
{
    double median = quantile(cell, 0.5), p10 = quantile(cell, 0.1), p90 = quantile(cell, 0.9);
    double tokens = (double)(cell->batch * cell->length) / median * 1e3;
    double rate = cell->operations / median * 1e3, share = rate / (peak * (double)cell->threads);
    if (json)
        printf(
            "%s\n  {\"model\": \"%s\", \"batch\": %zu, \"length\": %zu, \"threads\": %zu, \"isa\": \"%s\", "
            "\"trials\": %zu,"
            " \"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"tokens_per_second\": %.6g,"
            " \"gflops\": %.6g, \"peak_share\": %.4g}",
            *first ? "" : ",", cell->model, cell->batch, cell->length, cell->threads, isa, cell->trials,
            median, p10, p90, tokens, rate * 1e-9, isnan(share) ? 0 : share);
    else
        printf("%-14s %4zu x %-4zu %3zu  %9.3f  %9.3f .. %-9.3f %10.0f %8.1f %6.0f %%\n", cell->model,
               cell->batch, cell->length, cell->threads, median, p10, p90, tokens, rate * 1e-9, share * 100);
    *first = false;
    fflush(stdout);
}

static void bench_model(const struct options *o, const char *model, double peak, bool *first)
{
    static struct cell cells[LIST_MAX * LIST_MAX * 4];
    struct berth_error err;
    struct berth_encoder *encoder;
    struct berth_plan *plan;
    struct berth_team *team;
    const struct berth_kernels *kernels = berth_kernels_select(o->isa);
    uint64_t start = berth_clock_ns();
    if (berth_encoder_random(model, &encoder, &err) != BERTH_OK ||
        berth_team_new(2, &team, &err) != BERTH_OK ||
        berth_plan_new(encoder, kernels, NULL, team, &plan, &err) != BERTH_OK)
        die(&err);
    berth_team_free(team);
    if (!o->json)
        printf("%s: %zu parameters, ready in %.0f ms\n", model, plan->encoder->parameters,
               (double)(berth_clock_ns() - start) * 1e-6);
    size_t count = 0;
    for (size_t b = 0; b < o->batch_count; b++)
        for (size_t l = 0; l < o->length_count; l++)
            for (size_t t = 0; t < o->thread_count; t++) {
                struct cell *cell = &cells[count++];
                *cell = (struct cell){.model = model,
                                      .batch = o->batches[b],
                                      .length = o->lengths[l],
                                      .threads = o->threads[t]};
                cell->operations = count_operations(plan, cell->batch, cell->length);
                if (berth_engine_new(plan, cell->threads, cell->batch * cell->length, cell->batch,
                                     &cell->engine, &err) != BERTH_OK)
                    die(&err);
                for (int i = 0; i < WARM_UP; i++)
                    run_once(cell, NULL);
            }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            struct cell *cell = &cells[i];
            if (cell->trials >= TRIALS_MAX ||
                (cell->trials >= TRIALS_LEAST && cell->total_ms >= o->seconds * 1e3))
                continue;
            cell->ms[cell->trials] = run_once(cell, NULL);
            cell->total_ms += cell->ms[cell->trials++];
            more = true;
        }
    }
    for (size_t i = 0; i < count; i++) {
        qsort(cells[i].ms, cells[i].trials, sizeof(double), compare_doubles);
        print_cell(&cells[i], berth_isa_name(kernels->isa), peak, o->json, first);
        if (o->steps)
            print_steps(plan, &cells[i]);
        berth_engine_free(cells[i].engine);
    }
    berth_plan_free(plan);
}

/* --- options -------------------------------------------------------------------------------------- */

static size_t read_sizes(char *text, size_t *sizes)
{
    size_t count = 0;
    for (char *save, *part = strtok_r(text, ",", &save); part && count < LIST_MAX;
         part = strtok_r(NULL, ",", &save))
        sizes[count++] = strtoul(part, NULL, 10);
    return count;
}

static size_t read_names(char *text, const char **names)
{
    size_t count = 0;
    for (char *save, *part = strtok_r(text, ",", &save); part && count < LIST_MAX;
         part = strtok_r(NULL, ",", &save))
        names[count++] = part;
    return count;
}

static void read_options(struct options *o, int argc, char **argv)
{
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    *o = (struct options){.models = {"bert-tiny", "electra-small", "distilbert", "bert-base"},
                          .model_count = 4,
                          .batches = {1, 8},
                          .batch_count = 2,
                          .lengths = {16, 32, 128},
                          .length_count = 3,
                          .threads = {1, 2},
                          .thread_count = 2,
                          .isa = cpu.best,
                          .seconds = 1};
    for (int i = 1; i < argc; i++) {
        char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0)
            o->json = true;
        else if (strcmp(argv[i], "--steps") == 0)
            o->steps = true;
        else if (value && strcmp(argv[i], "--models") == 0)
            o->model_count = read_names(argv[++i], o->models);
        else if (value && strcmp(argv[i], "--batch") == 0)
            o->batch_count = read_sizes(argv[++i], o->batches);
        else if (value && strcmp(argv[i], "--length") == 0)
            o->length_count = read_sizes(argv[++i], o->lengths);
        else if (value && strcmp(argv[i], "--threads") == 0)
            o->thread_count = read_sizes(argv[++i], o->threads);
        else if (value && strcmp(argv[i], "--seconds") == 0)
            o->seconds = atof(argv[++i]);
        else if (value && strcmp(argv[i], "--isa") == 0 && berth_isa_parse(value, &o->isa))
            i++;
        else {
            fprintf(stderr,
                    "usage: bench_engine [--models A,B] [--batch 1,8] [--length 16,128] [--threads 1,2]\n"
                    "                    [--isa NAME] [--seconds S] [--steps] [--json]\n");
            exit(2);
        }
    }
    if (o->isa > cpu.best)
        o->isa = cpu.best;
}

int main(int argc, char **argv)
{
    struct options o;
    bool first = true;
    read_options(&o, argc, argv);
    double peak = measure_peak(berth_kernels_select(o.isa)->isa);
    if (o.json)
        printf("{\"peak_gflops_per_core\": %.6g, \"cells\": [", isnan(peak) ? 0 : peak * 1e-9);
    else
        printf(
            "one core multiplies and adds %.1f GFLOP/s (%s)\n%-14s %-11s thr     median        p10 .. p90    "
            "       tokens/s  GFLOP/s   peak\n",
            peak * 1e-9, berth_isa_name(berth_kernels_select(o.isa)->isa), "model", "batch x len");
    for (size_t i = 0; i < o.model_count; i++)
        bench_model(&o, o.models[i], peak, &first);
    if (o.json)
        printf("\n]}\n");
    return 0;
}
