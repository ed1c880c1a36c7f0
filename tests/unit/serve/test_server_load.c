/* test_server_load.c: a server in this process under everything at once: clients that ask, that leave at any moment, that are
 * refused, while models are loaded again and looked at. For the thread sanitizer; and each answer is right, each request counted. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "berth/berth.h"
#include "support/http.h"
#include "support/part.h"

enum { ASKERS = 4, LEAVERS = 2, ANSWER_SIZE = 8192, METRICS_SIZE = 1 << 18 };

static const char *const bodies[] = {"[\"a gripping, funny film\"]", "[\"\", \"the plot falls apart halfway through\", \"x\"]"};

struct clients {
    unsigned port;
    char right[2][2][ANSWER_SIZE]; /* [model][body] */
    atomic_bool enough;
    atomic_int good[2], refused[2], wrong; /* [model] */
};

static void cut_time(char *answer)
{
    char *time = strstr(answer, ", \"time\"");
    if (time)
        *time = 0;
}

static void *ask_often(void *argument)
{
    static const char *const targets[] = {"/inference?model=tiny", "/inference?model=seven"};
    struct clients *clients = argument;
    char answer[ANSWER_SIZE];
    for (unsigned i = 0; !clients->enough; i++) {
        unsigned model = i / 2 % 2, body = i % 2;
        int status = http_ask(clients->port, "POST", targets[model], bodies[body], answer, sizeof answer);
        cut_time(answer);
        if (status == 200 && strcmp(answer, clients->right[model][body]) == 0)
            clients->good[model]++;
        else if (status == 429)
            clients->refused[model]++;
        else
            clients->wrong++;
    }
    return NULL;
}

/* Sends a part of a request, or a whole one, or two, and closes: at once, or by half and with what comes read. */
static void *leave_often(void *argument)
{
    static const char request[] = "POST /v2/models/seven/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                  "46\r\n{\"inputs\": [{\"name\": \"text\", \"datatype\": \"BYTES\", \"shape\": [1], \"data\": [\r\n"
                                  "6\r\n\"a\"]}]\r\n1\r\n}\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    struct clients *clients = argument;
    char answer[ANSWER_SIZE];
    unsigned seed = 7;
    while (!clients->enough) {
        struct sockaddr_in address = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)clients->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
            abort();
        seed = seed * 1664525u + 1013904223u;
        size_t size = seed >> 8 & 1 ? sizeof request - 1 : (seed >> 9) % sizeof request;
        (void)!send(fd, request, size, MSG_NOSIGNAL);
        if (seed >> 30 & 1) {
            shutdown(fd, SHUT_WR);
            while (recv(fd, answer, sizeof answer, 0) > 0)
                ;
        }
        close(fd);
    }
    return NULL;
}

/* The sum of a metric's lines of one model. */
static double count(unsigned port, const char *name, const char *model)
{
    static char metrics[METRICS_SIZE];
    char label[64];
    double sum = 0;
    assert_int_equal(http_ask(port, "GET", "/metrics", NULL, metrics, sizeof metrics), 200);
    snprintf(label, sizeof label, "model=\"%s\"", model);
    for (char *line = strtok(metrics, "\n"); line; line = strtok(NULL, "\n"))
        if (strncmp(line, name, strlen(name)) == 0 && strstr(line, label))
            sum += atof(strrchr(line, ' ') + 1);
    return sum;
}

static void load_with_reloads_and_disconnects_answers_right(void **state)
{
    (void)state;
    static const struct berth_served_model models[] = {{.name = "tiny", .model = "random:bert-tiny"},
                                                       {.name = "seven", .model = "random:bert-tiny@7"}};
    struct berth_server_options options = {.models = models, .model_count = 2, .max_concurrent_requests = 4, .access_log = "/dev/null"};
    struct berth_server *server;
    struct berth_error err = {0};
    static struct clients clients;
    if (berth_server_start(&options, &server, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    clients.port = berth_server_port(server);
    for (int i = 0; i < 4; i++) {
        char *right = clients.right[i / 2][i % 2];
        assert_int_equal(http_ask(clients.port, "POST", i / 2 ? "/inference?model=seven" : "/inference?model=tiny", bodies[i % 2],
                                  right, ANSWER_SIZE),
                         200);
        cut_time(right);
    }
    assert_string_not_equal(clients.right[0][0], clients.right[1][0]);
    pthread_t threads[ASKERS + LEAVERS];
    for (int i = 0; i < ASKERS + LEAVERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i < ASKERS ? ask_often : leave_often, &clients), 0);
    static char answer[METRICS_SIZE];
    static const char *const looks[][3] = {{"POST", "/v2/repository/models/tiny/load", "{}"},
                                           {"GET", "/v2/models/stats", NULL},
                                           {"GET", "/metrics", NULL},
                                           {"GET", "/api/deployments", NULL},
                                           {"POST", "/v2/repository/index", ""},
                                           {"POST", "/tokenize", "{\"inputs\": \"a film\"}"},
                                           {"GET", "/health", NULL}};
    for (size_t i = 0; i < part_of(6, 3); i++) {
        berth_server_reload(server);
        for (size_t k = 0; k < sizeof looks / sizeof *looks; k++)
            if (http_ask(clients.port, looks[k][0], looks[k][1], looks[k][2], answer, sizeof answer) != 200)
                assert_non_null(strstr(answer, "Overloaded"));
    }
    while (clients.good[0] + clients.good[1] < 20) /* however slow the machine */
        sched_yield();
    clients.enough = true;
    for (int i = 0; i < ASKERS + LEAVERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(clients.wrong, 0);
    /* Those of "tiny" are the askers' alone, and the two before them; an answer may be read before it is counted. */
    double good = clients.good[0] + 2.0, refused = clients.refused[0], success = 0, failure = 0;
    for (int i = 0; i < 10000 && (success != good || failure != refused); i++) {
        success = count(clients.port, "nv_inference_request_success", "tiny");
        failure = count(clients.port, "nv_inference_request_failure", "tiny");
    }
    if (success != good || failure != refused)
        fail_msg("%.0f and %.0f requests were counted, not %.0f and %.0f", success, failure, good, refused);
    berth_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(load_with_reloads_and_disconnects_answers_right)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
