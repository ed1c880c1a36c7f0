/* journal.h: a log of JSON lines that survives a kill: each line is whole or absent, and a run that goes on
 * from an earlier step first drops the lines after it. */
#ifndef BERTH_TRAIN_JOURNAL_H
#define BERTH_TRAIN_JOURNAL_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

#include "berth/status.h"

struct berth_journal {
    char *path;   /* owned */
    FILE *stream; /* owned */
};

/* Keeps lines whose "step" is at most `step` (0: none) and appends from there. */
enum berth_status berth_journal_open(struct berth_journal *journal, const char *directory, const char *name,
                                     size_t step, struct berth_error *err);
void berth_journal_close(struct berth_journal *journal); /* {0} is fine */

/* Takes the object (may be NULL: no memory). */
enum berth_status berth_journal_write(struct berth_journal *journal, json_t *line, struct berth_error *err);

#endif
