/* bench_memory.c: resident memory of one model in a process of its own: after loading, after some batches,
 * after many of changing lengths. Prints one JSON object, sizes in bytes.
 *
 * bench_memory [--model M] [--precision P] [--batches N] [--threads N] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "berth/berth.h"

enum { TEXTS_MAX = 4, LENGTH_MAX = 128 };

struct options {
    const char *model;
    enum berth_precision precision;
    size_t batches, threads;
};

/* A line of /proc/self/status ("VmRSS:") in bytes; 0 where there is none. */
static double read_status(const char *name)
{
    char line[256];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0)
            kilobytes = strtod(line + strlen(name), NULL);
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

static bool run_batch(struct berth_session *session, struct berth_rng *rng, struct berth_error *err)
{
    static int32_t ids[TEXTS_MAX * LENGTH_MAX];
    size_t offsets[TEXTS_MAX + 1] = {0};
    struct berth_result results[TEXTS_MAX];
    const size_t texts = 1 + berth_rng_below(rng, TEXTS_MAX);
    const size_t words = berth_model_get_info(berth_session_model(session))->vocab_size;
    for (size_t i = 0; i < texts; i++)
        offsets[i + 1] = offsets[i] + 2 + berth_rng_below(rng, LENGTH_MAX - 2);
    for (size_t i = 0; i < offsets[texts]; i++)
        ids[i] = (int32_t)berth_rng_below(rng, words);
    return berth_session_classify_ids(session, ids, NULL, offsets, texts, results, err) == BERTH_OK;
}

static bool measure(const struct options *o, struct berth_error *err)
{
    const struct berth_options options = {.precision = o->precision, .threads = o->threads};
    struct berth_model *model = NULL;
    struct berth_session *session = NULL;
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    bool done = berth_model_open(o->model, &options, &model, err) == BERTH_OK &&
                berth_session_new(model, &options, &session, err) == BERTH_OK;
    const double loaded = read_status("VmRSS:"), loaded_peak = read_status("VmHWM:");
    double early = 0;
    for (size_t i = 0; i < o->batches && done; i++) {
        done = run_batch(session, &rng, err);
        if (i == o->batches / 10)
            early = read_status("VmRSS:");
    }
    if (done)
        printf(
            "{\"model\": \"%s\", \"precision\": \"%s\", \"batches\": %zu, \"weight_bytes\": %zu, \"loaded\": "
            "%.0f, "
            "\"peak_of_loading\": %.0f, \"after_a_tenth\": %.0f, \"after_all\": %.0f, \"peak\": %.0f}\n",
            o->model, berth_model_get_info(model)->precision, o->batches,
            berth_model_get_info(model)->weight_bytes, loaded, loaded_peak, early, read_status("VmRSS:"),
            read_status("VmHWM:"));
    berth_session_free(session);
    berth_model_free(model);
    return done;
}

int main(int argc, char **argv)
{
    struct options o = {
        .model = "random:bert-base", .precision = BERTH_PRECISION_INT8, .batches = 200, .threads = 1};
    struct berth_error err;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (value && strcmp(argv[i], "--model") == 0) {
            o.model = argv[++i];
        } else if (value && strcmp(argv[i], "--precision") == 0 &&
                   berth_precision_parse(value, &o.precision)) {
            i++;
        } else if (value && strcmp(argv[i], "--batches") == 0) {
            o.batches = strtoul(argv[++i], NULL, 10);
        } else if (value && strcmp(argv[i], "--threads") == 0) {
            o.threads = strtoul(argv[++i], NULL, 10);
        } else {
            fprintf(stderr, "usage: bench_memory [--model M] [--precision P] [--batches N] [--threads N]\n");
            return 2;
        }
    }
    if (measure(&o, &err))
        return 0;
    fprintf(stderr, "bench_memory: %s\n", err.message);
    return 1;
}
