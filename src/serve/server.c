/* server.c: the life of a server: models opened, sockets bound, event loops started; and all of it taken down
 * in an order in which nothing is used after it is gone. */
#include "serve/server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "serve/listen.h"
#include "serve/page.h"
#include "serve/request.h"

enum {
    DEFAULT_BODY = 8 << 20,  /* bytes */
    DEFAULT_WAITING = 512,   /* requests */
    DEFAULT_TIMEOUT = 30000, /* ms */
    DEFAULT_CONNECTIONS = 16384,
    DEFAULT_TEXTS = 16384,    /* of a request */
    DEFAULT_TOKENS = 1 << 20, /* of a request */
    HELD_BODIES = 32,         /* largest bodies held at once */
    LAST_BODIES = 500,        /* ms for bodies that are on their way when a stop begins */
    LAST_ANSWERS = 1000,      /* ms for the answers to what a stop abandoned */
    PEM_MAX = 1 << 20,        /* bytes of a certificate or key */
};

static size_t or_else(size_t given, size_t otherwise)
{
    return given ? given : otherwise;
}

static void take_options(struct berth_server *server, const struct berth_server_options *options)
{
    size_t timeout = or_else(options->request_timeout_ms, DEFAULT_TIMEOUT);
    server->port = options->port;
    server->defaults = options->defaults;
    server->processors = berth_cpu_allowed(NULL, 0);
    server->max_body_bytes =
        berth_min(or_else(options->max_body_bytes, DEFAULT_BODY), SIZE_MAX / 4 / HELD_BODIES);
    server->max_held_bytes = server->max_body_bytes * HELD_BODIES;
    server->max_waiting = berth_min(or_else(options->max_concurrent_requests, DEFAULT_WAITING), 1u << 20);
    server->max_connections = berth_min(or_else(options->max_connections, DEFAULT_CONNECTIONS), 1u << 24);
    server->max_texts = or_else(options->max_texts, DEFAULT_TEXTS);
    server->max_tokens = or_else(options->max_tokens, DEFAULT_TOKENS);
    server->timeout_ns = (uint64_t)timeout * 1000000u;
    server->max_queue_ns = (uint64_t)berth_min(or_else(options->max_queue_ms, timeout), timeout) * 1000000u;
    server->drain_ns = (uint64_t)or_else(options->drain_timeout_ms, timeout) * 1000000u;
    if (getrandom(&server->id_seed, sizeof server->id_seed, GRND_NONBLOCK) < 0)
        server->id_seed = berth_clock_ns();
}

/* A file as one NUL-terminated text. */
static enum berth_status read_pem(const char *path, char **out, struct berth_error *err)
{
    *out = NULL;
    FILE *file = fopen(path, "re");
    if (!file)
        return berth_fail_errno(err, errno, "%s: cannot open", path);
    char *text = berth_malloc(PEM_MAX, 1);
    size_t size = text ? fread(text, 1, PEM_MAX, file) : 0;
    bool whole = text && feof(file) && !ferror(file) && size < PEM_MAX;
    fclose(file);
    if (whole && size > 0) {
        text[size] = 0;
        *out = text;
        return BERTH_OK;
    }
    berth_free(text);
    if (!text)
        return berth_fail_memory(err, path, PEM_MAX);
    return berth_fail(err, BERTH_FORMAT, "%s: is no PEM file: empty, beyond 1 MiB, or unreadable", path);
}

static void clear_tls(struct berth_tls *tls)
{
    berth_free(tls->cert);
    berth_free(tls->key);
}

/* Both loops listen, or none. */
static enum berth_status start_loops(struct berth_server *server, const struct berth_server_options *options,
                                     struct berth_error *err)
{
    enum berth_status status;
    const char *host = options->host ? options->host : "127.0.0.1";
    struct berth_tls tls = {0};
    int fd;
    if (!options->tls_cert != !options->tls_key)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "TLS needs both a certificate and its key");
    if (options->tls_cert) {
        BERTH_TRY(read_pem(options->tls_cert, &tls.cert, err));
        BERTH_TRY(read_pem(options->tls_key, &tls.key, err));
    }
    unsigned port = options->check_only ? 0 : server->port;
    BERTH_TRY(berth_listen(host, &port, &fd, err));
    server->port = port;
    BERTH_TRY(berth_loop_start(&server->loop[0], server, fd, tls.cert ? &tls : NULL, err));
    if (options->unix_socket && !options->check_only) {
        BERTH_TRY(berth_listen_unix(options->unix_socket, &fd, err));
        server->unix_socket = berth_strdup(options->unix_socket);
        BERTH_TRY(berth_loop_start(&server->loop[1], server, fd, NULL, err));
    }
