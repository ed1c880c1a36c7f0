/* test_words.c: text to words by every rule, protected strings, and cost that is linear in the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/words.h"

enum { LONG_TEXT = 1 << 17 };

static struct berth_word_rules rules_of(bool lower, bool strip, bool separate, const struct berth_trie *trie)
{
    struct berth_word_rules rules = {lower, strip, separate, BERTH_WORD_CHARS_MAX, trie, {0}, {0}};
    berth_word_rules_init(&rules);
    return rules;
}

/* The words of a text, a bar behind each; a protected string is its id in braces. */
static const char *join(const struct berth_word_rules *rules, const char *text, size_t size)
{
    static char joined[4096];
    static unsigned char memory[BERTH_WORD_MEMORY];
    char *out = joined;
    struct berth_words words;
    berth_words_begin(&words, rules, text, size, memory);
    *out = 0;
    while (berth_words_next(&words)) {
        for (size_t i = 0; i < BERTH_WORD_PAD; i++)
            assert_int_equal(words.word[words.size + i], 0);
        const size_t left = (size_t)(joined + sizeof joined - out);
        if (words.protected_id >= 0)
            out += snprintf(out, left, "{%d}|", words.protected_id);
        else
            out += snprintf(out, left, "%.*s%s|", (int)words.size, (char *)words.word,
                            words.too_long ? "..." : "");
    }
    assert_false(berth_words_next(&words)); /* stays at the end */
    return joined;
}

static void expect(const struct berth_word_rules *rules, const char *text, const char *want)
{
    assert_string_equal(join(rules, text, strlen(text)), want);
}

static void words_uncased_are_lowered_stripped_and_split(void **state)
{
    (void)state;
    const struct berth_word_rules rules = rules_of(true, true, true, NULL);
    expect(&rules, "", "");
    expect(&rules, " \t\r\n ", "");
    expect(&rules, " \tHeLLo!how  \n Are yoU?  ", "hello|!|how|are|you|?|");
    expect(&rules, "Ren\xc3\xa9 CAF\xc3\x89", "rene|cafe|");
    expect(&rules, "a\xc2\xadm\xe2\x80\x8bn\x01o", "amno|"); /* soft hyphen, zero width space, control */
    expect(&rules, "a\xc2\xa0z\xe3\x80\x80y\xe2\x80\xa8x",
           "a|z|y|x|"); /* no-break, ideographic, line separator */
    expect(&rules, "a\xe4\xb8\xad\xe6\x96\x87z", "a|\xe4\xb8\xad|\xe6\x96\x87|z|");
    expect(&rules, "\xce\xa3\xce\x91\xce\xa3", "\xcf\x83\xce\xb1\xcf\x83|"); /* no final sigma */
    expect(&rules,
           "1\xe2\x89\xae"
           "2",
           "1|<|2|"); /* not-less-than decomposes to < and a mark */
    expect(&rules,
           "a\xcd\xbe"
           "b",
           "a|;|b|");                   /* Greek question mark is a semicolon */
    expect(&rules, "\xc4\xb0I", "ii|"); /* dotted I: its dot is a mark */
    expect(&rules, "\xed\x95\x9c", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab|");
    expect(&rules, "\xef\xa4\x80", "\xe8\xb1\x88|"); /* compatibility ideograph */
}

static void words_cased_are_left_alone(void **state)
{
    (void)state;
    const struct berth_word_rules rules = rules_of(false, false, false, NULL);
    expect(&rules, "Ren\xc3\xa9 CAF\xc3\x89!", "Ren\xc3\xa9|CAF\xc3\x89|!|");
    expect(&rules, "e\xcc\x81", "e\xcc\x81|");
    expect(&rules, "a\xe4\xb8\xad\xe6\x96\x87z", "a\xe4\xb8\xad\xe6\x96\x87z|");
    expect(&rules, "\xc4\xb0", "\xc4\xb0|");
}

static void words_lowered_but_not_stripped_keep_marks(void **state)
{
    (void)state;
    const struct berth_word_rules rules = rules_of(true, false, true, NULL);
    expect(&rules, "CAF\xc3\x89", "caf\xc3\xa9|");
    expect(&rules, "\xc4\xb0", "i\xcc\x87|");
}

static void words_stripped_but_not_lowered_keep_case(void **state)
{
    (void)state;
    const struct berth_word_rules rules = rules_of(false, true, true, NULL);
    expect(&rules, "CAF\xc3\x89", "CAFE|");
}

static void words_with_spacing_marks_are_reordered_as_nfd(void **state)
{
    (void)state;
    const struct berth_word_rules strip = rules_of(false, true, true, NULL),
                                  keep = rules_of(false, false, true, NULL);
    /* U+1D16D (class 226) before U+302E (224) before U+1D165 (216): NFD turns them round. */
    expect(&strip, "a\xf0\x9d\x85\xad\xe3\x80\xae\xf0\x9d\x85\xa5z",
           "a\xf0\x9d\x85\xa5\xe3\x80\xae\xf0\x9d\x85\xadz|");
    expect(&keep, "a\xf0\x9d\x85\xad\xe3\x80\xae", "a\xf0\x9d\x85\xad\xe3\x80\xae|");
}

static void words_of_ill_formed_text_lack_it(void **state)
{
    (void)state;
    const struct berth_word_rules rules = rules_of(true, true, true, NULL);
    expect(&rules, "a\xff\x62\xe2\x82 c\xf0\x9f", "ab|c|");
    assert_string_equal(join(&rules, "a\0b \0", 5), "ab|");
}

static void words_longer_than_the_limit_are_marked(void **state)
{
    (void)state;
    struct berth_word_rules rules = rules_of(true, true, true, NULL);
    rules.max_chars = 4;
    expect(&rules, "abcd abcde ab", "abcd|abcd...|ab|");
    expect(&rules, "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9 \xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
           "eeee|eeee...|");
    expect(&rules,
           "ab\xce\xb1"
           "cdefg!",
           "ab\xce\xb1"
           "c...|!|");
    expect(&rules, "e\xcc\x81\xcc\x81\xcc\x81\xcc\x81\xcc\x81z",
           "ez|"); /* counted after the marks are dropped */
}

/* --- protected strings ------------------------------------------------------------------------ */

static struct berth_trie trie_of(const char *const *strings, size_t count, bool whole)
{
    struct berth_trie trie;
    assert_int_equal(berth_trie_init(&trie, 0, NULL), BERTH_OK);
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(strings[i]);
        assert_int_equal(
            berth_trie_insert(&trie, BERTH_PROTECTED_ANYWHERE, strings[i], size, (int32_t)i, NULL), BERTH_OK);
        if (whole)
            assert_int_equal(
                berth_trie_insert(&trie, BERTH_PROTECTED_WHOLE, strings[i], size, (int32_t)i, NULL),
                BERTH_OK);
    }
    return trie;
}

