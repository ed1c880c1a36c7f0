/* request.c: receives requests, bounds them, hands them to their handlers, and moves them between the event
 * loop and the other threads. */
#include "serve/request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "serve/answer.h"
#include "serve/form.h"
#include "serve/framing.h"
#include "serve/handlers.h"
#include "serve/route.h"

enum {
    BESIDE_BYTES = 32 << 10, /* a body so large is read beside the event loop, */
    BESIDE_TEXTS = 32,       /* and an answer about so many texts written there */
    SPARE_REQUESTS = 1024,   /* kept by a loop to use again, */
    SPARE_BYTES = 64 << 10,  /* with at most so much memory each */
    LOOKED_AFTER = 2000000,  /* ns of waiting before a client's socket is looked at */
};

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

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? info->connect_fd : -1;
}

void berth_request_on_connection(void *context, struct MHD_Connection *connection, void **watch,
                                 enum MHD_ConnectionNotificationCode what)
{
    struct berth_loop *loop = context;
    struct berth_server *server = loop->server;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        atomic_fetch_sub(&server->connections, 1);
        berth_deadlines_forget(server->deadlines, *watch);
        *watch = NULL;
        return;
    }
    atomic_fetch_add(&server->connections, 1);
    int fd = socket_of(connection);
    if (fd >= 0)
        *watch = berth_deadlines_watch(server->deadlines, fd);
}

static const char late_request[] =
    "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: 93\r\n"
    "Connection: close\r\n\r\n"
    "{\"error\": \"the request did not arrive within --request-timeout-ms\", \"error_type\": \"Timeout\"}\n";

static const char long_target[] =
    "HTTP/1.1 414 URI Too Long\r\nContent-Type: application/json\r\nContent-Length: 77\r\n"
    "Connection: close\r\n\r\n"
    "{\"error\": \"the target of the request is too long\", \"error_type\": \"TooLarge\"}\n";

/* --- life ----------------------------------------------------------------------------------------- */

void berth_request_free(struct berth_request *request)
{
    berth_buffer_clear(&request->body);
    berth_reply_clear(&request->reply);
    berth_call_clear(&request->call);
    berth_free(request);
}

/* Everything but the memory that the next one can use. */
static void recycle(struct berth_request *request)
{
    struct berth_loop *loop = request->loop;
    berth_reply_clear(&request->reply);
    if (loop->spare_count == SPARE_REQUESTS ||
        request->body.capacity + berth_call_bytes(&request->call) > SPARE_BYTES) {
        berth_request_free(request);
        return;
    }
    struct berth_buffer body = request->body;
    struct berth_call call = request->call;
    *request = (struct berth_request){.body = body, .job.next = (struct berth_job *)loop->spare};
    request->body.size = 0;
    berth_call_reset(&call);
    request->call = call;
    loop->spare = request;
    loop->spare_count++;
}

static struct berth_request *new_request(struct berth_loop *loop)
{
    struct berth_request *request = loop->spare;
    if (!request)
        return berth_calloc(1, sizeof *request);
    loop->spare = (struct berth_request *)request->job.next;
    loop->spare_count--;
    request->job.next = NULL;
    return request;
}

/* The client's own id, when it is fit for a header and a log; else one of ours. */
static void set_id(struct berth_request *request)
{
    const char *given = header(request->connection, "x-request-id");
    size_t size = given ? strlen(given) : 0, good = 0;
    while (good < size && given[good] > ' ' && given[good] < 127)
        good++;
    if (size > 0 && good == size && size < BERTH_REQUEST_ID_SIZE) {
        memcpy(request->id, given, size + 1);
        return;
    }
    static const char digits[] = "0123456789abcdef";
    uint64_t n =
        request->server->id_seed + atomic_fetch_add(&request->server->next_id, 1) * 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < 16; i++, n >>= 4)
        request->id[i] = digits[n & 15];
    request->id[16] = 0;
}

static void copy_cut(char *out, size_t size, const char *text)
{
    size_t length = strnlen(text, size - 1);
    memcpy(out, text, length);
    out[length] = 0;
}

/* The request line is there: from now on headers and body have their time. The target is looked at now because the
 * library decodes it in place; NULL, when memory ran out, closes the connection once the head is there. */
