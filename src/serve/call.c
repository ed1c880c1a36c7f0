/* call.c: gathers the texts of a call as token ids, has them computed, and hands the results back. */
#include "serve/call.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "serve/request.h"

/* --- begin ---------------------------------------------------------------------------------------- */

static struct berth_entry *find_entry(struct berth_request *request, const char *name)
{
    char value[BERTH_VALUE_SIZE];
    struct berth_registry *registry = request->server->registry;
    if (!name && request->model[0])
        name = request->model;
    if (!name && berth_request_query(request, "model", value))
        name = value;
    struct berth_entry *entry = name ? berth_registry_find(registry, name) : berth_registry_first(registry);
    if (!entry)
        berth_reply_error(&request->reply, 404, "no model named '%s' is served here", name);
    return entry;
}

struct berth_call *berth_call_begin_entry(struct berth_request *request, struct berth_entry *entry,
                                          enum berth_call_kind kind)
{
    struct berth_call *call = &request->call;
    request->entry = entry;
    call->request = request;
    call->entry = entry;
    call->name = entry->name;
    call->version = "1";
    call->path = entry->path;
    call->model = entry->model;
    call->info = berth_model_get_info(entry->model);
    call->kind = kind;
    call->truncate = true;
    if (kind == BERTH_CALL_CLASSIFY && !call->info->has_head) {
        berth_reply_error(&request->reply, 400, "model '%s' has no classifier; it gives vectors only",
                          entry->name);
        return NULL;
    }
    if (kind == BERTH_CALL_EMBED && strcmp(call->info->runtime, "native") != 0) {
        berth_reply_error(&request->reply, 501, "model '%s': vectors need the native runtime, not %s",
                          entry->name, call->info->runtime);
        return NULL;
    }
    call->width = kind == BERTH_CALL_EMBED ? call->info->hidden_size : call->info->labels;
    berth_buffer_init(&call->messages, 1 << 20);
    return call;
}

struct berth_call *berth_call_begin(struct berth_request *request, const char *name, const char *version,
                                    enum berth_call_kind kind)
{
    struct berth_entry *entry = find_entry(request, name);
    if (!entry)
        return NULL;
    if (!version && request->version[0])
        version = request->version;
    if (version && strcmp(version, "1") != 0) {
        berth_reply_error(&request->reply, 404, "model '%s' has no version '%s'", entry->name, version);
        return NULL;
    }
    return berth_call_begin_entry(request, entry, kind);
}

void berth_call_clear(struct berth_call *call)
{
    berth_free(call->items);
    berth_free(call->ids);
    berth_free(call->type_ids);
    berth_free(call->numbers);
    berth_tokens_clear(&call->encoded);
    berth_buffer_clear(&call->messages);
    *call = (struct berth_call){0};
}

/* --- texts ---------------------------------------------------------------------------------------- */

static bool fail_memory(struct berth_call *call)
{
    berth_reply_error(&call->request->reply, 503, "memory ran out");
    return false;
}

/* Room for one more text of that many tokens. */
static bool reserve(struct berth_call *call, size_t tokens)
{
    if (call->count == call->item_capacity) {
        size_t capacity = berth_max(8, call->item_capacity * 2);
        struct berth_call_item *items = berth_realloc(call->items, capacity, sizeof *items);
        if (!items)
            return fail_memory(call);
        call->items = items;
        call->item_capacity = capacity;
    }
    if (call->tokens + tokens > call->token_capacity) {
        size_t capacity = berth_max(berth_max(64, call->token_capacity * 2), call->tokens + tokens);
        int32_t *ids = berth_realloc(call->ids, capacity, sizeof *ids);
        if (ids)
            call->ids = ids;
        uint8_t *type_ids = berth_realloc(call->type_ids, capacity, sizeof *type_ids);
        if (type_ids)
            call->type_ids = type_ids;
        if (!ids || !type_ids)
            return fail_memory(call);
        call->token_capacity = capacity;
    }
    return true;
}

/* A text that gets no result: of a lenient call the text's own matter, else the call's. */
static bool refuse_text(struct berth_call *call, enum berth_status status, const char *why)
{
    if (!call->lenient) {
        berth_reply_error(&call->request->reply, 422, "text %zu: %s", call->count, why);
        return false;
    }
    if (!reserve(call, 0))
        return false;
    size_t at = call->messages.size;
    if (!berth_buffer_append(&call->messages, why, strlen(why) + 1))
        return fail_memory(call);
    /* an offset until the block has stopped moving: see settle_messages */
    call->items[call->count++] = (struct berth_call_item){
        .first = call->tokens, .status = status, .message = (const char *)(uintptr_t)(at + 1)};
    return true;
}

static bool add_item(struct berth_call *call, const int32_t *ids, const uint8_t *type_ids, size_t size,
                     bool truncated)
{
    if (!reserve(call, size))
        return false;
    memcpy(call->ids + call->tokens, ids, size * sizeof *ids);
    if (type_ids)
        memcpy(call->type_ids + call->tokens, type_ids, size);
    else
        memset(call->type_ids + call->tokens, 0, size);
    call->items[call->count++] =
        (struct berth_call_item){.first = call->tokens, .size = size, .truncated = truncated};
    call->tokens += size;
    return true;
}

