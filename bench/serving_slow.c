/* serving_slow.c: clients that send a byte now and then, close their half, do not read, or only stay; and beside each kind
 * an ordinary client, who must not notice them. */
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/checked.h"
#include "bench/schedule.h"
#include "serving.h"

enum {
    TIMEOUT_MS = 3000, /* --request-timeout-ms of the server */
    SLOW = 500,        /* clients of a kind */
    IDLE = 10000,
    TRICKLE_MS = 100,
    RATE = 200,    /* requests a second of the ordinary client */
    NOTICE_MS = 50 /* what its 99th percentile may grow by */
};

static const double load_s = 2;

/* Clients of one kind, and the thread that keeps them busy. */
struct crowd {
    const struct serving_server *server;
    const struct berth_wire *wire; /* what half-closed ones ask */
    int *fds;
    size_t count;
    atomic_bool stop;
    size_t answered, told, unanswered; /* half-closed ones; told: 499, they waited and looked like ones that have gone */
};

static void join_crowd(struct crowd *crowd, size_t count, const char *first)
{
    crowd->fds = malloc(count * sizeof *crowd->fds);
    if (!crowd->fds)
        serving_die("memory ran out");
    for (crowd->count = 0; crowd->count < count; crowd->count++) {
        int fd = crowd->fds[crowd->count] = serving_connect(crowd->server);
        if (send(fd, first, strlen(first), MSG_NOSIGNAL) < 0)
            serving_die("a slow client's first bytes: %s", strerror(errno));
    }
}

static void leave_crowd(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->count; i++)
        close(crowd->fds[i]);
    free(crowd->fds);
    crowd->fds = NULL;
    crowd->count = 0;
}

static void *trickle(void *argument)
{
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->stop)) {
        for (size_t i = 0; i < crowd->count; i++)
            (void)!send(crowd->fds[i], "a", 1, MSG_NOSIGNAL | MSG_DONTWAIT);
        serving_pause(TRICKLE_MS);
    }
    return NULL;
}

static void *close_halves(void *argument)
{
    struct crowd *crowd = argument;
    while (!atomic_load(&crowd->stop)) {
        char answer[8192];
        size_t size = 0;
        ssize_t n;
        int fd = serving_connect(crowd->server);
        (void)!send(fd, crowd->wire->bytes, crowd->wire->size, MSG_NOSIGNAL);
        shutdown(fd, SHUT_WR);
        while (size < sizeof answer - 1 && (n = recv(fd, answer + size, sizeof answer - 1 - size, 0)) > 0)
            size += (size_t)n;
        answer[size] = 0;
        close(fd);
        if (strncmp(answer, "HTTP/1.1 200", 12) == 0 && strchr(answer, ']'))
            crowd->answered++;
        else if (strncmp(answer, "HTTP/1.1 499", 12) == 0)
            crowd->told++;
        else
            crowd->unanswered++;
        serving_pause(2);
    }
    return NULL;
}

/* --- the ordinary client -------------------------------------------------------------------------- */

static double run_ordinary(const struct serving_server *server, const struct berth_wire *wires, const char *beside, double alone)
{
    struct serving_run run;
    struct serving_tally tally;
    enum { COUNT = 400 };
    static uint64_t due[COUNT];
    size_t count = berth_min((size_t)(RATE * load_s), COUNT);
    berth_schedule_poisson(RATE, 11, due, count);
    serving_drive(server, wires, &(struct serving_load){.connections = 64, .count = count, .due = due}, &run);
    serving_count(&run, 0, UINT64_MAX, &tally);
    double most = alone + NOTICE_MS;
    serving_bound(tally.good == run.count && (alone <= 0 || tally.p99 <= most),
                  "%-28s ordinary client: %zu of %zu answered, p50 %.2f, p99 %.2f ms; resident %.0f MB", beside, tally.good,
                  run.count, tally.p50, tally.p99, serving_resident(server->pid));
    serving_free_run(&run);
    return tally.p99;
}

/* --- kinds ---------------------------------------------------------------------------------------- */

/* Connections that the server has ended, within some time more; `told`: those that got a 408 before. */
static size_t count_ended(const struct crowd *crowd, unsigned within_ms, size_t *told)
{
    size_t ended = 0;
    *told = 0;
    serving_pause(within_ms);
    for (size_t i = 0; i < crowd->count; i++) {
        char bytes[512] = "";
        ssize_t n = recv(crowd->fds[i], bytes, sizeof bytes - 1, MSG_DONTWAIT);
        *told += n > 0 && strncmp(bytes, "HTTP/1.1 408", 12) == 0;
        while (n > 0)
            n = recv(crowd->fds[i], bytes, sizeof bytes - 1, MSG_DONTWAIT);
        ended += n == 0 || errno == ECONNRESET || errno == EPIPE;
    }
    return ended;
}

