/* bench_engine.c: how fast the engine runs random models: every model x precision x batch x length x threads
 * asked for, interleaved so that noise hits all alike. Medians with spread, tokens a second, and GOP/s as a
 * share of what this machine multiplies and adds at most in that precision.
 *
 *   bench_engine [--models A,B] [--precision fp32,bf16,int8] [--batch 1,8] [--length 16,128] [--threads 1,2]
 *                [--isa NAME] [--seconds S] [--steps] [--json] */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "limit.h"

enum { LIST_MAX = 16, TRIALS_MAX = 4096, WARM_UP = 2, TRIALS_LEAST = 5 };

struct options {
    const char *models[LIST_MAX];
    size_t model_count;
    enum limit_format precisions[LIMIT_FORMATS];
    size_t precision_count;
    size_t batches[LIST_MAX], batch_count;
    size_t lengths[LIST_MAX], length_count;
    size_t threads[LIST_MAX], thread_count;
    enum berth_isa isa;
    double seconds; /* of trials for each cell */
    bool json, steps;
};

/* --- one cell ------------------------------------------------------------------------------------- */

struct cell {
    const char *model, *precision;
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
        printf("    %-42s %9.1f us %8.1f GOP/s %8.1f GB/s of weights\n", plan->steps[i].name, us,
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
    double rate = cell->operations / median * 1e3,
           share = peak > 0 ? rate / (peak * (double)cell->threads) : 0;
    if (json)
        printf(
            "%s\n  {\"model\": \"%s\", \"precision\": \"%s\", \"batch\": %zu, \"length\": %zu, \"threads\": "
            "%zu, \"isa\": \"%s\", "
            "\"trials\": %zu,"
            " \"median_ms\": %.6g, \"p10_ms\": %.6g, \"p90_ms\": %.6g, \"tokens_per_second\": %.6g,"
            " \"gops\": %.6g, \"peak_share\": %.4g}",
            *first ? "" : ",", cell->model, cell->precision, cell->batch, cell->length, cell->threads, isa,
            cell->trials, median, p10, p90, tokens, rate * 1e-9, share);
    else
        printf("%-14s %s %4zu x %-4zu %3zu  %9.3f  %9.3f .. %-9.3f %10.0f %8.1f %6.0f %%\n", cell->model,
               cell->precision, cell->batch, cell->length, cell->threads, median, p10, p90, tokens,
               rate * 1e-9, share * 100);
    *first = false;
    fflush(stdout);
}

static void bench_model(const struct options *o, const char *model, enum limit_format format, bool *first)
{
    static const enum berth_number numbers[LIMIT_FORMATS] = {BERTH_NUMBER_F32, BERTH_NUMBER_BF16,
                                                             BERTH_NUMBER_S8};
    static struct cell cells[LIST_MAX * LIST_MAX * 4];
    struct berth_error err;
    struct berth_encoder *encoder;
    struct berth_plan *plan;
    struct berth_team *team;
    const struct berth_kernels *kernels = berth_kernels_select(o->isa);
    const struct berth_plan_options wanted = {.number = numbers[format]};
    const double peak = 1e9 * limit_unit_rate(limit_unit_find(format, o->isa));
    uint64_t start = berth_clock_ns();
    if (berth_encoder_random(model, &encoder, &err) != BERTH_OK ||
        berth_team_new(2, &team, &err) != BERTH_OK ||
        berth_plan_new(encoder, kernels, &wanted, team, &plan, &err) != BERTH_OK)
        die(&err);
    berth_team_free(team);
    if (!o->json)
        printf("%s %s: %zu parameters, ready in %.0f ms; one core multiplies and adds %.1f GOP/s at most\n",
               model, limit_format_name(format), plan->encoder->parameters,
               (double)(berth_clock_ns() - start) * 1e-6, peak * 1e-9);
    size_t count = 0;
    for (size_t b = 0; b < o->batch_count; b++)
        for (size_t l = 0; l < o->length_count; l++)
            for (size_t t = 0; t < o->thread_count; t++) {
                struct cell *cell = &cells[count++];
                *cell = (struct cell){.model = model,
                                      .precision = limit_format_name(format),
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

/* False for an unknown name. */
static bool read_formats(char *text, enum limit_format *formats, size_t *count)
{
    const char *names[LIST_MAX];
    const size_t wanted = read_names(text, names);
    *count = 0;
    for (size_t i = 0; i < wanted; i++)
        for (enum limit_format format = 0; format < LIMIT_FORMATS; format++)
            if (strcmp(names[i], limit_format_name(format)) == 0 && *count < LIMIT_FORMATS)
                formats[(*count)++] = format;
    return wanted > 0 && *count == wanted;
}

static void read_options(struct options *o, int argc, char **argv)
{
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    *o = (struct options){.models = {"bert-tiny", "electra-small", "distilbert", "bert-base"},
                          .model_count = 4,
                          .precisions = {LIMIT_FP32},
                          .precision_count = 1,
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
        else if (value && strcmp(argv[i], "--precision") == 0 &&
                 read_formats(argv[i + 1], o->precisions, &o->precision_count))
            i++;
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
                    "usage: bench_engine [--models A,B] [--precision fp32,bf16,int8] [--batch 1,8] [--length "
                    "16,128]\n"
                    "                    [--threads 1,2] [--isa NAME] [--seconds S] [--steps] [--json]\n");
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
    if (o.json)
        printf("{\"cells\": [");
    else
        printf("%s\n%-14s      %-11s thr     median        p10 .. p90           tokens/s    GOP/s   peak\n",
               berth_isa_name(berth_kernels_select(o.isa)->isa), "model", "batch x len");
    for (size_t i = 0; i < o.model_count; i++)
        for (size_t p = 0; p < o.precision_count; p++)
            bench_model(&o, o.models[i], o.precisions[p], &first);
    if (o.json)
        printf("\n]}\n");
    return 0;
}
