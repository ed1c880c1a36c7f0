/* test_json_write.c: what is written straight into replies: exact bytes, and JSON that gives back what went in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <string.h>

#include "serve/json_write.h"
#include "serve/ranking.h"
#include "serve/vectors.h"

static struct berth_buffer buffer;

static struct berth_writer begin(void)
{
    berth_buffer_clear(&buffer);
    berth_buffer_init(&buffer, SIZE_MAX / 2);
    return (struct berth_writer){&buffer, false};
}

static void check(const struct berth_writer *writer, const char *wanted)
{
    assert_false(writer->failed);
    assert_string_equal(buffer.data, wanted);
}

static void values_are_written_exactly(void **state)
{
    (void)state;
    static const float numbers[] = {1, -0.5f, 0.1f, 1e-10f};
    struct berth_writer writer = begin();
    berth_write(&writer, "{");
    berth_write_integer(&writer, 0);
    berth_write_integer(&writer, INT64_MIN);
    berth_write_integer(&writer, INT64_MAX);
    berth_write_bool(&writer, true);
    berth_write_floats(&writer, numbers, 4);
    berth_write_floats(&writer, numbers, 0);
    check(&writer, "{0-92233720368547758089223372036854775807true[1,-0.5,0.100000001,1.00000001e-10][]");
    writer = begin();
    berth_write_little_endian(&writer, 0x04030201);
    assert_memory_equal(buffer.data, "\1\2\3\4", 4);
}

static void text_is_escaped(void **state)
{
    (void)state;
    struct berth_writer writer = begin();
    berth_write_text(&writer, "a\"b\\c\b\f\n\r\t\x01\x1f\x7f\xc3\xa9\xf0\x9f\x98\x80");
    check(&writer, "\"a\\\"b\\\\c\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\xc3\xa9\xf0\x9f\x98\x80\"");
    writer = begin();
    berth_write_slice(&writer, (struct berth_slice){"a\0b\xff\xc3", 5});
    check(&writer, "\"a\\u0000b\xef\xbf\xbd\xef\xbf\xbd\"");
    for (int c = 0; c < 256; c++) { /* whatever the byte, JSON */
        char text[4] = {'x', (char)c, 'y', 'z'};
        writer = begin();
        berth_write_slice(&writer, (struct berth_slice){text, sizeof text});
        json_t *back = json_loadb(buffer.data, buffer.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(back);
        if (c < 0x80)
            assert_memory_equal(json_string_value(back), text, sizeof text);
        json_decref(back);
    }
}

static void base64_is_that_of_the_standard(void **state)
{
    (void)state;
    static const char *const wanted[] = {"\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"Zm9vYg==\"", "\"Zm9vYmE=\"", "\"Zm9vYmFy\""};
    for (size_t size = 0; size <= 6; size++) { /* RFC 4648, section 10 */
        struct berth_writer writer = begin();
        berth_write_base64(&writer, "foobar", size);
        check(&writer, wanted[size]);
    }
}

static void failure_of_the_buffer_sticks(void **state)
{
    (void)state;
    struct berth_writer writer = begin();
    buffer.limit = 4;
    berth_write(&writer, "12345");
    assert_true(writer.failed);
    berth_write(&writer, "1");
    assert_int_equal(buffer.size, 0);
    struct berth_reply reply = {0};
    berth_write_begin(&reply, 200, "application/json");
    berth_write_end(&writer, &reply);
    assert_int_equal(reply.status, 503);
    berth_reply_clear(&reply);
}

