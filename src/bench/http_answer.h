/* http_answer.h: an HTTP/1.1 answer, read from bytes as they come. Own code, because it runs between the arrival
 * of an answer and its time stamp: nothing is copied or allocated, one pass over the headers, none over a body
 * of known length. RFC 9112 as far as servers use it: a length, chunks, or the end of the connection. */
#ifndef BERTH_BENCH_HTTP_ANSWER_H
#define BERTH_BENCH_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum {
    BERTH_ANSWER_HEADERS_MAX = 32 * 1024, /* bytes of status line and headers */
    BERTH_ANSWER_BODY_MAX = 64 << 20
};

/* Where a server says it spent the time, from its x-...-time headers; NaN: not said. Milliseconds. */
struct berth_stages {
    double tokenize_ms, queue_ms, inference_ms, total_ms;
};

enum berth_answer_state { BERTH_ANSWER_MORE, BERTH_ANSWER_WHOLE, BERTH_ANSWER_BAD };

struct berth_answer {
    int status; /* 200; valid once the headers are read */
    struct berth_stages stages;
    size_t body;       /* where the body begins in the bytes */
    size_t body_size;  /* once whole; chunks are joined in place */
    size_t end;        /* bytes of the whole answer */
    bool keep_alive;   /* the connection may carry another request */
    const char *fault; /* what is wrong with a bad one; static storage */

    bool headed, chunked, sized; /* private from here on */
    size_t scanned, length;
};

/* Ready for the first bytes of an answer. */
void berth_answer_init(struct berth_answer *answer);

/* data [size] holds all bytes since the beginning of the answer, those of the calls before unchanged but for
 * what this function itself did to them; `closed`: no more will come. Chunks are joined within data. */
enum berth_answer_state berth_answer_read(struct berth_answer *answer, char *data, size_t size, bool closed);

#endif
