/* study.h: the 2021 study's published figures beside a run of its suite. */
#ifndef BERTH_REPORT_STUDY_H
#define BERTH_REPORT_STUDY_H

#include "report/figure.h"

enum { BERTH_STUDY_MODELS = 4, BERTH_STUDY_ROWS = 64 };

/* A speed-up over bert-base at one input. */
struct berth_study_row {
    int model;                /* of berth_study_models */
    char place[BERTH_LABEL];  /* target; of the study its own, "2021: local_cpu" */
    bool published;
    int64_t batch, length;
    double time_ms, speedup;
};

extern const char *const berth_study_models[BERTH_STUDY_MODELS]; /* the first is the baseline */

/* Rows for the two inputs whose figures were published (batch 2 of 32 tokens, batch 32 of 112), published ones first; 0 when
 * the data is no run of the suite, or is the published figures themselves. */
size_t berth_study_compare(const struct berth_drawing *drawing, struct berth_study_row rows[BERTH_STUDY_ROWS]);

#endif
