/* test_models.c: every reference checkpoint, every batch, every instruction-set level of this machine:
 * logits, pooled, first hidden state and hidden states against the reference; and the same checker must
 * reject models that are wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/engine_support.h"

static const double bound = 5e-5; /* docs/numerics.md */

struct results {
    float *logits, *pooled, *first, *tokens, *hidden;
};

static void allocate_results(struct results *r, const struct berth_plan *plan, size_t texts, size_t tokens)
{
    size_t c = plan->hidden;
    r->logits = plan->labels ? calloc(texts * plan->labels, sizeof(float)) : NULL;
    r->pooled = plan->slot_width[BERTH_SLOT_POOLED] ? calloc(texts * c, sizeof(float)) : NULL;
    r->first = calloc(texts * c, sizeof(float));
    r->tokens = calloc(tokens * c, sizeof(float));
    r->hidden = calloc((plan->layers + 1) * tokens * c, sizeof(float));
}

static void free_results(struct results *r)
{
    free(r->logits);
    free(r->pooled);
    free(r->first);
    free(r->tokens);
    free(r->hidden);
}

/* Distance of `got` to the numbers under `key`; 0 when the golden file has none or the model gives none. */
static double distance_to(const json_t *golden, const char *key, const float *got, size_t *compared)
{
    const json_t *array = json_object_get(golden, key);
    double *want;
    if (!array || !got)
        return 0;
    size_t count = support_numbers(array, &want);
    double distance = support_distance(got, want, count);
    free(want);
    *compared += count;
    return distance;
}

/* Distance of all hidden states of the batch they are recorded for; its padded positions are not looked at.
 */
static double distance_hidden(const char *path, const struct support_batch *batch,
                              const struct berth_plan *plan, const float *hidden, size_t *compared)
{
    struct berth_checkpoint *file;
    struct berth_error err;
    double largest = 0;
    size_t c = plan->hidden, tokens = batch->offsets[batch->batch.texts];
    float *want = calloc(batch->batch.texts * batch->width * c, sizeof(float));
    assert_non_null(want);
    assert_int_equal(berth_checkpoint_open_file(path, &file, &err), BERTH_OK);
    for (size_t layer = 0; layer <= plan->layers; layer++) {
        char name[32];
        snprintf(name, sizeof name, "hidden_states.%zu", layer);
        const struct berth_tensor *tensor = berth_checkpoint_find(file, name);
        assert_non_null(tensor);
        assert_int_equal(tensor->elements, batch->batch.texts * batch->width * c);
        berth_tensor_read_f32(tensor, 0, tensor->elements, want);
        for (size_t i = 0; i < tokens * c; i++) {
            double error =
                fabs((double)hidden[layer * tokens * c + i] - want[batch->source[i / c] * c + i % c]);
            largest = error <= largest ? largest : error;
        }
        *compared += tokens * c;
    }
    berth_checkpoint_close(file);
    free(want);
    return largest;
}

struct tally {
    double logits, pooled, first, hidden;
    size_t compared;
};

static void keep_largest(double *largest, double value)
{
    if (!(value <= *largest))
        *largest = value;
}

/* The negative control's handle: how a batch is spoilt before it is run. */
enum spoil { SPOIL_NOTHING, SPOIL_POSITIONS };

