/* endpoint.c: http URLs and sockets. */
#include "bench/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

static bool is_loopback(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, address, sizeof in);
        return ntohl(in.sin_addr.s_addr) >> 24 == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, address, sizeof in6);
    return IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

static enum berth_status resolve(struct berth_endpoint *endpoint, const char *host, const char *port,
                                 struct berth_error *err)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int fault = getaddrinfo(host, port, &hints, &list);
    if (fault != 0 || !list)
        return berth_fail(err, BERTH_NOT_FOUND, "target %s: cannot find the host '%s': %s", endpoint->url, host,
                          gai_strerror(fault));
    memcpy(&endpoint->address, list->ai_addr, list->ai_addrlen);
    endpoint->address_size = list->ai_addrlen;
    endpoint->loopback = is_loopback(&endpoint->address);
    freeaddrinfo(list);
    return BERTH_OK;
}

enum berth_status berth_endpoint_parse(const char *url, struct berth_endpoint *endpoint,
                                       struct berth_error *err)
{
    *endpoint = (struct berth_endpoint){0};
    if (strlen(url) >= sizeof endpoint->url)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "target '%.60s...': an address of more than %zu bytes",
                          url, sizeof endpoint->url - 1);
    strcpy(endpoint->url, url);
    if (strncmp(url, "https://", 8) == 0)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "target %s: https is not measured; give the server's http address", url);
    if (strncmp(url, "http://", 7) != 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "target '%s': give local, or NAME=http://host:port", url);
    const char *host = url + 7, *slash = strchr(host, '/');
    size_t size = slash ? (size_t)(slash - host) : strlen(host);
    if (size == 0 || size >= 256 || memchr(host, '@', size))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "target '%s': no host; give http://host:port", url);
    memcpy(endpoint->host, host, size);
    size_t prefix = slash ? strlen(slash) : 0;
    while (prefix > 0 && slash[prefix - 1] == '/')
        prefix--;
    if (prefix >= sizeof endpoint->prefix || (prefix > 0 && strpbrk(slash, "?# \r\n")))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "target '%s': the path is no plain prefix", url);
    if (prefix > 0)
        memcpy(endpoint->prefix, slash, prefix);
    char name[256], *port;
    memcpy(name, endpoint->host, size + 1);
    char *bare = name, *bracket = name[0] == '[' ? strchr(name, ']') : NULL;
    if (bracket) {
        *bracket = 0;
        bare = name + 1;
        port = bracket[1] == ':' ? bracket + 2 : NULL;
    } else if ((port = strrchr(name, ':'))) {
        *port++ = 0;
    }
    if (port && (*port == 0 || strspn(port, "0123456789") != strlen(port) || strlen(port) > 5))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "target '%s': '%s' is no port", url, port);
    return resolve(endpoint, bare, port ? port : "80", err);
}

int berth_endpoint_connect(const struct berth_endpoint *endpoint)
{
    int one = 1, fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->address_size) != 0 &&
        errno != EINPROGRESS) {
        int fault = errno;
        close(fd);
        errno = fault;
        return -1;
    }
    return fd;
}
