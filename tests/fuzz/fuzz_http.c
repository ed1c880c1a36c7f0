/* fuzz_http.c: any bytes for a server in this process, over loopback: as they are, or as the body of a good request to one of the
 * endpoints. Whatever comes, each answer is HTTP with a status that its sender deserves, an error is our JSON object, and the
 * next client is answered.
 *
 * The first byte chooses: 0 for bytes as they are, else the endpoint. For tensors two more are the size of the JSON. */
#include <errno.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/berth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const endpoints[] = {
    "/inference?model=tiny", "/predict", "/embed",       "/tokenize",           "/decode",    "/models/tiny",   "/v1/embeddings",
    "/v2/models/tiny/infer", "/api/why", "/api/predict", "/v2/repository/index", "/api/log", "/api/recommend",
};
enum { ENDPOINTS = sizeof endpoints / sizeof *endpoints, INFER = 7, ANSWER_SIZE = 1 << 20 };

static unsigned port(void)
{
    static struct berth_server *server;
    static const struct berth_served_model model = {.name = "tiny", .model = "random:bert-tiny"};
    struct berth_server_options options = {.models = &model, .model_count = 1, .max_body_bytes = 1 << 20, .request_timeout_ms = 5000};
    struct berth_error err = {0};
    if (!server && berth_server_start(&options, &server, &err) != BERTH_OK) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
    return berth_server_port(server);
}

static void send_all(int fd, const void *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) /* the fuzzer's own clock */
            continue;
        if (sent <= 0)
            return;
        bytes = (const char *)bytes + sent;
        size -= (size_t)sent;
    }
}

/* Sends both parts, closes this side if asked to, and reads until the server closes. */
static size_t talk(const void *head, size_t head_size, const void *body, size_t body_size, int half, char *answer)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port()), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger)); /* no port stays behind */
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        abort();
    send_all(fd, head, head_size);
    send_all(fd, body, body_size);
    if (half)
        shutdown(fd, SHUT_WR);
    size_t size = 0;
    while (size < ANSWER_SIZE - 1) {
        ssize_t got = recv(fd, answer + size, ANSWER_SIZE - 1 - size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        size += (size_t)got;
    }
    close(fd);
    answer[size] = 0;
    return size;
}

static void check_answer(const char *answer, size_t size, int ours)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (strncmp(answer, go_on, sizeof go_on - 1) == 0)
        answer += sizeof go_on - 1, size -= sizeof go_on - 1;
    int status = size > 12 && strncmp(answer, "HTTP/1.1 ", 9) == 0 ? atoi(answer + 9) : 0;
    const char *body = strstr(answer, "\r\n\r\n");
    if (!ours && size == 0)
        return;
    if (status < 200 || status == 500 || status == 503 || !body) {
        fprintf(stderr, "%.200s\n", answer);
        abort();
    }
    if (status < 400 || !ours)
        return;
    json_t *error = json_loads(body + 4, 0, NULL);
    if (!json_string_value(json_object_get(error, "error")) || !json_string_value(json_object_get(error, "error_type"))) {
        fprintf(stderr, "%.500s\n", answer);
        abort();
    }
    json_decref(error);
}

static void ask_endpoint(const uint8_t *data, size_t size, char *answer)
{
    size_t which = (size_t)(data[0] - 1) % ENDPOINTS;
    char head[400], tensors[80] = "";
    data++, size--;
    if (which == INFER && size >= 2) {
        unsigned json = data[0] | (unsigned)data[1] << 8;
        if (json > 0)
            snprintf(tensors, sizeof tensors, "Inference-Header-Content-Length: %u\r\n", json);
        data += 2, size -= 2;
    }
    int length = snprintf(head, sizeof head,
                          "POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n%sContent-Length: %zu\r\n\r\n",
                          endpoints[which], tensors, size);
    size_t got = talk(head, (size_t)length, data, size, 0, answer);
    check_answer(answer, got, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char last[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static char answer[ANSWER_SIZE];
    if (size == 0)
        return 0;
    if (data[0] != 0) {
        ask_endpoint(data, size, answer);
        return 0;
    }
    size_t got = talk(data + 1, size - 1, last, sizeof last - 1, 1, answer);
    if (got > 0)
        check_answer(answer, got, 0);
    got = talk(last, sizeof last - 1, "", 0, 0, answer);
    if (got == 0 || strncmp(answer, "HTTP/1.1 200", 12) != 0)
        abort();
    return 0;
}
