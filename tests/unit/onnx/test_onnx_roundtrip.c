/* test_onnx_roundtrip.c: what the exporter writes, the importer recognises: every form, every family, every
 * activation; and files damaged anywhere are refused in a sentence or give an encoder, never more. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <onnx.pb-c.h>

#include "onnx/export.h"
#include "onnx/import.h"
#include "support/engine_support.h"
#include "support/weights_support.h"

static const struct berth_onnx_layer_ranges layer_ranges[SUPPORT_L] = {
    {{-1, 1}, {-2, 2}, {0, 3}, {-0.5f, 4}},
    {{0, 0}, {-2, 2}, {0, 3}, {-0.5f, 4}}, /* nothing seen but zeros: scale 1 */
};
static const struct berth_onnx_ranges ranges = {{0, 0}, (struct berth_onnx_layer_ranges *)layer_ranges};

static const struct berth_onnx_export_options forms[] = {
    {.opset = 13},
    {.opset = 17},
    {.opset = 18},
    {.opset = 16, .optimize = true},
    {.opset = 17, .optimize = true},
    {.opset = 20, .optimize = true},
    {.opset = 17, .optimize = true, .contrib = true},
    {.opset = 17, .inline_limit = 1},
    {.opset = 13, .quantization = BERTH_ONNX_DYNAMIC},
    {.opset = 18, .optimize = true, .quantization = BERTH_ONNX_DYNAMIC},
    {.opset = 17, .optimize = true, .contrib = true, .quantization = BERTH_ONNX_DYNAMIC},
    {.opset = 13, .quantization = BERTH_ONNX_STATIC, .ranges = &ranges},
    {.opset = 18, .optimize = true, .quantization = BERTH_ONNX_STATIC, .ranges = &ranges},
};

enum { FORMS = sizeof forms / sizeof *forms };

static void file_in(const char *directory, const char *name, char path[256])
{
    snprintf(path, 256, "%s/%s", directory, name);
}

static void export_to(const char *directory, const struct berth_encoder *encoder,
                      const struct berth_onnx_export_options *form)
{
    char path[256];
    struct berth_onnx_files files;
    struct berth_error err;
    file_in(directory, "m.onnx", path);
    if (berth_onnx_export(encoder, path, form, &files, &err) != BERTH_OK ||
        berth_onnx_commit(&files, &err) != BERTH_OK)
        fail_msg("%s", err.message);
}

static void remove_exported(const char *directory)
{
    char path[256];
    file_in(directory, "m.onnx", path);
    unlink(path);
    file_in(directory, "m.onnx.data", path);
    unlink(path);
}

