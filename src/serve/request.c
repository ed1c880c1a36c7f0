/* request.c: receives requests, bounds them, hands them to their handlers and sends the answers. */
#include "serve/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "serve/form.h"
#include "serve/route.h"

static const char *header(struct MHD_Connection *connection, const char *name)
{
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

static struct berth_watch *watch_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

void berth_request_on_connection(void *context, struct MHD_Connection *connection, void **watch,
                                 enum MHD_ConnectionNotificationCode what)
{
    struct berth_server *server = context;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        berth_deadlines_forget(server->deadlines, *watch);
        *watch = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info)
        *watch = berth_deadlines_watch(server->deadlines, info->connect_fd);
}

static const char late_request[] =
    "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: 93\r\n"
    "Connection: close\r\n\r\n"
    "{\"error\": \"the request did not arrive within --request-timeout-ms\", \"error_type\": \"Timeout\"}\n";

/* The request line is there: from now on headers and body have their time. The result is the request: none
 * yet. */
void *berth_request_on_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    (void)uri;
    struct berth_server *server = context;
    berth_deadlines_begin(server->deadlines, watch_of(connection), late_request);
    return NULL;
}

static void refuse_large(struct berth_request *request)
{
    berth_reply_error(&request->reply, 413, "the body is larger than %zu bytes",
                      request->server->max_body_bytes);
}

struct lengths {
    const char *first;
    bool differ;
};

static enum MHD_Result compare_length(void *context, enum MHD_ValueKind kind, const char *key,
                                      const char *value)
{
    (void)kind;
    struct lengths *lengths = context;
    if (strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0) {
        if (!lengths->first)
            lengths->first = value;
        lengths->differ |= strcmp(lengths->first, value) != 0;
    }
    return MHD_YES;
}

/* Where one reader of the bytes sees a body, another might see the next request. */
static bool lengths_differ(struct MHD_Connection *connection)
{
    struct lengths lengths = {0};
    MHD_get_connection_values(connection, MHD_HEADER_KIND, compare_length, &lengths);
    return lengths.differ;
}

