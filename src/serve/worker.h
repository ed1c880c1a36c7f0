/* worker.h: one thread and the queue in front of it. What is not thread-safe (a session) belongs to one
 * worker, and every use of it is a job of that worker, so uses follow each other in order of arrival. */
#ifndef BERTH_SERVE_WORKER_H
#define BERTH_SERVE_WORKER_H

#include <stdbool.h>

#include "berth/status.h"

/* Embed it as the first member of what the job works on. The worker never touches a job after `run` was
 * entered. */
struct berth_job {
    struct berth_job *next;
    void (*run)(struct berth_job *job, void *owner); /* on the worker's thread; owner is the worker's */
};

struct berth_worker;

/* `owner` is borrowed and handed to every job. The thread takes no signals. */
enum berth_status berth_worker_new(void *owner, struct berth_worker **worker, struct berth_error *err);

/* Appends a job, from any thread; false when the worker is being freed: the job was not taken. Allocates
 * nothing; the caller bounds how many jobs wait. */
bool berth_worker_push(struct berth_worker *worker, struct berth_job *job);

/* Takes no more jobs, runs those that wait, joins the thread; pushes fail from here on. NULL and a second
 * call are fine. Not from the worker's own thread. */
void berth_worker_stop(struct berth_worker *worker);

/* Stops, then frees. NULL is fine. */
void berth_worker_free(struct berth_worker *worker);

#endif
