/* serving_soak.c: hours or seconds of everything at once: answers, refusals of wrong requests, clients that leave, reloads.
 * Memory must stay flat, and the counts of both sides be the same at the end. */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "serving.h"

enum { CONNECTIONS = 16, ROUND = 200, LEAVERS = 2, RELOAD_EVERY = 10, WARM_RELOADS = 4, WRONG_EVERY = 16, BARS = 10 };

/* What grows beyond this is a leak: MB, and a share of what it was. */
static const double grown_mb = 4, grown_share = 0.02;

/* Every so many texts a request that is refused: its inputs are no text. */
static void spoil(struct berth_wire wires[SERVING_TEXTS])
{
    for (size_t i = 0; i < SERVING_TEXTS; i += WRONG_EVERY)
        memcpy(strstr(wires[i].bytes, "inputs"), "inputz", 6);
}

static void run_round(const struct serving_server *server, const struct berth_wire *wires, struct serving_counts *want,
                      double *worst)
{
    struct serving_run run;
    struct serving_tally tally;
    serving_drive(server, wires, &(struct serving_load){.connections = CONNECTIONS, .count = ROUND}, &run);
    serving_count(&run, 0, UINT64_MAX, &tally);
    want->good += (double)tally.good;
    want->refused += (double)tally.refused;
    for (size_t i = 0; i < run.count; i++)
        want->other += run.shots[i].fault == BERTH_SHOT_STATUS && run.shots[i].status == 422;
    *worst = fmax(*worst, tally.p99);
    serving_free_run(&run);
    for (size_t i = 0; i < LEAVERS; i++)
        serving_leave(server, &wires[1 + i % (WRONG_EVERY - 1)], i % 4, i % 2 == 0, want);
}

void serving_soak(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-mini,precision=int8";
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    struct serving_counts want = {0};
    double seconds = options->minutes > 0 ? options->minutes * 60 : options->seconds, worst = 0, least[BARS] = {0}, most = 0;
    serving_start(&server, model, NULL);
    serving_make_wires(&server.endpoint, 5, 40, wires);
    spoil(wires);
    struct serving_counts before = serving_read_counts(&server);
    printf("soak, %s, %.0f s\n", model, seconds);
    size_t sent = 0, rounds = 0, warm = WARM_RELOADS * RELOAD_EVERY;
    uint64_t began = 0;
    for (double at = 0; at < seconds || least[BARS - 1] <= 0; rounds++) {
        if (rounds == warm) /* the allocator holds by now what it will hold: old and new models lay beside each other */
            began = berth_clock_ns();
        if (rounds % RELOAD_EVERY == RELOAD_EVERY / 2)
            kill(server.pid, SIGHUP);
        run_round(&server, wires, &want, &worst);
        sent += ROUND + LEAVERS;
        if (rounds < warm)
            continue;
        size_t bar = berth_min((size_t)(at / seconds * BARS), BARS - 1);
        double resident = serving_resident(server.pid);
        most = fmax(most, resident);
        /* the least of a tenth: a leak lifts it, a reload, while two models are there, does not */
        least[bar] = least[bar] > 0 ? fmin(least[bar], resident) : resident;
        at = (double)(berth_clock_ns() - began) * 1e-9;
    }
    size_t reloads = (rounds + RELOAD_EVERY / 2) / RELOAD_EVERY;
    printf("  %zu requests, %zu reloads, worst 99th percentile of a round %.1f ms; resident at most %.1f MB, least of each tenth of the time:",
           sent, reloads, worst, most);
    double early = 0, late = 0;
    for (size_t i = 0; i < BARS; i++) {
        printf(" %.1f", least[i]);
        if (i >= BARS / 2)
            late = fmax(late, least[i]);
        else
            early = fmax(early, least[i]);
    }
    printf("\n");
    serving_bound(late <= early * (1 + grown_share) + grown_mb, "memory is flat: %.1f MB in the second half, %.1f before",
                  late, early);
    serving_bound(want.good + want.refused + want.left + want.other == (double)sent, "%zu requests, %.0f of them with an end (all)",
                  sent, want.good + want.refused + want.left + want.other);
    /* one that leaves while its answer is on the way may be a success to the server alone */
    struct serving_counts now = serving_counts_since(&server, &before, (double)sent);
    serving_bound(now.good + now.left == want.good + want.left && now.refused == want.refused && now.other == want.other,
                  "metrics say success %.0f, refused %.0f, left %.0f, other %.0f; the clients counted %.0f, %.0f, %.0f, %.0f",
                  now.good, now.refused, now.left, now.other, want.good, want.refused, want.left, want.other);
    serving_free_wires(wires);
    serving_stop(&server);
}
