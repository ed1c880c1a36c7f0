/* serving.h: what the checks of the server under load share: a server of their own on a free port of loopback,
 * requests, loads, counts, bounds. They drive it as a client would: over HTTP, by signals, by its files in /proc. */
#ifndef BERTH_BENCH_SERVING_H
#define BERTH_BENCH_SERVING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "bench/load.h"

enum { SERVING_ARGUMENTS_MAX = 48, SERVING_TEXTS = 256 };

/* What the command line asks for. */
struct serving_options {
    const char *model;   /* MODEL[,options] as behind `-m NAME=` */
    double seconds;      /* of each load */
    double minutes;      /* of the soak; 0: `seconds` */
    bool model_is_given; /* else each check's own */
};

/* --- a server ------------------------------------------------------------------------------------- */

struct serving_server {
    pid_t pid;
    int out; /* its standard output */
    struct berth_endpoint endpoint;
};

/* Starts `berth serve --port 0 --quiet -m m=MODEL` with more options, up to a NULL, and waits until it listens; ends the
 * program when it does not. The program is $BERTH_BINARY or the one beside this program's folder. */
void serving_start(struct serving_server *server, const char *model, const char *const *more);

/* Starts any program that prints "listening on …", and gives what follows these words. */
void serving_spawn(struct serving_server *server, const char *const *arguments, char *address, size_t size);

/* The berth that is started. */
const char *serving_program(void);

/* SIGTERM; false, with a line printed, when it does not end with 0. */
bool serving_stop(struct serving_server *server);

/* Resident memory in MB; 0 for a process that is gone. */
double serving_resident(pid_t pid);

/* The text of GET path for free; ends the program when it is not answered by 200. */
char *serving_get(const struct serving_server *server, const char *path);

/* The sum of the metric's lines with `label` (a part of the line; NULL: all) in a text of /metrics. */
double serving_metric(const char *metrics, const char *name, const char *label);

/* --- loads ---------------------------------------------------------------------------------------- */

/* Requests of one text each, of `least` to `most` words, to /predict; for serving_free_wires. */
void serving_make_wires(const struct berth_endpoint *endpoint, size_t least, size_t most,
                        struct berth_wire wires[SERVING_TEXTS]);
void serving_free_wires(struct berth_wire wires[SERVING_TEXTS]);

/* The text of the same number, NUL-terminated. */
void serving_make_text(size_t number, size_t least, size_t most, char *text, size_t size);

struct serving_run {
    struct berth_shot *shots; /* [count] */
    size_t count;
    struct berth_load_report report;
};

/* A closed loop on so many connections, or an open one at `due` [count]; `going` as in load.h, may be NULL. */
struct serving_load {
    size_t connections, count;
    double seconds;      /* of a closed loop; it ends after as many, or after `count` requests */
    const uint64_t *due; /* NULL: closed */
    bool (*going)(void *context, size_t done); /* may be NULL, as `answered` */
    void *going_context;
    bool (*answered)(void *context, size_t shot, const char *body, size_t size);
    void *context; /* of answered */
};
void serving_drive(const struct serving_server *server, const struct berth_wire wires[SERVING_TEXTS],
                   const struct serving_load *load, struct serving_run *run);
void serving_free_run(struct serving_run *run);

/* Answers of 200 a second in a closed loop on so many connections, after a short one to warm up. */
double serving_capacity(const struct serving_server *server, const struct berth_wire wires[SERVING_TEXTS],
                        size_t connections, double seconds);

/* What became of the shots that were due from `from` to `to` (ns after the start). */
struct serving_tally {
    size_t sent, good, refused, lost; /* refused: 429 or 503; lost: anything else but 200 */
    double p50, p99, worst;           /* ms from due to the last byte, of good ones */
    double refused_p50, refused_p99;  /* of refused ones */
    double queue_worst;               /* ms, as the server's header says */
};
void serving_count(const struct serving_run *run, uint64_t from, uint64_t to, struct serving_tally *tally);

/* --- clients that leave, and counts ---------------------------------------------------------------- */

struct serving_counts {
    double good, refused, left, other; /* requests: 200; 429 and 503; whose client left; any other status */
};

void serving_pause(unsigned ms);

/* A connected, blocking socket. */
int serving_connect(const struct serving_server *server);

/* A client that sends, waits and leaves, and is counted by what had come until then. It closes by half and reads what still
 * comes, so that both sides know the same of it; `abruptly` it is gone, and an answer on its way may be a success to the
 * server alone, or to the client alone when a part of it had come. */
void serving_leave(const struct serving_server *server, const struct berth_wire *wire, unsigned stay_ms, bool abruptly,
                   struct serving_counts *counts);

/* What the server's metrics say. */
struct serving_counts serving_read_counts(const struct serving_server *server);

/* What they say more than before, once that is `expected` requests in all, or two seconds have passed. */
struct serving_counts serving_counts_since(const struct serving_server *server, const struct serving_counts *before,
                                           double expected);

/* A bound: they say exactly `want` more than before. */
void serving_check_counts(const struct serving_server *server, const struct serving_counts *before,
                          const struct serving_counts *want);

/* --- words ---------------------------------------------------------------------------------------- */

_Noreturn void serving_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints "ok" or "BROKEN" and what was asked; counts the broken ones. */
bool serving_bound(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t serving_broken(void);

/* --- the checks ----------------------------------------------------------------------------------- */

void serving_overload(const struct serving_options *options);
void serving_throughput(const struct serving_options *options);
void serving_tiny(const struct serving_options *options);
void serving_reload(const struct serving_options *options);
void serving_kill(const struct serving_options *options);
void serving_slow(const struct serving_options *options);
void serving_soak(const struct serving_options *options);

#endif
