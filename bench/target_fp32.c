/* target_fp32.c: T6, fp32 on one core beside ONNX Runtime, and T7, what the second thread brings. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "berth/berth.h"
#include "target.h"

struct shape {
    size_t batch, length;
};
static const struct shape shapes[] = {{1, 16}, {1, 32}, {1, 128}, {8, 32}, {8, 128}, {32, 112}, {1, 512}};
enum { SHAPES = sizeof shapes / sizeof *shapes, TOKENS_MAX = 32 * 112 };

/* Median ms of ONNX Runtime 1.30 fp32 on one core of the reference machine (AVX-512), for when the library is
 * not here. */
static const struct architecture {
    const char *name;
    double printed_ms[SHAPES];
} architectures[] = {
    {"bert-base", {39.0, 56.2, 158, 272, 1190, 4224, 666}},
    {"distilbert", {18.6, 27, 76, 141, 588, 1984, 298}},
    {"electra-small", {2.8, 5.2, 20, 34, 143, 558, 92}},
    {"bert-tiny", {.138, .25, .93, 1.62, 7.0, 28.9, 5.4}},
};
enum { ARCHITECTURES = sizeof architectures / sizeof *architectures };

/* A session with the input of its runs. */
struct berth_side {
    struct berth_session *session;
    const int32_t *ids;
    size_t batch, length;
};

static bool run_berth(void *context)
{
    const struct berth_side *side = context;
    size_t offsets[33];
    struct berth_result results[32];
    struct berth_error err;
    for (size_t i = 0; i <= side->batch; i++)
        offsets[i] = i * side->length;
    if (berth_session_classify_ids(side->session, side->ids, NULL, offsets, side->batch, results, &err) ==
        BERTH_OK)
        return true;
    fprintf(stderr, "bench_targets: %s\n", err.message);
    return false;
}

static bool run_peer(void *context)
{
    char why[PEER_WHY_SIZE];
    if (peer_model_run(context, NULL, why))
        return true;
    fprintf(stderr, "bench_targets: %s\n", why);
    return false;
}

static struct berth_model *open_model(const char *name)
{
    char preset[64];
    snprintf(preset, sizeof preset, "random:%s", name);
    struct berth_model *model;
    struct berth_error err;
    if (berth_model_open(preset, NULL, &model, &err) != BERTH_OK)
        fprintf(stderr, "bench_targets: %s\n", err.message);
    return model;
}

static struct berth_session *open_session(const struct berth_model *model, size_t threads)
{
    struct berth_options options = {.threads = threads};
    struct berth_session *session = NULL;
    struct berth_error err;
    if (model && berth_session_new(model, &options, &session, &err) != BERTH_OK)
        fprintf(stderr, "bench_targets: %s\n", err.message);
    return session;
}

/* The peer's model when library and file are there, else NULL. */
static struct peer_model *open_peer(struct target_run *run, const char *name)
{
    static const char *const endings[] = {".onnx", ".fp32.onnx"};
    char path[4096], why[PEER_WHY_SIZE];
    struct peer_model *model = NULL;
    for (size_t i = 0; run->ort && run->ort_models && i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s%s", run->ort_models, name, endings[i]);
        if (access(path, R_OK) != 0)
            continue;
        if (!peer_model_open(run->ort, path, 1, &model, why))
            fprintf(stderr, "bench_targets: %s\n", why);
        return model;
    }
    return NULL;
}

static void fill_ids(struct target_run *run, int32_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ids[i] = 1000 + (int32_t)berth_rng_below(&run->rng, 29000);
}

/* One line of T6. Returns the peer's time over berth's, NaN when measuring failed. */
static double compare_shape(struct target_run *run, const struct architecture *architecture, size_t s,
                            struct berth_session *session, struct peer_model *peer)
{
    static int32_t ids[TOKENS_MAX];
    char why[PEER_WHY_SIZE];
    struct berth_side side = {session, ids, shapes[s].batch, shapes[s].length};
    fill_ids(run, ids, side.batch * side.length);
    struct target_contestant contestants[2] = {{run_berth, &side, {0}}, {run_peer, peer, {0}}};
    if ((peer && !peer_model_prepare(peer, ids, side.batch, side.length, why)) ||
        !target_measure(run, contestants, peer ? 2 : 1, run->quick ? 1.5 : 6, run->quick ? 3 : 5))
        return NAN;
    const struct berth_stats *ours = &contestants[0].stats, *theirs = &contestants[1].stats;
    double peer_ms = peer ? theirs->p50 : architecture->printed_ms[s], ratio = peer_ms / ours->p50;
    printf("  %-14s %3zu x %-4zu %10.3f %7.1f%% %11.3f%s %8.2f   %s\n", architecture->name, side.batch,
           side.length, ours->p50, 100 * (ours->p50 - ours->min) / ours->p50, peer_ms, peer ? " " : "*",
           ratio,
           ratio >= 1     ? ""
           : ratio >= 0.9 ? "tie"
                          : "slower");
    fflush(stdout);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:b}", "target", "T6", "model",
                  architecture->name, "batch", (json_int_t)side.batch, "length", (json_int_t)side.length, "n",
                  (json_int_t)ours->n, "berth_ms", ours->p50, "berth_min_ms", ours->min, "berth_mean_ms",
                  ours->mean, "peer_ms", peer_ms, "peer_min_ms", peer ? theirs->min : peer_ms, "ratio", ratio,
                  "peer_measured_here", peer != NULL));
    return ratio;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(struct target_run *run, const char *name, double *ratios, bool measured)
{
    char what[160];
    qsort(ratios, SHAPES, sizeof *ratios, compare_doubles);
    const char *against = measured ? "ONNX Runtime" : "printed figures of another machine";
    snprintf(what, sizeof what, "%s fp32, one core, slowest shape against %s", name, against);
    target_verdict(run, "T6", what, ratios[0], TARGET_AT_LEAST, 1);
    snprintf(what, sizeof what, "%s fp32, one core, median shape against %s", name, against);
    target_verdict(run, "T6", what, ratios[SHAPES / 2], TARGET_AT_LEAST, 1.2);
}

