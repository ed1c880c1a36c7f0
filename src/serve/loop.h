/* loop.h: an event loop: one thread that reads requests, hands their calls over, and sends answers. What
 * arrived in one round is handed over together, so that a batch holds all of it; a batch that is quick to
 * compute is computed by the loop itself, which spares two changes of thread. */
#ifndef BERTH_SERVE_LOOP_H
#define BERTH_SERVE_LOOP_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "berth/status.h"
#include "serve/deployment.h"

struct berth_server;
struct berth_request;

enum { BERTH_LOOP_TOUCHED = 16 };

struct berth_loop {
    struct berth_server *server;
    struct MHD_Daemon *daemon;
    int socket;  /* listened on; owned; -1: none any more */
    int wake_fd; /* becomes readable when `done` was empty and is not any more */
    bool tls;
    bool running;
    pthread_t thread;
    _Atomic bool quiet, stopping;
    pthread_mutex_t lock;
    struct berth_request *done; /* come back from elsewhere; guarded */
    /* the loop's thread only */
    struct berth_deployment *touched[BERTH_LOOP_TOUCHED]; /* with calls of this round */
    size_t touched_count;
    uint64_t round;              /* counted from 1 */
    struct berth_buffer metrics; /* the text as it was in that round (0: none) and after so many requests counted */
    uint64_t metrics_round, metrics_counted;
    struct berth_request *spare; /* to use again, linked by job.next */
    size_t spare_count;
};

struct berth_tls {
    char *cert, *key; /* texts of the PEM files */
};

/* Takes the listening socket, also on failure. tls may be NULL. */
enum berth_status berth_loop_start(struct berth_loop *loop, struct berth_server *server, int socket,
                                   const struct berth_tls *tls, struct berth_error *err);

/* Accepts no more connections. */
void berth_loop_quiet(struct berth_loop *loop);

/* Ends the thread and closes all connections: no request is with another thread any more. A loop that was not
 * started is fine when it is all zero. */
void berth_loop_stop(struct berth_loop *loop);

/* From any thread: the request has come back. */
void berth_loop_give_back(struct berth_loop *loop, struct berth_request *request);

/* On the loop's thread: calls entered this deployment's queue, which is looked at after the round. */
void berth_loop_touch(struct berth_loop *loop, struct berth_deployment *deployment);

#endif
