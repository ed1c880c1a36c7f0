/* threads.c: a team on futexes.
 *
 * A run is one number, `epoch`. The caller writes the task, then adds one to the epoch and wakes who sleeps;
 * members see it change, claim pieces from a counter until none is left, and check out. The caller works too,
 * then waits until all have checked out, so the task's context may live on its stack. Both waits spin briefly
 * first: a burst of runs never enters the kernel. */
#include "base/threads.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu.h"
#include "base/error.h"

enum { SPIN_NS = 20000, CACHE_LINE = 64 };

struct member {
    struct berth_team *team;
    size_t index;
    pthread_t thread;
};

struct berth_team {
    _Alignas(CACHE_LINE) _Atomic uint32_t epoch; /* futex: grows with each run, and once more to end */
    _Atomic uint32_t sleepers;                   /* members that may be in the kernel, waiting on epoch */
    _Alignas(CACHE_LINE) _Atomic size_t next;    /* piece to claim */
    _Alignas(CACHE_LINE) _Atomic uint32_t busy;  /* futex: members that have not checked out of this run */
    _Atomic uint32_t waiting;                    /* the caller may be in the kernel, waiting on busy */
    _Alignas(CACHE_LINE) berth_task *task;       /* NULL: end */
    void *context;
    size_t count;
    size_t size;
    size_t started; /* threads to join */
    bool spins;     /* as many processors as members: spinning takes nothing from another member */
    struct member *members;
};

static void pause_briefly(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

static void futex_wait(_Atomic uint32_t *word, uint32_t expected)
{
    (void)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

/* Returns once *word differs from `old`: spins, then sleeps with `flag` raised so that the other side knows
 * to wake. */
static uint32_t await_change(const struct berth_team *team, _Atomic uint32_t *word, uint32_t old,
                             _Atomic uint32_t *flag)
{
    uint32_t now;
    if (team->spins) {
        uint64_t until = berth_clock_ns() + SPIN_NS;
        do {
            for (int i = 0; i < 64; i++) {
                now = atomic_load_explicit(word, memory_order_acquire);
                if (now != old)
                    return now;
                pause_briefly();
            }
        } while (berth_clock_ns() < until);
    }
    atomic_fetch_add(flag, 1);
    while ((now = atomic_load(word)) == old)
        futex_wait(word, old);
    atomic_fetch_sub(flag, 1);
    return now;
}

static void work(struct berth_team *team, size_t member)
{
    for (size_t i; (i = atomic_fetch_add_explicit(&team->next, 1, memory_order_relaxed)) < team->count;)
        team->task(team->context, i, member);
}

static void check_out(struct berth_team *team)
{
    if (atomic_fetch_sub(&team->busy, 1) == 1 && atomic_load(&team->waiting) > 0)
        futex_wake(&team->busy, 1);
}

static void *member_main(void *argument)
{
    struct member *self = argument;
    struct berth_team *team = self->team;
    for (uint32_t epoch = 0;;) {
        epoch = await_change(team, &team->epoch, epoch, &team->sleepers);
        if (!team->task)
            return NULL;
        work(team, self->index);
        check_out(team);
    }
}

static void announce(struct berth_team *team)
{
    atomic_fetch_add(&team->epoch, 1);
    if (atomic_load(&team->sleepers) > 0)
        futex_wake(&team->epoch, INT_MAX);
}

enum berth_status berth_team_new(size_t threads, struct berth_team **out, struct berth_error *err)
{
    *out = NULL;
    if (threads < 1 || threads > BERTH_THREADS_MAX)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%zu threads: give 1 to %d", threads,
                          BERTH_THREADS_MAX);
    struct berth_team *team = berth_aligned(sizeof *team);
    if (!team)
        return berth_fail_memory(err, "a team of threads", sizeof *team);
    *team = (struct berth_team){.size = threads, .spins = threads <= berth_cpu_allowed(NULL, 0)};
    team->members = berth_calloc(threads, sizeof *team->members);
    if (!team->members) {
        berth_team_free(team);
        return berth_fail_memory(err, "a team of threads", threads * sizeof *team->members);
    }
    /* Members take no signals: those belong to the program's own threads. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = 0;
    for (size_t i = 1; i < threads && !failed; i++) {
        team->members[i] = (struct member){.team = team, .index = i};
        failed = pthread_create(&team->members[i].thread, NULL, member_main, &team->members[i]);
        if (!failed)
            team->started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        size_t reached = team->started + 1;
        berth_team_free(team);
        return berth_fail_errno(err, failed, "cannot start thread %zu of %zu; ask for fewer with --threads",
                                reached + 1, threads);
    }
    *out = team;
    return BERTH_OK;
}

void berth_team_free(struct berth_team *team)
{
    if (!team)
        return;
    if (team->started > 0) {
        team->task = NULL;
        announce(team);
        for (size_t i = 1; i <= team->started; i++)
            pthread_join(team->members[i].thread, NULL);
    }
    berth_free(team->members);
    berth_free(team);
}

size_t berth_team_size(const struct berth_team *team)
{
    return team->size;
}

void berth_team_run(struct berth_team *team, size_t count, berth_task *task, void *context)
{
    if (team->size == 1 || count <= 1) {
        for (size_t i = 0; i < count; i++)
            task(context, i, 0);
        return;
    }
    team->task = task;
    team->context = context;
    team->count = count;
    atomic_store_explicit(&team->next, 0, memory_order_relaxed);
    atomic_store(&team->busy, (uint32_t)(team->size - 1));
    announce(team);
    work(team, 0);
    for (uint32_t busy; (busy = atomic_load(&team->busy)) != 0;)
        await_change(team, &team->busy, busy, &team->waiting);
}
