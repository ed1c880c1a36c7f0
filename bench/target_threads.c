/* target_threads.c: T7, what the second thread brings, and what two cores of this machine can give at most.
 */
#include <pthread.h>
#include <stdio.h>

#include "target.h"

/* Two sessions of one thread each, that know nothing of one another, on the same work at the same time. */
static void *run_other(void *ours)
{
    return target_ours_run(ours) ? ours : NULL;
}

static bool run_pair(void *context)
{
    struct target_ours *pair = context; /* [2] */
    pthread_t other;
    void *done = NULL;
    if (pthread_create(&other, NULL, run_other, &pair[1]) != 0)
        return false;
    const bool mine = target_ours_run(&pair[0]);
    pthread_join(other, &done);
    return mine && done;
}

/* One shape. What two independent sessions reach side by side is the machine's own limit: cores share memory,
 * the last cache and, in a virtual machine, sometimes more. */
static bool compare_threads(struct target_run *run, const char *precision,
                            struct berth_session *const sessions[3], size_t texts, size_t length)
{
    static struct target_batch batch;
    static struct target_contestant contestants[3];
    target_batch_fill(run, &batch, texts, length);
    struct target_ours one = {sessions[0], &batch}, two = {sessions[1], &batch},
                       pair[2] = {one, {sessions[2], &batch}};
    contestants[0] = (struct target_contestant){.run = target_ours_run, .context = &one};
    contestants[1] = (struct target_contestant){.run = target_ours_run, .context = &two};
    contestants[2] = (struct target_contestant){.run = run_pair, .context = pair};
    if (!target_measure(run, contestants, 3, run->quick ? 1 : 5, 3))
        return false;
    const struct target_spread gain = target_ratio(&contestants[1], &contestants[0]);
    const struct target_spread apart = target_ratio(&contestants[2], &contestants[0]);
    char what[96], bound[160];
    printf("     %s %zu x %zu: %.1f ms on one thread, %.1f on two; ratio (%.2f..%.2f)\n", precision, texts,
           length, contestants[0].time.median, contestants[1].time.median, gain.low, gain.high);
    snprintf(what, sizeof what, "bert-base %s %zu x %zu, two threads over one", precision, texts, length);
    snprintf(
        bound, sizeof bound,
        "two independent sessions of one thread reach %.2f side by side, berth's two threads %.0f %% of that",
        2 * apart.median, 100 * gain.median / (2 * apart.median));
    target_verdict(
        run, &(struct target_figure){"T7", what, gain.median, TARGET_AT_LEAST, 1.9, 2 * apart.median}, bound);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f}", "target", "T7", "model",
                  "bert-base", "precision", precision, "batch", (json_int_t)texts, "length",
                  (json_int_t)length, "rounds", (json_int_t)contestants[0].rounds, "one_ms",
                  contestants[0].time.median, "two_ms", contestants[1].time.median, "ratio", gain.median,
                  "ratio_p10", gain.low, "ratio_p90", gain.high, "machine_limit", 2 * apart.median));
    return true;
}

static void compare_precision(struct target_run *run, enum berth_precision precision)
{
    static const size_t shapes[][2] = {{8, 128}, {32, 112}};
    const char *name = berth_precision_name(precision);
    char why[TARGET_WHY_SIZE] = "";
    struct berth_session *sessions[3] = {NULL};
    struct berth_model *model = target_model_open("bert-base", precision, NULL, why);
    for (size_t i = 0; i < 3; i++)
        sessions[i] = target_session_new(model, i == 1 ? 2 : 1, why);
    bool complete = sessions[0] && sessions[1] && sessions[2];
    if (!complete)
        target_missing(run, "T7", name, why);
    for (size_t s = 0; complete && s < (run->quick ? 1 : 2); s++)
        complete = compare_threads(run, name, sessions, shapes[s][0], shapes[s][1]);
    for (size_t i = 0; i < 3; i++)
        berth_session_free(sessions[i]);
    berth_model_free(model);
}

void target_threads(struct target_run *run)
{
    printf("\nT7   two threads over one\n");
    if (berth_cpu_allowed(NULL, 0) < 2) {
        target_missing(run, "T7", "two threads over one", "this process may use one core only");
        return;
    }
    compare_precision(run, BERTH_PRECISION_FP32);
    compare_precision(run, BERTH_PRECISION_BF16);
    compare_precision(run, BERTH_PRECISION_INT8);
}
