/* ranges.c: percentiles and entropy over histograms of activations. */
#include "pipeline/ranges.h"

#include <math.h>

#include "base/checked.h"

enum { STEPS = 255, CUTS = 128, LEAST_CUT = 16 };

static double bin_width(const struct berth_histogram *h)
{
    return ((double)h->range.high - h->range.low) / BERTH_HISTOGRAM_BINS;
}

void berth_histogram_add(struct berth_histogram *h, const float *numbers, size_t count)
{
    const double scale = bin_width(h) > 0 ? 1 / bin_width(h) : 0;
    for (size_t i = 0; i < count; i++) {
        const double at = ((double)numbers[i] - h->range.low) * scale;
        h->bin[at >= BERTH_HISTOGRAM_BINS ? BERTH_HISTOGRAM_BINS - 1 : at > 0 ? (size_t)at : 0]++;
    }
}

static struct berth_onnx_range with_zero(double low, double high)
{
    return (struct berth_onnx_range){.low = (float)fmin(low, 0), .high = (float)fmax(high, 0)};
}

struct berth_onnx_range berth_range_percentile(const struct berth_histogram *h, double percent)
{
    double total = 0, below = 0, above = 0;
    size_t first = 0, end = BERTH_HISTOGRAM_BINS;
    for (size_t i = 0; i < BERTH_HISTOGRAM_BINS; i++)
        total += (double)h->bin[i];
    const double tail = total * (1 - percent / 100) / 2;
    for (; first + 1 < end && below + (double)h->bin[first] <= tail; first++)
        below += (double)h->bin[first];
    for (; end > first + 1 && above + (double)h->bin[end - 1] <= tail; end--)
        above += (double)h->bin[end - 1];
    const double width = bin_width(h);
    return with_zero(first == 0 ? h->range.low : h->range.low + width * (double)first,
                     end == BERTH_HISTOGRAM_BINS ? h->range.high : h->range.low + width * (double)end);
}

/* Bins [first, end) after rounding to STEPS steps: the mass of a step, spread over those of its bins that have any. */
static void round_bins(const uint64_t *bin, size_t bins, double *rounded)
{
    for (size_t step = 0; step < STEPS; step++) {
        const size_t first = step * bins / STEPS, end = (step + 1) * bins / STEPS;
        double mass = 0;
        size_t filled = 0;
        for (size_t i = first; i < end; i++) {
            mass += (double)bin[i];
            filled += bin[i] != 0;
        }
        for (size_t i = first; i < end; i++)
            rounded[i] = bin[i] ? mass / (double)filled : 0;
    }
}

/* How much less the rounded bins [first, end) tell than the histogram with its ends folded in. */
static double divergence(const struct berth_histogram *h, size_t first, size_t end)
{
    double rounded[BERTH_HISTOGRAM_BINS], below = 0, above = 0, kept = 0, sum = 0;
    const size_t bins = end - first;
    const double floor = 1e-6; /* of a bin that rounding left empty and folding filled */
    round_bins(h->bin + first, bins, rounded);
    for (size_t i = 0; i < BERTH_HISTOGRAM_BINS; i++) {
        const double count = (double)h->bin[i];
        *(i < first ? &below : i < end ? &kept : &above) += count;
    }
    const double total = below + kept + above;
    if (!(kept > 0))
        return INFINITY;
    for (size_t i = 0; i < bins; i++) {
        const double count =
            (double)h->bin[first + i] + (i == 0 ? below : 0) + (i + 1 == bins ? above : 0);
        const double p = count / total, q = fmax(rounded[i] / kept, floor / total);
        sum += p > 0 ? p * log(p / q) : 0;
    }
    return sum;
}

struct berth_onnx_range berth_range_entropy(const struct berth_histogram *h)
{
    const double width = bin_width(h), low = h->range.low, magnitude = fmax(-low, h->range.high);
    struct berth_onnx_range best = h->range;
    double least = INFINITY;
    for (size_t cut = CUTS; width > 0 && cut >= LEAST_CUT; cut--) {
        const double limit = magnitude * (double)cut / CUTS;
        const double from = fmax(low, -limit), to = fmin(h->range.high, limit);
        const size_t first = (size_t)lround((from - low) / width),
                     end = berth_min((size_t)lround((to - low) / width), BERTH_HISTOGRAM_BINS);
        if (end < first + STEPS)
            break;
        const double d = divergence(h, first, end);
        if (d < least) {
            least = d;
            best = with_zero(cut == CUTS ? low : low + width * (double)first,
                             cut == CUTS ? h->range.high : low + width * (double)end);
        }
    }
    return best;
}