static void check_trickle(const struct serving_server *server, const struct berth_wire *wires, const char *name, const char *first,
                          double alone)
{
    struct crowd crowd = {.server = server};
    char beside[64];
    pthread_t thread;
    size_t told;
    join_crowd(&crowd, SLOW, first);
    if (pthread_create(&thread, NULL, trickle, &crowd) != 0)
        serving_die("a thread does not start");
    snprintf(beside, sizeof beside, "%d %s,", SLOW, name);
    run_ordinary(server, wires, beside, alone);
    size_t ended = count_ended(&crowd, TIMEOUT_MS, &told);
    atomic_store(&crowd.stop, true);
    pthread_join(thread, NULL);
    serving_bound(ended == crowd.count, "%zu of them cut after %d ms, %zu told so by 408", ended, TIMEOUT_MS, told);
    leave_crowd(&crowd);
}

static void check_halves(const struct serving_server *server, const struct berth_wire *wires, double alone)
{
    struct crowd crowd = {.server = server, .wire = &wires[0]};
    pthread_t thread;
    if (pthread_create(&thread, NULL, close_halves, &crowd) != 0)
        serving_die("a thread does not start");
    run_ordinary(server, wires, "half-closed one by one,", alone);
    atomic_store(&crowd.stop, true);
    pthread_join(thread, NULL);
    serving_bound(crowd.answered > 0 && crowd.unanswered == 0, "%zu half-closed ones answered, %zu told that they had gone, %zu neither (0)",
                  crowd.answered, crowd.told, crowd.unanswered);
}

/* They ask for more than their sockets hold, and read nothing. */
static void check_deaf(const struct serving_server *server, const struct berth_wire *wires, double alone)
{
    enum { DEAF = 100, ASKED = 100 };
    static char asked[ASKED * 64];
    struct crowd crowd = {.server = server};
    asked[0] = 0;
    for (size_t i = 0, at = 0; i < ASKED; i++)
        at += (size_t)snprintf(asked + at, sizeof asked - at, "GET /metrics HTTP/1.1\r\nHost: loopback\r\n\r\n");
    join_crowd(&crowd, DEAF, asked);
    run_ordinary(server, wires, "100 that never read,", alone);
    leave_crowd(&crowd);
}

static void check_idle(const struct serving_server *server, const struct berth_wire *wires, double alone)
{
    struct crowd crowd = {.server = server};
    struct rlimit files;
    char beside[64], answer[16] = "";
    size_t count = IDLE, told;
    getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur != RLIM_INFINITY && files.rlim_cur < count + 200)
        count = files.rlim_cur - 200;
    join_crowd(&crowd, count, "");
    snprintf(beside, sizeof beside, "%zu idle,", count);
    run_ordinary(server, wires, beside, alone);
    int last = crowd.fds[crowd.count - 1]; /* the latest has the most of its time left */
    struct pollfd ready = {.fd = last, .events = POLLIN};
    (void)!send(last, wires[0].bytes, wires[0].size, MSG_NOSIGNAL);
    (void)!poll(&ready, 1, TIMEOUT_MS);
    bool served = recv(last, answer, sizeof answer - 1, MSG_DONTWAIT) > 0 && strncmp(answer, "HTTP/1.1 200", 12) == 0;
    serving_bound(served, "the last of %zu idle ones asks, and is %s", count, served ? "answered" : "not answered");
    size_t ended = count_ended(&crowd, 2 * TIMEOUT_MS, &told);
    serving_bound(ended == crowd.count, "%zu of them closed after %d ms", ended, TIMEOUT_MS);
    leave_crowd(&crowd);
}

void serving_slow(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-mini,precision=int8";
    static const char *const limits[] = {"--request-timeout-ms", "3000", NULL};
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* the server's, too */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    serving_start(&server, model, limits);
    serving_make_wires(&server.endpoint, 5, 40, wires);
    printf("slow, %s: an ordinary client of %d requests a second beside others\n", model, RATE);
    serving_capacity(&server, wires, 8, 0.5);
    double rested = serving_resident(server.pid);
    double alone = run_ordinary(&server, wires, "nobody,", 0);
    check_trickle(&server, wires, "with slow headers", "GET /health HTTP/1.1\r\nX-Slow: ", alone);
    check_trickle(&server, wires, "with slow bodies",
                  "POST /predict HTTP/1.1\r\nHost: loopback\r\nContent-Length: 10000\r\n\r\n{\"inputs\": \"", alone);
    check_halves(&server, wires, alone);
    check_deaf(&server, wires, alone);
    check_idle(&server, wires, alone);
    serving_pause(200);
    char *metrics = serving_get(&server, "/metrics");
    double open = serving_metric(metrics, "berth_connections", NULL), resident = serving_resident(server.pid);
    serving_bound(open <= 2, "%.0f connections are left at the end (1: the one that asks)", open);
    printf("  resident %.0f MB before, %.0f after\n", rested, resident);
    free(metrics);
    serving_free_wires(wires);
    serving_stop(&server);
}
