/* call.c: gathers the texts of a call as token ids, has them computed, and hands the results back. */
#include "serve/call.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "serve/request.h"
#include "serve/route.h"

enum { MESSAGES_MAX = 1 << 20 };

/* --- begin ---------------------------------------------------------------------------------------- */

struct berth_call *berth_call_begin_entry(struct berth_request *request, struct berth_entry *entry,
                                          enum berth_call_kind kind)
{
    struct berth_call *call = &request->call;
    struct berth_registry *registry = request->server->registry;
    if (kind != BERTH_CALL_LOOK || request->route->kind == BERTH_ROUTE_INFERENCE)
        request->entry = entry;
    berth_registry_release(registry, request->deployment);
    request->deployment = berth_registry_acquire(registry, entry);
    if (!request->deployment) {
        berth_reply_error(&request->reply, 503, "model '%s' is not loaded", entry->name);
        return NULL;
    }
    berth_call_reset(call);
    call->request = request;
    call->name = entry->name;
    call->version = entry->version;
    call->path = entry->path;
    call->model = request->deployment->weights->model;
    call->info = request->deployment->info;
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
    call->messages.limit = MESSAGES_MAX;
    return call;
}

struct berth_call *berth_call_begin(struct berth_request *request, const char *name, const char *version,
                                    enum berth_call_kind kind)
{
    struct berth_entry *entry;
    if (!name) {
        entry = berth_request_entry(request);
    } else if (!(entry = berth_registry_find(request->server->registry, name, version))) {
        request->entry = NULL; /* it reached none */
        berth_reply_error(&request->reply, 404, "no model named '%s'%s%s is served here", name,
                          version ? " in version " : "", version ? version : "");
    }
    return entry ? berth_call_begin_entry(request, entry, kind) : NULL;
}

void berth_call_reset(struct berth_call *call)
{
    struct berth_call kept = *call;
    *call = (struct berth_call){
        .items = kept.items,
        .item_capacity = kept.item_capacity,
        .ids = kept.ids,
        .type_ids = kept.type_ids,
        .token_capacity = kept.token_capacity,
        .numbers = kept.numbers,
        .number_capacity = kept.number_capacity,
        .encoded = kept.encoded,
        .encoded_longest = kept.encoded_longest,
        .messages = kept.messages,
    };
    call->messages.size = 0;
}

size_t berth_call_bytes(const struct berth_call *call)
{
    return call->item_capacity * sizeof *call->items + call->token_capacity * 5 +
           call->number_capacity * sizeof(float) + call->messages.capacity + call->encoded_longest * 5;
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

/* Room for one more text of that many tokens, within what a request may ask for. */
static bool reserve(struct berth_call *call, size_t tokens)
{
    const struct berth_server *server = call->request->server;
    if (call->count >= server->max_texts ||
        tokens > server->max_tokens - berth_min(call->tokens, server->max_tokens)) {
        berth_reply_error(&call->request->reply, 413,
                          "a request of more than %zu texts or %zu tokens: send several", server->max_texts,
                          server->max_tokens);
        return false;
    }
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

/* Cuts tokens at the beginning of one text of the encoding until `limit` are left: after the special token
 * that stands before it, if one does. Of a pair the longer text is cut, and the first on a tie. */
static void cut_left(struct berth_call *call, int32_t *ids, uint8_t *type_ids, size_t *size, size_t limit)
{
    bool special = call->info->special_tokens;
    size_t first = 0;
    while (first < *size && type_ids[first] == 0)
        first++;
    size_t ends = special ? 1 : 0, room_a = first - berth_min(first, 2 * ends), room_b = *size - first;
    room_b -= berth_min(room_b, ends);
    size_t cut_a = 0, cut_b = 0;
    while (*size - cut_a - cut_b > limit)
        if (room_a - cut_a >= room_b - cut_b)
            cut_a++;
        else
            cut_b++;
    memmove(ids + first, ids + first + cut_b, (*size - first - cut_b) * sizeof *ids);
    memmove(type_ids + first, type_ids + first + cut_b, *size - first - cut_b);
    *size -= cut_b;
    memmove(ids + ends, ids + ends + cut_a, (*size - ends - cut_a) * sizeof *ids);
    memmove(type_ids + ends, type_ids + ends + cut_a, *size - ends - cut_a);
    *size -= cut_a;
}

/* Code points of UTF-8: the bytes that do not continue one. */
static size_t count_characters(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++)
        count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

bool berth_call_add_text(struct berth_call *call, const struct berth_text *text)
{
    struct berth_error err;
    char why[160];
    uint64_t started = berth_clock_ns();
    size_t limit = limit_of(call);
    bool left = call->truncate && call->truncate_left && limit > 3; /* else there is nothing to choose */
    size_t whole =
        berth_max(limit, text->size + text->pair_size + 4); /* no text has more tokens than bytes */
    struct berth_tokens *encoded = &call->encoded;
    enum berth_status status = berth_tokenize(call->model, text, left ? whole : limit, encoded, &err);
    call->tokenize_ns += berth_clock_ns() - started;
    call->characters += count_characters(text->text, text->size) + count_characters(text->pair, text->pair_size);
    if (status == BERTH_NO_MEMORY)
        return fail_memory(call);
    if (status != BERTH_OK)
        return refuse_text(call, status, err.message);
    call->encoded_longest = berth_max(call->encoded_longest, encoded->size);
    if (encoded->size == 0)
        return refuse_text(call, BERTH_INVALID_ARGUMENT, "it has no tokens, and no special ones are added");
    if (encoded->truncated && !call->truncate) {
        snprintf(why, sizeof why, "it has more than %zu tokens, and truncation is off", limit);
        return refuse_text(call, BERTH_LIMIT, why);
    }
    if (!left || encoded->size <= limit)
        return add_item(call, encoded->ids, encoded->type_ids, encoded->size, encoded->truncated);
    if (!add_item(call, encoded->ids, encoded->type_ids, encoded->size, true))
        return false;
    struct berth_call_item *item = &call->items[call->count - 1];
    call->tokens -= item->size;
    cut_left(call, call->ids + item->first, call->type_ids + item->first, &item->size, limit);
    call->tokens += item->size;
    return true;
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

void berth_call_submit(struct berth_call *call, void (*answer)(struct berth_request *request))
{
    if (!prepare(call))
        return;
    call->answer = answer;
    call->request->step = BERTH_STEP_CALL;
}

void berth_call_normalize(float *vector, size_t width)
{
    double sum = 0;
    for (size_t i = 0; i < width; i++)
        sum += (double)vector[i] * (double)vector[i];
    double length = sqrt(sum);
    for (size_t i = 0; i < width && length > 0; i++)
        vector[i] = (float)((double)vector[i] / length);
}
