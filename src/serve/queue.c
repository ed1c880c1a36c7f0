/* queue.c: first come, first served, by tokens. */
#include "serve/queue.h"

#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "serve/request.h"

/* Calls looked at for one batch: bounds the time under the lock. */
enum { LOOKED_AT = 1024 };

/* Tokens in a batch from which on larger ones are hardly faster, a token: no bound of time asks for fewer. */
enum { EFFICIENT_TOKENS = 256 };

static bool same_work(const struct berth_call *a, const struct berth_call *b)
{
    return a->kind == b->kind && (a->kind != BERTH_CALL_EMBED || a->pooling == b->pooling);
}

void berth_queue_init(struct berth_queue *queue)
{
    pthread_mutex_init(&queue->lock, NULL);
    queue->end = &queue->first;
}

void berth_queue_clear(struct berth_queue *queue)
{
    pthread_mutex_destroy(&queue->lock);
}

void berth_queue_add_seat(struct berth_queue *queue, struct berth_seat *seat)
{
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&seat->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_lock(&queue->lock);
    seat->next = queue->seats;
    queue->seats = seat;
    queue->seat_count++;
    pthread_mutex_unlock(&queue->lock);
}

void berth_queue_clear_seat(struct berth_seat *seat)
{
    pthread_cond_destroy(&seat->wake);
}

/* --- in ------------------------------------------------------------------------------------------- */

/* Nanoseconds until a call that enters now would begin, by what was computed of late: until the first seat is
 * done, and what waits. */
static uint64_t estimate_wait(const struct berth_queue *queue, uint64_t now)
{
    uint64_t first = UINT64_MAX;
    for (const struct berth_seat *seat = queue->seats; seat; seat = seat->next) {
        bool busy = (!seat->idle || seat->claimed) && seat->busy_until > now;
        first = berth_min(first, busy ? seat->busy_until - now : 0);
    }
    double waiting = (double)queue->tokens * queue->ns_per_token / (double)berth_max(queue->seat_count, 1);
    return (queue->seats ? first : 0) + (uint64_t)waiting;
}

bool berth_queue_push(struct berth_queue *queue, struct berth_call *call, unsigned *refused,
                      uint64_t *wait_ns)
{
    call->next = NULL;
    call->taken = 0;
    call->queue_ns = call->compute_ns = 0;
    call->unfinished = 0;
    for (size_t i = 0; i < call->count; i++)
        call->unfinished += call->items[i].status == BERTH_OK;
    call->submitted_ns = berth_clock_ns();
    pthread_mutex_lock(&queue->lock);
    *wait_ns = estimate_wait(queue, call->submitted_ns);
    *refused = queue->closed ? 503 : *wait_ns > call->timeout_ns ? 429 : 0;
    if (!*refused) {
        *queue->end = call;
        queue->end = &call->next;
        queue->calls++;
        queue->texts += call->unfinished;
        queue->tokens += call->tokens;
    }
    pthread_mutex_unlock(&queue->lock);
    return !*refused;
}

static void kick(struct berth_queue *queue)
{
    for (struct berth_seat *seat = queue->seats; seat && queue->first; seat = seat->next)
        if (seat->idle && !seat->claimed) {
            seat->idle = false; /* so that the next kick wakes another */
            pthread_cond_signal(&seat->wake);
            return;
        }
}

void berth_queue_kick(struct berth_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    kick(queue);
    pthread_mutex_unlock(&queue->lock);
}

void berth_queue_close(struct berth_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->closed = true;
    for (struct berth_seat *seat = queue->seats; seat; seat = seat->next)
        pthread_cond_signal(&seat->wake);
    pthread_mutex_unlock(&queue->lock);
}

/* --- forming a batch, all under the lock ---------------------------------------------------------- */

static void unlink_call(struct berth_queue *queue, struct berth_call **place)
{
    struct berth_call *call = *place;
    *place = call->next;
    if (queue->end == &call->next)
        queue->end = place;
    call->next = NULL;
    queue->calls--;
}

/* Takes back what of a call was not taken yet. */
static void drop_rest(struct berth_queue *queue, struct berth_call *call)
{
    for (; call->taken < call->count; call->taken++)
        if (call->items[call->taken].status == BERTH_OK) {
            call->unfinished--;
            queue->texts--;
            queue->tokens -= call->items[call->taken].size;
        }
}

