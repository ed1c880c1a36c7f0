/* test_session.c: many texts in any order and number, packed into batches, come back as if each were alone;
 * ready ids give what their text gives; what does not fit is refused, and the session goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/tiny_model.h"

enum { TEXTS = 200, LABELS = 2, IDS_MAX = 512 };

static char storage[TEXTS][128];

/* Texts of 0 to 16 words, no two neighbours of one length. */
static void make_texts(struct berth_text texts[TEXTS])
{
    static const char *const words[] = {"film ",  "funny ", "a ",   "! ",
                                        "films ", "not ",   "the ", "caf\xc3\xa9 "};
    for (size_t i = 0; i < TEXTS; i++) {
        storage[i][0] = 0;
        for (size_t k = 0; k < i * 7 % 17; k++)
            strcat(storage[i], words[(i + k * 3) % 8]);
        texts[i] = (struct berth_text){.text = storage[i], .size = strlen(storage[i])};
    }
}

static void classify(struct berth_session *session, const struct berth_text *texts, size_t count,
                     struct berth_result *results)
{
    struct berth_error err;
    if (berth_session_classify(session, texts, count, results, &err) != BERTH_OK)
        fail_msg("%s", err.message);
}

static void classify_any_batch_size_gives_the_same_bits(void **state)
{
    (void)state;
    struct berth_text texts[TEXTS];
    make_texts(texts);
    struct berth_model *model = tiny_open("random:bert-tiny", &(struct berth_options){.max_length = 16});
    float want[TEXTS][LABELS];
    struct berth_result results[TEXTS], alone;
    struct berth_session *session = tiny_session(model, NULL);
    for (size_t i = 0; i < TEXTS; i++) {
        classify(session, &texts[i], 1, &alone);
        memcpy(want[i], alone.logits, sizeof want[i]);
    }
    berth_session_free(session);
    assert_memory_not_equal(want[0], want[1], sizeof want[0]); /* the comparison below can fail */
    for (size_t threads = 1; threads <= 3; threads++)
        for (size_t tokens = 16; tokens <= 4096; tokens *= 4) {
            struct berth_options options = {.threads = threads, .max_batch_tokens = tokens};
            session = tiny_session(model, &options);
            classify(session, texts, TEXTS, results);
            struct berth_timing timing = berth_session_timing(session);
            size_t sum = 0, longest = 0;
            for (size_t i = 0; i < TEXTS; i++) {
                assert_memory_equal(want[i], results[i].logits, sizeof want[i]);
                sum += results[i].tokens;
                longest = results[i].tokens > longest ? results[i].tokens : longest;
            }
            assert_int_equal(timing.texts, TEXTS);
            assert_int_equal(timing.tokens, sum);
            assert_int_equal(timing.longest, longest);
            assert_true(timing.batches >= (sum + tokens - 1) / tokens && timing.batches <= TEXTS);
            assert_true(timing.total_ns >= timing.compute_ns + timing.tokenize_ns);
            berth_session_free(session);
        }
    berth_model_free(model);
}

static void classify_results_hang_together(void **state)
{
    (void)state;
    struct berth_text texts[TEXTS];
    make_texts(texts);
    struct berth_model *model = tiny_open("random:bert-tiny", &(struct berth_options){.max_length = 8});
    struct berth_session *session = tiny_session(model, NULL);
    struct berth_result results[TEXTS];
    classify(session, texts, TEXTS, results);
    size_t cut = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        const struct berth_result *r = &results[i];
        size_t best = r->logits[1] > r->logits[0];
        assert_int_equal(r->labels, LABELS);
        assert_int_equal(r->label_id, best);
        assert_string_equal(r->label, berth_model_get_info(model)->label_names[best]);
        assert_float_equal(r->score, r->scores[best], 0);
        double other = exp((double)r->logits[1 - best] - (double)r->logits[best]);
        assert_float_equal(r->scores[best], (float)(1 / (1 + other)), 1e-7);
        assert_float_equal(r->scores[0] + r->scores[1], 1, 1e-6);
        struct berth_tokens whole = {0};
        assert_int_equal(berth_tokenize(model, &texts[i], 512, &whole, NULL), BERTH_OK);
        assert_int_equal(r->truncated, whole.size > 8);
        assert_int_equal(r->tokens, whole.size > 8 ? 8 : whole.size);
        cut += r->truncated;
        berth_tokens_clear(&whole);
    }
    assert_true(cut > 0 && cut < TEXTS);
    berth_session_free(session);
    berth_model_free(model);
}