fail:
    clear_tls(&tls);
    return status;
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
    take_options(server, options);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->quiet, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&server->lock, NULL);
    BERTH_TRY(berth_access_new(options->api_keys, options->api_key_count, options->cors_origins,
                               options->cors_origin_count, &server->access, err));
    if (options->access_log && !options->check_only)
        BERTH_TRY(berth_access_log_open(options->access_log, &server->access_log, err));
    BERTH_TRY(berth_worker_new(server, &server->control, err));
    BERTH_TRY(berth_worker_new(server, &server->beside, err));
    BERTH_TRY(
        berth_registry_new(options->models, options->model_count, server->control, &server->registry, err));
    BERTH_TRY(berth_page_new(options, &server->page, err));
    BERTH_TRY(berth_deadlines_new((unsigned)(server->timeout_ns / 1000000u), &server->deadlines, err));
    BERTH_TRY(start_loops(server, options, err));
    if (options->check_only)
        goto fail; /* with nothing wrong */
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

/* --- reloading ------------------------------------------------------------------------------------ */

static void say(const struct berth_server *server, enum berth_severity severity, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(const struct berth_server *server, enum berth_severity severity, const char *format, ...)
{
    char line[BERTH_ERROR_SIZE + 256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (server->defaults.log)
        server->defaults.log(server->defaults.log_context, severity, line);
}

static void run_reload(struct berth_job *job, void *owner)
{
    (void)job;
    struct berth_server *server = owner;
    struct berth_error err;
    atomic_store(&server->reloading, false); /* what comes from now on wants another one */
    if (berth_access_log_reopen(server->access_log, &err) != BERTH_OK)
        say(server, BERTH_SEVERITY_WARNING, "%s", err.message);
    for (size_t i = 0; i < berth_registry_count(server->registry) && !atomic_load(&server->draining); i++) {
        struct berth_entry *entry = berth_registry_at(server->registry, i);
        if (!berth_registry_ready(server->registry, entry, NULL, 0))
            continue; /* unloaded on purpose */
        if (berth_registry_load(server->registry, entry, &err) == BERTH_OK)
            say(server, BERTH_SEVERITY_INFO, "model '%s' version %s was loaded again", entry->name,
                entry->version);
        else
            say(server, BERTH_SEVERITY_WARNING, "model '%s' version %s stays as it was: %s", entry->name,
                entry->version, err.message);
    }
}

void berth_server_reload(struct berth_server *server)
{
    if (atomic_exchange(&server->reloading, true))
        return; /* one that has not begun yet does for both */
    server->reload.run = run_reload;
    if (!berth_worker_push(server->control, &server->reload))
        atomic_store(&server->reloading, false);
}

/* --- the end -------------------------------------------------------------------------------------- */

/* Until `count` of the requests is 0, for at most `limit_ns`. */
static void wait_until_none(struct berth_server *server, const size_t *count, uint64_t limit_ns)
{
    uint64_t until = berth_clock_ns() + limit_ns;
    struct timespec moment = {.tv_sec = (time_t)(until / 1000000000u),
                              .tv_nsec = (long)(until % 1000000000u)};
    pthread_mutex_lock(&server->lock);
    while (*count > 0)
        if (pthread_cond_timedwait(&server->quiet, &server->lock, &moment) == ETIMEDOUT)
            break;
    pthread_mutex_unlock(&server->lock);
}

static void drain(struct berth_server *server)
{
    atomic_store(&server->draining, true);
    for (size_t i = 0; i < BERTH_LOOPS_MAX; i++)
        if (server->loop[i].running)
            berth_loop_quiet(&server->loop[i]);
    wait_until_none(server, &server->active, (uint64_t)LAST_BODIES * 1000000u);
    wait_until_none(server, &server->complete, server->drain_ns);
    atomic_store(&server->abandon, true);
}

void berth_server_stop(struct berth_server *server)
{
    if (!server)
        return;
    bool ran = server->loop[0].running;
    if (ran)
        drain(server);
    /* Those who hold requests go first: each gives back what it has, and the loops must not end before that.
     */
    berth_worker_stop(server->beside);
    berth_worker_stop(server->control);
    berth_page_stop(server->page);
    berth_registry_stop(server->registry);
    if (ran)
        wait_until_none(server, &server->complete, (uint64_t)LAST_ANSWERS * 1000000u);
    for (size_t i = 0; i < BERTH_LOOPS_MAX; i++)
        berth_loop_stop(&server->loop[i]);
    if (server->unix_socket)
        unlink(server->unix_socket);
    berth_free(server->unix_socket);
    berth_deadlines_free(server->deadlines);
    berth_page_free(server->page);
    berth_registry_free(server->registry);
    berth_worker_free(server->beside);
    berth_worker_free(server->control);
    berth_access_log_close(server->access_log);
    berth_access_free(server->access);
    pthread_cond_destroy(&server->quiet);
    pthread_mutex_destroy(&server->lock);
    berth_free(server);
}
