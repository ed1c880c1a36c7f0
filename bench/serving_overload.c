/* serving_overload.c: three times what the server can do, by a schedule that does not wait for it, while some clients
 * leave before their answer; then half of what it can do. Goodput, refusals, memory, queue and recovery have their
 * bounds, and the server's metrics must say exactly what the clients saw. */
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"
#include "base/clock.h"
#include "bench/schedule.h"
#include "serving.h"

enum {
    CONNECTIONS = 4096,
    QUEUE_MS = 400, /* --max-queue-ms of the server */
    STAY_MS = 60,   /* how long a client that leaves waits */
    TIMES = 3,
    REFUSED_MS = 100, /* bound of the refusals' 99th percentile */
};

static const double settled_s = 1, after_s = 3;

/* --- clients that leave --------------------------------------------------------------------------- */

struct leaver {
    const struct serving_server *server;
    const struct berth_wire *wires;
    atomic_bool stop;
    struct serving_counts counts;
};

static void *leave_again_and_again(void *argument)
{
    struct leaver *leaver = argument;
    for (size_t i = 0; !atomic_load(&leaver->stop); i++)
        serving_leave(leaver->server, &leaver->wires[i % SERVING_TEXTS], STAY_MS, false, &leaver->counts);
    return NULL;
}

/* --- what is looked at meanwhile ------------------------------------------------------------------ */

struct watch {
    pid_t pid;
    double most;
    uint64_t started, leave_until;
    struct leaver *leaver;
};

static bool look(void *context, size_t done)
{
    struct watch *watch = context;
    (void)done;
    watch->most = fmax(watch->most, serving_resident(watch->pid));
    if (berth_clock_ns() > watch->leave_until)
        atomic_store(&watch->leaver->stop, true);
    return true;
}

/* --- the check ------------------------------------------------------------------------------------ */

/* Answers of 200 that came from `from` to `to` seconds after the start, a second. */
static double rate_of(const struct serving_run *run, double from, double to)
{
    size_t good = 0;
    for (size_t i = 0; i < run->count; i++) {
        double at = (double)(run->shots[i].done - run->report.started) * 1e-9;
        good += run->shots[i].fault == BERTH_SHOT_OK && at >= from && at < to;
    }
    return (double)good / (to - from);
}

/* Seconds from the end of the overload until the last request that was due after it, and was refused or answered later
 * than `limit_ms`, was due. */
static double recovery_of(const struct serving_run *run, double ended, double limit_ms)
{
    double recovered = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct berth_shot *shot = &run->shots[i];
        double due = (double)(shot->due - run->report.started) * 1e-9 - ended;
        double ms = (double)(shot->done - shot->due) * 1e-6;
        if (due > recovered && (shot->fault != BERTH_SHOT_OK || ms > limit_ms))
            recovered = due;
    }
    return recovered;
}

/* `over` seconds at the first rate, then after_s at the second. */
static uint64_t *make_schedule(double over, double first, double second, size_t *count)
{
    size_t fast = (size_t)(over * first), slow = (size_t)(after_s * second);
    uint64_t *due = malloc((fast + slow + 1) * sizeof *due);
    if (!due)
        serving_die("memory ran out");
    berth_schedule_poisson(first, 1, due, fast);
    berth_schedule_poisson(second, 2, due + fast, slow);
    uint64_t begins = berth_max((uint64_t)(over * 1e9), fast ? due[fast - 1] : 0);
    for (size_t i = 0; i < slow; i++)
        due[fast + i] += begins;
    *count = fast + slow;
    return due;
}