static void words_protected_are_found_anywhere(void **state)
{
    (void)state;
    static const char *const strings[] = {"[SEP]", "[S", "<\xc3\xa9>"};
    struct berth_trie trie = trie_of(strings, 3, true);
    const struct berth_word_rules rules = rules_of(true, true, true, &trie);
    expect(&rules, "a[SEP]b [SEP][SEP]", "a|{0}|b|{0}|{0}|");
    expect(&rules, "[[SEP]]", "[|{0}|]|");
    expect(&rules, "[SEx [sep]", "{1}|ex|[|sep|]|"); /* the longest that is there; case counts */
    expect(&rules, "x<\xc3\xa9>", "x|{2}|");
    expect(&rules, "<\xc3\x89>", "{2}|"); /* but lower-casing may make one */
    expect(&rules, "[SE", "{1}|e|");
    berth_trie_clear(&trie);
}

static void words_protected_by_cleaning_stay_whole(void **state)
{
    (void)state;
    static const char *const strings[] = {"[SEP]"};
    struct berth_trie trie = trie_of(strings, 1, true);
    const struct berth_word_rules rules = rules_of(false, true, true, &trie),
                                  lower = rules_of(true, true, true, &trie);
    expect(&rules, "a [SE\xe2\x80\x8bP] b", "a|[SEP]|b|");
    expect(&rules, "[S\xcc\x81\xc3\x89P]", "[SEP]|");
    expect(&rules, "[SE\x01P][SEP]", "[SEP]|{0}|");
    expect(&rules, "[SE\x01P]\xe4\xb8\xad", "[SEP]|\xe4\xb8\xad|");
    expect(&rules, "a[SE\x01P]", "a|[|SEP|]|"); /* not between two spaces */
    expect(&rules, "[SE\x01P]a", "[|SEP|]|a|");
    expect(&lower, "[SE\x01P]", "[|sep|]|");
    berth_trie_clear(&trie);
}

/* --- cost --------------------------------------------------------------------------------------- */

/* Seconds for a long text of `unit`; at quadratic cost it would be minutes. */
static double seconds_for(const struct berth_word_rules *rules, const char *unit)
{
    static unsigned char memory[BERTH_WORD_MEMORY];
    const size_t size = strlen(unit);
    char *text = malloc(LONG_TEXT);
    assert_non_null(text);
    for (size_t i = 0; i < LONG_TEXT; i++)
        text[i] = unit[i % size];
    struct berth_words words;
    const clock_t start = clock();
    berth_words_begin(&words, rules, text, LONG_TEXT, memory);
    while (berth_words_next(&words))
        continue;
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    free(text);
    return seconds;
}

static void words_of_a_long_text_of_anything_cost_little(void **state)
{
    (void)state;
    static const char *const strings[] = {"[SEP]", "aaaaaaab", "kilo", "\xcc\x81z"};
    static const char *const units[] = {"a",
                                        "a ",
                                        "!",
                                        "\xe4\xb8\xad",
                                        "\xcc\x81\xcc\xa3",
                                        "\xe3\x80\xae\xf0\x9d\x85\xa5",
                                        "[SEP]",
                                        "[",
                                        "[SE",
                                        "[\xe2\x80\x8b",
                                        "\xe2\x80\x8b",
                                        "\xff",
                                        "\xe2\x82",
                                        "\xc3\xa9",
                                        "\xe2\x84\xaa",
                                        "\xcc\x81",
                                        "\xed\x95\x9c"};
    struct berth_trie trie = trie_of(strings, 4, true);
    for (int options = 0; options < 8; options++) {
        const struct berth_word_rules rules = rules_of(options & 1, options & 2, options & 4, &trie);
        for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
            const double seconds = seconds_for(&rules, units[i]);
            if (seconds > 5)
                fail_msg("unit %zu, options %d: %.1f s", i, options, seconds);
        }
    }
    berth_trie_clear(&trie);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_uncased_are_lowered_stripped_and_split),
        cmocka_unit_test(words_cased_are_left_alone),
        cmocka_unit_test(words_lowered_but_not_stripped_keep_marks),
        cmocka_unit_test(words_stripped_but_not_lowered_keep_case),
        cmocka_unit_test(words_with_spacing_marks_are_reordered_as_nfd),
        cmocka_unit_test(words_of_ill_formed_text_lack_it),
        cmocka_unit_test(words_longer_than_the_limit_are_marked),
        cmocka_unit_test(words_protected_are_found_anywhere),
        cmocka_unit_test(words_protected_by_cleaning_stay_whole),
        cmocka_unit_test(words_of_a_long_text_of_anything_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
