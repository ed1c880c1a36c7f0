/* bench_client.c: what a client for measuring costs, and how well it keeps a schedule: berth's own loop
 * (src/bench/load.c) beside libcurl's multi interface, driven by the same epoll and the same schedule.
 *
 *     stub_server & bench_client http://127.0.0.1:PORT [RATE [SECONDS [ROUNDS]]]
 *
 * Prints, a line a run: requests, late ones (over 1 ms), lateness and latency, CPU time of the client a request. */
#include <curl/curl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/clock.h"
#include "bench/load.h"
#include "bench/schedule.h"

enum { HANDLES = 1024 };

static const char body[] = "[\"a fine film\"]";

struct curl_run {
    CURLM *multi;
    CURL *easy[HANDLES];
    size_t idle[HANDLES], idle_count, opened;
    size_t shot[HANDLES];
    struct berth_shot *shots;
    struct curl_slist *headers;
    char url[400];
    int epoll;
    uint64_t timer; /* moment that libcurl asked for; UINT64_MAX: none */
    size_t done;
};

static size_t drop_body(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *context, void *known)
{
    struct curl_run *run = context;
    (void)easy;
    struct epoll_event event = {.data.fd = socket};
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(run->epoll, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
    epoll_ctl(run->epoll, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, socket, &event);
    curl_multi_assign(run->multi, socket, run);
    return 0;
}

static int set_timer(CURLM *multi, long ms, void *context)
{
    struct curl_run *run = context;
    (void)multi;
    run->timer = ms < 0 ? UINT64_MAX : berth_clock_ns() + (uint64_t)ms * 1000000u;
    return 0;
}

static void send_shot(struct curl_run *run, size_t shot, uint64_t due)
{
    size_t i = run->idle_count ? run->idle[--run->idle_count] : run->opened++;
    if (!run->easy[i]) {
        CURL *easy = run->easy[i] = curl_easy_init();
        curl_easy_setopt(easy, CURLOPT_URL, run->url);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, run->headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, drop_body);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)i);
    }
    run->shot[i] = shot;
    run->shots[shot].due = due;
    run->shots[shot].sent = berth_clock_ns();
    curl_multi_add_handle(run->multi, run->easy[i]);
}

static void take_answers(struct curl_run *run)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(run->multi, &left))) {
        char *private;
        long status = 0;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        size_t i = (size_t)private;
        struct berth_shot *shot = &run->shots[run->shot[i]];
        shot->done = berth_clock_ns();
        shot->fault = message->data.result == CURLE_OK && status == 200 ? BERTH_SHOT_OK : BERTH_SHOT_RESET;
        curl_multi_remove_handle(run->multi, message->easy_handle);
        run->idle[run->idle_count++] = i;
        run->done++;
    }
}

