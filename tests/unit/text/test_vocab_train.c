/* test_vocab_train.c: vocabulary training: merges derived by hand, a plain trainer that counts everything
 * anew at each step as the reference, order of the texts, bounds; and the project's own reviews. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "berth/berth.h"
#include "text/vocab_train.h"

#define SPECIALS "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n"

static const struct berth_tokenizer_options unset = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET,
                                                     BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, 0};

static struct berth_vocab_recipe recipe_of(size_t size, size_t min_frequency)
{
    return (struct berth_vocab_recipe){size, 1000, min_frequency, unset};
}

/* Trains on texts; *vocab is to be cleared in any case. */
static enum berth_status train(const struct berth_vocab_recipe *recipe, const char *const *texts,
                               size_t count, struct berth_buffer *vocab, struct berth_vocab_outcome *outcome,
                               struct berth_error *err)
{
    struct berth_vocab_trainer *trainer;
    berth_buffer_init(vocab, 0);
    enum berth_status status = berth_vocab_trainer_new(recipe, &trainer, err);
    for (size_t i = 0; i < count && status == BERTH_OK; i++)
        status = berth_vocab_trainer_add(trainer, texts[i], strlen(texts[i]), err);
    if (status == BERTH_OK)
        status = berth_vocab_trainer_finish(trainer, NULL, NULL, vocab, outcome, err);
    berth_vocab_trainer_free(trainer);
    return status;
}

