/* test_form.c: values of forms, well-formed and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "serve/form.h"

static void check_value(const char *form, const char *name, const char *wanted)
{
    char value[16] = "untouched";
    bool found = berth_form_value(form, strlen(form), name, value, sizeof value);
    assert_int_equal(found, wanted != NULL);
    assert_string_equal(value, wanted ? wanted : "untouched");
}

static void value_of_a_field_is_decoded(void **state)
{
    (void)state;
    check_value("model_type=bert-base&num_threads=2", "model_type", "bert-base");
    check_value("model_type=bert-base&num_threads=2", "num_threads", "2");
    check_value("a=1&a=2", "a", "1");
    check_value("a=two+words%21", "a", "two words!");
    check_value("%61b=x", "ab", "x");
    check_value("a=", "a", "");
    check_value("a=b=c", "a", "b=c");
    check_value("a=x%00y", "a", "x?y");
    check_value("&&a=1&&", "a", "1");
}

static void value_of_an_absent_field_is_none(void **state)
{
    (void)state;
    check_value("", "a", NULL);
    check_value("a", "a", NULL);
    check_value("ab=1", "a", NULL);
    check_value("a=1", "ab", NULL);
    check_value("[\"a=1\"]", "a", NULL);
    char value[4];
    assert_false(berth_form_value(NULL, 0, "a", value, sizeof value));
}

static void value_with_broken_escapes_keeps_them(void **state)
{
    (void)state;
    check_value("a=100%", "a", "100%");
    check_value("a=%4", "a", "%4");
    check_value("a=%zz", "a", "%zz");
    check_value("a=%4&b=1", "a", "%4"); /* an escape does not reach over the field's end */
}

static void value_longer_than_its_array_is_cut(void **state)
{
    (void)state;
    check_value("a=0123456789abcdefghij&b=1", "a", "0123456789abcde");
    check_value("a=0123456789abcdefghij&b=1", "b", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(value_of_a_field_is_decoded),
        cmocka_unit_test(value_of_an_absent_field_is_none),
        cmocka_unit_test(value_with_broken_escapes_keeps_them),
        cmocka_unit_test(value_longer_than_its_array_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
