/* listen.h: the socket that a server listens on. */
#ifndef BERTH_SERVE_LISTEN_H
#define BERTH_SERVE_LISTEN_H

#include "berth/status.h"

/* Binds HOST (a name or an address, IPv4 or IPv6) and port (0: a free one) and listens, non-blocking. *port
 * receives the port bound. The caller closes *socket. */
enum berth_status berth_listen(const char *host, unsigned *port, int *socket, struct berth_error *err);

/* The same on a Unix socket at `path`, which only its owner and group may use. What is left there by a server
 * that is gone is replaced; a socket that answers, and whatever is no socket, is an error. The caller removes
 * the path. */
enum berth_status berth_listen_unix(const char *path, int *socket, struct berth_error *err);

#endif
