/* bench_train.c: measures training (T11 and T12): examples a second of BERT-base and BERT-tiny on two
 * threads, in fp32 and bf16, at 64 x 32 tokens and at SST-2's real lengths, with PyTorch in turns in the same
 * run.
 *
 * bench_train [--quick] [--only T11,T12] [-o FILE]
 * BERTH_BENCH_QUICK   1: as --quick: fewer rounds, BERT-base on batches of 8
 * BERTH_SHARED        folder with the reference data (../shared) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/file.h"
#include "peer_torch.h"
#include "target_train.h"

enum { THREADS = 2, PRECISIONS = 2, SST2_TEXTS = 64 * 200, EXPECTED_T11 = 85, EXPECTED_T12 = 8 };

static const char *const precisions[PRECISIONS] = {"fp32", "bf16"};

/* One model on one kind of data. */
struct contest {
    const char *target, *preset, *what; /* "T12", "bert-tiny", "64 x 32 tokens" */
    size_t batch, steps;                /* steps of a turn */
    double seconds;
    size_t rounds; /* at least */
};

/* PyTorch's side of a turn. */
struct torch_training {
    struct peer_torch *torch;
    const char *precision;
    size_t steps;
};

static bool run_torch(void *context)
{
    const struct torch_training *training = context;
    char question[48];
    snprintf(question, sizeof question, "precision %s", training->precision);
    if (!peer_torch_ask(training->torch, question, NULL))
        return false;
    snprintf(question, sizeof question, "steps %zu", training->steps);
    return peer_torch_ask(training->torch, question, NULL);
}

static struct peer_torch *open_torch(const struct target_run *run, const struct contest *contest,
                                     const struct berth_train_data *data, char why[PEER_TORCH_WHY_SIZE])
{
    char path[TARGET_PATH_SIZE], question[2 * TARGET_PATH_SIZE];
    struct peer_torch *torch = peer_torch_open("bench/peer_torch_train.py", contest->preset, THREADS, why);
    if (!torch)
        return NULL;
    snprintf(path, sizeof path, "%s/bench/train_ids.txt", run->build);
    snprintf(question, sizeof question, "data %zu %s", contest->batch, path);
    if (target_train_write(data, berth_min(data->count, SST2_TEXTS), path) &&
        peer_torch_ask(torch, question, NULL))
        return torch;
    snprintf(why, PEER_TORCH_WHY_SIZE, "PyTorch did not take %.400s", path);
    peer_torch_close(torch);
    return NULL;
}

static double rate(const struct contest *contest, double ms)
{
    return (double)(contest->steps * contest->batch) / ms * 1e3;
}

static void print_row(struct target_run *run, const struct contest *contest, const char *who,
                      const char *precision, const struct target_contestant *contestant, double memory)
{
    const struct target_spread *time = &contestant->time;
    printf("%-4s %-9s %-20s %-8s %-5s %9.1f examples/s (%.1f to %.1f, %zu rounds), peak %.0f MB\n",
           contest->target, contest->preset, contest->what, who, precision, rate(contest, time->median),
           rate(contest, time->high), rate(contest, time->low), contestant->rounds, memory * 1e-6);
    fflush(stdout);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:f, s:f, s:f, s:I, s:f}", "target", contest->target,
                  "model", contest->preset, "data", contest->what, "who", who, "precision", precision,
                  "threads", THREADS, "examples_per_second", rate(contest, time->median), "low",
                  rate(contest, time->high), "high", rate(contest, time->low), "rounds",
                  (json_int_t)contestant->rounds, "peak_bytes", memory));
}

static void judge_ratio(struct target_run *run, const struct contest *contest, const char *precision,
                        const struct target_contestant *ours, const struct target_contestant *peer)
{
    const struct target_spread ratio = target_ratio(ours, peer);
    char what[96];
    snprintf(what, sizeof what, "%s %s %s over PyTorch", contest->preset, contest->what, precision);
    if (strcmp(contest->target, "T12") == 0)
        target_verdict(
            run,
            &(struct target_figure){contest->target, what, ratio.median, TARGET_AT_LEAST, EXPECTED_T12, 0},
            NULL);
    else
        printf("%-4s %s: %.2f (%.2f to %.2f)\n", contest->target, what, ratio.median, ratio.low, ratio.high);
}

static void report(struct target_run *run, const struct contest *contest,
                   const struct target_contestant *contestants, struct peer_torch *torch)
{
    const struct target_contestant *ours = contestants, *peers = contestants + PRECISIONS;
    double memory = 0;
    if (torch)
        peer_torch_ask(torch, "memory", &memory);
    for (size_t p = 0; p < PRECISIONS; p++)
        print_row(run, contest, "berth", precisions[p], &ours[p], target_peak_memory());
    for (size_t p = 0; p < PRECISIONS && torch; p++)
        print_row(run, contest, "PyTorch", precisions[p], &peers[p], memory);
    for (size_t p = 0; p < PRECISIONS && torch; p++)
        judge_ratio(run, contest, precisions[p], &ours[p], &peers[p]);
    if (strcmp(contest->target, "T11") != 0)
        return;
    char what[96];
    snprintf(what, sizeof what, "%s %s, examples/s, the faster precision", contest->preset, contest->what);
    double best = 0;
    for (size_t p = 0; p < PRECISIONS; p++)
        if (rate(contest, ours[p].time.median) > best)
            best = rate(contest, ours[p].time.median);
    target_verdict(run,
                   &(struct target_figure){contest->target, what, best, TARGET_AT_LEAST, EXPECTED_T11, 0},
                   "the target is for AMX");
}

