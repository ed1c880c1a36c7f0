/* registry.c: opens the models of a server and swaps their sessions. A job is pushed under the same lock
 * under which an instance is replaced, so an instance that was replaced gets no further job and can be
 * drained and freed: no counts of references are needed. */
#include "serve/registry.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "serve/signals.h"

enum { NAME_MAX_SIZE = 128 };

struct berth_registry {
    pthread_mutex_t lock;
    size_t count;
    struct berth_entry entry[];
};

void berth_instance_free(struct berth_instance *instance)
{
    if (!instance)
        return;
    berth_worker_free(instance->worker);
    berth_session_free(instance->session);
    berth_free(instance);
}

static enum berth_status new_instance(const struct berth_entry *entry, size_t threads,
                                      struct berth_instance **out, struct berth_error *err)
{
    enum berth_status status;
    struct berth_instance *instance = berth_calloc(1, sizeof *instance);
    if (!instance)
        return berth_fail_memory(err, "an instance of a model", sizeof *instance);
    instance->entry = entry;
    instance->threads = threads;
    struct berth_options options = entry->options;
    options.threads = threads;
    options.bare_encoder = true;
    sigset_t before;
    berth_signals_block(&before); /* for the session's own threads */
    status = berth_session_new(entry->model, &options, &instance->session, err);
    berth_signals_restore(&before);
    if (status != BERTH_OK)
        goto fail;
    BERTH_TRY(berth_worker_new(instance, &instance->worker, err));
    *out = instance;
    return BERTH_OK;
fail:
    berth_instance_free(instance);
    return status;
}

/* Names stand in URLs and in messages. */
static bool name_is_plain(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= NAME_MAX_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:@+") == size;
}

static enum berth_status open_entry(struct berth_entry *entry, const struct berth_served_model *served,
                                    struct berth_error *err)
{
    enum berth_status status;
    if (!(entry->name = berth_strdup(served->name)) || !(entry->path = berth_strdup(served->model)))
        return berth_fail_memory(err, "the name of a model", NAME_MAX_SIZE);
    BERTH_TRY(berth_model_open(served->model, &served->options, &entry->model, err));
    entry->served = served->options;
    entry->options = (struct berth_options){.max_batch_tokens = served->options.max_batch_tokens,
                                            .log = served->options.log,
                                            .log_context = served->options.log_context};
    return new_instance(entry, served->options.threads ? served->options.threads : berth_model_get_info(entry->model)->threads,
                        &entry->instance, err);
fail:
    return status;
}

enum berth_status berth_registry_new(const struct berth_served_model *models, size_t count,
                                     struct berth_registry **out, struct berth_error *err)
{
    *out = NULL;
    enum berth_status status;
    if (count == 0 || count > 1000)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "%zu models to serve: give between 1 and 1000", count);
    struct berth_registry *registry = berth_calloc(1, sizeof *registry + count * sizeof registry->entry[0]);
    if (!registry)
        return berth_fail_memory(err, "the list of models", sizeof *registry);
    pthread_mutex_init(&registry->lock, NULL);
    for (size_t i = 0; i < count; i++) {
        if (!models[i].name || !name_is_plain(models[i].name)) {
            status = berth_fail(err, BERTH_INVALID_ARGUMENT,
                                "model name '%s': use letters, digits and ._-:@+, at most %d of them",
                                models[i].name ? models[i].name : "", NAME_MAX_SIZE);
            goto fail;
        }
        if (berth_registry_find(registry, models[i].name)) {
            status =
                berth_fail(err, BERTH_INVALID_ARGUMENT, "model name '%s' is given twice", models[i].name);
            goto fail;
        }
        registry->count = i + 1; /* so that a failure frees the half-built entry, too */
        BERTH_TRY(open_entry(&registry->entry[i], &models[i], err));
    }
    *out = registry;
    return BERTH_OK;
fail:
    berth_registry_free(registry);
    return status;
}

static struct berth_instance *swap_instance(struct berth_registry *registry, struct berth_entry *entry,
                                            struct berth_instance *instance)
{
    pthread_mutex_lock(&registry->lock);
    struct berth_instance *old = entry->instance;
    entry->instance = instance;
    pthread_mutex_unlock(&registry->lock);
    return old;
}

void berth_registry_stop(struct berth_registry *registry)
{
    if (!registry)
        return;
    for (size_t i = 0; i < registry->count; i++) {
        for (struct berth_entry *entry = &registry->entry[i]; entry; entry = entry->quantised)
            berth_instance_free(swap_instance(registry, entry, NULL));
    }
}

static void clear_entry(struct berth_entry *entry)
{
    berth_model_free(entry->model);
    berth_free(entry->name);
    berth_free(entry->path);
}

static void free_quantised(struct berth_entry *entry)
{
    if (!entry)
        return;
    clear_entry(entry);
    berth_free(entry);
}

void berth_registry_free(struct berth_registry *registry)
{
    if (!registry)
        return;
    berth_registry_stop(registry);
    for (size_t i = 0; i < registry->count; i++) {
        free_quantised(registry->entry[i].quantised);
        clear_entry(&registry->entry[i]);
    }
    pthread_mutex_destroy(&registry->lock);
    berth_free(registry);
}

struct berth_entry *berth_registry_find(struct berth_registry *registry, const char *name)
{
    for (size_t i = 0; i < registry->count; i++)
        if (strcmp(registry->entry[i].name, name) == 0)
            return &registry->entry[i];
    return NULL;
}

struct berth_entry *berth_registry_first(struct berth_registry *registry)
{
    return &registry->entry[0];
}

bool berth_registry_push(struct berth_registry *registry, struct berth_entry *entry, struct berth_job *job)
{
    pthread_mutex_lock(&registry->lock);
    bool taken = entry->instance && berth_worker_push(entry->instance->worker, job);
    pthread_mutex_unlock(&registry->lock);
    return taken;
}

enum berth_status berth_registry_set_threads(struct berth_registry *registry, struct berth_entry *entry,
                                             size_t threads, struct berth_instance **retired,
                                             struct berth_error *err)
{
    *retired = NULL;
    pthread_mutex_lock(&registry->lock);
    size_t present = entry->instance ? entry->instance->threads : 0;
    pthread_mutex_unlock(&registry->lock);
    if (present == threads)
        return BERTH_OK;
    if (present == 0)
        return berth_fail(err, BERTH_BUSY, "the server is stopping");
    struct berth_instance *instance;
    enum berth_status status = new_instance(entry, threads, &instance, err);
    if (status == BERTH_OK)
        *retired = swap_instance(registry, entry, instance);
    return status;
}

enum berth_status berth_registry_quantise(struct berth_registry *registry, struct berth_entry *entry,
                                          struct berth_entry **quantised, struct berth_error *err)
{
    struct berth_served_model served = {.name = entry->name, .model = entry->path, .options = entry->served};
    *quantised = entry->served.precision == BERTH_PRECISION_INT8 ? entry : entry->quantised;
    if (*quantised)
        return BERTH_OK;
    struct berth_entry *opened = berth_calloc(1, sizeof *opened);
    if (!opened)
        return berth_fail_memory(err, "a model at int8", sizeof *opened);
    served.options.precision = BERTH_PRECISION_INT8;
    enum berth_status status = open_entry(opened, &served, err);
    if (status != BERTH_OK) {
        free_quantised(opened);
        return status;
    }
    pthread_mutex_lock(&registry->lock);
    *quantised = entry->quantised = opened;
    pthread_mutex_unlock(&registry->lock);
    return BERTH_OK;
}
