/* exchange.h: results as CSV and JSON, out and in, and several files read as one. */
#ifndef BERTH_RESULTS_EXCHANGE_H
#define BERTH_RESULTS_EXCHANGE_H

#include <stdio.h>

#include "results/results.h"

/* Which configurations are meant; NULL and 0 ask for nothing. */
struct berth_results_filter {
    const char *run, *model, *target, *precision, *scenario;
    int64_t batch, length;
};
bool berth_results_matches(const struct berth_results_filter *filter, const struct berth_results_book *book,
                           const struct berth_results_configuration *configuration);
/* The run of a configuration (borrowed from the book). */
const struct berth_results_run *berth_results_run_of(const struct berth_results_book *book, int64_t run);

/* Opens files as one: a single results file as it is, else all merged in memory. Each is a results file, a CSV (that of
 * berth_results_write_csv, or one of published figures: docs/results.md), or "bundled:study-2021". */
enum berth_status berth_results_open_all(const char *const *paths, size_t count, struct berth_results **results,
                                         struct berth_error *err);

/* Adds the rows of a CSV. `text` is changed. */
enum berth_status berth_results_import_csv(struct berth_results *results, const char *name, char *text, size_t size,
                                           struct berth_error *err);

/* A row a latency: run,model,target,runtime,precision,threads,batch,length,scenario,trial,latency_ms,service_ms,ok.
 * *rows: how many latencies. NOT_FOUND when nothing matches. */
enum berth_status berth_results_write_csv(struct berth_results *results, const struct berth_results_filter *filter,
                                          FILE *stream, struct berth_error *err);
/* {"runs": [{..., "environment": {}}], "configurations": [...], "trials": [{the columns above}]} */
enum berth_status berth_results_write_json(struct berth_results *results, const struct berth_results_filter *filter,
                                           FILE *stream, struct berth_error *err);
/* {model: {"false" | "true" (optimized, quantized or int8): {"bsB_slS": {target: {"local_time": {"mean", "std"},
 * "total_time": {...}}}}}}, seconds; S counts the study's sentence: a length of 10 S + 2 tokens. */
enum berth_status berth_results_write_study(struct berth_results *results, const struct berth_results_filter *filter,
                                            FILE *stream, struct berth_error *err);

#endif
