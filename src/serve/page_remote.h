/* page_remote.h: one deployment on another server: its protocol (page_remote_wire.c) and its connection. */
#ifndef BERTH_SERVE_PAGE_REMOTE_H
#define BERTH_SERVE_PAGE_REMOTE_H

#include <curl/curl.h>
#include <jansson.h>

#include "base/buffer.h"
#include "berth/berth.h"
#include "serve/worker.h"

enum berth_wire { BERTH_WIRE_TEI, BERTH_WIRE_OPEN_INFERENCE, BERTH_WIRE_STUDY };

enum { BERTH_REMOTE_LABELS = 64 };

struct berth_remote {
    char *name, *url; /* as given */
    char *endpoint;   /* what is asked */
    enum berth_wire wire;
    struct berth_worker *worker; /* the only user of the rest; owner: this */
    CURL *curl;
    uint64_t down_until; /* on berth_clock_ns: it did not answer lately */
    struct berth_error down;
};

/* What a remote said of one text. */
struct berth_remote_answer {
    size_t count;                            /* labels */
    const char *names[BERTH_REMOTE_LABELS];  /* borrowed from the JSON, or static */
    double values[BERTH_REMOTE_LABELS];      /* logits, or where there are none the logarithms of scores */
    size_t best;
    double score;
};

/* Which protocol a URL means, and what to ask there: *endpoint for berth_free. */
enum berth_status berth_remote_read_url(const char *url, enum berth_wire *wire, char **endpoint,
                                        struct berth_error *err);

/* The body of a request for these texts; for free(). NULL: memory ran out, or (with *err) the protocol has no pairs. */
char *berth_remote_body(enum berth_wire wire, const struct berth_text *texts, size_t count, struct berth_error *err);

/* Item `i` of an answer to `count` texts. BERTH_FORMAT when it is of another shape. */
enum berth_status berth_remote_read(enum berth_wire wire, const json_t *root, size_t i, size_t count,
                                    struct berth_remote_answer *answer, struct berth_error *err);

#endif
