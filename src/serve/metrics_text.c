/* metrics_text.c: the text that Prometheus scrapes: text-embeddings-inference's names over all models,
 * Triton's and our own by model and version. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "serve/metrics.h"

struct writer {
    struct berth_buffer *text;
    const struct berth_metrics_row *rows;
    size_t count;
    bool fits;
};

static void head(struct writer *w, const char *name, const char *type, const char *help)
{
    w->fits = w->fits && berth_buffer_format(w->text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void value(struct writer *w, const char *name, const char *labels, uint64_t number)
{
    w->fits =
        w->fits && berth_buffer_format(w->text, "%s%s %llu\n", name, labels, (unsigned long long)number);
}

/* "{model="m",version="1"" for more labels, closed by the caller. Names are plain: nothing to escape. */
static const char *labels_of(const struct berth_metrics_row *row, const char *more, char *labels, size_t size)
{
    snprintf(labels, size, "{model=\"%s\",version=\"%s\"%s}", row->name, row->version, more);
    return labels;
}

enum { LABELS = 256 };

/* A counter of every model; `at` is where the number stands in the counts, in units of `divisor`. */
static void counter(struct writer *w, const char *name, const char *help, size_t at, uint64_t divisor)
{
    char labels[LABELS];
    head(w, name, "counter", help);
    for (size_t i = 0; i < w->count; i++) {
        uint64_t number;
        memcpy(&number, (const char *)&w->rows[i].counts + at, sizeof number);
        value(w, name, labels_of(&w->rows[i], "", labels, sizeof labels), number / divisor);
    }
}

static void write_buckets(struct writer *w, const char *name, const char *labels,
                          const struct berth_histogram *h, bool seconds)
{
    uint64_t sum = 0;
    double bound = seconds ? 1.5e-5 : 1;
    size_t buckets = seconds ? BERTH_TIME_BUCKETS : BERTH_SIZE_BUCKETS;
    const char *comma = *labels ? "," : "";
    for (size_t k = 0; k < buckets; k++, bound *= seconds ? 1.5 : 2) {
        sum += h->bucket[k];
        w->fits = w->fits && berth_buffer_format(w->text, "%s_bucket{%s%sle=\"%.9g\"} %llu\n", name, labels,
                                                 comma, bound, (unsigned long long)sum);
    }
    sum += h->bucket[buckets];
    const char *open = *labels ? "{" : "", *close = *labels ? "}" : "";
    w->fits = w->fits &&
              berth_buffer_format(w->text,
                                  "%s_bucket{%s%sle=\"+Inf\"} %llu\n%s_sum%s%s%s %.9g\n%s_count%s%s%s %llu\n",
                                  name, labels, comma, (unsigned long long)sum, name, open, labels, close,
                                  h->sum, name, open, labels, close, (unsigned long long)sum);
}

static const struct berth_histogram *histogram_at(const struct berth_metrics_row *row, size_t at)
{
    return (const struct berth_histogram *)(const void *)((const char *)&row->counts + at);
}

/* Summed over the models. */
static void total_histogram(struct writer *w, const char *name, const char *help, size_t at, bool seconds)
{
    struct berth_histogram sum = {0};
    for (size_t i = 0; i < w->count; i++) {
        const struct berth_histogram *h = histogram_at(&w->rows[i], at);
        for (size_t k = 0; k <= BERTH_TIME_BUCKETS; k++)
            sum.bucket[k] += h->bucket[k];
        sum.sum += h->sum;
    }
    head(w, name, "histogram", help);
    write_buckets(w, name, "", &sum, seconds);
}

static void model_histogram(struct writer *w, const char *name, const char *help, size_t at, bool seconds)
{
    char labels[LABELS];
    head(w, name, "histogram", help);
    for (size_t i = 0; i < w->count; i++) {
        snprintf(labels, sizeof labels, "model=\"%s\",version=\"%s\"", w->rows[i].name, w->rows[i].version);
        write_buckets(w, name, labels, histogram_at(&w->rows[i], at), seconds);
    }
}

static uint64_t total(const struct writer *w, size_t at)
{
    uint64_t sum = 0, number;
    for (size_t i = 0; i < w->count; i++) {
        memcpy(&number, (const char *)&w->rows[i].counts + at, sizeof number);
        sum += number;
    }
    return sum;
}

#define AT(member) offsetof(struct berth_counts, member)

