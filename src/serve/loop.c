/* loop.c: rounds of libmicrohttpd, and between them the hand-over. */
#include "serve/loop.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/error.h"
#include "serve/access_log.h"
#include "serve/request.h"
#include "serve/server.h"
#include "serve/signals.h"

enum {
    IDLE_DESCRIPTORS = 64,         /* left to the rest of the process */
    INLINE_ALONE_NS = 2000000,     /* what a loop computes itself on a single processor, */
    INLINE_BESIDE_NS = 300000,     /* and where a worker could compute beside it */
    CONNECTION_MEMORY = 32 * 1024, /* bytes: bounds a request's line and headers */
};

static void log_event(void *context, const char *format, va_list args)
{
    const struct berth_loop *loop = context;
    const struct berth_options *defaults = &loop->server->defaults;
    char line[512];
    if (!defaults->log || vsnprintf(line, sizeof line, format, args) < 0)
        return;
    size_t length = 0;
    while (line[length] && line[length] != '\n')
        length++;
    line[length] = 0;
    defaults->log(defaults->log_context, BERTH_SEVERITY_WARNING, line);
}

/* Within what the process may open: more clients are left in the listen queue. */
static unsigned connection_limit(const struct berth_server *server)
{
    struct rlimit files;
    size_t wanted = server->max_connections;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY)
        wanted = berth_min(wanted, files.rlim_cur > 2 * IDLE_DESCRIPTORS ? files.rlim_cur - IDLE_DESCRIPTORS
                                                                         : IDLE_DESCRIPTORS);
    return (unsigned)wanted;
}

/* --- a round -------------------------------------------------------------------------------------- */

void berth_loop_touch(struct berth_loop *loop, struct berth_deployment *deployment)
{
    for (size_t i = 0; i < loop->touched_count; i++)
        if (loop->touched[i] == deployment)
            return;
    if (loop->touched_count == BERTH_LOOP_TOUCHED)
        berth_queue_kick(&deployment->queue);
    else
        loop->touched[loop->touched_count++] = deployment;
}

/* A touched deployment lives: its calls are held by requests that only this thread ends. */
static void hand_over(struct berth_loop *loop)
{
    uint64_t limit = loop->server->processors > 1 ? INLINE_BESIDE_NS : INLINE_ALONE_NS;
    for (size_t i = 0; i < loop->touched_count; i++)
        berth_deployment_dispatch(loop->touched[i], limit);
    loop->touched_count = 0;
}

