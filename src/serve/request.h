/* request.h: one HTTP request from its first header to the last byte of its answer.
 *
 *     event loop   begin ▸ body arrives ▸ handler ─┬─ fills the reply ───────────────────────▸ answer is sent
 * ▸ end └─ defers ▸ suspended ····· resumed ▸──────┘ worker └▸ runs, fills the reply ┘
 *
 * All on the event loop's thread, except between defer and resume, when the request belongs to the worker. */
#ifndef BERTH_SERVE_REQUEST_H
#define BERTH_SERVE_REQUEST_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "serve/call.h"
#include "serve/reply.h"
#include "serve/server.h"
#include "serve/worker.h"

struct berth_request {
    struct berth_job job; /* first: a worker's job is the request */
    void (*manage)(struct berth_request *request);
    struct berth_server *server;
    struct MHD_Connection *connection;
    struct berth_watch *watch; /* of the connection */
    const struct berth_route *route;
    struct berth_buffer body; /* as received */
    struct berth_reply reply; /* status 0: not answered yet */
    struct berth_call call;
    char model[129], version[33]; /* that the path names; "": none */
    struct berth_entry *entry;    /* model that it is about; for handlers */
    size_t threads;               /* that it asks for, 0: none named; for handlers */
    bool quantised;               /* /set_model: at int8 */
    bool deferred;                /* counted among the waiting */
    bool complete;                /* the body is there; counted */
    bool last;                    /* the connection cannot be read further */
    uint64_t received_ns;         /* when the body was complete */
};

/* For handlers: suspends the connection until `run` on a worker has called berth_request_finish. `push` hands
 * the job to the worker. When too much waits already, or push refuses, the reply is an error and nothing is
 * suspended. */
void berth_request_defer(struct berth_request *request, void (*run)(struct berth_job *job, void *owner),
                         bool (*push)(struct berth_request *request));

/* For handlers: `run` will be called on the thread that changes models, one after the other, with the request
 * suspended meanwhile: there loading and waiting are allowed. It fills the reply. Return from the handler
 * after it. */
void berth_request_manage(struct berth_request *request, void (*run)(struct berth_request *request));

/* A header of the request, borrowed; NULL when absent. */
const char *berth_request_header(const struct berth_request *request, const char *name);

/* On the worker, with the reply filled: gives the request back to the event loop. The request is gone after
 * it. */
void berth_request_finish(struct berth_request *request);

/* On the worker: true when the server stops and will not wait for the answer; the reply then says so. Ask
 * between pieces of long work. */
bool berth_request_abandoned(struct berth_request *request);

/* The same, or true when the request waited longer than the server's timeout or its client has closed its
 * side. Ask before the work begins. */
bool berth_request_overdue(struct berth_request *request);

/* Copies a value of the query string; false when absent. NULs become '?', a value longer than the array is
 * cut: no valid one is so long. */
enum { BERTH_VALUE_SIZE = 256 };
bool berth_request_query(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE]);

/* The same, and when the query string has none, of the body read as a form. */
bool berth_request_field(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE]);

/* libmicrohttpd's callbacks; `context` is the server. */
enum MHD_Result berth_request_on_data(void *context, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *size,
                                      void **request);
void berth_request_on_end(void *context, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode why);
void *berth_request_on_line(void *context, const char *uri, struct MHD_Connection *connection);
void berth_request_on_connection(void *context, struct MHD_Connection *connection, void **watch,
                                 enum MHD_ConnectionNotificationCode what);

#endif
