/* paired.h: statistics of two models that answered the same questions. */
#ifndef BERTH_QUANT_PAIRED_H
#define BERTH_QUANT_PAIRED_H

#include <stddef.h>

/* Wilson's 95 % interval of a proportion (Wilson 1927); NaN for n 0. */
void berth_wilson(size_t right, size_t n, double interval[2]);

/* McNemar's test of b against c answers that only one of the two models has right, two-sided: the exact
 * (binomial) p-value, and the mid-p one, which is less conservative (Fagerland, Lydersen and Laake 2013). 1 for no
 * such answers. */
void berth_mcnemar(size_t b, size_t c, double *exact, double *mid);

#endif
