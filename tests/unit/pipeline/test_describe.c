/* test_describe.c: the description says what the model is: JSON that parses and agrees with the facts, a bill
 * that adds up, words of a hostile model that stay words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/tiny_model.h"

static json_t *described(const struct berth_model *model, bool plan, size_t length)
{
    char *text = berth_model_describe(model, plan, length, true);
    assert_non_null(text);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (!root)
        fail_msg("%s", error.text);
    berth_memory_free(text);
    return root;
}

static size_t size_of(const json_t *root, const char *key)
{
    assert_true(json_is_integer(json_object_get(root, key)));
    return (size_t)json_integer_value(json_object_get(root, key));
}

static void describe_json_agrees_with_the_facts(void **state)
{
    (void)state;
    struct berth_model *model = tiny_open("random:electra-small", &(struct berth_options){.max_length = 99});
    const struct berth_model_info *info = berth_model_get_info(model);
    json_t *root = described(model, false, 0);
    assert_string_equal(json_string_value(json_object_get(root, "architecture")),
                        "ElectraForSequenceClassification");
    assert_string_equal(json_string_value(json_object_get(root, "isa")), info->isa);
    assert_string_equal(json_string_value(json_object_get(root, "precision")), "fp32");
    assert_int_equal(size_of(root, "parameters"), info->parameters);
    assert_int_equal(size_of(root, "layers"), 12);
    assert_int_equal(size_of(root, "hidden_size"), 256);
    assert_int_equal(size_of(root, "embedding_size"), 128);
    assert_int_equal(size_of(root, "heads"), 4);
    assert_int_equal(size_of(root, "vocab_size"), 30522);
    assert_int_equal(size_of(root, "max_length"), 99);
    assert_int_equal(size_of(root, "num_labels"), 2);
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "labels"), 1)), "LABEL_1");
    assert_int_equal(json_array_size(json_object_get(root, "labels")), 2);
    assert_null(json_object_get(root, "plan"));
    json_decref(root);
    berth_model_free(model);
}

/* The numbers that end a line: weights, what passes between steps (not looked at), operations. */
static void amounts(const char *line, double *megabytes, double *operations)
{
    double between;
    assert_int_equal(sscanf(line + strcspn(line, "0123456789"), "%lf %lf %lf", megabytes, &between, operations), 3);
}

static void describe_plan_is_a_bill_that_adds_up(void **state)
{
    (void)state;
    struct berth_model *model = tiny_open("random:bert-tiny", &(struct berth_options){.isa = "scalar"});
    json_t *root = described(model, true, 32), *longer = described(model, true, 64), *step;
    const json_t *plan = json_object_get(root, "plan");
    assert_true(json_array_size(plan) > 8);
    double bytes = 0, operations = 0;
    size_t i, products = 0;
    json_array_foreach(plan, i, step)
    {
        bytes += (double)size_of(step, "weight_bytes");
        operations += (double)size_of(step, "operations");
        products += strstr(json_string_value(json_object_get(step, "kernel")), "gemm") != NULL;
        assert_true(size_of(json_array_get(json_object_get(longer, "plan"), i), "operations") >=
                    size_of(step, "operations"));
    }
    assert_true(products >= 8);
    /* Every weight but the word, position and type embeddings is read once: what is left is the rows of the
     * text. */
    double all = 4.0 * (double)(berth_model_get_info(model)->parameters - (30522 + 512 + 2) * 128);
    assert_true(bytes >= all && bytes < all + 4.0 * 4 * 32 * 128);
    char *text = berth_model_describe(model, true, 32, false);
    const char *total = strstr(text, "\ntotal ");
    assert_non_null(total);
    assert_non_null(strstr(text, "layer 1 feed-forward out"));
    double told_megabytes, told_operations;
    amounts(total + 1, &told_megabytes, &told_operations);
    assert_float_equal(told_megabytes, bytes / 1e6, 6e-4);
    assert_float_equal(told_operations, operations / 1e6, 6e-4);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") <= 145);
    berth_memory_free(text);
    json_decref(root);
    json_decref(longer);
    berth_model_free(model);
}

static void describe_hostile_words_stay_words(void **state)
{
    (void)state;
    struct support_model files;
    tiny_init(&files);
    support_model_replace(&files, "\"vocab_size\"",
                          "\"id2label\": {\"0\": \"\\u001b[31mred\", \"1\": \"b\\ngood\"}, \"vocab_size\"");
    char odd[sizeof files.directory];
    snprintf(odd, sizeof odd, "%.100s\xff", files.directory);
    assert_int_equal(rename(files.directory, odd), 0);
    memcpy(files.directory, odd, sizeof odd);
    tiny_write(&files, tiny_vocab);
    struct berth_model *model = tiny_open(files.directory, NULL);
    json_t *root = described(model, false, 0);
    assert_non_null(strstr(json_string_value(json_object_get(root, "model")), "\xef\xbf\xbd"));
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "labels"), 0)), "\x1b[31mred");
    json_decref(root);
    char *text = berth_model_describe(model, false, 0, false);
    assert_non_null(strstr(text, "?[31mred, b?good\n"));
    assert_null(strchr(text, '\x1b'));
    berth_memory_free(text);
    berth_model_free(model);
    tiny_clear(&files);
}

static void describe_without_weights_leaves_out_what_is_not_known(void **state)
{
    (void)state;
    struct support_model files;
    tiny_init(&files);
    tiny_write_file(&files, "vocab.txt", tiny_vocab);
    struct berth_model *model = tiny_open(files.directory, &(struct berth_options){.tokenizer_only = true});
    char *text = berth_model_describe(model, true, 0, false);
    assert_non_null(strstr(text, "longest text   no limit\n"));
    assert_null(strstr(text, "architecture"));
    assert_null(strstr(text, "plan"));
    berth_memory_free(text);
    json_t *root = described(model, true, 0);
    assert_int_equal(size_of(root, "tokenizer_size"), SUPPORT_V);
    assert_int_equal(json_array_size(json_object_get(root, "labels")), 0);
    json_decref(root);
    berth_model_free(model);
    tiny_clear(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(describe_json_agrees_with_the_facts),
        cmocka_unit_test(describe_plan_is_a_bill_that_adds_up),
        cmocka_unit_test(describe_hostile_words_stay_words),
        cmocka_unit_test(describe_without_weights_leaves_out_what_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
