/* test_scorer.c: logits and targets to the metrics of each task, checked against values worked out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval/scorer.h"

static const double bound = 1e-12;

/* A task, a model and what scoring gave. */
struct fixture {
    struct berth_model_info model;
    struct berth_label_map labels;
    struct berth_scorer scorer;
    struct berth_evaluation evaluation;
};

static void begin(struct fixture *f, const char *task, const char *problem, size_t labels,
                  const char *const *names)
{
    *f = (struct fixture){
        .model = {.name = "m", .problem = problem, .has_head = true, .labels = labels, .label_names = names}};
    assert_int_equal(BERTH_OK, berth_label_map_init(&f->labels, berth_task_find(task), &f->model, NULL));
    assert_int_equal(BERTH_OK, berth_scorer_init(&f->scorer, &f->labels, NULL));
}

static void add(struct fixture *f, const double *target, const float *logits)
{
    assert_int_equal(BERTH_OK, berth_scorer_add(&f->scorer, target, logits, NULL));
}

static void finish(struct fixture *f)
{
    assert_int_equal(BERTH_OK, berth_scorer_finish(&f->scorer, &f->evaluation, NULL));
    berth_scorer_clear(&f->scorer);
    berth_label_map_clear(&f->labels);
}

static double metric(const struct fixture *f, const char *name)
{
    for (size_t i = 0; i < f->evaluation.metrics; i++)
        if (strcmp(f->evaluation.metric[i].name, name) == 0)
            return f->evaluation.metric[i].value;
    fail_msg("no metric %s", name);
    return NAN;
}

/* The names in print order, joined by spaces. */
static void assert_names(const struct fixture *f, const char *want)
{
    char names[256] = "";
    for (size_t i = 0; i < f->evaluation.metrics; i++) {
        strcat(names, i ? " " : "");
        strcat(names, f->evaluation.metric[i].name);
    }
    assert_string_equal(want, names);
}

static const char *const plain[] = {"LABEL_0", "LABEL_1", "LABEL_2"};

static void scorer_binary_counts_give_accuracy_f1_and_loss(void **state)
{
    (void)state;
    struct fixture f;
    /* actual 1 1 1 0, predicted 1 1 0 1: two hits of class 1, F1 = 4 / 6 */
    static const double actual[] = {1, 1, 1, 0};
    static const float logits[][2] = {{0, 2}, {0, 2}, {2, 0}, {0, 2}};
    begin(&f, "mrpc", "single_label_classification", 2, plain);
    for (size_t i = 0; i < 4; i++)
        add(&f, &actual[i], logits[i]);
    finish(&f);
    assert_names(&f, "accuracy f1 acc_and_f1");
    assert_true(metric(&f, "accuracy") == 0.5);
    assert_true(fabs(metric(&f, "f1") - 2.0 / 3) < bound);
    assert_true(fabs(metric(&f, "acc_and_f1") - 7.0 / 12) < bound);
    double right = log1p(exp(-2)), wrong = 2 + right;
    assert_true(fabs(f.evaluation.loss - (right + wrong) / 2) < bound);
    assert_true(f.evaluation.examples == 4);
    assert_string_equal("mrpc", f.evaluation.task);
}

static void scorer_models_own_order_changes_nothing_but_the_logits_place(void **state)
{
    (void)state;
    static const char *const reversed[] = {"EQUIVALENT", "NOT_EQUIVALENT"};
    static const double actual[] = {1, 1, 1, 0};
    static const float logits[][2] = {{0, 2}, {0, 2.5f}, {2, 0}, {0, 3}};
    struct fixture straight, turned;
    begin(&straight, "mrpc", "single_label_classification", 2, plain);
    begin(&turned, "mrpc", "single_label_classification", 2, reversed);
    for (size_t i = 0; i < 4; i++) {
        float swapped[] = {logits[i][1], logits[i][0]};
        add(&straight, &actual[i], logits[i]);
        add(&turned, &actual[i], swapped);
    }
    finish(&straight);
    finish(&turned);
    assert_memory_equal(&straight.evaluation, &turned.evaluation, sizeof straight.evaluation);
}

