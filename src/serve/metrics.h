/* metrics.h: what is counted of a model's requests and batches, and its text for Prometheus. A request of a
 * known model is counted once, when it ends, as a success or as one kind of failure; a snapshot is taken
 * under the same lock, so sums always agree. */
#ifndef BERTH_SERVE_METRICS_H
#define BERTH_SERVE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "berth/status.h"

enum { BERTH_TIME_BUCKETS = 35, BERTH_SIZE_BUCKETS = 21 };

/* Numbers of values up to a bound: of seconds 1.5e-5 times 1.5^k, of sizes 2^k; the last is beyond them all.
 */
struct berth_histogram {
    uint64_t bucket[BERTH_TIME_BUCKETS + 1];
    double sum;
};

enum berth_outcome {
    BERTH_OUTCOME_SUCCESS,
    BERTH_OUTCOME_REJECTED, /* 429, 503: overloaded, too late, stopping */
    BERTH_OUTCOME_CANCELED, /* the client left, or was cut */
    BERTH_OUTCOME_BACKEND,  /* other 5xx */
    BERTH_OUTCOME_OTHER,    /* other 4xx: the request was wrong */
    BERTH_OUTCOME_COUNT
};
const char *berth_outcome_name(enum berth_outcome outcome); /* "REJECTED" */

/* One request at its end. */
struct berth_request_count {
    enum berth_outcome outcome;
    bool batched, classified;
    size_t texts, tokens, longest;
    uint64_t total_ns, tokenize_ns, queue_ns, compute_ns, answer_ns;
};

struct berth_counts {
    uint64_t requests[BERTH_OUTCOME_COUNT];
    uint64_t singles, batches; /* requests by method */
    uint64_t single_successes, batch_successes;
    uint64_t texts, text_successes; /* of requests that got as far as tokens */
    uint64_t predictions, prediction_successes, embeddings, embedding_successes; /* texts by kind */
    uint64_t total_ns, tokenize_ns, queue_ns, compute_ns, answer_ns;             /* of successes */
    uint64_t failed_ns;                                                          /* of the others */
    uint64_t executions, computed_texts, computed_tokens, padding_avoided;       /* batches */
    uint64_t last_ms;                                       /* since 1970, of the last success */
    struct berth_histogram total, tokenize, queue, compute; /* successes, seconds */
    struct berth_histogram length;                          /* tokens of a request's longest text */
    struct berth_histogram batch_texts, batch_tokens;
};

struct berth_metrics;
enum berth_status berth_metrics_new(struct berth_metrics **metrics, struct berth_error *err);
void berth_metrics_free(struct berth_metrics *metrics); /* NULL is fine */

/* From any thread. */
void berth_metrics_request(struct berth_metrics *metrics, const struct berth_request_count *count);
void berth_metrics_batch(struct berth_metrics *metrics, size_t texts, size_t tokens, size_t longest,
                         uint64_t ns);
void berth_metrics_snapshot(struct berth_metrics *metrics, struct berth_counts *counts);

/* One model's part of the text. */
struct berth_metrics_row {
    const char *name, *version;
    struct berth_counts counts;
    bool ready;
    size_t pending; /* calls in its queue */
};

/* Appends everything as Prometheus reads it; false when memory ran out. `connections`, `waiting`: present
 * ones. */
bool berth_metrics_write(struct berth_buffer *text, const struct berth_metrics_row *rows, size_t count,
                         size_t connections, size_t waiting);

#endif