static uint64_t thread_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_curl(const char *url, const uint64_t *due, size_t count, struct berth_shot *shots,
                     struct berth_load_report *report)
{
    static struct curl_run run;
    struct epoll_event events[256];
    int running;
    run = (struct curl_run){.multi = curl_multi_init(), .shots = shots, .timer = UINT64_MAX};
    run.epoll = epoll_create1(0);
    snprintf(run.url, sizeof run.url, "%s/inference", url);
    run.headers = curl_slist_append(NULL, "Content-Type: application/json");
    curl_multi_setopt(run.multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
    curl_multi_setopt(run.multi, CURLMOPT_SOCKETDATA, &run);
    curl_multi_setopt(run.multi, CURLMOPT_TIMERFUNCTION, set_timer);
    curl_multi_setopt(run.multi, CURLMOPT_TIMERDATA, &run);
    curl_multi_setopt(run.multi, CURLMOPT_MAXCONNECTS, (long)HANDLES);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    uint64_t start = berth_clock_ns(), cpu = thread_ns();
    for (size_t next = 0; run.done < count;) {
        while (next < count && berth_clock_ns() >= start + due[next] && (run.idle_count || run.opened < HANDLES)) {
            send_shot(&run, next, start + due[next]);
            next++;
        }
        uint64_t now = berth_clock_ns(), until = run.timer < now + 20000000 ? run.timer : now + 20000000;
        if (next < count && start + due[next] < until)
            until = start + due[next];
        struct timespec wait = {0, until > now ? (long)(until - now) : 0};
        int ready = epoll_pwait2(run.epoll, events, 256, &wait, NULL);
        for (int i = 0; i < ready; i++)
            curl_multi_socket_action(run.multi, events[i].data.fd,
                                     (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                                         (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0),
                                     &running);
        if (berth_clock_ns() >= run.timer) {
            run.timer = UINT64_MAX;
            curl_multi_socket_action(run.multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        take_answers(&run);
    }
    *report = (struct berth_load_report){.started = start, .ended = berth_clock_ns(), .cpu_ns = thread_ns() - cpu,
                                         .opened = run.opened};
    for (size_t i = 0; i < run.opened; i++)
        curl_easy_cleanup(run.easy[i]);
    curl_multi_cleanup(run.multi);
    curl_slist_free_all(run.headers);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, const struct berth_shot *shots, size_t count,
                  const struct berth_load_report *report)
{
    double *late = malloc(count * sizeof *late), *latency = malloc(count * sizeof *latency);
    size_t over = 0, failed = 0;
    for (size_t i = 0; i < count; i++) {
        late[i] = (double)(shots[i].sent - shots[i].due) * 1e-3;
        latency[i] = (double)(shots[i].done - shots[i].due) * 1e-3;
        over += late[i] > BERTH_LOAD_LATE_NS / 1000;
        failed += shots[i].fault != BERTH_SHOT_OK;
    }
    qsort(late, count, sizeof *late, compare);
    qsort(latency, count, sizeof *latency, compare);
    double seconds = (double)(report->ended - report->started) * 1e-9;
    printf("%-8s %zu requests, %zu failed, %.0f/s; late %zu (%.4f %%); lateness us p50 %.0f p99 %.0f p99.9 %.0f max "
           "%.0f; latency us p50 %.0f p99 %.0f; cpu %.1f us a request, %.0f %% of a core\n",
           name, count, failed, (double)count / seconds, over, 100.0 * (double)over / (double)count, late[count / 2],
           late[count * 99 / 100], late[count * 999 / 1000], late[count - 1], latency[count / 2],
           latency[count * 99 / 100], (double)report->cpu_ns * 1e-3 / (double)count,
           100 * (double)report->cpu_ns * 1e-9 / seconds);
    free(late);
    free(latency);
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return fprintf(stderr, "usage: bench_client URL [RATE [SECONDS [ROUNDS]]]\n"), 2;
    double rate = argc > 2 ? atof(argv[2]) : 10000, seconds = argc > 3 ? atof(argv[3]) : 5;
    int rounds = argc > 4 ? atoi(argv[4]) : 3;
    size_t count = (size_t)(rate * seconds);
    struct berth_endpoint endpoint;
    struct berth_error err;
    uint64_t *due = malloc(count * sizeof *due);
    struct berth_shot *shots = malloc(count * sizeof *shots);
    if (count < 100 || !due || !shots || berth_endpoint_parse(argv[1], &endpoint, &err))
        return fprintf(stderr, "bench_client: %s\n", count < 100 ? "too few requests" : err.message), 1;
    char request[1024];
    int size = snprintf(request, sizeof request,
                        "POST /inference HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: "
                        "%zu\r\n\r\n%s",
                        endpoint.host, strlen(body), body);
    struct berth_wire wire = {request, (size_t)size};
    curl_global_init(CURL_GLOBAL_DEFAULT);
    for (int round = 0; round < rounds; round++) {
        struct berth_load_report report;
        berth_schedule_poisson(rate, (uint64_t)round + 1, due, count);
        run_curl(argv[1], due, count, shots, &report);
        print("libcurl", shots, count, &report);
        const struct berth_load load = {.endpoint = &endpoint, .wires = &wire, .wires_count = 1, .count = count, .due = due,
                                        .connections = HANDLES, .timeout_ms = 10000};
        if (berth_load_run(&load, shots, &report, &err))
            return fprintf(stderr, "bench_client: %s\n", err.message), 1;
        print("berth", shots, count, &report);
    }
    free(due);
    free(shots);
    return 0;
}
