/* listen.c: binds by hand, so that "address already in use" reaches the person in words. */
#include "serve/listen.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
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

/* True when nobody listens there any more. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat what;
    if (lstat(address->sun_path, &what) != 0 || !S_ISSOCK(what.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof *address) != 0 &&
                   errno == ECONNREFUSED;
    if (fd >= 0)
        close(fd);
    return refused;
}

enum berth_status berth_listen_unix(const char *path, int *out, struct berth_error *err)
{
    *out = -1;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) == 0 || strlen(path) >= sizeof address.sun_path)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "Unix socket '%s': a path of 1 to %zu bytes is needed",
                          path, sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_stale(&address))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0) {
        if (chmod(path, 0660) == 0 && listen(fd, SOMAXCONN) == 0) {
            *out = fd;
            return BERTH_OK;
        }
        int reason = errno;
        unlink(path);
        errno = reason;
    }
    int reason = errno;
    if (fd >= 0)
        close(fd);
    return berth_fail_errno(err, reason, "cannot listen on the Unix socket %s", path);
}
