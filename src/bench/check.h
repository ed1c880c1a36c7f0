/* check.h: a wrong model is never timed: before a configuration is measured, its logits are compared with those of
 * berth's own engine at fp32 for the same texts.
 *
 * The distance is the root mean square of the differences, over the spread of the reference's logits (the root mean
 * square of their distance from their text's mean; of the values themselves for a model with one output): 0 for the
 * same logits, about 1 for an untrained head, 2 for two labels swapped, whatever the scale of the logits. */
#ifndef BERTH_BENCH_CHECK_H
#define BERTH_BENCH_CHECK_H

#include "berth/berth.h"

enum { BERTH_PROBES = 8 };

/* Fixed sentences, from 3 to about 70 tokens. */
extern const struct berth_text berth_probes[BERTH_PROBES];

struct berth_logits {
    size_t texts, labels;
    float *value; /* [texts * labels] owned */
};

enum berth_status berth_logits_new(size_t texts, size_t labels, struct berth_logits *logits, struct berth_error *err);
void berth_logits_clear(struct berth_logits *logits);

/* The session's logits for the probes. */
enum berth_status berth_check_probe(struct berth_session *session, struct berth_logits *logits, struct berth_error *err);

/* What a precision may differ by; the loosest of all for one that is not known. Measured values are in
 * docs/measuring.md. */
double berth_check_allowed(const char *precision);

/* NaN when something is not finite, infinity when the shapes differ. */
double berth_check_difference(const struct berth_logits *reference, const struct berth_logits *logits);

/* Refuses, with both figures in the sentence. */
enum berth_status berth_check_compare(const struct berth_logits *reference, const struct berth_logits *logits,
                                      const char *precision, double *difference, struct berth_error *err);

#endif