void serving_overload(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-base,precision=int8";
    static const char *const limits[] = {"--max-queue-ms", "400", NULL};
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    struct serving_run run;
    struct serving_tally all, over, calm;
    double seconds = fmax(options->seconds, 3);
    serving_start(&server, model, limits);
    serving_make_wires(&server.endpoint, 5, 40, wires);
    double capacity = serving_capacity(&server, wires, 64, seconds);
    struct serving_run half;
    size_t half_count = (size_t)(capacity / 2 * seconds / 2);
    uint64_t *half_due = malloc(half_count * sizeof *half_due);
    berth_schedule_poisson(capacity / 2, 3, half_due, half_count);
    serving_drive(&server, wires, &(struct serving_load){.connections = CONNECTIONS, .count = half_count, .due = half_due}, &half);
    serving_count(&half, 0, UINT64_MAX, &calm);
    serving_pause(200); /* what the timed loop left is counted */
    struct serving_counts before = serving_read_counts(&server);
    double rested = serving_resident(server.pid);
    printf("overload, %s: capacity %.0f/s (64 connections); at half of it p50 %.1f, p99 %.1f ms; resident %.0f MB\n", model,
           capacity, calm.p50, calm.p99, rested);

    struct serving_load load = {.connections = CONNECTIONS};
    uint64_t *due = make_schedule(seconds, TIMES * capacity, capacity / 2, &load.count);
    struct leaver leaver = {.server = &server, .wires = wires};
    uint64_t leave_after = (uint64_t)((seconds - 0.3) * 1e9);
    struct watch watch = {.pid = server.pid, .leaver = &leaver, .leave_until = berth_clock_ns() + leave_after};
    load.due = due;
    load.going = look;
    load.going_context = &watch;
    pthread_t thread;
    if (pthread_create(&thread, NULL, leave_again_and_again, &leaver) != 0)
        serving_die("a thread does not start");
    serving_drive(&server, wires, &load, &run);
    atomic_store(&leaver.stop, true);
    pthread_join(thread, NULL);
    serving_count(&run, 0, UINT64_MAX, &all);
    serving_count(&run, (uint64_t)(settled_s * 1e9), (uint64_t)(seconds * 1e9), &over);
    struct serving_counts want = leaver.counts;
    want.good += (double)all.good;
    want.refused += (double)all.refused;
    want.other += (double)all.lost;
    serving_check_counts(&server, &before, &want);
    capacity = fmax(capacity, serving_capacity(&server, wires, 64, seconds)); /* before and after */
    double goodput = rate_of(&run, settled_s, seconds), limit_ms = 2 * calm.p99 + 20;
    double recovered = recovery_of(&run, seconds, limit_ms);

    printf("  %zu requests at %d times capacity and %.0f clients that left; at most %zu under way, client late by %.1f ms at most\n",
           run.count, TIMES, leaver.counts.left, run.report.outstanding_max, (double)run.report.latest_ns * 1e-6);
    printf("  answered: p50 %.0f, p99 %.0f ms; refused %zu: p50 %.1f, p99 %.1f ms\n", over.p50, over.p99, over.refused,
           over.refused_p50, over.refused_p99);
    serving_bound(goodput >= 0.9 * capacity, "goodput %.0f/s, %.2f of capacity (0.9)", goodput, goodput / capacity);
    serving_bound(over.refused > 0 && over.refused_p99 < REFUSED_MS, "refusals within %.1f ms, 99th percentile (%d)",
                  over.refused_p99, REFUSED_MS);
    serving_bound(all.lost == 0, "%zu requests neither answered nor refused by 429 or 503 (0)%s%s", all.lost,
                  all.lost ? ": " : "", all.lost ? run.report.fault : "");
    serving_bound(all.queue_worst <= 1.5 * QUEUE_MS, "queue time of answered ones %.0f ms at most (%d)", all.queue_worst,
                  QUEUE_MS * 3 / 2);
    serving_bound(watch.most < rested + 64, "resident %.0f MB at most (%.0f)", watch.most, rested + 64);
    serving_bound(recovered < 1, "recovered after %.2f s: from then on none refused or above %.0f ms (1)", recovered, limit_ms);
    serving_free_run(&run);
    serving_free_run(&half);
    free(due);
    free(half_due);
    serving_free_wires(wires);
    serving_stop(&server);
}
