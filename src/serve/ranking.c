/* ranking.c: scores of all labels, sorted. */
#include "serve/ranking.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/float_text.h"

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

/* Sorts a result's scores; returns how many are listed. */
static size_t rank(struct berth_ranking *ranking, const struct berth_result *result, struct berth_writer *writer)
{
    if (ranking->capacity < result->labels) {
        struct berth_rank *ranks = berth_realloc(ranking->ranks, result->labels, sizeof *ranks);
        if (!ranks) {
            writer->failed = true;
            return 0;
        }
        ranking->ranks = ranks;
        ranking->capacity = result->labels;
    }
    fill(ranking->kind, result, ranking->ranks);
    sort(ranking->ranks, result->labels);
    return ranking->top ? berth_min(ranking->top, result->labels) : result->labels;
}

void berth_ranking_write(struct berth_ranking *ranking, const struct berth_result *result,
                         const char *const *label_names, struct berth_writer *writer)
{
    size_t count = rank(ranking, result, writer);
    for (size_t i = 0; i < count; i++) {
        const struct berth_rank *entry = &ranking->ranks[i];
        berth_write(writer, i == 0 ? "[{" : ",{");
        if (ranking->score_first) {
            berth_write(writer, "\"score\":");
            berth_write_float(writer, entry->score);
            berth_write(writer, ",\"label\":");
            berth_write_text(writer, label_names[entry->label]);
        } else {
            berth_write(writer, "\"label\":");
            berth_write_text(writer, label_names[entry->label]);
            berth_write(writer, ",\"score\":");
            berth_write_float(writer, entry->score);
        }
        berth_write(writer, "}");
    }
    berth_write(writer, count > 0 ? "]" : "[]");
}

void berth_ranking_write_classes(struct berth_ranking *ranking, const struct berth_result *result,
                                 const char *const *label_names, bool bytes, struct berth_writer *writer)
{
    size_t count = rank(ranking, result, writer);
    for (size_t i = 0; i < count; i++) {
        const struct berth_rank *entry = &ranking->ranks[i];
        const char *label = label_names[entry->label];
        char head[BERTH_FLOAT_TEXT + 32];
        size_t size = berth_float_text(entry->score, head);
        size += (size_t)snprintf(head + size, sizeof head - size, ":%zu:", entry->label);
        if (bytes) {
            berth_write_little_endian(writer, (uint32_t)(size + strlen(label)));
            berth_write_bytes(writer, head, size);
            berth_write(writer, label);
        } else {
            berth_write(writer, i > 0 ? ",\"" : "\"");
            berth_write_bytes(writer, head, size);
            berth_write_inside(writer, (struct berth_slice){label, strlen(label)});
            berth_write(writer, "\"");
        }
    }
}
