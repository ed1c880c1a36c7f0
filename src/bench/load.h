/* load.h: sends requests to a server by a schedule, or as fast as answers come, and notes three moments of each:
 * when it was due, when its first byte was handed to the kernel, when its last byte had come.
 *
 * One thread, one epoll. Own code and not libcurl: the client shares the machine with what it measures, and
 * must keep a schedule to fractions of a millisecond; docs/measuring.md has both clients' cost and lateness. */
#ifndef BERTH_BENCH_LOAD_H
#define BERTH_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/endpoint.h"
#include "bench/http_answer.h"
#include "berth/status.h"

enum { BERTH_LOAD_CONNECTIONS_MAX = 8192 };

/* A request sent so much after it was due counts as late. */
enum { BERTH_LOAD_LATE_NS = 1000000 };

enum berth_shot_fault {
    BERTH_SHOT_OK,
    BERTH_SHOT_NOT_SENT, /* the run was given up or stopped before */
    BERTH_SHOT_CONNECT,
    BERTH_SHOT_RESET,
    BERTH_SHOT_TIMEOUT,
    BERTH_SHOT_GARBAGE,
    BERTH_SHOT_STATUS, /* an HTTP status other than 200 */
    BERTH_SHOT_WRONG   /* refused by `answered` */
};

/* One request and its answer. Moments are of berth_clock_ns. */
struct berth_shot {
    uint64_t due, sent, done;
    struct berth_stages stages;
    enum berth_shot_fault fault;
    int status;
};

/* A whole request, head and body. */
struct berth_wire {
    char *bytes;
    size_t size;
};

struct berth_load {
    const struct berth_endpoint *endpoint;
    const struct berth_wire *wires;
    const size_t *wire; /* [count] which one each shot carries; NULL: in turn */
    size_t wires_count;
    size_t count;        /* shots */
    const uint64_t *due; /* [count] ns after the start, ascending; NULL: closed loop */
    size_t connections;  /* at most; a closed loop keeps all of them busy */
    unsigned timeout_ms; /* from sending to the last byte */
    /* Called with each 200's body after its time was taken, so never within a shot's own time; false: the shot
     * is wrong. May be NULL. */
    bool (*answered)(void *context, size_t shot, const char *body, size_t size);
    /* Called now and then; false stops the run. May be NULL. */
    bool (*going)(void *context, size_t done);
    void *context;
};

struct berth_load_report {
    uint64_t started, ended; /* of the first due moment, of the last answer */
    uint64_t cpu_ns;         /* that the client itself spent */
    size_t failed, late, opened;
    uint64_t latest_ns;        /* the worst lateness */
    size_t outstanding_max;    /* requests under way at once */
    char fault[256];           /* the first failure in words; "" when there was none */
};

/* Fills shots[count]. Fails only for want of memory or when `going` stopped it (BERTH_CANCELLED): a server that
 * fails is what the shots tell. After many failures in a row the rest is not sent. */
enum berth_status berth_load_run(const struct berth_load *load, struct berth_shot *shots,
                                 struct berth_load_report *report, struct berth_error *err);

/* One request on a connection of its own; *body for berth_free, NUL-terminated. A status other than 200 is no
 * failure here. */
enum berth_status berth_load_ask(const struct berth_endpoint *endpoint, const struct berth_wire *wire,
                                 unsigned timeout_ms, int *status, char **body, size_t *size,
                                 struct berth_error *err);

#endif