static void scorer_each_task_has_its_metrics(void **state)
{
    (void)state;
    static const struct {
        const char *task, *problem;
        size_t labels;
        const char *names;
    } cases[] = {
        {"cola", "single_label_classification", 2, "matthews_correlation accuracy"},
        {"sst2", "single_label_classification", 2, "accuracy"},
        {"qqp", "single_label_classification", 2, "accuracy f1 acc_and_f1"},
        {"mnli", "single_label_classification", 3, "accuracy"},
        {"qnli", "single_label_classification", 2, "accuracy"},
        {"rte", "single_label_classification", 2, "accuracy"},
        {"wnli", "single_label_classification", 2, "accuracy"},
        {"stsb", "regression", 1, "pearson spearmanr corr mse mae"},
        {"csv", "regression", 1, "pearson spearmanr corr mse mae"},
        {"csv", "single_label_classification", 2,
         "accuracy f1 f1_macro f1_micro f1_weighted matthews_correlation"},
        {"jsonl", "single_label_classification", 3,
         "accuracy f1_macro f1_micro f1_weighted matthews_correlation"},
        {"jsonl", "multi_label_classification", 3, "accuracy f1_macro f1_micro f1_weighted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct fixture f;
        static const double target[3] = {1, 0, 0};
        static const float logits[3] = {0.5f, 1, 0};
        begin(&f, cases[i].task, cases[i].problem, cases[i].labels, plain);
        add(&f, target, logits);
        finish(&f);
        assert_names(&f, cases[i].names);
    }
}

static void scorer_multi_label_counts_sets_and_members(void **state)
{
    (void)state;
    struct fixture f;
    static const double actual[][3] = {{1, 0, 1}, {0, 1, 0}, {0, 0, 0}};
    static const float logits[][3] = {{1, -1, 0}, {-1, -2, 1}, {-1, -1, -1}}; /* sets {0,2}, {2}, {} */
    begin(&f, "jsonl", "multi_label_classification", 3, plain);
    for (size_t i = 0; i < 3; i++)
        add(&f, actual[i], logits[i]);
    finish(&f);
    assert_true(fabs(metric(&f, "accuracy") - 2.0 / 3) < bound);
    assert_true(fabs(metric(&f, "f1_micro") - 4.0 / 6) < bound); /* two hits, three true, three predicted */
    assert_true(fabs(metric(&f, "f1_macro") - (1 + 0 + 2.0 / 3) / 3) < bound); /* 1, 0, 2/3 */
    assert_true(fabs(metric(&f, "f1_weighted") - (1 + 0 + 2.0 / 3) / 3) < bound);
    /* softplus(-x) for a true label, softplus(x) for a false one */
    double sum = 0;
    for (size_t i = 0; i < 9; i++)
        sum += log(1 + exp(actual[i / 3][i % 3] ? -logits[i / 3][i % 3] : logits[i / 3][i % 3]));
    assert_true(fabs(f.evaluation.loss - sum / 9) < bound);
}

static void scorer_regression_keeps_every_example(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, "stsb", "regression", 1, plain);
    for (int i = 0; i < 5000; i++) { /* beyond the first block: y = 2 x + 1 */
        double target = 2.0 * i + 1;
        float logit = (float)i;
        add(&f, &target, &logit);
    }
    finish(&f);
    assert_true(fabs(metric(&f, "pearson") - 1) < bound && fabs(metric(&f, "spearmanr") - 1) < bound);
    double mse = 0; /* of i + 1 */
    for (int i = 1; i <= 5000; i++)
        mse += (double)i * i / 5000;
    assert_true(fabs(metric(&f, "mse") - mse) < bound * mse && fabs(f.evaluation.loss - mse) < bound * mse);
    assert_true(metric(&f, "mae") == 2500.5);
}

static void metrics_without_examples_are_undefined(void **state)
{
    (void)state;
    struct berth_tally tally;
    double x = 1;
    assert_true(berth_tally_init(&tally, 2));
    assert_true(isnan(berth_accuracy(&tally)) && isnan(berth_f1(&tally, 1)) && isnan(berth_f1_macro(&tally)));
    assert_true(isnan(berth_f1_micro(&tally)) && isnan(berth_f1_weighted(&tally)) &&
                isnan(berth_matthews(&tally)));
    assert_true(isnan(berth_pearson(&x, &x, 1)) && isnan(berth_mse(&x, &x, 0)) &&
                isnan(berth_mae(&x, &x, 0)));
    berth_tally_clear(&tally);
    berth_tally_clear(&tally);
}

static void cross_entropy_extreme_logits_stay_finite(void **state)
{
    (void)state;
    static const float far[] = {FLT_MAX, -FLT_MAX};
    static const double none[] = {0, 1};
    assert_true(berth_cross_entropy(far, 2, 0) == 0);
    assert_true(isfinite(berth_cross_entropy(far, 2, 1)) && berth_cross_entropy(far, 2, 1) > 6e38);
    assert_true(isfinite(berth_binary_cross_entropy(far, none, 2)));
}

static void json_undefined_metrics_are_null_and_doubles_exact(void **state)
{
    (void)state;
    struct berth_evaluation evaluation = {.task = "stsb",
                                          .examples = 3,
                                          .tokens = 21,
                                          .loss = 0.1,
                                          .seconds = 0.5,
                                          .metrics = 2,
                                          .metric = {{"pearson", NAN}, {"mse", 1.0 / 3}}};
    char *json = berth_evaluation_json(&evaluation);
    assert_non_null(json);
    assert_string_equal(
        "{\"task\": \"stsb\", \"examples\": 3, \"loss\": 0.10000000000000001, \"pearson\": null, "
        "\"mse\": 0.33333333333333331, \"seconds\": 0.5, \"tokens\": 21}",
        json);
    free(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scorer_binary_counts_give_accuracy_f1_and_loss),
        cmocka_unit_test(scorer_models_own_order_changes_nothing_but_the_logits_place),
        cmocka_unit_test(scorer_each_task_has_its_metrics),
        cmocka_unit_test(scorer_multi_label_counts_sets_and_members),
        cmocka_unit_test(scorer_regression_keeps_every_example),
        cmocka_unit_test(metrics_without_examples_are_undefined),
        cmocka_unit_test(cross_entropy_extreme_logits_stay_finite),
        cmocka_unit_test(json_undefined_metrics_are_null_and_doubles_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