/* Removes a call that nobody waits for any more; true when it was one. */
static bool bury(struct berth_queue *queue, struct berth_call **place, uint64_t now, struct berth_call **dead)
{
    struct berth_call *call = *place;
    if (!call->failed && !berth_request_ended(call->request, now - call->submitted_ns, call->limit_ns))
        return false;
    call->failed = true;
    drop_rest(queue, call);
    unlink_call(queue, place);
    if (call->unfinished == 0) { /* else the batch that has its other texts hands it back */
        call->queue_ns = now - call->submitted_ns;
        call->next = *dead;
        *dead = call;
    }
    return true;
}

static size_t next_text(const struct berth_call *call)
{
    size_t i = call->taken;
    while (i < call->count && call->items[i].status != BERTH_OK)
        i++;
    return i;
}

/* Tokens of a batch at most. A single text may be longer: it fits into max_tokens. */
static size_t batch_limit(const struct berth_queue *queue)
{
    if (!queue->batch_ns || queue->ns_per_token <= 0)
        return queue->max_tokens;
    double tokens = (double)queue->batch_ns / queue->ns_per_token;
    return tokens >= (double)queue->max_tokens ? queue->max_tokens
                                               : berth_min(berth_max((size_t)tokens, EFFICIENT_TOKENS), queue->max_tokens);
}

/* Takes texts of a call, in their order, while they fit and the call has less than `share` tokens in the
 * batch. True when none is left. */
static bool take_texts(struct berth_queue *queue, struct berth_call *call, struct berth_batch *batch,
                       size_t share, uint64_t now)
{
    size_t i, had = 0;
    for (; (i = next_text(call)) < call->count; call->taken = i + 1) {
        const struct berth_call_item *item = &call->items[i];
        bool fits = batch->texts == 0 || batch->tokens + item->size <= batch->limit;
        if (batch->texts == queue->max_texts || !fits || had >= share)
            return false;
        batch->text[batch->texts] = (struct berth_batch_text){call, i};
        batch->sequence[batch->texts++] =
            (struct berth_sequence){call->ids + item->first, call->type_ids + item->first, item->size};
        batch->tokens += item->size;
        batch->longest = berth_max(batch->longest, item->size);
        had += item->size;
        queue->tokens -= item->size;
        queue->texts--;
        if (!call->started_ns) {
            call->started_ns = now;
            call->queue_ns = now - call->submitted_ns;
        }
    }
    return true;
}

/* One walk over the queue. A batch that holds something already goes on with the same work. */
static void gather(struct berth_queue *queue, struct berth_batch *batch, size_t share, uint64_t now,
                   struct berth_call **dead)
{
    const struct berth_call *head = batch->texts > 0 ? batch->text[0].call : NULL;
    struct berth_call **place = &queue->first;
    for (size_t looked = 0; *place && looked < LOOKED_AT && batch->tokens < batch->limit; looked++) {
        struct berth_call *call = *place;
        if (bury(queue, place, now, dead))
            continue;
        if (!head) {
            head = call;
            batch->kind = call->kind;
            batch->pooling = call->pooling;
        }
        if (same_work(head, call) && take_texts(queue, call, batch, share, now))
            unlink_call(queue, place);
        else
            place = &call->next;
    }
}

static void form(struct berth_queue *queue, struct berth_seat *seat, struct berth_batch *batch,
                 struct berth_call **dead)
{
    uint64_t now = berth_clock_ns();
    batch->texts = batch->tokens = batch->longest = 0;
    batch->limit = batch_limit(queue);
    gather(queue, batch, berth_max(batch->limit / 2, 1), now, dead);
    if (queue->first && batch->tokens < batch->limit)
        gather(queue, batch, SIZE_MAX, now, dead); /* nobody else wants the rest */
    seat->busy_until = now + (uint64_t)((double)batch->tokens * queue->ns_per_token);
}

/* --- out ------------------------------------------------------------------------------------------ */

