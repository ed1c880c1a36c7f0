/* product_openblas.c: OpenBLAS as a maker of products: its CBLAS interface out of libopenblas.so.0. It packs
 * the weights in every call: its interface has no place to keep packed ones. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "product.h"

enum { ROW_MAJOR = 101, AS_STORED = 111, TRANSPOSED = 112 };

typedef void sgemm_fn(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha,
                      const float *a, int lda, const float *b, int ldb, float beta, float *c, int ldc);

struct blas {
    struct product product;
    sgemm_fn *sgemm;
    float *out, *a, *weights;
};

static bool run_blas(struct product *product, size_t copy)
{
    const struct blas *blas = (const struct blas *)product;
    const struct product_shape *s = &product->shape;
    blas->sgemm(ROW_MAJOR, AS_STORED, TRANSPOSED, (int)s->m, (int)s->n, (int)s->k, 1, blas->a, (int)s->k,
                blas->weights + copy * s->n * s->k, (int)s->k, 0, blas->out, (int)s->n);
    return true;
}

static void close_blas(struct product *product)
{
    struct blas *blas = (struct blas *)product;
    berth_free(blas->out);
    berth_free(blas->a);
    berth_free(blas->weights);
    berth_free(blas);
}

/* NULL: not here. The library stays mapped until the process ends. */
static sgemm_fn *find_sgemm(void)
{
    sgemm_fn *sgemm = NULL;
    void (*set_threads)(int count) = NULL;
    setenv("OPENBLAS_NUM_THREADS", "1", 1);
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return NULL;
    *(void **)&sgemm = dlsym(library, "cblas_sgemm");
    *(void **)&set_threads = dlsym(library, "openblas_set_num_threads");
    if (set_threads)
        set_threads(1);
    return sgemm;
}

static struct product *open_blas(const struct product_shape *shape, enum berth_isa isa,
                                 char why[PRODUCT_WHY_SIZE])
{
    (void)isa;
    snprintf(why, PRODUCT_WHY_SIZE, "OpenBLAS has no such products");
    if (shape->format != LIMIT_FP32)
        return NULL;
    snprintf(why, PRODUCT_WHY_SIZE, "libopenblas.so.0 is not here (Debian: libopenblas0-pthread)");
    sgemm_fn *sgemm = find_sgemm();
    struct blas *blas = sgemm ? berth_calloc(1, sizeof *blas) : NULL;
    if (!blas)
        return NULL;
    *blas = (struct blas){.product = {*shape, 0, run_blas, close_blas},
                          .sgemm = sgemm,
                          .out = product_memory(shape->m * shape->n * sizeof(float)),
                          .a = product_memory(shape->m * shape->k * sizeof(float)),
                          .weights = product_memory(shape->copies * shape->n * shape->k * sizeof(float))};
    if (blas->out && blas->a && blas->weights)
        return &blas->product;
    snprintf(why, PRODUCT_WHY_SIZE, "out of memory");
    close_blas(&blas->product);
    return NULL;
}

const struct product_maker product_openblas = {"OpenBLAS", open_blas};
