/* reply.h: what a handler says to a client: a status, a content type and a body. */
#ifndef BERTH_SERVE_REPLY_H
#define BERTH_SERVE_REPLY_H

#include <stdbool.h>

#include "base/buffer.h"
#include "berth/status.h"

enum { BERTH_REPLY_HEADERS = 6 };

struct berth_reply {
    unsigned status;          /* 0: none yet */
    const char *content_type; /* static storage */
    const char *allow;        /* for 405; static storage, NULL otherwise */
    struct {
        const char *name; /* static storage; NULL: none */
        char value[96];
    } header[BERTH_REPLY_HEADERS]; /* more of them */
    struct berth_buffer body;
};

/* Zero-initialise before first use. Each of these replaces what the reply held. */

/* An empty body to append to. */
void berth_reply_begin(struct berth_reply *reply, unsigned status, const char *content_type);

/* One line of plain text; the newline is added. */
void berth_reply_text(struct berth_reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* {"error": sentence, "error_type": what kind of status it is}. */
void berth_reply_error(struct berth_reply *reply, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The library's failure as an HTTP one. */
void berth_reply_failure(struct berth_reply *reply, const struct berth_error *err);

/* One more header of the reply as it is now; `name` in static storage. What does not fit is dropped. */
void berth_reply_header(struct berth_reply *reply, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void berth_reply_clear(struct berth_reply *reply);

/* Appends a float as JSON with 9 significant digits, which give back the same float, whatever the locale. */
bool berth_reply_float(struct berth_buffer *body, float value);

#endif