static void ranking_lists_the_best_first(void **state)
{
    (void)state;
    static const float logits[] = {-1, 2, 2, 0.5f}, scores[] = {0.1f, 0.4f, 0.4f, 0.2f};
    static const char *const names[] = {"no", "\"yes\"", "yes", "b"};
    struct berth_result result = {.logits = logits, .scores = scores, .labels = 4};
    struct berth_ranking ranking = {.kind = BERTH_SCORE_RAW, .score_first = true};
    struct berth_writer writer = begin();
    berth_ranking_write(&ranking, &result, names, &writer);
    check(&writer, "[{\"score\":2,\"label\":\"\\\"yes\\\"\"},{\"score\":2,\"label\":\"yes\"},{\"score\":0.5,\"label\":\"b\"},"
                   "{\"score\":-1,\"label\":\"no\"}]");
    ranking.kind = BERTH_SCORE_MODEL;
    ranking.score_first = false;
    ranking.top = 1;
    writer = begin();
    berth_ranking_write(&ranking, &result, names, &writer);
    check(&writer, "[{\"label\":\"\\\"yes\\\"\",\"score\":0.400000006}]");
    ranking.top = 2;
    ranking.kind = BERTH_SCORE_RAW;
    writer = begin();
    berth_ranking_write_classes(&ranking, &result, names, false, &writer);
    check(&writer, "\"2:1:\\\"yes\\\"\",\"2:2:yes\"");
    writer = begin();
    berth_ranking_write_classes(&ranking, &result, names, true, &writer);
    assert_memory_equal(buffer.data, "\x9\0\0\0" "2:1:\"yes\"" "\x7\0\0\0" "2:2:yes", 24);
    ranking.top = 1;
    ranking.kind = BERTH_SCORE_SIGMOID;
    writer = begin();
    berth_ranking_write(&ranking, &result, names, &writer);
    check(&writer, "[{\"label\":\"\\\"yes\\\"\",\"score\":0.880797088}]");
    ranking.kind = BERTH_SCORE_SOFTMAX;
    writer = begin();
    berth_ranking_write(&ranking, &result, names, &writer);
    check(&writer, "[{\"label\":\"\\\"yes\\\"\",\"score\":0.439963222}]");
    berth_ranking_clear(&ranking);
}

/* Many labels take the library's sort. */
static void ranking_of_many_labels_is_sorted(void **state)
{
    (void)state;
    enum { LABELS = 100 };
    float logits[LABELS];
    const char *names[LABELS];
    for (int i = 0; i < LABELS; i++) {
        logits[i] = (float)(i * 37 % LABELS);
        names[i] = "x";
    }
    struct berth_result result = {.logits = logits, .scores = logits, .labels = LABELS};
    struct berth_ranking ranking = {.kind = BERTH_SCORE_RAW};
    struct berth_writer writer = begin();
    berth_ranking_write(&ranking, &result, names, &writer);
    json_t *list = json_loadb(buffer.data, buffer.size, 0, NULL);
    assert_int_equal(json_array_size(list), LABELS);
    for (size_t i = 0; i < LABELS; i++)
        assert_int_equal(json_number_value(json_object_get(json_array_get(list, i), "score")), LABELS - 1 - i);
    json_decref(list);
    berth_ranking_clear(&ranking);
}

static void vector_is_cut_and_made_length_one(void **state)
{
    (void)state;
    static const float vector[] = {3, 4, 12};
    struct berth_writer writer = begin();
    berth_vector_write(&(struct berth_cut){.width = 2, .cut = true, .normalize = true}, vector, &writer);
    berth_vector_write(&(struct berth_cut){.width = 2, .cut = true}, vector, &writer);
    berth_vector_write(&(struct berth_cut){.width = 3, .normalize = true}, vector, &writer);
    check(&writer, "[0.600000024,0.800000012][3,4][3,4,12]");
    writer = begin();
    berth_vector_write_base64(&(struct berth_cut){.width = 2}, vector, &writer);
    check(&writer, "\"AABAQAAAgEA=\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_written_exactly),       cmocka_unit_test(text_is_escaped),
        cmocka_unit_test(base64_is_that_of_the_standard),   cmocka_unit_test(failure_of_the_buffer_sticks),
        cmocka_unit_test(ranking_lists_the_best_first),     cmocka_unit_test(ranking_of_many_labels_is_sorted),
        cmocka_unit_test(vector_is_cut_and_made_length_one),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    berth_buffer_clear(&buffer);
    return failed;
}
