/* registry.c: opens the models of a server, finds them, and puts new deployments in the place of old ones. */
#include "serve/registry.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu.h"
#include "base/error.h"

struct berth_registry {
    struct berth_worker *control;
    pthread_mutex_t lock;
    struct berth_deployment *all; /* every deployment that was not freed; guarded by the lock */
    bool stopping;                /* deployments stay until the end; guarded */
    size_t count;
    struct berth_entry entry[];
};

/* --- deployments ---------------------------------------------------------------------------------- */

static void forget(struct berth_registry *registry, struct berth_deployment *deployment)
{
    struct berth_deployment **place = &registry->all;
    while (*place != deployment)
        place = &(*place)->next;
    *place = deployment->next;
}

static void run_end(struct berth_job *job, void *owner)
{
    (void)owner;
    berth_deployment_free((struct berth_deployment *)job);
}

void berth_registry_release(struct berth_registry *registry, struct berth_deployment *deployment)
{
    if (!deployment || atomic_fetch_sub(&deployment->references, 1) > 1)
        return;
    pthread_mutex_lock(&registry->lock);
    bool ends = !registry->stopping;
    if (ends)
        forget(registry, deployment);
    pthread_mutex_unlock(&registry->lock);
    if (!ends)
        return;
    deployment->job.run = run_end; /* joining threads is not for an event loop */
    if (!berth_worker_push(registry->control, &deployment->job))
        berth_deployment_free(deployment);
}

struct berth_deployment *berth_registry_acquire(struct berth_registry *registry, struct berth_entry *entry)
{
    pthread_mutex_lock(&registry->lock);
    struct berth_deployment *deployment = entry->deployment;
    if (deployment)
        atomic_fetch_add(&deployment->references, 1);
    pthread_mutex_unlock(&registry->lock);
    return deployment;
}

static void swap_deployment(struct berth_registry *registry, struct berth_entry *entry,
                            struct berth_deployment *deployment)
{
    pthread_mutex_lock(&registry->lock);
    struct berth_deployment *old = entry->deployment;
    entry->deployment = deployment;
    if (deployment) {
        deployment->next = registry->all;
        registry->all = deployment;
    }
    entry->reason[0] = 0;
    pthread_mutex_unlock(&registry->lock);
    berth_registry_release(registry, old);
}

/* A deployment of these weights with the entry's settings takes the place of the present one. */
static enum berth_status deploy(struct berth_registry *registry, struct berth_entry *entry,
                                struct berth_weights *weights, size_t threads, struct berth_error *err)
{
    size_t share = berth_model_get_info(weights->model)->threads;
    if (!entry->served.threads)
        share = berth_max(share / entry->instances, 1);
    struct berth_deployment_options options = {
        .threads = threads ? threads : share,
        .instances = entry->instances,
        .max_batch_tokens = entry->served.max_batch_tokens,
        .max_batch_texts = entry->max_batch_texts,
        .max_delay_ns = entry->max_delay_ns,
    };
    struct berth_deployment *deployment;
    enum berth_status status = berth_deployment_new(entry, weights, &options, &deployment, err);
    if (status == BERTH_OK)
        swap_deployment(registry, entry, deployment);
    return status;
}

static enum berth_status load_one(struct berth_registry *registry, struct berth_entry *entry,
                                  struct berth_error *err)
{
    struct berth_weights *weights;
    enum berth_status status = berth_weights_open(entry->path, &entry->served, &weights, err);
    if (status != BERTH_OK)
        return status;
    status = deploy(registry, entry, weights, entry->threads, err);
    berth_weights_release(weights);
    return status;
}

enum berth_status berth_registry_load(struct berth_registry *registry, struct berth_entry *entry,
                                      struct berth_error *err)
{
    enum berth_status status = load_one(registry, entry, err);
    if (status == BERTH_OK && entry->quantised)
        status = load_one(registry, entry->quantised, err);
    if (status == BERTH_OK)
        return status;
    pthread_mutex_lock(&registry->lock);
    snprintf(entry->reason, sizeof entry->reason, "%.190s", err->message);
    pthread_mutex_unlock(&registry->lock);
    return status;
}

