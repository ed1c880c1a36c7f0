/* bench_targets.c: measures the speeds that berth is to reach (T6, T7, T9, T10 of this version), in ratios
 * against ONNX Runtime where it is present, and prints by how much each is met or missed.
 *
 * bench_targets [--quick] [--only T6,T7,...] [-o FILE]
 * BERTH_ORT_LIBRARY   libonnxruntime.so of ONNX Runtime 1.17 or newer
 * BERTH_ORT_MODELS    folder with NAME.onnx (or NAME.fp32.onnx): bert-base, distilbert, electra-small,
 * bert-tiny */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/cpu.h"
#include "base/file.h"
#include "berth/berth.h"
#include "target.h"

static const struct part {
    const char *name;
    void (*measure)(struct target_run *run);
} parts[] = {{"T6", target_fp32}, {"T7", target_threads}, {"T9", target_tokenize}}; /* T10 goes before them */

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
    struct berth_cpu cpu;
    struct utsname system = {0};
    berth_cpu_detect(&cpu);
    uname(&system);
    size_t processors = berth_cpu_allowed(NULL, 0);
    printf("berth %s on %s, %s, %zu processors\n", berth_version(), cpu.model, berth_isa_name(cpu.best),
           processors);
    return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:b}", "berth", berth_version(), "cpu", cpu.model, "isa",
                     berth_isa_name(cpu.best), "system", system.release, "processors", (json_int_t)processors,
                     "onnxruntime", run->ort ? peer_ort_version(run->ort) : "", "quick", run->quick);
}

/* True when `name` is one of the comma-separated words of `only`. */
static bool wanted(const char *only, const char *name)
{
    size_t size = strlen(name);
    for (const char *at = only; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (strncmp(at, name, size) == 0 && (at[size] == 0 || at[size] == ','))
            return true;
    return !only;
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

int main(int argc, char **argv)
{
    struct target_run run = {.build = "build", .results = json_array()};
    const char *only = NULL, *output = "build/bench/targets.json";
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--quick") == 0) {
            run.quick = true;
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            only = argv[++i];
        } else if (strcmp(argv[i], "-o") == 0 && i + 1 < argc) {
            output = argv[++i];
        } else {
            fprintf(stderr, "usage: bench_targets [--quick] [--only T6,T7,T9,T10] [-o FILE]\n");
            return 2;
        }
    berth_rng_seed(&run.rng, 1);
    if (wanted(only, "T10")) /* before the peer's library is mapped: see target.h */
        target_cold(&run);
    open_peer(&run);
    json_t *facts = environment(&run);
    for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
        if (wanted(only, parts[p].name))
            parts[p].measure(&run);
    peer_ort_close(run.ort);
    json_t *whole = json_pack("{s:o, s:o}", "environment", facts, "results", run.results);
    bool written = whole && write_results(output, whole);
    json_decref(whole);
    if (written)
        printf("\nwritten to %s\n", output);
    return written ? 0 : 1;
}
