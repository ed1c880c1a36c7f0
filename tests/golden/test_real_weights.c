/* test_real_weights.c: two genuine encoders, published without their word embeddings: what bf16 and int8 do
 * to weights that training made, layer by layer. */
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

#include "base/rng.h"
#include "formats/checkpoint.h"
#include "support/golden.h"
#include "support/engine_support.h"

enum { VOCAB = 64, TENSORS_MAX = 100, TEXT = 40 };

/* docs/numerics.md: root mean square of the difference over that of the reference, of any layer's output, and
 * the largest difference of a logit. */
static const struct {
    double relative, logits;
} bounds[] = {
    [BERTH_NUMBER_F32] = {1e-5, 5e-5}, [BERTH_NUMBER_BF16] = {0.03, 0.15}, [BERTH_NUMBER_S8] = {0.15, 0.6}};
static const char *const number_names[] = {"fp32", "bf16", "int8"};

static char weights[512];

/* A model's stored tensors, and made-up tables in place of those that were not published. */
struct parts {
    struct berth_checkpoint *checkpoint;
    struct berth_tensor tensors[TENSORS_MAX];
    float *tables[4];
    size_t count, table_count;
};

static void parts_open(struct parts *parts, const char *path)
{
    struct berth_error err;
    *parts = (struct parts){0};
    if (berth_checkpoint_open_file(path, &parts->checkpoint, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < berth_checkpoint_count(parts->checkpoint); i++) {
        assert_true(parts->count < TENSORS_MAX - 8);
        struct berth_tensor tensor = *berth_checkpoint_at(parts->checkpoint, i);
        if (strstr(tensor.name, "position_embeddings"))
            tensor.name = "bert.embeddings.position_embeddings.weight";
        parts->tensors[parts->count++] = tensor;
    }
}

/* A table of normal numbers, of that deviation around that mean. */
static void parts_add(struct parts *parts, const char *name, size_t rows, size_t columns, double deviation,
                      float mean)
{
    struct berth_rng rng;
    size_t elements = (rows ? rows : 1) * columns;
    float *table = calloc(elements, sizeof *table);
    assert_non_null(table);
    berth_rng_seed(&rng, 1);
    for (size_t i = 0; i < elements; i++)
        table[i] = mean + (float)(deviation * berth_rng_normal(&rng));
    parts->tables[parts->table_count++] = table;
    struct berth_tensor tensor = {.name = name,
                                  .dtype = BERTH_DTYPE_F32,
                                  .rank = rows ? 2 : 1,
                                  .shape = {rows ? rows : columns, columns},
                                  .elements = elements,
                                  .data = table,
                                  .bytes = elements * sizeof *table};
    parts->tensors[parts->count++] = tensor;
}

/* Writes a model folder under a new temporary one, and removes the parts. */
static void parts_write(struct parts *parts, const char *config, size_t positions, char directory[64])
{
    struct berth_error err;
    char path[128];
    strcpy(directory, "/tmp/berth-real-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    if (berth_safetensors_write(path, parts->tensors, parts->count, NULL, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    json_t *root = json_load_file(config, 0, NULL);
    assert_non_null(root);
    json_object_set_new(root, "vocab_size", json_integer(VOCAB));
    json_object_set_new(root, "max_position_embeddings", json_integer((json_int_t)positions));
    snprintf(path, sizeof path, "%s/config.json", directory);
    assert_int_equal(json_dump_file(root, path, 0), 0);
    json_decref(root);
    for (size_t i = 0; i < parts->table_count; i++)
        free(parts->tables[i]);
    berth_checkpoint_close(parts->checkpoint);
}

static void remove_model(const char *directory)
{
    char path[128];
    snprintf(path, sizeof path, "%s/model.safetensors", directory);
    unlink(path);
    snprintf(path, sizeof path, "%s/config.json", directory);
    unlink(path);
    rmdir(directory);
}

static void open_runner(struct support_runner *runner, const char *directory, enum berth_number number,
                        enum berth_isa isa)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_open(directory, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    support_runner_open_as(runner, encoder, number, isa, 1, 256);
}

static double relative_error(const float *got, const float *want, size_t count)
{
    double errors = 0, sizes = 0;
    for (size_t i = 0; i < count; i++) {
        errors += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        sizes += (double)want[i] * (double)want[i];
    }
    return sqrt(errors / sizes);
}

static void read_part(const struct berth_checkpoint *file, const char *part, size_t text, float *out,
                      size_t count)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%zu", part, text);
    const struct berth_tensor *tensor = berth_checkpoint_find(file, name);
    assert_non_null(tensor);
    assert_int_equal(tensor->elements, count);
    berth_tensor_read_f32(tensor, 0, count, out);
}

/* Five sentences of SST-2 through BERT-tiny; returns whether all are within the bounds of `allowed`. */
static bool check_tiny(const char *directory, enum berth_number number, enum berth_isa isa,
                       enum berth_number allowed)
{
    enum { C = 128, MOST = 64, LABELS = 2 };
    struct support_runner runner;
    struct berth_checkpoint *golden;
    struct berth_error err;
    char path[600];
    static int32_t ids[MOST];
    static float embedded[MOST * C], want[MOST * C], got[MOST * C];
    double relative = 0, largest = 0;
    snprintf(path, sizeof path, "%s/bert-tiny-sst2-encoder/golden_embedding_outputs.safetensors", weights);
    assert_int_equal(berth_checkpoint_open_file(path, &golden, &err), BERTH_OK);
    open_runner(&runner, directory, number, isa);
    for (size_t text = 0; text < 5; text++) {
        float logits[LABELS], want_logits[LABELS];
        snprintf(path, sizeof path, "emb_%zu", text);
        size_t tokens = berth_checkpoint_find(golden, path)->shape[0];
        assert_true(tokens <= MOST);
        read_part(golden, "emb", text, embedded, tokens * C);
        read_part(golden, "hidden", text, want, tokens * C);
        read_part(golden, "logits", text, want_logits, LABELS);
        struct berth_batch batch = {
            .texts = 1, .offsets = (size_t[]){0, tokens}, .ids = ids, .embedded = embedded};
        struct berth_outputs outputs = {.logits = logits, .tokens = got};
        if (berth_engine_run(runner.engine, &batch, &outputs, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        relative = fmax(relative, relative_error(got, want, tokens * C));
        for (size_t i = 0; i < LABELS; i++)
            largest = fmax(largest, fabs((double)logits[i] - (double)want_logits[i]));
    }
    printf("bert-tiny-sst2       %s %-7s hidden %.1e  logits %.1e\n", number_names[number],
           berth_isa_name(isa), relative, largest);
    support_runner_close(&runner);
    berth_checkpoint_close(golden);
    return relative <= bounds[allowed].relative && largest <= bounds[allowed].logits;
}

static void bert_tiny_gives_its_published_logits(void **state)
{
    (void)state;
    char path[600], directory[64];
    struct parts parts;
    snprintf(path, sizeof path, "%s/bert-tiny-sst2-encoder/encoder_pooler_classifier.safetensors", weights);
    parts_open(&parts, path);
    parts_add(&parts, "bert.embeddings.word_embeddings.weight", VOCAB, 128, 0.02, 0);
    parts_add(&parts, "bert.embeddings.position_embeddings.weight", 128, 128, 0.02, 0);
    parts_add(&parts, "bert.embeddings.token_type_embeddings.weight", 2, 128, 0.02, 0);
    parts_add(&parts, "bert.embeddings.LayerNorm.weight", 0, 128, 0, 1);
    float *shift = calloc(128, sizeof *shift);
    assert_non_null(shift);
    parts.tensors[parts.count] = parts.tensors[parts.count - 1];
    parts.tensors[parts.count].name = "bert.embeddings.LayerNorm.bias";
    parts.tensors[parts.count++].data = shift;
    snprintf(path, sizeof path, "%s/bert-tiny-sst2-encoder/config.json", weights);
    parts_write(&parts, path, 128, directory);
    free(shift);
    for (enum berth_isa isa = BERTH_ISA_SCALAR; isa <= support_best_isa(); isa++) {
        for (enum berth_number number = BERTH_NUMBER_F32; number <= BERTH_NUMBER_S8; number++) {
            if (berth_kernels_select(isa)->isa == isa)
                assert_true(check_tiny(directory, number, isa, number));
        }
    }
    /* The bounds tell the precisions apart. */
    assert_false(check_tiny(directory, BERTH_NUMBER_BF16, BERTH_ISA_SCALAR, BERTH_NUMBER_F32));
    remove_model(directory);
}

/* Every layer's output against fp32's, which the reference models hold. */
static void tinybert_each_layer_is_within_the_bounds(void **state)
{
    (void)state;
    enum { C = 312, L = 4 };
    char path[600], directory[64];
    struct parts parts;
    snprintf(path, sizeof path, "%s/tinybert-4l-312d-encoder_vespa/encoder_no_word_embeddings.safetensors",
             weights);
    parts_open(&parts, path);
    parts_add(&parts, "bert.embeddings.word_embeddings.weight", VOCAB, C, 0.05, 0);
    snprintf(path, sizeof path, "%s/tinybert-4l-312d-encoder_vespa/config.json", weights);
    parts_write(&parts, path, 128, directory);
    float *hidden[3];
    for (enum berth_number number = BERTH_NUMBER_F32; number <= BERTH_NUMBER_S8; number++) {
        struct support_runner runner;
        struct support_batch batch;
        struct berth_error err;
        hidden[number] = calloc((L + 1) * TEXT * C, sizeof(float));
        assert_non_null(hidden[number]);
        open_runner(&runner, directory, number, support_best_isa());
        support_batch_random(&batch, (size_t[]){TEXT}, 1, VOCAB, 4);
        struct berth_outputs outputs = {.hidden = hidden[number]};
        if (berth_engine_run(runner.engine, &batch.batch, &outputs, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        for (size_t layer = 0; layer <= L; layer++) {
            size_t at = layer * TEXT * C;
            double relative = relative_error(hidden[number] + at, hidden[BERTH_NUMBER_F32] + at, TEXT * C);
            printf("tinybert-4l-312d     %s layer %zu  %.1e\n", number_names[number], layer, relative);
            assert_true(relative <= bounds[number].relative);
            if (layer > 0) /* the output of the layer before is refused */
                assert_true(relative_error(hidden[number] + at - TEXT * C, hidden[BERTH_NUMBER_F32] + at,
                                           TEXT * C) > bounds[number].relative);
        }
        support_batch_clear(&batch);
        support_runner_close(&runner);
    }
    for (size_t i = 0; i < 3; i++)
        free(hidden[i]);
    remove_model(directory);
}

int main(void)
{
    golden_path("data/weights/bert-tiny-sst2-encoder/golden.json");
    golden_path("data/weights/tinybert-4l-312d-encoder_vespa");
    snprintf(weights, sizeof weights, "%s", golden_path("data/weights"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bert_tiny_gives_its_published_logits),
        cmocka_unit_test(tinybert_each_layer_is_within_the_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
