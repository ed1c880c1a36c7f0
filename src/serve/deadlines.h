/* deadlines.h: how long each connection may take over its next step. A client that trickles a byte a second
 * is never idle, so an idle timeout does not bound it: here each step (the next request line, its headers and
 * body, reading the answer) has one moment by which it must be over. A thread of its own cuts the connections
 * that are late, and sees within a second those that their clients have closed in the middle of a step. */
#ifndef BERTH_SERVE_DEADLINES_H
#define BERTH_SERVE_DEADLINES_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/status.h"

struct berth_deadlines;

/* One connection. Owned by the deadlines from watch to forget. */
struct berth_watch;

enum berth_status berth_deadlines_new(unsigned timeout_ms, struct berth_deadlines **deadlines,
                                      struct berth_error *err);
void berth_deadlines_free(struct berth_deadlines *deadlines); /* joins; NULL is fine */

/* Begins to watch a socket, its first step begun; NULL when memory ran out. The rest accepts a NULL watch. */
struct berth_watch *berth_deadlines_watch(struct berth_deadlines *deadlines, int socket);

/* A new step begins now; a client that is late with it is sent `farewell` (static storage; NULL: nothing), as
 * far as its socket takes it at once. / No step is the client's to take. */
void berth_deadlines_begin(struct berth_deadlines *deadlines, struct berth_watch *watch,
                           const char *farewell);
void berth_deadlines_pause(struct berth_deadlines *deadlines, struct berth_watch *watch);

/* Whether the client has closed its side of a connection. */
bool berth_deadlines_closed(int socket);

/* Before the socket is closed: after it, its number may name another one. */
void berth_deadlines_forget(struct berth_deadlines *deadlines, struct berth_watch *watch);

#endif
