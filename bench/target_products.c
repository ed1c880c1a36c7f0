/* target_products.c: bare matrix products of BERT-base by shape and format on one core: berth's kernels
 * beside OpenBLAS and oneDNN, in turns. Where a model would find the weights in no cache (few rows), neither
 * does the product. */
#include <stdio.h>

#include "product.h"
#include "target.h"

static const struct product_maker *const makers[] = {&product_berth, &product_openblas, &product_onednn};
enum { MAKERS = sizeof makers / sizeof *makers };

static const double cold_bytes = 100e6; /* of weights in turn: more than a last cache */

static size_t element_bytes(enum limit_format format)
{
    return format == LIMIT_FP32 ? 4 : format == LIMIT_BF16 ? 2 : 1;
}

/* What one product costs: operations, bytes that it reads and writes, and the least time for that in ms. */
struct cost {
    double operations, bytes, limit_ms;
};

static struct cost count_cost(const struct target_run *run, const struct product_shape *shape)
{
    const double m = (double)shape->m, n = (double)shape->n, k = (double)shape->k;
    const double element = (double)element_bytes(shape->format), weights = n * k * element;
    const double rate = run->limit[shape->format];
    const double compute_ms = rate > 0 ? 2 * m * n * k / rate * 1e-6 : 0; /* 0: not known */
    const double memory_ms = shape->copies > 1 ? weights / run->memory_rate * 1e-6 : 0;
    return (struct cost){2 * m * n * k, weights + m * k * element + m * n * sizeof(float),
                         compute_ms > memory_ms ? compute_ms : memory_ms};
}

static void record(struct target_run *run, const struct product_shape *shape, const char *maker,
                   const struct cost *cost, const struct target_spread *time, double ratio)
{
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:I, s:I, s:I, s:s, s:b, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "target",
                  "product", "m", (json_int_t)shape->m, "n", (json_int_t)shape->n, "k", (json_int_t)shape->k,
                  "format", limit_format_name(shape->format), "cold", shape->copies > 1, "maker", maker,
                  "median_us", time->median * 1e3, "p10_us", time->low * 1e3, "p90_us", time->high * 1e3,
                  "gops", cost->operations / time->median * 1e-6, "bytes", cost->bytes, "share_of_limit",
                  cost->limit_ms / time->median, "over_berth", ratio));
}

/* One line: the shape, then each maker's time, rate, share of the limit, and time over berth's. */
static void print_row(struct target_run *run, const struct product_shape *shape, const char *const *names,
                      const struct target_contestant *contestants, size_t count)
{
    const struct cost cost = count_cost(run, shape);
    printf("     %4zu x %4zu x %4zu %s %-4s", shape->m, shape->n, shape->k, limit_format_name(shape->format),
           shape->copies > 1 ? "cold" : "");
    for (size_t i = 0; i < count; i++) {
        const struct target_spread *time = &contestants[i].time;
        const double ratio = target_ratio(&contestants[0], &contestants[i]).median;
        printf("   %s %8.1f us +-%2.0f %% %4.0f GOP/s %4.1f GB/s %3.0f %%", names[i], time->median * 1e3,
               50 * (time->high - time->low) / time->median, cost.operations / time->median * 1e-6,
               cost.bytes / time->median * 1e-6, 100 * cost.limit_ms / time->median);
        if (i > 0)
            printf(" %.2f", ratio);
        record(run, shape, names[i], &cost, time, ratio);
    }
    printf("\n");
    fflush(stdout);
}

static void compare_makers(struct target_run *run, struct product_shape shape, bool told[MAKERS])
{
    static struct target_contestant contestants[MAKERS];
    struct product *products[MAKERS] = {NULL};
    const char *names[MAKERS];
    size_t count = 0;
    char why[PRODUCT_WHY_SIZE];
    const double bytes = (double)(shape.n * shape.k * element_bytes(shape.format));
    shape.copies = shape.m <= 64 ? (size_t)(cold_bytes / bytes) + 1 : 1;
    for (size_t i = 0; i < MAKERS; i++) {
        products[count] = makers[i]->open(&shape, run->cpu.best, why);
        if (products[count]) {
            contestants[count] = (struct target_contestant){.run = product_run, .context = products[count]};
            names[count++] = makers[i]->name;
        } else if (!told[i]) {
            target_missing(run, "product", makers[i]->name, why);
            told[i] = true;
        }
    }
    if (count > 0 && target_measure(run, contestants, count, run->quick ? 0.1 : 0.4, 5))
        print_row(run, &shape, names, contestants, count);
    for (size_t i = 0; i < count; i++)
        product_close(products[i]);
}

void target_products(struct target_run *run)
{
    static const size_t rows[] = {16, 128, 3584},
                        matrices[][2] = {{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}};
    printf(
        "\nbare products, rows x columns x depth, one core; cold: weights from memory; of each maker: "
        "median, half the\n"
        "     spread, rate, share of the machine's limit, time over berth's. berth adds a bias and, in int8, "
        "scales;\n"
        "     OpenBLAS packs the weights in every call\n");
    for (enum limit_format format = 0; format < LIMIT_FORMATS; format++) {
        bool told[MAKERS] = {[1] = format != LIMIT_FP32}; /* OpenBLAS has no other, which needs no line */
        for (size_t r = 0; r < (run->quick ? 2 : 3); r++)
            for (size_t m = 0; m < 4; m++) {
                target_pin();
                compare_makers(run,
                               (struct product_shape){
                                   .m = rows[r], .n = matrices[m][0], .k = matrices[m][1], .format = format},
                               told);
            }
    }
    target_unpin();
}
