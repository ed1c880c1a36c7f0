/* test_evaluate.c: files through berth_evaluate with a session that is played here: it answers each text with
 * the number that the text holds, so every metric is known beforehand, and any record that is lost, doubled
 * or shifted shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "berth/berth.h"
#include "support/text_support.h"

/* The played session: two logits, 0 and the number in the text (minus the pair's, when there is one). */
struct berth_session {
    struct berth_model_info info;
    float logits[4096][2];
    size_t calls, texts, largest;
    bool fail;
};

const struct berth_model *berth_session_model(const struct berth_session *session)
{
    return (const struct berth_model *)session;
}

const struct berth_model_info *berth_model_get_info(const struct berth_model *model)
{
    return &((const struct berth_session *)model)->info;
}

static float number_of(const char *text, size_t size)
{
    char copy[32] = "";
    memcpy(copy, text, size < sizeof copy - 1 ? size : sizeof copy - 1);
    return strtof(copy, NULL);
}

enum berth_status berth_session_classify(struct berth_session *session, const struct berth_text *texts,
                                         size_t count, struct berth_result *results, struct berth_error *err)
{
    assert_true(count > 0 && count <= 4096);
    session->calls++;
    session->texts += count;
    session->largest = count > session->largest ? count : session->largest;
    if (session->fail) {
        snprintf(err->message, sizeof err->message, "played failure");
        return BERTH_LIMIT;
    }
    for (size_t i = 0; i < count; i++) {
        float value = number_of(texts[i].text, texts[i].size);
        if (texts[i].pair)
            value -= number_of(texts[i].pair, texts[i].pair_size);
        bool regression = session->info.labels == 1;
        session->logits[i][0] = regression ? value : 0;
        session->logits[i][1] = regression ? 0 : value;
        results[i] =
            (struct berth_result){.logits = session->logits[i], .labels = session->info.labels, .tokens = 3};
    }
    return BERTH_OK;
}

static const char *const names[] = {"LABEL_0", "LABEL_1"};

static struct berth_session *new_session(const char *problem, size_t labels)
{
    struct berth_session *session = calloc(1, sizeof *session);
    assert_non_null(session);
    session->info = (struct berth_model_info){
        .name = "m", .problem = problem, .has_head = true, .labels = labels, .label_names = names};
    return session;
}

/* Evaluates the bytes as a file. */
static enum berth_status evaluate(struct berth_session *session, const char *task, const char *bytes,
                                  size_t size, struct berth_evaluation_options *options,
                                  struct berth_evaluation *evaluation, struct berth_error *err)
{
    char path[64];
    snprintf(path, sizeof path, "%s", text_file(bytes, size));
    options->task = task;
    options->data = path;
    enum berth_status status = berth_evaluate(session, options, evaluation, err);
    text_file_remove(path);
    return status;
}

static double metric(const struct berth_evaluation *evaluation, const char *name)
{
    for (size_t i = 0; i < evaluation->metrics; i++)
        if (strcmp(evaluation->metric[i].name, name) == 0)
            return evaluation->metric[i].value;
    fail_msg("no metric %s", name);
    return NAN;
}

static void evaluate_many_windows_count_each_record_once(void **state)
{
    (void)state;
    enum { EXAMPLES = 3 * 4096 + 7 };
    struct berth_session *session = new_session("single_label_classification", 2);
    struct berth_evaluation_options options = {0};
    struct berth_evaluation evaluation;
    struct berth_error err;
    struct berth_buffer file;
    berth_buffer_init(&file, 1 << 24);
    assert_true(berth_buffer_text(&file, "sentence\tlabel\n"));
    double loss = 0;
    for (int i = 0; i < EXAMPLES; i++) { /* every third answer is wrong */
        double logit = i % 2 ? 0.25 : -0.25;
        int label = i % 3 ? i % 2 : 1 - i % 2;
        assert_true(berth_buffer_format(&file, "%g\t%d\n", logit, label));
        loss += log1p(exp(label ? -logit : logit));
    }
    assert_int_equal(BERTH_OK, evaluate(session, "sst2", file.data, file.size, &options, &evaluation, &err));
    assert_int_equal(4, session->calls);
    assert_int_equal(EXAMPLES, session->texts);
    assert_int_equal(4096, session->largest);
    assert_int_equal(EXAMPLES, evaluation.examples);
    assert_int_equal(3 * EXAMPLES, evaluation.tokens);
    assert_true(metric(&evaluation, "accuracy") == (double)(EXAMPLES - (EXAMPLES + 2) / 3) / EXAMPLES);
    assert_true(fabs(evaluation.loss - loss / EXAMPLES) < 1e-12);
    assert_true(evaluation.seconds > 0);
    berth_buffer_clear(&file);
    free(session);
}

