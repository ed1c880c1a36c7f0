/* test_hf_config.c: config.json of the three families: names, defaults, and what is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/hf_config.h"

/* Parses an exact copy on the heap, so that a sanitizer sees a read past the end. */
static enum berth_status parse_bytes(const char *json, size_t size, struct berth_config *config,
                                     struct berth_error *err)
{
    char *copy = malloc(size ? size : 1);
    assert_non_null(copy);
    memcpy(copy, json, size);
    enum berth_status status = berth_config_parse("config.json", copy, size, config, err);
    free(copy);
    return status;
}

static struct berth_config parse(const char *json)
{
    struct berth_config config;
    struct berth_error err;
    if (parse_bytes(json, strlen(json), &config, &err) != BERTH_OK)
        fail_msg("%s\n%s", json, err.message);
    return config;
}

static void expect_config_refused(const char *json, enum berth_status status, const char *words)
{
    struct berth_config config;
    struct berth_error err = {0};
    enum berth_status got = parse_bytes(json, strlen(json), &config, &err);
    if (got != status || !strstr(err.message, words) || strncmp(err.message, "config.json: ", 13) != 0)
        fail_msg("%s\nwant status %d and '%s', got %d: %s", json, (int)status, words, (int)got, err.message);
    static const struct berth_config empty;
    assert_memory_equal(&config, &empty, sizeof config);
}

static void parse_empty_bert_has_the_defaults(void **state)
{
    (void)state;
    struct berth_config c = parse("{\"model_type\":\"bert\"}");
    assert_int_equal(c.family, BERTH_FAMILY_BERT);
    assert_string_equal(c.architecture, "BertModel");
    assert_true(c.vocab_size == 30522 && c.hidden_size == 768 && c.embedding_size == 768 && c.layers == 12 &&
                c.heads == 12);
    assert_true(c.intermediate_size == 3072 && c.max_positions == 512 && c.type_vocab_size == 2 &&
                c.pad_token_id == 0);
    assert_true(c.activation == BERTH_ACT_GELU_ERF && c.summary_activation == BERTH_ACT_TANH &&
                c.layer_norm_eps == 1e-12);
    assert_true(c.hidden_dropout == 0.1 && c.attention_dropout == 0.1 && c.classifier_dropout == 0.1);
    assert_true(c.initializer_range == 0.02 && c.labels == 2 && !c.has_label_names &&
                c.unrecognised_count == 0);
    assert_int_equal(c.problem, BERTH_PROBLEM_SINGLE_LABEL);
    assert_string_equal(c.label_names[1], "LABEL_1");
    berth_config_clear(&c);
    berth_config_clear(&c);
}

static void parse_empty_electra_and_distilbert_have_theirs(void **state)
{
    (void)state;
    struct berth_config c = parse("{\"model_type\":\"electra\"}");
    assert_true(c.family == BERTH_FAMILY_ELECTRA && c.embedding_size == 128 && c.hidden_size == 256 &&
                c.layers == 12);
    assert_true(c.heads == 4 && c.intermediate_size == 1024 && c.type_vocab_size == 2 &&
                c.layer_norm_eps == 1e-12);
    assert_int_equal(c.summary_activation, BERTH_ACT_GELU_ERF);
    assert_string_equal(c.architecture, "ElectraModel");
    berth_config_clear(&c);
    c = parse("{\"model_type\":\"distilbert\"}");
    assert_true(c.family == BERTH_FAMILY_DISTILBERT && c.embedding_size == 768 && c.hidden_size == 768 &&
                c.layers == 6);
    assert_true(c.heads == 12 && c.intermediate_size == 3072 && c.type_vocab_size == 0 &&
                c.layer_norm_eps == 1e-12);
    assert_true(c.classifier_dropout == 0.2 && c.summary_activation == BERTH_ACT_RELU);
    assert_string_equal(c.architecture, "DistilBertModel");
    berth_config_clear(&c);
}

