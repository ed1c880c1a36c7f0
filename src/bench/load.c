/* load.c: the loop of a load: connections, what is due, what has come. */
#include "bench/load.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"

enum {
    EVENTS = 256,
    GIVE_UP = 16,             /* failures in a row, other than statuses */
    CALM_NS = 20 * 1000 * 1000, /* between looks at timeouts and `going` */
    READ_SIZE = 16 * 1024,
    IDLE = -1
};

struct connection {
    int fd;            /* -1: none */
    bool writing;      /* waits for room or for the connection itself */
    bool used;         /* has carried an answer: the server may have closed it meanwhile */
    bool retried;
    long shot;         /* IDLE: none */
    size_t written;
    struct berth_answer answer;
    struct berth_buffer in;
};

struct loop {
    const struct berth_load *load;
    struct berth_shot *shots;
    struct berth_load_report *report;
    struct connection *connections; /* [load->connections] */
    size_t *idle;                   /* [idle_count] a stack: the warmest first */
    size_t idle_count, opened;      /* opened: connections ever taken, from 0 on */
    size_t next, done;
    size_t failures;                /* in a row */
    bool coarse;                    /* this kernel has no epoll_pwait2 */
    int epoll;
    uint64_t start, calm;
    bool raised; /* to real-time priority, from: */
    int policy;
    struct sched_param before;
};

static void note_fault(struct loop *loop, const char *format, const char *detail)
{
    if (!loop->report->fault[0])
        snprintf(loop->report->fault, sizeof loop->report->fault, format, detail);
}

static const struct berth_wire *wire_of(const struct berth_load *load, size_t shot)
{
    return &load->wires[load->wire ? load->wire[shot] : shot % load->wires_count];
}

static void close_connection(struct connection *c)
{
    if (c->fd >= 0)
        close(c->fd); /* leaves the epoll with it */
    c->fd = -1;
    c->used = false;
    c->in.size = 0;
}

/* The shot is over, well or not; its connection is free. */
static void end_shot(struct loop *loop, struct connection *c, enum berth_shot_fault fault)
{
    struct berth_shot *shot = &loop->shots[c->shot];
    shot->fault = fault;
    loop->done++;
    if (fault != BERTH_SHOT_OK)
        loop->report->failed++;
    loop->failures = fault == BERTH_SHOT_OK || fault >= BERTH_SHOT_STATUS ? 0 : loop->failures + 1;
    c->shot = IDLE;
    c->writing = false;
    loop->idle[loop->idle_count++] = (size_t)(c - loop->connections);
}

static void fail_shot(struct loop *loop, struct connection *c, enum berth_shot_fault fault)
{
    loop->shots[c->shot].done = berth_clock_ns();
    close_connection(c);
    end_shot(loop, c, fault);
}

static void watch(struct loop *loop, struct connection *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = (uint64_t)(c - loop->connections)};
    epoll_ctl(loop->epoll, operation, c->fd, &event);
}

static bool open_socket(struct loop *loop, struct connection *c)
{
    c->fd = berth_endpoint_connect(loop->load->endpoint);
    if (c->fd < 0) {
        note_fault(loop, "cannot connect: %s", strerror(errno));
        return false;
    }
    loop->report->opened++;
    c->writing = true;
    watch(loop, c, EPOLL_CTL_ADD, EPOLLIN | EPOLLOUT);
    return true;
}

static void reset_shot(struct loop *loop, struct connection *c);

/* Hands the kernel what it takes; the rest when there is room. */
static void write_shot(struct loop *loop, struct connection *c)
{
    const struct berth_wire *wire = wire_of(loop->load, (size_t)c->shot);
    while (c->written < wire->size) {
        ssize_t n = send(c->fd, wire->bytes + c->written, wire->size - c->written, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN)) {
            if (!c->writing)
                watch(loop, c, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
            c->writing = true;
            return;
        }
        if (n < 0) {
            reset_shot(loop, c);
            return;
        }
        c->written += (size_t)n;
    }
    if (c->writing)
        watch(loop, c, EPOLL_CTL_MOD, EPOLLIN);
    c->writing = false;
}

/* A kept connection that the server closed before it saw the request is no failure: once more on a new one, its
 * moments as they were. */
