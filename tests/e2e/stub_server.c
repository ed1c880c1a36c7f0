/* stub_server.c: a server to measure the measurer with. It speaks the study's protocol and the Open Inference
 * Protocol, takes exactly the time it is told, stalls when it is told, and misbehaves in every way it is told.
 *
 *     stub_server [--service-us N] [--stall-after-ms N --stall-ms N] [--mode M [--after N]] [--port-file F]
 *
 * One request at a time, first come, first served: a queue with one server, whose theory is known. Modes, for
 * requests to classify after the first N: ok, error (500), garbage, close, hang, short, notjson, narrow (a row
 * too few), nan, chunked. Prints "listening on http://127.0.0.1:PORT"; ends when its standard input does. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { CLIENTS = 9000, REQUEST_MAX = 1 << 16, ANSWER_MAX = 1 << 14 };

struct client {
    int fd;
    char *in;
    size_t size;
    bool waits;    /* in the queue */
    size_t length; /* of its request */
};

struct stub {
    uint64_t service_ns, stall_after_ns, stall_ns;
    const char *mode;
    size_t after, classified;
    struct client client[CLIENTS];
    size_t queue[CLIENTS], head, tail; /* a ring of clients that wait */
    uint64_t began, free_at;           /* of the first request; when the one server is free again */
    bool stalled;
    int epoll;
};

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void drop(struct client *c)
{
    if (c->fd >= 0)
        close(c->fd);
    c->fd = -1;
    c->size = 0;
}

/* Texts in the body: strings of its longest list, as both protocols have them. */
static size_t count_texts(const char *body)
{
    const char *data = strstr(body, "\"data\"");
    size_t count = 0;
    bool inside = false;
    for (const char *at = data ? strchr(data, '[') : body; at && *at; at++) {
        if (*at == '\\' && at[1])
            at++;
        else if (*at == '"')
            count += inside = !inside;
        else if (*at == ']' && !inside)
            break;
    }
    return count;
}

static size_t write_logits(char *to, size_t size, size_t rows, bool nested, bool nan)
{
    size_t n = 0;
    for (size_t i = 0; i < rows; i++)
        n += (size_t)snprintf(to + n, size - n, nested ? "%s[%s, %s]" : "%s%s, %s", i ? ", " : "",
                              nan ? "NaN" : "-1.5", "1.25");
    return n;
}

/* The body of the answer to one request; *status its status. */
static void answer_body(struct stub *stub, const char *request, char *body, size_t size, int *status)
{
    const char *text = strstr(request, "\r\n\r\n");
    bool oip = strncmp(request, "POST /v2/models/", 16) == 0, study = strncmp(request, "POST /inference", 15) == 0;
    *status = 200;
    if (study || oip) {
        size_t rows = count_texts(text ? text + 4 : ""), n;
        const char *mode = stub->classified++ >= stub->after ? stub->mode : "ok";
        if (strcmp(mode, "narrow") == 0 && rows > 0)
            rows--;
        if (strcmp(mode, "error") == 0) {
            *status = 500;
            snprintf(body, size, "{\"error\": \"out of luck\"}");
            return;
        }
        if (strcmp(mode, "notjson") == 0) {
            snprintf(body, size, "all is well");
            return;
        }
        if (rows > 200)
            rows = 200;
        if (study)
            n = (size_t)snprintf(body, size, "{\"predictions\": [");
        else
            n = (size_t)snprintf(body, size,
                                 "{\"model_name\": \"m\", \"outputs\": [{\"name\": \"logits\", \"datatype\": "
                                 "\"FP32\", \"shape\": [%zu, 2], \"data\": [",
                                 rows);
        n += write_logits(body + n, size - n, rows, study, strcmp(mode, "nan") == 0);
        snprintf(body + n, size - n, study ? "], \"time\": 0.001, \"input_size\": 12, \"model_path\": \"stub\"}" : "]}]}");
    } else if (strncmp(request, "POST /set_model?", 16) == 0) {
        snprintf(body, size, "Model set");
    } else if (strncmp(request, "GET /v2/models/", 15) == 0) {
        snprintf(body, size, "{\"name\": \"m\", \"versions\": [\"1\"], \"platform\": \"stub\", \"inputs\": [{\"name\": \"text\", "
                             "\"datatype\": \"BYTES\", \"shape\": [-1]}], \"outputs\": [{\"name\": \"logits\", \"datatype\": "
                             "\"FP32\", \"shape\": [-1, 2]}]}");
    } else if (strncmp(request, "GET /v2 ", 8) == 0 && strcmp(stub->mode, "study") != 0) {
        snprintf(body, size, "{\"name\": \"stub\", \"version\": \"1\", \"extensions\": []}");
    } else {
        *status = 404;
        snprintf(body, size, "{\"error\": \"no such path\"}");
    }
}