static void parse_distilbert_takes_its_own_names(void **state)
{
    (void)state;
    struct berth_config c = parse(
        "{\"model_type\":\"distilbert\",\"dim\":96,\"n_layers\":2,\"n_heads\":4,\"hidden_dim\":384,"
        "\"activation\":"
        "\"relu\",\"dropout\":0.3,\"attention_dropout\":0.4,\"seq_classif_dropout\":0,\"sinusoidal_pos_"
        "embds\":true,"
        "\"layer_norm_eps\":0.5,\"hidden_act\":\"gelu\",\"tie_weights_\":true,\"qa_dropout\":0.1}");
    assert_true(c.hidden_size == 96 && c.layers == 2 && c.heads == 4 && c.intermediate_size == 384);
    assert_true(c.activation == BERTH_ACT_RELU && c.hidden_dropout == 0.3 && c.attention_dropout == 0.4);
    assert_true(c.classifier_dropout == 0 &&
                c.layer_norm_eps == 1e-12);    /* fixed in code: the field is not read */
    assert_int_equal(c.unrecognised_count, 2); /* but shown */
    assert_string_equal(c.unrecognised[0], "layer_norm_eps");
    assert_string_equal(c.unrecognised[1], "hidden_act");
    berth_config_clear(&c);
    c = parse(
        "{\"model_type\":\"distilbert\",\"hidden_size\":64,\"num_hidden_layers\":3,\"num_attention_heads\":8,"
        "\"dim\":64}");
    assert_true(c.hidden_size == 64 && c.layers == 3 && c.heads == 8 && c.unrecognised_count == 0);
    berth_config_clear(&c);
    expect_config_refused("{\"model_type\":\"distilbert\",\"hidden_size\":64,\"dim\":32}", BERTH_FORMAT,
                          "dim is 32, but another name of the same field differs");
}

static void parse_family_from_the_architecture(void **state)
{
    (void)state;
    struct berth_config c = parse("{\"architectures\":[\"DistilBertForMaskedLM\"]}");
    assert_int_equal(c.family, BERTH_FAMILY_DISTILBERT);
    assert_string_equal(c.architecture, "DistilBertForMaskedLM");
    berth_config_clear(&c);
    c = parse("{\"architectures\":[\"BertForTokenClassification\",\"X\"]}");
    assert_int_equal(c.family, BERTH_FAMILY_BERT);
    berth_config_clear(&c);
    c = parse("{\"architectures\":[],\"model_type\":\"electra\"}");
    assert_string_equal(c.architecture, "ElectraModel");
    berth_config_clear(&c);
}

static void parse_activation_by_its_words(void **state)
{
    (void)state;
    static const struct {
        const char *word;
        enum berth_activation activation;
    } cases[] = {{"gelu", BERTH_ACT_GELU_ERF},      {"gelu_python", BERTH_ACT_GELU_ERF},
                 {"gelu_new", BERTH_ACT_GELU_TANH}, {"gelu_fast", BERTH_ACT_GELU_TANH},
                 {"relu", BERTH_ACT_RELU},          {"silu", BERTH_ACT_SILU},
                 {"swish", BERTH_ACT_SILU},         {"gelu_pytorch_tanh", BERTH_ACT_GELU_TANH}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[128];
        snprintf(json, sizeof json, "{\"model_type\":\"bert\",\"hidden_act\":\"%s\"}", cases[i].word);
        struct berth_config c = parse(json);
        assert_int_equal(c.activation, cases[i].activation);
        berth_config_clear(&c);
    }
    assert_string_equal(berth_activation_name(BERTH_ACT_GELU_TANH), "gelu_new");
    assert_string_equal(berth_activation_name(BERTH_ACT_SILU), "silu");
    assert_string_equal(berth_activation_name(BERTH_ACT_TANH), "tanh");
    assert_string_equal(berth_activation_name(BERTH_ACT_NONE), "linear");
}

static void parse_labels_and_problem(void **state)
{
    (void)state;
    struct berth_config c = parse(
        "{\"model_type\":\"bert\",\"num_labels\":7,\"id2label\":{\"2\":\"c\",\"0\":\"a\",\"1\":\"\"},"
        "\"label2id\":{\"a\":0,\"LABEL_1\":0}}");
    assert_true(c.labels == 3 && c.has_label_names && c.problem == BERTH_PROBLEM_SINGLE_LABEL);
    assert_string_equal(c.label_names[0], "a");
    assert_string_equal(c.label_names[1], "");
    assert_string_equal(c.label_names[2], "c");
    berth_config_clear(&c);
    c = parse(
        "{\"model_type\":\"bert\",\"_num_labels\":9,\"id2label\":null,\"label2id\":null,\"problem_type\":"
        "null}");
    assert_true(c.labels == 9 && !c.has_label_names);
    assert_string_equal(c.label_names[8], "LABEL_8");
    berth_config_clear(&c);
    c = parse("{\"model_type\":\"bert\",\"num_labels\":1}");
    assert_int_equal(c.problem, BERTH_PROBLEM_REGRESSION);
    assert_string_equal(berth_problem_name(c.problem), "regression");
    berth_config_clear(&c);
    c = parse("{\"model_type\":\"bert\",\"num_labels\":1,\"problem_type\":\"single_label_classification\"}");
    assert_int_equal(c.problem, BERTH_PROBLEM_SINGLE_LABEL);
    berth_config_clear(&c);
    c = parse("{\"model_type\":\"bert\",\"num_labels\":3,\"problem_type\":\"multi_label_classification\"}");
    assert_int_equal(c.problem, BERTH_PROBLEM_MULTI_LABEL);
    berth_config_clear(&c);
}

