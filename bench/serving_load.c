/* serving_load.c: requests, loads and what became of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "base/rng.h"
#include "serving.h"

enum { TEXT_SIZE = 4096, ANSWER_MS = 60000, CLOSED_MOST = 4000000 };

void serving_make_text(size_t number, size_t least, size_t most, char *text, size_t size)
{
    static const char *const words[] = {"the", "film", "a", "story", "of", "quiet", "people", "who", "never", "laugh",
                                        "but", "every", "scene", "and", "its", "music", "is", "good", "bad", "long"};
    struct berth_rng rng;
    berth_rng_seed(&rng, number + 1);
    size_t count = least + berth_rng_below(&rng, most - least + 1), at = 0;
    text[0] = 0;
    for (size_t i = 0; i < count && at + 16 < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s", i ? " " : "",
                               words[berth_rng_below(&rng, sizeof words / sizeof *words)]);
}

void serving_make_wires(const struct berth_endpoint *endpoint, size_t least, size_t most,
                        struct berth_wire wires[SERVING_TEXTS])
{
    char text[TEXT_SIZE], request[TEXT_SIZE + 512];
    for (size_t i = 0; i < SERVING_TEXTS; i++) {
        serving_make_text(i, least, most, text, sizeof text);
        int size = snprintf(request, sizeof request,
                            "POST /predict HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zu\r\n\r\n{\"inputs\": \"%s\"}",
                            endpoint->host, strlen(text) + strlen("{\"inputs\": \"\"}"), text);
        wires[i] = (struct berth_wire){strdup(request), (size_t)size};
        if (!wires[i].bytes)
            serving_die("memory ran out");
    }
}

void serving_free_wires(struct berth_wire wires[SERVING_TEXTS])
{
    for (size_t i = 0; i < SERVING_TEXTS; i++)
        free(wires[i].bytes);
}

/* --- loads ---------------------------------------------------------------------------------------- */

struct timed {
    const struct serving_load *load;
    uint64_t until;
};

static bool take(void *context, size_t shot, const char *body, size_t size)
{
    const struct timed *timed = context;
    return !timed->load->answered || timed->load->answered(timed->load->context, shot, body, size);
}

static bool go_on(void *context, size_t done)
{
    const struct timed *timed = context;
    if (timed->load->going && !timed->load->going(timed->load->going_context, done))
        return false;
    return !timed->until || berth_clock_ns() < timed->until;
}

void serving_drive(const struct serving_server *server, const struct berth_wire wires[SERVING_TEXTS],
                   const struct serving_load *load, struct serving_run *run)
{
    struct berth_error err;
    struct timed timed = {load, 0};
    run->count = load->count ? load->count : CLOSED_MOST;
    run->shots = malloc(run->count * sizeof *run->shots);
    if (!run->shots)
        serving_die("memory ran out");
    if (!load->due && load->seconds > 0)
        timed.until = berth_clock_ns() + (uint64_t)(load->seconds * 1e9);
    const struct berth_load wanted = {.endpoint = &server->endpoint, .wires = wires, .wires_count = SERVING_TEXTS,
                                      .count = run->count, .due = load->due, .connections = load->connections,
                                      .timeout_ms = ANSWER_MS, .going = go_on, .answered = take, .context = &timed};
    enum berth_status status = berth_load_run(&wanted, run->shots, &run->report, &err);
    if (status != BERTH_OK && status != BERTH_CANCELLED)
        serving_die("%s", err.message);
}

void serving_free_run(struct serving_run *run)
{
    free(run->shots);
    *run = (struct serving_run){0};
}

/* From the last answer of the run's first fifth to its last one: answers come a batch at a time, so neither end may cut one. */
static double steady_rate(const struct serving_run *run)
{
    uint64_t first = 0, last = 0, fifth = run->report.started + (run->report.ended - run->report.started) / 5;
    size_t good = 0;
    for (size_t i = 0; i < run->count; i++)
        if (run->shots[i].done <= fifth && run->shots[i].done > first)
            first = run->shots[i].done;
    for (size_t i = 0; i < run->count; i++) {
        const struct berth_shot *shot = &run->shots[i];
        good += shot->fault == BERTH_SHOT_OK && shot->done > first;
        last = shot->done > last ? shot->done : last;
    }
    return last > first ? (double)good * 1e9 / (double)(last - first) : 0;
}

double serving_capacity(const struct serving_server *server, const struct berth_wire wires[SERVING_TEXTS],
                        size_t connections, double seconds)
{
    struct serving_run run;
    for (int round = 0; round < 2; round++) {
        const struct serving_load load = {.connections = connections, .seconds = round ? seconds : seconds * 0.2};
        serving_drive(server, wires, &load, &run);
        double rate = steady_rate(&run);
        serving_free_run(&run);
        if (round)
            return rate;
    }
    return 0;
}

/* --- counts --------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t count, double q)
{
    if (count == 0)
        return NAN;
    qsort(values, count, sizeof *values, compare);
    return values[berth_min((size_t)ceil(q * (double)count), count) - (q > 0)];
}

void serving_count(const struct serving_run *run, uint64_t from, uint64_t to, struct serving_tally *tally)
{
    double *good = malloc(run->count * sizeof *good), *refused = malloc(run->count * sizeof *refused);
    if (!good || !refused)
        serving_die("memory ran out");
    *tally = (struct serving_tally){0};
    for (size_t i = 0; i < run->count; i++) {
        const struct berth_shot *shot = &run->shots[i];
        uint64_t due = shot->due - run->report.started;
        if (!shot->done || due < from || due >= to)
            continue;
        double ms = (double)(shot->done - shot->due) * 1e-6;
        tally->sent++;
        if (shot->fault == BERTH_SHOT_OK)
            good[tally->good++] = ms;
        else if (shot->fault == BERTH_SHOT_STATUS && (shot->status == 429 || shot->status == 503))
            refused[tally->refused++] = ms;
        else
            tally->lost++;
        if (shot->fault == BERTH_SHOT_OK && shot->stages.queue_ms > tally->queue_worst)
            tally->queue_worst = shot->stages.queue_ms;
    }
    tally->p50 = quantile(good, tally->good, 0.5);
    tally->p99 = quantile(good, tally->good, 0.99);
    tally->worst = quantile(good, tally->good, 1);
    tally->refused_p50 = quantile(refused, tally->refused, 0.5);
    tally->refused_p99 = quantile(refused, tally->refused, 0.99);
    free(good);
    free(refused);
}