static void reset_shot(struct loop *loop, struct connection *c)
{
    bool stale = c->used && c->in.size == 0 && !c->retried;
    int fault = errno;
    close_connection(c);
    c->written = 0;
    if (stale) {
        c->retried = true;
        berth_answer_init(&c->answer);
        if (open_socket(loop, c))
            return;
        fail_shot(loop, c, BERTH_SHOT_CONNECT);
        return;
    }
    note_fault(loop, "the connection broke: %s", fault ? strerror(fault) : "closed by the server");
    fail_shot(loop, c, BERTH_SHOT_RESET);
}

static void begin_shot(struct loop *loop, size_t shot_index)
{
    struct connection *c = &loop->connections[loop->idle[--loop->idle_count]];
    struct berth_shot *shot = &loop->shots[shot_index];
    c->shot = (long)shot_index;
    c->written = 0;
    c->retried = false;
    c->in.size = 0;
    berth_answer_init(&c->answer);
    size_t under_way = loop->next - loop->done;
    loop->report->outstanding_max = berth_max(loop->report->outstanding_max, under_way);
    shot->sent = berth_clock_ns();
    shot->due = loop->load->due ? loop->start + loop->load->due[shot_index] : shot->sent;
    uint64_t lateness = shot->sent > shot->due ? shot->sent - shot->due : 0;
    loop->report->late += lateness > BERTH_LOAD_LATE_NS;
    if (lateness > loop->report->latest_ns)
        loop->report->latest_ns = lateness;
    if (c->fd < 0) {
        if (!open_socket(loop, c))
            fail_shot(loop, c, BERTH_SHOT_CONNECT);
        return; /* written once it is connected */
    }
    write_shot(loop, c);
}

static void take_answer(struct loop *loop, struct connection *c, uint64_t now)
{
    struct berth_shot *shot = &loop->shots[c->shot];
    const struct berth_answer *answer = &c->answer;
    shot->done = now;
    shot->status = answer->status;
    shot->stages = answer->stages;
    enum berth_shot_fault fault = BERTH_SHOT_OK;
    if (answer->status != 200) {
        char words[200];
        int size = (int)berth_min(answer->body_size, 150);
        snprintf(words, sizeof words, "%d: %.*s", answer->status, size, c->in.data + answer->body);
        note_fault(loop, "the server answers %s", words);
        fault = BERTH_SHOT_STATUS;
    } else if (loop->load->answered && !loop->load->answered(loop->load->context, (size_t)c->shot,
                                                              c->in.data + answer->body, answer->body_size)) {
        note_fault(loop, "%s", "an answer is not what was asked for");
        fault = BERTH_SHOT_WRONG;
    }
    bool keep = answer->keep_alive && answer->end == c->in.size;
    c->used = true;
    if (!keep)
        close_connection(c);
    end_shot(loop, c, fault);
}

static void read_shot(struct loop *loop, struct connection *c)
{
    bool closed = false;
    for (;;) {
        if (!berth_buffer_reserve(&c->in, READ_SIZE)) {
            note_fault(loop, "%s", "an answer too large to hold");
            fail_shot(loop, c, BERTH_SHOT_GARBAGE);
            return;
        }
        size_t room = c->in.capacity - c->in.size - 1;
        ssize_t n = recv(c->fd, c->in.data + c->in.size, room, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0 && c->in.size == 0) {
            if (n == 0)
                errno = 0;
            reset_shot(loop, c);
            return;
        }
        closed = n <= 0;
        c->in.size += closed ? 0 : (size_t)n;
        uint64_t now = berth_clock_ns();
        enum berth_answer_state state = berth_answer_read(&c->answer, c->in.data, c->in.size, closed);
        if (state == BERTH_ANSWER_WHOLE) {
            take_answer(loop, c, now);
            return;
        }
        if (state == BERTH_ANSWER_BAD) {
            note_fault(loop, "no HTTP answer: %s", c->answer.fault);
            fail_shot(loop, c, BERTH_SHOT_GARBAGE);
            return;
        }
        if ((size_t)n < room)
            return;
    }
}

