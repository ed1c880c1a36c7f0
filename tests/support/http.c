/* http.c: one request, one answer, by hand. */
#include "support/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ANSWER_MAX = 1 << 16, HEADER_MAX = 512 };

static int send_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

static int ask_on(int fd, const char *method, const char *target, const char *body, char *answer, size_t size)
{
    char header[HEADER_MAX];
    static _Thread_local char all[ANSWER_MAX];
    size_t have = 0;
    snprintf(header, sizeof header,
             "%s %s HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", method,
             target, body ? strlen(body) : 0);
    if (send_all(fd, header, strlen(header)) != 0 || (body && send_all(fd, body, strlen(body)) != 0))
        return 0;
    for (ssize_t more = 1; more > 0 && have<sizeof all - 1; have += more> 0 ? (size_t)more : 0)
        more = recv(fd, all + have, sizeof all - 1 - have, 0);
    all[have] = 0;
    const char *end = strstr(all, "\r\n\r\n");
    if (strncmp(all, "HTTP/1.1 ", 9) != 0 || !end)
        return 0;
    snprintf(answer, size, "%s", end + 4);
    return atoi(all + 9);
}

int http_ask(unsigned port, const char *method, const char *target, const char *body, char *answer,
             size_t size)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    answer[0] = 0;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int status = 0;
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        status = ask_on(fd, method, target, body, answer, size);
    if (fd >= 0)
        close(fd);
    return status;
}
