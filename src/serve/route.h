/* route.h: which handler answers which method and path. */
#ifndef BERTH_SERVE_ROUTE_H
#define BERTH_SERVE_ROUTE_H

#include <stdbool.h>

#include "serve/reply.h"
#include "serve/request.h"

/* What requests of a route are to the metrics and to the API keys. */
enum berth_route_kind {
    BERTH_ROUTE_INFERENCE, /* of the model in the path or query, or else the first: each request counts as a
                              success or failure of it, however early it ends */
    BERTH_ROUTE_NAMED,   /* the same, but the model's name may stand in the body, which then decides */
    BERTH_ROUTE_CONTROL, /* counts nothing */
    BERTH_ROUTE_PUBLIC,  /* likewise, and needs no API key */
    BERTH_ROUTE_LIVE     /* likewise, and is answered while the server drains */
};

struct berth_route {
    const char *method; /* "GET" also answers HEAD */
    const char *path;   /* {m} and {v} stand for one part each: the names of a model and of its version */
    enum berth_route_kind kind;
    /* With the whole body there: fills the reply at once, submits a call or defers. */
    void (*handle)(struct berth_request *request);
};

/* The route, with what {m} and {v} stand for in request->model and version; NULL when there is none: the
 * reply then is a 404 or a 405. */
const struct berth_route *berth_route_find(const char *method, const char *path,
                                           struct berth_request *request);

#endif
