/* route.c: the table of all endpoints. A protocol is one file with its handlers; an endpoint is one line
 * here. */
#include "serve/route.h"

#include <string.h>

#include "serve/handlers.h"

static const struct berth_route routes[] = {
    {"GET", "/health", berth_handle_health},
    {"POST", "/set_model", berth_handle_set_model},
    {"POST", "/inference", berth_handle_inference},
};

const struct berth_route *berth_route_find(const char *method, const char *path, struct berth_reply *reply)
{
    const struct berth_route *other = NULL;
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (strcmp(routes[i].path, path) == 0) {
            if (strcmp(routes[i].method, wanted) == 0)
                return &routes[i];
            other = &routes[i];
        }
    if (other) {
        berth_reply_error(reply, 405, "%s %s: use %s", method, path, other->method);
        reply->allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method;
    } else {
        berth_reply_error(reply, 404, "%s: no such path", path);
    }
    return NULL;
}
