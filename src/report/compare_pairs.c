/* compare_pairs.c: pairs of runs that were measured in turns: Wilcoxon's signed-rank test of the logarithms of their ratios. */
#include "report/compare.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* share[s]: of the 2^n ways of giving the ranks 1 to n a sign, how many have s as the sum of the positive ones. */
static void fill_shares(double *share, size_t n, size_t sums)
{
    for (size_t s = 0; s < sums; s++)
        share[s] = s == 0;
    for (size_t rank = 1; rank <= n; rank++)
        for (size_t s = sums; s-- > 0;)
            share[s] = (share[s] + (s >= rank ? share[s - rank] : 0)) / 2;
}

enum berth_status berth_compare_pairs(const double *log_ratio, size_t n, double error_rate,
                                      struct berth_difference *d, struct berth_error *err)
{
    *d = (struct berth_difference){BERTH_TOO_FEW, NAN, {NAN, NAN}, NAN, {1, 1}};
    n = n < BERTH_COMPARE_PAIRS ? n : BERTH_COMPARE_PAIRS;
    if (n == 0)
        return BERTH_OK;
    size_t averages = n * (n + 1) / 2, sums = averages + 1, count = 0, above = 0, low = 0;
    double *walsh = berth_malloc(averages, sizeof *walsh), *share = berth_malloc(sums, sizeof *share), below = 0;
    enum berth_status status = BERTH_OK;
    if (!walsh || !share) {
        status = berth_fail_memory(err, "a comparison", averages * 16);
        goto fail;
    }
    /* The sum of the positive ranks is how many averages of two (or of one with itself) are positive; so the ordered averages
     * are the bounds of intervals, and their median is the estimate that goes with the test. */
    for (size_t i = 0; i < n; i++)
        for (size_t k = i; k < n; k++)
            walsh[count++] = (log_ratio[i] + log_ratio[k]) / 2;
    qsort(walsh, averages, sizeof *walsh, compare_doubles);
    fill_shares(share, n, sums);
    d->ratio = exp(averages % 2 ? walsh[averages / 2] : (walsh[averages / 2 - 1] + walsh[averages / 2]) / 2);
    for (size_t i = 0; i < averages; i++)
        above += walsh[i] > 0;
    size_t tail = above < averages - above ? above : averages - above;
    double p = 0;
    for (size_t s = 0; s <= tail; s++)
        p += share[s];
    d->p = fmin(1, 2 * p);
    /* low: the largest number of averages on one side that is as rare as half the error rate */
    while (low < sums && below + share[low] <= error_rate / 2)
        below += share[low++];
    if (low == 0) /* not even the same sign in all of them would be rare enough */
        goto fail;
    d->interval[0] = exp(walsh[low - 1]), d->interval[1] = exp(walsh[averages - low]);
    d->verdict = walsh[low - 1] > 0 ? BERTH_SLOWER : walsh[averages - low] < 0 ? BERTH_FASTER : BERTH_SAME;
fail:
    berth_free(walsh);
    berth_free(share);
    return status;
}
