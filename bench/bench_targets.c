/* bench_targets.c: measures the speeds that berth is to reach (T1 to T10, T15), in ratios against ONNX
 * Runtime where it is present and against the machine's own limits, and prints by how much each is met or
 * missed.
 *
 * bench_targets [--quick] [--only T1,T6,limits,products,...] [-o FILE]
 * BERTH_BENCH_QUICK   1: as --quick
 * BERTH_ORT_LIBRARY   libonnxruntime.so of ONNX Runtime 1.17 or newer
 * BERTH_ORT_MODELS    folder with NAME.fp32.onnx (or NAME.onnx) and NAME.int8.onnx: bert-base, distilbert,
 *                     electra-small, bert-tiny
 * BERTH_SHARED        folder with the reference data, for T8 (../shared) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/file.h"
#include "target.h"

static const struct part {
    const char *name; /* NULL: the part asks itself */
    void (*measure)(struct target_run *run);
} small_parts[] = {{"T10", target_cold},
                   {"T15", target_memory}}, /* before the peers' libraries are mapped: see target.h */
    parts[] = {{"products", target_products},
               {NULL, target_grid},
               {"T7", target_threads},
               {"T8", target_texts},
               {"T9", target_tokenize}};

static void measure_parts(struct target_run *run, const struct part *list, size_t count)
{
    for (size_t p = 0; p < count; p++)
        if (!list[p].name || target_wanted(run, list[p].name))
            list[p].measure(run);
}

static void open_peer(struct target_run *run)
{
    const char *library = getenv("BERTH_ORT_LIBRARY");
    char why[PEER_WHY_SIZE];
    run->ort_models = getenv("BERTH_ORT_MODELS");
    if (!library)
        printf("ONNX Runtime: not measured beside berth, because BERTH_ORT_LIBRARY is not set\n");
    else if (!peer_ort_open(library, &run->ort, why))
        printf("ONNX Runtime: not measured beside berth: %s\n", why);
    else if (!run->ort_models)
        printf("ONNX Runtime %s: not measured beside berth, because BERTH_ORT_MODELS is not set\n",
               peer_ort_version(run->ort));
    else
        printf("ONNX Runtime %s, measured in the same run, in turns with berth\n",
               peer_ort_version(run->ort));
}

static json_t *environment(const struct target_run *run)
{
    struct utsname system = {0};
    double load = 0;
    uname(&system);
    getloadavg(&load, 1);
    const size_t processors = berth_cpu_allowed(NULL, 0);
    printf("berth %s on %s, %s, %zu processors, load %.2f when this began\n", berth_version(), run->cpu.model,
           berth_isa_name(run->cpu.best), processors, load);
    if (load > 0.5)
        printf("the machine is busy with other work: the spread says how much it disturbs\n");
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:f, s:b}", "berth", berth_version(), "cpu", run->cpu.model,
                     "isa", berth_isa_name(run->cpu.best), "system", system.release, "processors",
                     (json_int_t)processors, "load", load, "quick", run->quick);
}

static bool write_results(const char *path, json_t *whole)
{
    struct berth_atomic_file file;
    struct berth_error err;
    if (berth_atomic_open(path, &file, &err) == BERTH_OK) {
        if (json_dumpf(whole, file.stream, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(6)) ==
                0 &&
            fputc('\n', file.stream) != EOF && berth_atomic_commit(&file, &err) == BERTH_OK)
            return true;
        berth_atomic_abort(&file);
    }
    fprintf(stderr, "bench_targets: %s was not written\n", path);
    return false;
}

static bool measure_all(struct target_run *run, const char *output)
{
    json_t *facts = environment(run);
    measure_parts(run, small_parts, sizeof small_parts / sizeof *small_parts);
    printf("\n");
    open_peer(run);
    json_object_set_new(facts, "onnxruntime",
                        run->ort ? json_string(peer_ort_version(run->ort)) : json_null());
    target_limits(run); /* all shares are of these */
    measure_parts(run, parts, sizeof parts / sizeof *parts);
    peer_ort_close(run->ort);
    target_summary(run);
    json_t *whole = json_pack("{s:o, s:O, s:O}", "environment", facts, "verdicts", run->verdicts, "results",
                              run->results);
    const bool written = whole && write_results(output, whole);
    json_decref(whole);
    return written;
}

int main(int argc, char **argv)
{
    const char *quick = getenv("BERTH_BENCH_QUICK"), *shared = getenv("BERTH_SHARED");
    const char *output = "build/bench/targets.json";
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
            fprintf(stderr,
                    "usage: bench_targets [--quick] [--only T1,..,T10,T15,more,products] [-o FILE]\n");
            return 2;
        }
    run.results = json_array();
    run.verdicts = json_array();
    berth_rng_seed(&run.rng, 1);
    berth_cpu_detect(&run.cpu);
    const bool written = measure_all(&run, output);
    json_decref(run.results);
    json_decref(run.verdicts);
    if (written)
        printf("\nwritten to %s\n", output);
    return written ? 0 : 1;
}
