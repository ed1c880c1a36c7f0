/* test_decode.c: ids to text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer.h"

static const char vocab[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\n##s\n.\n,\n?\n!\n'\nm\nn\nt\nve\nre\ndo\n##n\n##\n \n";
enum {
    PAD,
    UNK,
    CLS,
    SEP,
    MASK,
    HELLO,
    S,
    DOT,
    COMMA,
    QUESTION,
    BANG,
    QUOTE,
    M,
    N,
    T,
    VE,
    RE,
    DO,
    PIECE_N,
    EMPTY
};

static struct berth_tokenizer *tokenizer;

static int open_tokenizer(void **state)
{
    (void)state;
    return berth_tokenizer_from_memory("test", vocab, sizeof vocab - 1, NULL, &tokenizer, NULL);
}

static int close_tokenizer(void **state)
{
    (void)state;
    berth_tokenizer_free(tokenizer);
    return 0;
}

static void expect(const int32_t *ids, size_t count, bool skip_special, bool clean_up, const char *want)
{
    char *text;
    assert_int_equal(berth_tokenizer_decode(tokenizer, ids, count, skip_special, clean_up, &text, NULL),
                     BERTH_OK);
    assert_string_equal(text, want);
    berth_free(text);
}
#define EXPECT(skip, clean, want, ...) \
    expect((int32_t[]){__VA_ARGS__}, sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), skip, clean, want)

static void decode_glues_pieces(void **state)
{
    (void)state;
    EXPECT(false, false, "[CLS] hellos do [SEP]", CLS, HELLO, S, DO, SEP);
    EXPECT(false, false, "##s hello", S, HELLO); /* nothing before it to glue to */
    EXPECT(false, false, "hellos", HELLO, EMPTY, S);
    expect(NULL, 0, false, true, "");
}

static void decode_skips_special_tokens(void **state)
{
    (void)state;
    EXPECT(true, false, "hello do", CLS, HELLO, MASK, DO, SEP, PAD, PAD);
    EXPECT(true, true, "", CLS, UNK, SEP);
    EXPECT(true, false, "##s", CLS, S);
}

static void decode_cleaned_up_tidies_spaces(void **state)
{
    (void)state;
    EXPECT(false, true, "hello. hello, hello? hello!", HELLO, DOT, HELLO, COMMA, HELLO, QUESTION, HELLO,
           BANG);
    EXPECT(false, false, "hello . hello", HELLO, DOT, HELLO);
    EXPECT(false, true, "hello'm'hello", HELLO, QUOTE, M, QUOTE, HELLO);
    EXPECT(false, true, "do'hello", DO, QUOTE, HELLO);
    EXPECT(false, true, "hello't", HELLO, QUOTE, T);
    EXPECT(false, true, ". '", DOT, QUOTE);
}

static void decode_unknown_id_is_refused(void **state)
{
    (void)state;
    static const int32_t wrong[] = {-1, 21, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        char *text;
        struct berth_error err;
        const int32_t ids[] = {HELLO, wrong[i]};
        assert_int_equal(berth_tokenizer_decode(tokenizer, ids, 2, false, false, &text, &err),
                         BERTH_INVALID_ARGUMENT);
        assert_null(text);
        assert_non_null(strstr(err.message, "not in the vocabulary"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_glues_pieces),
        cmocka_unit_test(decode_skips_special_tokens),
        cmocka_unit_test(decode_cleaned_up_tidies_spaces),
        cmocka_unit_test(decode_unknown_id_is_refused),
    };
    return cmocka_run_group_tests(tests, open_tokenizer, close_tokenizer);
}
