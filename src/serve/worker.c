/* worker.c: a first-in first-out queue of jobs and the thread that runs them. */
#include "serve/worker.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/error.h"
#include "serve/signals.h"

struct berth_worker {
    void *owner;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct berth_job *first, **end; /* end: where the next job is linked in */
    bool stopping;                  /* takes no more jobs; set once, by the one who joins */
};

/* Waits for a job; NULL when the queue is empty and stays so. */
static struct berth_job *take_job(struct berth_worker *worker)
{
    pthread_mutex_lock(&worker->lock);
    while (!worker->first && !worker->stopping)
        pthread_cond_wait(&worker->changed, &worker->lock);
    struct berth_job *job = worker->first;
    if (job) {
        worker->first = job->next;
        if (!worker->first)
            worker->end = &worker->first;
    }
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void *run_jobs(void *argument)
{
    struct berth_worker *worker = argument;
    struct berth_job *job;
    while ((job = take_job(worker)))
        job->run(job, worker->owner);
    return NULL;
}

enum berth_status berth_worker_new(void *owner, struct berth_worker **out, struct berth_error *err)
{
    *out = NULL;
    struct berth_worker *worker = berth_calloc(1, sizeof *worker);
    if (!worker)
        return berth_fail_memory(err, "a worker", sizeof *worker);
    worker->owner = owner;
    worker->end = &worker->first;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_cond_init(&worker->changed, NULL);
    int fault = berth_thread_start(&worker->thread, run_jobs, worker);
    if (fault != 0) {
        pthread_cond_destroy(&worker->changed);
        pthread_mutex_destroy(&worker->lock);
        berth_free(worker);
        return berth_fail_errno(err, fault, "cannot start a worker thread");
    }
    *out = worker;
    return BERTH_OK;
}

bool berth_worker_push(struct berth_worker *worker, struct berth_job *job)
{
    job->next = NULL;
    pthread_mutex_lock(&worker->lock);
    bool taken = !worker->stopping;
    if (taken) {
        *worker->end = job;
        worker->end = &job->next;
        pthread_cond_signal(&worker->changed);
    }
    pthread_mutex_unlock(&worker->lock);
    return taken;
}

void berth_worker_stop(struct berth_worker *worker)
{
    if (!worker)
        return;
    pthread_mutex_lock(&worker->lock);
    bool stopped = worker->stopping;
    worker->stopping = true;
    pthread_cond_signal(&worker->changed);
    pthread_mutex_unlock(&worker->lock);
    if (!stopped)
        pthread_join(worker->thread, NULL);
}

void berth_worker_free(struct berth_worker *worker)
{
    if (!worker)
        return;
    berth_worker_stop(worker);
    pthread_cond_destroy(&worker->changed);
    pthread_mutex_destroy(&worker->lock);
    berth_free(worker);
}
