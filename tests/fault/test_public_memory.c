/* test_public_memory.c: each allocation of opening a model, tokenising and predicting fails in turn: always
 * one sentence and BERTH_NO_MEMORY, nothing kept, and the right answer once none fails. A warm session
 * allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/golden.h"

static const struct berth_text texts[] = {BERTH_TEXT("a gripping, funny film"),
                                          BERTH_TEXT("caf\xc3\xa9 \xff unaffable"), BERTH_TEXT("")};
enum { TEXTS = sizeof texts / sizeof *texts, SPARE = 0 };

static enum berth_status open_and_predict(const char *model, const struct berth_options *options,
                                          float *logits, struct berth_error *err)
{
    struct berth_classifier *classifier;
    struct berth_result results[TEXTS];
    enum berth_status status = berth_classifier_open(model, options, &classifier, err);
    if (status != BERTH_OK)
        return status;
    status = berth_classify(classifier, texts, TEXTS, results, err);
    for (size_t i = 0; i < TEXTS && status == BERTH_OK; i++)
        logits[i] = results[i].logits[0];
    berth_classifier_free(classifier);
    return status;
}

struct job {
    const char *model;
    const struct berth_options *options;
    float want[TEXTS];
};

/* Opens, predicts, and compares with the answer of an undisturbed run. */
static enum berth_status run_job(void *context, struct berth_error *err)
{
    struct job *job = context;
    float got[TEXTS];
    enum berth_status status = open_and_predict(job->model, job->options, got, err);
    if (status == BERTH_OK)
        assert_memory_equal(job->want, got, sizeof got);
    return status;
}

static void check_each_allocation(const char *model, const struct berth_options *options, long spare)
{
    struct job job = {.model = model, .options = options};
    struct berth_error err;
    if (open_and_predict(model, options, job.want, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    fault_each(run_job, &job, 20, spare);
}

static void open_and_predict_of_a_directory_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 1, .isa = "avx2"};
    check_each_allocation(golden_path("golden/models/bert-gelu-2"), &options, SPARE);
}

static void open_and_predict_of_a_random_model_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 2, .max_length = 64};
    check_each_allocation("random:bert-tiny", &options, SPARE);
}

/* Tokenises with a fresh struct, and back. */
static enum berth_status there_and_back(void *context, struct berth_error *err)
{
    const struct berth_model *model = context;
    struct berth_tokens tokens = {0};
    char *back = NULL;
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < TEXTS && status == BERTH_OK; i++)
        status = berth_tokenize(model, &texts[i], 0, &tokens, err);
    if (status == BERTH_OK)
        status = berth_tokenize(model, &texts[0], 0, &tokens, err);
    if (status == BERTH_OK)
        status = berth_detokenize(model, tokens.ids, tokens.size, true, true, &back, err);
    if (status == BERTH_OK)
        assert_string_equal(back, texts[0].text);
    berth_memory_free(back);
    berth_tokens_clear(&tokens);
    return status;
}

static void tokenize_and_back_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_options options = {.tokenizer_only = true};
    struct berth_model *model;
    assert_int_equal(berth_model_open("random:bert-tiny", &options, &model, NULL), BERTH_OK);
    fault_each(there_and_back, model, 3, SPARE);
    berth_model_free(model);
}

static enum berth_status open_to_tokenise(void *context, struct berth_error *err)
{
    struct berth_options options = {.tokenizer_only = true};
    struct berth_model *model;
    enum berth_status status = berth_model_open(context, &options, &model, err);
    if (status != BERTH_OK)
        assert_null(model);
    else
        berth_model_free(model);
    return status;
}

static void open_to_tokenise_survives_each_failing_allocation(void **state)
{
    (void)state;
    fault_each(open_to_tokenise, "random:bert-tiny", 10, SPARE);
}

struct description {
    const struct berth_model *model;
    bool json;
    char *want;
};

/* All of the description, or none and no memory. */
static enum berth_status describe(void *context, struct berth_error *err)
{
    struct description *description = context;
    char *text = berth_model_describe(description->model, true, 32, description->json);
    if (!text) {
        snprintf(err->message, sizeof err->message, "out of memory");
        return BERTH_NO_MEMORY;
    }
    assert_string_equal(text, description->want);
    berth_memory_free(text);
    return BERTH_OK;
}

static void describe_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_model *model;
    assert_int_equal(berth_model_open("random:bert-tiny", NULL, &model, NULL), BERTH_OK);
    fault_watch_json();
    for (int json = 0; json < 2; json++) {
        struct description description = {model, json, berth_model_describe(model, true, 32, json)};
        assert_non_null(description.want);
        fault_each(describe, &description, json ? 100 : 3, SPARE);
        berth_memory_free(description.want);
    }
    berth_model_free(model);
}

static void a_warm_session_allocates_nothing(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 2};
    struct berth_classifier *classifier;
    struct berth_result results[TEXTS];
    assert_int_equal(berth_classifier_open("random:bert-tiny", &options, &classifier, NULL), BERTH_OK);
    assert_int_equal(berth_classify(classifier, texts, TEXTS, results, NULL), BERTH_OK);
    fault_arm(0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(berth_classify(classifier, texts, TEXTS, results, NULL), BERTH_OK);
    assert_int_equal(fault_calls(), 0);
    berth_classifier_free(classifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_and_predict_of_a_random_model_survives_each_failing_allocation),
        cmocka_unit_test(open_to_tokenise_survives_each_failing_allocation),
        cmocka_unit_test(tokenize_and_back_survives_each_failing_allocation),
        cmocka_unit_test(a_warm_session_allocates_nothing),
        cmocka_unit_test(open_and_predict_of_a_directory_survives_each_failing_allocation),
        cmocka_unit_test(
            describe_survives_each_failing_allocation), /* last: jansson is watched from there on */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
