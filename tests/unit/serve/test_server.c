/* test_server.c: a server in this process: answers under parallel clients and changing models, and ends at
 * any moment. */
/* tsan */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "berth/berth.h"
#include "support/http.h"

enum { CLIENTS = 4, ROUNDS = 8, ANSWER_SIZE = 4096 };

static const char texts[] = "[\"a gripping, funny film\", \"\", \"the plot falls apart halfway through\"]";

static struct berth_server *start(const struct berth_server_options *more)
{
    static const struct berth_served_model models[] = {{.name = "tiny", .model = "random:bert-tiny"},
                                                       {.name = "seven", .model = "random:bert-tiny@7"}};
    struct berth_server_options options = more ? *more : (struct berth_server_options){0};
    options.models = models;
    options.model_count = 2;
    struct berth_server *server;
    struct berth_error err = {0};
    enum berth_status status = berth_server_start(&options, &server, &err);
    if (status != BERTH_OK)
        fail_msg("%s", err.message);
    return server;
}

/* The part of an /inference answer that must not change: up to the time. */
static void cut_time(char *answer)
{
    char *time = strstr(answer, ", \"time\"");
    if (time)
        *time = 0;
}

struct client {
    pthread_t thread;
    unsigned port;
    const char *target, *right;
    atomic_int answered, wrong;
};

static void *ask_often(void *argument)
{
    struct client *client = argument;
    char answer[ANSWER_SIZE];
    for (int round = 0; round < ROUNDS; round++) {
        int status = http_ask(client->port, "POST", client->target, texts, answer, sizeof answer);
        cut_time(answer);
        if (status == 200)
            client->answered++;
        /* 0: the server closed before it read the request; 503: it was ending */
        if (status == 200 ? strcmp(answer, client->right) != 0 : status != 503 && status != 0)
            client->wrong++;
    }
    return NULL;
}

static void begin_clients(struct client *clients, unsigned port, char right[2][ANSWER_SIZE])
{
    static const char *const targets[] = {"/inference?model=tiny", "/inference?model=seven"};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(http_ask(port, "POST", targets[i], texts, right[i], ANSWER_SIZE), 200);
        cut_time(right[i]);
    }
    assert_string_not_equal(right[0], right[1]);
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){.port = port, .target = targets[i % 2], .right = right[i % 2]};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, ask_often, &clients[i]), 0);
    }
}

static void inference_while_models_change_gives_the_right_answers(void **state)
{
    (void)state;
    struct berth_server *server = start(NULL);
    unsigned port = berth_server_port(server);
    struct client clients[CLIENTS];
    char right[2][ANSWER_SIZE], answer[ANSWER_SIZE], target[96];
    begin_clients(clients, port, right);
    for (int i = 0; i < 10; i++) {
        snprintf(target, sizeof target, "/set_model?model_type=%s&num_threads=%d", i % 2 ? "tiny" : "seven",
                 1 + i / 2 % 2);
        assert_int_equal(http_ask(port, "POST", target, NULL, answer, sizeof answer), 200);
        assert_int_equal(http_ask(port, "GET", "/health", NULL, answer, sizeof answer), 200);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].answered, ROUNDS);
        assert_int_equal(clients[i].wrong, 0);
    }
    berth_server_stop(server);
}

static void stop_while_clients_ask_answers_or_refuses_each(void **state)
{
    (void)state;
    struct berth_server *server = start(NULL);
    struct client clients[CLIENTS];
    char right[2][ANSWER_SIZE];
    begin_clients(clients, berth_server_port(server), right);
    while (clients[0].answered == 0)
        sched_yield();
    berth_server_stop(server);
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].wrong, 0);
    }
}

static void stop_of_an_idle_server_frees_its_port(void **state)
{
    (void)state;
    struct berth_server *server = start(NULL);
    struct berth_server_options same = {.port = berth_server_port(server)};
    berth_server_stop(server);
    server = start(&same);
    assert_int_equal(berth_server_port(server), same.port);
    berth_server_stop(server);
    berth_server_stop(NULL);
}

static void check_refused(const struct berth_served_model *models, size_t count, enum berth_status status,
                          const char *words)
{
    struct berth_server_options options = {.models = models, .model_count = count};
    struct berth_server *server = (struct berth_server *)1;
    struct berth_error err = {0};
    assert_int_equal(berth_server_start(&options, &server, &err), status);
    assert_null(server);
    assert_non_null(strstr(err.message, words));
}

static void start_with_wrong_models_is_refused(void **state)
{
    (void)state;
    static const struct berth_served_model twice[] = {{.name = "a", .model = "random:bert-tiny"},
                                                      {.name = "a", .model = "random:bert-tiny"}};
    static const struct berth_served_model slash = {.name = "a/b", .model = "random:bert-tiny"};
    static const struct berth_served_model unnamed = {.model = "random:bert-tiny"};
    static const struct berth_served_model absent = {.name = "a", .model = "/nonexistent"};
    check_refused(NULL, 0, BERTH_INVALID_ARGUMENT, "0 models");
    check_refused(twice, 2, BERTH_INVALID_ARGUMENT, "given twice");
    check_refused(&slash, 1, BERTH_INVALID_ARGUMENT, "'a/b'");
    check_refused(&unnamed, 1, BERTH_INVALID_ARGUMENT, "model name");
    check_refused(&absent, 1, BERTH_NOT_FOUND, "/nonexistent");
    struct berth_server *server = (struct berth_server *)1;
    assert_int_equal(berth_server_start(NULL, &server, NULL), BERTH_INVALID_ARGUMENT);
    assert_null(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inference_while_models_change_gives_the_right_answers),
        cmocka_unit_test(stop_while_clients_ask_answers_or_refuses_each),
        cmocka_unit_test(stop_of_an_idle_server_frees_its_port),
        cmocka_unit_test(start_with_wrong_models_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
