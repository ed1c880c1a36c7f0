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

static void print_row(struct target_run *run, const struct product_shape *shape, const char *maker,
                      const struct target_contestant *contestant, const struct target_contestant *ours)
{
    const double weights = (double)(shape->n * shape->k * element_bytes(shape->format));
    const double bytes = weights + (double)(shape->m * shape->k * element_bytes(shape->format)) +
                         4.0 * (double)(shape->m * shape->n);
    const double operations = 2.0 * (double)shape->m * (double)shape->n * (double)shape->k;
    const double compute_ms = operations / run->limit[shape->format] * 1e-6;
    const double memory_ms = shape->copies > 1 ? weights / run->memory_rate * 1e-6 : 0;
    const double limit_ms = compute_ms > memory_ms ? compute_ms : memory_ms, ms = contestant->time.median;
    const double ratio = target_ratio(ours, contestant).median;
    printf(
        "     %4zu x %4zu x %4zu %-4s %-4s  %-9s %10.1f us (%.1f..%.1f) %7.1f GOP/s %6.1f GB/s %4.0f %% of "
        "the limit  %5.2f\n",
        shape->m, shape->n, shape->k, limit_format_name(shape->format), shape->copies > 1 ? "cold" : "",
        maker, ms * 1e3, contestant->time.low * 1e3, contestant->time.high * 1e3, operations / ms * 1e-6,
        bytes / ms * 1e-6, 100 * limit_ms / ms, ratio);
    json_array_append_new(
        run->results,
        json_pack("{s:s, s:I, s:I, s:I, s:s, s:b, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "target",
                  "product", "m", (json_int_t)shape->m, "n", (json_int_t)shape->n, "k", (json_int_t)shape->k,
                  "format", limit_format_name(shape->format), "cold", shape->copies > 1, "maker", maker,
                  "median_us", ms * 1e3, "p10_us", contestant->time.low * 1e3, "p90_us",
                  contestant->time.high * 1e3, "gops", operations / ms * 1e-6, "bytes", bytes,
                  "share_of_limit", limit_ms / ms, "over_berth", ratio));
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
        for (size_t i = 0; i < count; i++)
            print_row(run, &shape, names[i], &contestants[i], &contestants[0]);
    for (size_t i = 0; i < count; i++)
        product_close(products[i]);
}

void target_products(struct target_run *run)
{
    static const size_t rows[] = {16, 128, 3584},
                        matrices[][2] = {{2304, 768}, {768, 768}, {3072, 768}, {768, 3072}};
    printf(
        "\nbare products, rows x columns x depth, one core; the last column: time over berth's; cold: "
        "weights from memory;\n"
        "     berth adds a bias and, in int8, scales; OpenBLAS packs the weights in every call\n");
    for (enum limit_format format = 0; format < LIMIT_FORMATS; format++) {
        bool told[MAKERS] = {[1] =
                                 format != LIMIT_FP32}; /* that OpenBLAS has fp32 alone goes without saying */
        for (size_t r = 0; r < (run->quick ? 2 : 3); r++)
            for (size_t m = 0; m < 4; m++) {
                target_pin();
                compare_makers(
                    run, (struct product_shape){rows[r], matrices[m][0], matrices[m][1], 1, format}, told);
            }
    }
    target_unpin();
}