static void parse_junk_of_real_files_is_known_or_kept(void **state)
{
    (void)state;
    struct berth_config c = parse(
        "\xef\xbb\xbf{\"model_type\":\"bert\",\"gradient_checkpointing\":false,\"output_past\":true,"
        "\"torchscript\":false,"
        "\"transformers_version\":\"4.8.2\",\"_name_or_path\":\"x\",\"task_specific_params\":{},"
        "\"directionality\":"
        "\"bidi\",\"pooler_fc_size\":768,\"pooler_type\":\"first_token_transform\",\"return_dict\":true,"
        "\"classifier_dropout\":null,\"finetuning_task\":\"sst-2\",\"is_decoder\":false,\"pruned_heads\":{},"
        "\"quantization_config\":null,\"hidden_size\":1,\"hidden_size\":24,\"new_thing\":1,\"use_rotary\":"
        "true}");
    assert_int_equal(c.hidden_size, 24); /* the last of equal keys, as in Python */
    assert_int_equal(c.unrecognised_count, 2);
    assert_string_equal(c.unrecognised[0], "new_thing");
    assert_string_equal(c.unrecognised[1], "use_rotary");
    berth_config_clear(&c);
    char json[8192] = "{\"model_type\":\"bert\"";
    for (int i = 0; i < 100; i++)
        sprintf(json + strlen(json),
                ",\"unknown_%d_with_a_name_that_is_longer_than_what_will_be_kept_of_it\":%d", i, i);
    strcat(json, "}");
    c = parse(json);
    assert_int_equal(c.unrecognised_count, BERTH_UNRECOGNISED_MAX);
    assert_int_equal(strlen(c.unrecognised[0]), 64);
    berth_config_clear(&c);
}

