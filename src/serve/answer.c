/* answer.c: headers of an answer, and the one place where requests are counted. */
#include "serve/answer.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "serve/route.h"

enum { STATUS_CLIENT_GONE = 499 };

void berth_answer_write(struct berth_request *request)
{
    struct berth_call *call = &request->call;
    if (!call->answer || request->reply.status)
        return;
    uint64_t began = berth_clock_ns();
    call->answer(request);
    request->answer_ns = berth_clock_ns() - began;
}

static void release_free(void *block)
{
    berth_free(block);
}

static void add(struct MHD_Response *response, const char *name, const char *value)
{
    MHD_add_response_header(response, name, value);
}

/* Milliseconds under the peers' names; microseconds, because a short text takes none of those. */
static void add_time(struct MHD_Response *response, const char *name, const char *name_us, uint64_t ns)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)(ns / 1000000u));
    add(response, name, digits);
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)(ns / 1000u));
    add(response, name_us, digits);
}

static void add_times(struct MHD_Response *response, const struct berth_request *request)
{
    const struct berth_call *call = &request->call;
    char digits[24];
    uint64_t total = berth_clock_ns() - request->received_ns;
    add_time(response, "x-compute-time", "x-compute-time-us", call->tokenize_ns + call->compute_ns);
    add_time(response, "x-total-time", "x-total-time-us", total);
    add_time(response, "x-tokenization-time", "x-tokenization-time-us", call->tokenize_ns);
    add_time(response, "x-queue-time", "x-queue-time-us", call->queue_ns);
    add_time(response, "x-inference-time", "x-inference-time-us", call->compute_ns);
    snprintf(digits, sizeof digits, "%zu", call->tokens);
    add(response, "x-compute-tokens", digits);
    snprintf(digits, sizeof digits, "%zu", call->characters);
    add(response, "x-compute-characters", digits);
}

static void add_origin(struct MHD_Response *response, const struct berth_request *request)
{
    const char *asked = berth_request_header(request, "Origin");
    const char *origin = berth_access_origin(request->server->access, asked);
    if (!origin)
        return;
    add(response, "Access-Control-Allow-Origin", origin);
    add(response, "Access-Control-Expose-Headers", "*");
    if (strcmp(origin, "*") != 0)
        add(response, "Vary", "Origin");
}

static struct MHD_Response *make_response(struct berth_request *request)
{
    struct berth_reply *reply = &request->reply;
    request->sent_bytes = reply->body.size;
    struct MHD_Response *response =
        reply->body.data ? MHD_create_response_from_buffer_with_free_callback(reply->body.size,
                                                                              reply->body.data, release_free)
                         : MHD_create_response_from_buffer(0, (void *)"", MHD_RESPMEM_PERSISTENT);
    if (!response)
        return NULL;
    reply->body = (struct berth_buffer){0}; /* the response owns the block now */
    if (reply->content_type)
        add(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type);
    add(response, "x-request-id", request->id);
    for (size_t i = 0; i < BERTH_REPLY_HEADERS && reply->header[i].name; i++)
        add(response, reply->header[i].name, reply->header[i].value);
    if (request->call.kind != BERTH_CALL_LOOK && request->call.model)
        add_times(response, request);
    add_origin(response, request);
    if (reply->allow)
        add(response, MHD_HTTP_HEADER_ALLOW, reply->allow);
    if (reply->status == 429 || reply->status == 503)
        add(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (reply->status == 401)
        add(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
    if (request->closes || atomic_load(&request->server->draining))
        add(response, MHD_HTTP_HEADER_CONNECTION, "close");
    return response;
}

enum MHD_Result berth_answer_send(struct berth_request *request)
{
    berth_deadlines_begin(request->server->deadlines, request->watch, NULL);
    if (!request->reply.status)
        berth_reply_error(&request->reply, 500, "%s has no answer", request->path);
    struct MHD_Response *response = make_response(request);
    if (!response)
        return MHD_NO;
    enum MHD_Result result = MHD_queue_response(request->connection, request->reply.status, response);
    MHD_destroy_response(response);
    return result;
}

static enum berth_outcome outcome_of(const struct berth_request *request, bool sent)
{
    unsigned status = request->reply.status;
    if (!sent || status == STATUS_CLIENT_GONE)
        return BERTH_OUTCOME_CANCELED;
    if (status < 400)
        return BERTH_OUTCOME_SUCCESS;
    if (status == 429 || status == 503)
        return BERTH_OUTCOME_REJECTED;
    return status >= 500 ? BERTH_OUTCOME_BACKEND : BERTH_OUTCOME_OTHER;
}

void berth_answer_count(struct berth_request *request, bool sent)
{
    const struct berth_call *call = &request->call;
    enum berth_outcome outcome = outcome_of(request, sent);
    if (request->entry) {
        struct berth_request_count count = {
            .outcome = outcome,
            .batched = call->batched,
            .classified = call->kind == BERTH_CALL_CLASSIFY,
            .texts = call->kind == BERTH_CALL_LOOK ? 0 : call->count,
            .tokens = call->tokens,
            .total_ns = berth_clock_ns() - request->begun_ns,
            .tokenize_ns = call->tokenize_ns,
            .queue_ns = call->queue_ns,
            .compute_ns = call->compute_ns,
            .answer_ns = request->answer_ns,
        };
        for (size_t i = 0; i < call->count; i++)
            count.longest = berth_max(count.longest, call->items[i].size);
        berth_metrics_request(request->entry->metrics, &count);
        atomic_fetch_add(&request->server->counted, 1);
    }
    berth_access_log_add(request->server->access_log, request, berth_outcome_name(outcome));
}