static struct berth_encoder *open_directory(const char *directory)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_open(directory, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

/* Every weight of `got` is `want`'s: the same number, or for int8 within half a step of its row's scale. */
static void expect_same_weights(const struct berth_encoder *got, const struct berth_encoder *want,
                                bool quantized)
{
    for (size_t i = 0; i < berth_checkpoint_count(got->checkpoint); i++) {
        const struct berth_tensor *a = berth_checkpoint_at(got->checkpoint, i),
                                  *b = berth_checkpoint_find(want->checkpoint, a->name);
        if (!b)
            fail_msg("a weight called %s appeared", a->name);
        assert_int_equal(a->elements, b->elements);
        size_t row = a->rank == 2 ? a->shape[1] : 1;
        for (size_t k = 0; k < a->elements; k++) {
            float x, y, largest = 0;
            for (size_t j = k / row * row; quantized && j < k / row * row + row; j++) {
                berth_tensor_read_f32(b, j, 1, &y);
                largest = fmaxf(largest, fabsf(y));
            }
            berth_tensor_read_f32(a, k, 1, &x);
            berth_tensor_read_f32(b, k, 1, &y);
            if (!(fabsf(x - y) <= largest / 127 * 0.5001f))
                fail_msg("%s: number %zu is %g, was %g", a->name, k, (double)x, (double)y);
        }
    }
}

static void import_gives_back_what_was_exported(const char *directory)
{
    char path[256];
    struct berth_encoder *encoder = open_directory(directory);
    file_in(directory, "m.onnx", path);
    for (size_t i = 0; i < FORMS; i++) {
        struct berth_encoder *imported;
        struct berth_error err;
        export_to(directory, encoder, &forms[i]);
        if (berth_onnx_import(path, &imported, &err) != BERTH_OK)
            fail_msg("form %zu: %s", i, err.message);
        assert_true(imported->has_head);
        assert_int_equal(imported->parameters, encoder->parameters);
        expect_same_weights(imported, encoder, forms[i].quantization != BERTH_ONNX_UNQUANTIZED);
        berth_encoder_free(imported);
        remove_exported(directory);
    }
    berth_encoder_free(encoder);
}

static void import_every_form_and_activation_gives_the_weights_back(void **state)
{
    (void)state;
    static const char *const acts[] = {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu"};
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        struct support_model model;
        char field[64];
        support_model_init(&model);
        snprintf(field, sizeof field, "\"hidden_act\": \"%s\"", acts[i]);
        support_model_replace(&model, "\"hidden_act\": \"gelu\"", field);
        support_model_write(&model);
        import_gives_back_what_was_exported(model.directory);
        support_model_clear(&model);
    }
}

/* The graph has to compute what config.json says. */
static void import_against_another_configuration_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *words;
    } changes[] = {
        {"\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_new\"", "gelu_new"},
        {"\"num_attention_heads\": 2", "\"num_attention_heads\": 4", "attention of 4 heads"},
        {"\"type_vocab_size\": 2", "\"type_vocab_size\": 2, \"layer_norm_eps\": 1e-5", "epsilon"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1", "embedding"},
        {"\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3", "does not fit"},
        {"\"vocab_size\": 11", "\"vocab_size\": 12", "config.json asks for"},
        {"\"BertForSequenceClassification\"], \"model_type\": \"bert\"",
         "\"ElectraForSequenceClassification\"], \"model_type\": \"electra\"", "does not fit"},
    };
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
        for (size_t form = 0; form < FORMS; form++) {
            struct support_model model;
            struct berth_error err = {0};
            char path[256];
            support_model_init(&model);
            support_model_write(&model);
            struct berth_encoder *encoder = open_directory(model.directory), *imported;
            export_to(model.directory, encoder, &forms[form]);
            berth_encoder_free(encoder);
            support_model_replace(&model, changes[i].from, changes[i].to);
            support_model_write(&model);
            file_in(model.directory, "m.onnx", path);
            enum berth_status status = berth_onnx_import(path, &imported, &err);
            assert_null(imported);
            if (status == BERTH_OK || !strstr(err.message, changes[i].words))
                fail_msg("%s, form %zu: no '%s' in: %s", changes[i].to, form, changes[i].words, err.message);
            remove_exported(model.directory);
            support_model_clear(&model);
        }
}

static struct bytes read_whole(const char *path)
{
    struct bytes bytes = {0};
    char block[4096];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    for (size_t n; (n = fread(block, 1, sizeof block, file)) > 0;)
        bytes_put(&bytes, block, n);
    fclose(file);
    return bytes;
}

/* Imports from an exact copy; returns whether it was refused. */
static bool try_bytes(const unsigned char *data, size_t size, const char *config_json)
{
    struct berth_config config;
    struct berth_encoder *encoder;
    struct berth_error err = {0};
    assert_int_equal(berth_config_parse("config.json", config_json, strlen(config_json), &config, &err),
                     BERTH_OK);
    unsigned char *exact = malloc(size + 1);
    memcpy(exact, data, size);
    enum berth_status status = berth_onnx_import_memory("m.onnx", exact, size, &config, &encoder, &err);
    free(exact);
    if (status != BERTH_OK) {
        assert_null(encoder);
        assert_true(err.message[0] != 0);
    }
    berth_encoder_free(encoder);
    return status != BERTH_OK;
}

static void import_damaged_bytes_are_refused_or_harmless(void **state)
{
    (void)state;
    static const size_t which[] = {1, 6, 10, 11};
    for (size_t i = 0; i < sizeof which / sizeof *which; i++) {
        struct support_model model;
        char path[256];
        size_t refused = 0;
        support_model_init(&model);
        support_model_write(&model);
        struct berth_encoder *encoder = open_directory(model.directory);
        export_to(model.directory, encoder, &forms[which[i]]);
        berth_encoder_free(encoder);
        file_in(model.directory, "m.onnx", path);
        struct bytes bytes = read_whole(path);
        assert_false(try_bytes(bytes.data, bytes.size, model.config));
        for (size_t size = 0; size < bytes.size; size += 97)
            assert_true(try_bytes(bytes.data, size, model.config));
        for (size_t at = 0; at < bytes.size; at += 13) {
            unsigned char before = bytes.data[at];
            bytes.data[at] = (unsigned char)(at % 3 ? before ^ 1 << at % 8 : 0xff);
            refused += try_bytes(bytes.data, bytes.size, model.config);
            bytes.data[at] = before;
        }
        assert_true(refused > 0);
        bytes_free(&bytes);
        remove_exported(model.directory);
        support_model_clear(&model);
    }
}

