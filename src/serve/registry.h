/* registry.h: the models of a server by name, each with the session and the worker that answer for it. */
#ifndef BERTH_SERVE_REGISTRY_H
#define BERTH_SERVE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/berth.h"
#include "serve/worker.h"

/* A model. Everything but `instance` stays as it is until the registry is freed. */
struct berth_entry {
    char *name;                   /* in URLs */
    char *path;                   /* as it was opened */
    struct berth_options served;  /* as the caller gave them */
    struct berth_options options; /* of new sessions: numbers and log only */
    struct berth_model *model;
    struct berth_entry *quantised;   /* the same at int8, once somebody asked for it; owned */
    struct berth_instance *instance; /* guarded by the registry's lock */
};

/* A session and the worker on which alone it is used; owner of that worker's jobs. */
struct berth_instance {
    const struct berth_entry *entry;
    size_t threads;
    struct berth_session *session;
    struct berth_worker *worker;
};

struct berth_registry;

/* Opens every model and starts its worker. */
enum berth_status berth_registry_new(const struct berth_served_model *models, size_t count,
                                     struct berth_registry **registry, struct berth_error *err);

/* Runs the jobs that wait, then frees everything. NULL is fine. */
void berth_registry_free(struct berth_registry *registry);

/* Runs the jobs that wait and joins the workers; pushes fail from here on. NULL is fine. */
void berth_registry_stop(struct berth_registry *registry);

/* The model that requests without a name go to. */
struct berth_entry *berth_registry_first(struct berth_registry *registry);

/* NULL for an unknown name. The entry lives as long as the registry. */
struct berth_entry *berth_registry_find(struct berth_registry *registry, const char *name);

/* Hands a job to the entry's present instance; false when there is none any more. */
bool berth_registry_push(struct berth_registry *registry, struct berth_entry *entry, struct berth_job *job);

/* Makes `threads` the entry's number of threads. Jobs pushed before the change still run on the old instance,
 * which comes back in *retired (NULL: nothing had to change) for berth_instance_free. One caller at a time.
 */
enum berth_status berth_registry_set_threads(struct berth_registry *registry, struct berth_entry *entry,
                                             size_t threads, struct berth_instance **retired,
                                             struct berth_error *err);

/* The entry of the same model at int8, which is opened on first use; the entry itself when it is that. One
 * caller at a time. */
enum berth_status berth_registry_quantise(struct berth_registry *registry, struct berth_entry *entry,
                                          struct berth_entry **quantised, struct berth_error *err);

/* Runs the jobs that wait, then frees. NULL is fine. */
void berth_instance_free(struct berth_instance *instance);

#endif
