/* price.h: what a quantised model costs, from the logits of both, and what it brings. */
#ifndef BERTH_QUANT_PRICE_H
#define BERTH_QUANT_PRICE_H

#include "quant/trial.h"

/* Accuracy with intervals, answers that changed, the paired test, and the `worst` most moved texts, into the report,
 * which is cleared by the caller, also on failure. */
enum berth_status berth_price_fill(struct berth_quantize_report *report, const struct berth_labelled *data,
                                   const float *before, const float *after, size_t worst, struct berth_error *err);

/* Loads both models and lets them take turns over some of the texts: time to load, bytes in memory, texts a second, over
 * `seconds` each. */
enum berth_status berth_price_speed(struct berth_quantize_report *report, const char *before,
                                    const struct berth_options *before_options, const char *after,
                                    const struct berth_options *after_options, const struct berth_labelled *data,
                                    double seconds, struct berth_error *err);

#endif