static void classify_ids_of_a_text_gives_its_bits(void **state)
{
    (void)state;
    struct berth_text texts[] = {
        BERTH_TEXT("the film"), BERTH_TEXT("not funny!"), {"a film", 6, "films!", 6}};
    enum { COUNT = sizeof texts / sizeof *texts };
    struct berth_model *model = tiny_open("random:bert-tiny", NULL);
    struct berth_session *session = tiny_session(model, NULL);
    int32_t ids[64];
    uint8_t types[64];
    size_t offsets[COUNT + 1] = {0};
    struct berth_tokens tokens = {0};
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(berth_tokenize(model, &texts[i], 0, &tokens, NULL), BERTH_OK);
        memcpy(ids + offsets[i], tokens.ids, tokens.size * sizeof *ids);
        memcpy(types + offsets[i], tokens.type_ids, tokens.size);
        offsets[i + 1] = offsets[i] + tokens.size;
    }
    berth_tokens_clear(&tokens);
    struct berth_result results[COUNT];
    float want[COUNT][LABELS];
    classify(session, texts, COUNT, results);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(want[i], results[i].logits, sizeof want[i]);
    assert_int_equal(berth_session_classify_ids(session, ids, types, offsets, COUNT, results, NULL),
                     BERTH_OK);
    for (size_t i = 0; i < COUNT; i++)
        assert_memory_equal(want[i], results[i].logits, sizeof want[i]);
    /* types are read: the pair without them is another text */
    assert_int_equal(berth_session_classify_ids(session, ids, NULL, offsets, COUNT, results, NULL), BERTH_OK);
    assert_memory_equal(want[0], results[0].logits, sizeof want[0]);
    assert_memory_not_equal(want[2], results[2].logits, sizeof want[2]);
    berth_session_free(session);
    berth_model_free(model);
}

static void ids_refused(struct berth_session *session, const int32_t *ids, const size_t *offsets,
                        size_t count, const char *words)
{
    struct berth_result results[4];
    struct berth_error err = {0};
    assert_int_equal(berth_session_classify_ids(session, ids, NULL, offsets, count, results, &err),
                     BERTH_INVALID_ARGUMENT);
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
}

static void classify_ids_beyond_the_limit_are_refused_and_the_session_goes_on(void **state)
{
    (void)state;
    /* A batch of 16 tokens is smaller than the 512 positions of the weights: the limit in force counts. */
    struct berth_options options = {.max_length = 16, .max_batch_tokens = 16};
    struct berth_model *model = tiny_open("random:bert-tiny", &options);
    struct berth_session *session = tiny_session(model, NULL);
    static int32_t ids[IDS_MAX];
    ids_refused(session, ids, (size_t[]){0, 17}, 1, "1 to 16");
    ids_refused(session, ids, (size_t[]){0, IDS_MAX}, 1, "text 1");
    ids_refused(session, ids, (size_t[]){0, 16, 33}, 2, "text 2");
    ids_refused(session, ids, (size_t[]){0, 0}, 1, "0 token ids");
    ids_refused(session, ids, (size_t[]){0, 9, 5}, 2, "text 2");
    struct berth_result results[3];
    assert_int_equal(
        berth_session_classify_ids(session, ids, NULL, (size_t[]){0, 16, 32, 33}, 3, results, NULL),
        BERTH_OK);
    ids[3] = 30522;
    ids_refused(session, ids, (size_t[]){0, 16}, 1, "30522");
    ids[3] = -1;
    ids_refused(session, ids, (size_t[]){0, 16}, 1, "-1");
    ids[3] = 0;
    float want[LABELS];
    memcpy(want, results[0].logits, sizeof want);
    assert_int_equal(berth_session_classify_ids(session, ids, NULL, (size_t[]){0, 16}, 1, results, NULL),
                     BERTH_OK);
    assert_memory_equal(want, results[0].logits, sizeof want);
    berth_session_free(session);
    berth_model_free(model);
}