void berth_registry_unload(struct berth_registry *registry, struct berth_entry *entry)
{
    if (entry->quantised)
        swap_deployment(registry, entry->quantised, NULL);
    swap_deployment(registry, entry, NULL);
    pthread_mutex_lock(&registry->lock);
    snprintf(entry->reason, sizeof entry->reason, "unloaded");
    pthread_mutex_unlock(&registry->lock);
}

enum berth_status berth_registry_set_threads(struct berth_registry *registry, struct berth_entry *entry,
                                             size_t threads, struct berth_error *err)
{
    struct berth_deployment *present = berth_registry_acquire(registry, entry);
    if (!present)
        return berth_fail(err, BERTH_BUSY, "model '%s' is not loaded", entry->name);
    enum berth_status status = BERTH_OK;
    if (present->threads != threads)
        status = deploy(registry, entry, present->weights, threads, err);
    if (status == BERTH_OK)
        entry->threads = threads;
    berth_registry_release(registry, present);
    return status;
}

/* --- entries -------------------------------------------------------------------------------------- */

/* Names stand in URLs and in messages. */
static bool is_plain(const char *name, size_t size)
{
    size_t length = name ? strlen(name) : 0;
    return length > 0 && length < size &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+") == length;
}

static enum berth_status check_entry(struct berth_registry *registry, const struct berth_served_model *served,
                                     const char *version, struct berth_error *err)
{
    if (!is_plain(served->name, BERTH_NAME_SIZE))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "model name '%s': use letters, digits and ._-:@+, at most %d of them",
                          served->name ? served->name : "", BERTH_NAME_SIZE - 1);
    if (!is_plain(version, BERTH_VERSION_SIZE))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "version '%s' of model '%s': use letters, digits and ._-:@+, at most %d of them",
                          version, served->name, BERTH_VERSION_SIZE - 1);
    if (berth_registry_find(registry, served->name, version))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "model name '%s' is given twice in version %s",
                          served->name, version);
    return BERTH_OK;
}

static enum berth_status fill_entry(struct berth_entry *entry, const struct berth_served_model *served,
                                    const char *version, struct berth_error *err)
{
    entry->served = served->options;
    entry->options =
        (struct berth_options){.log = served->options.log, .log_context = served->options.log_context};
    entry->instances = berth_max(served->instances, 1);
    entry->max_batch_texts = served->max_batch_texts;
    entry->max_delay_ns = (uint64_t)served->max_batch_delay_us * 1000u;
    entry->name = berth_strdup(served->name);
    entry->version = berth_strdup(version);
    entry->path = berth_strdup(served->model);
    if (!entry->name || !entry->version || !entry->path)
        return berth_fail_memory(err, "the name of a model", BERTH_NAME_SIZE);
    return BERTH_OK;
}

static enum berth_status open_entry(struct berth_registry *registry, struct berth_entry *entry,
                                    const struct berth_served_model *served, struct berth_error *err)
{
    enum berth_status status;
    const char *version = served->version ? served->version : "1";
    if (served->instances > 256)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "model '%s': %zu instances; 256 is the most",
                          served->name, served->instances);
    BERTH_TRY(check_entry(registry, served, version, err));
    registry->count++; /* so that a failure frees the half-built entry, too */
    BERTH_TRY(fill_entry(entry, served, version, err));
    BERTH_TRY(berth_metrics_new(&entry->metrics, err));
    BERTH_TRY(load_one(registry, entry, err));
fail:
    return status;
}

enum berth_status berth_registry_new(const struct berth_served_model *models, size_t count,
                                     struct berth_worker *control, struct berth_registry **out,
                                     struct berth_error *err)
{
    *out = NULL;
    enum berth_status status;
    if (count == 0 || count > 1000)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%zu models to serve: give between 1 and 1000", count);
    struct berth_registry *registry = berth_calloc(1, sizeof *registry + count * sizeof registry->entry[0]);
    if (!registry)
        return berth_fail_memory(err, "the list of models", sizeof *registry);
    registry->control = control;
    pthread_mutex_init(&registry->lock, NULL);
    for (size_t i = 0; i < count; i++)
        BERTH_TRY(open_entry(registry, &registry->entry[i], &models[i], err));
    *out = registry;
    return BERTH_OK;
fail:
    berth_registry_free(registry);
    return status;
}

