/* test_models.c: every reference checkpoint, every batch, every instruction-set level of this machine:
 * logits, pooled, first hidden state and hidden states against the reference; and the same checker must
 * reject models that are wrong. Where only a part runs (support/part.h): one batch of four beside the one whose hidden
 * states are known, others at each level and precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/golden.h"
#include "support/engine_support.h"
#include "support/part.h"

/* docs/numerics.md: fp32 by the largest difference; bf16 and int8 by the root mean square of the differences
 * over that of the reference (of one layer's output, for hidden states), and for logits, which may be small
 * by chance, by the largest difference too. */
static const double fp32_bound = 5e-5;
static const struct {
    double relative, logits;
} bounds[] = {[BERTH_NUMBER_BF16] = {0.03, 0.15}, [BERTH_NUMBER_S8] = {0.15, 0.6}};

static const char *const number_names[] = {"fp32", "bf16", "int8"};

struct distance {
    double absolute, relative;
};

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

/* Larger of two; NaN stays. */
static void keep_largest(double *largest, double value)
{
    if (!(value <= *largest))
        *largest = value;
}

static void keep_distance(struct distance *largest, const float *got, const double *want, size_t count)
{
    double errors = 0, sizes = 0;
    for (size_t i = 0; i < count; i++) {
        errors += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        sizes += want[i] * want[i];
    }
    keep_largest(&largest->absolute, support_distance(got, want, count));
    keep_largest(&largest->relative, sqrt(errors / sizes));
}

/* Distance of `got` to the numbers under `key`; none when the golden file has none or the model gives none.
 */
static void compare_to(const json_t *golden, const char *key, const float *got, struct distance *largest,
                       size_t *compared)
{
    const json_t *array = json_object_get(golden, key);
    double *want;
    if (!array || !got)
        return;
    size_t count = support_numbers(array, &want);
    keep_distance(largest, got, want, count);
    free(want);
    *compared += count;
}

/* Distance of all hidden states of the batch they are recorded for; its padded positions are not looked at.
 */
static void compare_hidden(const char *path, const struct support_batch *batch, const struct berth_plan *plan,
                           const float *hidden, struct distance *largest, size_t *compared)
{
    struct berth_checkpoint *file;
    struct berth_error err;
    size_t c = plan->hidden, tokens = batch->offsets[batch->batch.texts];
    float *padded = calloc(batch->batch.texts * batch->width * c, sizeof(float));
    double *want = calloc(tokens * c, sizeof *want);
    assert_true(padded && want);
    assert_int_equal(berth_checkpoint_open_file(path, &file, &err), BERTH_OK);
    for (size_t layer = 0; layer <= plan->layers; layer++) {
        char name[32];
        snprintf(name, sizeof name, "hidden_states.%zu", layer);
        const struct berth_tensor *tensor = berth_checkpoint_find(file, name);
        assert_non_null(tensor);
        assert_int_equal(tensor->elements, batch->batch.texts * batch->width * c);
        berth_tensor_read_f32(tensor, 0, tensor->elements, padded);
        for (size_t i = 0; i < tokens * c; i++)
            want[i] = (double)padded[batch->source[i / c] * c + i % c];
        keep_distance(largest, hidden + layer * tokens * c, want, tokens * c);
        *compared += tokens * c;
    }
    berth_checkpoint_close(file);
    free(padded);
    free(want);
}

static bool has_hidden(const json_t *golden)
{
    return strcmp(json_string_value(json_object_get(golden, "name")), "pad_longest_4") == 0;
}

