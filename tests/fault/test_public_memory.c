/* test_public_memory.c: each allocation of opening a model, tokenising and predicting fails in turn: always one sentence and
 * BERTH_NO_MEMORY, nothing leaked (the sanitizer sees), and the right answer once none fails. A warm session allocates nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/golden.h"

static const struct berth_text texts[] = {BERTH_TEXT("a gripping, funny film"), BERTH_TEXT("caf\xc3\xa9 \xff unaffable"), BERTH_TEXT("")};
enum { TEXTS = sizeof texts / sizeof *texts };

static enum berth_status open_and_predict(const char *model, const struct berth_options *options, float *logits, struct berth_error *err)
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

static void check_each_allocation(const char *model, const struct berth_options *options)
{
    float want[TEXTS], got[TEXTS];
    struct berth_error err;
    fault_begin(-1);
    enum berth_status status = open_and_predict(model, options, want, &err);
    long needed = fault_end();
    if (status != BERTH_OK)
        fail_msg("%s", err.message);
    assert_true(needed > 20);
    size_t refused = 0;
    for (long i = 0; i < needed; i++) {
        memset(&err, 0, sizeof err);
        fault_begin(i);
        status = open_and_predict(model, options, got, &err);
        fault_end();
        if (status == BERTH_OK) /* an allocation that only bounds a remark or a guess may be done without */
            assert_memory_equal(want, got, sizeof want);
        else {
            if (!strstr(err.message, "memory"))
                print_message("allocation %ld: %s\n", i, err.message);
            assert_true(strlen(err.message) > 10);
            refused++;
        }
    }
    assert_true(refused > (size_t)needed / 2);
}

static void open_and_predict_of_a_directory_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 1, .isa = "avx2"};
    check_each_allocation(golden_path("golden/models/bert-gelu-2"), &options);
}

static void open_and_predict_of_a_random_model_survives_each_failing_allocation(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 2, .max_length = 64};
    check_each_allocation("random:bert-tiny", &options);
}

static void a_warm_session_allocates_nothing(void **state)
{
    (void)state;
    struct berth_options options = {.threads = 2};
    struct berth_classifier *classifier;
    struct berth_result results[TEXTS];
    assert_int_equal(berth_classifier_open("random:bert-tiny", &options, &classifier, NULL), BERTH_OK);
    assert_int_equal(berth_classify(classifier, texts, TEXTS, results, NULL), BERTH_OK);
    fault_begin(-1);
    for (int i = 0; i < 10; i++)
        assert_int_equal(berth_classify(classifier, texts, TEXTS, results, NULL), BERTH_OK);
    assert_int_equal(fault_end(), 0);
    berth_classifier_free(classifier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_and_predict_of_a_random_model_survives_each_failing_allocation),
        cmocka_unit_test(a_warm_session_allocates_nothing),
        cmocka_unit_test(open_and_predict_of_a_directory_survives_each_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
