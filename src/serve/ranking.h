/* ranking.h: the labels of a result with their scores, the best first, as several protocols list them. */
#ifndef BERTH_SERVE_RANKING_H
#define BERTH_SERVE_RANKING_H

#include "berth/berth.h"
#include "serve/json_write.h"

/* What a score is. */
enum berth_score_kind {
    BERTH_SCORE_MODEL, /* as berth_result has it: softmax, or sigmoid of a multi-label model, or a regression's value */
    BERTH_SCORE_SOFTMAX,
    BERTH_SCORE_SIGMOID,
    BERTH_SCORE_RAW /* the logits */
};

struct berth_ranking {
    enum berth_score_kind kind;
    size_t top;       /* entries listed at most; 0: all */
    bool score_first; /* {"score","label"}; else {"label","score"} */
    /* scratch, zero before the first use */
    size_t capacity;
    struct berth_rank *ranks;
};

/* Writes one result as an array. Equal scores stand in the order of the labels. */
void berth_ranking_write(struct berth_ranking *ranking, const struct berth_result *result,
                         const char *const *label_names, struct berth_writer *writer);

/* The same as "value:index:label", each behind a comma but the first; with `bytes` as tensors of bytes have them,
 * without quotes and behind their size. */
void berth_ranking_write_classes(struct berth_ranking *ranking, const struct berth_result *result,
                                 const char *const *label_names, bool bytes, struct berth_writer *writer);
void berth_ranking_clear(struct berth_ranking *ranking);

#endif
