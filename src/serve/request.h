/* request.h: one HTTP request from its first header to the last byte of its answer.
 *
 *     event loop   begin > body arrives > handler -+- fills the reply ------------------------> answer is
 * sent > end
 *                                                  +- submits a call: waits in its model's queue > answer
 * written
 *                                                  +- defers to the thread that changes models > reply filled
 *
 * A handler of a large body and the answer of a large call run beside the event loop, on another thread, with
 * the connection suspended. All else of a request is the event loop's own, and while it is BUSY nobody else
 * touches it but through its call. */
#ifndef BERTH_SERVE_REQUEST_H
#define BERTH_SERVE_REQUEST_H

#include <microhttpd.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "serve/call.h"
#include "serve/forms.h"
#include "serve/reply.h"
#include "serve/server.h"
#include "serve/worker.h"

enum berth_request_state {
    BERTH_REQUEST_READING, /* headers and body */
    BERTH_REQUEST_BUSY,    /* in a queue, or on another thread */
    BERTH_REQUEST_READY    /* comes back with a reply, or with a call to answer */
};

/* What a handler asked for. */
enum berth_request_step { BERTH_STEP_REPLY, BERTH_STEP_CALL, BERTH_STEP_DEFER };

enum { BERTH_REQUEST_ID_SIZE = 129 };

struct berth_request {
    struct berth_job job; /* first: a worker's job is the request */
    struct berth_server *server;
    struct berth_loop *loop;
    struct MHD_Connection *connection;
    struct berth_watch *watch; /* of the connection */
    int socket;
    const struct berth_route *route;
    struct berth_buffer body; /* as received */
    struct berth_reply reply; /* status 0: not answered yet */
    struct berth_call call;
    union berth_form form;                                    /* for handlers: how the answer is to look */
    char model[BERTH_NAME_SIZE], version[BERTH_VERSION_SIZE]; /* that the path names; "": none */
    struct berth_entry *entry;           /* model that it counts for; NULL: none that is known */
    struct berth_deployment *deployment; /* held */
    struct berth_entry *target;          /* for handlers: the model to change */
    void *subject;                       /* for handlers that defer: whose worker it is for */
    size_t threads;                      /* for handlers: that it asks for, 0: none named */
    bool quantised;                      /* for handlers: /set_model at int8 */
    void (*deferred)(struct berth_request *request);
    struct berth_worker *worker; /* that runs it */
    enum berth_request_step step;
    enum berth_request_state state;
    bool suspended;
    bool waits;          /* counted among the waiting */
    bool complete;       /* the body is there; counted */
    bool begun;          /* its headers are there; counted */
    bool last;           /* the connection cannot be read further: nor the body */
    bool closes;         /* the connection ends with the answer */
    bool beside;         /* its handler runs on another thread */
    _Atomic bool orphan; /* its connection is gone */
    uint64_t begun_ns, received_ns, answer_ns;
    size_t sent_bytes, received_bytes;
    size_t target_size;       /* of the target as it was sent, */
    const char *target_fault; /* and what is wrong with it; NULL: nothing */
    char method[16], path[256]; /* for the log, cut */
    char id[BERTH_REQUEST_ID_SIZE];
};

/* For handlers: `run` will be called on a worker, with the request suspended meanwhile: there waiting is
 * allowed. It fills the reply. Return from the handler after it. / On the worker that changes models, one
 * change after the other. */
void berth_request_defer(struct berth_request *request, struct berth_worker *worker,
                         void (*run)(struct berth_request *request));
void berth_request_manage(struct berth_request *request, void (*run)(struct berth_request *request));

/* A header of the request, borrowed; NULL when absent. */
const char *berth_request_header(const struct berth_request *request, const char *name);

/* Copies a value of the query string; false when absent. NULs become '?', a value longer than the array is
 * cut: no valid one is so long. */
enum { BERTH_VALUE_SIZE = 256 };
bool berth_request_query(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE]);

/* The same, and when the query string has none, of the body read as a form. */
bool berth_request_field(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE]);

/* The model that the path names, or the query, or else the first one, in the version that the path names.
 * NULL: the reply says so. */
struct berth_entry *berth_request_entry(struct berth_request *request);

/* --- for the core --------------------------------------------------------------------------------- */

/* True when nobody waits for the answer any more, or it comes too late: the reply then says why. From any
 * thread. */
bool berth_request_ended(struct berth_request *request, uint64_t waited_ns, uint64_t limit_ns);

/* The call is whole: gives the request back to its event loop. From any thread; the request may be gone after
 * it. */
void berth_request_computed(struct berth_request *request);

/* On the event loop: the request is READY. */
void berth_request_ready(struct berth_request *request);

/* Frees what a spare request holds, and the request. */
void berth_request_free(struct berth_request *request);

/* libmicrohttpd's callbacks; `context` is the loop. */
enum MHD_Result berth_request_on_data(void *context, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *size,
                                      void **request);
void berth_request_on_end(void *context, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode why);
void *berth_request_on_line(void *context, const char *uri, struct MHD_Connection *connection);
void berth_request_on_connection(void *context, struct MHD_Connection *connection, void **watch,
                                 enum MHD_ConnectionNotificationCode what);

#endif