void *berth_request_on_line(void *context, const char *uri, struct MHD_Connection *connection)
{
    struct berth_loop *loop = context;
    berth_deadlines_begin(loop->server->deadlines, watch_of(connection), loop->tls ? NULL : late_request);
    struct berth_request *request = new_request(loop);
    if (!request)
        return NULL;
    request->server = loop->server;
    request->loop = loop;
    request->target_size = strlen(uri);
    if (berth_framing_target(uri, &request->target_fault) == 414) {
        int fd = socket_of(connection);
        if (!loop->tls)
            (void)send(fd, long_target, sizeof long_target - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        shutdown(fd, SHUT_RDWR);
    }
    return request;
}

static void begin(struct berth_request *request, struct MHD_Connection *connection, const char *method,
                  const char *path)
{
    struct berth_server *server = request->server;
    request->begun = true;
    request->connection = connection;
    request->watch = watch_of(connection);
    request->socket = socket_of(connection);
    request->begun_ns = berth_clock_ns();
    request->body.limit = server->max_body_bytes;
    copy_cut(request->method, sizeof request->method, method);
    copy_cut(request->path, sizeof request->path, path);
    set_id(request);
    pthread_mutex_lock(&server->lock);
    server->active++;
    pthread_mutex_unlock(&server->lock);
}

static void release_body(struct berth_request *request)
{
    atomic_fetch_sub(&request->server->held_bytes, request->body.size);
    request->body.size = 0;
}

static void leave_waiting(struct berth_request *request)
{
    if (request->waits)
        atomic_fetch_sub(&request->server->waiting, 1);
    request->waits = false;
}

static void end(struct berth_request *request, bool sent)
{
    struct berth_server *server = request->server;
    berth_answer_count(request, sent);
    leave_waiting(request);
    release_body(request);
    berth_registry_release(server->registry, request->deployment);
    bool complete = request->complete;
    recycle(request);
    pthread_mutex_lock(&server->lock);
    server->active--;
    server->complete -= complete;
    pthread_cond_signal(&server->quiet);
    pthread_mutex_unlock(&server->lock);
}

/* Whether the client's system has refused what was sent: the client had closed the connection. One that had closed its
 * own side only has its answer. */
static bool was_refused_by_peer(int socket)
{
    int fault = 0;
    socklen_t size = sizeof fault;
    return getsockopt(socket, SOL_SOCKET, SO_ERROR, &fault, &size) == 0 && fault != 0;
}

void berth_request_on_end(void *context, struct MHD_Connection *connection, void **slot,
                          enum MHD_RequestTerminationCode why)
{
    (void)context;
    struct berth_request *request = *slot;
    if (!request)
        return;
    *slot = NULL;
    if (!request->begun) { /* its headers never came */
        berth_deadlines_begin(request->server->deadlines, watch_of(connection), NULL);
        recycle(request);
        return;
    }
    berth_deadlines_begin(request->server->deadlines, request->watch, NULL);
    if (request->state == BERTH_REQUEST_BUSY) { /* others hold it: it ends when it comes back */
        request->connection = NULL;
        request->watch = NULL;
        atomic_store(&request->orphan, true);
        return;
    }
    end(request, why == MHD_REQUEST_TERMINATED_COMPLETED_OK && request->reply.status &&
                     !was_refused_by_peer(request->socket));
}

/* --- receiving ------------------------------------------------------------------------------------ */

static void refuse_large(struct berth_request *request)
{
    berth_reply_error(&request->reply, 413, "the body is larger than %zu bytes",
                      request->server->max_body_bytes);
}

/* Where one reader of the bytes sees a body, another might see the next request: true when that cannot be. */
static bool check_framing(struct berth_request *request, const char *method, const char *version)
{
    struct berth_framing_line line = {.method = method, .version = version, .target_size = request->target_size};
    struct berth_framing framing = berth_framing_check(request->connection, &line);
    const char *fault = request->target_fault ? request->target_fault : framing.fault;
    if (fault)
        berth_reply_error(&request->reply, 400, "%s", fault);
    request->last = fault != NULL;
    request->closes = fault || framing.chunked;
    return !fault;
}

/* What a browser asks before it asks. */
static bool is_preflight(const struct berth_request *request, const char *method)
{
    return strcmp(method, "OPTIONS") == 0 && header(request->connection, "Access-Control-Request-Method") &&
           berth_access_origin(request->server->access, header(request->connection, "Origin"));
}

static void answer_preflight(struct berth_request *request)
{
    berth_reply_begin(&request->reply, 204, NULL);
    berth_reply_header(&request->reply, "Access-Control-Allow-Methods", "GET, HEAD, POST");
    berth_reply_header(&request->reply, "Access-Control-Allow-Headers",
                       "authorization, content-type, inference-header-content-length, x-request-id");
    berth_reply_header(&request->reply, "Access-Control-Max-Age", "600");
}

/* Who the request counts for, as soon as that can be known. */
static void find_entry(struct berth_request *request)
{
    if (!request->route || request->route->kind > BERTH_ROUTE_NAMED)
        return;
    struct berth_entry *study = atomic_load(&request->server->study);
    if (request->route->handle == berth_handle_inference && study &&
        !MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "model"))
        request->entry = study;
    else
        request->entry = berth_request_entry(request);
}

