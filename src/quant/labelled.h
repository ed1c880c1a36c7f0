/* labelled.h: a file of labelled texts in memory, to be run again and again. */
#ifndef BERTH_QUANT_LABELLED_H
#define BERTH_QUANT_LABELLED_H

#include "base/buffer.h"
#include "berth/berth.h"
#include "eval/label_map.h"

struct berth_labelled {
    struct berth_buffer bytes; /* text, pair, text, pair, ... end to end */
    struct berth_text *texts;  /* [count], into the bytes */
    double *targets;           /* [count, labels.width] */
    size_t *lines;             /* [count] of the file, 1-based */
    size_t count, capacity;
    struct berth_label_map labels;
};

enum { BERTH_LABELLED_BYTES = 1 << 30 }; /* of texts, at most */

/* Reads at most `most` examples (0: all) of a file in the task's layout, labels as `model` (borrowed) understands
 * them. Clear it also after a failure. */
enum berth_status berth_labelled_read(struct berth_labelled *data, const char *path, const char *task,
                                      const struct berth_columns *columns, const struct berth_model_info *model,
                                      size_t most, struct berth_error *err);
void berth_labelled_clear(struct berth_labelled *data); /* {0} is fine */

/* True when both files hold the same bytes, or are one. */
bool berth_same_file(const char *a, const char *b);

#endif
