/* test_metrics.c: every metric against scikit-learn's and SciPy's values, to 1e-12; and that the comparison
 * can fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval/metrics.h"
#include "support/golden.h"

static const double bound = 1e-12;
static json_t *cases;

static double number_at(const json_t *array, size_t i)
{
    return json_number_value(json_array_get(array, i));
}

/* Whether `have` is the case's expected value; a null there means undefined. An absent key is a wrong call.
 */
static bool agrees(const json_t *expected, const char *key, double have)
{
    const json_t *want = json_object_get(expected, key);
    assert_non_null(want);
    return json_is_null(want) ? isnan(have) : fabs(json_number_value(want) - have) <= bound;
}

static struct berth_tally tally_case(const json_t *test)
{
    const json_t *labels = json_object_get(test, "labels"),
                 *predictions = json_object_get(test, "predictions");
    struct berth_tally tally;
    assert_true(berth_tally_init(&tally, (size_t)json_integer_value(json_object_get(test, "num_classes"))));
    for (size_t i = 0; i < json_array_size(labels); i++)
        berth_tally_add(&tally, (size_t)number_at(labels, i), (size_t)number_at(predictions, i));
    return tally;
}

static void check_classification(const json_t *test)
{
    const json_t *expected = json_object_get(test, "expected");
    struct berth_tally tally = tally_case(test);
    assert_true(agrees(expected, "accuracy", berth_accuracy(&tally)));
    assert_true(agrees(expected, "matthews_correlation", berth_matthews(&tally)));
    assert_true(agrees(expected, "f1_macro", berth_f1_macro(&tally)));
    assert_true(agrees(expected, "f1_micro", berth_f1_micro(&tally)));
    assert_true(agrees(expected, "f1_weighted", berth_f1_weighted(&tally)));
    if (tally.classes == 2) {
        assert_true(agrees(expected, "f1_binary_pos1", berth_f1(&tally, 1)));
        assert_true(agrees(expected, "acc_and_f1", (berth_accuracy(&tally) + berth_f1(&tally, 1)) / 2));
    }
    berth_tally_clear(&tally);
}

static void check_regression(const json_t *test)
{
    const json_t *expected = json_object_get(test, "expected");
    const json_t *labels = json_object_get(test, "labels"),
                 *predictions = json_object_get(test, "predictions");
    size_t n = json_array_size(labels);
    double *x = calloc(n, sizeof *x), *y = calloc(n, sizeof *y), spearman;
    assert_true(x && y);
    for (size_t i = 0; i < n; i++) {
        x[i] = number_at(predictions, i);
        y[i] = number_at(labels, i);
    }
    assert_true(berth_spearman(x, y, n, &spearman));
    assert_true(agrees(expected, "pearson", berth_pearson(x, y, n)));
    assert_true(agrees(expected, "spearmanr", spearman));
    assert_true(agrees(expected, "corr", (berth_pearson(x, y, n) + spearman) / 2));
    assert_true(agrees(expected, "mse", berth_mse(x, y, n)));
    assert_true(agrees(expected, "mae", berth_mae(x, y, n)));
    free(x);
    free(y);
}

/* Runs check over the cases of a kind; returns how many there were. */
static size_t each_case(const char *kind, void (*check)(const json_t *))
{
    size_t i, count = 0;
    json_t *test;
    json_array_foreach(cases, i, test)
    {
        if (strcmp(json_string_value(json_object_get(test, "kind")), kind) == 0) {
            check(test);
            count++;
        }
    }
    return count;
}

static void tally_golden_cases_give_sklearns_values(void **state)
{
    (void)state;
    assert_true(each_case("classification", check_classification) >= 10);
}

static void correlations_golden_cases_give_scipys_values(void **state)
{
    (void)state;
    assert_true(each_case("regression", check_regression) >= 5);
}

/* Negative control: one prediction flipped must be noticed by every metric that a flip can change. */
static void check_flipped(const json_t *test)
{
    const json_t *expected = json_object_get(test, "expected");
    json_t *flipped = json_deep_copy(test), *predictions = json_object_get(flipped, "predictions");
    json_int_t classes = json_integer_value(json_object_get(test, "num_classes"));
    json_int_t old = json_integer_value(json_array_get(predictions, 0));
    json_array_set_new(predictions, 0, json_integer((old + 1) % classes));
    struct berth_tally tally = tally_case(flipped);
    double change = 1.0 / (double)tally.examples;
    bool hit = number_at(json_object_get(test, "labels"), 0) == (double)old ||
               number_at(json_object_get(test, "labels"), 0) == (double)((old + 1) % classes);
    assert_true(change > bound);
    if (hit) {
        assert_false(agrees(expected, "accuracy", berth_accuracy(&tally)));
        assert_false(agrees(expected, "f1_micro", berth_f1_micro(&tally)));
        assert_false(agrees(expected, "f1_weighted", berth_f1_weighted(&tally)));
    }
    berth_tally_clear(&tally);
    json_decref(flipped);
}

static void agrees_flipped_prediction_is_noticed(void **state)
{
    (void)state;
    assert_true(each_case("classification", check_flipped) >= 10);
}

int main(void)
{
    const char *path = golden_path("golden/metrics/metrics.json");
    json_error_t problem;
    json_t *root = json_load_file(path, 0, &problem);
    cases = json_object_get(root, "cases");
    if (!cases) {
        fprintf(stderr, "%s: %s\n", path, problem.text);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tally_golden_cases_give_sklearns_values),
        cmocka_unit_test(correlations_golden_cases_give_scipys_values),
        cmocka_unit_test(agrees_flipped_prediction_is_noticed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    json_decref(root);
    return failed;
}
