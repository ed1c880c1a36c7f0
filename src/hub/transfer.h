/* transfer.h: one request and its answer over libcurl. Redirects are not followed here, nothing is tried twice: who
 * calls decides, on what the answer says. */
#ifndef BERTH_HUB_TRANSFER_H
#define BERTH_HUB_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"
#include "hub/reply.h"

/* Takes part of a body; `reply` has the headers. A failure ends the transfer and is what it returns. */
typedef enum berth_status berth_hub_sink(void *context, const struct berth_hub_reply *reply, const void *bytes,
                                         size_t size, struct berth_error *err);

/* False: stop, BERTH_CANCELLED. Called at least once a second. */
typedef bool berth_hub_alive(void *context);

struct berth_hub_request {
    const char *url;
    const char *token;    /* NULL: sent without */
    bool head;            /* HEAD: no body */
    bool headers_only;    /* GET, but let go of at the body's first byte */
    uint64_t offset;      /* > 0: from this byte on */
    const char *if_range; /* with offset: an entity tag without quotes; NULL: unconditionally */
    berth_hub_sink *sink; /* NULL: a body is dropped */
    void *sink_context;
};

/* A connection that is kept for the next request. */
struct berth_hub_client;

/* `alive` may be NULL. stall_seconds: a transfer that stands still so long is cut. */
enum berth_status berth_hub_client_new(unsigned stall_seconds, berth_hub_alive *alive, void *context,
                                       struct berth_hub_client **client, struct berth_error *err);
void berth_hub_client_free(struct berth_hub_client *client);

/* OK: an answer came whole, whatever its status. BERTH_IO with *transient set: the network failed, another try may do. */
enum berth_status berth_hub_exchange(struct berth_hub_client *client, const struct berth_hub_request *request,
                                     struct berth_hub_reply *reply, bool *transient, struct berth_error *err);

#endif