static void write_tei(struct writer *w, size_t waiting)
{
    static const char *const err[BERTH_OUTCOME_COUNT] = {"", "overloaded", "dropped", "inference",
                                                         "validation"};
    char labels[64];
    head(w, "te_request_count", "counter", "requests that reached a known model");
    value(w, "te_request_count", "{method=\"single\"}", total(w, AT(singles)));
    value(w, "te_request_count", "{method=\"batch\"}", total(w, AT(batches)));
    head(w, "te_request_success", "counter", "requests answered well");
    value(w, "te_request_success", "{method=\"single\"}", total(w, AT(single_successes)));
    value(w, "te_request_success", "{method=\"batch\"}", total(w, AT(batch_successes)));
    head(w, "te_request_failure", "counter", "requests refused, failed, or left by their client");
    for (size_t i = 1; i < BERTH_OUTCOME_COUNT; i++) {
        snprintf(labels, sizeof labels, "{err=\"%s\"}", err[i]);
        value(w, "te_request_failure", labels, total(w, AT(requests) + i * sizeof(uint64_t)));
    }
    head(w, "te_predict_count", "counter", "texts to classify");
    value(w, "te_predict_count", "", total(w, AT(predictions)));
    head(w, "te_predict_success", "counter", "texts classified and answered");
    value(w, "te_predict_success", "", total(w, AT(prediction_successes)));
    head(w, "te_embed_count", "counter", "texts to embed");
    value(w, "te_embed_count", "", total(w, AT(embeddings)));
    head(w, "te_embed_success", "counter", "texts embedded and answered");
    value(w, "te_embed_success", "", total(w, AT(embedding_successes)));
    head(w, "te_queue_size", "gauge", "requests that wait or are computed");
    value(w, "te_queue_size", "", waiting);
    total_histogram(w, "te_request_duration", "seconds of a successful request", AT(total), true);
    total_histogram(w, "te_request_tokenization_duration", "seconds tokenising", AT(tokenize), true);
    total_histogram(w, "te_request_queue_duration", "seconds in the queue", AT(queue), true);
    total_histogram(w, "te_request_inference_duration", "seconds computing", AT(compute), true);
    total_histogram(w, "te_request_input_length", "tokens of a request's longest text", AT(length), false);
    total_histogram(w, "te_batch_next_size", "texts of a batch", AT(batch_texts), false);
    total_histogram(w, "te_batch_next_tokens", "tokens of a batch", AT(batch_tokens), false);
}

static void write_triton(struct writer *w)
{
    char labels[LABELS], more[64];
    counter(w, "nv_inference_request_success", "requests answered well",
            AT(requests) + BERTH_OUTCOME_SUCCESS * sizeof(uint64_t), 1);
    head(w, "nv_inference_request_failure", "counter", "requests refused, failed, or left by their client");
    for (size_t i = 0; i < w->count; i++)
        for (int k = 1; k < BERTH_OUTCOME_COUNT; k++) {
            snprintf(more, sizeof more, ",reason=\"%s\"", berth_outcome_name((enum berth_outcome)k));
            value(w, "nv_inference_request_failure", labels_of(&w->rows[i], more, labels, sizeof labels),
                  w->rows[i].counts.requests[k]);
        }
    counter(w, "nv_inference_count", "texts computed", AT(computed_texts), 1);
    counter(w, "nv_inference_exec_count", "batches computed", AT(executions), 1);
    head(w, "nv_inference_pending_request_count", "gauge", "requests in the queue");
    for (size_t i = 0; i < w->count; i++)
        value(w, "nv_inference_pending_request_count", labels_of(&w->rows[i], "", labels, sizeof labels),
              w->rows[i].pending);
    counter(w, "nv_inference_request_duration_us", "of successful requests, summed", AT(total_ns), 1000);
    counter(w, "nv_inference_queue_duration_us", "in the queue, summed", AT(queue_ns), 1000);
    counter(w, "nv_inference_compute_input_duration_us", "tokenising, summed", AT(tokenize_ns), 1000);
    counter(w, "nv_inference_compute_infer_duration_us", "computing, summed", AT(compute_ns), 1000);
    counter(w, "nv_inference_compute_output_duration_us", "writing answers, summed", AT(answer_ns), 1000);
}

static uint64_t resident_bytes(void)
{
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file) {
        if (fscanf(file, "%*u %llu", &pages) != 1)
            pages = 0;
        fclose(file);
    }
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void write_own(struct writer *w, size_t connections)
{
    char labels[LABELS];
    counter(w, "berth_batch_tokens_total", "tokens computed", AT(computed_tokens), 1);
    counter(w, "berth_padding_tokens_avoided_total",
            "tokens that batches padded to their longest text would add", AT(padding_avoided), 1);
    model_histogram(w, "berth_request_duration_seconds", "of successful requests", AT(total), true);
    model_histogram(w, "berth_queue_duration_seconds", "in the queue", AT(queue), true);
    model_histogram(w, "berth_compute_duration_seconds", "computing", AT(compute), true);
    model_histogram(w, "berth_batch_size_texts", "texts of a batch", AT(batch_texts), false);
    model_histogram(w, "berth_batch_size_tokens", "tokens of a batch", AT(batch_tokens), false);
    head(w, "berth_model_ready", "gauge", "1: loaded and warm");
    for (size_t i = 0; i < w->count; i++)
        value(w, "berth_model_ready", labels_of(&w->rows[i], "", labels, sizeof labels), w->rows[i].ready);
    head(w, "berth_connections", "gauge", "open connections");
    value(w, "berth_connections", "", connections);
    head(w, "process_resident_memory_bytes", "gauge", "resident memory");
    value(w, "process_resident_memory_bytes", "", resident_bytes());
}

bool berth_metrics_write(struct berth_buffer *text, const struct berth_metrics_row *rows, size_t count,
                         size_t connections, size_t waiting)
{
    struct writer w = {.text = text, .rows = rows, .count = count, .fits = true};
    write_tei(&w, waiting);
    write_triton(&w);
    write_own(&w, connections);
    return w.fits;
}