/* Sums the other way round: what exporters write of x + f(x), also where x is itself linear, as projected
 * embeddings. */
static void import_takes_sums_in_either_order(void **state)
{
    (void)state;
    static const char config_json[] =
        "{\"architectures\": [\"ElectraForSequenceClassification\"], \"model_type\": \"electra\", "
        "\"hidden_size\": 256, "
        "\"embedding_size\": 128, \"num_attention_heads\": 4, \"num_hidden_layers\": 12, "
        "\"intermediate_size\": 1024, "
        "\"vocab_size\": 30522, \"max_position_embeddings\": 512, \"type_vocab_size\": 2, \"hidden_act\": "
        "\"gelu\"}";
    char directory[] = "/tmp/berth_onnx_XXXXXX", path[256];
    struct berth_encoder *encoder;
    struct berth_error err;
    assert_non_null(mkdtemp(directory));
    if (berth_encoder_random("electra-small", &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    export_to(directory, encoder, &forms[0]);
    berth_encoder_free(encoder);
    file_in(directory, "m.onnx", path);
    struct bytes bytes = read_whole(path);
    remove_exported(directory);
    rmdir(directory);
    Onnx__ModelProto *model = onnx__model_proto__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(model);
    size_t swapped = 0;
    for (size_t i = 0; i < model->graph->n_node; i++) {
        Onnx__NodeProto *node = model->graph->node[i];
        if (strcmp(node->op_type, "Add") != 0)
            continue;
        char *first = node->input[0];
        node->input[0] = node->input[1];
        node->input[1] = first;
        swapped++;
    }
    assert_true(swapped > 24);
    unsigned char *packed = malloc(onnx__model_proto__get_packed_size(model));
    size_t size = onnx__model_proto__pack(model, packed);
    onnx__model_proto__free_unpacked(model, NULL);
    assert_false(try_bytes(bytes.data, bytes.size, config_json));
    assert_false(try_bytes(packed, size, config_json));
    free(packed);
    bytes_free(&bytes);
}

/* What constant folding makes of positions where the length is fixed: rows of so many positions in place of the table. */
static void import_of_folded_positions_gives_a_model_of_so_many(void **state)
{
    (void)state;
    struct support_model model;
    struct berth_error err = {0};
    char path[256];
    support_model_init(&model);
    support_model_write(&model);
    struct berth_encoder *encoder = open_directory(model.directory), *imported;
    export_to(model.directory, encoder, &forms[0]);
    file_in(model.directory, "m.onnx", path);
    struct bytes bytes = read_whole(path);
    Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(proto);
    char *gathered = NULL, *name = NULL;
    size_t replaced = 0;
    for (size_t i = 0; i < proto->graph->n_node; i++) {
        Onnx__NodeProto *node = proto->graph->node[i];
        if (strcmp(node->op_type, "Gather") == 0 && strstr(node->input[0], "position_embeddings"))
            gathered = node->output[0], name = node->input[0];
        for (size_t k = 0; k < node->n_input && gathered; k++)
            if (strcmp(node->input[k], gathered) == 0) {
                free(node->input[k]);
                node->input[k] = strdup(name);
                replaced++;
            }
    }
    assert_int_equal(replaced, 1);
    Onnx__TensorProto *table = NULL;
    for (size_t i = 0; i < proto->graph->n_initializer; i++)
        if (strcmp(proto->graph->initializer[i]->name, name) == 0)
            table = proto->graph->initializer[i];
    assert_non_null(table);
    int64_t embedding = table->dims[1];
    assert_true(table->dims[0] > 4);
    table->dims[0] = 4;
    table->raw_data.len = 4 * (size_t)embedding * sizeof(float);
    for (int turn = 0; turn < 2; turn++) { /* then rows of another width: no positions */
        unsigned char *packed = malloc(onnx__model_proto__get_packed_size(proto));
        size_t size = onnx__model_proto__pack(proto, packed);
        FILE *file = fopen(path, "wb");
        assert_int_equal(fwrite(packed, 1, size, file), size);
        fclose(file);
        free(packed);
        if (berth_onnx_import(path, &imported, &err) != BERTH_OK) {
            assert_int_equal(turn, 1);
            assert_null(imported);
            assert_non_null(strstr(err.message, "position"));
        } else {
            assert_int_equal(turn, 0);
            assert_int_equal(imported->config.max_positions, 4);
            assert_int_equal(imported->config.told_positions, encoder->config.max_positions);
            assert_memory_equal(imported->position_embedding.data, encoder->position_embedding.data,
                                4 * (size_t)embedding * sizeof(float));
            berth_encoder_free(imported);
        }
        table->dims[0] = embedding, table->dims[1] = 4;
    }
    onnx__model_proto__free_unpacked(proto, NULL);
    berth_encoder_free(encoder);
    bytes_free(&bytes);
    remove_exported(model.directory);
    support_model_clear(&model);
}

static void refused_with(const Onnx__ModelProto *proto, const char *config_json, const char *words)
{
    struct berth_config config;
    struct berth_encoder *encoder;
    struct berth_error err = {0};
    unsigned char *packed = malloc(onnx__model_proto__get_packed_size(proto));
    size_t size = onnx__model_proto__pack(proto, packed);
    assert_int_equal(berth_config_parse("config.json", config_json, strlen(config_json), &config, &err), BERTH_OK);
    assert_int_not_equal(berth_onnx_import_memory("m.onnx", packed, size, &config, &encoder, &err), BERTH_OK);
    assert_null(encoder);
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
    free(packed);
}

/* Wherever they stand: also beside the way to the logits, where shapes are computed. */
static void import_of_unknown_operators_is_refused_by_their_names(void **state)
{
    (void)state;
    static const size_t which[] = {0, 6, 11};
    for (size_t form = 0; form < sizeof which / sizeof *which; form++) {
        struct support_model model;
        char path[256];
        support_model_init(&model);
        support_model_write(&model);
        struct berth_encoder *encoder = open_directory(model.directory);
        export_to(model.directory, encoder, &forms[which[form]]);
        berth_encoder_free(encoder);
        file_in(model.directory, "m.onnx", path);
        struct bytes bytes = read_whole(path);
        assert_false(try_bytes(bytes.data, bytes.size, model.config));
        Onnx__ModelProto *proto = onnx__model_proto__unpack(NULL, bytes.size, bytes.data);
        assert_non_null(proto);
        for (size_t i = 0; i < proto->graph->n_node; i++) {
            Onnx__NodeProto *node = proto->graph->node[i];
            char *operator = node->op_type, *domain = node->domain;
            node->op_type = (char *)"Frobnicate";
            refused_with(proto, model.config, "operator 'Frobnicate'");
            node->op_type = operator;
            node->domain = (char *)"example.org";
            refused_with(proto, model.config, "domain 'example.org'");
            node->domain = domain;
        }
        Onnx__FunctionProto function = ONNX__FUNCTION_PROTO__INIT, *functions[] = {&function};
        function.name = (char *)"Add";
        proto->n_functions = 1, proto->functions = functions;
        refused_with(proto, model.config, "functions of its own");
        proto->n_functions = 0, proto->functions = NULL;
        size_t sets = proto->n_opset_import;
        proto->n_opset_import = 0;
        refused_with(proto, model.config, "which opset");
        proto->n_opset_import = sets;
        onnx__model_proto__free_unpacked(proto, NULL);
        bytes_free(&bytes);
        remove_exported(model.directory);
        support_model_clear(&model);
    }
}

static void export_without_a_head_is_refused(void **state)
{
    (void)state;
    struct berth_encoder *encoder;
    struct berth_error err;
    struct berth_onnx_files files;
    assert_int_equal(berth_encoder_random("bert-tiny", &encoder, &err), BERTH_OK);
    encoder->has_head = false;
    assert_int_equal(berth_onnx_export(encoder, "/nowhere/m.onnx", &forms[0], &files, &err),
                     BERTH_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "no classifier"));
    encoder->has_head = true;
    assert_int_equal(berth_onnx_export(encoder, "/nowhere/m.onnx",
                                       &(struct berth_onnx_export_options){.opset = 12}, &files, &err),
                     BERTH_INVALID_ARGUMENT);
    assert_int_equal(berth_onnx_export(encoder, "/nowhere/m.onnx", &forms[0], &files, &err), BERTH_NOT_FOUND);
    berth_encoder_free(encoder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(import_every_form_and_activation_gives_the_weights_back),
        cmocka_unit_test(import_against_another_configuration_is_refused),
        cmocka_unit_test(import_damaged_bytes_are_refused_or_harmless),
        cmocka_unit_test(import_takes_sums_in_either_order),
        cmocka_unit_test(import_of_folded_positions_gives_a_model_of_so_many),
        cmocka_unit_test(import_of_unknown_operators_is_refused_by_their_names),
        cmocka_unit_test(export_without_a_head_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
