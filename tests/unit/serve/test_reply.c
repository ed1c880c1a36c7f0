/* test_reply.c: floats that come back as the same bits, errors as JSON whatever their words, the routes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "serve/reply.h"
#include "serve/route.h"

static void check_float(float value)
{
    struct berth_buffer body;
    berth_buffer_init(&body, 64);
    assert_true(berth_reply_float(&body, value));
    json_t *json = json_loadb(body.data, body.size, JSON_DECODE_ANY, NULL);
    assert_non_null(json);
    float back = (float)json_number_value(json);
    assert_memory_equal(&back, &value, sizeof value);
    json_decref(json);
    berth_buffer_clear(&body);
}

static void float_written_and_read_is_the_same_bits(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 5);
    check_float(0.1f);
    check_float(1e-45f);
    check_float(3.4028234e38f);
    for (int i = 0; i < 20000; i++)
        check_float((float)(berth_rng_normal(&rng) * 10));
    if (setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        check_float(1.5f);
    setlocale(LC_NUMERIC, "C");
}

static void error_with_any_bytes_is_json(void **state)
{
    (void)state;
    struct berth_reply reply = {0};
    berth_reply_error(&reply, 404, "no model named '%s'", "a\"b\\\xff\n<\xc3\xa9>");
    assert_int_equal(reply.status, 404);
    json_t *json = json_loads(reply.body.data, 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "error")),
                        "no model named 'a\"b\\?"
                        "?<\xc3\xa9>'");
    assert_string_equal(json_string_value(json_object_get(json, "error_type")), "NotFound");
    json_decref(json);
    berth_reply_text(&reply, 200, "replaced");
    assert_string_equal(reply.body.data, "replaced\n");
    berth_reply_clear(&reply);
}

static void failure_becomes_the_right_status(void **state)
{
    (void)state;
    static const struct {
        enum berth_status status;
        unsigned http;
    } map[] = {{BERTH_INVALID_ARGUMENT, 400},
               {BERTH_LIMIT, 413},
               {BERTH_UNSUPPORTED, 501},
               {BERTH_NO_MEMORY, 503},
               {BERTH_FORMAT, 500},
               {BERTH_INTERNAL, 500},
               {BERTH_IO, 500}};
    struct berth_reply reply = {0};
    for (size_t i = 0; i < sizeof map / sizeof *map; i++) {
        struct berth_error err = {map[i].status, "why"};
        berth_reply_failure(&reply, &err);
        assert_int_equal(reply.status, map[i].http);
        assert_non_null(strstr(reply.body.data, "\"why\""));
    }
    berth_reply_clear(&reply);
}

static void route_of_method_and_path_is_found_or_refused(void **state)
{
    (void)state;
    static struct berth_request request;
    struct berth_reply *reply = &request.reply;
    assert_non_null(berth_route_find("GET", "/health", &request));
    assert_non_null(berth_route_find("HEAD", "/health", &request));
    assert_non_null(berth_route_find("POST", "/inference", &request));
    assert_int_equal(reply->status, 0);
    assert_null(berth_route_find("GET", "/health/", &request));
    assert_int_equal(reply->status, 404);
    assert_null(berth_route_find("HEAD", "/inference", &request));
    assert_int_equal(reply->status, 405);
    assert_string_equal(reply->allow, "POST");
    assert_null(berth_route_find("get", "/health", &request));
    assert_int_equal(reply->status, 405);
    assert_string_equal(reply->allow, "GET, HEAD");
    berth_reply_clear(reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(float_written_and_read_is_the_same_bits),
        cmocka_unit_test(error_with_any_bytes_is_json),
        cmocka_unit_test(failure_becomes_the_right_status),
        cmocka_unit_test(route_of_method_and_path_is_found_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
