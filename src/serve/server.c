/* server.c: the life of a server: models opened, socket bound, event loop started; and all of it taken down
 * in an order in which nothing is used after it is gone. */
#include "serve/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/listen.h"
#include "serve/page.h"
#include "serve/request.h"
#include "serve/signals.h"

enum {
    DEFAULT_BODY = 8 << 20,  /* bytes */
    DEFAULT_WAITING = 512,   /* requests */
    DEFAULT_TIMEOUT = 30000, /* ms */
    HELD_BODIES = 32,        /* largest bodies held at once */
    IDLE_DESCRIPTORS = 64,   /* file descriptors left to the rest of the process */
    LAST_BODIES = 500,       /* ms for bodies that are on their way when a stop begins */
    LAST_ANSWERS = 1000,     /* ms for the answers to what a stop abandoned */
};

static void log_event(void *context, const char *format, va_list args)
{
    const struct berth_server *server = context;
    char line[512];
    if (!server->defaults.log || vsnprintf(line, sizeof line, format, args) < 0)
        return;
    size_t length = 0;
    while (line[length] && line[length] != '\n')
        length++;
    line[length] = 0;
    server->defaults.log(server->defaults.log_context, BERTH_SEVERITY_WARNING, line);
}

/* Twice what may wait, within what the process may open: more clients are left in the listen queue. */
static unsigned connection_limit(const struct berth_server *server)
{
    struct rlimit files;
    size_t wanted = berth_max(1024, server->max_waiting * 2);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        wanted = berth_min(wanted, files.rlim_cur > 2 * IDLE_DESCRIPTORS ? files.rlim_cur - IDLE_DESCRIPTORS
                                                                         : IDLE_DESCRIPTORS);
    return (unsigned)wanted;
}

static enum berth_status start_loop(struct berth_server *server, const char *host, struct berth_error *err)
{
    int fd;
    enum berth_status status = berth_listen(host, &server->port, &fd, err);
    if (status != BERTH_OK)
        return status;
    sigset_t before;
    berth_signals_block(&before);
    server->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0,
        NULL, NULL, berth_request_on_data, server, MHD_OPTION_EXTERNAL_LOGGER, log_event, server,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, connection_limit(server),
        MHD_OPTION_NOTIFY_COMPLETED, berth_request_on_end, server, MHD_OPTION_NOTIFY_CONNECTION,
        berth_request_on_connection, server, MHD_OPTION_URI_LOG_CALLBACK, berth_request_on_line, server,
        MHD_OPTION_END);
    berth_signals_restore(&before);
    if (server->daemon)
        return BERTH_OK;
    close(fd);
    return berth_fail(err, BERTH_IO, "the HTTP event loop did not start on %s port %u", host, server->port);
}

enum berth_status berth_server_start(const struct berth_server_options *options, struct berth_server **out,
                                     struct berth_error *err)
{
    *out = NULL;
    if (!options)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a server needs options: at least one model");
    enum berth_status status;
    struct berth_server *server = berth_calloc(1, sizeof *server);
    if (!server)
        return berth_fail_memory(err, "a server", sizeof *server);
    unsigned timeout_ms = options->request_timeout_ms ? options->request_timeout_ms : DEFAULT_TIMEOUT;
    server->port = options->port;
    server->defaults = options->defaults;
    server->max_body_bytes = options->max_body_bytes ? options->max_body_bytes : DEFAULT_BODY;
    server->max_body_bytes = berth_min(server->max_body_bytes, SIZE_MAX / 4 / HELD_BODIES);
    server->max_held_bytes = server->max_body_bytes * HELD_BODIES;
    server->max_waiting =
        options->max_concurrent_requests ? options->max_concurrent_requests : DEFAULT_WAITING;
    server->max_waiting = berth_min(server->max_waiting, 1u << 20);
    server->timeout_ns = (uint64_t)timeout_ms * 1000000u;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->quiet, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    BERTH_TRY(berth_registry_new(options->models, options->model_count, &server->registry, err));
    BERTH_TRY(berth_worker_new(server, &server->control, err));
    BERTH_TRY(berth_page_new(options, &server->page, err));
    BERTH_TRY(berth_deadlines_new(timeout_ms, &server->deadlines, err));
    BERTH_TRY(start_loop(server, options->host ? options->host : "127.0.0.1", err));
    *out = server;
    return BERTH_OK;
fail:
    berth_server_stop(server);
    return status;
}

unsigned berth_server_port(const struct berth_server *server)
{
    return server->port;
}

/* Until `count` of the requests is 0, for at most `limit_ms`. */
static void wait_until_none(struct berth_server *server, const size_t *count, uint64_t limit_ms)
{
    uint64_t until = berth_clock_ns() + limit_ms * 1000000u;
    struct timespec moment = {.tv_sec = (time_t)(until / 1000000000u),
                              .tv_nsec = (long)(until % 1000000000u)};
    pthread_mutex_lock(&server->lock);
    while (*count > 0)
        if (pthread_cond_timedwait(&server->quiet, &server->lock, &moment) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&server->lock);
}

void berth_server_stop(struct berth_server *server)
{
    if (!server)
        return;
    if (server->daemon) {
        atomic_store(&server->draining, true);
        int fd = MHD_quiesce_daemon(server->daemon);
        if (fd != MHD_INVALID_SOCKET)
            close(fd);
        wait_until_none(server, &server->active, LAST_BODIES);
        wait_until_none(server, &server->complete, server->timeout_ns / 1000000u);
        atomic_store(&server->abandon, true);
    }
    /* The workers go first: each suspended connection is resumed by one, and the loop must not end before
     * that. */
    berth_worker_stop(server->control);
    berth_page_stop(server->page);
    berth_registry_stop(server->registry);
    if (server->daemon) {
        wait_until_none(server, &server->complete, LAST_ANSWERS);
        MHD_stop_daemon(server->daemon);
    }
    berth_deadlines_free(server->deadlines);
    berth_page_free(server->page);
    berth_registry_free(server->registry);
    berth_worker_free(server->control);
    pthread_cond_destroy(&server->quiet);
    pthread_mutex_destroy(&server->lock);
    berth_free(server);
}
