/* route.c: the table of all endpoints. A protocol is one file with its handlers; an endpoint is one line
 * here. */
#include "serve/route.h"

#include <string.h>

#include "serve/handlers.h"

static const struct berth_route routes[] = {
    {"GET", "/health", BERTH_ROUTE_PUBLIC, berth_handle_health},
    {"GET", "/livez", BERTH_ROUTE_LIVE, berth_handle_live},
    {"GET", "/readyz", BERTH_ROUTE_PUBLIC, berth_handle_health},
    {"GET", "/metrics", BERTH_ROUTE_LIVE, berth_handle_metrics},
    {"POST", "/set_model", BERTH_ROUTE_CONTROL, berth_handle_set_model},
    {"POST", "/inference", BERTH_ROUTE_NAMED, berth_handle_inference},
    {"GET", "/", BERTH_ROUTE_PUBLIC, berth_handle_page},
    {"GET", "/page/{m}", BERTH_ROUTE_PUBLIC, berth_handle_page_asset},
    {"GET", "/api/deployments", BERTH_ROUTE_CONTROL, berth_handle_page_deployments},
    {"GET", "/api/sentences", BERTH_ROUTE_CONTROL, berth_handle_page_sentences},
    {"POST", "/api/predict", BERTH_ROUTE_NAMED, berth_handle_page_predict},
    {"POST", "/api/why", BERTH_ROUTE_NAMED, berth_handle_page_why},
    {"GET", "/api/log", BERTH_ROUTE_CONTROL, berth_handle_page_log},
    {"POST", "/api/log", BERTH_ROUTE_CONTROL, berth_handle_page_record},
    {"GET", "/api/report", BERTH_ROUTE_CONTROL, berth_handle_page_report},
    {"POST", "/api/recommend", BERTH_ROUTE_CONTROL, berth_handle_page_recommend},
    {"POST", "/predict", BERTH_ROUTE_NAMED, berth_handle_predict},
    {"POST", "/embed", BERTH_ROUTE_NAMED, berth_handle_embed},
    {"POST", "/tokenize", BERTH_ROUTE_CONTROL, berth_handle_tokenize},
    {"POST", "/decode", BERTH_ROUTE_CONTROL, berth_handle_tei_decode},
    {"GET", "/info", BERTH_ROUTE_CONTROL, berth_handle_tei_info},
    {"POST", "/models/{m}", BERTH_ROUTE_INFERENCE, berth_handle_hf},
    {"POST", "/v1/embeddings", BERTH_ROUTE_NAMED, berth_handle_openai_embeddings},
    {"GET", "/v2", BERTH_ROUTE_CONTROL, berth_handle_oip_server},
    {"GET", "/v2/health/live", BERTH_ROUTE_PUBLIC, berth_handle_oip_live},
    {"GET", "/v2/health/ready", BERTH_ROUTE_PUBLIC, berth_handle_oip_ready},
    {"GET", "/v2/models/stats", BERTH_ROUTE_CONTROL, berth_handle_oip_statistics},
    {"GET", "/v2/models/{m}", BERTH_ROUTE_CONTROL, berth_handle_oip_model},
    {"GET", "/v2/models/{m}/stats", BERTH_ROUTE_CONTROL, berth_handle_oip_statistics},
    {"GET", "/v2/models/{m}/ready", BERTH_ROUTE_CONTROL, berth_handle_oip_model_ready},
    {"POST", "/v2/models/{m}/infer", BERTH_ROUTE_INFERENCE, berth_handle_oip_infer},
    {"GET", "/v2/models/{m}/versions/{v}", BERTH_ROUTE_CONTROL, berth_handle_oip_model},
    {"GET", "/v2/models/{m}/versions/{v}/ready", BERTH_ROUTE_CONTROL, berth_handle_oip_model_ready},
    {"GET", "/v2/models/{m}/versions/{v}/stats", BERTH_ROUTE_CONTROL, berth_handle_oip_statistics},
    {"POST", "/v2/models/{m}/versions/{v}/infer", BERTH_ROUTE_INFERENCE, berth_handle_oip_infer},
    {"POST", "/v2/repository/index", BERTH_ROUTE_CONTROL, berth_handle_oip_index},
    {"POST", "/v2/repository/models/{m}/load", BERTH_ROUTE_CONTROL, berth_handle_oip_load},
    {"POST", "/v2/repository/models/{m}/unload", BERTH_ROUTE_CONTROL, berth_handle_oip_unload},
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