/* With the headers there: finds out what can be refused without the body. */
static void check_headers(struct berth_request *request, const char *method, const char *path)
{
    struct berth_server *server = request->server;
    request->route = berth_route_find(method, path, request);
    const char *length = header(request->connection, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (lengths_differ(request->connection)) {
        berth_reply_error(&request->reply, 400, "two headers Content-Length differ");
        request->last = true;
    } else if (atomic_load(&server->draining))
        berth_reply_error(&request->reply, 503, "the server is stopping");
    else if (request->route && length && strtoull(length, NULL, 10) > server->max_body_bytes)
        refuse_large(request);
}

static void release_body(struct berth_request *request)
{
    request->server->held_bytes -= request->body.size;
    berth_buffer_clear(&request->body);
}

/* The rest of a refused body is read and dropped, because a client that is still sending would otherwise see
 * a broken connection and not the answer. Its time is bounded like every body's. */
static void take_data(struct berth_request *request, const char *data, size_t size)
{
    struct berth_server *server = request->server;
    if (request->reply.status)
        return;
    if (size > request->body.limit - request->body.size)
        refuse_large(request);
    else if (size > server->max_held_bytes - berth_min(server->held_bytes, server->max_held_bytes))
        berth_reply_error(&request->reply, 429, "too many large requests wait already; try again");
    else if (!berth_buffer_append(&request->body, data, size))
        berth_reply_error(&request->reply, 503, "memory ran out");
    else
        server->held_bytes += size;
    if (request->reply.status)
        release_body(request);
}

static void release_free(void *block)
{
    berth_free(block);
}

static struct MHD_Response *make_response(struct berth_request *request)
{
    struct berth_reply *reply = &request->reply;
    struct MHD_Response *response =
        reply->body.data ? MHD_create_response_from_buffer_with_free_callback(reply->body.size,
                                                                              reply->body.data, release_free)
                         : MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return NULL;
    reply->body = (struct berth_buffer){0}; /* the response owns the block now */
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    for (size_t i = 0; i < BERTH_REPLY_HEADERS && reply->header[i].name; i++)
        MHD_add_response_header(response, reply->header[i].name, reply->header[i].value);
    if (reply->allow)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->status == 429 || reply->status == 503)
        MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (request->last || atomic_load(&request->server->draining))
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

static enum MHD_Result send_reply(struct berth_request *request)
{
    if (request->deferred) {
        request->deferred = false;
        request->server->waiting--;
    }
    release_body(request);
    berth_deadlines_begin(request->server->deadlines, request->watch, NULL);
    struct MHD_Response *response = make_response(request);
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(request->connection, request->reply.status, response);
    MHD_destroy_response(response);
    return result;
}

static struct berth_request *begin(struct berth_server *server, struct MHD_Connection *connection)
{
    struct berth_request *request = berth_calloc(1, sizeof *request);
    if (!request)
        return NULL;
    request->server = server;
    request->connection = connection;
    request->watch = watch_of(connection);
    berth_buffer_init(&request->body, server->max_body_bytes);
    pthread_mutex_lock(&server->lock);
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return request;
}

void berth_request_on_end(void *context, struct MHD_Connection *connection, void **slot,
                          enum MHD_RequestTerminationCode why)
{
    (void)connection, (void)why;
    struct berth_server *server = context;
    struct berth_request *request = *slot;
    if (!request)
        return;
    *slot = NULL;
    if (request->deferred)
        server->waiting--;
    release_body(request);
    berth_reply_clear(&request->reply);
    berth_call_clear(&request->call);
    berth_deadlines_begin(server->deadlines, request->watch, NULL);
    bool complete = request->complete;
    berth_free(request);
    pthread_mutex_lock(&server->lock);
    server->active--;
    server->complete -= complete;
    pthread_cond_signal(&server->quiet);
    pthread_mutex_unlock(&server->lock);
}

/* From now on a stop waits for it. */
static void count_complete(struct berth_request *request)
{
    request->complete = true;
    pthread_mutex_lock(&request->server->lock);
    request->server->complete++;
    pthread_mutex_unlock(&request->server->lock);
}

/* Called first with the headers, then with each piece of the body, then without data (*size 0), and once more
 * when a suspended connection was resumed. */
enum MHD_Result berth_request_on_data(void *context, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *size,
                                      void **slot)
{
    (void)version;
    struct berth_request *request = *slot;
    if (!request) {
        *slot = request = begin(context, connection);
        if (!request)
            return MHD_NO;
        check_headers(request, method, url);
        bool body_is_held_back = header(connection, MHD_HTTP_HEADER_EXPECT) != NULL;
        return request->reply.status && (body_is_held_back || request->last) ? send_reply(request) : MHD_YES;
    }
    if (*size > 0) {
        take_data(request, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (request->deferred || request->reply.status)
        return send_reply(request);
    request->received_ns = berth_clock_ns();
    count_complete(request);
    request->route->handle(request);
    return request->deferred ? MHD_YES : send_reply(request);
}

void berth_request_defer(struct berth_request *request, void (*run)(struct berth_job *job, void *owner),
                         bool (*push)(struct berth_request *request))
{
    struct berth_server *server = request->server;
    if (server->waiting >= server->max_waiting) {
        berth_reply_error(&request->reply, 429, "%zu requests wait already; try again", server->waiting);
        return;
    }
    server->waiting++;
    request->deferred = true;
    request->job.run = run;
    berth_deadlines_pause(server->deadlines, request->watch);
    MHD_suspend_connection(request->connection); /* before the push: the worker may be done at once */
    if (!push(request)) {
        berth_reply_error(&request->reply, 503, "the server is stopping");
        MHD_resume_connection(request->connection);
    }
}

void berth_request_finish(struct berth_request *request)
{
    MHD_resume_connection(request->connection);
}

bool berth_request_abandoned(struct berth_request *request)
{
    if (!atomic_load(&request->server->abandon))
        return false;
    berth_reply_error(&request->reply, 503, "the server is stopping");
    return true;
}

bool berth_request_overdue(struct berth_request *request)
{
    if (berth_request_abandoned(request))
        return true;
    if (berth_deadlines_gone(request->watch)) {
        berth_reply_error(&request->reply, 503, "the client has gone");
        return true;
    }
    uint64_t waited = berth_clock_ns() - request->received_ns;
    if (waited <= request->server->timeout_ns)
        return false;
    berth_reply_error(&request->reply, 429, "waited %.1f s for other requests; try again",
                      (double)waited * 1e-9);
    return true;
}

bool berth_request_query(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE])
{
    const char *given = NULL;
    size_t size = 0;
    MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name, strlen(name), &given,
                                  &size);
    if (!given)
        return false;
    size = berth_min(size, BERTH_VALUE_SIZE - 1);
    for (size_t i = 0; i < size; i++)
        value[i] = given[i] ? given[i] : '?';
    value[size] = 0;
    return true;
}

bool berth_request_field(const struct berth_request *request, const char *name, char value[BERTH_VALUE_SIZE])
{
    return berth_request_query(request, name, value) ||
           berth_form_value(request->body.data, request->body.size, name, value, BERTH_VALUE_SIZE);
}

const char *berth_request_header(const struct berth_request *request, const char *name)
{
    return header(request->connection, name);
}

static void run_managed(struct berth_job *job, void *owner)
{
    (void)owner;
    struct berth_request *request = (struct berth_request *)job;
    if (!berth_request_overdue(request))
        request->manage(request);
    berth_request_finish(request);
}

static bool push_to_control(struct berth_request *request)
{
    return berth_worker_push(request->server->control, &request->job);
}

void berth_request_manage(struct berth_request *request, void (*run)(struct berth_request *request))
{
    request->manage = run;
    berth_request_defer(request, run_managed, push_to_control);
}
