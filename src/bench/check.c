/* check.c: the gate before timing. */
#include "bench/check.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"

const struct berth_text berth_probes[BERTH_PROBES] = {
    BERTH_TEXT("bad"),
    BERTH_TEXT("good"),
    BERTH_TEXT("a gripping, funny film"),
    BERTH_TEXT("the plot is a mess and nobody seems to care"),
    BERTH_TEXT("It was the worst of times; it was, in places, the best of them."),
    BERTH_TEXT("42 people left before the end, 7 of them twice."),
    BERTH_TEXT("What the director wanted with this remake of a remake is anybody's guess, but the music by a young "
               "composer whom nobody had heard of makes up for a good deal of it."),
    BERTH_TEXT("slow slow slow and then, in the last ten minutes, all at once: a chase over roofs, a wedding, two "
               "deaths, a birth, a song, and a dog that comes home after seven years without so much as a word of "
               "where it has been, while the snow falls on the town and on the hills behind it"),
};

enum berth_status berth_logits_new(size_t texts, size_t labels, struct berth_logits *logits, struct berth_error *err)
{
    size_t size;
    *logits = (struct berth_logits){.texts = texts, .labels = labels};
    if (!berth_mul(texts, labels, &size) || !(logits->value = berth_calloc(size, sizeof *logits->value)))
        return berth_fail_memory(err, "logits", texts * labels * sizeof *logits->value);
    return BERTH_OK;
}

void berth_logits_clear(struct berth_logits *logits)
{
    berth_free(logits->value);
    *logits = (struct berth_logits){0};
}

enum berth_status berth_check_probe(struct berth_session *session, struct berth_logits *logits, struct berth_error *err)
{
    struct berth_result results[BERTH_PROBES];
    *logits = (struct berth_logits){0};
    enum berth_status status = berth_session_classify(session, berth_probes, BERTH_PROBES, results, err);
    if (status == BERTH_OK)
        status = berth_logits_new(BERTH_PROBES, results[0].labels, logits, err);
    for (size_t i = 0; status == BERTH_OK && i < BERTH_PROBES; i++)
        memcpy(logits->value + i * logits->labels, results[i].logits, logits->labels * sizeof(float));
    return status;
}

double berth_check_allowed(const char *precision)
{
    return strcmp(precision, "fp32") == 0 ? 0.01 : strcmp(precision, "bf16") == 0 ? 0.25 : 0.5;
}

/* Root mean square of what tells the labels of a text apart. */
static double spread(const struct berth_logits *logits)
{
    double squares = 0;
    for (size_t i = 0; i < logits->texts; i++) {
        const float *row = logits->value + i * logits->labels;
        double mean = 0;
        for (size_t k = 0; k < logits->labels && logits->labels > 1; k++)
            mean += row[k] / (double)logits->labels;
        for (size_t k = 0; k < logits->labels; k++)
            squares += (row[k] - mean) * (row[k] - mean);
    }
    return sqrt(squares / (double)(logits->texts * logits->labels));
}

double berth_check_difference(const struct berth_logits *reference, const struct berth_logits *logits)
{
    if (reference->texts != logits->texts || reference->labels != logits->labels)
        return INFINITY;
    double squares = 0;
    size_t count = logits->texts * logits->labels;
    for (size_t i = 0; i < count; i++) {
        double difference = (double)logits->value[i] - (double)reference->value[i];
        squares += difference * difference;
    }
    if (!isfinite(squares))
        return NAN;
    double error = sqrt(squares / (double)count), scale = spread(reference);
    return error == 0 ? 0 : error / scale;
}

enum berth_status berth_check_compare(const struct berth_logits *reference, const struct berth_logits *logits,
                                      const char *precision, double *difference, struct berth_error *err)
{
    double allowed = berth_check_allowed(precision);
    *difference = berth_check_difference(reference, logits);
    if (reference->labels != logits->labels)
        return berth_fail(err, BERTH_FORMAT, "not timed: %zu logits a text where the model has %zu", logits->labels,
                          reference->labels);
    if (isnan(*difference))
        return berth_fail(err, BERTH_FORMAT, "not timed: its logits are not finite");
    if (!(*difference <= allowed))
        return berth_fail(err, BERTH_FORMAT,
                          "not timed, another model or a wrong one: its logits differ from fp32's by %.3g of their "
                          "spread, where %s may by %.2g",
                          *difference, strcmp(precision, "unknown") == 0 ? "any precision" : precision, allowed);
    return BERTH_OK;
}
