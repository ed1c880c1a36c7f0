/* test_train_optimizer.c: schedules, decay, clipping, freezing, and that rows of the word embedding which are
 * brought up to date late end where rows that are stepped each time do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/engine_support.h"
#include "support/train_support.h"
#include "train/optimizer.h"

enum { STEPS = 300 };

static const struct berth_optimizer_options plain = {.learning_rate = 1e-2,
                                                     .weight_decay = 0.1,
                                                     .beta1 = 0.9,
                                                     .beta2 = 0.999,
                                                     .epsilon = 1e-8,
                                                     .max_grad_norm = 1,
                                                     .warmup_steps = 10,
                                                     .total_steps = STEPS,
                                                     .layer_decay = 1};

static void open_rig(struct train_rig *rig)
{
    struct berth_encoder *encoder;
    assert_int_equal(berth_encoder_random("bert-tiny", &encoder, NULL), BERTH_OK);
    encoder->config.vocab_size = 40;
    encoder->config.layers = 1;
    train_rig_open(rig, encoder, support_best_isa(), 2);
}

static struct berth_optimizer *open_optimizer(struct train_rig *rig,
                                              const struct berth_optimizer_options *options)
{
    struct berth_optimizer *optimizer;
    assert_int_equal(berth_optimizer_new(options, rig->weights, &optimizer, NULL), BERTH_OK);
    return optimizer;
}

static void schedules_follow_their_formulas(void **state)
{
    (void)state;
    struct berth_optimizer_options options = plain;
    options.warmup_steps = 4;
    options.total_steps = 20;
    assert_true(berth_schedule_rate(&options, 0) == 0);
    assert_true(fabs(berth_schedule_rate(&options, 3) - 0.0075) < 1e-15);
    assert_true(fabs(berth_schedule_rate(&options, 4) - 0.01) < 1e-15);
    assert_true(fabs(berth_schedule_rate(&options, 12) - 0.005) < 1e-15);
    assert_true(berth_schedule_rate(&options, 20) == 0);
    options.schedule = BERTH_SCHEDULE_COSINE;
    assert_true(fabs(berth_schedule_rate(&options, 8) - 0.01 * 0.5 * (1 + cos(M_PI / 4))) < 1e-15);
    options.schedule = BERTH_SCHEDULE_CONSTANT;
    assert_true(berth_schedule_rate(&options, 19) == 0.01);
    assert_true(fabs(berth_schedule_rate(&options, 2) - 0.005) < 1e-15);
}

/* Gradients of this step: every weight but the word embedding, and row `row` of that. */
static void draw_gradients(struct train_rig *rig, struct berth_rng *rng, size_t row, double size)
{
    struct berth_weights *weights = rig->weights;
    memset(weights->grad, 0, weights->total * sizeof(float));
    for (size_t i = weights->list[0].elements; i < weights->total; i++)
        weights->grad[i] = (float)(size * (berth_rng_uniform(rng) - 0.5));
    for (size_t i = 0; i < weights->embedding; i++)
        weights->grad[weights->word + row * weights->embedding + i] =
            (float)(size * (berth_rng_uniform(rng) - 0.5));
}

static void rows_that_wait_end_where_rows_that_do_not(void **state)
{
    (void)state;
    struct train_rig rig;
    open_rig(&rig);
    struct berth_optimizer *optimizer = open_optimizer(&rig, &plain);
    const size_t e = rig.weights->embedding, table = rig.weights->vocab * e;
    double *p = malloc(table * sizeof *p), *m = calloc(table, sizeof *m), *v = calloc(table, sizeof *v),
           worst = 0;
    for (size_t i = 0; i < table; i++)
        p[i] = rig.weights->value[i];
    struct berth_rng rng;
    berth_rng_seed(&rng, 1);
    for (size_t s = 1; s <= STEPS; s++) {
        const int32_t row = (int32_t)(s < 20 ? s : s % 3); /* many rows have a gradient early and then none */
        struct berth_step_report report;
        berth_optimizer_touch(optimizer, &rig.network->crew, &row, 1);
        draw_gradients(&rig, &rng, (size_t)row, 0.01);
        double square = 0;
        for (size_t i = 0; i < rig.weights->total; i++)
            square += (double)rig.weights->grad[i] * rig.weights->grad[i];
        const double clip = fmin(1, 1 / (sqrt(square) + 1e-6)), rate = berth_schedule_rate(&plain, s - 1);
        for (size_t i = 0; i < table; i++) {
            const double g = clip * (double)rig.weights->grad[i];
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            p[i] = p[i] * (1 - rate * 0.1) - rate * m[i] / (1 - pow(0.9, (double)s)) /
                                                 (sqrt(v[i] / (1 - pow(0.999, (double)s))) + 1e-8);
        }
        assert_int_equal(berth_optimizer_step(optimizer, &rig.network->crew, &report, NULL), BERTH_OK);
        assert_true(fabs(report.norm - sqrt(square)) <= 1e-5 * sqrt(square));
        for (size_t i = 0; i < rig.weights->total; i++)
            assert_true(rig.weights->grad[i] == 0);
    }
    double stale = 0;
    for (size_t i = 0; i < table; i++)
        stale = fmax(stale, fabs(p[i] - rig.weights->value[i]));
    berth_optimizer_settle(optimizer, &rig.network->crew);
    for (size_t i = 0; i < table; i++)
        worst = fmax(worst, fabs(p[i] - rig.weights->value[i]));
    assert_true(worst < 1e-5);
    assert_true(stale > 1e-3); /* before, they were behind */
    free(p), free(m), free(v);
    berth_optimizer_free(optimizer);
    train_rig_close(&rig);
}

