/* data.h: what a report, a comparison or a recommendation is made of: every configuration with its statistics. */
#ifndef BERTH_REPORT_DATA_H
#define BERTH_REPORT_DATA_H

#include "base/stats.h"
#include "berth/report.h"
#include "results/exchange.h"
#include "results/results.h"

enum { BERTH_REPORT_CURVE = 40 };

struct berth_cell {
    const struct berth_results_configuration *c; /* of the book */
    const struct berth_results_run *run;
    bool measured;  /* has latencies; else figures that were published */
    size_t failed;
    struct berth_stats latency; /* ms, of the trials that did not fail; of published figures what is given */
    double service_p50, service_p99;
    double texts_per_second, tokens_per_second; /* over the time it took; NaN: unknown */
    double padding;  /* share of a padded batch that is padding: 0 to 1; NaN: unknown */
    double cpu_ms, energy_mj; /* of a text; NaN: unknown */
    double late;     /* share sent late; NaN: none measured */
    double accuracy, accuracy_interval[2]; /* NaN: unknown */
    double cost;     /* USD a million texts; NaN: no price */
    double curve[BERTH_REPORT_CURVE + 1]; /* quantiles i / BERTH_REPORT_CURVE, of what was measured */
};

struct berth_report_data {
    struct berth_results *results;
    struct berth_results_book book;
    size_t cells, older;       /* older: left out, as a newer run measured the same */
    struct berth_cell *cell;
    size_t latencies, failed;
};

/* Reads what matches. `newest`: of configurations that several runs measured, the newest run's. Cells that have nothing
 * but a failure stay, with NaN statistics. NOT_FOUND when nothing matches, naming what there is. */
enum berth_status berth_report_load(const char *const *results, size_t count, const struct berth_selection *selection,
                                    const struct berth_price *prices, size_t price_count, bool newest,
                                    struct berth_report_data *data, struct berth_error *err);
void berth_report_clear(struct berth_report_data *data);

struct berth_results_filter berth_report_filter(const struct berth_selection *selection);

/* "int8", "fp32 optimized": what was done to the model, for labels. Returns text. */
char *berth_cell_variant(const struct berth_cell *cell, char *text, size_t size);

/* A file of texts without its folder, for labels; borrowed from `data`. */
const char *berth_data_name(const char *data);

/* The cell whose accuracy holds for this one: itself, where it was measured with labels; else the likest one with the same
 * weights (not merely the same name) at the same precision; NULL: none is known. */
const struct berth_cell *berth_cell_find_accuracy(const struct berth_report_data *data, const struct berth_cell *cell);

/* Parameters of its model; 0: unknown. */
int64_t berth_cell_parameters(const struct berth_report_data *data, const struct berth_cell *cell);

#endif