static void sleep_until(struct berth_queue *queue, struct berth_seat *seat, uint64_t moment)
{
    struct timespec until = {.tv_sec = (time_t)(moment / 1000000000u),
                             .tv_nsec = (long)(moment % 1000000000u)};
    seat->idle = true; /* a kick ends the wait early when a batch is full */
    pthread_cond_timedwait(&seat->wake, &queue->lock, &until);
}

/* With nothing to do: asleep. With less than a batch, behind a batch: for the rest of the delay. */
static void wait_for_work(struct berth_queue *queue, struct berth_seat *seat)
{
    bool rested = false;
    for (;;) {
        if (seat->claimed || (!queue->first && !queue->closed)) {
            rested = rested || !queue->first;
            seat->idle = true;
            pthread_cond_wait(&seat->wake, &queue->lock);
            continue;
        }
        seat->idle = false;
        if (!queue->first || rested || queue->closed || queue->tokens >= batch_limit(queue))
            return;
        uint64_t due = queue->first->submitted_ns + queue->max_delay_ns;
        if (berth_clock_ns() >= due)
            return;
        sleep_until(queue, seat, due);
    }
}

bool berth_queue_take(struct berth_queue *queue, struct berth_seat *seat, struct berth_batch *batch,
                      struct berth_call **dead)
{
    *dead = NULL;
    pthread_mutex_lock(&queue->lock);
    wait_for_work(queue, seat);
    bool more = queue->first != NULL;
    form(queue, seat, batch, dead);
    kick(queue); /* what is left is another seat's */
    pthread_mutex_unlock(&queue->lock);
    return more;
}

struct berth_seat *berth_queue_claim(struct berth_queue *queue, uint64_t limit_ns,
                                     struct berth_batch *(*batch_of)(struct berth_seat *seat),
                                     struct berth_call **dead)
{
    *dead = NULL;
    struct berth_seat *seat = NULL;
    pthread_mutex_lock(&queue->lock);
    bool quick = queue->first && queue->ns_per_token > 0 &&
                 (double)queue->tokens * queue->ns_per_token <= (double)limit_ns;
    for (seat = quick ? queue->seats : NULL; seat && (!seat->idle || seat->claimed);)
        seat = seat->next;
    if (seat) {
        seat->claimed = true;
        form(queue, seat, batch_of(seat), dead);
    }
    pthread_mutex_unlock(&queue->lock);
    return seat;
}

void berth_queue_release(struct berth_queue *queue, struct berth_seat *seat)
{
    pthread_mutex_lock(&queue->lock);
    seat->claimed = false;
    if (queue->closed)
        pthread_cond_signal(&seat->wake);
    else
        kick(queue);
    pthread_mutex_unlock(&queue->lock);
}

struct berth_call *berth_queue_finish(struct berth_queue *queue, const struct berth_batch *batch,
                                      uint64_t began, uint64_t ns)
{
    struct berth_call *whole = NULL, **end = &whole;
    pthread_mutex_lock(&queue->lock);
    if (batch->tokens > 0) {
        double each = (double)ns / (double)batch->tokens;
        queue->ns_per_token = queue->ns_per_token > 0 ? 0.8 * queue->ns_per_token + 0.2 * each : each;
    }
    for (size_t i = 0; i < batch->texts; i++) {
        struct berth_call *call = batch->text[i].call;
        if (call->counted_ns != began) { /* once a batch */
            call->counted_ns = began;
            call->compute_ns += ns;
        }
        if (--call->unfinished == 0) { /* taken or dropped, all of them */
            call->next = NULL;
            *end = call;
            end = &call->next;
        }
    }
    pthread_mutex_unlock(&queue->lock);
    return whole;
}

void berth_queue_fail_text(struct berth_queue *queue, const struct berth_batch_text *text,
                           const struct berth_error *err)
{
    struct berth_call *call = text->call;
    pthread_mutex_lock(&queue->lock);
    if (call->lenient)
        call->items[text->index].status = err->status; /* its result was not filled in */
    else if (!call->failed)
        berth_reply_failure(&call->request->reply, err);
    call->failed = call->failed || !call->lenient;
    pthread_mutex_unlock(&queue->lock);
}

size_t berth_queue_calls(struct berth_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    size_t calls = queue->calls;
    pthread_mutex_unlock(&queue->lock);
    return calls;
}
