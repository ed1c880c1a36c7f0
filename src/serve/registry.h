/* registry.h: the models of a server by name and version. An entry stays until the registry is freed; what
 * answers for it is its deployment, which loading, unloading and reloading replace. Whoever works with a
 * deployment holds a reference: the one before ends when the last of its requests has. */
#ifndef BERTH_SERVE_REGISTRY_H
#define BERTH_SERVE_REGISTRY_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/berth.h"
#include "serve/deployment.h"
#include "serve/metrics.h"
#include "serve/worker.h"

enum { BERTH_NAME_SIZE = 129, BERTH_VERSION_SIZE = 33 };

struct berth_entry {
    char *name, *version;         /* in URLs */
    char *path;                   /* as it is opened */
    struct berth_options served;  /* as the caller gave them */
    struct berth_options options; /* of new sessions: log only */
    size_t instances;
    uint64_t max_delay_ns;
    size_t max_batch_texts; /* 0: the default */
    struct berth_metrics *metrics; /* owned, but of a `quantised` entry, which counts with its model */
    struct berth_entry *quantised; /* the same at int8, once somebody asked for it; owned */
    bool is_quantised;

    /* guarded by the registry's lock */
    struct berth_deployment *deployment; /* NULL: not loaded */
    size_t threads;                      /* of the next deployment's instances; 0: the default */
    char reason[200]; /* why it is not loaded, or why the last reload failed; "": nothing */
};

struct berth_registry;

/* Opens every model and starts its instances. `control` (borrowed) is where deployments end. */
enum berth_status berth_registry_new(const struct berth_served_model *models, size_t count,
                                     struct berth_worker *control, struct berth_registry **registry,
                                     struct berth_error *err);

/* Frees everything, whatever the references: no request is left. NULL is fine. */
void berth_registry_free(struct berth_registry *registry);

/* Computes what waits and joins the instances; calls are refused from here on. NULL is fine. */
void berth_registry_stop(struct berth_registry *registry);

/* NULL for an unknown name; version NULL: the highest that is loaded, or else the highest. / All of them:
 * [0, count). The first is the one that requests without a name go to. */
struct berth_entry *berth_registry_find(struct berth_registry *registry, const char *name,
                                        const char *version);
size_t berth_registry_count(const struct berth_registry *registry);
struct berth_entry *berth_registry_at(struct berth_registry *registry, size_t index);

/* The entry's deployment with a reference for the caller; NULL when it is not loaded. */
struct berth_deployment *berth_registry_acquire(struct berth_registry *registry, struct berth_entry *entry);
void berth_registry_release(struct berth_registry *registry, struct berth_deployment *deployment);

/* Whether it is loaded and warm, and the reason when not (or when its last reload failed); "" for none. */
bool berth_registry_ready(struct berth_registry *registry, struct berth_entry *entry, char *reason,
                          size_t size);

/* The rest on the control thread only (berth_request_manage), one at a time. Each leaves requests under way
 * with the deployment that they have. */

/* Loads the model, or loads it again from its files: it answers when it is warm. A failure leaves the present
 * deployment in place and is kept as the entry's reason. */
enum berth_status berth_registry_load(struct berth_registry *registry, struct berth_entry *entry,
                                      struct berth_error *err);
void berth_registry_unload(struct berth_registry *registry, struct berth_entry *entry);

/* Makes `threads` the number of threads of each instance. */
enum berth_status berth_registry_set_threads(struct berth_registry *registry, struct berth_entry *entry,
                                             size_t threads, struct berth_error *err);

/* The entry of the same model at int8, which is opened on first use; the entry itself when it is that. */
enum berth_status berth_registry_quantise(struct berth_registry *registry, struct berth_entry *entry,
                                          struct berth_entry **quantised, struct berth_error *err);

#endif
