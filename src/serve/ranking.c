/* ranking.c: scores of all labels, sorted. */
#include "serve/ranking.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checked.h"

struct berth_rank {
    float score;
    size_t label;
};

void berth_ranking_clear(struct berth_ranking *ranking)
{
    berth_free(ranking->ranks);
    ranking->ranks = NULL;
    ranking->capacity = 0;
}

static int compare(const void *left, const void *right)
{
    const struct berth_rank *a = left, *b = right;
    if (a->score != b->score)
        return a->score > b->score ? -1 : 1;
    return a->label < b->label ? -1 : a->label > b->label;
}

/* In double, as berth_result's own scores are made. */
static void fill(enum berth_score_kind kind, const struct berth_result *result, struct berth_rank *ranks)
{
    const float *logits = result->logits;
    double largest = logits[0], sum = 0;
    for (size_t i = 1; i < result->labels; i++)
        largest = logits[i] > largest ? logits[i] : largest;
    for (size_t i = 0; i < result->labels && kind == BERTH_SCORE_SOFTMAX; i++)
        sum += exp((double)logits[i] - largest);
    for (size_t i = 0; i < result->labels; i++) {
        double logit = logits[i];
        ranks[i] = (struct berth_rank){.label = i, .score = logits[i]};
        if (kind == BERTH_SCORE_SOFTMAX)
            ranks[i].score = (float)(exp(logit - largest) / sum);
        else if (kind == BERTH_SCORE_SIGMOID)
            ranks[i].score = (float)(1 / (1 + exp(-logit)));
        else if (kind == BERTH_SCORE_MODEL)
            ranks[i].score = result->scores[i];
    }
}

/* Few labels, as most models have, need no call of the library's sort. */
static void sort(struct berth_rank *ranks, size_t count)
{
    if (count > 16) {
        qsort(ranks, count, sizeof *ranks, compare);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct berth_rank rank = ranks[i];
        size_t at = i;
        for (; at > 0 && compare(&rank, &ranks[at - 1]) < 0; at--)
            ranks[at] = ranks[at - 1];
        ranks[at] = rank;
    }
}

void berth_ranking_write(struct berth_ranking *ranking, const struct berth_result *result,
                         const char *const *label_names, struct berth_writer *writer)
{
    if (ranking->capacity < result->labels) {
        struct berth_rank *ranks = berth_realloc(ranking->ranks, result->labels, sizeof *ranks);
        if (!ranks) {
            writer->failed = true;
            return;
        }
        ranking->ranks = ranks;
        ranking->capacity = result->labels;
    }
    fill(ranking->kind, result, ranking->ranks);
    sort(ranking->ranks, result->labels);
    size_t count = ranking->top ? berth_min(ranking->top, result->labels) : result->labels;
    for (size_t i = 0; i < count; i++) {
        const struct berth_rank *rank = &ranking->ranks[i];
        berth_write(writer, i == 0 ? "[{" : ",{");
        if (ranking->score_first) {
            berth_write(writer, "\"score\":");
            berth_write_float(writer, rank->score);
            berth_write(writer, ",\"label\":");
            berth_write_text(writer, label_names[rank->label]);
        } else {
            berth_write(writer, "\"label\":");
            berth_write_text(writer, label_names[rank->label]);
            berth_write(writer, ",\"score\":");
            berth_write_float(writer, rank->score);
        }
        berth_write(writer, "}");
    }
    berth_write(writer, count > 0 ? "]" : "[]");
}