/* Whether a step changes the first number of each weight, by the weight's depth. */
static void step_once(struct train_rig *rig, const struct berth_optimizer_options *options, double change[8])
{
    struct berth_optimizer *optimizer = open_optimizer(rig, options);
    struct berth_step_report report;
    struct berth_rng rng;
    const int32_t row = 1;
    float before[64];
    berth_rng_seed(&rng, 2);
    for (size_t i = 0; i < rig->weights->count; i++)
        before[i] = rig->weights->value[rig->weights->list[i].first + (i == 0 ? rig->weights->embedding : 0)];
    berth_optimizer_touch(optimizer, &rig->network->crew, &row, 1);
    draw_gradients(rig, &rng, 1, 1);
    assert_int_equal(berth_optimizer_step(optimizer, &rig->network->crew, &report, NULL), BERTH_OK);
    for (size_t i = 0; i < rig->weights->count; i++) {
        const struct berth_weight *weight = &rig->weights->list[i];
        const double off =
            before[i] - rig->weights->value[weight->first + (i == 0 ? rig->weights->embedding : 0)];
        change[weight->depth] = fmax(change[weight->depth], fabs(off));
    }
    berth_optimizer_free(optimizer);
}

static void frozen_layers_stay_and_lower_ones_learn_slower(void **state)
{
    (void)state;
    struct train_rig rig;
    open_rig(&rig);
    struct berth_optimizer_options options = plain;
    options.warmup_steps = 0;
    options.weight_decay = 0;
    options.layer_decay = 0.5;
    double change[8] = {0}, frozen[8] = {0};
    step_once(&rig, &options, change); /* the first step of Adam moves by the rate itself */
    assert_true(fabs(change[2] - 0.01) < 1e-4 && fabs(change[1] - 0.005) < 1e-4 &&
                fabs(change[0] - 0.0025) < 1e-4);
    options.freeze_layers = 1;
    step_once(&rig, &options, frozen);
    assert_true(frozen[0] == 0 && frozen[1] == 0 && frozen[2] > 0.009);
    options.freeze_layers = 0;
    options.freeze_embedding = true;
    memset(frozen, 0, sizeof frozen);
    step_once(&rig, &options, frozen);
    assert_true(frozen[0] == 0 && frozen[1] > 0.004);
    train_rig_close(&rig);
}

static void gradients_that_are_not_finite_are_refused_and_change_nothing(void **state)
{
    (void)state;
    struct train_rig rig;
    open_rig(&rig);
    struct berth_optimizer *optimizer = open_optimizer(&rig, &plain);
    struct berth_step_report report;
    struct berth_error err = {0};
    const float before = rig.weights->value[rig.weights->total - 1];
    rig.weights->grad[rig.weights->total - 1] = NAN;
    assert_int_equal(berth_optimizer_step(optimizer, &rig.network->crew, &report, &err), BERTH_LIMIT);
    assert_non_null(strstr(err.message, "step 1"));
    assert_true(rig.weights->value[rig.weights->total - 1] == before && optimizer->step == 0);
    berth_optimizer_free(optimizer);
    train_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedules_follow_their_formulas),
        cmocka_unit_test(rows_that_wait_end_where_rows_that_do_not),
        cmocka_unit_test(frozen_layers_stay_and_lower_ones_learn_slower),
        cmocka_unit_test(gradients_that_are_not_finite_are_refused_and_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
