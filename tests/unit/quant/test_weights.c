/* test_weights.c: weights that were rounded, written and read back give the bits that rounding at load gives, at every
 * instruction set; layers that are kept finer are; what a file says falsely is refused. Where only a part runs
 * (support/part.h): fewer mixes of kept layers on the larger model. */
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

#include "model/encoder_write.h"
#include "quant/weights.h"
#include "support/engine_support.h"
#include "support/part.h"

enum { VOCAB = 1000, MOST_TOKENS = 300 };

static char folder[64];
static const size_t lengths[] = {7, 40, 2, 130};

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/berth-quant-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path_of("model.safetensors"));
    unlink(path_of("config.json"));
    return rmdir(folder);
}

static struct berth_encoder *random_encoder(const char *preset)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_random(preset, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

static void quantise(struct berth_encoder *encoder, enum berth_stored stored, enum berth_isa isa)
{
    struct berth_error err;
    if (berth_quantize_weights(encoder, stored, berth_kernels_select(isa), &err) != BERTH_OK)
        fail_msg("%s", err.message);
}

/* Writes the encoder into the folder and lets go of it. */
static void write_encoder(struct berth_encoder *encoder)
{
    struct berth_error err;
    if (berth_encoder_write(encoder, false, NULL, folder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    berth_encoder_free(encoder);
}

static struct berth_encoder *read_encoder(void)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_open(folder, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

/* Takes the encoder; its logits over a few texts, then the last hidden states of every token. */
static float *run(struct berth_encoder *encoder, enum berth_number number, enum berth_isa isa, size_t *count)
{
    struct support_runner runner;
    struct support_batch batch;
    struct berth_error err;
    support_batch_random(&batch, lengths, 4, VOCAB, 5);
    support_runner_open_as(&runner, encoder, number, isa, 2, MOST_TOKENS);
    const size_t texts = batch.batch.texts, tokens = batch.batch.offsets[texts];
    *count = texts * runner.plan->labels + tokens * runner.plan->hidden;
    float *results = calloc(*count, sizeof *results), *first = calloc(texts * runner.plan->labels, sizeof *first);
    assert_true(results && first);
    struct berth_outputs outputs = {.logits = results, .tokens = results + texts * runner.plan->labels},
                         short_way = {.logits = first};
    if (berth_engine_run(runner.engine, &batch.batch, &outputs, &err) != BERTH_OK ||
        berth_engine_run(runner.engine, &batch.batch, &short_way, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    /* both variants of the last layer, whatever is kept of it */
    assert_memory_equal(results, first, texts * runner.plan->labels * sizeof *first);
    free(first);
    support_runner_close(&runner);
    support_batch_clear(&batch);
    return results;
}

/* Every kind of mix: a layer in bf16, one in fp32, parts of one, the word embedding, the pooler. */
static void keep_some(struct berth_encoder *encoder, int mix)
{
    struct berth_layer *layers = encoder->layers;
    const size_t last = encoder->config.layers - 1;
    const enum berth_stored keep = mix % 2 ? BERTH_STORED_BF16 : BERTH_STORED_FP32;
    if (mix == 0)
        return;
    if (mix < 5)
        layers[0].query.keep = layers[0].key.keep = layers[0].value.keep = keep;
    if (mix == 2 || mix == 3)
        layers[0].ffn_out.keep = layers[last].ffn_in.keep = keep;
    if (mix == 3 || mix == 4)
        encoder->word_keep = encoder->pooler.keep = keep;
    if (mix == 5)
        layers[last].query.keep = layers[last].key.keep = layers[last].value.keep = layers[last].ffn_out.keep = keep;
    if (mix == 6)
        layers[last].attention_out.keep = encoder->project.keep = keep;
}

static void written_and_read_gives_the_bits_of_rounding_at_load(void **state)
{
    (void)state;
    static const char *const presets[] = {"bert-tiny", "electra-small"};
    for (size_t p = 0; p < 2; p++)
        for (int mix = 0; mix < 7; mix++) {
            if (p == 1 && !part_has((size_t)mix, 3))
                continue;
            const enum berth_isa isa = support_best_isa();
            struct berth_encoder *encoder = random_encoder(presets[p]);
            size_t count;
            keep_some(encoder, mix);
            float *want = run(encoder, BERTH_NUMBER_S8, isa, &count);
            encoder = random_encoder(presets[p]);
            keep_some(encoder, mix);
            quantise(encoder, BERTH_STORED_INT8, isa);
            write_encoder(encoder);
            float *got = run(read_encoder(), BERTH_NUMBER_S8, isa, &count);
            assert_memory_equal(got, want, count * sizeof *got);
            free(got);
            free(want);
        }
}

static void mixes_differ_from_one_another(void **state)
{
    (void)state;
    float *results[7];
    size_t count;
    for (int mix = 0; mix < 7; mix++) {
        struct berth_encoder *encoder = random_encoder(part_only() ? "bert-tiny" : "electra-small");
        keep_some(encoder, mix);
        results[mix] = run(encoder, BERTH_NUMBER_S8, support_best_isa(), &count);
        for (int other = 0; other < mix; other++)
            assert_memory_not_equal(results[mix], results[other], count * sizeof(float));
    }
    for (int mix = 0; mix < 7; mix++)
        free(results[mix]);
}

/* With everything kept in fp32 an int8 plan is one of fp32; but for the classifier, whose order of sums differs. */
static void all_kept_is_fp32(void **state)
{
    (void)state;
    struct berth_encoder *encoder = random_encoder("electra-small");
    struct berth_product products[BERTH_PRODUCTS_OUTSIDE + 12 * BERTH_PRODUCTS_PER_LAYER];
    size_t count;
    for (size_t i = 0, n = berth_products(encoder, products); i < n; i++)
        *products[i].keep = BERTH_STORED_FP32;
    float *got = run(encoder, BERTH_NUMBER_S8, support_best_isa(), &count);
    float *want = run(random_encoder("electra-small"), BERTH_NUMBER_F32, support_best_isa(), &count);
    for (size_t i = 0; i < 8; i++)
        assert_true(fabsf(got[i] - want[i]) < 1e-6f);
    assert_memory_equal(got + 8, want + 8, (count - 8) * sizeof *got);
    free(got);
    free(want);
}

static void int8_checkpoint_gives_the_same_bits_at_every_level(void **state)
{
    (void)state;
    float *want = NULL;
    size_t count;
    for (enum berth_isa isa = BERTH_ISA_SCALAR; isa <= support_best_isa(); isa++) {
        struct berth_encoder *encoder = random_encoder("electra-small");
        quantise(encoder, BERTH_STORED_INT8, isa); /* written by one level, run by it */
        write_encoder(encoder);
        float *got = run(read_encoder(), BERTH_NUMBER_S8, isa, &count);
        if (want)
            assert_memory_equal(got, want, count * sizeof *got);
        free(want);
        want = got;
    }
    free(want);
}

static void bf16_and_widened_are_what_they_say(void **state)
{
    (void)state;
    const enum berth_isa isa = support_best_isa();
    struct berth_encoder *encoder = random_encoder("bert-tiny");
    size_t count;
    quantise(encoder, BERTH_STORED_BF16, isa);
    write_encoder(encoder);
    float *got = run(read_encoder(), BERTH_NUMBER_BF16, isa, &count);
    float *want = run(random_encoder("bert-tiny"), BERTH_NUMBER_BF16, isa, &count);
    assert_memory_equal(got, want, count * sizeof *got);
    free(got);
    free(want);

    /* int8 at fp32: steps times scales, also the word embedding's, which outlive the file */
    encoder = random_encoder("bert-tiny");
    quantise(encoder, BERTH_STORED_INT8, isa);
    write_encoder(encoder);
    encoder = read_encoder();
    const struct berth_tensor *weight = &encoder->layers[1].ffn_in.weight;
    float numbers[3], scale;
    berth_encoder_read(encoder, weight, weight->shape[1] * 5 - 1, 3, numbers); /* across two rows */
    memcpy(&scale, (const char *)weight->scales + 5 * sizeof scale, sizeof scale);
    const int8_t *steps = (const int8_t *)weight->data + weight->shape[1] * 5;
    assert_true(numbers[1] == (float)steps[0] * scale && numbers[2] == (float)steps[1] * scale);
    got = run(encoder, BERTH_NUMBER_F32, isa, &count);
    want = run(read_encoder(), BERTH_NUMBER_S8, isa, &count);
    assert_memory_not_equal(got, want, count * sizeof *got);
    for (size_t i = 0; i < 8; i++)
        assert_true(fabsf(got[i] - want[i]) < 0.05f);
    free(got);
    free(want);
}

/* --- files that lie ------------------------------------------------------------------------------- */

/* A sound checkpoint, changed by `lie` among its tensors (borrowed from it). */
static void refused(void (*lie)(struct berth_tensor *tensors, size_t *count), const char *words)
{
    struct berth_checkpoint *checkpoint;
    struct berth_encoder *encoder = random_encoder("bert-tiny");
    struct berth_error err = {0};
    struct berth_tensor tensors[128];
    quantise(encoder, BERTH_STORED_INT8, BERTH_ISA_SCALAR);
    write_encoder(encoder);
    assert_int_equal(berth_checkpoint_open(folder, &checkpoint, &err), BERTH_OK);
    size_t count = berth_checkpoint_count(checkpoint);
    assert_true(count < 127);
    for (size_t i = 0; i < count; i++)
        tensors[i] = *berth_checkpoint_at(checkpoint, i);
    lie(tensors, &count);
    assert_int_equal(berth_safetensors_write(path_of("model.safetensors"), tensors, count, NULL, &err), BERTH_OK);
    berth_checkpoint_close(checkpoint);
    enum berth_status status = berth_encoder_open(folder, &encoder, &err);
    struct berth_plan *plan = NULL;
    const struct berth_plan_options options = {.number = BERTH_NUMBER_S8};
    if (status == BERTH_OK)
        status = berth_plan_new(encoder, berth_kernels_select(BERTH_ISA_SCALAR), &options, NULL, &plan, &err);
    if (status == BERTH_OK || plan || !strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, status == BERTH_OK ? "(it opens)" : err.message);
}

static struct berth_tensor *find(struct berth_tensor *tensors, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(tensors[i].name, name) == 0)
            return &tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static const char lied_weight[] = "bert.encoder.layer.1.output.dense.weight",
                  lied_scale[] = "bert.encoder.layer.1.output.dense.weight_scale",
                  lied_bias[] = "bert.encoder.layer.1.output.dense.bias",
                  lied_words[] = "bert.embeddings.word_embeddings.weight";
static float bad_scales[128];
static int8_t bad_steps[128 * 512], bad_rows[30522 * 128];

static void lose_scale(struct berth_tensor *tensors, size_t *count)
{
    *find(tensors, *count, lied_scale) = tensors[*count - 1];
    --*count;
}

static void give_scale(struct berth_tensor *tensors, size_t count, float value)
{
    for (size_t i = 0; i < 128; i++)
        bad_scales[i] = i == 77 ? value : 0.01f;
    find(tensors, count, lied_scale)->data = bad_scales;
}

static void scale_nan(struct berth_tensor *tensors, size_t *count)
{
    give_scale(tensors, *count, NAN);
}

static void scale_negative(struct berth_tensor *tensors, size_t *count)
{
    give_scale(tensors, *count, -0.5f);
}

static void scale_overflows(struct berth_tensor *tensors, size_t *count)
{
    give_scale(tensors, *count, 3e38f);
}

static void scale_short(struct berth_tensor *tensors, size_t *count)
{
    struct berth_tensor *scale = find(tensors, *count, lied_scale);
    scale->shape[0] = scale->elements = 127;
    scale->bytes = 127 * sizeof(float);
}

static void step_below(struct berth_tensor *tensors, size_t *count)
{
    bad_steps[128 * 512 - 3] = -128;
    find(tensors, *count, lied_weight)->data = bad_steps;
}

static void word_step_below(struct berth_tensor *tensors, size_t *count)
{
    bad_rows[3000] = -128;
    find(tensors, *count, lied_words)->data = bad_rows;
}

static void weight_not_int8(struct berth_tensor *tensors, size_t *count)
{
    static uint16_t halves[128 * 512];
    struct berth_tensor *weight = find(tensors, *count, lied_weight);
    weight->dtype = BERTH_DTYPE_BF16;
    weight->bytes = sizeof halves;
    weight->data = halves;
}

static void bias_int8(struct berth_tensor *tensors, size_t *count)
{
    struct berth_tensor *bias = find(tensors, *count, lied_bias);
    bias->dtype = BERTH_DTYPE_I8;
    bias->bytes = bias->elements;
    bias->data = bad_steps;
}

static void hostile_tensors_are_refused_by_name(void **state)
{
    (void)state;
    refused(lose_scale, "lack tensor 'bert.encoder.layer.1.output.dense.weight_scale'");
    refused(scale_nan, "which is no scale");
    refused(scale_negative, "holds -0.5");
    refused(scale_overflows, "which is no scale");
    refused(scale_short, "output.dense.weight_scale' of");
    refused(step_below, "output.dense.weight' of");
    refused(word_step_below, "holds the step -128");
    refused(weight_not_int8, "quantization_config of config.json says int8");
    refused(bias_int8, "weights must be f32, f16 or bf16");
}

static void hostile_configurations_are_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *quantization, *words;
    } cases[] = {
        {"{\"quant_method\": \"bitsandbytes\", \"load_in_8bit\": true}", "no quantisation but its own"},
        {"{\"quant_method\": \"berth\", \"version\": 2, \"precision\": \"int8\"}", "version is 2"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int4\"}", "precision is \"int4\""},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"fp32\"}", "precision is \"fp32\""},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int8\", \"group\": 32}", "group is 32"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int8\", \"kept\": [1]}", "kept is [1]"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"bf16\", \"kept\": {\"x\": \"int8\"}}",
         "x is \"int8\""},
        {"[8]", "is no object"},
        {"null", "weights must be f32, f16 or bf16"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"bf16\"}", "weights must be f32, f16 or bf16"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int8\", \"kept\": "
         "{\"bert.encoder.layer.7.output.dense\": \"fp32\"}}",
         "of which the weights have no tensor"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int8\", \"kept\": {\"classifier\": \"fp32\"}}",
         "keeps 1 modules, of which only 0"},
        {"{\"quant_method\": \"berth\", \"version\": 1, \"precision\": \"int8\", \"kept\": "
         "{\"bert.encoder.layer.1.output.dense\": \"bf16\"}}",
         "output.dense.weight' of"},
    };
    struct berth_encoder *encoder = random_encoder("bert-tiny");
    quantise(encoder, BERTH_STORED_INT8, BERTH_ISA_SCALAR);
    write_encoder(encoder);
    char text[4096];
    FILE *file = fopen(path_of("config.json"), "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    char *at = strstr(text, "\"quantization_config\":");
    assert_non_null(at);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct berth_error err = {0};
        file = fopen(path_of("config.json"), "w");
        assert_non_null(file);
        fprintf(file, "%.*s\"quantization_config\": %s}", (int)(at - text), text, cases[i].quantization);
        fclose(file);
        if (berth_encoder_open(folder, &encoder, &err) == BERTH_OK || !strstr(err.message, cases[i].words))
            fail_msg("%s: no '%s' in: %s", cases[i].quantization, cases[i].words, err.message);
    }
}

static void steps_survive_packing_and_back(void **state)
{
    (void)state;
    for (size_t k = 1; k < 200; k += 13) {
        enum { ROWS = 37 };
        int8_t steps[ROWS * 200], back[ROWS * 200];
        float scales[ROWS], scale[48];
        int32_t offset[48];
        int8_t *packed = aligned_alloc(64, berth_gemm_tiled_packed(ROWS, k));
        for (size_t i = 0; i < ROWS * k; i++)
            steps[i] = (int8_t)((long)(i * 2654435761u % 255) - 127);
        for (size_t i = 0; i < ROWS; i++)
            scales[i] = (float)i;
        assert_true(berth_s8_pack_steps(packed, scale, offset, steps, scales, 0, ROWS, k));
        berth_s8_unpack_steps(back, packed, ROWS, k);
        assert_memory_equal(back, steps, ROWS * k);
        for (size_t i = 0; i < 48; i++) {
            int32_t sum = 0;
            for (size_t j = 0; i < ROWS && j < k; j++)
                sum += steps[i * k + j];
            assert_int_equal(offset[i], -128 * sum);
            assert_true(scale[i] == (i < ROWS ? (float)i : 0));
        }
        steps[ROWS * k - 1] = -128; /* the negative control */
        assert_false(berth_s8_pack_steps(packed, scale, offset, steps, scales, 0, ROWS, k));
        free(packed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_and_read_gives_the_bits_of_rounding_at_load),
        cmocka_unit_test(mixes_differ_from_one_another),
        cmocka_unit_test(all_kept_is_fp32),
        cmocka_unit_test(int8_checkpoint_gives_the_same_bits_at_every_level),
        cmocka_unit_test(bf16_and_widened_are_what_they_say),
        cmocka_unit_test(hostile_tensors_are_refused_by_name),
        cmocka_unit_test(hostile_configurations_are_refused_by_name),
        cmocka_unit_test(steps_survive_packing_and_back),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
