/* queue.h: the calls that wait for one model, and how batches are formed of them. Order of arrival, with two
 * bounds that keep it useful: a call larger than half a batch leaves the other half to those behind it, and
 * texts that still fit are taken from calls behind one that does not (which then heads the next batch). A
 * batch holds one kind of work: classifying, or one pooling. Nothing is padded, so a batch is filled by
 * tokens and lengths may mix. Every function but init and clear may be called from any thread. */
#ifndef BERTH_SERVE_QUEUE_H
#define BERTH_SERVE_QUEUE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/call.h"

struct berth_batch_text {
    struct berth_call *call;
    size_t index; /* of its items */
};

/* Texts to compute together. The arrays are the owner's, of the queue's max_texts. */
struct berth_batch {
    struct berth_batch_text *text;
    struct berth_sequence *sequence;
    size_t texts, tokens, longest;
    size_t limit; /* tokens at most; one text alone may have more */
    enum berth_call_kind kind;
    enum berth_pooling pooling;
};

/* Who computes batches: a thread that sleeps on `wake` while it is idle. Guarded by the queue's lock. */
struct berth_seat {
    pthread_cond_t wake;
    bool idle;    /* its thread sleeps */
    bool claimed; /* the event loop computes in its place */
    uint64_t busy_until; /* ns: when its last batch is likely computed */
    struct berth_seat *next;
};

struct berth_queue {
    size_t max_tokens, max_texts; /* of a batch */
    uint64_t batch_ns; /* a batch ends growing when it is likely to take so long; 0: no matter how long */
    uint64_t max_delay_ns;
    pthread_mutex_t lock;
    struct berth_seat *seats;
    size_t seat_count;
    struct berth_call *first, **end;
    size_t calls, texts, tokens; /* that wait; a call counts until its last text is taken */
    double ns_per_token;         /* of late, on one seat; 0: nothing was computed yet */
    bool closed;
};

void berth_queue_init(struct berth_queue *queue);
void berth_queue_clear(struct berth_queue *queue);
void berth_queue_add_seat(struct berth_queue *queue, struct berth_seat *seat);
void berth_queue_clear_seat(struct berth_seat *seat);

/* Appends a call with at least one text to compute. False, with the status to answer in *refused: 503 when
 * the queue is closed, 429 when what waits or is computed before it takes longer than its timeout_ns; *wait_ns
 * is how long that is. One that has entered is only refused later when it waited longer than its limit_ns. Starts
 * nothing: see kick. */
bool berth_queue_push(struct berth_queue *queue, struct berth_call *call, unsigned *refused,
                      uint64_t *wait_ns);

/* Wakes a seat for what waits. */
void berth_queue_kick(struct berth_queue *queue);

/* For a seat's own thread: waits for work and fills the batch; false when the queue is closed and empty.
 * *dead receives calls that ended in the queue (linked by `next`), each whole, with a reply that says why;
 * then the batch may be empty. */
bool berth_queue_take(struct berth_queue *queue, struct berth_seat *seat, struct berth_batch *batch,
                      struct berth_call **dead);

/* For the event loop: claims an idle seat when all that waits is likely computed within `limit_ns`, and takes
 * a batch. NULL: there is none, or it would take longer. Give the seat back with berth_queue_release, which
 * also wakes its thread for what came meanwhile. */
struct berth_seat *berth_queue_claim(struct berth_queue *queue, uint64_t limit_ns,
                                     struct berth_batch *(*batch_of)(struct berth_seat *seat),
                                     struct berth_call **dead);
void berth_queue_release(struct berth_queue *queue, struct berth_seat *seat);

/* The batch was computed in `ns`: books the time of its calls; returns those that are whole now, linked by
 * `next`. */
struct berth_call *berth_queue_finish(struct berth_queue *queue, const struct berth_batch *batch,
                                      uint64_t began, uint64_t ns);

/* A text of a batch has no result: before finish. */
void berth_queue_fail_text(struct berth_queue *queue, const struct berth_batch_text *text,
                           const struct berth_error *err);

/* Calls that wait. */
size_t berth_queue_calls(struct berth_queue *queue);

/* No call enters any more; seats end when what waits is computed. */
void berth_queue_close(struct berth_queue *queue);

#endif
