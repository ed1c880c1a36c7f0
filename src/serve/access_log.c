/* access_log.c: lines under one lock; a reader that is too slow loses lines, and the next line says how many.
 */
#include "serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/registry.h"
#include "serve/request.h"

enum { HELD_BYTES = 1 << 20, FLUSHED_BYTES = 64 << 10 };

struct berth_access_log {
    char *path;
    int fd;
    pthread_mutex_t lock;
    struct berth_buffer lines;
    size_t lost; /* lines */
    _Atomic bool any;
};

static int open_file(const char *path)
{
    if (strcmp(path, "-") == 0)
        return dup(STDOUT_FILENO);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

enum berth_status berth_access_log_open(const char *path, struct berth_access_log **out,
                                        struct berth_error *err)
{
    *out = NULL;
    struct berth_access_log *log = berth_calloc(1, sizeof *log);
    if (!log || !(log->path = berth_strdup(path))) {
        berth_free(log);
        return berth_fail_memory(err, "the access log", sizeof *log);
    }
    log->fd = open_file(path);
    if (log->fd < 0) {
        enum berth_status status = berth_fail_errno(err, errno, "%s: cannot open the access log", path);
        berth_free(log->path);
        berth_free(log);
        return status;
    }
    pthread_mutex_init(&log->lock, NULL);
    berth_buffer_init(&log->lines, HELD_BYTES);
    *out = log;
    return BERTH_OK;
}

/* Under the lock. */
static void flush(struct berth_access_log *log)
{
    size_t done = 0;
    while (done < log->lines.size) {
        ssize_t n = write(log->fd, log->lines.data + done, log->lines.size - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* a full disk: what is left waits, or is lost when there is more than it may hold */
        done += (size_t)n;
    }
    if (done > 0) {
        memmove(log->lines.data, log->lines.data + done, log->lines.size - done);
        log->lines.size -= done;
    }
    atomic_store(&log->any, log->lines.size > 0);
}

void berth_access_log_flush(struct berth_access_log *log)
{
    if (!log || !atomic_load(&log->any))
        return;
    pthread_mutex_lock(&log->lock);
    flush(log);
    pthread_mutex_unlock(&log->lock);
}

void berth_access_log_close(struct berth_access_log *log)
{
    if (!log)
        return;
    berth_access_log_flush(log);
    close(log->fd);
    pthread_mutex_destroy(&log->lock);
    berth_buffer_clear(&log->lines);
    berth_free(log->path);
    berth_free(log);
}

enum berth_status berth_access_log_reopen(struct berth_access_log *log, struct berth_error *err)
{
    if (!log || strcmp(log->path, "-") == 0)
        return BERTH_OK;
    int fd = open_file(log->path);
    if (fd < 0)
        return berth_fail_errno(err, errno, "%s: cannot open the access log again", log->path);
    pthread_mutex_lock(&log->lock);
    flush(log);
    close(log->fd);
    log->fd = fd;
    pthread_mutex_unlock(&log->lock);
    return BERTH_OK;
}

static void format_time(char *text, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, size, "%s.%06uZ", seconds, (unsigned)(now.tv_nsec / 1000) % 1000000u);
}

/* What a client wrote may be no UTF-8. */
static json_t *text_of(const char *bytes)
{
    json_t *text = json_string(bytes);
    return text ? text : json_string("?");
}

static char *write_line(const struct berth_request *request, const char *outcome)
{
    const struct berth_call *call = &request->call;
    const struct berth_entry *entry = request->entry;
    char when[48];
    format_time(when, sizeof when);
    json_t *line =
        json_pack("{s:s, s:o, s:o, s:o, s:i, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "time",
                  when, "id", text_of(request->id), "method", text_of(request->method), "path",
                  text_of(request->path), "status", (int)request->reply.status, "outcome", outcome, "model",
                  entry ? json_string(entry->name) : json_null(), "version",
                  entry ? json_string(entry->version) : json_null(), "texts", (json_int_t)call->count,
                  "tokens", (json_int_t)call->tokens, "bytes_in", (json_int_t)request->received_bytes,
                  "bytes_out", (json_int_t)request->sent_bytes, "total_us",
                  (json_int_t)((berth_clock_ns() - request->begun_ns) / 1000), "queue_us",
                  (json_int_t)(call->queue_ns / 1000), "inference_us", (json_int_t)(call->compute_ns / 1000),
                  "tokenization_us", (json_int_t)(call->tokenize_ns / 1000));
    char *text = line ? json_dumps(line, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;
    json_decref(line);
    return text;
}

void berth_access_log_add(struct berth_access_log *log, const struct berth_request *request,
                          const char *outcome)
{
    if (!log)
        return;
    char *line = write_line(request, outcome);
    pthread_mutex_lock(&log->lock);
    if (log->lost > 0 && berth_buffer_format(&log->lines, "{\"lost_lines\":%zu}\n", log->lost))
        log->lost = 0;
    if (!line || !berth_buffer_format(&log->lines, "%s\n", line))
        log->lost++;
    atomic_store(&log->any, true);
    if (log->lines.size > FLUSHED_BYTES)
        flush(log);
    pthread_mutex_unlock(&log->lock);
    berth_free(line);
}
