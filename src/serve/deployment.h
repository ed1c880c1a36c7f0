/* deployment.h: one generation of a model at work: its weights, its queue, and instances that compute. What a
 * reload or a change of threads makes is another deployment, which takes the place of the one before it; that
 * one ends when the last request that holds it does. */
#ifndef BERTH_SERVE_DEPLOYMENT_H
#define BERTH_SERVE_DEPLOYMENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "berth/berth.h"
#include "serve/queue.h"
#include "serve/worker.h"

struct berth_entry;
struct berth_instance;

/* An opened model, shared by deployments that differ in threads alone. */
struct berth_weights {
    _Atomic size_t references;
    struct berth_model *model;
};

enum berth_status berth_weights_open(const char *path, const struct berth_options *options,
                                     struct berth_weights **weights, struct berth_error *err);
void berth_weights_release(struct berth_weights *weights); /* NULL is fine */

struct berth_deployment {
    struct berth_job job; /* first: its end is a job of the thread that changes models */
    _Atomic size_t references;
    struct berth_entry *entry;
    struct berth_weights *weights;
    const struct berth_model_info *info;
    struct berth_queue queue;
    size_t threads, instances; /* threads of each instance */
    struct berth_instance *instance;
    size_t started;                /* instances whose threads run */
    struct berth_deployment *next; /* in the registry's list of all */
};

struct berth_deployment_options {
    size_t threads, instances;
    size_t max_batch_tokens; /* 0: the default */
    size_t max_batch_texts;  /* 0: the default, which is also the most */
    uint64_t max_delay_ns;
};

/* Sessions are made, warmed by batches of several shapes, and their threads started: ready when it returns.
 * Takes a reference of the weights; one reference of the deployment is the caller's. */
enum berth_status berth_deployment_new(struct berth_entry *entry, struct berth_weights *weights,
                                       const struct berth_deployment_options *options,
                                       struct berth_deployment **deployment, struct berth_error *err);

/* Computes what waits and joins the threads; calls are refused from here on. A second time does nothing. */
void berth_deployment_stop(struct berth_deployment *deployment);

/* Stops and frees, whatever the references. NULL is fine. */
void berth_deployment_free(struct berth_deployment *deployment);

/* On the event loop: computes what waits on this thread when it takes less than limit_ns, or wakes an
 * instance. True when something was computed. */
bool berth_deployment_dispatch(struct berth_deployment *deployment, uint64_t limit_ns);

#endif
