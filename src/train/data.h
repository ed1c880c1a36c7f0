/* data.h: a file of labelled examples, tokenised once and kept in memory: ids, types, targets, nothing else.
 */
#ifndef BERTH_TRAIN_DATA_H
#define BERTH_TRAIN_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/berth.h"
#include "eval/label_map.h"
#include "text/tokenizer.h"
#include "train/network.h"

struct berth_train_data {
    char *name; /* owned: the file, for messages */
    size_t count;
    size_t *offsets;  /* [count + 1], owned: example i is ids [offsets[i], offsets[i + 1]) */
    int32_t *ids;     /* [tokens], owned */
    uint8_t *types;   /* [tokens], owned */
    size_t *lines;    /* [count], owned: where an example stands in the file */
    size_t *label_at; /* [count], owned: its label as written, in `labels` */
    char *labels;     /* owned; NUL after each */
    double *targets;  /* [count, width], owned; filled by berth_train_data_label */
    size_t width;
    float *teacher; /* [count, labels] logits, owned, or NULL */
    float *states;  /* [count, hidden] the teacher's last hidden states of first tokens, owned, or NULL */
    size_t hidden;  /* of those */
    bool from_ids;  /* the lines gave token ids, no texts */
    size_t longest; /* tokens of the longest example */
};

struct berth_train_source {
    const char *path;
    const struct berth_task *task; /* NULL: a text a line, without labels */
    bool labels;                   /* false: labels are not read, and empty texts are skipped */
    const struct berth_columns *columns;
    const struct berth_tokenizer *tokenizer;
    size_t max_length;   /* tokens of an example */
    size_t vocab, types; /* ids and types below these; types 0: not read */
};

/* Reads a task's file, or lines {"input_ids": [...], "token_type_ids": [...], "label": ...} where the task is
 * jsonl. An example without any token but special ones is refused by file and line, as are ids and types out
 * of range. */
enum berth_status berth_train_data_read(const struct berth_train_source *source,
                                        struct berth_train_data *data, struct berth_error *err);
void berth_train_data_clear(struct berth_train_data *data); /* {0} is fine */

/* Targets from the labels; classes in the model's order for training, in the task's for scoring. Refused by
 * file and line. */
enum berth_status berth_train_data_label(struct berth_train_data *data, const struct berth_label_map *labels,
                                         bool models_order, struct berth_error *err);

/* What the labels of csv and jsonl tell about a head that is still to be made: lists make it multi-label,
 * numbers that are not whole a regression, other words its label names (sorted), whole numbers classes 0 ...
 * largest. Sets problem, labels and label_names of the configuration. */
enum berth_status berth_train_data_infer(const struct berth_train_data *data, struct berth_config *config,
                                         struct berth_error *err);

/* Labels for a head: names [count] (NULL: LABEL_0, ...) into the configuration. */
enum berth_status berth_config_set_labels(struct berth_config *config, enum berth_problem problem,
                                          size_t count, const char *const *names, struct berth_error *err);

/* The arrays of a batch of at most `texts` examples, owned; hidden 0: without a teacher's states. */
struct berth_train_window {
    struct berth_train_batch batch;
    size_t *offsets;
    int32_t *ids;
    uint8_t *types;
    double *targets;
    float *teacher;
    float *states; /* NULL: none */
};
enum berth_status berth_train_window_init(struct berth_train_window *window, size_t texts, size_t tokens,
                                          size_t width, size_t labels, size_t hidden,
                                          struct berth_error *err);
void berth_train_window_clear(struct berth_train_window *window);
/* Examples rows[0 .. count). */
void berth_train_window_fill(struct berth_train_window *window, const struct berth_train_data *data,
                             const size_t *rows, size_t count, size_t labels);

#endif
