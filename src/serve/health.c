/* health.c: liveness, readiness and metrics, answered on the event loop, so they answer while models compute.
 * A server that drains refuses the question whether it is ready, as it refuses every other; it goes on to say
 * that it lives. */
#include "base/alloc.h"
#include "serve/handlers.h"

static void say(struct berth_request *request, const char *json)
{
    berth_reply_begin(&request->reply, 200, "application/json");
    if (!berth_buffer_text(&request->reply.body, json))
        berth_reply_error(&request->reply, 500, "memory ran out");
}

void berth_handle_live(struct berth_request *request)
{
    say(request, "{\"live\": true}\n");
}

/* Ready: every model that was not unloaded on purpose is loaded and warm; the server listens only when all
 * are. */
void berth_handle_health(struct berth_request *request)
{
    say(request, "{\"status\": \"ok\"}\n");
}

static void fill_row(struct berth_registry *registry, struct berth_entry *entry,
                     struct berth_metrics_row *row)
{
    struct berth_deployment *deployment = berth_registry_acquire(registry, entry);
    row->name = entry->name;
    row->version = entry->version;
    row->ready = deployment != NULL;
    row->pending = deployment ? berth_queue_calls(&deployment->queue) : 0;
    berth_registry_release(registry, deployment);
    berth_metrics_snapshot(entry->metrics, &row->counts);
}

static bool write_metrics(struct berth_server *server, struct berth_buffer *text)
{
    size_t count = berth_registry_count(server->registry);
    struct berth_metrics_row *rows = berth_calloc(count, sizeof *rows);
    for (size_t i = 0; rows && i < count; i++)
        fill_row(server->registry, berth_registry_at(server->registry, i), &rows[i]);
    bool good = rows && berth_metrics_write(text, rows, count, atomic_load(&server->connections),
                                            atomic_load(&server->waiting));
    berth_free(rows);
    return good;
}

/* They take a third of a millisecond to write, on the event loop: where many ask in one round, once does, as long as no
 * request was counted in between. Who has seen an answer finds it counted. */
void berth_handle_metrics(struct berth_request *request)
{
    struct berth_server *server = request->server;
    struct berth_loop *loop = request->loop;
    uint64_t counted = atomic_load(&server->counted);
    if (loop->metrics_round != loop->round || loop->metrics_counted != counted) {
        berth_buffer_clear(&loop->metrics);
        berth_buffer_init(&loop->metrics, SIZE_MAX / 2);
        bool good = write_metrics(server, &loop->metrics);
        loop->metrics_round = good ? loop->round : 0;
        loop->metrics_counted = counted;
    }
    berth_reply_begin(&request->reply, 200, "text/plain; version=0.0.4; charset=utf-8");
    if (loop->metrics_round == 0 ||
        !berth_buffer_append(&request->reply.body, loop->metrics.data, loop->metrics.size))
        berth_reply_error(&request->reply, 503, "memory ran out");
}