static void check_batch(struct support_runner *runner, const json_t *golden, const char *directory,
                        enum spoil spoil, struct tally *tally)
{
    struct berth_error err;
    struct support_batch batch;
    struct results all, brief;
    const struct berth_plan *plan = runner->plan;
    support_batch_from_json(&batch, golden);
    size_t texts = batch.batch.texts, tokens = batch.offsets[texts];
    for (size_t i = 0; spoil == SPOIL_POSITIONS && i < tokens; i++)
        batch.positions[i] = (int32_t)(((size_t)batch.positions[i] + 1) % plan->max_positions);
    allocate_results(&all, plan, texts, tokens);
    allocate_results(&brief, plan, texts, tokens);
    struct berth_outputs everything = {.logits = all.logits,
                                       .pooled = all.pooled,
                                       .first = all.first,
                                       .tokens = all.tokens,
                                       .hidden = all.hidden};
    if (berth_engine_run(runner->engine, &batch.batch, &everything, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    struct berth_outputs first_only = {.logits = brief.logits, .pooled = brief.pooled, .first = brief.first};
    if (berth_engine_run(runner->engine, &batch.batch, &first_only, &err) != BERTH_OK)
        fail_msg("%s", err.message);

    keep_largest(&tally->logits, distance_to(golden, "logits_f64", all.logits, &tally->compared));
    keep_largest(&tally->pooled, distance_to(golden, "pooled", all.pooled, &tally->compared));
    keep_largest(&tally->first, distance_to(golden, "cls_hidden", all.first, &tally->compared));
    if (strcmp(json_string_value(json_object_get(golden, "name")), "pad_longest_4") == 0) {
        char path[600];
        snprintf(path, sizeof path, "%s/golden_hidden_states.safetensors", directory);
        keep_largest(&tally->hidden, distance_hidden(path, &batch, plan, all.hidden, &tally->compared));
    }
    /* Both variants of the last layer give the same bits. */
    if (all.logits)
        assert_memory_equal(all.logits, brief.logits, texts * plan->labels * sizeof(float));
    if (all.pooled)
        assert_memory_equal(all.pooled, brief.pooled, texts * plan->hidden * sizeof(float));
    assert_memory_equal(all.first, brief.first, texts * plan->hidden * sizeof(float));
    free_results(&all);
    free_results(&brief);
    support_batch_clear(&batch);
}

static struct tally check_model(const char *directory, struct berth_encoder *encoder, enum berth_isa isa,
                                enum spoil spoil)
{
    char path[700];
    struct tally tally = {0};
    struct support_runner runner;
    snprintf(path, sizeof path, "%s/golden.json", directory);
    json_t *golden = json_load_file(path, 0, NULL), *batches = json_object_get(golden, "batches");
    assert_non_null(golden);
    support_runner_open(&runner, encoder, isa, 2, 4096);
    for (size_t i = 0; i < json_array_size(batches); i++)
        check_batch(&runner, json_array_get(batches, i), directory, spoil, &tally);
    support_runner_close(&runner);
    json_decref(golden);
    return tally;
}

static struct berth_encoder *open_model(const char *directory)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_open(directory, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

static bool is_good(const struct tally *t)
{
    return t->logits <= bound && t->pooled <= bound && t->first <= bound && t->hidden <= bound;
}

static char models[512];

static void run_every_reference_model_gives_reference_numbers(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s/index.json", models);
    json_t *index = json_load_file(path, 0, NULL);
    assert_true(json_array_size(index) > 0);
    size_t bad = 0;
    for (size_t i = 0; i < json_array_size(index); i++) {
        const char *name = json_string_value(json_object_get(json_array_get(index, i), "name"));
        if (strstr(name, "relative"))
            continue;
        snprintf(path, sizeof path, "%s/%s", models, name);
        for (int isa = 0; isa <= (int)support_best_isa(); isa++) {
            if (berth_kernels_select((enum berth_isa)isa)->isa != (enum berth_isa)isa)
                continue; /* the level below's kernels: checked already */
            struct tally t = check_model(path, open_model(path), (enum berth_isa)isa, SPOIL_NOTHING);
            printf("%-26s %-7s logits %.1e  pooled %.1e  first %.1e  hidden %.1e  (%zu numbers)\n", name,
                   berth_isa_name((enum berth_isa)isa), t.logits, t.pooled, t.first, t.hidden, t.compared);
            assert_true(t.compared > 1000);
            bad += !is_good(&t);
        }
    }
    json_decref(index);
    assert_int_equal(bad, 0);
}

static void open_relative_positions_is_refused_by_name(void **state)
{
    (void)state;
    char path[600];
    struct berth_encoder *encoder;
    struct berth_error err;
    snprintf(path, sizeof path, "%s/optional-bert-relative-key", models);
    assert_int_not_equal(berth_encoder_open(path, &encoder, &err), BERTH_OK);
    assert_null(encoder);
    assert_non_null(strstr(err.message, "position_embedding_type"));
}

static void check_wrong_models_are_rejected(void **state)
{
    (void)state;
    static const char *const names[] = {"bert-gelu-2", "distilbert-gelu-2", "electra-gelu-2"};
    char path[600];
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", models, names[i]);
        struct tally t = check_model(path, open_model(path), BERTH_ISA_SCALAR, SPOIL_POSITIONS);
        assert_false(is_good(&t));

        struct berth_encoder *encoder = open_model(path);
        struct berth_layer *layer = &encoder->layers[0];
        struct berth_linear query = layer->query;
        layer->query = layer->key;
        layer->key = query;
        t = check_model(path, encoder, BERTH_ISA_SCALAR, SPOIL_NOTHING);
        assert_false(is_good(&t));

        encoder = open_model(path);
        encoder->config.activation = BERTH_ACT_GELU_TANH;
        t = check_model(path, encoder, BERTH_ISA_SCALAR, SPOIL_NOTHING);
        assert_false(is_good(&t));
    }
}

int main(void)
{
    if (!support_shared("test_models", "golden/models", models, sizeof models))
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_every_reference_model_gives_reference_numbers),
        cmocka_unit_test(open_relative_positions_is_refused_by_name),
        cmocka_unit_test(check_wrong_models_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
