/* test_precision.c: what is promised of bf16 and int8 whatever the machine: a text's bits do not depend on
 * its batch or on threads, int8's not on the instruction set either. On a model with weights of BERT-base's
 * shapes. Where only a part runs (support/part.h): DistilBERT, whose shapes they are, without BERT-base;
 * AMX by emulation on the smaller model alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/amx_kernels.h"
#include "support/engine_support.h"
#include "support/part.h"

enum { VOCAB = 1000, MOST_TOKENS = 700 };

static const enum berth_number numbers[] = {BERTH_NUMBER_F32, BERTH_NUMBER_BF16, BERTH_NUMBER_S8};

static void open_runner(struct support_runner *runner, const char *preset, enum berth_number number,
                        enum berth_isa isa, size_t threads)
{
    struct berth_encoder *encoder;
    struct berth_error err;
    if (berth_encoder_random(preset, &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    support_runner_open_as(runner, encoder, number, isa, threads, MOST_TOKENS);
}

/* Logits and the first tokens' hidden states of a batch, as one array. */
static float *run(struct support_runner *runner, const struct support_batch *batch, size_t *count)
{
    struct berth_error err;
    size_t texts = batch->batch.texts, labels = runner->plan->labels, c = runner->plan->hidden;
    *count = texts * (labels + c);
    float *results = calloc(*count, sizeof *results);
    assert_non_null(results);
    struct berth_outputs outputs = {.logits = results, .first = results + texts * labels};
    if (berth_engine_run(runner->engine, &batch->batch, &outputs, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return results;
}

/* The highest level there is, though it be by emulation: AMX on a machine that lacks nothing else. */
static enum berth_isa highest_level(size_t model)
{
    const enum berth_isa best = support_best_isa();
    return best == BERTH_ISA_VNNI && (model == 1 || !part_only()) && amx_trap() ? BERTH_ISA_AMX : best;
}

static void int8_same_bits_at_every_level(void **state)
{
    (void)state;
    static const struct {
        const char *preset;
        size_t lengths[3];
    } cases[] = {{"bert-base", {7, 20, 2}}, {"electra-small", {40, 130, 1}}, {"distilbert", {9, 17, 3}}};
    for (size_t i = part_of(0, 1); i < sizeof cases / sizeof cases[0]; i++) {
        struct support_batch batch;
        float *want = NULL;
        size_t count;
        support_batch_random(&batch, cases[i].lengths, 3, VOCAB, 5);
        for (enum berth_isa isa = BERTH_ISA_SCALAR; isa <= highest_level(i); isa++) {
            struct support_runner runner;
            if (berth_kernels_select(isa)->isa != isa)
                continue;
            /* Members of a team block signals, emulation's too. */
            open_runner(&runner, cases[i].preset, BERTH_NUMBER_S8, isa, isa > support_best_isa() ? 1 : 2);
            float *got = run(&runner, &batch, &count);
            if (!want) {
                want = got;
                support_runner_close(&runner);
                continue;
            }
            assert_memory_equal(got, want, count * sizeof *got);
            free(got);
            support_runner_close(&runner);
        }
        struct support_runner
            runner; /* what the comparison must tell apart: another seed, another precision */
        char other[64];
        snprintf(other, sizeof other, "%s@2", cases[i].preset);
        open_runner(&runner, i == 0 ? other : cases[i].preset, i == 0 ? BERTH_NUMBER_S8 : BERTH_NUMBER_BF16,
                    support_best_isa(), 2);
        float *got = run(&runner, &batch, &count);
        assert_memory_not_equal(got, want, count * sizeof *got);
        free(got);
        support_runner_close(&runner);
        free(want);
        support_batch_clear(&batch);
    }
}

/* One text alone and among 63 others, on one thread and on two. */
static void every_precision_same_bits_in_any_batch_on_any_threads(void **state)
{
    (void)state;
    static const char *const presets[] = {"bert-mini", "electra-small"};
    size_t lengths[64], count, alone;
    for (size_t i = 0; i < 64; i++)
        lengths[i] = 1 + i * 37 % 20;
    lengths[63] = 13;
    for (size_t cell = 0; cell < 6; cell++) {
        struct support_batch all, one;
        struct support_runner single, two;
        support_batch_random(&all, lengths, 64, VOCAB, 3);
        support_batch_random(&one, lengths + 63, 1, VOCAB, 9);
        size_t first = all.offsets[63];
        memcpy(all.ids + first, one.ids, 13 * sizeof *one.ids);
        memcpy(all.types + first, one.types, 13 * sizeof *one.types);
        memcpy(all.positions + first, one.positions, 13 * sizeof *one.positions);
        open_runner(&single, presets[cell % 2], numbers[cell / 2], support_best_isa(), 1);
        open_runner(&two, presets[cell % 2], numbers[cell / 2], support_best_isa(), 2);
        float *batched = run(&single, &all, &count), *shared = run(&two, &all, &count);
        float *lonely = run(&single, &one, &alone);
        size_t labels = single.plan->labels, c = single.plan->hidden;
        assert_memory_equal(batched, shared, count * sizeof *batched);
        assert_memory_equal(batched + 63 * labels, lonely, labels * sizeof *lonely);
        assert_memory_equal(batched + 64 * labels + 63 * c, lonely + labels, c * sizeof *lonely);
        assert_memory_not_equal(batched + 62 * labels, lonely, labels * sizeof *lonely);
        free(batched);
        free(shared);
        free(lonely);
        support_runner_close(&single);
        support_runner_close(&two);
        support_batch_clear(&all);
        support_batch_clear(&one);
    }
}

/* Bytes that a model of that precision keeps: matrices and word embedding alike. */
static void plan_weight_bytes_are_the_precisions(void **state)
{
    (void)state;
    static const double least[] = {4.0, 2.0, 1.0}, most[] = {4.05, 2.05, 1.05}; /* of a parameter */
    for (size_t i = 0; i < 3; i++) {
        struct support_runner runner;
        open_runner(&runner, "bert-small", numbers[i], support_best_isa(), 1);
        double bytes =
            (double)berth_plan_weight_bytes(runner.plan) / (double)runner.plan->encoder->parameters;
        if (bytes < least[i] || bytes > most[i])
            fail_msg("precision %zu: %.3f bytes a parameter", i, bytes);
        support_runner_close(&runner);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(int8_same_bits_at_every_level),
        cmocka_unit_test(every_precision_same_bits_in_any_batch_on_any_threads),
        cmocka_unit_test(plan_weight_bytes_are_the_precisions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
