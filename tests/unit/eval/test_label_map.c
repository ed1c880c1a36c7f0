/* test_label_map.c: names and numbers in files to targets, and models that cannot answer a task. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <locale.h>
#include <string.h>

#include "eval/label_map.h"

static const char *const plain[] = {"LABEL_0", "LABEL_1", "LABEL_2"};
static const char *const mnli_roberta[] = {"CONTRADICTION", "NEUTRAL", "ENTAILMENT"};
static const char *const reversed[] = {"POSITIVE", "NEGATIVE"};
static const char *const topics[] = {"sport", "Sport", "economy", "1"};

static struct berth_model_info model_of(const char *problem, size_t labels, const char *const *names)
{
    return (struct berth_model_info){
        .name = "m", .problem = problem, .has_head = true, .labels = labels, .label_names = names};
}

static const char single[] = "single_label_classification", multi[] = "multi_label_classification",
                  regression[] = "regression";

static void init(struct berth_label_map *labels, const char *task, const struct berth_model_info *model)
{
    assert_int_equal(BERTH_OK, berth_label_map_init(labels, berth_task_find(task), model, NULL));
}

static double read_class(const struct berth_label_map *labels, const char *text)
{
    double target = -1;
    return berth_label_map_read(labels, text, &target, NULL) == BERTH_OK ? target : -1;
}

static void read_glue_names_and_indices_are_the_tasks(void **state)
{
    (void)state;
    struct berth_label_map labels;
    struct berth_model_info model = model_of(single, 2, plain);
    init(&labels, "rte", &model);
    assert_true(read_class(&labels, "entailment") == 0 && read_class(&labels, "not_entailment") == 1);
    assert_true(read_class(&labels, "Not_Entailment") == 1 && read_class(&labels, "1") == 1);
    assert_true(berth_label_map_to_model(&labels, 0) == 0 && berth_label_map_to_model(&labels, 1) == 1);
    assert_true(read_class(&labels, "LABEL_0") == -1); /* a GLUE file speaks GLUE's names */
    berth_label_map_clear(&labels);
}

static void to_model_named_models_keep_their_order(void **state)
{
    (void)state;
    struct berth_label_map labels;
    struct berth_model_info model = model_of(single, 3, mnli_roberta);
    init(&labels, "mnli", &model);
    assert_true(read_class(&labels, "entailment") == 0 && berth_label_map_to_model(&labels, 0) == 2);
    assert_true(berth_label_map_to_model(&labels, 1) == 1 && berth_label_map_to_model(&labels, 2) == 0);
    berth_label_map_clear(&labels);
    model = model_of(single, 2, reversed);
    init(&labels, "sst2", &model);
    assert_true(read_class(&labels, "1") == 1 && berth_label_map_to_model(&labels, 1) == 0);
    berth_label_map_clear(&labels);
}

static void to_model_half_known_names_leave_the_tasks_order(void **state)
{
    (void)state;
    static const char *const half[] = {"positive", "other"};
    struct berth_label_map labels;
    struct berth_model_info model = model_of(single, 2, half);
    init(&labels, "sst2", &model);
    assert_true(berth_label_map_to_model(&labels, 0) == 0 && berth_label_map_to_model(&labels, 1) == 1);
    berth_label_map_clear(&labels);
}

static void read_own_names_go_before_numbers(void **state)
{
    (void)state;
    struct berth_label_map labels;
    struct berth_model_info model = model_of(single, 4, topics);
    init(&labels, "csv", &model);
    assert_true(read_class(&labels, "sport") == 0 && read_class(&labels, "Sport") == 1);
    assert_true(read_class(&labels, "SPORT") == 0 && read_class(&labels, "ECONOMY") == 2);
    assert_true(read_class(&labels, "1") == 3 && read_class(&labels, "2") == 2 &&
                read_class(&labels, "2.0") == 2);
    assert_true(read_class(&labels, "true") == 1 && read_class(&labels, "False") == 0);
    berth_label_map_clear(&labels);
}

static void read_class_labels_out_of_range_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"2",   "-1",  "0.5", "",      " 1",      "1 ",
                                        "nan", "inf", "0x1", "1e400", "positiv", "[1]"};
    struct berth_label_map labels;
    struct berth_error err;
    struct berth_model_info model = model_of(single, 2, plain);
    double target;
    init(&labels, "sst2", &model);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(BERTH_FORMAT, berth_label_map_read(&labels, wrong[i], &target, &err));
    assert_string_equal(
        "label '[1]' is not a name or an index of the 2 labels: 'negative' and 'positive', 0 and 1",
        err.message);
    berth_label_map_clear(&labels);
}