/* With the headers there: finds out what can be refused without the body. */
static void check_headers(struct berth_request *request, const char *method, const char *path)
{
    struct berth_server *server = request->server;
    struct berth_reply *reply = &request->reply;
    if (is_preflight(request, method)) {
        answer_preflight(request);
        return;
    }
    request->route = berth_route_find(method, path, request);
    find_entry(request);
    const char *length = header(request->connection, MHD_HTTP_HEADER_CONTENT_LENGTH), *coding;
    bool public = request->route && request->route->kind >= BERTH_ROUTE_PUBLIC;
    if (!public && !berth_access_allows(server->access, header(request->connection, "Authorization")))
        berth_reply_error(reply, 401, "an API key is needed: send the header \"Authorization: Bearer KEY\"");
    else if (atomic_load(&server->draining) && !(request->route && request->route->kind == BERTH_ROUTE_LIVE))
        berth_reply_error(reply, 503, "the server is stopping");
    else if (request->route && (coding = header(request->connection, MHD_HTTP_HEADER_CONTENT_ENCODING)) != NULL &&
             strcasecmp(coding, "identity") != 0)
        berth_reply_error(reply, 415, "Content-Encoding '%s': send the body as it is", coding);
    else if (request->route && length && strtoull(length, NULL, 10) > server->max_body_bytes)
        refuse_large(request);
}

/* The rest of a refused body is read and dropped, because a client that is still sending would otherwise see
 * a broken connection and not the answer. Its time is bounded like every body's. */
static void take_data(struct berth_request *request, const char *data, size_t size)
{
    struct berth_server *server = request->server;
    request->received_bytes += size;
    if (request->reply.status)
        return;
    size_t held = atomic_load(&server->held_bytes);
    if (size > request->body.limit - request->body.size)
        refuse_large(request);
    else if (size > server->max_held_bytes - berth_min(held, server->max_held_bytes))
        berth_reply_error(&request->reply, 429, "too many large requests wait already; try again");
    else if (!berth_buffer_append(&request->body, data, size))
        berth_reply_error(&request->reply, 503, "memory ran out");
    else
        atomic_fetch_add(&server->held_bytes, size);
    if (request->reply.status)
        release_body(request);
}

/* From now on a stop waits for it. */
static void count_complete(struct berth_request *request)
{
    request->complete = true;
    pthread_mutex_lock(&request->server->lock);
    request->server->complete++;
    pthread_mutex_unlock(&request->server->lock);
}

/* --- handing over --------------------------------------------------------------------------------- */

/* A place among those that wait; false when there is none. */
static bool enter_waiting(struct berth_request *request)
{
    struct berth_server *server = request->server;
    size_t waiting = atomic_fetch_add(&server->waiting, 1);
    request->waits = true;
    if (waiting < server->max_waiting)
        return true;
    leave_waiting(request);
    berth_reply_error(&request->reply, 429, "%zu requests wait already; try again", waiting);
    return false;
}

