/* paired.c: Wilson's interval and McNemar's test. */
#include "quant/paired.h"

#include <math.h>

#include "base/checked.h"

static const double quantile = 1.959963984540054; /* of the normal distribution at 0.975 */

void berth_wilson(size_t right, size_t n, double interval[2])
{
    const double count = (double)n, share = (double)right / count, z2 = quantile * quantile;
    const double centre = (share + z2 / (2 * count)) / (1 + z2 / count);
    const double half =
        quantile / (1 + z2 / count) * sqrt(share * (1 - share) / count + z2 / (4 * count * count));
    interval[0] = n == 0 ? NAN : fmax(0, centre - half);
    interval[1] = n == 0 ? NAN : fmin(1, centre + half);
}

/* Probability of k heads among n throws of a fair coin. */
static double binomial(size_t n, size_t k)
{
    const double a = (double)n + 1, b = (double)k + 1, c = (double)(n - k) + 1;
    return exp(lgamma(a) - lgamma(b) - lgamma(c) - (double)n * log(2));
}

void berth_mcnemar(size_t b, size_t c, double *exact, double *mid)
{
    const size_t n = b + c, fewer = berth_min(b, c);
    double tail = 0;
    for (size_t k = 0; k <= fewer; k++)
        tail += binomial(n, k);
    const double point = binomial(n, fewer);
    *exact = n == 0 || b == c ? 1 : fmin(1, 2 * tail);
    *mid = n == 0 ? 1 : b == c ? 1 - point / 2 : fmin(1, 2 * tail - point);
}