static void handle(struct loop *loop, const struct epoll_event *event)
{
    struct connection *c = &loop->connections[event->data.u64];
    if (c->fd < 0)
        return; /* closed while this batch of events was handled */
    if (c->shot == IDLE) {
        if (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR))
            close_connection(c); /* the server is done with it */
        return;
    }
    if (c->writing && (event->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
        int fault = 0;
        socklen_t size = sizeof fault;
        getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &fault, &size);
        if (fault) {
            note_fault(loop, "cannot connect: %s", strerror(fault));
            fail_shot(loop, c, BERTH_SHOT_CONNECT);
            return;
        }
        write_shot(loop, c);
    }
    if (c->shot != IDLE && c->fd >= 0 && (event->events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
        read_shot(loop, c);
}

static void end_overdue(struct loop *loop, uint64_t now)
{
    uint64_t limit = (uint64_t)loop->load->timeout_ms * 1000000u;
    for (size_t i = 0; i < loop->opened; i++) {
        struct connection *c = &loop->connections[i];
        if (c->shot != IDLE && now - loop->shots[c->shot].sent > limit) {
            char words[32];
            snprintf(words, sizeof words, "%u ms", loop->load->timeout_ms);
            note_fault(loop, "no answer within %s", words);
            fail_shot(loop, c, BERTH_SHOT_TIMEOUT);
        }
    }
}

static bool is_due(const struct loop *loop, uint64_t now)
{
    return loop->next < loop->load->count && loop->failures < GIVE_UP &&
           (!loop->load->due || now >= loop->start + loop->load->due[loop->next]);
}

static void send_due(struct loop *loop)
{
    while (is_due(loop, berth_clock_ns())) {
        if (loop->idle_count == 0) {
            if (loop->opened == loop->load->connections)
                return; /* all are busy: what is due waits here, and its time runs */
            loop->idle[loop->idle_count++] = loop->opened++;
        }
        begin_shot(loop, loop->next++);
    }
}

/* A schedule is kept at real-time priority, where the system lets this process have it: else this thread waits up to a time
 * slice of several milliseconds behind the server that shares its processor, and the requests are late. Between two requests
 * it sleeps, so that it takes nothing from the server but what it takes anyway. */
static void raise_priority(struct loop *loop)
{
    const struct sched_param least = {.sched_priority = 1};
    loop->raised = pthread_getschedparam(pthread_self(), &loop->policy, &loop->before) == 0 &&
                   pthread_setschedparam(pthread_self(), SCHED_FIFO, &least) == 0;
}

static void lower_priority(struct loop *loop)
{
    if (loop->raised)
        pthread_setschedparam(pthread_self(), loop->policy, &loop->before);
    loop->raised = false;
}

/* Until the next shot is due or something comes, at most until the next look at the rest. */
static int wait_events(struct loop *loop, struct epoll_event *events)
{
    uint64_t now = berth_clock_ns(), until = loop->calm + CALM_NS;
    bool free_one = loop->idle_count > 0 || loop->opened < loop->load->connections;
    if (loop->load->due && free_one && loop->next < loop->load->count && loop->failures < GIVE_UP) {
        uint64_t due = loop->start + loop->load->due[loop->next];
        until = due < until ? due : until;
    }
    uint64_t left = until > now ? until - now : 0;
    if (!loop->coarse) {
        struct timespec wait = {.tv_sec = (time_t)(left / 1000000000u), .tv_nsec = (long)(left % 1000000000u)};
        int count = epoll_pwait2(loop->epoll, events, EVENTS, &wait, NULL);
        if (count >= 0 || errno != ENOSYS)
            return count;
        loop->coarse = true;
        lower_priority(loop); /* what spins must not keep the server from running */
    }
    return epoll_wait(loop->epoll, events, EVENTS, (int)(left / 1000000u)); /* the last of it spins */
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum berth_status run_loop(struct loop *loop, struct berth_error *err)
{
    struct epoll_event events[EVENTS];
    while (loop->done < loop->next ||
           (loop->next < loop->load->count && loop->failures < GIVE_UP)) {
        send_due(loop);
        int count = wait_events(loop, events);
        for (int i = 0; i < count; i++)
            handle(loop, &events[i]);
        uint64_t now = berth_clock_ns();
        if (now - loop->calm < CALM_NS)
            continue;
        loop->calm = now;
        end_overdue(loop, now);
        if (loop->load->going && !loop->load->going(loop->load->context, loop->done))
            return berth_fail(err, BERTH_CANCELLED, "stopped after %zu of %zu requests", loop->done,
                              loop->load->count);
    }
    return BERTH_OK;
}

/* As many files as the system lets this process open. */
static void allow_files(size_t wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted + 64) {
        limit.rlim_cur = limit.rlim_max < wanted + 64 ? limit.rlim_max : wanted + 64;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

enum berth_status berth_load_run(const struct berth_load *load, struct berth_shot *shots,
                                 struct berth_load_report *report, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    struct loop loop = {.load = load, .shots = shots, .report = report, .epoll = -1};
    int slack = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
    *report = (struct berth_load_report){0};
    for (size_t i = 0; i < load->count; i++)
        shots[i] = (struct berth_shot){.fault = BERTH_SHOT_NOT_SENT};
    loop.connections = berth_calloc(load->connections, sizeof *loop.connections);
    loop.idle = berth_calloc(load->connections, sizeof *loop.idle);
    loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!loop.connections || !loop.idle || loop.epoll < 0) {
        status = berth_fail_memory(err, "connections", load->connections * sizeof *loop.connections);
        goto fail;
    }
    for (size_t i = 0; i < load->connections; i++) {
        loop.connections[i].fd = -1;
        loop.connections[i].shot = IDLE;
        berth_buffer_init(&loop.connections[i].in, BERTH_ANSWER_BODY_MAX + BERTH_ANSWER_HEADERS_MAX);
    }
    allow_files(load->connections);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* the kernel rounds no wait up: 50 us by default */
    if (load->due)
        raise_priority(&loop);
    uint64_t cpu = thread_cpu_ns();
    loop.start = loop.calm = report->started = berth_clock_ns();
    status = run_loop(&loop, err);
    report->ended = berth_clock_ns();
    report->cpu_ns = thread_cpu_ns() - cpu;
    lower_priority(&loop);
    report->failed += load->count - loop.next;
    prctl(PR_SET_TIMERSLACK, slack > 0 ? slack : 0, 0, 0, 0);
fail:
    for (size_t i = 0; loop.connections && i < loop.opened; i++) {
        close_connection(&loop.connections[i]);
        berth_buffer_clear(&loop.connections[i].in);
    }
    if (loop.epoll >= 0)
        close(loop.epoll);
    berth_free(loop.connections);
    berth_free(loop.idle);
    return status;
}

struct kept_body {
    char *bytes;
    size_t size;
};

static bool keep_body(void *context, size_t shot, const char *body, size_t size)
{
    struct kept_body *kept = context;
    (void)shot;
    kept->bytes = berth_strndup(size ? body : "", size);
    kept->size = size;
    return kept->bytes != NULL;
}

enum berth_status berth_load_ask(const struct berth_endpoint *endpoint, const struct berth_wire *wire,
                                 unsigned timeout_ms, int *status, char **body, size_t *size,
                                 struct berth_error *err)
{
    struct kept_body kept = {0};
    struct berth_shot shot;
    struct berth_load_report report;
    const struct berth_load load = {.endpoint = endpoint,
                                    .wires = wire,
                                    .wires_count = 1,
                                    .count = 1,
                                    .connections = 1,
                                    .timeout_ms = timeout_ms,
                                    .answered = keep_body,
                                    .context = &kept};
    *body = NULL;
    *size = 0;
    enum berth_status result = berth_load_run(&load, &shot, &report, err);
    if (result != BERTH_OK) {
        berth_free(kept.bytes);
        return result;
    }
    *status = shot.status;
    if (shot.fault == BERTH_SHOT_STATUS) { /* what it said goes into the caller's message */
        const char *said = strstr(report.fault, ": ");
        kept.bytes = berth_strdup(said ? said + 2 : "");
        if (!kept.bytes)
            return berth_fail_memory(err, "an answer", sizeof report.fault);
        kept.size = strlen(kept.bytes);
    } else if (shot.fault != BERTH_SHOT_OK) {
        return berth_fail(err, BERTH_IO, "target %s: %s", endpoint->url,
                          report.fault[0] ? report.fault : "no memory for its answer");
    }
    *body = kept.bytes;
    *size = kept.size;
    return BERTH_OK;
}
