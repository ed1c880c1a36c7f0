/* test_worker.c: jobs run once each, in order, one at a time; a stop runs what waits and refuses what comes.
 */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "serve/worker.h"

enum { JOBS = 2000, PUSHERS = 4 };

/* What the jobs of one worker write: only the worker's thread does, so plain memory is right. */
struct seen {
    size_t count;
    size_t pusher[PUSHERS]; /* jobs of each pusher seen so far */
    bool in_order, signals_blocked;
};

struct numbered {
    struct berth_job job;
    size_t pusher, number;
    useconds_t pause;
};

static void note(struct berth_job *job, void *owner)
{
    struct numbered *numbered = (struct numbered *)job;
    struct seen *seen = owner;
    if (numbered->pause)
        usleep(numbered->pause);
    if (seen->pusher[numbered->pusher]++ != numbered->number)
        seen->in_order = false;
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    seen->signals_blocked = sigismember(&mask, SIGTERM) && sigismember(&mask, SIGINT);
    seen->count++;
}

struct pusher {
    pthread_t thread;
    struct berth_worker *worker;
    struct numbered jobs[JOBS];
    size_t refused;
};

static void *push_all(void *argument)
{
    struct pusher *pusher = argument;
    for (size_t i = 0; i < JOBS; i++)
        pusher->refused += !berth_worker_push(pusher->worker, &pusher->jobs[i].job);
    return NULL;
}

static void push_from_many_threads_runs_each_job_once_in_order(void **state)
{
    (void)state;
    static struct pusher pushers[PUSHERS];
    struct seen seen = {.in_order = true};
    struct berth_worker *worker;
    assert_int_equal(berth_worker_new(&seen, &worker, NULL), BERTH_OK);
    for (size_t p = 0; p < PUSHERS; p++) {
        pushers[p].worker = worker;
        for (size_t i = 0; i < JOBS; i++)
            pushers[p].jobs[i] = (struct numbered){.job.run = note, .pusher = p, .number = i};
        assert_int_equal(pthread_create(&pushers[p].thread, NULL, push_all, &pushers[p]), 0);
    }
    for (size_t p = 0; p < PUSHERS; p++)
        pthread_join(pushers[p].thread, NULL);
    berth_worker_free(worker);
    assert_int_equal(seen.count, PUSHERS * JOBS);
    assert_true(seen.in_order);
    assert_true(seen.signals_blocked);
    for (size_t p = 0; p < PUSHERS; p++)
        assert_int_equal(pushers[p].refused, 0);
}

static void stop_runs_what_waits_and_refuses_what_comes(void **state)
{
    (void)state;
    struct numbered jobs[5];
    struct seen seen = {.in_order = true};
    struct berth_worker *worker;
    assert_int_equal(berth_worker_new(&seen, &worker, NULL), BERTH_OK);
    for (size_t i = 0; i < 5; i++) {
        jobs[i] = (struct numbered){.job.run = note, .number = i, .pause = 2000};
        assert_true(berth_worker_push(worker, &jobs[i].job));
    }
    berth_worker_stop(worker);
    assert_int_equal(seen.count, 5);
    struct numbered late = {.job.run = note};
    assert_false(berth_worker_push(worker, &late.job));
    berth_worker_stop(worker);
    berth_worker_free(worker);
    assert_int_equal(seen.count, 5);
}

static void free_of_none_does_nothing(void **state)
{
    (void)state;
    berth_worker_stop(NULL);
    berth_worker_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_from_many_threads_runs_each_job_once_in_order),
        cmocka_unit_test(stop_runs_what_waits_and_refuses_what_comes),
        cmocka_unit_test(free_of_none_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
