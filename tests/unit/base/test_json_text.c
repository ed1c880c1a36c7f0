/* test_json_text.c: lone surrogates become U+FFFD and nothing else changes; values are counted outside of
 * strings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

/* From an exact copy on the heap, so that a sanitizer sees a read past the end. */
static size_t mend(const char *text, char *mended)
{
    size_t size = strlen(text);
    char *copy = malloc(size + !size);
    assert_non_null(copy);
    memcpy(copy, text, size);
    size_t values = berth_json_text_mend(copy, size);
    memcpy(mended, copy, size);
    mended[size] = 0;
    free(copy);
    return values;
}

static void mend_lone_surrogates_become_replacements(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"\"\\ud800\"", "\"\\ufffd\""},
        {"\"\\uDFFF\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\""},
        {"\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\""},
        {"\"\\ud83dx\\ude00\"", "\"\\ufffdx\\ufffd\""},
        {"\"\\\\ud800 \\u00e9 \\ud7ff \\ue000\"", "\"\\\\ud800 \\u00e9 \\ud7ff \\ue000\""},
        {"\\ud800", "\\ud800"}, /* no string: left for the parser */
        {"\"\\ud8", "\"\\ud8"},
        {"\"\\ud800", "\"\\ufffd"},
        {"\"\\ud800\\udc0", "\"\\ufffd\\udc0"},
        {"\"\\", "\"\\"},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char mended[64];
        mend(cases[i][0], mended);
        assert_string_equal(mended, cases[i][1]);
    }
}

static void mend_counts_values_outside_of_strings(void **state)
{
    (void)state;
    char mended[64];
    assert_int_equal(mend("[1, {\"a,[{\": \"\\\",\"}]", mended), 3);
    assert_int_equal(mend("\",,,\"", mended), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mend_lone_surrogates_become_replacements),
        cmocka_unit_test(mend_counts_values_outside_of_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
