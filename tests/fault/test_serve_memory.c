/* test_serve_memory.c: every allocation of a server's start, of a request and of a measurement may fail: an
 * error or a 5xx, never a crash or a leak, and the next request is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/http.h"
#include "support/tiny_model.h"

enum { ANSWER_SIZE = 1024 };

/* As small as a model can be: it is loaded some thousand times. */
static struct support_model model;
static const struct berth_served_model served = {
    .name = "tiny", .model = model.directory, .options = {.threads = 1}};

static int write_model(void **state)
{
    (void)state;
    tiny_init(&model);
    tiny_write(&model, tiny_vocab);
    return 0;
}

static int remove_model(void **state)
{
    (void)state;
    tiny_clear(&model);
    return 0;
}

static enum berth_status start_and_stop(void *context, struct berth_error *err)
{
    (void)context;
    struct berth_server_options options = {.models = &served, .model_count = 1};
    struct berth_server *server = (struct berth_server *)1;
    enum berth_status status = berth_server_start(&options, &server, err);
    assert_true((status == BERTH_OK) == (server != NULL));
    berth_server_stop(server);
    return status;
}

static void start_with_any_allocation_failing_says_so(void **state)
{
    (void)state;
    fault_each(start_and_stop, NULL, 20, 0);
}

static void request_with_any_allocation_failing_leaves_the_server_well(void **state)
{
    (void)state;
    static const char *const targets[] = {"/set_model?model_type=tiny&num_threads=1",
                                          "/set_model?model_type=tiny&num_threads=2", "/inference?model=tiny",
                                          "/nonsense"};
    struct berth_server_options options = {.models = &served, .model_count = 1};
    struct berth_server *server;
    char answer[ANSWER_SIZE];
    assert_int_equal(berth_server_start(&options, &server, NULL), BERTH_OK);
    unsigned port = berth_server_port(server);
    long most = 0;
    for (size_t t = 0; t < sizeof targets / sizeof *targets; t++) {
        bool reached = true;
        for (long n = 1; reached; n++) {
            http_ask(port, "POST", "/set_model?model_type=tiny&num_threads=1", NULL, answer, sizeof answer);
            fault_arm(n);
            int status = http_ask(port, "POST", targets[t], "[\"a film\"]", answer, sizeof answer);
            reached = fault_disarm();
            /* 0: no memory for the request or its answer, so the connection was closed */
            assert_true(status == 0 || status == 200 || status == 404 || status >= 500);
            assert_true(reached || status == 200 || status == 404);
            assert_int_equal(
                http_ask(port, "POST", "/inference?model=tiny", "[\"a film\"]", answer, sizeof answer), 200);
            most = n > most ? n : most;
        }
    }
    assert_true(most > 3);
    berth_server_stop(server);
}

static enum berth_status measure(void *context, struct berth_error *err)
{
    const char *const models[] = {model.directory};
    static const size_t lengths[] = {4, 600}, batches[] = {2};
    struct berth_bench_options options = {.models = models,
                                          .model_count = 1,
                                          .lengths = lengths,
                                          .length_count = 2,
                                          .batches = batches,
                                          .batch_count = 1,
                                          .trials = 2,
                                          .options = {.threads = 1}};
    struct berth_bench_report report;
    (void)context;
    enum berth_status status = berth_bench(&options, &report, err);
    assert_true((status == BERTH_OK) == (report.cell != NULL));
    berth_bench_report_clear(&report);
    return status;
}

static void bench_with_any_allocation_failing_says_so(void **state)
{
    (void)state;
    fault_each(measure, NULL, 20, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(start_with_any_allocation_failing_says_so),
        cmocka_unit_test(request_with_any_allocation_failing_leaves_the_server_well),
        cmocka_unit_test(bench_with_any_allocation_failing_says_so),
    };
    return cmocka_run_group_tests(tests, write_model, remove_model);
}
