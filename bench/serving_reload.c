/* serving_reload.c: models loaded again under load, by signal and by the API; and the death of a process behind HAProxy. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "serving.h"

enum { CONNECTIONS = 32, EVERY_MS = 400, ANSWER_MS = 60000 };

/* --- reload --------------------------------------------------------------------------------------- */

struct reloader {
    const struct serving_server *server;
    atomic_bool stop;
    size_t signals, loads, failed;
};

static void load_by_api(struct reloader *reloader)
{
    char request[] = "POST /v2/repository/models/m/load HTTP/1.1\r\nHost: loopback\r\nContent-Length: 2\r\n\r\n{}", *body;
    struct berth_error err;
    size_t size;
    int status = 0;
    const struct berth_wire wire = {request, strlen(request)};
    if (berth_load_ask(&reloader->server->endpoint, &wire, ANSWER_MS, &status, &body, &size, &err) != BERTH_OK)
        status = 0;
    else
        berth_free(body);
    reloader->loads++;
    reloader->failed += status != 200;
}

static void *reload_again_and_again(void *argument)
{
    struct reloader *reloader = argument;
    while (!atomic_load(&reloader->stop)) {
        serving_pause(EVERY_MS);
        kill(reloader->server->pid, SIGHUP);
        reloader->signals++;
        serving_pause(EVERY_MS);
        load_by_api(reloader);
    }
    return NULL;
}

/* Each text's first answer; every later one must be the same. */
struct known {
    char *body[SERVING_TEXTS];
    size_t differ;
};

static bool same_as_before(void *context, size_t shot, const char *body, size_t size)
{
    struct known *known = context;
    char **first = &known->body[shot % SERVING_TEXTS];
    if (!*first)
        *first = strndup(body, size);
    bool same = *first && strlen(*first) == size && memcmp(*first, body, size) == 0;
    known->differ += !same;
    return true;
}

/* Requests that were sent and not answered by 200, except those that the end of the run cut. */
static size_t count_lost(const struct serving_run *run, size_t *good)
{
    size_t lost = 0;
    *good = 0;
    for (size_t i = 0; i < run->count; i++) {
        const struct berth_shot *shot = &run->shots[i];
        *good += shot->done && shot->fault == BERTH_SHOT_OK;
        lost += shot->done && shot->fault != BERTH_SHOT_OK;
    }
    return lost;
}

void serving_reload(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-mini,precision=int8";
    struct serving_server server;
    struct berth_wire wires[SERVING_TEXTS];
    struct serving_run run;
    static struct known known;
    serving_start(&server, model, NULL);
    serving_make_wires(&server.endpoint, 5, 40, wires);
    serving_capacity(&server, wires, CONNECTIONS, 1);
    double rested = serving_resident(server.pid);
    struct reloader reloader = {.server = &server};
    pthread_t thread;
    if (pthread_create(&thread, NULL, reload_again_and_again, &reloader) != 0)
        serving_die("a thread does not start");
    const struct serving_load load = {.connections = CONNECTIONS, .seconds = options->seconds, .answered = same_as_before,
                                      .context = &known};
    serving_drive(&server, wires, &load, &run);
    atomic_store(&reloader.stop, true);
    pthread_join(thread, NULL);
    struct serving_tally tally;
    serving_count(&run, 0, UINT64_MAX, &tally);
    size_t good, lost = count_lost(&run, &good);
    printf("reload, %s: %zu answers on %d connections, p99 %.1f ms; %zu SIGHUP, %zu loads by the API; resident %.0f MB before, %.0f after\n",
           model, good, CONNECTIONS, tally.p99, reloader.signals, reloader.loads, rested, serving_resident(server.pid));
    serving_bound(lost == 0, "%zu requests lost (0)%s%s", lost, lost ? ": " : "", lost ? run.report.fault : "");
    serving_bound(run.report.opened == CONNECTIONS, "%zu connections were needed (%d)", run.report.opened, CONNECTIONS);
    serving_bound(known.differ == 0, "%zu answers differ from the first to the same text (0)", known.differ);
    serving_bound(reloader.loads > 1 && reloader.failed == 0, "%zu of %zu loads failed (0)", reloader.failed, reloader.loads);
    for (size_t i = 0; i < SERVING_TEXTS; i++)
        free(known.body[i]);
    memset(&known, 0, sizeof known);
    serving_free_run(&run);
    serving_free_wires(wires);
    serving_stop(&server);
}

