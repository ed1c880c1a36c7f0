/* route.c: the table of all endpoints. A protocol is one file with its handlers; an endpoint is one line
 * here. */
#include "serve/route.h"

#include <string.h>

#include "serve/handlers.h"

static const struct berth_route routes[] = {
    {"GET", "/health", BERTH_ROUTE_PUBLIC, berth_handle_health},
    {"POST", "/set_model", BERTH_ROUTE_CONTROL, berth_handle_set_model},
    {"POST", "/inference", BERTH_ROUTE_NAMED, berth_handle_inference},
};

/* One part of a path for a placeholder; false when it is empty or too long to be a name. */
static bool take_part(const char **path, char *part, size_t size)
{
    size_t length = strcspn(*path, "/");
    if (length == 0 || length >= size)
        return false;
    memcpy(part, *path, length);
    part[length] = 0;
    *path += length;
    return true;
}

static bool path_matches(const char *pattern, const char *path, struct berth_request *request)
{
    while (*pattern) {
        if (strncmp(pattern, "{m}", 3) == 0 || strncmp(pattern, "{v}", 3) == 0) {
            bool model = pattern[1] == 'm';
            if (!take_part(&path, model ? request->model : request->version,
                           model ? sizeof request->model : sizeof request->version))
                return false;
            pattern += 3;
        } else if (*pattern++ != *path++) {
            return false;
        }
    }
    return *path == 0;
}

const struct berth_route *berth_route_find(const char *method, const char *path,
                                           struct berth_request *request)
{
    struct berth_reply *reply = &request->reply;
    const struct berth_route *other = NULL;
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
        request->model[0] = request->version[0] = 0;
        if (path_matches(routes[i].path, path, request)) {
            if (strcmp(routes[i].method, wanted) == 0)
                return &routes[i];
            other = &routes[i];
        }
    }
    request->model[0] = request->version[0] = 0;
    if (other) {
        berth_reply_error(reply, 405, "%s %s: use %s", method, path, other->method);
        reply->allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method;
    } else {
        berth_reply_error(reply, 404, "%s: no such path", path);
    }
    return NULL;
}
