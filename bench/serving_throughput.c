/* serving_throughput.c: what batches over HTTP cost against batches in process, and what batching gives against none. All
 * that is compared runs in turns; a ratio is the median of the rounds' own ratios. */
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "bench/schedule.h"
#include "berth/berth.h"
#include "serving.h"

enum { ROUNDS = 5, WORDS_LEAST = 5, WORDS_MOST = 40, TEXT_SIZE = 512, CONNECTIONS = 64 };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values, size_t count)
{
    double sorted[ROUNDS];
    for (size_t i = 0; i < count; i++)
        sorted[i] = values[i];
    qsort(sorted, count, sizeof *sorted, compare);
    return sorted[count / 2];
}

/* --- in process ----------------------------------------------------------------------------------- */

struct local {
    struct berth_model *model;
    struct berth_session *session;
    char bytes[SERVING_TEXTS][TEXT_SIZE];
    struct berth_text texts[SERVING_TEXTS];
    struct berth_result results[SERVING_TEXTS];
};

static void open_local(struct local *local, const char *path, enum berth_precision precision)
{
    struct berth_options options = {.precision = precision};
    struct berth_error err;
    if (berth_model_open(path, &options, &local->model, &err) != BERTH_OK ||
        berth_session_new(local->model, &options, &local->session, &err) != BERTH_OK)
        serving_die("%s", err.message);
    for (size_t i = 0; i < SERVING_TEXTS; i++) {
        serving_make_text(i, WORDS_LEAST, WORDS_MOST, local->bytes[i], TEXT_SIZE);
        local->texts[i] = (struct berth_text){.text = local->bytes[i], .size = strlen(local->bytes[i])};
    }
}

/* Texts a second in batches of so many. */
static double batch_rate(struct local *local, size_t batch, double seconds)
{
    struct berth_error err;
    size_t done = 0, first = 0;
    uint64_t began = berth_clock_ns(), until = began + (uint64_t)(seconds * 1e9), now;
    do {
        if (berth_session_classify(local->session, local->texts + first, batch, local->results, &err) != BERTH_OK)
            serving_die("%s", err.message);
        done += batch;
        first = (first + batch) % (SERVING_TEXTS - batch + 1);
        now = berth_clock_ns();
    } while (now < until);
    return (double)done * 1e9 / (double)(now - began);
}

static void close_local(struct local *local)
{
    berth_session_free(local->session);
    berth_model_free(local->model);
}

/* --- T13 ------------------------------------------------------------------------------------------ */

static void print_half_load(const struct serving_server *server, const struct berth_wire *wires, double rate, double seconds,
                            struct serving_tally *tally)
{
    struct serving_run run;
    size_t count = (size_t)(rate * seconds);
    uint64_t *due = malloc((count + 1) * sizeof *due);
    if (!due)
        serving_die("memory ran out");
    berth_schedule_poisson(rate, 7, due, count);
    serving_drive(server, wires, &(struct serving_load){.connections = 1024, .count = count, .due = due}, &run);
    serving_count(&run, 0, UINT64_MAX, tally);
    printf("  at half of that, %.0f/s as they come (Poisson): p50 %.2f, p99 %.2f, longest %.1f ms; %zu of %zu answered\n", rate,
           tally->p50, tally->p99, tally->worst, tally->good, run.count);
    serving_free_run(&run);
    free(due);
}

static void compare_in_process(const struct serving_server *server, const struct berth_wire *wires, struct local *local,
                               double seconds)
{
    static const size_t batches[] = {1, 8, 16, 32, 64, 128};
    enum { BATCHES = sizeof batches / sizeof *batches };
    double rates[BATCHES] = {0}, served[ROUNDS], ratios[ROUNDS];
    size_t best = 0;
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < BATCHES; i++)
            rates[i] = fmax(rates[i], batch_rate(local, batches[i], seconds / 8));
    printf("  in process, texts a second in batches of");
    for (size_t i = 0; i < BATCHES; i++) {
        printf(" %zu: %.0f%s", batches[i], rates[i], i + 1 < BATCHES ? "," : "\n");
        best = rates[i] > rates[best] ? i : best;
    }
    double local_rates[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        double before = batch_rate(local, batches[best], seconds / 8);
        served[round] = serving_capacity(server, wires, CONNECTIONS, seconds / 4);
        local_rates[round] = (before + batch_rate(local, batches[best], seconds / 8)) / 2;
        ratios[round] = served[round] / local_rates[round];
    }
    double ratio = median(ratios, ROUNDS);
    printf("  %d connections: %.0f/s; in process %.0f/s (medians of %d rounds in turns)\n", CONNECTIONS, median(served, ROUNDS),
           median(local_rates, ROUNDS), ROUNDS);
    serving_bound(ratio >= 0.9, "%.2f of the best batch rate in process (0.9)", ratio);
    struct serving_tally tally;
    print_half_load(server, wires, median(served, ROUNDS) / 2, seconds, &tally);
}