static void check_vocab(struct berth_vocab_recipe recipe, const char *text, const char *want)
{
    struct berth_buffer vocab;
    struct berth_vocab_outcome outcome;
    struct berth_error err;
    if (train(&recipe, &text, 1, &vocab, &outcome, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    assert_string_equal(vocab.data, want);
    berth_buffer_clear(&vocab);
}

static void check_refused(struct berth_vocab_recipe recipe, const char *text, enum berth_status want,
                          const char *words)
{
    struct berth_buffer vocab;
    struct berth_vocab_outcome outcome;
    struct berth_error err;
    assert_int_equal(train(&recipe, &text, 1, &vocab, &outcome, &err), want);
    assert_non_null(strstr(err.message, words));
    berth_buffer_clear(&vocab);
}

/* --- by hand --------------------------------------------------------------------------------- */

/* abab x3, abc x2: a-##b 3 + 2 = 5, ##b-##a 3, ##a-##b 3, ##b-##c 2. First ab; then ab-##a 3 and ##a-##b 3:
 * ##a (id 8) stood before ab (id 11) in the vocabulary, so ##ab, which leaves ab-##ab 3, then ab-##c 2. */
static void finish_small_corpus_gives_the_merges_by_hand(void **state)
{
    (void)state;
    static const char letters[] = SPECIALS "a\nb\nc\n##a\n##b\n##c\n";
    static const char *const merged[] = {"ab\n", "##ab\n", "abab\n", "abc\n"};
    char want[256];
    strcpy(want, letters);
    for (size_t i = 0; i <= 4; i++) {
        check_vocab(recipe_of(11 + i, 2), "abab abc abab abc abab", want);
        if (i < 4)
            strcat(want, merged[i]);
    }
    check_vocab(recipe_of(1000, 2), "abab abc abab abc abab", want); /* the corpus gives no more */
}

/* One more abc (3) and abd once: the pair of two occurrences is merged at 2, not at 3. */
static void finish_min_frequency_bounds_the_merges(void **state)
{
    (void)state;
    static const char want_two[] = SPECIALS "a\nb\n##b\nab\n", want_three[] = SPECIALS "a\nb\n##b\n";
    check_vocab(recipe_of(100, 2), "ab ab", want_two);
    check_vocab(recipe_of(100, 3), "ab ab", want_three);
}

/* aaaa x2 is a-##a 2, ##a-##a 4; ##aa is taken from the left: a ##aa ##a. Then a-##aa and ##aa-##a tie at 2,
 * and ##a (6) was there before ##aa (7), but a (5) is the smallest left: aaa, then aaaa. */
static void finish_overlapping_pairs_are_merged_from_the_left(void **state)
{
    (void)state;
    check_vocab(recipe_of(100, 2), "aaaa aaaa", SPECIALS "a\n##a\n##aa\naaa\naaaa\n");
}

static void finish_normalises_as_the_tokenizer(void **state)
{
    (void)state;
    struct berth_vocab_recipe recipe = recipe_of(100, 9);
    check_vocab(recipe,
                "\xc3\x89"
                "a, [SEP] \xe4\xb8\xad",
                SPECIALS ",\na\ne\n\xe4\xb8\xad\n##a\n"); /* no brackets, no capitals, no accent */
    recipe.options.do_lower_case = BERTH_CHOICE_NO;
    check_vocab(recipe,
                "\xc3\x89"
                "a",
                SPECIALS "a\n\xc3\x89\n##a\n");
}

static void finish_limit_alphabet_keeps_the_most_frequent(void **state)
{
    (void)state;
    struct berth_vocab_recipe recipe = recipe_of(100, 2);
    struct berth_buffer vocab;
    struct berth_vocab_outcome outcome;
    const char *text = "ab ab ab cb cb zz";
    recipe.limit_alphabet = 2; /* b 5, a 3; c and z 2 each are left out, and so are their words */
    assert_int_equal(train(&recipe, &text, 1, &vocab, &outcome, NULL), BERTH_OK);
    assert_string_equal(vocab.data, SPECIALS "a\nb\n##b\nab\n");
    assert_int_equal(outcome.alphabet, 2);
    assert_int_equal(outcome.left_out, 2);
    assert_int_equal(outcome.words, 3);
    assert_int_equal(outcome.tokens, 9);
    berth_buffer_clear(&vocab);
}

/* --- against a plain trainer ------------------------------------------------------------------ */

enum { PLAIN_WORDS = 64, PLAIN_TOKENS = 128, PLAIN_SIZE = 16 };

/* Words as lists of tokens; nothing is kept from one step to the next. */
struct plain {
    char tokens[PLAIN_TOKENS][2 * PLAIN_SIZE];
    size_t token_count;
    int words[PLAIN_WORDS][PLAIN_SIZE];
    size_t sizes[PLAIN_WORDS], word_count;
};

static int plain_token(struct plain *plain, const char *token)
{
    for (size_t i = 0; i < plain->token_count; i++)
        if (strcmp(plain->tokens[i], token) == 0)
            return (int)i;
    assert_true(plain->token_count < PLAIN_TOKENS);
    strcpy(plain->tokens[plain->token_count], token);
    return (int)plain->token_count++;
}

static void plain_begin(struct plain *plain, char words[][PLAIN_SIZE], size_t count)
{
    static const char *const specials[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    *plain = (struct plain){.word_count = count};
    for (size_t i = 0; i < 5; i++)
        plain_token(plain, specials[i]);
    for (int inside = 0; inside < 2; inside++)
        for (char c = 'a'; c <= 'z'; c++)
            for (size_t i = 0; i < count; i++)
                if (strchr(words[i] + inside, c))
                    plain_token(plain, (char[]){inside ? '#' : c, inside ? '#' : 0, c, 0});
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; words[i][k]; k++) {
            const char c = words[i][k];
            plain->words[i][plain->sizes[i]++] = plain_token(plain, (char[]){k ? '#' : c, k ? '#' : 0, c, 0});
        }
}

/* One merge; false when no pair comes twice. */
static bool plain_step(struct plain *plain)
{
    static size_t counts[PLAIN_TOKENS][PLAIN_TOKENS];
    memset(counts, 0, sizeof counts);
    size_t best = 1;
    int left = -1, right = -1;
    for (size_t i = 0; i < plain->word_count; i++)
        for (size_t k = 0; k + 1 < plain->sizes[i]; k++)
            counts[plain->words[i][k]][plain->words[i][k + 1]]++;
    for (int a = 0; a < PLAIN_TOKENS; a++)
        for (int b = 0; b < PLAIN_TOKENS; b++)
            if (counts[a][b] > best)
                best = counts[left = a][right = b];
    if (left < 0)
        return false;
    char token[4 * PLAIN_SIZE];
    snprintf(token, sizeof token, "%s%s", plain->tokens[left], plain->tokens[right] + 2);
    const int merged = plain_token(plain, token);
    for (size_t i = 0; i < plain->word_count; i++) {
        size_t kept = 0;
        for (size_t k = 0; k < plain->sizes[i]; k++) {
            const bool here =
                k + 1 < plain->sizes[i] && plain->words[i][k] == left && plain->words[i][k + 1] == right;
            plain->words[i][kept++] = here ? merged : plain->words[i][k];
            k += here;
        }
        plain->sizes[i] = kept;
    }
    return true;
}

static void finish_equals_a_trainer_that_counts_anew(void **state)
{
    (void)state;
    static struct plain plain;
    struct berth_rng rng;
    size_t merges = 0;
    berth_rng_seed(&rng, 11);
    for (int round = 0; round < 200; round++) {
        char words[PLAIN_WORDS][PLAIN_SIZE];
        const char *texts[PLAIN_WORDS];
        const size_t letters = 1 + berth_rng_next(&rng) % 3, count = 1 + berth_rng_next(&rng) % 24;
        for (size_t i = 0; i < count; i++) {
            const size_t size = 1 + berth_rng_next(&rng) % (PLAIN_SIZE - 1);
            for (size_t k = 0; k < size; k++)
                words[i][k] = (char)('a' + berth_rng_next(&rng) % letters);
            words[i][size] = 0;
            texts[i] = words[i];
        }
        const size_t want = 12 + berth_rng_next(&rng) % 100;
        plain_begin(&plain, words, count);
        while (plain.token_count < want && plain_step(&plain))
            merges++;
        char text[PLAIN_TOKENS * 2 * PLAIN_SIZE] = "";
        for (size_t i = 0; i < plain.token_count; i++)
            strcat(strcat(text, plain.tokens[i]), "\n");
        struct berth_vocab_recipe recipe = recipe_of(want, 2);
        struct berth_buffer vocab;
        struct berth_vocab_outcome outcome;
        assert_int_equal(train(&recipe, texts, count, &vocab, &outcome, NULL), BERTH_OK);
        assert_string_equal(vocab.data, text);
        berth_buffer_clear(&vocab);
    }
    assert_true(merges > 200); /* more than one a round: it was not the alphabet alone */
}

/* --- order and coverage ----------------------------------------------------------------------- */

static const char *const corpus[] = {
    "The lighthouse blinked twice, and twice the boats answered.",
    "Boats answer lights; lights answer boats.",
    "A na\xc3\xafve keeper keeps the light: keeping is naive, he said!",
    "twice-lit lamps",
    "\xe7\x81\xaf\xe5\xa1\x94 is a lighthouse \xf0\x9f\x98\x80",
    "",
    "blinking, blinked, blinks",
    "(the lamp's keeper, the boat's keeper)",
};
enum { CORPUS = sizeof corpus / sizeof *corpus };

static void finish_any_order_of_texts_gives_the_same_bytes(void **state)
{
    (void)state;
    struct berth_vocab_recipe recipe = recipe_of(120, 2);
    struct berth_buffer first, other;
    struct berth_vocab_outcome outcome;
    struct berth_rng rng;
    const char *texts[CORPUS];
    berth_rng_seed(&rng, 3);
    memcpy(texts, corpus, sizeof corpus);
    assert_int_equal(train(&recipe, texts, CORPUS, &first, &outcome, NULL), BERTH_OK);
    for (int round = 0; round < 50; round++) {
        for (size_t i = CORPUS - 1; i > 0; i--) {
            const size_t k = berth_rng_next(&rng) % (i + 1);
            const char *text = texts[i];
            texts[i] = texts[k];
            texts[k] = text;
        }
        assert_int_equal(train(&recipe, texts, CORPUS, &other, &outcome, NULL), BERTH_OK);
        assert_string_equal(first.data, other.data);
        berth_buffer_clear(&other);
    }
    /* the control: other counts, other bytes */
    assert_int_equal(train(&recipe, texts, CORPUS - 1, &other, &outcome, NULL), BERTH_OK);
    assert_string_not_equal(first.data, other.data);
    berth_buffer_clear(&other);
    berth_buffer_clear(&first);
}

/* Unknown words of a text by a tokenizer of the vocabulary. */
static size_t count_unknown(const struct berth_buffer *vocab, const char *text)
{
    struct berth_tokenizer *tokenizer;
    struct berth_encoding encoding = {0};
    size_t unknown = 0;
    assert_int_equal(
        berth_tokenizer_from_memory("trained", vocab->data, vocab->size, &unset, &tokenizer, NULL), BERTH_OK);
    assert_int_equal(berth_tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, 0, &encoding, NULL),
                     BERTH_OK);
    for (size_t i = 0; i < encoding.size; i++)
        unknown += encoding.ids[i] == berth_tokenizer_special(tokenizer, BERTH_SPECIAL_UNK);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
    return unknown;
}

static void finish_knows_every_word_of_its_corpus(void **state)
{
    (void)state;
    static const size_t sizes[] = {70, 100, 400};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct berth_vocab_recipe recipe = recipe_of(sizes[i], 1);
        struct berth_buffer vocab;
        struct berth_vocab_outcome outcome;
        struct berth_error err;
        if (train(&recipe, corpus, CORPUS, &vocab, &outcome, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        for (size_t k = 0; k < CORPUS; k++)
            assert_int_equal(count_unknown(&vocab, corpus[k]), 0);
        assert_int_equal(count_unknown(&vocab, "\xce\xb1 the"), 1); /* the control */
        berth_buffer_clear(&vocab);
    }
}

/* --- refusals -------------------------------------------------------------------------------- */

static void trainer_bad_input_is_refused(void **state)
{
    (void)state;
    check_refused(recipe_of(100, 2), "", BERTH_FORMAT, "no words");
    check_refused(recipe_of(100, 2), " \t [SEP] \x01", BERTH_FORMAT, "no words");
    check_refused(recipe_of(100, 2), "fine \xff", BERTH_FORMAT, "byte 6 of the text is not UTF-8");
    check_refused(recipe_of(0, 2), "a", BERTH_INVALID_ARGUMENT, "size 0");
    check_refused(recipe_of(SIZE_MAX, 2), "a", BERTH_INVALID_ARGUMENT, "are possible");
    check_refused(recipe_of(10, 0), "a", BERTH_INVALID_ARGUMENT, "1 at least");
    check_refused(recipe_of(7, 2), "ab", BERTH_INVALID_ARGUMENT, "size 7 is too small");
    check_vocab(recipe_of(8, 2), "ab", SPECIALS "a\nb\n##b\n");              /* the control: it just fits */
    check_vocab(recipe_of(8, 2), "ab \xef\xbf\xbd", SPECIALS "a\nb\n##b\n"); /* U+FFFD itself is UTF-8 */
}

static void add_words_beyond_the_tokenizers_length_teach_nothing(void **state)
{
    (void)state;
    char text[2 * 101 + 8] = "";
    memset(text, 'x', 101); /* BERT's tokenizer takes 100 */
    check_refused(recipe_of(100, 2), text, BERTH_FORMAT, "no words");
    text[100] = 0;
    check_vocab(recipe_of(7, 2), text, SPECIALS "x\n##x\n");
}

static bool stop_at_once(void *context, size_t done, size_t total)
{
    *(bool *)context = done > 0 && total == 100;
    return false;
}

static void finish_progress_that_says_no_cancels(void **state)
{
    (void)state;
    struct berth_vocab_recipe recipe = recipe_of(100, 2);
    struct berth_vocab_trainer *trainer;
    struct berth_vocab_outcome outcome;
    struct berth_buffer vocab;
    bool told = false;
    assert_int_equal(berth_vocab_trainer_new(&recipe, &trainer, NULL), BERTH_OK);
    assert_int_equal(berth_vocab_trainer_add(trainer, "ab ab", 5, NULL), BERTH_OK);
    assert_int_equal(berth_vocab_trainer_finish(trainer, stop_at_once, &told, &vocab, &outcome, NULL),
                     BERTH_CANCELLED);
    assert_true(told);
    berth_buffer_clear(&vocab);
    berth_vocab_trainer_free(trainer);
}

/* --- the project's own reviews ------------------------------------------------------------------ */

static void reviews_are_fifty_of_each_label(void **state)
{
    (void)state;
    const char *source = getenv("BERTH_SOURCE");
    char path[4096];
    size_t counts[2] = {0};
    struct berth_reader *reader;
    struct berth_record record;
    struct berth_error err;
    bool end;
    snprintf(path, sizeof path, "%s/examples/reviews.tsv", source ? source : ".");
    if (berth_reader_open_task(path, "sst2", NULL, true, &reader, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    while (berth_reader_next(reader, &record, &end, &err) == BERTH_OK && !end) {
        assert_true(record.text.size >= 10);
        assert_true(strcmp(record.label, "0") == 0 || strcmp(record.label, "1") == 0);
        counts[record.label[0] - '0']++;
    }
    assert_true(end);
    berth_reader_close(reader);
    assert_int_equal(counts[0], 50);
    assert_int_equal(counts[1], 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finish_small_corpus_gives_the_merges_by_hand),
        cmocka_unit_test(finish_min_frequency_bounds_the_merges),
        cmocka_unit_test(finish_overlapping_pairs_are_merged_from_the_left),
        cmocka_unit_test(finish_normalises_as_the_tokenizer),
        cmocka_unit_test(finish_limit_alphabet_keeps_the_most_frequent),
        cmocka_unit_test(finish_equals_a_trainer_that_counts_anew),
        cmocka_unit_test(finish_any_order_of_texts_gives_the_same_bytes),
        cmocka_unit_test(finish_knows_every_word_of_its_corpus),
        cmocka_unit_test(trainer_bad_input_is_refused),
        cmocka_unit_test(add_words_beyond_the_tokenizers_length_teach_nothing),
        cmocka_unit_test(finish_progress_that_says_no_cancels),
        cmocka_unit_test(reviews_are_fifty_of_each_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
