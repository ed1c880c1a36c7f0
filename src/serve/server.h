/* server.h: what the rooms of a running server share. The public side is section 5 of berth/berth.h. */
#ifndef BERTH_SERVE_SERVER_H
#define BERTH_SERVE_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/berth.h"
#include "serve/access.h"
#include "serve/access_log.h"
#include "serve/deadlines.h"
#include "serve/loop.h"
#include "serve/registry.h"
#include "serve/worker.h"

enum { BERTH_LOOPS_MAX = 2 }; /* TCP, and a Unix socket's */

struct berth_server {
    unsigned port;
    char *unix_socket; /* removed at the end; NULL: none */
    struct berth_registry *registry;
    struct berth_worker *control; /* changes of the registry, one after the other */
    struct berth_worker *beside;  /* handlers of large bodies */
    struct berth_deadlines *deadlines;
    struct berth_access *access;
    struct berth_access_log *access_log; /* NULL: none */
    struct berth_page *page;
    struct berth_options defaults;
    struct berth_job reload;
    _Atomic bool reloading;

    size_t processors; /* that this process may use */
    size_t max_body_bytes;
    size_t max_waiting;     /* requests handed over */
    size_t max_connections; /* of a loop */
    size_t max_held_bytes;  /* of all bodies together */
    size_t max_texts, max_tokens;
    uint64_t timeout_ns, max_queue_ns, drain_ns;
    uint64_t id_seed;

    _Atomic size_t waiting;
    _Atomic size_t held_bytes;
    _Atomic size_t connections;
    _Atomic uint64_t next_id;
    _Atomic uint64_t counted; /* requests, of all models */

    _Atomic(struct berth_entry *) study; /* model of the study's /inference; NULL before /set_model */
    _Atomic bool draining;               /* refuses new requests */
    _Atomic bool abandon;                /* and no longer computes those that wait */

    pthread_mutex_t lock; /* of the counts */
    pthread_cond_t quiet; /* a request ended */
    size_t active;        /* requests between begin and end */
    size_t complete;      /* those of them whose body has arrived */

    struct berth_loop loop[BERTH_LOOPS_MAX];
};

#endif