struct tally {
    struct distance logits, pooled, first, hidden;
    size_t compared;
};

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

    compare_to(golden, "logits_f64", all.logits, &tally->logits, &tally->compared);
    compare_to(golden, "pooled", all.pooled, &tally->pooled, &tally->compared);
    compare_to(golden, "cls_hidden", all.first, &tally->first, &tally->compared);
    if (has_hidden(golden)) {
        char path[600];
        snprintf(path, sizeof path, "%s/golden_hidden_states.safetensors", directory);
        compare_hidden(path, &batch, plan, all.hidden, &tally->hidden, &tally->compared);
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

/* In part: the batches of `turn`. */
static struct tally check_model(const char *directory, struct berth_encoder *encoder, enum berth_number number,
                                enum berth_isa isa, enum spoil spoil, size_t turn)
{
    char path[700];
    struct tally tally = {0};
    struct support_runner runner;
    snprintf(path, sizeof path, "%s/golden.json", directory);
    json_t *golden = json_load_file(path, 0, NULL), *batches = json_object_get(golden, "batches");
    assert_non_null(golden);
    support_runner_open_as(&runner, encoder, number, isa, 2, 4096);
    for (size_t i = 0; i < json_array_size(batches); i++) {
        const json_t *batch = json_array_get(batches, i);
        if (part_has(i + turn, 4) || has_hidden(batch))
            check_batch(&runner, batch, directory, spoil, &tally);
    }
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

static bool is_good(const struct tally *t, enum berth_number number)
{
    if (number == BERTH_NUMBER_F32)
        return t->logits.absolute <= fp32_bound && t->pooled.absolute <= fp32_bound &&
               t->first.absolute <= fp32_bound && t->hidden.absolute <= fp32_bound;
    return t->logits.absolute <= bounds[number].logits && t->pooled.relative <= bounds[number].relative &&
           t->first.relative <= bounds[number].relative && t->hidden.relative <= bounds[number].relative;
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
        for (int cell = 0; cell < 3 * BERTH_ISA_COUNT; cell++) {
            enum berth_number number = (enum berth_number)(cell / BERTH_ISA_COUNT);
            enum berth_isa isa = (enum berth_isa)(cell % BERTH_ISA_COUNT);
            if (isa > support_best_isa() || berth_kernels_select(isa)->isa != isa)
                continue; /* the level below's kernels: checked already */
            struct tally t = check_model(path, open_model(path), number, isa, SPOIL_NOTHING, i + number + isa);
            printf(
                "%-26s %s %-7s logits %.1e (%.1e)  pooled %.1e (%.1e)  first %.1e (%.1e)  hidden %.1e "
                "(%.1e)\n",
                name, number_names[number], berth_isa_name(isa), t.logits.absolute, t.logits.relative,
                t.pooled.absolute, t.pooled.relative, t.first.absolute, t.first.relative, t.hidden.absolute,
                t.hidden.relative);
            assert_true(t.compared > 1000);
            bad += !is_good(&t, number);
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
    for (size_t i = 0; i < 9; i++) {
        enum berth_number number = (enum berth_number)(i / 3);
        snprintf(path, sizeof path, "%s/%s", models, names[i % 3]);
        struct tally t = check_model(path, open_model(path), number, BERTH_ISA_SCALAR, SPOIL_POSITIONS, i);
        assert_false(is_good(&t, number));

        struct berth_encoder *encoder = open_model(path);
        struct berth_layer *layer = &encoder->layers[0];
        struct berth_linear query = layer->query;
        layer->query = layer->key;
        layer->key = query;
        t = check_model(path, encoder, number, BERTH_ISA_SCALAR, SPOIL_NOTHING, i);
        printf("%s %s queries for keys: %.1e %.1e\n", names[i % 3], number_names[number], t.logits.relative,
               t.hidden.relative);
        assert_false(is_good(&t, number));

        if (number != BERTH_NUMBER_F32)
            continue; /* the two forms of gelu differ by less than bf16 does */
        encoder = open_model(path);
        encoder->config.activation = BERTH_ACT_GELU_TANH;
        t = check_model(path, encoder, number, BERTH_ISA_SCALAR, SPOIL_NOTHING, i);
        assert_false(is_good(&t, number));
    }
}

int main(void)
{
    snprintf(models, sizeof models, "%s", golden_path("golden/models"));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_every_reference_model_gives_reference_numbers),
        cmocka_unit_test(open_relative_positions_is_refused_by_name),
        cmocka_unit_test(check_wrong_models_are_rejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
