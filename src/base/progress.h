/* progress.h: tells a person on stderr how far long work has come: a bar on a terminal once the work lasts
 * over a second, a plain line every few seconds elsewhere, nothing when quiet. */
#ifndef BERTH_BASE_PROGRESS_H
#define BERTH_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct berth_progress {
    FILE *stream;     /* NULL: quiet */
    bool terminal;    /* stream is one */
    const char *what; /* borrowed: "texts" */
    const char *note; /* borrowed, at the end of the line; NULL: none */
    size_t total;     /* 0: unknown */
    size_t before;    /* units that were done already when it began: no part of the rate */
    size_t done;      /* of the last update */
    uint64_t started; /* ns */
    uint64_t shown;   /* ns of the last drawing, 0 before the first */
};

/* `stream` NULL means quiet. Prints nothing yet. */
void berth_progress_begin(struct berth_progress *progress, FILE *stream, const char *what, size_t total);

/* `done` units so far; draws at most ten times a second (terminal) or every five seconds. */
void berth_progress_update(struct berth_progress *progress, size_t done);

/* Clears the bar, or prints the closing line when lines were printed. */
void berth_progress_end(struct berth_progress *progress, size_t done);

#endif