static void compare_architecture(struct target_run *run, const struct architecture *architecture)
{
    struct berth_model *model = open_model(architecture->name);
    struct berth_session *session = open_session(model, 1);
    struct peer_model *peer = open_peer(run, architecture->name);
    double ratios[SHAPES];
    bool complete = session != NULL;
    for (size_t s = 0; s < SHAPES && complete; s++) {
        ratios[s] = compare_shape(run, architecture, s, session, peer);
        complete = !isnan(ratios[s]);
    }
    if (complete)
        summarise(run, architecture->name, ratios, peer != NULL);
    peer_model_close(peer);
    berth_session_free(session);
    berth_model_free(model);
}

void target_fp32(struct target_run *run)
{
    printf("\nT6  fp32, one core, medians in ms; spread: how far the median lies above the fastest run\n");
    if (!run->ort || !run->ort_models)
        printf(
            "  * ONNX Runtime is not here (see above): figures printed for another machine, so the ratio "
            "says little\n");
    printf("  %-14s %-10s %10s %8s %11s  %8s\n", "model", "batch", "berth", "spread", "peer", "ratio");
    for (size_t a = 0; a < ARCHITECTURES; a++)
        if (!run->quick || a == 0 || a == ARCHITECTURES - 1)
            compare_architecture(run, &architectures[a]);
}

/* Two sessions of one thread each, that know nothing of one another, on the same work at the same time. */
struct pair {
    struct berth_side *sides; /* [2] */
};

static void *run_other(void *side)
{
    return run_berth(side) ? side : NULL;
}

static bool run_pair(void *context)
{
    struct pair *pair = context;
    pthread_t other;
    void *done = NULL;
    if (pthread_create(&other, NULL, run_other, &pair->sides[1]) != 0)
        return false;
    bool mine = run_berth(&pair->sides[0]);
    pthread_join(other, &done);
    return mine && done;
}

/* One shape of T7. What two independent sessions reach side by side is the machine's own limit: cores share
 * memory, the last cache and, in a virtual machine, sometimes more. */
static bool compare_threads(struct target_run *run, struct berth_session *const sessions[3],
                            struct shape shape)
{
    static int32_t ids[TOKENS_MAX];
    fill_ids(run, ids, shape.batch * shape.length);
    struct berth_side one = {sessions[0], ids, shape.batch, shape.length};
    struct berth_side two = {sessions[1], ids, shape.batch, shape.length};
    struct berth_side apart[2] = {one, {sessions[2], ids, shape.batch, shape.length}};
    struct pair pair = {apart};
    struct target_contestant contestants[3] = {
        {run_berth, &one, {0}}, {run_berth, &two, {0}}, {run_pair, &pair, {0}}};
    if (!target_measure(run, contestants, 3, run->quick ? 3 : 15, run->quick ? 3 : 5))
        return false;
    const double t1 = contestants[0].stats.p50, t2 = contestants[1].stats.p50,
                 both = contestants[2].stats.p50;
    char what[96];
    snprintf(what, sizeof what, "%zu x %zu: %.1f ms on one thread, %.1f ms on two", shape.batch, shape.length,
             t1, t2);
    target_verdict(run, "T7", what, t1 / t2, TARGET_AT_LEAST, 1.9);
    printf(
        "    two independent one-thread sessions side by side reach %.2f here; two threads on one batch: "
        "%.0f %% of that\n",
        2 * t1 / both, 100 * both / (2 * t2));
    json_array_append_new(run->results,
                          json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "target", "T7", "batch",
                                    (json_int_t)shape.batch, "length", (json_int_t)shape.length, "one_ms", t1,
                                    "two_ms", t2, "side_by_side_ms", both, "machine_limit", 2 * t1 / both));
    return true;
}

void target_threads(struct target_run *run)
{
    static const struct shape large[] = {{8, 128}, {32, 112}};
    printf("\nT7  bert-base fp32, two threads over one, medians in ms\n");
    struct berth_model *model = open_model("bert-base");
    struct berth_session *sessions[3] = {open_session(model, 1), open_session(model, 2),
                                         open_session(model, 1)};
    bool complete = sessions[0] && sessions[1] && sessions[2];
    for (size_t s = 0; complete && s < (run->quick ? 1 : 2); s++)
        complete = compare_threads(run, sessions, large[s]);
    for (size_t i = 0; i < 3; i++)
        berth_session_free(sessions[i]);
    berth_model_free(model);
}