static void parse_hostile_config_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *fields, *words; /* after {"model_type":"bert", */
        enum berth_status status;
    } cases[] = {
        {"\"num_attention_heads\":0", "num_attention_heads is 0, an integer from 1", BERTH_FORMAT},
        {"\"num_attention_heads\":5", "5 attention heads do not divide the hidden size 768", BERTH_FORMAT},
        {"\"num_attention_heads\":-12", "num_attention_heads is -12", BERTH_FORMAT},
        {"\"num_attention_heads\":12.0", "num_attention_heads is 12.0", BERTH_FORMAT},
        {"\"num_attention_heads\":\"12\"", "num_attention_heads is \"12\"", BERTH_FORMAT},
        {"\"num_attention_heads\":true", "num_attention_heads is true", BERTH_FORMAT},
        {"\"num_attention_heads\":null", "num_attention_heads is null", BERTH_FORMAT},
        {"\"num_attention_heads\":[12]", "num_attention_heads is [12]", BERTH_FORMAT},
        {"\"num_attention_heads\":{\"a\":{}}", "num_attention_heads is {\"a\":{}}", BERTH_FORMAT},
        {"\"hidden_size\":0", "hidden_size is 0", BERTH_FORMAT},
        {"\"hidden_size\":65537", "hidden_size is 65537, an integer from 1 to 65536", BERTH_FORMAT},
        {"\"hidden_size\":9223372036854775807", "hidden_size is 9223372036854775807", BERTH_FORMAT},
        {"\"hidden_size\":9223372036854775808", "malformed JSON", BERTH_FORMAT},
        {"\"num_hidden_layers\":1025", "num_hidden_layers is 1025", BERTH_FORMAT},
        {"\"num_hidden_layers\":0", "num_hidden_layers is 0", BERTH_FORMAT},
        {"\"vocab_size\":16777217", "vocab_size is 16777217", BERTH_FORMAT},
        {"\"intermediate_size\":1e3", "intermediate_size is 1000.0", BERTH_FORMAT},
        {"\"max_position_embeddings\":99999999", "max_position_embeddings is 99999999", BERTH_FORMAT},
        {"\"type_vocab_size\":0", "type_vocab_size is 0", BERTH_FORMAT},
        {"\"layer_norm_eps\":0", "layer_norm_eps is 0, a number from 1e-37 to 1", BERTH_FORMAT},
        {"\"layer_norm_eps\":-1e-12", "layer_norm_eps is -", BERTH_FORMAT},
        {"\"layer_norm_eps\":1e999", "malformed JSON", BERTH_FORMAT},
        {"\"layer_norm_eps\":NaN", "malformed JSON", BERTH_FORMAT},
        {"\"layer_norm_eps\":\"1e-12\"", "layer_norm_eps is \"1e-12\"", BERTH_FORMAT},
        {"\"layer_norm_eps\":null", "layer_norm_eps is null", BERTH_FORMAT},
        {"\"hidden_dropout_prob\":1", "hidden_dropout_prob is 1, a number from 0 to below 1", BERTH_FORMAT},
        {"\"attention_probs_dropout_prob\":-0.1", "attention_probs_dropout_prob is -0.1", BERTH_FORMAT},
        {"\"classifier_dropout\":\"0\"", "classifier_dropout is \"0\"", BERTH_FORMAT},
        {"\"initializer_range\":-1", "initializer_range is -1", BERTH_FORMAT},
        {"\"pad_token_id\":30522", "pad_token_id is 30522, an id below vocab_size", BERTH_FORMAT},
        {"\"pad_token_id\":-1", "pad_token_id is -1", BERTH_FORMAT},
        {"\"pad_token_id\":0.0", "pad_token_id is 0.0", BERTH_FORMAT},
        {"\"hidden_act\":\"gelu_10\"", "hidden_act is \"gelu_10\", berth computes gelu", BERTH_UNSUPPORTED},
        {"\"hidden_act\":\"tanh\"", "hidden_act is \"tanh\"", BERTH_UNSUPPORTED},
        {"\"hidden_act\":null", "hidden_act is null", BERTH_UNSUPPORTED},
        {"\"hidden_act\":1", "hidden_act is 1", BERTH_UNSUPPORTED},
        {"\"position_embedding_type\":\"relative_key\"", "position_embedding_type is \"relative_key\"",
         BERTH_UNSUPPORTED},
        {"\"position_embedding_type\":null", "position_embedding_type is null", BERTH_UNSUPPORTED},
        {"\"is_decoder\":true", "is_decoder is true, berth runs encoders", BERTH_UNSUPPORTED},
        {"\"is_decoder\":\"false\"", "is_decoder is \"false\"", BERTH_UNSUPPORTED},
        {"\"is_encoder_decoder\":true", "is_encoder_decoder is true", BERTH_UNSUPPORTED},
        {"\"add_cross_attention\":true", "add_cross_attention is true", BERTH_UNSUPPORTED},
        {"\"pruned_heads\":{\"0\":[1]}", "pruned_heads is {\"0\":[1]}", BERTH_UNSUPPORTED},
        {"\"quantization_config\":{\"bits\":4}", "quantization_config is {\"bits\":4}", BERTH_UNSUPPORTED},
        {"\"auto_map\":{\"AutoModel\":\"x.Y\"}", "auto_map is", BERTH_UNSUPPORTED},
        {"\"id2label\":{}", "id2label is {}", BERTH_FORMAT},
        {"\"id2label\":[\"a\",\"b\"]", "id2label is [\"a\",\"b\"], an object", BERTH_FORMAT},
        {"\"id2label\":{\"0\":\"a\",\"2\":\"b\"}", "id2label has 2 names, and the id '2'", BERTH_FORMAT},
        {"\"id2label\":{\"one\":\"a\"}", "the id 'one'", BERTH_FORMAT},
        {"\"id2label\":{\"00\":\"a\"}", "the id '00'", BERTH_FORMAT},
        {"\"id2label\":{\"-0\":\"a\"}", "the id '-0'", BERTH_FORMAT},
        {"\"id2label\":{\"\":\"a\"}", "the id ''", BERTH_FORMAT},
        {"\"id2label\":{\"99999999999999999999\":\"a\"}", "the id '99999999999999999999'", BERTH_FORMAT},
        {"\"id2label\":{\"0\":0}", "a name in id2label is 0", BERTH_FORMAT},
        {"\"id2label\":{\"0\":\"a\\u0000b\"}", "malformed JSON", BERTH_FORMAT},
        {"\"label2id\":[]", "label2id is []", BERTH_FORMAT},
        {"\"label2id\":{\"a\":\"0\"}", "an id in label2id is \"0\"", BERTH_FORMAT},
        {"\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"label2id\":{\"a\":1,\"b\":0}",
         "label2id gives 'a' the id 1", BERTH_FORMAT},
        {"\"num_labels\":0", "num_labels is 0", BERTH_FORMAT},
        {"\"num_labels\":65537", "num_labels is 65537", BERTH_FORMAT},
        {"\"num_labels\":\"3\"", "num_labels is \"3\"", BERTH_FORMAT},
        {"\"_num_labels\":-1", "_num_labels is -1", BERTH_FORMAT},
        {"\"problem_type\":\"ranking\"", "problem_type is \"ranking\"", BERTH_FORMAT},
        {"\"problem_type\":1", "problem_type is 1", BERTH_FORMAT},
        {"\"architectures\":\"BertModel\"", "architectures is \"BertModel\", a list", BERTH_FORMAT},
        {"\"architectures\":[1]", "architectures is [1]", BERTH_FORMAT},
        {"\"architectures\":[\"RobertaModel\"]", "architecture RobertaModel is not one of model_type bert",
         BERTH_UNSUPPORTED},
        {"\"model_type\":\"roberta\"", "model_type is \"roberta\", berth runs bert", BERTH_UNSUPPORTED},
        {"\"model_type\":7", "model_type is 7", BERTH_FORMAT},
        {"\"x\":", "malformed JSON", BERTH_FORMAT},
        {"\"\xff\":1", "malformed JSON", BERTH_FORMAT},
    };
    char json[512];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        snprintf(json, sizeof json, "{\"model_type\":\"bert\",%s}", cases[i].fields);
        expect_config_refused(json, cases[i].status, cases[i].words);
    }
    expect_config_refused("{}", BERTH_UNSUPPORTED,
                          "no model_type, and architecture is absent and tells no family");
    expect_config_refused("{\"architectures\":[\"GPT2Model\"]}", BERTH_UNSUPPORTED,
                          "architecture GPT2Model tells no family");
    expect_config_refused("[]", BERTH_FORMAT, "an object with the model's fields is needed");
    expect_config_refused("", BERTH_FORMAT, "malformed JSON");
    expect_config_refused("\xef\xbb\xbf", BERTH_FORMAT, "malformed JSON");
    expect_config_refused("{\"model_type\":\"bert\"} x", BERTH_FORMAT, "malformed JSON");
}

