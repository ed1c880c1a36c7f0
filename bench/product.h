/* product.h: bare matrix products out[M,N] = a[M,K] . w[N,K]^T by berth and by its peers, on random numbers,
 * one thread. Sums are stored as fp32; int8 has unsigned activations and signed weights. Peers' libraries are
 * opened at run time; nothing is needed to build. */
#ifndef BERTH_BENCH_PRODUCT_H
#define BERTH_BENCH_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/cpu.h"
#include "kernels/kernels.h"
#include "limit.h"

enum { PRODUCT_WHY_SIZE = 512 };

struct product_shape {
    size_t m, n, k;
    size_t copies; /* of the weights, taken in turn: more than the caches hold, where a model would find none
                      in them */
    enum limit_format format;
    /* What berth's kernels do with the sums on their way out; its peers do nothing. */
    enum berth_epilogue_act act;
    bool residual;
};

struct product; /* one maker's, ready to run */

/* Who makes products. */
struct product_maker {
    const char *name;
    /* NULL with a sentence in `why`: the library is not here, or lacks the format. */
    struct product *(*open)(const struct product_shape *shape, enum berth_isa isa,
                            char why[PRODUCT_WHY_SIZE]);
};
extern const struct product_maker product_berth, product_openblas, product_onednn;

/* The name of berth's kernel for that format at that level. */
const char *product_kernel_name(enum limit_format format, enum berth_isa isa);

bool product_run(void *product);
void product_close(struct product *product); /* NULL is fine */

/* --- for makers -------------------------------------------------------------------------------------------
 */

struct product {
    struct product_shape shape;
    size_t call; /* how many there were: decides which copy of the weights is next */
    bool (*run)(struct product *product, size_t copy);
    void (*close)(struct product *product); /* frees the maker's own, and the product */
};

/* Memory with numbers in it that are of usual size in every format. NULL: out of memory. For berth_free. */
void *product_memory(size_t bytes);

#endif
