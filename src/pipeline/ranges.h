/* ranges.h: from what numbers were seen to be to the range that eight bits are spent on. */
#ifndef BERTH_PIPELINE_RANGES_H
#define BERTH_PIPELINE_RANGES_H

#include <stddef.h>
#include <stdint.h>

#include "onnx/export.h"

enum { BERTH_HISTOGRAM_BINS = 4096 };

/* Counts of numbers in [low, high], in bins of equal width. */
struct berth_histogram {
    struct berth_onnx_range range; /* of all of them */
    uint64_t bin[BERTH_HISTOGRAM_BINS];
};

void berth_histogram_add(struct berth_histogram *histogram, const float *numbers, size_t count);

/* The range that holds `percent` of the numbers, as many left out below as above; 0 is always in it. */
struct berth_onnx_range berth_range_percentile(const struct berth_histogram *histogram, double percent);

/* The range, cut at one magnitude on both sides, whose 255 steps tell least less about the numbers than the histogram:
 * the smallest Kullback-Leibler divergence, with what is cut off counted at the ends (Migacz 2017, for unsigned
 * bytes with a zero point). */
struct berth_onnx_range berth_range_entropy(const struct berth_histogram *histogram);

#endif
