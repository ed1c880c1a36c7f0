/* health.c: GET /health, answered on the event loop, so it answers while models compute. A server that drains
 * refuses every request with 503 before any handler is asked; then so does this one. */
#include "serve/handlers.h"

void berth_handle_health(struct berth_request *request)
{
    berth_reply_begin(&request->reply, 200, "application/json");
    if (!berth_buffer_text(&request->reply.body, "{\"status\": \"ok\"}\n"))
        berth_reply_error(&request->reply, 500, "memory ran out");
}
