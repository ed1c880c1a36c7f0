/* berth/report.h: what results files say: export, report, comparison, recommendation. Part of berth.h.
 *
 * RESULTS below are paths of files that berth_bench wrote (docs/results.md), of CSVs, or "bundled:study-2021"; several are
 * read as one. */
#ifndef BERTH_REPORT_H
#define BERTH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "berth/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Which configurations are meant; NULL and 0 leave it open. */
struct berth_selection {
    const char *run, *model, *target, *precision, *scenario;
    size_t batch, length;
};

struct berth_price {
    const char *target; /* as configurations name it */
    double usd_per_hour;
};

enum berth_export_format { BERTH_EXPORT_CSV, BERTH_EXPORT_JSON, BERTH_EXPORT_STUDY, BERTH_EXPORT_RESULTS };

/* Writes to the stream; a results file (BERTH_EXPORT_RESULTS: the union of all RESULTS) is written to `path`, added to
 * when it is there. NOT_FOUND when nothing was measured that is asked for. */
BERTH_API enum berth_status berth_export(const char *const *results, size_t count, enum berth_export_format format,
                                         const struct berth_selection *selection, FILE *stream, const char *path,
                                         struct berth_error *err);

struct berth_report_options {
    const char *const *results;
    size_t result_count;
    struct berth_selection selection;
    const char *directory;   /* made when it is missing */
    const char *baseline;    /* model of speed-up 1; NULL: the one with the most parameters, else the slowest */
    const char *gnuplot;     /* program; NULL: "gnuplot" */
    const struct berth_price *prices;
    size_t price_count;
};

struct berth_report_summary {
    size_t configurations, latencies, failed, figures;
    char missing[256]; /* figures that the data is not there for, and which; "" */
};

/* Writes report.html, report.md and the figures as SVG and PNG. */
BERTH_API enum berth_status berth_report(const struct berth_report_options *options,
                                         struct berth_report_summary *summary, struct berth_error *err);

/* The data of the report as one JSON object, the one that report.html embeds; for berth_memory_free. docs/report.md has
 * its keys. `directory` is not read. */
BERTH_API enum berth_status berth_report_json(const struct berth_report_options *options, char **json,
                                              struct berth_error *err);

struct berth_compare_options {
    const char *const *results;
    size_t result_count;
    const char *run_a, *run_b; /* names (of all runs called so), ids or uids; "last", "first" */
    struct berth_selection selection; /* its run is not read */
    double error_rate; /* 0: 0.05 */
    bool json;
};

/* What the two runs say about each configuration that both measured, as a table or JSON; for berth_memory_free.
 * *different (may be NULL): how many differ. */
BERTH_API enum berth_status berth_compare(const struct berth_compare_options *options, char **text, size_t *different,
                                          struct berth_error *err);

struct berth_recommend_options {
    const char *const *results;
    size_t result_count;
    struct berth_selection selection;
    double p50_ms, p90_ms, p99_ms; /* at most; 0: any */
    double min_accuracy;           /* 0 to 1 */
    double min_rate;               /* texts a second */
    double max_memory_mb;
    double max_cost;               /* USD for a million texts */
    const struct berth_price *prices;
    size_t price_count;
    bool json, all;                /* all: list every deployment that is excluded, in the text */
};

/* *met: whether any deployment meets the objective. */
BERTH_API enum berth_status berth_recommend(const struct berth_recommend_options *options, char **text, bool *met,
                                            struct berth_error *err);

#ifdef __cplusplus
}
#endif
#endif