void berth_loop_give_back(struct berth_loop *loop, struct berth_request *request)
{
    bool own = pthread_equal(pthread_self(), loop->thread);
    pthread_mutex_lock(&loop->lock);
    bool first = !loop->done;
    request->job.next = (struct berth_job *)loop->done;
    loop->done = request;
    /* under the lock: once it is free, the loop may end and close the descriptor */
    if (first && !own)
        (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
    pthread_mutex_unlock(&loop->lock);
}

/* False when nothing had come back. */
static bool take_back(struct berth_loop *loop)
{
    pthread_mutex_lock(&loop->lock);
    struct berth_request *done = loop->done, *ordered = NULL;
    loop->done = NULL;
    pthread_mutex_unlock(&loop->lock);
    while (done) { /* the list has the last one first */
        struct berth_request *next = (struct berth_request *)done->job.next;
        done->job.next = (struct berth_job *)ordered;
        ordered = done;
        done = next;
    }
    bool any = ordered != NULL;
    while (ordered) {
        struct berth_request *next = (struct berth_request *)ordered->job.next;
        berth_request_ready(ordered);
        ordered = next;
    }
    return any;
}

static void wait_for_events(struct berth_loop *loop, int epoll_fd)
{
    MHD_UNSIGNED_LONG_LONG limit;
    int timeout = -1;
    if (MHD_get_timeout(loop->daemon, &limit) == MHD_YES)
        timeout = (int)berth_min((size_t)limit, 1000);
    if (timeout == 0) /* the next round asks anyway */
        return;
    struct pollfd ready[2] = {{.fd = epoll_fd, .events = POLLIN}, {.fd = loop->wake_fd, .events = POLLIN}};
    if (poll(ready, 2, timeout) > 0 && ready[1].revents) {
        uint64_t count;
        (void)!read(loop->wake_fd, &count, sizeof count);
    }
}

static void stop_listening(struct berth_loop *loop)
{
    if (loop->socket < 0)
        return;
    MHD_quiesce_daemon(loop->daemon);
    close(loop->socket);
    loop->socket = -1;
}

static void *run_loop(void *argument)
{
    struct berth_loop *loop = argument;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int epoll_fd = info->epoll_fd;
    while (!atomic_load(&loop->stopping)) {
        if (atomic_load(&loop->quiet))
            stop_listening(loop);
        loop->round++;
        MHD_run(loop->daemon);
        hand_over(loop);
        if (!take_back(loop)) {
            berth_access_log_flush(loop->server->access_log);
            wait_for_events(loop, epoll_fd);
            take_back(loop);
        }
    }
    take_back(loop);
    MHD_run(loop->daemon);
    return NULL;
}

/* --- life ----------------------------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(struct berth_loop *loop, const struct berth_tls *tls)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (tls ? MHD_USE_TLS : 0);
    struct MHD_OptionItem secure[] = {{MHD_OPTION_HTTPS_MEM_CERT, 0, tls ? tls->cert : NULL},
                                      {MHD_OPTION_HTTPS_MEM_KEY, 0, tls ? tls->key : NULL},
                                      {MHD_OPTION_END, 0, NULL}};
    static struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        flags, 0, NULL, NULL, berth_request_on_data, loop, MHD_OPTION_EXTERNAL_LOGGER, log_event, loop,
        MHD_OPTION_LISTEN_SOCKET, loop->socket, MHD_OPTION_CONNECTION_LIMIT, connection_limit(loop->server),
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_COMPLETED,
        berth_request_on_end, loop, MHD_OPTION_NOTIFY_CONNECTION, berth_request_on_connection, loop,
        MHD_OPTION_URI_LOG_CALLBACK, berth_request_on_line, loop, MHD_OPTION_ARRAY, tls ? secure : plain,
        MHD_OPTION_END);
}

enum berth_status berth_loop_start(struct berth_loop *loop, struct berth_server *server, int socket,
                                   const struct berth_tls *tls, struct berth_error *err)
{
    *loop = (struct berth_loop){.server = server, .socket = socket, .tls = tls != NULL};
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    loop->daemon = loop->wake_fd < 0 ? NULL : start_daemon(loop, tls);
    int fault = loop->daemon ? berth_thread_start(&loop->thread, run_loop, loop) : 0;
    loop->running = loop->daemon && fault == 0;
    if (loop->running)
        return BERTH_OK;
    berth_loop_stop(loop);
    if (fault)
        return berth_fail_errno(err, fault, "cannot start the event loop's thread");
    return berth_fail(err, BERTH_IO, "the HTTP event loop did not start%s",
                      tls ? ": check the TLS certificate and key" : "");
}

static void wake(struct berth_loop *loop)
{
    (void)!write(loop->wake_fd, &(uint64_t){1}, sizeof(uint64_t));
}

void berth_loop_quiet(struct berth_loop *loop)
{
    atomic_store(&loop->quiet, true);
    if (loop->running)
        wake(loop);
}

void berth_loop_stop(struct berth_loop *loop)
{
    if (!loop->server)
        return;
    if (loop->running) {
        atomic_store(&loop->stopping, true);
        wake(loop);
        pthread_join(loop->thread, NULL);
        loop->running = false;
    }
    if (loop->daemon) {
        stop_listening(loop);
        MHD_stop_daemon(loop->daemon);
    } else if (loop->socket >= 0) {
        close(loop->socket);
    }
    while (loop->spare) {
        struct berth_request *next = (struct berth_request *)loop->spare->job.next;
        berth_request_free(loop->spare);
        loop->spare = next;
    }
    berth_buffer_clear(&loop->metrics);
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    pthread_mutex_destroy(&loop->lock);
    loop->server = NULL;
}
