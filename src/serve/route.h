/* route.h: which handler answers which method and path. */
#ifndef BERTH_SERVE_ROUTE_H
#define BERTH_SERVE_ROUTE_H

#include "serve/reply.h"
#include "serve/request.h"

struct berth_route {
    const char *method; /* "GET" also answers HEAD */
    const char *path;
    /* On the event loop, with the whole body there: fills the reply at once or defers. */
    void (*handle)(struct berth_request *request);
};

/* NULL when there is none: the reply then is a 404 or a 405. */
const struct berth_route *berth_route_find(const char *method, const char *path, struct berth_reply *reply);

#endif