static void classify_of_no_texts_and_of_texts_without_tokens_is_answered(void **state)
{
    (void)state;
    struct berth_options bare = {.add_special_tokens = BERTH_FORCE_OFF};
    struct berth_model *model = tiny_open("random:bert-tiny", &bare);
    struct berth_session *session = tiny_session(model, NULL);
    struct berth_text texts[] = {BERTH_TEXT("film"), BERTH_TEXT(" \t")};
    struct berth_result results[2];
    struct berth_error err;
    assert_int_equal(berth_session_classify(session, NULL, 0, NULL, NULL), BERTH_OK);
    assert_int_equal(berth_session_timing(session).batches, 0);
    assert_int_equal(berth_session_classify(session, texts, 2, results, &err), BERTH_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "text 2 has no tokens"));
    classify(session, texts, 1, results);
    assert_int_equal(results[0].tokens, 1);
    berth_session_free(session);
    berth_model_free(model);
}

/* Scores of one text under a problem_type that the configuration names. */
static void classify_tiny(const char *problem, struct berth_result *result, float scores[3], float logits[3])
{
    struct support_model files;
    tiny_init(&files);
    char fields[96];
    snprintf(fields, sizeof fields, "\"problem_type\": \"%s\", \"vocab_size\"", problem);
    support_model_replace(&files, "\"vocab_size\"", fields);
    tiny_write(&files, tiny_vocab);
    struct berth_model *model = tiny_open(files.directory, NULL);
    struct berth_session *session = tiny_session(model, NULL);
    struct berth_text text = BERTH_TEXT("a funny film!");
    classify(session, &text, 1, result);
    memcpy(scores, result->scores, result->labels * sizeof *scores);
    memcpy(logits, result->logits, result->labels * sizeof *logits);
    if (result->label) /* borrowed from the model, which ends here */
        assert_string_equal(result->label, result->label_id ? "LABEL_1" : "LABEL_0");
    berth_session_free(session);
    berth_model_free(model);
    tiny_clear(&files);
}

static void classify_scores_follow_the_problem_type(void **state)
{
    (void)state;
    struct berth_result result;
    float scores[3], logits[3], sum[3];
    classify_tiny("single_label_classification", &result, scores, sum);
    assert_float_equal(scores[0] + scores[1], 1, 1e-6);
    classify_tiny("multi_label_classification", &result, scores, logits);
    assert_memory_equal(sum, logits, 2 * sizeof *logits);
    for (size_t i = 0; i < 2; i++)
        assert_float_equal(scores[i], (float)(1 / (1 + exp(-(double)logits[i]))), 1e-7);
    assert_non_null(result.label);
    classify_tiny("regression", &result, scores, logits);
    assert_memory_equal(scores, logits, 2 * sizeof *logits);
    assert_null(result.label);
    assert_int_equal(result.label_id, 0);
    assert_float_equal(result.score, logits[0], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classify_any_batch_size_gives_the_same_bits),
        cmocka_unit_test(classify_results_hang_together),
        cmocka_unit_test(classify_ids_of_a_text_gives_its_bits),
        cmocka_unit_test(classify_ids_beyond_the_limit_are_refused_and_the_session_goes_on),
        cmocka_unit_test(classify_of_no_texts_and_of_texts_without_tokens_is_answered),
        cmocka_unit_test(classify_scores_follow_the_problem_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
