/* http.h: the least client that can talk to a server under test. */
#ifndef BERTH_TESTS_HTTP_H
#define BERTH_TESTS_HTTP_H

#include <stddef.h>

/* One request on a connection of its own to 127.0.0.1; body NULL: none. Returns the status and the answer's
 * body, cut to size; 0 when no answer came. */
int http_ask(unsigned port, const char *method, const char *target, const char *body, char *answer,
             size_t size);

#endif
