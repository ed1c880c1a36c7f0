/* endpoint.h: where a server under test listens. */
#ifndef BERTH_BENCH_ENDPOINT_H
#define BERTH_BENCH_ENDPOINT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "berth/status.h"

struct berth_endpoint {
    struct sockaddr_storage address; /* resolved once: a run measures one machine, and no name server */
    socklen_t address_size;
    char url[320];    /* as it was given, for messages */
    char host[280];   /* of the Host header */
    char prefix[128]; /* path before every route: "" or "/base" */
    bool loopback;    /* the server shares this machine */
};

/* Reads "http://HOST[:PORT][/PREFIX]" (IPv6 in brackets) and resolves the host. */
enum berth_status berth_endpoint_parse(const char *url, struct berth_endpoint *endpoint,
                                       struct berth_error *err);

/* A non-blocking socket that is connecting; -1 with errno when the system has none. */
int berth_endpoint_connect(const struct berth_endpoint *endpoint);

#endif
