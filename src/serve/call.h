/* call.h: the one internal call of every protocol: texts or token ids of one model go in, logits or vectors
 * come out. A protocol's file knows JSON and shapes; it knows no thread, no queue and no session.
 *
 *     static void answer(struct berth_request *request)            the second half: writes the reply
 *     {
 *         const struct berth_call *call = &request->call;
 *         berth_reply_begin(&request->reply, 200, "application/json");
 *         for (size_t i = 0; i < call->count; i++)
 *             ... call->items[i].result.logits[k] ...
 *     }
 *     void berth_handle_x(struct berth_request *request)           the first half: reads the body
 *     {
 *         struct berth_call *call = berth_call_begin(request, NULL, NULL, BERTH_CALL_CLASSIFY);
 *         if (!call)
 *             return;                                              the reply says why
 *         call->truncate = false;                                  options before the first text
 *         for (each text)
 *             if (!berth_call_add_text(call, &text))
 *                 return;                                          the reply says why
 *         berth_call_submit(call, answer);
 *     }
 *
 * Between the halves the call waits in its model's queue, where texts of many calls are computed together,
 * without padding. A call larger than a batch is computed in several, and answered when the last is done.
 * Either half runs on the event loop or, when the body or the answer is large, beside it: they must not
 * block, and they share nothing but the request. When the call itself fails (too late, stopped, refused) the
 * reply is written by the core and `answer` is not called. */
#ifndef BERTH_SERVE_CALL_H
#define BERTH_SERVE_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "berth/berth.h"

struct berth_request;
struct berth_entry;

enum berth_call_kind {
    BERTH_CALL_LOOK, /* only looks at the model (metadata, tokenising): computes nothing, counts nothing */
    BERTH_CALL_CLASSIFY, /* items[].result */
    BERTH_CALL_EMBED     /* items[].vector */
};

struct berth_call_item {
    size_t first, size; /* its tokens: call->ids[first .. first + size) */
    bool truncated;
    enum berth_status status; /* of a lenient call: not OK when this text has no result ... */
    const char *message;      /* ... and why; borrowed from the call, NULL when OK */
    struct berth_result
        result;          /* CLASSIFY; as berth_session_classify gives it, arrays borrowed from the call */
    const float *vector; /* EMBED: [call->width], borrowed from the call */
};

struct berth_call {
    /* Set by begin, for reading. */
    struct berth_request *request;
    const char *name, *version; /* of the model, as clients name it */
    const char *path;           /* as it was opened */
    const struct berth_model *model;
    const struct berth_model_info *info;
    enum berth_call_kind kind;

    /* Options: set between begin and the first text. */
    bool truncate;              /* default true: a text beyond max_length is cut; false: it is an error */
    bool truncate_left;         /* what is cut is the text's beginning */
    size_t max_length;          /* tokens of a text, 0: the model's limit in force, which bounds it */
    bool lenient;               /* a bad text fails alone; default false: it fails the call with 422 */
    bool batched;               /* for the metrics: the client sent a list; default false */
    enum berth_pooling pooling; /* EMBED; default mean */
    bool normalize;             /* EMBED: vectors of length 1; default false */
    uint64_t timeout_ns;        /* may have to wait so long; 0 and more than the server's: the server's */
    uint64_t limit_ns;          /* is not computed when it has waited longer; set with the call's entry */

    /* Texts, and after the call their results. */
    size_t count;
    struct berth_call_item *items; /* [count] */
    size_t width;                  /* floats of a vector, labels of a result */
    int32_t *ids;                  /* [tokens] of all texts, end to end */
    uint8_t *type_ids;             /* [tokens] */
    size_t tokens, characters;     /* of all texts */

    /* Where the time went, ns; whole before `answer` is called. */
    uint64_t tokenize_ns, queue_ns, compute_ns;

    /* The rest is the core's. */
    struct berth_call *next; /* in a queue */
    size_t taken;            /* items before it are in batches, or done */
    size_t unfinished;       /* items without their result yet */
    bool failed;
    uint64_t submitted_ns, started_ns, counted_ns;
    void (*answer)(struct berth_request *request);
    size_t item_capacity, token_capacity, number_capacity;
    float *numbers;              /* logits and scores, or vectors, of all texts */
    struct berth_tokens encoded; /* scratch */
    size_t encoded_longest;
    struct berth_buffer messages;
};

/* The request's call, on model `name` (NULL: the one that the request's path, its query or else the order of
 * models names) in `version` (NULL: any). The model stays as it is until the request has ended, whatever is
 * loaded meanwhile. NULL when there is none, when it is not loaded, or when it cannot do what `kind` says:
 * the reply is then an error. Once a request, unless it failed. */
struct berth_call *berth_call_begin(struct berth_request *request, const char *name, const char *version,
                                    enum berth_call_kind kind);

/* Tokenises a text at once: it may be gone afterwards. / Takes ready ids, which the model's vocabulary is to
 * have; type_ids NULL means all 0. False when the call has failed, and the reply says why. */
bool berth_call_add_text(struct berth_call *call, const struct berth_text *text);
bool berth_call_add_ids(struct berth_call *call, const int32_t *ids, const uint8_t *type_ids, size_t size);

/* Hands the call over; `answer` will be called with all results there. Return from the handler after it. A
 * call without texts is answered at once. */
void berth_call_submit(struct berth_call *call, void (*answer)(struct berth_request *request));

/* The same on a model that the caller found itself. */
struct berth_call *berth_call_begin_entry(struct berth_request *request, struct berth_entry *entry,
                                          enum berth_call_kind kind);

/* For the core: empties the call but keeps its memory; how much that is; frees it. */
void berth_call_reset(struct berth_call *call);
size_t berth_call_bytes(const struct berth_call *call);
void berth_call_clear(struct berth_call *call);

/* Makes a vector one of length 1; one of zeros stays so. */
void berth_call_normalize(float *vector, size_t width);

#endif
