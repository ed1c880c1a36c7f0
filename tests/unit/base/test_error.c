/* test_error.c: the sentences of failures: bounded, printable, complete. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/checked.h"
#include "base/error.h"

static void fail_formats_and_returns_the_status(void **state)
{
    (void)state;
    struct berth_error err = {0};
    assert_int_equal(berth_fail(&err, BERTH_FORMAT, "%s: %d heads", "config.json", 0), BERTH_FORMAT);
    assert_int_equal(err.status, BERTH_FORMAT);
    assert_string_equal(err.message, "config.json: 0 heads");
    assert_int_equal(berth_fail(NULL, BERTH_LIMIT, "%d", 1), BERTH_LIMIT);
    assert_int_equal(berth_fail_errno(NULL, EIO, "x"), BERTH_IO);
    assert_int_equal(berth_fail_prefix(NULL, BERTH_IO, "x"), BERTH_IO);
}

static void check_printed(const char *argument, const char *expected)
{
    struct berth_error err;
    berth_fail(&err, BERTH_FORMAT, "%s", argument);
    assert_string_equal(err.message, expected);
}

static void fail_hostile_bytes_become_question_marks(void **state)
{
    (void)state;
    check_printed("a\033[31mb\n\tc\x7f", "a?[31mb??c?");
    check_printed("Gr\xc3\xbc\xc3\x9f \xe6\x96\x87 \xf0\x9f\x98\x80",
                  "Gr\xc3\xbc\xc3\x9f \xe6\x96\x87 \xf0\x9f\x98\x80");
    check_printed("\xc2\x9b", "??");           /* a C1 control: terminals read it as ESC [ */
    check_printed("\xff\xc3z", "??z");         /* never valid; a lead byte without its tail */
    check_printed("\xc0\xaf", "??");           /* overlong */
    check_printed("\xe0\x80\xaf", "???");      /* overlong */
    check_printed("\xed\xa0\x80", "???");      /* a surrogate */
    check_printed("\xf4\x90\x80\x80", "????"); /* above U+10FFFF */
    check_printed("\xf0\x9f\x98", "???");      /* cut at the end */
}

static void fail_long_message_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    char text[2 * BERTH_ERROR_SIZE];
    struct berth_error err;
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'a', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe6\x96\x87", 4);
        berth_fail(&err, BERTH_FORMAT, "%s", text);
        size_t length = strlen(err.message);
        assert_int_equal(length, BERTH_ERROR_SIZE - 1);
        size_t whole = shift + (length - shift) / 3 * 3;
        assert_int_equal(strspn(err.message + whole, "?"), length - whole);
        assert_memory_equal(err.message, text, whole);
    }
}

static void fail_errno_tells_the_class_and_the_reason(void **state)
{
    (void)state;
    struct berth_error err;
    assert_int_equal(berth_fail_errno(&err, ENOENT, "%s: cannot open", "a"), BERTH_NOT_FOUND);
    assert_string_equal(err.message, "a: cannot open: No such file or directory");
    assert_int_equal(berth_fail_errno(&err, ENOMEM, "a"), BERTH_NO_MEMORY);
    assert_int_equal(berth_fail_errno(&err, ENOSPC, "a"), BERTH_IO);
    assert_string_equal(err.message, "a: No space left on device");
}

static void fail_prefix_keeps_the_sentence(void **state)
{
    (void)state;
    struct berth_error err;
    berth_fail(&err, BERTH_FORMAT, "line 3: no label");
    assert_int_equal(berth_fail_prefix(&err, err.status, "%s", "dev.tsv"), BERTH_FORMAT);
    assert_string_equal(err.message, "dev.tsv: line 3: no label");
    char name[BERTH_ERROR_SIZE * 2] = {0};
    for (size_t length = BERTH_ERROR_SIZE - 8; length < sizeof name - 1;
         length++) { /* no room for the old message */
        memset(name, 'n', length);
        berth_fail(&err, BERTH_FORMAT, "x");
        berth_fail_prefix(&err, BERTH_FORMAT, "%s", name);
        assert_true(strlen(err.message) < BERTH_ERROR_SIZE && err.message[0] == 'n');
    }
}

static void status_name_is_short_and_distinct(void **state)
{
    (void)state;
    assert_string_equal(berth_status_name(BERTH_OK), "ok");
    assert_string_equal(berth_status_name(BERTH_NO_MEMORY), "no_memory");
    assert_string_equal(berth_status_name(BERTH_INTERNAL), "internal");
    assert_string_equal(berth_status_name((enum berth_status)12345), "unknown");
    for (int a = 0; a < BERTH_INTERNAL; a++)
        assert_string_not_equal(berth_status_name((enum berth_status)a),
                                berth_status_name((enum berth_status)(a + 1)));
}

static void checked_arithmetic_refuses_what_does_not_fit(void **state)
{
    (void)state;
    size_t out;
    assert_true(berth_mul(SIZE_MAX / 2, 2, &out) && out == SIZE_MAX - 1);
    assert_false(berth_mul(SIZE_MAX / 2 + 1, 2, &out));
    assert_true(berth_mul(0, SIZE_MAX, &out) && out == 0);
    assert_true(berth_add(SIZE_MAX, 0, &out) && out == SIZE_MAX);
    assert_false(berth_add(SIZE_MAX, 1, &out));
    assert_int_equal(berth_round_up(0, 64), 0);
    assert_int_equal(berth_round_up(1, 64), 64);
    assert_int_equal(berth_round_up(64, 64), 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fail_formats_and_returns_the_status),
        cmocka_unit_test(fail_hostile_bytes_become_question_marks),
        cmocka_unit_test(fail_long_message_is_cut_at_a_whole_character),
        cmocka_unit_test(fail_errno_tells_the_class_and_the_reason),
        cmocka_unit_test(fail_prefix_keeps_the_sentence),
        cmocka_unit_test(status_name_is_short_and_distinct),
        cmocka_unit_test(checked_arithmetic_refuses_what_does_not_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