static size_t limit_of(const struct berth_call *call)
{
    size_t own = call->info->max_length;
    return call->max_length ? berth_min(call->max_length, own) : own;
}

bool berth_call_add_text(struct berth_call *call, const struct berth_text *text)
{
    struct berth_error err;
    char why[160];
    uint64_t started = berth_clock_ns();
    size_t limit = limit_of(call);
    enum berth_status status = berth_tokenize(call->model, text, limit, &call->encoded, &err);
    call->tokenize_ns += berth_clock_ns() - started;
    call->characters += text->size + text->pair_size;
    if (status == BERTH_NO_MEMORY)
        return fail_memory(call);
    if (status != BERTH_OK)
        return refuse_text(call, status, err.message);
    if (call->encoded.size == 0)
        return refuse_text(call, BERTH_INVALID_ARGUMENT, "it has no tokens, and no special ones are added");
    if (call->encoded.truncated && !call->truncate) {
        snprintf(why, sizeof why, "it has more than %zu tokens, and truncation is off", limit);
        return refuse_text(call, BERTH_LIMIT, why);
    }
    return add_item(call, call->encoded.ids, call->encoded.type_ids, call->encoded.size,
                    call->encoded.truncated);
}

bool berth_call_add_ids(struct berth_call *call, const int32_t *ids, const uint8_t *type_ids, size_t size)
{
    char why[160];
    size_t limit = limit_of(call);
    if (size == 0 || size > limit) {
        snprintf(why, sizeof why, "%zu token ids; 1 to %zu are allowed", size, limit);
        return refuse_text(call, BERTH_LIMIT, why);
    }
    for (size_t i = 0; i < size; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= call->info->vocab_size) {
            snprintf(why, sizeof why, "token id %d; the model has %zu", (int)ids[i], call->info->vocab_size);
            return refuse_text(call, BERTH_INVALID_ARGUMENT, why);
        }
    return add_item(call, ids, type_ids, size, false);
}

/* --- computing ------------------------------------------------------------------------------------ */

static bool prepare(struct berth_call *call)
{
    size_t each = call->kind == BERTH_CALL_EMBED ? call->width : 2 * call->width, numbers;
    if (!berth_mul(call->count, each, &numbers))
        return fail_memory(call);
    if (numbers > call->number_capacity) {
        float *grown = berth_realloc(call->numbers, numbers, sizeof *grown);
        if (!grown)
            return fail_memory(call);
        call->numbers = grown;
        call->number_capacity = numbers;
    }
    for (size_t i = 0; i < call->count; i++)
        if (call->items[i].status != BERTH_OK)
            call->items[i].message = call->messages.data + (uintptr_t)call->items[i].message - 1;
    return true;
}

static enum berth_status compute_one(struct berth_call *call, struct berth_session *session, size_t i,
                                     struct berth_error *err)
{
    struct berth_call_item *item = &call->items[i];
    struct berth_sequence sequence = {call->ids + item->first, call->type_ids + item->first, item->size};
    if (call->kind == BERTH_CALL_EMBED) {
        item->vector = call->numbers + i * call->width;
        return berth_session_embed_sequences(session, &sequence, 1, call->pooling,
                                             call->numbers + i * call->width, err);
    }
    enum berth_status status = berth_session_classify_sequences(session, &sequence, 1, &item->result, err);
    if (status != BERTH_OK)
        return status;
    float *logits = call->numbers + i * 2 * call->width, *scores = logits + call->width;
    memcpy(logits, item->result.logits, call->width * sizeof *logits);
    memcpy(scores, item->result.scores, call->width * sizeof *scores);
    item->result.logits = logits;
    item->result.scores = scores;
    item->result.truncated = item->truncated;
    return BERTH_OK;
}

static void run_call(struct berth_job *job, void *owner)
{
    struct berth_request *request = (struct berth_request *)job;
    struct berth_call *call = &request->call;
    const struct berth_instance *instance = owner;
    struct berth_error err;
    uint64_t started = berth_clock_ns();
    call->queue_ns = started - request->received_ns;
    if (!berth_request_overdue(request)) {
        for (size_t i = 0; i < call->count && !request->reply.status; i++)
            if (call->items[i].status == BERTH_OK && !berth_request_abandoned(request) &&
                compute_one(call, instance->session, i, &err) != BERTH_OK)
                berth_reply_failure(&request->reply, &err);
        call->compute_ns = berth_clock_ns() - started;
        if (!request->reply.status)
            call->answer(request);
    }
    berth_request_finish(request);
}

static bool push_call(struct berth_request *request)
{
    return berth_registry_push(request->server->registry, request->call.entry, &request->job);
}

void berth_call_submit(struct berth_call *call, void (*answer)(struct berth_request *request))
{
    if (!prepare(call))
        return;
    call->answer = answer;
    if (call->count == 0)
        answer(call->request);
    else
        berth_request_defer(call->request, run_call, push_call);
}