static void check_set(const struct berth_label_map *labels, const char *text, const char *want)
{
    double target[4];
    assert_int_equal(BERTH_OK, berth_label_map_read(labels, text, target, NULL));
    for (size_t i = 0; i < strlen(want); i++)
        assert_true(target[i] == want[i] - '0');
}

static void read_sets_from_names_indices_and_flags(void **state)
{
    (void)state;
    struct berth_label_map labels;
    struct berth_model_info model = model_of(multi, 4, topics);
    double target[4];
    init(&labels, "jsonl", &model);
    check_set(&labels, "[]", "0000");
    check_set(&labels, "[\"economy\", \"sport\"]", "1010");
    check_set(&labels, "[3,0]", "1001");
    check_set(&labels, "[1.0,0.0,1.0,0.0]", "1010");
    check_set(&labels, "[0,0,0,0]", "0000");
    check_set(&labels, "[0,1,2,3]", "1111");
    check_set(&labels, "economy", "0010");
    static const char *const wrong[] = {"[4]", "[\"x\"]", "[-1]", "[0.5]", "[null]", "[[0]]", "[0", "{}", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(BERTH_FORMAT, berth_label_map_read(&labels, wrong[i], target, NULL));
    berth_label_map_clear(&labels);
}

static void read_values_are_finite_decimal_numbers_in_any_locale(void **state)
{
    (void)state;
    struct berth_label_map labels;
    struct berth_model_info model = model_of(regression, 1, plain);
    double target;
    if (!setlocale(LC_NUMERIC, "de_DE.UTF-8"))
        printf("no German locale here: the decimal point is checked in this one alone\n");
    init(&labels, "stsb", &model);
    assert_true(berth_label_map_read(&labels, "4.750", &target, NULL) == BERTH_OK && target == 4.75);
    assert_true(berth_label_map_read(&labels, "-1e-3", &target, NULL) == BERTH_OK && target == -1e-3);
    static const char *const wrong[] = {"", "4,5", "nan", "inf", "1e999", "0x10", " 1", "1 ", "high", "1-1"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(BERTH_FORMAT, berth_label_map_read(&labels, wrong[i], &target, NULL));
    berth_label_map_clear(&labels);
    setlocale(LC_NUMERIC, "C");
}

static void refuse(const char *task, const struct berth_model_info *model, const char *message)
{
    struct berth_label_map labels;
    struct berth_error err;
    assert_int_equal(BERTH_UNSUPPORTED, berth_label_map_init(&labels, berth_task_find(task), model, &err));
    assert_string_equal(message, err.message);
}

static void init_model_that_does_not_fit_is_refused_by_name(void **state)
{
    (void)state;
    struct berth_model_info three = model_of(single, 3, plain), value = model_of(regression, 1, plain);
    struct berth_model_info sets = model_of(multi, 2, plain), bare = model_of(single, 2, plain);
    struct berth_model_info values = model_of(regression, 2, plain);
    bare.has_head = false;
    refuse("sst2", &three, "task sst2 has 2 labels, model m has 3");
    refuse("sst2", &value, "task sst2 has 2 labels, one for each text; model m is for regression");
    refuse("mrpc", &sets,
           "task mrpc has 2 labels, one for each text; model m is for multi_label_classification");
    refuse("stsb", &three,
           "task stsb is a regression; model m is for single_label_classification with 3 labels");
    refuse("csv", &bare, "model m has no classification head; fine-tune it first");
    refuse("jsonl", &values, "model m is a regression with 2 outputs; metrics are for one");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(read_glue_names_and_indices_are_the_tasks),
        cmocka_unit_test(to_model_named_models_keep_their_order),
        cmocka_unit_test(to_model_half_known_names_leave_the_tasks_order),
        cmocka_unit_test(read_own_names_go_before_numbers),
        cmocka_unit_test(read_class_labels_out_of_range_are_refused),
        cmocka_unit_test(read_sets_from_names_indices_and_flags),
        cmocka_unit_test(read_values_are_finite_decimal_numbers_in_any_locale),
        cmocka_unit_test(init_model_that_does_not_fit_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
