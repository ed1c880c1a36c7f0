/* framing.h: whether everybody who reads a connection sees the same requests in it. A proxy in front that reads a head
 * otherwise than we do takes a part of a body for a request of its own, or the reverse; so what RFC 9112 leaves to a
 * reader's taste is refused, and nothing more is read from such a connection.
 *
 * libmicrohttpd 0.9.75 refuses lengths that are no number, lines without a colon and unknown versions itself. It takes
 * folded lines, NULs, bare line feeds, spaces before a colon, repeated headers, and any Transfer-Encoding: those are
 * found here. What it does not show, the lines between the chunks of a body, cannot be: hence `chunked`. */
#ifndef BERTH_SERVE_FRAMING_H
#define BERTH_SERVE_FRAMING_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>

/* Of a target. All of it fits into what the library holds of a head. */
enum { BERTH_TARGET_BYTES = 8 << 10, BERTH_TARGET_ARGUMENTS = 64 };

/* The request line as the library holds it: the strings lie in the bytes of the head. */
struct berth_framing_line {
    const char *method, *version;
    size_t target_size; /* of the target as it was sent, before it was decoded */
};

struct berth_framing {
    const char *fault; /* one sentence; NULL: none */
    bool chunked;      /* the connection must not be read beyond the request */
};

/* Looks at a target as it was sent: 0, or the status of a refusal and its sentence. 414 must end the connection at once:
 * libmicrohttpd 0.9.75 would hold one with more arguments than its memory takes until its time is up. */
unsigned berth_framing_target(const char *target, const char **why);

/* Looks at a head that has arrived. */
struct berth_framing berth_framing_check(struct MHD_Connection *connection, const struct berth_framing_line *line);

#endif
