/* target_measure.c: times contestants in turns, so that what disturbs the machine disturbs them alike;
 * spreads and verdicts. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "bench/order.h"
#include "target.h"

static const double turn_ms = 5; /* a shorter call is repeated: in its own caches, not its predecessor's */
static const uint64_t probe_ns = 15 * 1000 * 1000;

static cpu_set_t allowed_at_start;

static void move_to(int core)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Nanoseconds that the calling thread has had a core. */
static uint64_t thread_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The part of some ms that the calling thread gets on its core. */
static double probe_core(void)
{
    const uint64_t started = berth_clock_ns(), had = thread_ns();
    uint64_t elapsed;
    do
        elapsed = berth_clock_ns() - started;
    while (elapsed < probe_ns);
    return (double)(thread_ns() - had) / (double)elapsed;
}

void target_pin(void)
{
    int best_core = -1, probed = 0;
    double best = 0;
    if (CPU_COUNT(&allowed_at_start) == 0)
        sched_getaffinity(0, sizeof allowed_at_start, &allowed_at_start);
    for (int core = CPU_SETSIZE - 1; core >= 0 && probed < 4; core--) {
        if (!CPU_ISSET(core, &allowed_at_start))
            continue;
        move_to(core);
        const double share = probe_core();
        if (share > best + 0.02) { /* of equals the last */
            best = share;
            best_core = core;
        }
        probed++;
    }
    if (best_core >= 0)
        move_to(best_core);
}

void target_unpin(void)
{
    if (CPU_COUNT(&allowed_at_start) > 0)
        sched_setaffinity(0, sizeof allowed_at_start, &allowed_at_start);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct target_spread target_spread(const double *values, size_t count)
{
    double sorted[TARGET_ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof *values);
    qsort(sorted, count, sizeof *sorted, compare_doubles);
    const double last = (double)(count - 1);
    return (struct target_spread){sorted[(size_t)(0.5 * last + 0.5)], sorted[(size_t)(0.1 * last + 0.5)],
                                  sorted[(size_t)(0.9 * last + 0.5)]};
}

struct target_spread target_ratio(const struct target_contestant *ours, const struct target_contestant *peer)
{
    double ratios[TARGET_ROUNDS_MAX];
    for (size_t round = 0; round < ours->rounds; round++)
        ratios[round] = peer->ms[round] / ours->ms[round];
    return target_spread(ratios, ours->rounds);
}

/* One turn: ms of a call; negative when a call failed. */
static double take_turn(struct target_contestant *contestant)
{
    const uint64_t begun = berth_clock_ns();
    for (size_t call = 0; call < contestant->calls; call++)
        if (!contestant->run(contestant->context))
            return -1;
    return (double)(berth_clock_ns() - begun) * 1e-6 / (double)contestant->calls;
}

/* The first call may allocate; how many make a turn is known from the second on. */
static bool warm_up(struct target_contestant *contestant)
{
    contestant->calls = 1;
    double ms = take_turn(contestant);
    if (ms >= 0 && ms < 100)
        ms = take_turn(contestant);
    if (ms >= 0 && ms < turn_ms)
        contestant->calls = (size_t)(turn_ms / (ms > 1e-3 ? ms : 1e-3)) + 1;
    return ms >= 0;
}

bool target_measure(struct target_run *run, struct target_contestant *contestants, size_t count,
                    double seconds, size_t min_rounds)
{
    for (size_t c = 0; c < count; c++)
        if (!warm_up(&contestants[c]))
            return false;
    const uint64_t started = berth_clock_ns();
    double shares[TARGET_CONTESTANTS_MAX][TARGET_ROUNDS_MAX];
    size_t round = 0;
    while (round < min_rounds ||
           (round < TARGET_ROUNDS_MAX && (double)(berth_clock_ns() - started) * 1e-9 < seconds)) {
        size_t order[TARGET_CONTESTANTS_MAX];
        berth_order_shuffle(order, count, &run->rng);
        for (size_t i = 0; i < count; i++) {
            const uint64_t before = thread_ns();
            const double ms = take_turn(&contestants[order[i]]);
            if (ms < 0)
                return false;
            shares[order[i]][round] =
                (double)(thread_ns() - before) * 1e-6 / (ms * (double)contestants[order[i]].calls);
            contestants[order[i]].ms[round] = ms;
        }
        round++;
    }
    for (size_t c = 0; c < count; c++) {
        contestants[c].rounds = round;
        contestants[c].time = target_spread(contestants[c].ms, round);
        contestants[c].core_share = contestants[c].elsewhere ? 1 : target_spread(shares[c], round).median;
    }
    return true;
}