/* --- kill ----------------------------------------------------------------------------------------- */

enum { PROCESSES = 3, FLEET_CONNECTIONS = 48, KILLS = 2 };

struct killer {
    pid_t pids[PROCESSES];
    uint64_t at[KILLS];
    size_t killed;
};

static bool kill_in_time(void *context, size_t done)
{
    struct killer *killer = context;
    (void)done;
    if (killer->killed < KILLS && berth_clock_ns() >= killer->at[killer->killed])
        kill(killer->pids[killer->killed++], SIGKILL);
    return true;
}

static bool have_haproxy(void)
{
    const char *given = getenv("HAPROXY");
    return given ? access(given, X_OK) == 0 : access("/usr/sbin/haproxy", X_OK) == 0;
}

void serving_kill(const struct serving_options *options)
{
    const char *model = options->model_is_given ? options->model : "random:bert-mini,precision=int8";
    char named[600], port[16], address[256], url[64];
    struct serving_server fleet;
    struct berth_wire wires[SERVING_TEXTS];
    struct serving_run run;
    struct killer killer = {0};
    struct berth_error err;
    int listened;
    if (!have_haproxy()) {
        printf("kill: SKIP: no haproxy\n");
        return;
    }
    snprintf(named, sizeof named, "m=%s", model);
    snprintf(port, sizeof port, "%d", 20000 + (int)getpid() % 10000);
    setenv("BERTH", serving_program(), 1);
    setenv("HAPROXY", getenv("HAPROXY") ? getenv("HAPROXY") : "/usr/sbin/haproxy", 1);
    const char *arguments[] = {"deploy/haproxy/fleet", "-n", "3", "-p", port, "-m", named, "--threads", "1", NULL};
    serving_spawn(&fleet, arguments, address, sizeof address);
    if (sscanf(address, "port %d, processes %d %d %d", &listened, &killer.pids[0], &killer.pids[1], &killer.pids[2]) != 4)
        serving_die("the fleet says '%s'", address);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", listened);
    if (berth_endpoint_parse(url, &fleet.endpoint, &err) != BERTH_OK)
        serving_die("%s", err.message);
    serving_make_wires(&fleet.endpoint, 5, 40, wires);
    serving_capacity(&fleet, wires, FLEET_CONNECTIONS, 1);
    double seconds = options->seconds < 6 ? 6 : options->seconds;
    for (size_t i = 0; i < KILLS; i++)
        killer.at[i] = berth_clock_ns() + (uint64_t)(seconds * 1e9 * (double)(i + 1) / (KILLS + 1));
    const struct serving_load load = {.connections = FLEET_CONNECTIONS, .seconds = seconds, .going = kill_in_time,
                                      .going_context = &killer};
    serving_drive(&fleet, wires, &load, &run);
    size_t good, lost = count_lost(&run, &good), held = killer.killed * (FLEET_CONNECTIONS / PROCESSES + 1);
    printf("kill, %s: %d processes behind HAProxy, %zu answers on %d connections, %zu processes killed under load\n", model,
           PROCESSES, good, FLEET_CONNECTIONS, killer.killed);
    serving_bound(lost <= held, "%zu requests lost; the killed held at most %zu%s%s", lost, held, lost ? ": " : "",
                  lost ? run.report.fault : "");
    serving_free_run(&run);
    serving_free_wires(wires);
    serving_stop(&fleet);
}
