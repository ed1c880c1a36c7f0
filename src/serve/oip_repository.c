/* oip_repository.c: the model repository and statistics extensions of the Open Inference Protocol: which models there
 * are, loading and unloading them, and what was counted of each. */
#include <string.h>

#include "base/error.h"
#include "serve/handlers.h"
#include "serve/members.h"
#include "serve/oip.h"

/* --- the repository ------------------------------------------------------------------------------- */

/* A body may be left out: then none of the members is given. */
static bool read_optional_body(struct berth_request *request, struct berth_member *members, size_t count)
{
    return request->body.size == 0 || berth_members_read_body(&request->body, members, count, &request->reply);
}

static void write_state(struct berth_writer *writer, const struct berth_entry *entry, bool ready, const char *reason)
{
    berth_write(writer, "{\"name\":");
    berth_write_text(writer, entry->name);
    berth_write(writer, ",\"version\":");
    berth_write_text(writer, entry->version);
    berth_write(writer, ready ? ",\"state\":\"READY\",\"reason\":" : ",\"state\":\"UNAVAILABLE\",\"reason\":");
    berth_write_text(writer, reason);
    berth_write(writer, "}");
}

void berth_handle_oip_index(struct berth_request *request)
{
    struct berth_registry *registry = request->server->registry;
    struct berth_member only_ready = {.name = "ready", .kind = BERTH_MEMBER_BOOL};
    char reason[sizeof ((struct berth_entry *)NULL)->reason];
    if (!read_optional_body(request, &only_ready, 1))
        return;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    bool some = false;
    for (size_t i = 0; i < berth_registry_count(registry); i++) {
        struct berth_entry *entry = berth_registry_at(registry, i);
        bool ready = berth_registry_ready(registry, entry, reason, sizeof reason);
        if (!ready && only_ready.given && only_ready.truth)
            continue;
        berth_write(&writer, some ? "," : "[");
        write_state(&writer, entry, ready, reason);
        some = true;
    }
    berth_write(&writer, some ? "]" : "[]");
    berth_write_end(&writer, &request->reply);
}

/* The next entry from *at on that the request's path names; NULL: none is left. */
static struct berth_entry *next_named(const struct berth_request *request, size_t *at)
{
    struct berth_registry *registry = request->server->registry;
    while (*at < berth_registry_count(registry)) {
        struct berth_entry *entry = berth_registry_at(registry, (*at)++);
        if ((!request->model[0] || strcmp(entry->name, request->model) == 0) &&
            (!request->version[0] || strcmp(entry->version, request->version) == 0))
            return entry;
    }
    return NULL;
}

/* Those who change a model are told by the status alone. */
static void answer_done(struct berth_request *request)
{
    berth_reply_begin(&request->reply, 200, "application/json");
}

static void run_load(struct berth_request *request)
{
    struct berth_error err;
    size_t at = 0;
    for (struct berth_entry *entry; (entry = next_named(request, &at));)
        if (berth_registry_load(request->server->registry, entry, &err) != BERTH_OK) {
            berth_reply_failure(&request->reply, &err);
            return;
        }
    answer_done(request);
}

static void run_unload(struct berth_request *request)
{
    size_t at = 0;
    for (struct berth_entry *entry; (entry = next_named(request, &at));)
        berth_registry_unload(request->server->registry, entry);
    answer_done(request);
}

/* Has all versions of the model that the path names changed by `run`. */
static void manage(struct berth_request *request, void (*run)(struct berth_request *request))
{
    struct berth_reply *reply = &request->reply;
    struct berth_member parameters = {.name = "parameters"};
    struct berth_member config = {.name = "config"};
    if (!berth_request_entry(request) || !read_optional_body(request, &parameters, 1) ||
        (parameters.given && !berth_members_read(&parameters.any, &config, 1, "\"parameters\"", reply)))
        return;
    if (config.given)
        berth_reply_error(reply, 400, "\"config\": a model is loaded with the options that the server was started with");
    else
        berth_request_manage(request, run);
}

void berth_handle_oip_load(struct berth_request *request)
{
    manage(request, run_load);
}

void berth_handle_oip_unload(struct berth_request *request)
{
    manage(request, run_unload);
}

/* --- statistics ----------------------------------------------------------------------------------- */

static void write_times(struct berth_writer *writer, const char *name, uint64_t count, uint64_t ns)
{
    berth_write(writer, name);
    berth_write(writer, "{\"count\":");
    berth_write_integer(writer, (int64_t)count);
    berth_write(writer, ",\"ns\":");
    berth_write_integer(writer, (int64_t)ns);
    berth_write(writer, "}");
}

static void write_statistics(struct berth_writer *writer, const struct berth_entry *entry)
{
    struct berth_counts counts;
    berth_metrics_snapshot(entry->metrics, &counts);
    uint64_t good = counts.requests[BERTH_OUTCOME_SUCCESS], failed = 0;
    for (size_t i = 0; i < BERTH_OUTCOME_COUNT; i++)
        failed += i == BERTH_OUTCOME_SUCCESS ? 0 : counts.requests[i];
    berth_write(writer, "{\"name\":");
    berth_write_text(writer, entry->name);
    berth_write(writer, ",\"version\":");
    berth_write_text(writer, entry->version);
    berth_write(writer, ",\"last_inference\":");
    berth_write_integer(writer, (int64_t)counts.last_ms);
    berth_write(writer, ",\"inference_count\":");
    berth_write_integer(writer, (int64_t)counts.computed_texts);
    berth_write(writer, ",\"execution_count\":");
    berth_write_integer(writer, (int64_t)counts.executions);
    write_times(writer, ",\"inference_stats\":{\"success\":", good, counts.total_ns);
    write_times(writer, ",\"fail\":", failed, counts.failed_ns);
    write_times(writer, ",\"queue\":", good, counts.queue_ns);
    write_times(writer, ",\"compute_input\":", good, counts.tokenize_ns);
    write_times(writer, ",\"compute_infer\":", good, counts.compute_ns);
    write_times(writer, ",\"compute_output\":", good, counts.answer_ns);
    write_times(writer, ",\"cache_hit\":", 0, 0);
    write_times(writer, ",\"cache_miss\":", 0, 0);
    berth_write(writer, "},\"batch_stats\":[],\"memory_usage\":[]}");
}

/* Of the model that the path names, in all versions or the one named; of all models when it names none. */
void berth_handle_oip_statistics(struct berth_request *request)
{
    size_t at = 0;
    if (request->model[0] && !berth_request_entry(request))
        return;
    struct berth_writer writer = berth_write_begin(&request->reply, 200, "application/json");
    berth_write(&writer, "{\"model_stats\":[");
    for (struct berth_entry *entry = next_named(request, &at); entry;) {
        write_statistics(&writer, entry);
        entry = next_named(request, &at);
        berth_write(&writer, entry ? "," : "");
    }
    berth_write(&writer, "]}");
    berth_write_end(&writer, &request->reply);
}
