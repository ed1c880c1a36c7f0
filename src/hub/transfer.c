/* transfer.c: libcurl's easy interface, set to do less than it can: http and https alone, no redirects, no cookies,
 * no .netrc, no decoding of bodies. */
#include "hub/transfer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/error.h"
#include "hub/url.h"

enum { HEADERS_LIMIT = 256 << 10, CONNECT_SECONDS = 15 };

struct berth_hub_client {
    CURL *curl;
    unsigned stall_seconds;
    berth_hub_alive *alive;
    void *context;
};

struct exchange {
    struct berth_hub_client *client;
    const struct berth_hub_request *request;
    struct berth_hub_reply *reply;
    struct berth_error *err;
    enum berth_status status; /* of the sink */
    size_t header_bytes;
    bool cancelled, let_go;
};

void berth_hub_client_free(struct berth_hub_client *client)
{
    if (client)
        curl_easy_cleanup(client->curl);
    berth_free(client);
}

enum berth_status berth_hub_client_new(unsigned stall_seconds, berth_hub_alive *alive, void *context,
                                       struct berth_hub_client **client, struct berth_error *err)
{
    *client = berth_calloc(1, sizeof **client);
    if (!*client)
        return berth_fail_memory(err, "a connection", sizeof **client);
    **client = (struct berth_hub_client){curl_easy_init(), stall_seconds, alive, context};
    if ((*client)->curl)
        return BERTH_OK;
    berth_hub_client_free(*client);
    *client = NULL;
    return berth_fail_memory(err, "a connection", 0);
}

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    x->header_bytes += size * count;
    if (x->header_bytes > HEADERS_LIMIT)
        return 0;
    berth_hub_reply_line(x->reply, line, size * count);
    return size * count;
}

static size_t take_body(char *bytes, size_t size, size_t count, void *context)
{
    struct exchange *x = context;
    if (x->request->headers_only) {
        x->let_go = true;
        return 0;
    }
    if (x->request->sink)
        x->status = x->request->sink(x->request->sink_context, x->reply, bytes, size * count, x->err);
    return x->status == BERTH_OK ? size * count : 0;
}

static int tick(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    struct exchange *x = context;
    (void)total, (void)now, (void)up_total, (void)up_now;
    x->cancelled = x->client->alive && !x->client->alive(x->client->context);
    return x->cancelled;
}

/* Appends to a list that may be NULL; false when memory ran out. */
static bool add_header(struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = curl_slist_append(*list, text);
    if (longer)
        *list = longer;
    return longer != NULL;
}

static bool make_headers(const struct berth_hub_request *request, struct curl_slist **list)
{
    char text[BERTH_HUB_TAG_MAX + 32];
    *list = NULL;
    if (!add_header(list, "Accept-Encoding: identity")) /* bytes as they are stored: they are counted and hashed */
        return false;
    if (request->offset > 0 && request->if_range) {
        snprintf(text, sizeof text, "If-Range: \"%s\"", request->if_range);
        if (!add_header(list, text))
            return false;
    }
    if (!request->token)
        return true;
    size_t size = strlen(request->token) + 32;
    char *bearer = berth_malloc(size, 1);
    if (bearer)
        snprintf(bearer, size, "Authorization: Bearer %s", request->token);
    bool added = bearer && add_header(list, bearer);
    berth_free(bearer);
    return added;
}

static bool set_options(CURL *curl, struct exchange *x, struct curl_slist *headers)
{
    const struct berth_hub_request *request = x->request;
    const char *bundle = getenv("CURL_CA_BUNDLE");
    char range[32];
    CURLcode bad = CURLE_OK;
#define SET(option, value) (bad = bad ? bad : curl_easy_setopt(curl, option, value))
    curl_easy_reset(curl);
    SET(CURLOPT_URL, request->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_USERAGENT, "berth/" BERTH_VERSION);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)x->client->stall_seconds);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, x);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, x);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_XFERINFOFUNCTION, tick);
    SET(CURLOPT_XFERINFODATA, x);
    SET(CURLOPT_NOBODY, (long)request->head);
    if (bundle && bundle[0])
        SET(CURLOPT_CAINFO, bundle);
    if (request->offset > 0) {
        snprintf(range, sizeof range, "%" PRIu64 "-", request->offset);
        SET(CURLOPT_RANGE, range);
    }
#undef SET
    return bad == CURLE_OK;
}

static bool is_transient(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_AGAIN: return true;
    default: return false;
    }
}

static enum berth_status explain(CURLcode code, struct exchange *x, const char *detail, bool *transient)
{
    char host[256];
    berth_hub_host(x->request->url, host, sizeof host);
    if (x->cancelled)
        return berth_fail(x->err, BERTH_CANCELLED, "stopped by the caller");
    if (x->header_bytes > HEADERS_LIMIT)
        return berth_fail(x->err, BERTH_LIMIT, "%s answers with more than %d bytes of headers", host, HEADERS_LIMIT);
    if (code == CURLE_OUT_OF_MEMORY)
        return berth_fail_memory(x->err, "a transfer", 0);
    *transient = is_transient(code);
    const char *words = detail[0] ? detail : curl_easy_strerror(code);
    if (code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR || code == CURLE_GOT_NOTHING)
        return berth_fail(x->err, BERTH_IO, "the connection to %s was cut (%s)", host, words);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return berth_fail(x->err, BERTH_IO, "%s does not answer in time (%s)", host, words);
    return berth_fail(x->err, BERTH_IO, "%s cannot be reached: %s", host, words);
}

enum berth_status berth_hub_exchange(struct berth_hub_client *client, const struct berth_hub_request *request,
                                     struct berth_hub_reply *reply, bool *transient, struct berth_error *err)
{
    struct berth_error spare;
    struct exchange x = {.client = client, .request = request, .reply = reply, .err = err ? err : &spare};
    struct curl_slist *headers;
    char detail[CURL_ERROR_SIZE] = "";
    curl_off_t wait = 0;
    *transient = false;
    *reply = (struct berth_hub_reply){0};
    if (!make_headers(request, &headers)) {
        curl_slist_free_all(headers);
        return berth_fail_memory(err, "a request", 0);
    }
    if (!set_options(client->curl, &x, headers)) {
        curl_slist_free_all(headers);
        return berth_fail(err, BERTH_INTERNAL, "libcurl refuses the request's options");
    }
    curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, detail);
    CURLcode code = curl_easy_perform(client->curl);
    curl_easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &wait);
    reply->retry_after = wait > 0 ? (unsigned)(wait < 1 << 20 ? wait : 1 << 20) : 0;
    curl_easy_reset(client->curl); /* it points into this frame */
    curl_slist_free_all(headers);
    if (x.status != BERTH_OK)
        return x.status;
    return code == CURLE_OK || x.let_go ? BERTH_OK : explain(code, &x, detail, transient);
}
