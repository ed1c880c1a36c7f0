/* test_encoder.c: binding names to weights: what is accepted, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/engine_support.h"

static int set_up(void **state)
{
    struct support_model *model = malloc(sizeof *model);
    assert_non_null(model);
    support_model_init(model);
    *state = model;
    return 0;
}

static int tear_down(void **state)
{
    support_model_clear(*state);
    free(*state);
    return 0;
}

static struct berth_encoder *open_sound(struct support_model *model)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    support_model_write(model);
    if (berth_encoder_open(model->directory, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

/* Opening must fail with a message that holds each of the words (NULL: none). */
static void open_refused(struct support_model *model, const char *word, const char *other)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    support_model_write(model);
    assert_int_not_equal(berth_encoder_open(model->directory, &encoder, &err), BERTH_OK);
    assert_null(encoder);
    if (!strstr(err.message, word) || (other && !strstr(err.message, other)))
        fail_msg("message: %s", err.message);
}

static void open_sound_model_binds_every_weight(void **state)
{
    struct support_model *model = *state;
    struct berth_encoder *encoder = open_sound(model);
    size_t parameters = 0;
    for (size_t i = 0; i < model->count; i++)
        parameters +=
            model->tensors[i].shape[0] * (model->tensors[i].rank == 2 ? model->tensors[i].shape[1] : 1);
    assert_true(encoder->has_head);
    assert_int_equal(encoder->parameters, parameters);
    float value;
    berth_encoder_read(encoder, &encoder->layers[1].ffn_in.weight, 5, 1, &value);
    assert_true(value ==
                support_model_find(model, "bert.encoder.layer.1.intermediate.dense.weight")->data[5]);
    berth_encoder_free(encoder);
}

static void open_without_prefix_binds_the_same(void **state)
{
    struct support_model *model = *state;
    for (size_t i = 0; i < model->count; i++)
        if (strncmp(model->tensors[i].name, "bert.", 5) == 0)
            memmove(model->tensors[i].name, model->tensors[i].name + 5, strlen(model->tensors[i].name) - 4);
    struct berth_encoder *encoder = open_sound(model);
    assert_true(encoder->has_head);
    berth_encoder_free(encoder);
}

static void open_gamma_and_beta_names_binds_the_same(void **state)
{
    struct support_model *model = *state;
    for (size_t i = 0; i < model->count; i++) {
        char *name = model->tensors[i].name;
        if (strstr(name, "LayerNorm.weight"))
            strcpy(strstr(name, ".weight"), ".gamma");
        else if (strstr(name, "LayerNorm.bias"))
            strcpy(strstr(name, ".bias"), ".beta");
    }
    berth_encoder_free(open_sound(model));
}

static void open_bare_encoder_has_no_head_but_keeps_its_pooler(void **state)
{
    struct support_model *model = *state;
    support_model_find(model, "classifier.weight")->name[0] = 0;
    support_model_find(model, "classifier.bias")->name[0] = 0;
    support_model_replace(model, "BertForSequenceClassification", "BertModel");
    struct berth_encoder *encoder = open_sound(model);
    assert_false(encoder->has_head);
    assert_int_equal(encoder->pooler.weight.elements, SUPPORT_C * SUPPORT_C);
    assert_int_equal(encoder->classifier.weight.elements, 0);
    berth_encoder_free(encoder);
}

static void open_model_of_another_task_has_no_head(void **state)
{
    struct support_model *model = *state;
    support_model_replace(model, "BertForSequenceClassification", "BertForTokenClassification");
    struct berth_encoder *encoder = open_sound(model);
    assert_false(encoder->has_head);
    berth_encoder_free(encoder);
}

static void open_missing_tensors_are_refused_by_name(void **state)
{
    static const char *const names[] = {"bert.embeddings.position_embeddings.weight",
                                        "bert.embeddings.LayerNorm.bias",
                                        "bert.encoder.layer.1.attention.self.key.weight",
                                        "bert.encoder.layer.0.output.dense.bias",
                                        "bert.pooler.dense.weight",
                                        "classifier.bias",
                                        "bert.embeddings.word_embeddings.weight"};
    struct support_model *model = *state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct support_tensor *tensor = support_model_find(model, names[i]);
        tensor->name[0] = 0;
        open_refused(model, names[i], model->directory);
        strcpy(tensor->name, names[i]);
    }
}

static void open_wrong_shapes_are_refused_with_both_shapes(void **state)
{
    struct support_model *model = *state;
    struct support_tensor *tensor =
        support_model_find(model, "bert.encoder.layer.0.intermediate.dense.weight");
    tensor->shape[0] = SUPPORT_C;
    tensor->shape[1] = SUPPORT_F;
    open_refused(model, "bert.encoder.layer.0.intermediate.dense.weight", "f32[8,12]");
    open_refused(model, "model.safetensors", "f32[12,8]");
}

static void open_vocabulary_size_that_differs_is_refused(void **state)
{
    struct support_model *model = *state;
    support_model_replace(model, "\"vocab_size\": 11", "\"vocab_size\": 12");
    open_refused(model, "f32[11,8]", "f32[12,8]");
}

