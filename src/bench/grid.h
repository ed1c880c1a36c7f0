/* grid.h: what a report of berth_bench owns behind its cells. */
#ifndef BERTH_BENCH_GRID_H
#define BERTH_BENCH_GRID_H

#include <stddef.h>

#include "berth/berth.h"

struct berth_bench_owned {
    size_t models;
    char **model;  /* [models] names that cells point to */
    char **status; /* [cells] why a cell was not measured; NULL: it was */
    char cpu[64];
    char isa[16];
    char system[160];  /* "Linux 6.1.0 x86_64" */
    size_t processors; /* that this process may use */
    char why[160];     /* processors are so many */
};

#endif
