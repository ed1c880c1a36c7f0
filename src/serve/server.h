/* server.h: what the rooms of a running server share. The public side is section 5 of berth/berth.h. */
#ifndef BERTH_SERVE_SERVER_H
#define BERTH_SERVE_SERVER_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/berth.h"
#include "serve/deadlines.h"
#include "serve/registry.h"
#include "serve/worker.h"

struct berth_server {
    struct MHD_Daemon *daemon;
    unsigned port;
    struct berth_registry *registry;
    struct berth_worker *control; /* changes of the registry, one after the other; owner: the server */
    struct berth_deadlines *deadlines;
    struct berth_page *page;
    struct berth_options defaults;

    size_t max_body_bytes;
    size_t max_waiting;    /* deferred requests */
    size_t max_held_bytes; /* of all bodies together */
    uint64_t timeout_ns;

    /* event loop only */
    size_t waiting;
    size_t held_bytes;

    _Atomic(struct berth_entry *) study; /* model of the study's /inference; NULL before /set_model */
    _Atomic bool draining;               /* refuses new requests */
    _Atomic bool abandon;                /* and no longer computes those that wait */

    pthread_mutex_t lock; /* of the counts */
    pthread_cond_t quiet; /* a request ended */
    size_t active;        /* requests between begin and end */
    size_t complete;      /* those of them whose body has arrived */
};

#endif