static void answer(struct stub *stub, struct client *c)
{
    static char out[ANSWER_MAX + 512], body[ANSWER_MAX];
    int status;
    bool classify = strncmp(c->in, "POST /v2/models/", 16) == 0 || strncmp(c->in, "POST /inference", 15) == 0;
    char after = c->in[c->length];
    c->in[c->length] = 0;
    answer_body(stub, c->in, body, sizeof body, &status);
    c->in[c->length] = after;
    const char *mode = classify && stub->classified > stub->after ? stub->mode : "ok";
    size_t n, size = strlen(body);
    c->waits = false;
    if (strcmp(mode, "hang") == 0)
        return;
    if (strcmp(mode, "close") == 0) {
        drop(c);
        return;
    }
    if (strcmp(mode, "garbage") == 0)
        n = (size_t)snprintf(out, sizeof out, "220 mail.example.org ESMTP ready\r\n");
    else if (strcmp(mode, "chunked") == 0)
        n = (size_t)snprintf(out, sizeof out,
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%zx\r\n%.*s\r\n%zx\r\n%s\r\n0\r\n\r\n",
                             size / 2, (int)(size / 2), body, size - size / 2, body + size / 2);
    else
        n = (size_t)snprintf(out, sizeof out,
                             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nx-queue-time-us: 7\r\n"
                             "x-tokenization-time: 2\r\nx-inference-time-us: %llu\r\nContent-Length: %zu\r\n\r\n%s",
                             status, (unsigned long long)(stub->service_ns / 1000),
                             strcmp(mode, "short") == 0 ? size + 10 : size, body);
    if (send(c->fd, out, n, MSG_NOSIGNAL) != (ssize_t)n || strcmp(mode, "short") == 0 || strcmp(mode, "garbage") == 0) {
        drop(c);
        return;
    }
    c->size -= c->length;
    memmove(c->in, c->in + c->length, c->size);
}

/* Bytes of a whole request at the start of the input; 0: not yet. */
static size_t whole_request(const char *in, size_t size)
{
    const char *end = memmem(in, size, "\r\n\r\n", 4);
    if (!end)
        return 0;
    size_t head = (size_t)(end - in) + 4, length = 0;
    const char *field = strcasestr(in, "content-length:");
    if (field && field < end)
        length = strtoul(field + 15, NULL, 10);
    return head + length <= size ? head + length : 0;
}

static void receive(struct stub *stub, size_t index)
{
    struct client *c = &stub->client[index];
    ssize_t n = recv(c->fd, c->in + c->size, REQUEST_MAX - 1 - c->size, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        drop(c);
        return;
    }
    c->size += (size_t)n;
    c->in[c->size] = 0;
    if (c->waits || (c->length = whole_request(c->in, c->size)) == 0)
        return;
    c->waits = true;
    if (!stub->began)
        stub->began = now_ns();
    stub->queue[stub->tail++ % CLIENTS] = index;
}

