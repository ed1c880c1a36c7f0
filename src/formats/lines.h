/* lines.h: a stream of bytes, handed out line by line. Works on files, pipes and terminals alike: a line is
 * handed out as soon as its end has arrived, and no more of the stream is held than the current line and one
 * read ahead. */
#ifndef BERTH_FORMATS_LINES_H
#define BERTH_FORMATS_LINES_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"

enum { BERTH_LINE_MAX = 256 << 20 }; /* bytes of one line, and of one CSV record that spans lines */

/* The current line is data[start, next), its "\n" or "\r\n" included. It holds until the next call and may be
 * changed in place. */
struct berth_lines {
    char *name; /* owned; the path, or "standard input": for messages */
    int fd;     /* -1: closed */
    bool owns_fd;
    bool ended;      /* read() said so */
    char *data;      /* owned */
    size_t capacity; /* bytes; one of them is never read into, so that a line can be NUL-terminated */
    size_t filled;
    size_t start, next;
    size_t searched; /* data[next, searched) holds no newline */
    size_t number;   /* 1-based, of the first line of the record; 0 before it */
    size_t last;     /* of its last line */
};

/* path NULL or "-": standard input. A directory is refused. *lines needs no clear after a failure. */
enum berth_status berth_lines_open(const char *path, struct berth_lines *lines, struct berth_error *err);
void berth_lines_close(struct berth_lines *lines); /* {.fd = -1} and a closed one are fine */

/* Goes on to the next line; *found is false at the end. A byte order mark before the first line is dropped.
 * Fails with LIMIT for a longer line than BERTH_LINE_MAX, and then again at each call. */
enum berth_status berth_lines_next(struct berth_lines *lines, bool *found, struct berth_error *err);

/* Adds the following line to the current one, for records that span lines; *found is false at the end. The
 * data may move, offsets from `start` do not. */
enum berth_status berth_lines_extend(struct berth_lines *lines, bool *found, struct berth_error *err);

/* The current line without its line end. The byte behind it, text[*size], may be overwritten by a NUL. */
char *berth_lines_text(const struct berth_lines *lines, size_t *size);

/* Whether berth_lines_next would answer without waiting for the other end of a pipe or for a person. The
 * current line still holds after it. */
bool berth_lines_ready(struct berth_lines *lines);

#endif
