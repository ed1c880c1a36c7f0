/* metrics.c: counters behind one lock a model. */
#include "serve/metrics.h"

#include <pthread.h>
#include <time.h>

#include "base/alloc.h"
#include "base/error.h"

struct berth_metrics {
    pthread_mutex_t lock;
    struct berth_counts counts;
};

const char *berth_outcome_name(enum berth_outcome outcome)
{
    static const char *const names[BERTH_OUTCOME_COUNT] = {"SUCCESS", "REJECTED", "CANCELED", "BACKEND",
                                                           "OTHER"};
    return names[outcome];
}

enum berth_status berth_metrics_new(struct berth_metrics **out, struct berth_error *err)
{
    struct berth_metrics *metrics = *out = berth_calloc(1, sizeof *metrics);
    if (!metrics)
        return berth_fail_memory(err, "a model's metrics", sizeof *metrics);
    pthread_mutex_init(&metrics->lock, NULL);
    return BERTH_OK;
}

void berth_metrics_free(struct berth_metrics *metrics)
{
    if (!metrics)
        return;
    pthread_mutex_destroy(&metrics->lock);
    berth_free(metrics);
}

static void add_seconds(struct berth_histogram *histogram, uint64_t ns)
{
    double seconds = (double)ns * 1e-9, bound = 1.5e-5;
    size_t k = 0;
    for (; k < BERTH_TIME_BUCKETS && seconds > bound; k++)
        bound *= 1.5;
    histogram->bucket[k]++;
    histogram->sum += seconds;
}

static void add_size(struct berth_histogram *histogram, size_t size)
{
    size_t k = 0;
    while (k < BERTH_SIZE_BUCKETS && size > (size_t)1 << k)
        k++;
    histogram->bucket[k]++;
    histogram->sum += (double)size;
}

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}

static void count_success(struct berth_counts *counts, const struct berth_request_count *count)
{
    counts->single_successes += !count->batched;
    counts->batch_successes += count->batched;
    counts->text_successes += count->texts;
    if (count->classified)
        counts->prediction_successes += count->texts;
    else
        counts->embedding_successes += count->texts;
    counts->total_ns += count->total_ns;
    counts->tokenize_ns += count->tokenize_ns;
    counts->queue_ns += count->queue_ns;
    counts->compute_ns += count->compute_ns;
    counts->answer_ns += count->answer_ns;
    counts->last_ms = now_ms();
    add_seconds(&counts->total, count->total_ns);
    add_seconds(&counts->tokenize, count->tokenize_ns);
    add_seconds(&counts->queue, count->queue_ns);
    add_seconds(&counts->compute, count->compute_ns);
    add_size(&counts->length, count->longest);
}

void berth_metrics_request(struct berth_metrics *metrics, const struct berth_request_count *count)
{
    pthread_mutex_lock(&metrics->lock);
    struct berth_counts *counts = &metrics->counts;
    counts->requests[count->outcome]++;
    counts->singles += !count->batched;
    counts->batches += count->batched;
    counts->texts += count->texts;
    if (count->classified)
        counts->predictions += count->texts;
    else
        counts->embeddings += count->texts;
    if (count->outcome == BERTH_OUTCOME_SUCCESS)
        count_success(counts, count);
    else
        counts->failed_ns += count->total_ns;
    pthread_mutex_unlock(&metrics->lock);
}

void berth_metrics_batch(struct berth_metrics *metrics, size_t texts, size_t tokens, size_t longest,
                         uint64_t ns)
{
    (void)ns;
    pthread_mutex_lock(&metrics->lock);
    struct berth_counts *counts = &metrics->counts;
    counts->executions++;
    counts->computed_texts += texts;
    counts->computed_tokens += tokens;
    counts->padding_avoided += texts * longest - tokens;
    add_size(&counts->batch_texts, texts);
    add_size(&counts->batch_tokens, tokens);
    pthread_mutex_unlock(&metrics->lock);
}

void berth_metrics_snapshot(struct berth_metrics *metrics, struct berth_counts *counts)
{
    pthread_mutex_lock(&metrics->lock);
    *counts = metrics->counts;
    pthread_mutex_unlock(&metrics->lock);
}