static void open_label_count_that_differs_is_refused(void **state)
{
    struct support_model *model = *state;
    support_model_replace(model, "\"hidden_act\"", "\"num_labels\": 3, \"hidden_act\"");
    open_refused(model, "classifier.weight", "f32[3,8]");
}

static void open_impossible_sizes_are_refused(void **state)
{
    struct support_model *model = *state;
    support_model_replace(model, "\"num_attention_heads\": 2", "\"num_attention_heads\": 0");
    open_refused(model, "heads", "config.json");
    support_model_replace(model, "\"num_attention_heads\": 0", "\"num_attention_heads\": 3");
    open_refused(model, "heads", "config.json");
    support_model_replace(model, "\"num_attention_heads\": 3", "\"num_attention_heads\": 2");
    support_model_replace(model, "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 900");
    open_refused(model, "900", NULL);
}

/* --- random models -------------------------------------------------------------------------------- */

static struct berth_encoder *open_random(const char *preset)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_random(preset, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

static void random_presets_have_the_published_number_of_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t parameters;
    } published[] = {
        {"bert-tiny", 4386178},   {"bert-mini", 11171074},  {"bert-small", 28764674},
        {"bert-base", 109483778}, {"distilbert", 66955010}, {"electra-small", 13549314},
    };
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        struct berth_encoder *encoder = open_random(published[i].name);
        assert_int_equal(encoder->parameters, published[i].parameters);
        berth_encoder_free(encoder);
    }
    for (const char *const *name = berth_encoder_presets(); *name; name++)
        assert_true(strlen(*name) > 0);
}

static void random_same_name_gives_same_weights_and_other_seeds_do_not(void **state)
{
    (void)state;
    struct berth_encoder *a = open_random("bert-tiny"), *b = open_random("bert-tiny@1"),
                         *c = open_random("bert-tiny@7");
    float x[64], y[64], z[64];
    berth_encoder_read(a, &a->layers[0].query.weight, 100, 64, x);
    berth_encoder_read(b, &b->layers[0].query.weight, 132, 32, y + 32);
    berth_encoder_read(b, &b->layers[0].query.weight, 100, 32, y);
    berth_encoder_read(c, &c->layers[0].query.weight, 100, 64, z);
    assert_memory_equal(x, y, sizeof x);
    assert_memory_not_equal(x, z, sizeof x);
    berth_encoder_read(a, &a->layers[0].key.weight, 100, 64, z);
    assert_memory_not_equal(x, z, sizeof x);
    berth_encoder_free(a);
    berth_encoder_free(b);
    berth_encoder_free(c);
}

static void random_weights_have_the_deviation_of_the_configuration(void **state)
{
    (void)state;
    enum { N = 16384 };
    static float x[N];
    struct berth_encoder *encoder = open_random("bert-tiny");
    double sum = 0, squares = 0;
    berth_encoder_read(encoder, &encoder->layers[0].query.weight, 0, N, x);
    for (size_t i = 0; i < N; i++) {
        sum += x[i];
        squares += (double)x[i] * x[i];
    }
    /* The mean of N values deviates by range / sqrt(N), their square by range^2 sqrt(2 / N): five deviations.
     */
    assert_true(sum / N < 5 * 0.02 / 128 && sum / N > -5 * 0.02 / 128);
    assert_float_equal(squares / N, 0.0004, 5 * 0.0004 * 1.42 / 128);
    berth_encoder_read(encoder, &encoder->layers[0].ffn_norm.gamma, 0, 128, x);
    for (size_t i = 0; i < 128; i++)
        assert_float_equal(x[i], 1, 0.08);
    berth_encoder_free(encoder);
}

static void random_unknown_names_and_seeds_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"",
                                        "bert",
                                        "bert-base@",
                                        "bert-base@x",
                                        "bert-base@-1",
                                        "bert-base@1 ",
                                        "@1",
                                        "bert-base@123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct berth_encoder *encoder;
        struct berth_error err;
        assert_int_not_equal(berth_encoder_random(names[i], &encoder, &err), BERTH_OK);
        assert_null(encoder);
        assert_true(strlen(err.message) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_sound_model_binds_every_weight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_without_prefix_binds_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_gamma_and_beta_names_binds_the_same, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_bare_encoder_has_no_head_but_keeps_its_pooler, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(open_model_of_another_task_has_no_head, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_missing_tensors_are_refused_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_wrong_shapes_are_refused_with_both_shapes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_vocabulary_size_that_differs_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_label_count_that_differs_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_impossible_sizes_are_refused, set_up, tear_down),
        cmocka_unit_test(random_presets_have_the_published_number_of_parameters),
        cmocka_unit_test(random_same_name_gives_same_weights_and_other_seeds_do_not),
        cmocka_unit_test(random_weights_have_the_deviation_of_the_configuration),
        cmocka_unit_test(random_unknown_names_and_seeds_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
