/* test_unicode.c: the pinned table against the installed library's, and the mappings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <utf8proc.h>

#include "text/unicode.h"

static unsigned class_of(uint32_t c)
{
    return berth_char_properties(c) & BERTH_CHAR_CLASS;
}

static void properties_of_ascii_are_berts(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x80; c++) {
        const int alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        const int space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        const unsigned want = space                  ? BERTH_CHAR_SPACE
                              : c < ' ' || c == 0x7f ? BERTH_CHAR_REMOVED
                              : alphanumeric         ? BERTH_CHAR_WORD
                                                     : BERTH_CHAR_PUNCTUATION;
        assert_int_equal(class_of(c), want);
        assert_int_equal(berth_char_properties(c) & BERTH_CHAR_LOWERS,
                         c >= 'A' && c <= 'Z' ? BERTH_CHAR_LOWERS : 0);
    }
}

static void properties_of_single_characters_are_right(void **state)
{
    (void)state;
    static const struct {
        uint32_t c;
        unsigned properties;
    } cases[] = {
        {0xa0, BERTH_CHAR_SPACE},
        {0xad, BERTH_CHAR_REMOVED},     /* soft hyphen */
        {0xb4, BERTH_CHAR_WORD},        /* acute accent alone: a symbol is part of a word */
        {0xbf, BERTH_CHAR_PUNCTUATION}, /* inverted question mark */
        {0xc9, BERTH_CHAR_WORD | BERTH_CHAR_LOWERS | BERTH_CHAR_DECOMPOSES},
        {0x301, BERTH_CHAR_MARK | BERTH_CHAR_COMBINES},
        {0x302e, BERTH_CHAR_WORD | BERTH_CHAR_COMBINES}, /* a spacing mark is kept */
        {0x378, BERTH_CHAR_REMOVED},                     /* unassigned */
        {0x200d, BERTH_CHAR_REMOVED},                    /* joiner */
        {0x2028, BERTH_CHAR_SPACE},
        {0x4e00, BERTH_CHAR_IDEOGRAPH},
        {0xac00, BERTH_CHAR_WORD | BERTH_CHAR_DECOMPOSES},
        {0xd800, BERTH_CHAR_REMOVED},
        {0xe000, BERTH_CHAR_REMOVED}, /* private */
        {0xf900, BERTH_CHAR_IDEOGRAPH | BERTH_CHAR_DECOMPOSES},
        {0xfffd, BERTH_CHAR_REMOVED},
        {0x1f600, BERTH_CHAR_WORD},    /* emoji of Unicode 6 */
        {0x1fae8, BERTH_CHAR_REMOVED}, /* emoji of Unicode 15: not in the pinned version */
        {0x31350, BERTH_CHAR_REMOVED}, /* ideograph of Unicode 15 */
        {0xe0100, BERTH_CHAR_MARK},
        {0xe01ef, BERTH_CHAR_MARK},
        {0xe01f0, BERTH_CHAR_REMOVED},
        {0x10ffff, BERTH_CHAR_REMOVED},
        {0xffffffff, BERTH_CHAR_REMOVED},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (berth_char_properties(cases[i].c) != cases[i].properties)
            fail_msg("U+%04X: %u", cases[i].c, berth_char_properties(cases[i].c));
}

/* The library's class, as BERT's rules make it of a category; ideographs and ASCII are told apart elsewhere.
 */
static unsigned library_class(uint32_t c)
{
    switch (utf8proc_category((utf8proc_int32_t)c)) {
        case UTF8PROC_CATEGORY_ZS:
        case UTF8PROC_CATEGORY_ZL:
        case UTF8PROC_CATEGORY_ZP:
            return BERTH_CHAR_SPACE;
        case UTF8PROC_CATEGORY_PC:
        case UTF8PROC_CATEGORY_PD:
        case UTF8PROC_CATEGORY_PS:
        case UTF8PROC_CATEGORY_PE:
        case UTF8PROC_CATEGORY_PI:
        case UTF8PROC_CATEGORY_PF:
        case UTF8PROC_CATEGORY_PO:
            return BERTH_CHAR_PUNCTUATION;
        case UTF8PROC_CATEGORY_MN:
            return BERTH_CHAR_MARK;
        case UTF8PROC_CATEGORY_CC:
        case UTF8PROC_CATEGORY_CF:
        case UTF8PROC_CATEGORY_CS:
        case UTF8PROC_CATEGORY_CO:
        case UTF8PROC_CATEGORY_CN:
            return BERTH_CHAR_REMOVED;
        default:
            return BERTH_CHAR_WORD;
    }
}

/* Versions of Unicode differ by what they add; categories of what both know hardly ever change. */
static void properties_differ_from_the_library_by_new_characters_only(void **state)
{
    (void)state;
    size_t changed = 0, compared = 0;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        const unsigned ours = class_of(c) == BERTH_CHAR_IDEOGRAPH ? BERTH_CHAR_WORD : class_of(c);
        const unsigned theirs = c == 0xfffd ? BERTH_CHAR_REMOVED : library_class(c);
        if (ours == BERTH_CHAR_REMOVED || theirs == BERTH_CHAR_REMOVED)
            continue; /* new in one of the two, or removed by both */
        compared++;
        changed += ours != theirs;
    }
    printf("utf8proc %s, Unicode %s: %zu compared, %zu of another class\n", utf8proc_version(),
           utf8proc_unicode_version(), compared, changed);
    assert_true(compared > 140000);
    assert_true(changed < 30);
}

static void flags_agree_with_the_mappings(void **state)
{
    (void)state;
    for (uint32_t c = 0x80; c < 0x110000; c++) {
        const unsigned properties = berth_char_properties(c);
        if ((properties & BERTH_CHAR_CLASS) == BERTH_CHAR_REMOVED)
            continue;
        uint32_t lower[BERTH_LOWER_MAX], parts[BERTH_DECOMPOSED_MAX];
        const int lowers = berth_char_lower(c, lower) != 1 || lower[0] != c;
        const int decomposes = berth_char_decompose(c, parts) != 1 || parts[0] != c;
        if (lowers != !!(properties & BERTH_CHAR_LOWERS) ||
            decomposes != !!(properties & BERTH_CHAR_DECOMPOSES) ||
            !!berth_char_combining(c) != !!(properties & BERTH_CHAR_COMBINES))
            fail_msg("U+%04X: flags %u", c, properties);
    }
}

static void lower_of_dotted_i_is_two_characters(void **state)
{
    (void)state;
    uint32_t out[BERTH_LOWER_MAX];
    assert_int_equal(berth_char_lower(0x130, out), 2);
    assert_int_equal(out[0], 'i');
    assert_int_equal(out[1], 0x307);
    assert_int_equal(berth_char_lower(0x3a3, out), 1); /* sigma: never the final one */
    assert_int_equal(out[0], 0x3c3);
}

static void decompose_hangul_gives_its_letters(void **state)
{
    (void)state;
    uint32_t out[BERTH_DECOMPOSED_MAX];
    assert_int_equal(berth_char_decompose(0xd55c, out), 3);
    assert_int_equal(out[0], 0x1112);
    assert_int_equal(out[1], 0x1161);
    assert_int_equal(out[2], 0x11ab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(properties_of_ascii_are_berts),
        cmocka_unit_test(properties_of_single_characters_are_right),
        cmocka_unit_test(properties_differ_from_the_library_by_new_characters_only),
        cmocka_unit_test(flags_agree_with_the_mappings),
        cmocka_unit_test(lower_of_dotted_i_is_two_characters),
        cmocka_unit_test(decompose_hangul_gives_its_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
