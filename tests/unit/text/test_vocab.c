/* test_vocab.c: finding whole tokens and longest pieces, beside a plain search over random vocabularies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

#include "base/rng.h"
#include "text/vocab.h"

static void add(struct berth_vocab *vocab, const char *token, size_t id)
{
    assert_int_equal(berth_vocab_add(vocab, token, strlen(token), id, NULL), BERTH_OK);
}

static int32_t find(const struct berth_vocab *vocab, const char *token)
{
    unsigned char padded[64] = {0};
    const size_t size = strlen(token);
    memcpy(padded, token, size);
    const int32_t id = berth_vocab_find(vocab, token, size);
    assert_int_equal(berth_vocab_find_word(vocab, padded, size), id);
    return id;
}

static void find_gives_ids_of_any_length(void **state)
{
    (void)state;
    struct berth_vocab vocab = {0};
    static const char *const tokens[] = {
        "", "a", "seven77", "eight888", "nine99999", "sixteen-sixteen-", "seventeen-17-17-17"};
    for (size_t i = 0; i < 7; i++)
        add(&vocab, tokens[i], i);
    assert_int_equal(berth_vocab_index(&vocab, "##", NULL), BERTH_OK);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(find(&vocab, tokens[i]), i);
    assert_int_equal(find(&vocab, "b"), -1);
    assert_int_equal(find(&vocab, "eight889"), -1);
    assert_int_equal(find(&vocab, "eight8889"), -1);
    assert_int_equal(find(&vocab, "seventeen-17-17-18"), -1);
    berth_vocab_clear(&vocab);
}

static void find_repeated_token_gives_the_last_id(void **state)
{
    (void)state;
    struct berth_vocab vocab = {0};
    add(&vocab, "a", 0);
    add(&vocab, "b", 1);
    add(&vocab, "a", 2);
    assert_int_equal(berth_vocab_index(&vocab, "##", NULL), BERTH_OK);
    assert_int_equal(find(&vocab, "a"), 2);
    size_t taken = 0, length;
    assert_int_equal(
        berth_trie_longest(&vocab.pieces, BERTH_VOCAB_WORD, (const unsigned char *)"ab", 2, &taken), 2);
    assert_string_equal(berth_vocab_token(&vocab, 0, &length), "a");
    berth_vocab_clear(&vocab);
}

static void add_with_gaps_leaves_ids_without_token(void **state)
{
    (void)state;
    struct berth_vocab vocab = {0};
    size_t length;
    add(&vocab, "a", 5);
    assert_int_equal(berth_vocab_index(&vocab, "##", NULL), BERTH_OK);
    assert_int_equal(vocab.size, 6);
    assert_null(berth_vocab_token(&vocab, 3, &length));
    assert_null(berth_vocab_token(&vocab, -1, &length));
    assert_null(berth_vocab_token(&vocab, 6, &length));
    assert_string_equal(berth_vocab_token(&vocab, 5, &length), "a");
    berth_vocab_clear(&vocab);
}

static void add_beyond_the_limits_is_refused(void **state)
{
    (void)state;
    static char large[BERTH_TOKEN_MAX_BYTES + 1];
    struct berth_vocab vocab = {0};
    struct berth_error err;
    assert_int_equal(berth_vocab_add(&vocab, "a", 1, BERTH_VOCAB_MAX, &err), BERTH_LIMIT);
    assert_int_equal(berth_vocab_add(&vocab, "a", 1, SIZE_MAX, &err), BERTH_LIMIT);
    assert_int_equal(berth_vocab_add(&vocab, large, sizeof large, 0, &err), BERTH_LIMIT);
    assert_int_equal(vocab.size, 0);
    add(&vocab, "a", 0);
    assert_int_equal(berth_vocab_add(&vocab, "b", 1, 0, &err), BERTH_FORMAT);
    assert_non_null(strstr(err.message, "same id"));
    berth_vocab_clear(&vocab);
}

/* The plain way: every token of the set that the text begins with. */
static int32_t longest_by_search(const struct berth_vocab *vocab, bool continuation, const char *text,
                                 size_t *taken)
{
    int32_t best = -1;
    *taken = 0;
    for (size_t id = 0; id < vocab->size; id++) {
        size_t length;
        const char *token = berth_vocab_token(vocab, (int32_t)id, &length);
        if (continuation && strncmp(token, "##", 2) != 0)
            continue;
        token += continuation ? 2 : 0;
        length -= continuation ? 2 : 0;
        if (length > 0 && length >= *taken && strncmp(text, token, length) == 0) {
            best = (int32_t)id;
            *taken = length;
        }
    }
    return best;
}

static void random_string(struct berth_rng *rng, char *out, size_t max)
{
    const size_t size = 1 + berth_rng_next(rng) % max;
    for (size_t i = 0; i < size; i++)
        *out++ = "ab\xc3\xa9#"[berth_rng_next(rng) % 5];
    *out = 0;
}

static void longest_equals_a_plain_search(void **state)
{
    (void)state;
    struct berth_rng rng;
    berth_rng_seed(&rng, 7);
    for (int round = 0; round < 20; round++) {
        struct berth_vocab vocab = {0};
        char text[32];
        for (size_t id = 0; id < 200; id++) {
            random_string(&rng, text + 2, 6);
            memcpy(text, "##", 2);
            add(&vocab, berth_rng_next(&rng) % 2 ? text : text + 2, id);
        }
        assert_int_equal(berth_vocab_index(&vocab, "##", NULL), BERTH_OK);
        for (int i = 0; i < 500; i++) {
            random_string(&rng, text, 10);
            for (uint32_t root = 0; root < 2; root++) {
                size_t want_taken, taken = 0;
                const int32_t want =
                    longest_by_search(&vocab, root == BERTH_VOCAB_CONTINUATION, text, &want_taken);
                const int32_t got = berth_trie_longest(&vocab.pieces, root, (const unsigned char *)text,
                                                       strlen(text), &taken);
                assert_int_equal(got, want);
                assert_int_equal(taken, want_taken);
            }
        }
        berth_vocab_clear(&vocab);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(find_gives_ids_of_any_length),
        cmocka_unit_test(find_repeated_token_gives_the_last_id),
        cmocka_unit_test(add_with_gaps_leaves_ids_without_token),
        cmocka_unit_test(add_beyond_the_limits_is_refused),
        cmocka_unit_test(longest_equals_a_plain_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