static void compare_batching(const struct serving_server *on, const struct berth_wire *wires, const char *model, double seconds)
{
    static const size_t connections[] = {1, 2, 8, 64};
    static const char *const alone[] = {"--max-batch-texts", "1", NULL};
    struct serving_server off;
    serving_start(&off, model, alone);
    for (size_t i = 0; i < sizeof connections / sizeof *connections; i++) {
        double with[ROUNDS], without[ROUNDS], ratios[ROUNDS];
        for (size_t round = 0; round < ROUNDS; round++) {
            bool first = round % 2;
            if (first)
                with[round] = serving_capacity(on, wires, connections[i], seconds / 8);
            without[round] = serving_capacity(&off, wires, connections[i], seconds / 8);
            if (!first)
                with[round] = serving_capacity(on, wires, connections[i], seconds / 8);
            ratios[round] = with[round] / without[round];
        }
        double ratio = median(ratios, ROUNDS), least = connections[i] == 1 ? 0.95 : 1;
        serving_bound(ratio > least, "%2zu connections: %.0f/s with batching, %.0f/s without: %.2f (%s %.2f)", connections[i],
                      median(with, ROUNDS), median(without, ROUNDS), ratio, "above", least);
    }
    serving_stop(&off);
}

void serving_throughput(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-base";
    char named[600];
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    static struct local local;
    snprintf(named, sizeof named, "%s,precision=int8", model);
    serving_start(&server, named, NULL);
    serving_make_wires(&server.endpoint, WORDS_LEAST, WORDS_MOST, wires);
    printf("throughput, %s at int8, texts of %d to %d words\n", model, WORDS_LEAST, WORDS_MOST);
    open_local(&local, model, BERTH_PRECISION_INT8);
    compare_in_process(&server, wires, &local, options->seconds);
    close_local(&local);
    compare_batching(&server, wires, named, options->seconds);
    serving_free_wires(wires);
    serving_stop(&server);
}

/* --- T13 of a small model, where the requests themselves cost most -------------------------------- */

static bool move_to(size_t number, const cpu_set_t *allowed)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, allowed) && number-- == 0) {
            CPU_SET(cpu, &one);
            return sched_setaffinity(0, sizeof one, &one) == 0;
        }
    return false;
}

void serving_tiny(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-tiny,precision=int8";
    static const char *const one[] = {"--threads", "1", NULL};
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    struct serving_tally tally;
    cpu_set_t allowed;
    double many[ROUNDS], single[ROUNDS];
    sched_getaffinity(0, sizeof allowed, &allowed);
    if (!move_to(0, &allowed))
        serving_die("no core to be had");
    serving_start(&server, model, one);
    if (!move_to(1, &allowed))
        printf("  only one core: the load shares it with the server\n");
    serving_make_wires(&server.endpoint, 13, 13, wires);
    printf("tiny, %s, texts of 13 words (15 tokens), server on one core, load on another\n", model);
    for (size_t round = 0; round < ROUNDS; round++) {
        many[round] = serving_capacity(&server, wires, CONNECTIONS, options->seconds / 4);
        single[round] = serving_capacity(&server, wires, 1, options->seconds / 4);
    }
    double rate = median(many, ROUNDS);
    serving_bound(rate >= 20000, "%d connections: %.0f/s (20000)", CONNECTIONS, rate);
    serving_bound(median(single, ROUNDS) >= 5000, "1 connection: %.0f/s (5000)", median(single, ROUNDS));
    print_half_load(&server, wires, rate / 2, options->seconds, &tally);
    serving_bound(tally.p99 < 2, "99th percentile %.2f ms (2)", tally.p99);
    sched_setaffinity(0, sizeof allowed, &allowed);
    serving_free_wires(wires);
    serving_stop(&server);
}
