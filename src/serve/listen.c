/* listen.c: binds by hand, so that "address already in use" reaches the person in words. */
#include "serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

/* A listening socket on one address, or -1 with errno. */
static int listen_on(const struct addrinfo *address)
{
    int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, address->ai_protocol);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int fault = errno;
    close(fd);
    errno = fault;
    return -1;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    if (getsockname(fd, (struct sockaddr *)&bound, &size) != 0)
        return 0;
    return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                             : ((struct sockaddr_in *)&bound)->sin_port);
}

enum berth_status berth_listen(const char *host, unsigned *port, int *out, struct berth_error *err)
{
    *out = -1;
    if (*port > 65535)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "port %u: ports end at 65535", *port);
    char service[8];
    snprintf(service, sizeof service, "%u", *port);
    struct addrinfo wanted = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *found;
    int fault = getaddrinfo(host, service, &wanted, &found);
    if (fault != 0)
        return berth_fail(err, BERTH_NOT_FOUND, "host '%s': %s", host, gai_strerror(fault));
    int fd = -1;
    for (struct addrinfo *address = found; address && fd < 0; address = address->ai_next)
        fd = listen_on(address);
    int reason = errno;
    freeaddrinfo(found);
    if (fd < 0)
        return berth_fail_errno(err, reason, "cannot listen on %s port %u", host, *port);
    *port = port_of(fd);
    *out = fd;
    return BERTH_OK;
}