static void suspend(struct berth_request *request)
{
    request->suspended = true;
    MHD_suspend_connection(request->connection);
}

/* Before others may touch it. */
static void make_busy(struct berth_request *request)
{
    request->state = BERTH_REQUEST_BUSY;
    berth_deadlines_pause(request->server->deadlines, request->watch);
}

/* The call enters its queue. False: it did not, and the reply says why. The request is not to be touched
 * after. */
static bool push_call(struct berth_request *request)
{
    struct berth_call *call = &request->call;
    uint64_t own = call->timeout_ns ? call->timeout_ns : UINT64_MAX, wait;
    unsigned refused;
    const struct berth_server *server = request->server;
    call->timeout_ns = berth_min(own, server->max_queue_ns);
    /* an estimate that was a little low must not cost those their answer who have waited for it */
    call->limit_ns = berth_min(own, berth_min(2 * server->max_queue_ns, server->timeout_ns));
    if (berth_queue_push(&request->deployment->queue, call, &refused, &wait))
        return true;
    if (refused == 429)
        berth_reply_error(&request->reply, 429, "%.1f s of work wait already; try again",
                          (double)wait * 1e-9);
    else
        berth_reply_error(&request->reply, 503, "the server is stopping");
    return false;
}

static bool has_work(const struct berth_call *call)
{
    for (size_t i = 0; i < call->count; i++)
        if (call->items[i].status == BERTH_OK)
            return true;
    return false;
}

static void run_deferred(struct berth_job *job, void *owner)
{
    (void)owner;
    struct berth_request *request = (struct berth_request *)job;
    uint64_t waited = berth_clock_ns() - request->received_ns;
    if (!berth_request_ended(request, waited, request->server->timeout_ns))
        request->deferred(request);
    berth_loop_give_back(request->loop, request);
}

/* On the event loop; true: the request has gone elsewhere. */
static bool take_step(struct berth_request *request)
{
    struct berth_deployment *deployment = request->deployment;
    struct berth_loop *loop = request->loop;
    if (request->reply.status || request->step == BERTH_STEP_REPLY)
        return false;
    if (request->step == BERTH_STEP_CALL && !has_work(&request->call))
        return false;
    if (!enter_waiting(request))
        return false;
    make_busy(request);
    if (request->step == BERTH_STEP_DEFER) {
        request->job.run = run_deferred;
        suspend(request);
        if (berth_worker_push(request->worker, &request->job))
            return true;
        berth_reply_error(&request->reply, 503, "the server is stopping");
        berth_request_ready(request);
        return true;
    }
    bool large =
        request->call.count > BESIDE_TEXTS; /* its answer is written elsewhere, so it must not be an orphan */
    if (large)
        suspend(request);
    if (push_call(request)) {
        berth_loop_touch(loop, deployment);
        return true;
    }
    request->state = BERTH_REQUEST_READY;
    if (large)
        berth_request_ready(request);
    return large;
}

/* The handler of a large body, and what it asked for. */
static void run_beside(struct berth_job *job, void *owner)
{
    (void)owner;
    struct berth_request *request = (struct berth_request *)job;
    struct berth_deployment *deployment;
    request->route->handle(request);
    if (!request->reply.status && request->step == BERTH_STEP_DEFER) {
        request->job.run = run_deferred;
        if (berth_worker_push(request->worker, &request->job))
            return;
        berth_reply_error(&request->reply, 503, "the server is stopping");
    } else if (!request->reply.status && request->step == BERTH_STEP_CALL && has_work(&request->call)) {
        deployment = request->deployment;
        atomic_fetch_add(&deployment->references, 1); /* the request may end before the kick */
        struct berth_registry *registry = request->server->registry;
        bool pushed = push_call(request);
        if (pushed)
            berth_queue_kick(&deployment->queue);
        berth_registry_release(registry, deployment);
        if (pushed)
            return;
    } else {
        berth_answer_write(request);
    }
    berth_loop_give_back(request->loop, request);
}

static bool go_beside(struct berth_request *request)
{
    if (!enter_waiting(request))
        return false;
    make_busy(request);
    suspend(request);
    request->beside = true;
    request->job.run = run_beside;
    if (!berth_worker_push(request->server->beside, &request->job)) {
        berth_reply_error(&request->reply, 503, "the server is stopping");
        berth_request_ready(request);
    }
    return true;
}

