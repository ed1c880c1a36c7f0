/* results_support.h: results files of tests. */
#ifndef BERTH_TESTS_RESULTS_SUPPORT_H
#define BERTH_TESTS_RESULTS_SUPPORT_H

#include "results/results.h"

/* A name that no file has yet, in a folder that results_files_remove takes away; valid until the next call. */
const char *results_file(void);
void results_files_remove(void);

/* These fail the test instead of telling. */
struct berth_results *results_open(const char *path, enum berth_results_access access);
int64_t results_run(struct berth_results *results, const char *name);
/* What is left out: local, native, fp32, single-stream, synthetic, one thread, batch 1. Its status is "ok". */
int64_t results_configuration(struct berth_results *results, struct berth_results_configuration configuration);
void results_append_ms(struct berth_results *results, int64_t configuration, int64_t first, const double *ms,
                       size_t count);

#endif