void berth_registry_stop(struct berth_registry *registry)
{
    if (!registry)
        return;
    pthread_mutex_lock(&registry->lock);
    registry->stopping = true; /* the list below changes no more */
    pthread_mutex_unlock(&registry->lock);
    for (struct berth_deployment *deployment = registry->all; deployment; deployment = deployment->next)
        berth_deployment_stop(deployment);
}

static void clear_entry(struct berth_entry *entry)
{
    if (entry->quantised)
        clear_entry(entry->quantised);
    berth_free(entry->quantised);
    if (!entry->is_quantised)
        berth_metrics_free(entry->metrics);
    berth_free(entry->name);
    berth_free(entry->version);
    berth_free(entry->path);
}

void berth_registry_free(struct berth_registry *registry)
{
    if (!registry)
        return;
    berth_registry_stop(registry);
    for (struct berth_deployment *deployment; (deployment = registry->all);) {
        registry->all = deployment->next;
        berth_deployment_free(deployment);
    }
    for (size_t i = 0; i < registry->count; i++)
        clear_entry(&registry->entry[i]);
    pthread_mutex_destroy(&registry->lock);
    berth_free(registry);
}

/* Versions that are numbers are compared as such. */
static bool is_higher(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b);
    bool numbers = strspn(a, "0123456789") == m && strspn(b, "0123456789") == n;
    return numbers && m != n ? m > n : strcmp(a, b) > 0;
}

struct berth_entry *berth_registry_find(struct berth_registry *registry, const char *name,
                                        const char *version)
{
    struct berth_entry *found = NULL;
    bool found_loaded = false;
    pthread_mutex_lock(&registry->lock);
    for (size_t i = 0; i < registry->count; i++) {
        struct berth_entry *entry = &registry->entry[i];
        if (!entry->name || strcmp(entry->name, name) != 0 ||
            (version && strcmp(entry->version, version) != 0))
            continue;
        bool loaded = entry->deployment != NULL;
        if (!found || loaded > found_loaded ||
            (loaded == found_loaded && is_higher(entry->version, found->version))) {
            found = entry;
            found_loaded = loaded;
        }
    }
    pthread_mutex_unlock(&registry->lock);
    return found;
}

size_t berth_registry_count(const struct berth_registry *registry)
{
    return registry->count;
}

struct berth_entry *berth_registry_at(struct berth_registry *registry, size_t index)
{
    return &registry->entry[index];
}

bool berth_registry_ready(struct berth_registry *registry, struct berth_entry *entry, char *reason,
                          size_t size)
{
    pthread_mutex_lock(&registry->lock);
    bool ready = entry->deployment != NULL;
    if (reason)
        snprintf(reason, size, "%s", entry->reason);
    pthread_mutex_unlock(&registry->lock);
    return ready;
}

enum berth_status berth_registry_quantise(struct berth_registry *registry, struct berth_entry *entry,
                                          struct berth_entry **quantised, struct berth_error *err)
{
    enum berth_status status;
    *quantised = entry->served.precision == BERTH_PRECISION_INT8 ? entry : entry->quantised;
    if (*quantised)
        return BERTH_OK;
    struct berth_entry *opened = berth_calloc(1, sizeof *opened);
    if (!opened)
        return berth_fail_memory(err, "a model at int8", sizeof *opened);
    struct berth_served_model served = {
        .name = entry->name, .model = entry->path, .options = entry->served, .instances = entry->instances,
        .max_batch_texts = entry->max_batch_texts};
    served.options.precision = BERTH_PRECISION_INT8;
    opened->is_quantised = true;
    opened->metrics = entry->metrics;
    BERTH_TRY(fill_entry(opened, &served, entry->version, err));
    opened->max_delay_ns = entry->max_delay_ns;
    BERTH_TRY(load_one(registry, opened, err));
    *quantised = entry->quantised = opened;
    return BERTH_OK;
fail:
    clear_entry(opened);
    berth_free(opened);
    return status;
}
