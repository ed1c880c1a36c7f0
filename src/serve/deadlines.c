/* deadlines.c: a list of connections with a moment each, and the thread that looks at it. */
#include "serve/deadlines.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/error.h"
#include "serve/signals.h"

struct berth_watch {
    struct berth_watch *next, *previous;
    int socket;
    uint64_t late;        /* ns of the clock; UINT64_MAX: never */
    const char *farewell; /* sent before the cut; NULL: nothing */
    size_t place;         /* among those that are asked for; SIZE_MAX: none */
};

struct berth_deadlines {
    uint64_t timeout_ns;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct berth_watch *first;
    bool stopping;
    /* the thread's own */
    struct pollfd *asked;
    size_t capacity;
};

static void cut_late(struct berth_deadlines *deadlines)
{
    uint64_t now = berth_clock_ns();
    for (struct berth_watch *watch = deadlines->first; watch; watch = watch->next)
        if (now >= watch->late) { /* under the lock: whoever answers the request first begins another step */
            if (watch->farewell)
                (void)send(watch->socket, watch->farewell, strlen(watch->farewell),
                           MSG_DONTWAIT | MSG_NOSIGNAL);
            shutdown(watch->socket, SHUT_RDWR); /* the event loop sees the end of the stream and closes */
            watch->late = UINT64_MAX;
        }
}

static bool has_room(struct berth_deadlines *deadlines, size_t count)
{
    if (count < deadlines->capacity)
        return true;
    size_t capacity = count ? 2 * count : 64;
    struct pollfd *grown = berth_realloc(deadlines->asked, capacity, sizeof *grown);
    if (!grown)
        return false;
    deadlines->asked = grown;
    deadlines->capacity = capacity;
    return true;
}

/* Those whose next step is the client's, to be asked whether they have closed; where memory runs out, not all of them:
 * the others have their time. */
static size_t list_open(struct berth_deadlines *deadlines)
{
    size_t count = 0;
    for (struct berth_watch *watch = deadlines->first; watch; watch = watch->next) {
        watch->place = SIZE_MAX;
        if (watch->late == UINT64_MAX || !has_room(deadlines, count))
            continue;
        deadlines->asked[count] = (struct pollfd){.fd = watch->socket, .events = POLLRDHUP};
        watch->place = count++;
    }
    return count;
}

/* libmicrohttpd 0.9.75 does not see the end of a stream that arrives together with data. Shutting down a side that the
 * client has closed already changes nothing but that the event loop is told once more. */
static void tell_of_ends(struct berth_deadlines *deadlines, size_t count)
{
    int unread;
    for (struct berth_watch *watch = deadlines->first; watch; watch = watch->next)
        if (watch->place < count && watch->late != UINT64_MAX && (deadlines->asked[watch->place].revents & POLLRDHUP) &&
            ioctl(watch->socket, FIONREAD, &unread) == 0 && unread == 0)
            shutdown(watch->socket, SHUT_RD);
}

/* Looks eight times in a timeout and at least every second, at most every 10 ms: a step ends at the latest an eighth
 * after its moment. */
static void *look(void *argument)
{
    struct berth_deadlines *deadlines = argument;
    uint64_t pause = deadlines->timeout_ns / 8;
    if (pause > 1000000000u)
        pause = 1000000000u;
    if (pause < 10000000u)
        pause = 10000000u;
    pthread_mutex_lock(&deadlines->lock);
    while (!deadlines->stopping) {
        uint64_t until = berth_clock_ns() + pause;
        struct timespec moment = {.tv_sec = (time_t)(until / 1000000000u),
                                  .tv_nsec = (long)(until % 1000000000u)};
        pthread_cond_timedwait(&deadlines->changed, &deadlines->lock, &moment);
        cut_late(deadlines);
        size_t count = list_open(deadlines);
        pthread_mutex_unlock(&deadlines->lock); /* so many are not asked in no time */
        int closed = poll(deadlines->asked, count, 0);
        pthread_mutex_lock(&deadlines->lock);
        if (closed > 0)
            tell_of_ends(deadlines, count);
    }
    pthread_mutex_unlock(&deadlines->lock);
    return NULL;
}

enum berth_status berth_deadlines_new(unsigned timeout_ms, struct berth_deadlines **out,
                                      struct berth_error *err)
{
    *out = NULL;
    struct berth_deadlines *deadlines = berth_calloc(1, sizeof *deadlines);
    if (!deadlines)
        return berth_fail_memory(err, "the server's deadlines", sizeof *deadlines);
    deadlines->timeout_ns = (uint64_t)timeout_ms * 1000000u;
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&deadlines->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&deadlines->lock, NULL);
    int fault = berth_thread_start(&deadlines->thread, look, deadlines);
    if (fault != 0) {
        pthread_cond_destroy(&deadlines->changed);
        pthread_mutex_destroy(&deadlines->lock);
        berth_free(deadlines);
        return berth_fail_errno(err, fault, "cannot start the thread that cuts late connections");
    }
    *out = deadlines;
    return BERTH_OK;
}

void berth_deadlines_free(struct berth_deadlines *deadlines)
{
    if (!deadlines)
        return;
    pthread_mutex_lock(&deadlines->lock);
    deadlines->stopping = true;
    pthread_cond_signal(&deadlines->changed);
    pthread_mutex_unlock(&deadlines->lock);
    pthread_join(deadlines->thread, NULL);
    while (deadlines->first) {
        struct berth_watch *next = deadlines->first->next;
        berth_free(deadlines->first);
        deadlines->first = next;
    }
    pthread_cond_destroy(&deadlines->changed);
    pthread_mutex_destroy(&deadlines->lock);
    berth_free(deadlines->asked);
    berth_free(deadlines);
}

struct berth_watch *berth_deadlines_watch(struct berth_deadlines *deadlines, int socket)
{
    struct berth_watch *watch = berth_calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->socket = socket;
    watch->place = SIZE_MAX;
    watch->late = berth_clock_ns() + deadlines->timeout_ns;
    pthread_mutex_lock(&deadlines->lock);
    watch->next = deadlines->first;
    if (watch->next)
        watch->next->previous = watch;
    deadlines->first = watch;
    pthread_mutex_unlock(&deadlines->lock);
    return watch;
}

static void set_late(struct berth_deadlines *deadlines, struct berth_watch *watch, uint64_t late,
                     const char *farewell)
{
    if (!watch)
        return;
    pthread_mutex_lock(&deadlines->lock);
    watch->late = late;
    watch->farewell = farewell;
    pthread_mutex_unlock(&deadlines->lock);
}

void berth_deadlines_begin(struct berth_deadlines *deadlines, struct berth_watch *watch, const char *farewell)
{
    set_late(deadlines, watch, berth_clock_ns() + deadlines->timeout_ns, farewell);
}

void berth_deadlines_pause(struct berth_deadlines *deadlines, struct berth_watch *watch)
{
    set_late(deadlines, watch, UINT64_MAX, NULL);
}

bool berth_deadlines_closed(int socket)
{
    struct pollfd client = {.fd = socket, .events = POLLRDHUP};
    return poll(&client, 1, 0) == 1 && (client.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void berth_deadlines_forget(struct berth_deadlines *deadlines, struct berth_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_lock(&deadlines->lock);
    if (watch->previous)
        watch->previous->next = watch->next;
    else
        deadlines->first = watch->next;
    if (watch->next)
        watch->next->previous = watch->previous;
    pthread_mutex_unlock(&deadlines->lock);
    berth_free(watch);
}