static void evaluate_pairs_and_empty_texts_stay_together(void **state)
{
    (void)state;
    struct berth_session *session = new_session("regression", 1);
    struct berth_evaluation_options options = {.columns = {.text = "a", .pair = "b", .label = "y"}};
    struct berth_evaluation evaluation;
    static const char file[] = "y,b,a\n1,2,3\n-5,5,\n7,\"\",7\n0,,\n";
    assert_int_equal(BERTH_OK, evaluate(session, "csv", file, sizeof file - 1, &options, &evaluation, NULL));
    assert_int_equal(4, evaluation.examples);
    assert_true(metric(&evaluation, "mse") == 0 && evaluation.loss == 0);
    assert_true(fabs(metric(&evaluation, "pearson") - 1) < 1e-12);
    free(session);
}

static void evaluate_long_texts_close_the_window_early(void **state)
{
    (void)state;
    enum { TEXT = 3 << 20, EXAMPLES = 5 };
    struct berth_session *session = new_session("single_label_classification", 2);
    struct berth_evaluation_options options = {0};
    struct berth_evaluation evaluation;
    struct berth_buffer file;
    berth_buffer_init(&file, SIZE_MAX / 4);
    for (int i = 0; i < EXAMPLES; i++) {
        assert_true(berth_buffer_text(&file, "{\"label\": 1, \"text\": \"1"));
        assert_true(berth_buffer_reserve(&file, TEXT));
        memset(file.data + file.size, ' ', TEXT);
        file.size += TEXT;
        assert_true(berth_buffer_text(&file, "\"}\n"));
    }
    assert_int_equal(BERTH_OK, evaluate(session, "jsonl", file.data, file.size, &options, &evaluation, NULL));
    assert_int_equal(2, session->calls);
    assert_true(metric(&evaluation, "accuracy") == 1);
    berth_buffer_clear(&file);
    free(session);
}

static bool stop_after(void *context, size_t done, size_t total)
{
    assert_int_equal(0, total);
    *(size_t *)context = done;
    return false;
}

static void evaluate_stopped_or_failing_leaves_nothing(void **state)
{
    (void)state;
    struct berth_session *session = new_session("single_label_classification", 2);
    static const struct berth_evaluation empty;
    size_t done = 0;
    struct berth_evaluation_options options = {.progress = stop_after, .progress_context = &done};
    struct berth_evaluation evaluation;
    struct berth_error err;
    static const char file[] = "sentence\tlabel\n1\t1\n";
    assert_int_equal(BERTH_CANCELLED,
                     evaluate(session, "sst2", file, sizeof file - 1, &options, &evaluation, &err));
    assert_int_equal(1, done);
    assert_memory_equal(&empty, &evaluation, sizeof empty);
    session->fail = true;
    assert_int_equal(BERTH_LIMIT,
                     evaluate(session, "sst2", file, sizeof file - 1, &options, &evaluation, &err));
    assert_string_equal("played failure", err.message);
    free(session);
}

static void refuse(const char *task, const char *file, enum berth_status want, const char *part)
{
    struct berth_session *session = new_session("single_label_classification", 2);
    struct berth_evaluation_options options = {0};
    struct berth_evaluation evaluation;
    struct berth_error err;
    assert_int_equal(want, evaluate(session, task, file, strlen(file), &options, &evaluation, &err));
    if (!strstr(err.message, part))
        fail_msg("'%s' lacks '%s'", err.message, part);
    free(session);
}

static void evaluate_wrong_input_is_refused_in_one_sentence(void **state)
{
    (void)state;
    refuse("sst2", "sentence\tlabel\n1\t1\n2\t2\n", BERTH_FORMAT, ":3: label '2' is not a name or an index");
    refuse("sst2", "sentence\tlabel\n", BERTH_FORMAT, ": no examples to evaluate on");
    refuse("sst2", "index\tsentence\n0\ta\n", BERTH_FORMAT, "labels are needed");
    refuse("jsonl", "{\"text\":\"a\"}\n", BERTH_FORMAT, ":1: key 'label' is missing");
    refuse("csv", "text\na\n", BERTH_FORMAT, "no column 'label'");
    refuse("stsb", "", BERTH_UNSUPPORTED, "task stsb is a regression");
    refuse("mnli", "", BERTH_UNSUPPORTED, "task mnli has 3 labels, model m has 2");
    refuse("ax", "", BERTH_INVALID_ARGUMENT, "unknown task 'ax'");
    struct berth_session *session = new_session("single_label_classification", 2);
    struct berth_evaluation evaluation;
    assert_int_equal(
        BERTH_INVALID_ARGUMENT,
        berth_evaluate(session, &(struct berth_evaluation_options){.task = "sst2"}, &evaluation, NULL));
    free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(evaluate_many_windows_count_each_record_once),
        cmocka_unit_test(evaluate_pairs_and_empty_texts_stay_together),
        cmocka_unit_test(evaluate_long_texts_close_the_window_early),
        cmocka_unit_test(evaluate_stopped_or_failing_leaves_nothing),
        cmocka_unit_test(evaluate_wrong_input_is_refused_in_one_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