static void hold(struct target_run *run, const struct contest *contest, const struct berth_train_data *data)
{
    static struct target_contestant contestants[2 * PRECISIONS];
    struct target_training trainings[PRECISIONS];
    struct torch_training torch_trainings[PRECISIONS];
    char why[TARGET_WHY_SIZE], torch_why[PEER_TORCH_WHY_SIZE];
    target_peak_reset();
    struct target_trainee *trainee = target_trainee_new(contest->preset, data, contest->batch, THREADS, why);
    if (!trainee) {
        target_missing(run, contest->target, contest->what, why);
        return;
    }
    struct peer_torch *torch = open_torch(run, contest, data, torch_why);
    if (!torch)
        target_missing(run, contest->target, contest->what, torch_why);
    for (size_t p = 0; p < PRECISIONS; p++) {
        trainings[p] = (struct target_training){trainee, p == 1, contest->steps};
        torch_trainings[p] = (struct torch_training){torch, precisions[p], contest->steps};
        contestants[p] = (struct target_contestant){
            .run = target_trainee_run, .context = &trainings[p], .elsewhere = true};
        contestants[PRECISIONS + p] =
            (struct target_contestant){.run = run_torch, .context = &torch_trainings[p], .elsewhere = true};
    }
    if (target_measure(run, contestants, torch ? 2 * PRECISIONS : PRECISIONS, contest->seconds,
                       contest->rounds))
        report(run, contest, contestants, torch);
    else
        target_missing(run, contest->target, contest->what, "a step failed, here or in PyTorch");
    peer_torch_close(torch);
    target_trainee_free(trainee);
}

static void measure_random(struct target_run *run, const struct contest *contest)
{
    struct berth_train_data data;
    if (!target_wanted(run, contest->target))
        return;
    if (target_train_random(run, 4 * contest->batch, 32, &data))
        hold(run, contest, &data);
    else
        target_missing(run, contest->target, contest->what, "out of memory");
    berth_train_data_clear(&data);
}

static void measure_real(struct target_run *run, const struct contest *contests, size_t count)
{
    struct berth_train_data data;
    char why[TARGET_WHY_SIZE];
    const bool there = target_train_sst2(run, &data, why);
    for (size_t i = 0; i < count; i++) {
        if (target_wanted(run, contests[i].target) && there)
            hold(run, &contests[i], &data);
        else if (target_wanted(run, contests[i].target))
            target_missing(run, contests[i].target, contests[i].what, why);
    }
    berth_train_data_clear(&data);
}

static void measure_all(struct target_run *run)
{
    const bool quick = run->quick;
    const struct contest tiny = {.target = "T12",
                                 .preset = "bert-tiny",
                                 .what = "64 x 32 tokens",
                                 .batch = 64,
                                 .steps = 4,
                                 .seconds = quick ? 4 : 20,
                                 .rounds = 5};
    const struct contest base = {.target = "T11",
                                 .preset = "bert-base",
                                 .what = quick ? "8 x 32 tokens" : "64 x 32 tokens",
                                 .batch = quick ? 8 : 64,
                                 .steps = 1,
                                 .rounds = quick ? 3 : 5};
    const struct contest real[] = {{.target = "T12",
                                    .preset = "bert-tiny",
                                    .what = "64 of SST-2's texts",
                                    .batch = 64,
                                    .steps = 20,
                                    .seconds = quick ? 8 : 30,
                                    .rounds = 5},
                                   {.target = "T11",
                                    .preset = "bert-base",
                                    .what = quick ? "8 of SST-2's texts" : "64 of SST-2's texts",
                                    .batch = quick ? 8 : 64,
                                    .steps = quick ? 2 : 1,
                                    .rounds = quick ? 3 : 7}};
    measure_random(run, &tiny);
    measure_random(run, &base);
    measure_real(run, real, sizeof real / sizeof *real);
}

static bool write_results(const struct target_run *run, const char *path)
{
    struct berth_atomic_file file;
    struct berth_error err;
    json_t *whole = json_pack("{s:s, s:s, s:s, s:b, s:O, s:O}", "berth", berth_version(), "cpu",
                              run->cpu.model, "isa", berth_isa_name(run->cpu.best), "quick", run->quick,
                              "verdicts", run->verdicts, "results", run->results);
    bool written = whole && berth_atomic_open(path, &file, &err) == BERTH_OK;
    if (written) {
        written = json_dumpf(whole, file.stream, JSON_INDENT(1) | JSON_PRESERVE_ORDER) == 0 &&
                  fputc('\n', file.stream) != EOF && berth_atomic_commit(&file, &err) == BERTH_OK;
        if (!written)
            berth_atomic_abort(&file);
    }
    json_decref(whole);
    printf(written ? "\nwritten to %s\n" : "\n%s was not written\n", path);
    return written;
}

int main(int argc, char **argv)
{
    const char *quick = getenv("BERTH_BENCH_QUICK"), *shared = getenv("BERTH_SHARED");
    const char *output = "build/bench/train.json";
    struct target_run run = {
        .build = "build", .quick = quick && strcmp(quick, "1") == 0, .data = shared ? shared : "../shared"};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0) {
            run.quick = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            run.only = argv[++i];
        } else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            output = argv[++i];
        } else {
            fprintf(stderr, "usage: bench_train [--quick] [--only T11,T12] [-o FILE]\n");
            return 2;
        }
    run.results = json_array();
    run.verdicts = json_array();
    berth_rng_seed(&run.rng, 1);
    berth_cpu_detect(&run.cpu);
    printf("berth %s on %s, %s: training on %d threads, medians with the 10th and 90th percentile\n",
           berth_version(), run.cpu.model, berth_isa_name(run.cpu.best), THREADS);
    measure_all(&run);
    target_summary(&run);
    const bool written = write_results(&run, output);
    json_decref(run.results);
    json_decref(run.verdicts);
    return written ? 0 : 1;
}