static void stall_when_due(struct stub *stub)
{
    if (stub->stall_ns == 0 || stub->stalled || !stub->began || now_ns() < stub->began + stub->stall_after_ns)
        return;
    stub->stalled = true;
    const struct timespec nap = {(time_t)(stub->stall_ns / 1000000000u), (long)(stub->stall_ns % 1000000000u)};
    nanosleep(&nap, NULL);
}

/* Serves what waits, each for its service time; returns ns until there is something to do, UINT64_MAX: nothing. */
static uint64_t serve_queue(struct stub *stub)
{
    while (stub->head < stub->tail) {
        struct client *c = &stub->client[stub->queue[stub->head % CLIENTS]];
        uint64_t now = now_ns();
        if (stub->service_ns) {
            if (stub->free_at == 0)
                stub->free_at = now + stub->service_ns;
            if (now < stub->free_at)
                return stub->free_at - now;
            stub->free_at = 0;
        }
        stub->head++;
        if (c->fd >= 0)
            answer(stub, c);
    }
    return UINT64_MAX;
}

static void accept_all(struct stub *stub, int listener)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        size_t i = 0;
        while (i < CLIENTS && (stub->client[i].fd >= 0 || stub->client[i].waits))
            i++;
        if (i == CLIENTS || (!stub->client[i].in && !(stub->client[i].in = malloc(REQUEST_MAX)))) {
            close(fd);
            continue;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        stub->client[i].fd = fd;
        stub->client[i].size = 0;
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i + 2};
        epoll_ctl(stub->epoll, EPOLL_CTL_ADD, fd, &event);
    }
}

static int listen_on_free_port(unsigned *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) != 0) {
        perror("stub_server");
        exit(1);
    }
    *port = ntohs(at.sin_port);
    return fd;
}

static void read_arguments(struct stub *stub, int argc, char **argv)
{
    stub->mode = "ok";
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t number = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--service-us") == 0)
            stub->service_ns = number * 1000;
        else if (strcmp(argv[i], "--stall-after-ms") == 0)
            stub->stall_after_ns = number * 1000000;
        else if (strcmp(argv[i], "--stall-ms") == 0)
            stub->stall_ns = number * 1000000;
        else if (strcmp(argv[i], "--mode") == 0)
            stub->mode = argv[i + 1];
        else if (strcmp(argv[i], "--after") == 0)
            stub->after = number;
        else
            fprintf(stderr, "stub_server: what is %s?\n", argv[i]), exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct stub stub;
    struct epoll_event events[256], event = {.events = EPOLLIN};
    unsigned port;
    struct rlimit files = {16384, 16384};
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    read_arguments(&stub, argc, argv);
    for (size_t i = 0; i < CLIENTS; i++)
        stub.client[i].fd = -1;
    int listener = listen_on_free_port(&port);
    stub.epoll = epoll_create1(0);
    event.data.u64 = 0;
    epoll_ctl(stub.epoll, EPOLL_CTL_ADD, listener, &event);
    event.data.u64 = 1;
    epoll_ctl(stub.epoll, EPOLL_CTL_ADD, 0, &event); /* fails for a file, which is fine: then only a signal ends it */
    printf("listening on http://127.0.0.1:%u\n", port);
    fflush(stdout);
    for (;;) {
        uint64_t wait = serve_queue(&stub);
        struct timespec limit = {0, 100 * 1000 * 1000};
        if (wait < 100 * 1000 * 1000)
            limit.tv_nsec = (long)wait;
        int count = epoll_pwait2(stub.epoll, events, 256, &limit, NULL);
        stall_when_due(&stub);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u64 == 0) {
                accept_all(&stub, listener);
            } else if (events[i].data.u64 == 1) {
                char byte;
                if (read(0, &byte, 1) == 0)
                    return 0;
            } else if (stub.client[events[i].data.u64 - 2].fd >= 0) {
                receive(&stub, (size_t)events[i].data.u64 - 2);
            }
        }
    }
}