void berth_request_computed(struct berth_request *request)
{
    if (request->beside || request->call.count > BESIDE_TEXTS)
        berth_answer_write(request);
    berth_loop_give_back(request->loop, request);
}

void berth_request_ready(struct berth_request *request)
{
    request->state = BERTH_REQUEST_READY;
    if (atomic_load(&request->orphan)) {
        end(request, false);
        return;
    }
    if (request->suspended) {
        request->suspended = false;
        MHD_resume_connection(request->connection);
    }
}

static enum MHD_Result respond(struct berth_request *request)
{
    request->state = BERTH_REQUEST_READY;
    berth_answer_write(request);
    leave_waiting(request);
    release_body(request);
    return berth_answer_send(request);
}

/* Called first with the headers, then with each piece of the body, then without data (*size 0), and again in
 * each round until there is an answer, or the connection is suspended. */
enum MHD_Result berth_request_on_data(void *context, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version, const char *data, size_t *size,
                                      void **slot)
{
    (void)context;
    struct berth_request *request = *slot;
    if (!request)
        return MHD_NO;
    if (!request->begun) {
        begin(request, connection, method, url);
        if (check_framing(request, method, version))
            check_headers(request, method, url);
        bool body_is_held_back = header(connection, MHD_HTTP_HEADER_EXPECT) != NULL;
        return request->reply.status && (body_is_held_back || request->last) ? respond(request) : MHD_YES;
    }
    if (*size > 0) {
        take_data(request, data, *size);
        *size = 0;
        return MHD_YES;
    }
    if (request->state == BERTH_REQUEST_BUSY) { /* it takes longer than a round */
        if (!request->suspended)
            suspend(request);
        return MHD_YES;
    }
    if (request->state == BERTH_REQUEST_READY || request->reply.status)
        return respond(request);
    request->received_ns = berth_clock_ns();
    count_complete(request);
    if (request->body.size > BESIDE_BYTES)
        return go_beside(request) ? MHD_YES : respond(request);
    request->route->handle(request);
    return take_step(request) ? MHD_YES : respond(request);
}

bool berth_request_ended(struct berth_request *request, uint64_t waited_ns, uint64_t limit_ns)
{
    struct berth_reply *reply = &request->reply;
    if (atomic_load(&request->server->abandon)) {
        berth_reply_error(reply, 503, "the server is stopping");
        return true;
    }
    if (atomic_load(&request->orphan) ||
        (waited_ns > LOOKED_AFTER && berth_deadlines_closed(request->socket))) {
        berth_reply_error(reply, 499, "the client has gone");
        return true;
    }
    if (waited_ns <= limit_ns)
        return false;
    berth_reply_error(reply, 429, "waited %.1f s for other requests; try again", (double)waited_ns * 1e-9);
    return true;
}

/* --- for handlers --------------------------------------------------------------------------------- */

void berth_request_defer(struct berth_request *request, struct berth_worker *worker,
                         void (*run)(struct berth_request *request))
{
    request->deferred = run;
    request->worker = worker;
    request->step = BERTH_STEP_DEFER;
}

void berth_request_manage(struct berth_request *request, void (*run)(struct berth_request *request))
{
    berth_request_defer(request, request->server->control, run);
}

const char *berth_request_header(const struct berth_request *request, const char *name)
{
    return header(request->connection, name);
}

struct berth_entry *berth_request_entry(struct berth_request *request)
{
    char value[BERTH_VALUE_SIZE];
    struct berth_registry *registry = request->server->registry;
    const char *name = request->model[0] ? request->model : NULL;
    const char *version = request->version[0] ? request->version : NULL;
    if (!name && berth_request_query(request, "model", value))
        name = value;
    struct berth_entry *entry =
        name ? berth_registry_find(registry, name, version) : berth_registry_at(registry, 0);
    if (!entry)
        berth_reply_error(&request->reply, 404, "no model named '%s'%s%s is served here", name,
                          version ? " in version " : "", version ? version : "");
    return entry;
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
