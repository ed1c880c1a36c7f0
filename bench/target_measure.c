/* target_measure.c: times contestants in turns, so that what disturbs the machine disturbs them alike. */
#include <stdio.h>

#include "base/clock.h"
#include "bench/order.h"
#include "target.h"

bool target_measure(struct target_run *run, struct target_contestant *contestants, size_t count,
                    double seconds, size_t min_rounds)
{
    double ms[TARGET_CONTESTANTS_MAX][TARGET_TRIALS_MAX];
    for (size_t c = 0; c < count; c++)
        if (!contestants[c].run(contestants[c].context))
            return false;
    uint64_t started = berth_clock_ns();
    size_t round = 0;
    while (round < min_rounds ||
           (round < TARGET_TRIALS_MAX && (double)(berth_clock_ns() - started) * 1e-9 < seconds)) {
        size_t order[TARGET_CONTESTANTS_MAX];
        berth_order_shuffle(order, count, &run->rng);
        for (size_t i = 0; i < count; i++) {
            struct target_contestant *contestant = &contestants[order[i]];
            uint64_t begun = berth_clock_ns();
            if (!contestant->run(contestant->context))
                return false;
            ms[order[i]][round] = (double)(berth_clock_ns() - begun) * 1e-6;
        }
        round++;
    }
    for (size_t c = 0; c < count; c++)
        berth_stats_compute(ms[c], round, &contestants[c].stats);
    return true;
}

void target_verdict(struct target_run *run, const char *target, const char *what, double value,
                    enum target_sense sense, double wanted)
{
    double share = sense == TARGET_AT_LEAST ? value / wanted : wanted / value; /* 1 or more: met */
    printf("%-3s %s: %.2f, target %s %.2f: %s", target, what, value,
           sense == TARGET_AT_LEAST ? "at least" : "at most", wanted,
           share >= 1     ? "met"
           : share >= 0.9 ? "a tie"
                          : "MISSED");
    if (share < 1)
        printf(", %.1f %% short", (1 - share) * 100);
    printf("\n");
    fflush(stdout);
    json_array_append_new(
        run->results, json_pack("{s:s, s:s, s:f, s:s, s:f, s:b}", "target", target, "summary", what, "value",
                                value, "sense", sense == TARGET_AT_LEAST ? "at least" : "at most", "wanted",
                                wanted, "met", share >= 1));
}