static void parse_deep_or_cut_config_is_refused(void **state)
{
    (void)state;
    enum { DEEP = 1 << 20 };
    char *deep = malloc(DEEP);
    assert_non_null(deep);
    memset(deep, '[', DEEP);
    struct berth_config config;
    struct berth_error err;
    assert_int_equal(parse_bytes(deep, DEEP, &config, &err), BERTH_LIMIT);
    assert_non_null(strstr(err.message, "nested deeper than 64"));
    free(deep);
    static const char json[] =
        "{\"model_type\":\"bert\",\"hidden_size\":24,\"id2label\":{\"0\":\"a\",\"1\":\"\\\"b\"}}";
    for (size_t size = 0; size < sizeof json - 1; size++)
        assert_int_equal(parse_bytes(json, size, &config, &err), BERTH_FORMAT);
    assert_int_equal(parse_bytes(json, sizeof json - 1, &config, &err), BERTH_OK);
    berth_config_clear(&config);
    assert_int_equal(parse_bytes(json, sizeof json, &config, &err), BERTH_FORMAT); /* a NUL behind it */
}

static void read_folder_without_a_config_says_which_file(void **state)
{
    (void)state;
    struct berth_config config;
    struct berth_error err;
    assert_int_equal(berth_config_read("/nonexistent", &config, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "/nonexistent/config.json: cannot open"));
    assert_string_equal(berth_family_name(BERTH_FAMILY_ELECTRA), "electra");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse_empty_bert_has_the_defaults),
        cmocka_unit_test(parse_empty_electra_and_distilbert_have_theirs),
        cmocka_unit_test(parse_distilbert_takes_its_own_names),
        cmocka_unit_test(parse_family_from_the_architecture),
        cmocka_unit_test(parse_activation_by_its_words),
        cmocka_unit_test(parse_labels_and_problem),
        cmocka_unit_test(parse_junk_of_real_files_is_known_or_kept),
        cmocka_unit_test(parse_hostile_config_is_refused_by_name),
        cmocka_unit_test(parse_deep_or_cut_config_is_refused),
        cmocka_unit_test(read_folder_without_a_config_says_which_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
