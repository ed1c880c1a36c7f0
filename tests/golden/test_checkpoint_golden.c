/* test_checkpoint_golden.c: real files. The two formats of one model hold the same bits; every reference
 * model opens, with its configuration, and its tensors have the shapes that the configuration asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/hf_config.h"
#include "support/golden.h"

static char shared[4000];

struct path {
    char text[4096];
};

static struct path path_in(const char *folder, const char *name)
{
    struct path path;
    int length = snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    if (length < 0 || (size_t)length >= sizeof path.text)
        path.text[0] = 0; /* no such file */
    return path;
}

static struct berth_checkpoint *open_path(const char *path)
{
    struct berth_checkpoint *checkpoint;
    struct berth_error err;
    enum berth_status status = berth_directory_exists(path)
                                   ? berth_checkpoint_open(path, &checkpoint, &err)
                                   : berth_checkpoint_open_file(path, &checkpoint, &err);
    if (status != BERTH_OK)
        fail_msg("%s", err.message);
    return checkpoint;
}

static bool same_tensor(const struct berth_tensor *a, const struct berth_tensor *b)
{
    return a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0 &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

/* Every tensor of the safetensors file is in the .bin, bit for bit. (A .bin may hold tied weights once more.)
 */
static void open_bin_equals_safetensors(void **state)
{
    (void)state;
    static const char *const models[] = {"bert-gelu-2", "distilbert-mlm"};
    for (size_t i = 0; i < 2; i++) {
        struct path folder = path_in(path_in(shared, "golden/models").text, models[i]);
        struct berth_checkpoint *a = open_path(path_in(folder.text, "model.safetensors").text);
        struct berth_checkpoint *b = open_path(path_in(folder.text, "pytorch_model.bin").text);
        assert_true(berth_checkpoint_count(a) >= 41 &&
                    berth_checkpoint_count(b) >= berth_checkpoint_count(a));
        for (size_t k = 0; k < berth_checkpoint_count(a); k++) {
            const struct berth_tensor *x = berth_checkpoint_at(a, k), *y = berth_checkpoint_find(b, x->name);
            if (!y || !same_tensor(x, y))
                fail_msg("%s: tensor '%s' differs", models[i], x->name);
        }
        /* The comparison's control: one other bit is seen. */
        struct berth_tensor changed = *berth_checkpoint_at(a, 0);
        unsigned char *bytes = malloc(changed.bytes);
        memcpy(bytes, changed.data, changed.bytes);
        bytes[changed.bytes - 1] ^= 1;
        changed.data = bytes;
        assert_false(same_tensor(berth_checkpoint_at(a, 0), &changed));
        free(bytes);
        berth_checkpoint_close(a);
        berth_checkpoint_close(b);
    }
}

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a >= b && strcmp(text + a - b, end) == 0;
}

static void check_shape(const char *model, const struct berth_tensor *tensor, size_t rows, size_t columns)
{
    char text[200];
    if (tensor->rank != 2 || tensor->shape[0] != rows || tensor->shape[1] != columns)
        fail_msg("%s: %s is %s", model, tensor->name, berth_tensor_describe(tensor, text, sizeof text));
}

/* Shapes by the configuration, and weights that are small numbers: strides read in the wrong order would keep
 * neither. */
static void check_model(const char *folder, const struct berth_config *c)
{
    struct berth_checkpoint *checkpoint = open_path(folder);
    size_t matrices = 0;
    for (size_t i = 0; i < berth_checkpoint_count(checkpoint); i++) {
        const struct berth_tensor *tensor = berth_checkpoint_at(checkpoint, i);
        if (ends_with(tensor->name, "embeddings.word_embeddings.weight"))
            matrices++, check_shape(folder, tensor, c->vocab_size, c->embedding_size);
        else if (ends_with(tensor->name, ".intermediate.dense.weight") ||
                 ends_with(tensor->name, ".ffn.lin1.weight"))
            matrices++, check_shape(folder, tensor, c->intermediate_size, c->hidden_size);
        else if ((ends_with(tensor->name, ".output.dense.weight") && !strstr(tensor->name, "attention")) ||
                 ends_with(tensor->name, ".ffn.lin2.weight"))
            matrices++, check_shape(folder, tensor, c->hidden_size, c->intermediate_size);
        if (!berth_dtype_is_float(tensor->dtype))
            continue;
        for (size_t k = 0; k < tensor->elements; k++) {
            float value;
            berth_tensor_read_f32(tensor, k, 1, &value);
            assert_true(value > -100 && value < 100);
        }
    }
    assert_int_equal(matrices, 1 + 2 * c->layers);
    berth_checkpoint_close(checkpoint);
}

static size_t check_folder(const char *parent)
{
    DIR *folder = opendir(parent);
    size_t checked = 0;
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));) {
        struct path path = path_in(parent, entry->d_name);
        if (entry->d_name[0] == '.' || !berth_directory_exists(path.text))
            continue;
        struct berth_config config;
        struct berth_error err;
        enum berth_status status = berth_config_read(path.text, &config, &err);
        if (strstr(entry->d_name, "relative")) {
            assert_int_equal(status, BERTH_UNSUPPORTED);
            assert_non_null(strstr(err.message, "position_embedding_type"));
            continue;
        }
        if (status != BERTH_OK)
            fail_msg("%s", err.message);
        assert_int_equal(config.unrecognised_count, 0);
        check_model(path.text, &config);
        berth_config_clear(&config);
        checked++;
    }
    closedir(folder);
    return checked;
}

static void open_every_reference_model_has_its_shapes(void **state)
{
    (void)state;
    assert_true(check_folder(path_in(shared, "golden/models").text) >= 19);
    assert_true(check_folder(path_in(shared, "golden/trained").text) >= 1);
    assert_true(check_folder(path_in(shared, "golden/train").text) >= 1);
}

/* A file that transformers 4.8 wrote. */
static void open_real_bin_has_its_tensors(void **state)
{
    (void)state;
    struct berth_config config;
    struct path folder = path_in(shared, "data/weights/tiny-bert-ner_camphr");
    assert_int_equal(berth_config_read(folder.text, &config, NULL), BERTH_OK);
    check_model(folder.text, &config);
    assert_true(config.labels == 9);
    assert_string_equal(config.label_names[8], "I-LOC");
    berth_config_clear(&config);
}

/* The old file's dense weights are transposed views; the decoder shares the embedding's storage. */
static void open_legacy_bin_unties_views(void **state)
{
    (void)state;
    struct berth_checkpoint *checkpoint =
        open_path(path_in(shared, "golden/models/bert-legacy-gamma-beta").text);
    const struct berth_tensor *embedding =
        berth_checkpoint_find(checkpoint, "bert.embeddings.word_embeddings.weight");
    const struct berth_tensor *decoder = berth_checkpoint_find(checkpoint, "cls.predictions.decoder.weight");
    const struct berth_tensor *step = berth_checkpoint_find(checkpoint, "global_step");
    assert_true(embedding && decoder && embedding->data == decoder->data);
    assert_true(step && step->rank == 0 && step->dtype == BERTH_DTYPE_I64 && step->bytes == 8);
    berth_checkpoint_close(checkpoint);
}

int main(void)
{
    golden_path("golden/models");
    snprintf(shared, sizeof shared, "%s", golden_path("."));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_bin_equals_safetensors),
        cmocka_unit_test(open_every_reference_model_has_its_shapes),
        cmocka_unit_test(open_real_bin_has_its_tensors),
        cmocka_unit_test(open_legacy_bin_unties_views),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
