/* test_encode.c: special tokens around texts, truncation beside the reference's loop, limits, long texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text/tokenizer.h"

static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##aaaaaaaaaaaaaaaaaaaaaaaaaaaab\naaaaaaaaaaaaaaaab\n";
enum { PAD, UNK, CLS, SEP, MASK, A, B, MORE_A };

static struct berth_tokenizer *open_with(enum berth_choice special)
{
    const struct berth_tokenizer_options options = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET,
                                                    BERTH_CHOICE_UNSET, special, 0};
    struct berth_tokenizer *tokenizer;
    assert_int_equal(berth_tokenizer_from_memory("test", vocab, sizeof vocab - 1, &options, &tokenizer, NULL),
                     BERTH_OK);
    return tokenizer;
}

static void encode(const struct berth_tokenizer *tokenizer, const char *text, const char *pair,
                   size_t max_length, struct berth_encoding *encoding)
{
    struct berth_error err;
    if (berth_tokenizer_encode(tokenizer, text, strlen(text), pair, pair ? strlen(pair) : 0, max_length,
                               encoding, &err) != BERTH_OK)
        fail_msg("%s", err.message);
}

static void expect(const struct berth_encoding *encoding, size_t size, const int32_t *ids,
                   const uint8_t *type_ids, bool truncated)
{
    assert_int_equal(encoding->size, size);
    assert_memory_equal(encoding->ids, ids, size * sizeof *ids);
    assert_memory_equal(encoding->type_ids, type_ids, size);
    assert_int_equal(encoding->truncated, truncated);
}

static void encode_frames_texts_with_special_tokens(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    encode(tokenizer, "", NULL, 0, &encoding);
    expect(&encoding, 2, (int32_t[]){CLS, SEP}, (uint8_t[]){0, 0}, false);
    encode(tokenizer, "A b", NULL, 0, &encoding);
    expect(&encoding, 4, (int32_t[]){CLS, A, B, SEP}, (uint8_t[]){0, 0, 0, 0}, false);
    encode(tokenizer, "a", "b b", 0, &encoding);
    expect(&encoding, 6, (int32_t[]){CLS, A, SEP, B, B, SEP}, (uint8_t[]){0, 0, 0, 1, 1, 1}, false);
    encode(tokenizer, "", "", 0, &encoding);
    expect(&encoding, 3, (int32_t[]){CLS, SEP, SEP}, (uint8_t[]){0, 0, 1}, false);
    encode(tokenizer, "aaa zz [MASK]", NULL, 0, &encoding);
    expect(&encoding, 7, (int32_t[]){CLS, A, MORE_A, MORE_A, UNK, MASK, SEP}, (uint8_t[7]){0}, false);
    berth_encoding_clear(&encoding);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void encode_without_special_tokens_has_none(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_NO);
    struct berth_encoding encoding = {0};
    encode(tokenizer, "", NULL, 0, &encoding);
    assert_int_equal(encoding.size, 0);
    encode(tokenizer, "a", "b b", 0, &encoding);
    expect(&encoding, 3, (int32_t[]){A, B, B}, (uint8_t[]){0, 1, 1}, false);
    encode(tokenizer, "a a", "b b", 1, &encoding);
    expect(&encoding, 1, (int32_t[]){A}, (uint8_t[]){0}, true);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

/* The reference takes tokens one by one from the longer text, on a tie from the second. */
static void encode_truncates_as_longest_first_does(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    for (size_t n = 0; n <= 12; n++)
        for (size_t m = 0; m <= 12; m++)
            for (size_t limit = 3; limit <= 30; limit++) {
                char first[32] = "", second[32] = "";
                for (size_t i = 0; i < n; i++)
                    strcat(first, "a ");
                for (size_t i = 0; i < m; i++)
                    strcat(second, "b ");
                size_t keep_n = n, keep_m = m;
                while (keep_n + keep_m + 3 > limit)
                    *(keep_n > keep_m ? &keep_n : &keep_m) -= 1;
                encode(tokenizer, first, second, limit, &encoding);
                size_t as = 0, bs = 0;
                for (size_t i = 0; i < encoding.size; i++) {
                    as += encoding.ids[i] == A && encoding.type_ids[i] == 0;
                    bs += encoding.ids[i] == B && encoding.type_ids[i] == 1;
                }
                assert_int_equal(encoding.size, keep_n + keep_m + 3);
                assert_int_equal(as, keep_n);
                assert_int_equal(bs, keep_m);
                assert_int_equal(encoding.truncated, keep_n + keep_m < n + m);
                assert_int_equal(encoding.ids[keep_n + 1], SEP);
                assert_int_equal(encoding.ids[encoding.size - 1], SEP);
            }
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void encode_truncates_one_text_at_its_end(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    encode(tokenizer, "a b a b", NULL, 4, &encoding);
    expect(&encoding, 4, (int32_t[]){CLS, A, B, SEP}, (uint8_t[4]){0}, true);
    encode(tokenizer, "aaaa", NULL, 4, &encoding); /* within a word */
    expect(&encoding, 4, (int32_t[]){CLS, A, MORE_A, SEP}, (uint8_t[4]){0}, true);
    encode(tokenizer, "a b", NULL, 2, &encoding);
    expect(&encoding, 2, (int32_t[]){CLS, SEP}, (uint8_t[2]){0}, true);
    encode(tokenizer, "a b", NULL, 4, &encoding);
    expect(&encoding, 4, (int32_t[]){CLS, A, B, SEP}, (uint8_t[4]){0}, false);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void encode_beyond_the_limits_is_refused(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    struct berth_error err;
    assert_int_equal(berth_tokenizer_encode(tokenizer, "a", 1, NULL, 0, 1, &encoding, &err),
                     BERTH_INVALID_ARGUMENT);
    assert_int_equal(berth_tokenizer_encode(tokenizer, "a", 1, "b", 1, 2, &encoding, &err),
                     BERTH_INVALID_ARGUMENT);
    assert_int_equal(encoding.size, 0);
    /* Nothing of a text that is too long is read. */
    assert_int_equal(
        berth_tokenizer_encode(tokenizer, "a", ((size_t)1 << 30) + 1, NULL, 0, 0, &encoding, &err),
        BERTH_LIMIT);
    assert_int_equal(berth_tokenizer_encode(tokenizer, "a", 1, "b", SIZE_MAX, 0, &encoding, &err),
                     BERTH_LIMIT);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void encode_with_nul_inside_goes_on(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_tokenizer_encode(tokenizer, "a\0b b\0", 6, NULL, 0, 0, &encoding, NULL), BERTH_OK);
    expect(&encoding, 4, (int32_t[]){CLS, UNK, B, SEP}, (uint8_t[4]){0}, false);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void encode_word_of_101_characters_is_unknown(void **state)
{
    (void)state;
    char word[102];
    memset(word, 'a', 101);
    word[101] = 0;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    struct berth_encoding encoding = {0};
    encode(tokenizer, word, NULL, 0, &encoding);
    expect(&encoding, 3, (int32_t[]){CLS, UNK, SEP}, (uint8_t[3]){0}, false);
    encode(tokenizer, word + 1, NULL, 0, &encoding);
    assert_int_equal(encoding.size, 102);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

/* Seconds for `count` times `unit`. */
static double seconds_for(const struct berth_tokenizer *tokenizer, const char *unit, size_t count,
                          size_t want_tokens)
{
    const size_t size = strlen(unit);
    char *text = malloc(size * count);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, unit, size);
    struct berth_encoding encoding = {0};
    const clock_t start = clock();
    assert_int_equal(berth_tokenizer_encode(tokenizer, text, size * count, NULL, 0, 0, &encoding, NULL),
                     BERTH_OK);
    const double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    assert_int_equal(encoding.size, want_tokens);
    berth_encoding_clear(&encoding);
    free(text);
    return seconds;
}

static void encode_long_texts_costs_little(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer = open_with(BERTH_CHOICE_UNSET);
    enum { MANY = 1 << 17 };
    /* A word that looks long ways ahead at each of its letters, and fails at its last. */
    static const char backtrack[] =
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaz ";
    assert_true(seconds_for(tokenizer, "a", MANY, 3) < 5);
    assert_true(seconds_for(tokenizer, "[SEP]", MANY, MANY + 2) < 5);
    assert_true(seconds_for(tokenizer, "a ", MANY, MANY + 2) < 5);
    assert_true(seconds_for(tokenizer, backtrack, MANY / 64, MANY / 64 + 2) < 5);
    berth_tokenizer_free(tokenizer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_frames_texts_with_special_tokens),
        cmocka_unit_test(encode_without_special_tokens_has_none),
        cmocka_unit_test(encode_truncates_as_longest_first_does),
        cmocka_unit_test(encode_truncates_one_text_at_its_end),
        cmocka_unit_test(encode_beyond_the_limits_is_refused),
        cmocka_unit_test(encode_with_nul_inside_goes_on),
        cmocka_unit_test(encode_word_of_101_characters_is_unknown),
        cmocka_unit_test(encode_long_texts_costs_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
