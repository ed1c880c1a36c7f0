/* summary.h: what a report owns behind its cells. */
#ifndef BERTH_BENCH_SUMMARY_H
#define BERTH_BENCH_SUMMARY_H

#include "base/buffer.h"
#include "results/results.h"

struct berth_bench_owned {
    struct berth_results_book book; /* the run, its facts and configurations: cells borrow its strings */
    char **status;                  /* [cells] */
    char run[24];                   /* its id in the file */
    struct berth_buffer remarks;    /* a line each */
};

#endif
