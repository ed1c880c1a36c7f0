/* test_utf8.c: every scalar value round trip, every kind of ill-formed sequence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "text/utf8.h"

static void read_written_gives_every_scalar_value(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x110000; c++) {
        if (c >= 0xd800 && c < 0xe000)
            continue;
        unsigned char bytes[4];
        uint32_t got;
        const size_t n = berth_utf8_write(bytes, c);
        if (berth_utf8_read(bytes, bytes + n, &got) != n || got != c)
            fail_msg("U+%04X", c);
    }
}

/* Reads all of `bytes`: how many U+FFFD, and the other code points in `rest`. */
static size_t replacements(const char *bytes, size_t size, char *rest)
{
    const unsigned char *at = (const unsigned char *)bytes, *end = at + size;
    size_t count = 0;
    while (at < end) {
        uint32_t c;
        const size_t n = berth_utf8_read(at, end, &c);
        assert_in_range(n, 1, (size_t)(end - at));
        at += n;
        if (c == BERTH_REPLACEMENT)
            count++;
        else
            *rest++ = (char)c;
    }
    *rest = 0;
    return count;
}

static void read_ill_formed_gives_one_replacement_for_each_maximal_subpart(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t count;
    } cases[] = {
        {"\x80", 1},                             /* stray continuation */
        {"\xbf\x80", 2},                         /* two of them */
        {"\xc0\xaf", 2},                         /* overlong / */
        {"\xe0\x9f\x80", 3},                     /* overlong three */
        {"\xf0\x8f\xbf\xbf", 4},                 /* overlong four */
        {"\xed\xa0\x80", 3},                     /* surrogate */
        {"\xf4\x90\x80\x80", 4},                 /* beyond U+10FFFF */
        {"\xf5\x80\x80\x80", 4},                 /* no such lead */
        {"\xff", 1},                             /* never a byte of UTF-8 */
        {"\xe2\x82", 1},                         /* cut three */
        {"\xf0\x9f\x98", 1},                     /* cut four */
        {"\xf1\x80\x80\xe1\x80\xc2", 3},         /* three cut ones */
        {"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf", 4}, /* table 3-11 of the Unicode standard */
    };
    char rest[64];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(replacements(cases[i].bytes, strlen(cases[i].bytes), rest), cases[i].count);
}

static void read_ill_formed_resumes_at_the_next_character(void **state)
{
    (void)state;
    char rest[64];
    assert_int_equal(replacements("a\xe2\x82z", 4, rest), 1);
    assert_string_equal(rest, "az");
    assert_int_equal(replacements("a\xf0\x9f\x98\x28z", 6, rest), 1);
    assert_string_equal(rest, "a(z");
    assert_int_equal(replacements("\x61\xf1\x80\x80\xe1\x80\xc2\x62\x80\x63\x80\xbf\x64", 13, rest), 6);
    assert_string_equal(rest, "abcd");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_written_gives_every_scalar_value),
        cmocka_unit_test(read_ill_formed_gives_one_replacement_for_each_maximal_subpart),
        cmocka_unit_test(read_ill_formed_resumes_at_the_next_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
