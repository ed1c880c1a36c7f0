/* test_engine.c: the same text gives the same bits whatever is around it, and batches that make no sense are
 * refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "support/engine_support.h"

enum { TEXTS = 9, MAX_TOKENS = 1200 };

static const size_t lengths[TEXTS] = {1, 17, 128, 3, 64, 200, 31, 2, 100};

static struct berth_encoder *open_random(const char *preset)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_random(preset, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return encoder;
}

/* Logits and first hidden states of the batch, with every token computed or only the first. */
static void run_batch(struct support_runner *runner, const struct berth_batch *batch, float *logits,
                      float *first, bool all_tokens)
{
    struct berth_error err;
    float *tokens = calloc(batch->offsets[batch->texts] * runner->plan->hidden, sizeof *tokens);
    struct berth_outputs outputs = {.logits = logits, .first = first, .tokens = all_tokens ? tokens : NULL};
    if (berth_engine_run(runner->engine, batch, &outputs, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    free(tokens);
}

static void check_same_bits(const char *preset, enum berth_isa isa)
{
    struct support_batch many;
    float logits[4][TEXTS * 2], first[4][TEXTS * 768], alone_logits[2], alone_first[768];
    struct support_runner runner;
    support_batch_random(&many, lengths, TEXTS, 30522, 5);
    for (size_t threads = 1; threads <= 3; threads++) {
        support_runner_open(&runner, open_random(preset), isa, threads, MAX_TOKENS);
        run_batch(&runner, &many.batch, logits[threads], first[threads], threads == 2);
        size_t c = runner.plan->hidden;
        assert_memory_equal(logits[threads], logits[1], sizeof logits[1]);
        assert_memory_equal(first[threads], first[1], TEXTS * c * sizeof(float));
        for (size_t i = 0; i < TEXTS; i++) {
            struct support_batch one;
            support_batch_random(&one, &lengths[i], 1, 30522, 5 + (unsigned)i);
            run_batch(&runner, &one.batch, alone_logits, alone_first, false);
            assert_memory_equal(alone_logits, logits[1] + 2 * i, sizeof alone_logits);
            assert_memory_equal(alone_first, first[1] + i * c, c * sizeof(float));
            support_batch_clear(&one);
        }
        support_runner_close(&runner);
    }
    /* Texts differ, so equal bits above are not all one number. */
    assert_memory_not_equal(logits[1], logits[1] + 2, 2 * sizeof(float));
    support_batch_clear(&many);
}

static void run_same_text_gives_same_bits(void **state)
{
    (void)state;
    for (int isa = 0; isa <= (int)support_best_isa(); isa++)
        if (berth_kernels_select((enum berth_isa)isa)->isa == (enum berth_isa)isa)
            check_same_bits("bert-tiny", (enum berth_isa)isa);
    check_same_bits("electra-small", support_best_isa());
}

static void run_order_of_texts_moves_results_only(void **state)
{
    (void)state;
    struct support_batch ab, ba;
    struct support_runner runner;
    float forward[4], backward[4], first[2 * 128];
    size_t order[2] = {40, 9};
    support_batch_random(&ab, order, 2, 30522, 3);
    size_t reverse[2] = {9, 40};
    support_batch_random(&ba, reverse, 2, 30522, 3);
    memcpy(ba.ids, ab.ids + 40, 9 * sizeof *ba.ids);
    memcpy(ba.ids + 9, ab.ids, 40 * sizeof *ba.ids);
    memcpy(ba.types, ab.types + 40, 9);
    memcpy(ba.types + 9, ab.types, 40);
    support_runner_open(&runner, open_random("bert-tiny"), support_best_isa(), 2, 64);
    run_batch(&runner, &ab.batch, forward, first, false);
    run_batch(&runner, &ba.batch, backward, first, false);
    assert_memory_equal(forward, backward + 2, 2 * sizeof(float));
    assert_memory_equal(forward + 2, backward, 2 * sizeof(float));
    support_runner_close(&runner);
    support_batch_clear(&ab);
    support_batch_clear(&ba);
}

static void run_default_types_and_positions_are_zero_and_counting(void **state)
{
    (void)state;
    struct support_batch batch;
    struct support_runner runner;
    float given[2], implied[2], first[128];
    size_t length = 12;
    support_batch_random(&batch, &length, 1, 30522, 3);
    memset(batch.types, 0, length);
    support_runner_open(&runner, open_random("bert-tiny"), support_best_isa(), 1, 64);
    run_batch(&runner, &batch.batch, given, first, false);
    batch.batch.type_ids = NULL;
    batch.batch.positions = NULL;
    run_batch(&runner, &batch.batch, implied, first, false);
    assert_memory_equal(given, implied, sizeof given);
    support_runner_close(&runner);
    support_batch_clear(&batch);
}

static void expect_refusal(struct support_runner *runner, const struct berth_batch *batch, const char *word)
{
    struct berth_error err = {0};
    float logits[64];
    struct berth_outputs outputs = {.logits = logits};
    assert_int_not_equal(berth_engine_run(runner->engine, batch, &outputs, &err), BERTH_OK);
    if (!strstr(err.message, word))
        fail_msg("message: %s", err.message);
}

static void run_senseless_batches_are_refused_by_value(void **state)
{
    (void)state;
    struct support_batch b;
    struct support_runner runner;
    size_t two[2] = {4, 5};
    support_batch_random(&b, two, 2, 30522, 3);
    support_runner_open(&runner, open_random("bert-tiny"), support_best_isa(), 1, 600);

    int32_t id = b.ids[7], position = b.positions[7];
    b.ids[7] = 30522;
    expect_refusal(&runner, &b.batch, "30522");
    b.ids[7] = -1;
    expect_refusal(&runner, &b.batch, "-1");
    b.ids[7] = id;
    b.types[7] = 2;
    expect_refusal(&runner, &b.batch, "type 2");
    b.types[7] = 0;
    b.positions[7] = 512;
    expect_refusal(&runner, &b.batch, "position 512");
    b.positions[7] = -4;
    expect_refusal(&runner, &b.batch, "position -4");
    b.positions[7] = position;
    b.offsets[1] = 0;
    expect_refusal(&runner, &b.batch, "text 0");
    b.offsets[1] = 10;
    expect_refusal(&runner, &b.batch, "text 1");
    b.offsets[1] = 4;
    b.offsets[0] = 1;
    expect_refusal(&runner, &b.batch, "first offset");
    b.offsets[0] = 0;
    b.batch.texts = 0;
    expect_refusal(&runner, &b.batch, "0 texts");
    support_batch_clear(&b);

    size_t long_one = 513, many[2] = {400, 201};
    support_batch_random(&b, &long_one, 1, 30522, 3);
    expect_refusal(&runner, &b.batch, "513");
    support_batch_clear(&b);
    support_batch_random(&b, many, 2, 30522, 3);
    expect_refusal(&runner, &b.batch, "601");
    support_batch_clear(&b);
    support_runner_close(&runner);
}

static void run_weights_that_overflow_are_an_error(void **state)
{
    (void)state;
    struct support_model model;
    struct support_runner runner;
    struct berth_encoder *encoder;
    struct berth_error err;
    int32_t ids[3] = {1, 2, 3};
    size_t offsets[2] = {0, 3};
    struct berth_batch batch = {.texts = 1, .offsets = offsets, .ids = ids};
    support_model_init(&model);
    struct support_tensor *bias = support_model_find(&model, "bert.encoder.layer.0.intermediate.dense.bias");
    for (size_t i = 0; i < SUPPORT_F; i++)
        bias->data[i] = 3e38f;
    support_model_write(&model);
    assert_int_equal(berth_encoder_open(model.directory, &encoder, &err), BERTH_OK);
    support_runner_open(&runner, encoder, support_best_isa(), 1, 8);
    expect_refusal(&runner, &batch, "not finite");
    support_runner_close(&runner);
    support_model_clear(&model);
}

static void run_logits_of_a_bare_encoder_are_refused(void **state)
{
    (void)state;
    struct support_model model;
    struct support_runner runner;
    struct berth_encoder *encoder;
    struct berth_error err;
    int32_t ids[3] = {1, 2, 3};
    size_t offsets[2] = {0, 3};
    float first[SUPPORT_C];
    struct berth_batch batch = {.texts = 1, .offsets = offsets, .ids = ids};
    support_model_init(&model);
    support_model_find(&model, "classifier.weight")->name[0] = 0;
    support_model_find(&model, "classifier.bias")->name[0] = 0;
    support_model_replace(&model, "BertForSequenceClassification", "BertModel");
    support_model_write(&model);
    if (berth_encoder_open(model.directory, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    support_runner_open(&runner, encoder, support_best_isa(), 1, 8);
    expect_refusal(&runner, &batch, "no classification head");
    struct berth_outputs outputs = {.first = first};
    assert_int_equal(berth_engine_run(runner.engine, &batch, &outputs, &err), BERTH_OK);
    support_runner_close(&runner);
    support_model_clear(&model);
}

static void new_impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct berth_engine *engine;
    struct berth_error err;
    struct support_runner runner;
    support_runner_open(&runner, open_random("bert-tiny"), support_best_isa(), 1, 8);
    assert_int_equal(berth_engine_new(runner.plan, 0, 8, 0, &engine, &err), BERTH_INVALID_ARGUMENT);
    assert_int_equal(berth_engine_new(runner.plan, 1, 0, 0, &engine, &err), BERTH_INVALID_ARGUMENT);
    assert_int_equal(berth_engine_new(runner.plan, 1, SIZE_MAX / 8, 0, &engine, &err), BERTH_LIMIT);
    assert_null(engine);
    support_runner_close(&runner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(run_same_text_gives_same_bits),
        cmocka_unit_test(run_order_of_texts_moves_results_only),
        cmocka_unit_test(run_default_types_and_positions_are_zero_and_counting),
        cmocka_unit_test(run_senseless_batches_are_refused_by_value),
        cmocka_unit_test(run_weights_that_overflow_are_an_error),
        cmocka_unit_test(run_logits_of_a_bare_encoder_are_refused),
        cmocka_unit_test(new_impossible_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
