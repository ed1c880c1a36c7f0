/* serving_counts.c: clients that leave before their answer, and whether the server's metrics say what its clients saw. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "serving.h"

void serving_pause(unsigned ms)
{
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

int serving_connect(const struct serving_server *server)
{
    const struct berth_endpoint *endpoint = &server->endpoint;
    int fd = socket(endpoint->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->address_size) != 0)
        serving_die("cannot connect: %s", strerror(errno));
    return fd;
}

void serving_leave(const struct serving_server *server, const struct berth_wire *wire, unsigned stay_ms, bool abruptly,
                   struct serving_counts *counts)
{
    char answer[4096];
    int status = 0, fd = serving_connect(server);
    size_t had = 0;
    if (send(fd, wire->bytes, wire->size, MSG_NOSIGNAL) != (ssize_t)wire->size)
        serving_die("a client that leaves cannot even ask: %s", strerror(errno));
    serving_pause(stay_ms);
    if (!abruptly)
        shutdown(fd, SHUT_WR); /* an answer that was on its way still arrives; then the server closes */
    for (ssize_t n; had < sizeof answer - 1; had += (size_t)n) {
        n = recv(fd, answer + had, sizeof answer - 1 - had, abruptly ? MSG_DONTWAIT : 0);
        if (n <= 0)
            break;
    }
    answer[had] = 0;
    sscanf(answer, "HTTP/1.1 %d", &status);
    close(fd);
    if (status == 499) /* what the server says to one that it found gone */
        status = 0;
    counts->left += status == 0;
    counts->good += status == 200;
    counts->refused += status == 429 || status == 503;
    counts->other += status != 0 && status != 200 && status != 429 && status != 503;
}

struct serving_counts serving_read_counts(const struct serving_server *server)
{
    static const char failure[] = "nv_inference_request_failure";
    char *text = serving_get(server, "/metrics");
    struct serving_counts counts = {
        serving_metric(text, "nv_inference_request_success", NULL), serving_metric(text, failure, "REJECTED"),
        serving_metric(text, failure, "CANCELED"),
        serving_metric(text, failure, "BACKEND") + serving_metric(text, failure, "OTHER")};
    double te = serving_metric(text, "te_request_count", NULL);
    if (te != counts.good + counts.refused + counts.left + counts.other)
        serving_bound(false, "te_request_count is %.0f, the sum of nv_inference_request_… is not", te);
    free(text);
    return counts;
}

struct serving_counts serving_counts_since(const struct serving_server *server, const struct serving_counts *before,
                                           double expected)
{
    struct serving_counts now = {0};
    for (int i = 0; i < 100; i++) { /* one that left is noticed when its turn comes */
        now = serving_read_counts(server);
        now = (struct serving_counts){now.good - before->good, now.refused - before->refused, now.left - before->left,
                                      now.other - before->other};
        if (now.good + now.refused + now.left + now.other >= expected)
            break;
        serving_pause(20);
    }
    return now;
}

void serving_check_counts(const struct serving_server *server, const struct serving_counts *before,
                          const struct serving_counts *want)
{
    struct serving_counts now =
        serving_counts_since(server, before, want->good + want->refused + want->left + want->other);
    serving_bound(now.good == want->good && now.refused == want->refused && now.left == want->left &&
                      now.other == want->other,
                  "metrics say success %.0f, refused %.0f, left %.0f, other %.0f; the clients counted %.0f, %.0f, %.0f, %.0f",
                  now.good, now.refused, now.left, now.other, want->good, want->refused, want->left, want->other);
}
