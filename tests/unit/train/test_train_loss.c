/* test_train_loss.c: losses against plain formulas and their gradients against finite differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "base/rng.h"
#include "train/loss.h"

enum { TEXTS = 3, LABELS = 4 };

static const float logits[TEXTS * LABELS] = {0.5f, -1, 2, 0.25f, -3, 1, 0, 0.125f, 4, 4.5f, -2, 1};
static const float teacher[TEXTS * LABELS] = {1, -2, 1, 0.5f, -1, 2, 0.5f, 0, 3, 1, -2, 0.75f};
static const double classes[TEXTS] = {2, 1, 0}, values[TEXTS] = {0.3, -2, 5};
static const double sets[TEXTS * LABELS] = {1, 0, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0};
static const double weights[LABELS] = {1, 0.5, 2, 0};

static const double *targets_of(const struct berth_loss *loss)
{
    return loss->problem == BERTH_PROBLEM_SINGLE_LABEL  ? classes
           : loss->problem == BERTH_PROBLEM_MULTI_LABEL ? sets
                                                        : values;
}

static double loss_at(const struct berth_loss *loss, const float *at, bool taught, float *slopes)
{
    float unwanted[TEXTS * LABELS];
    return berth_loss_of(loss, slopes ? slopes : unwanted, at, targets_of(loss), taught ? teacher : NULL,
                         TEXTS, 1);
}

/* Largest distance of the gradient, times `factor`, to central differences. */
static double gradient_error(const struct berth_loss *loss, bool taught, float factor)
{
    float slopes[TEXTS * LABELS], moved[TEXTS * LABELS];
    double worst = 0;
    const float h = 0x1p-10f;
    const size_t n = TEXTS * loss->labels;
    loss_at(loss, logits, taught, slopes);
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < n; j++)
            moved[j] = logits[j];
        moved[i] = logits[i] + h;
        const double above = loss_at(loss, moved, taught, NULL);
        moved[i] = logits[i] - h;
        const double below = loss_at(loss, moved, taught, NULL);
        worst = fmax(worst, fabs((above - below) / (2 * (double)h) - (double)(slopes[i] * factor)));
    }
    return worst;
}

static void gradients_of_every_loss_are_slopes(void **state)
{
    (void)state;
    const struct berth_loss losses[] = {
        {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS},
        {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS, .smoothing = 0.2},
        {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS, .smoothing = 0.2, .class_weights = weights},
        {.problem = BERTH_PROBLEM_MULTI_LABEL, .labels = LABELS},
        {.problem = BERTH_PROBLEM_REGRESSION, .labels = 1},
    };
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++) {
        struct berth_loss loss = losses[i];
        assert_true(gradient_error(&loss, false, 1) < 1e-5);
        loss.alpha = 0.6;
        loss.temperature = 3;
        assert_true(gradient_error(&loss, true, 1) < 1e-5);
        assert_true(gradient_error(&loss, true, 1.1f) > 1e-3); /* a wrong one is seen */
    }
}

static void loss_of_known_logits_follows_the_formulas(void **state)
{
    (void)state;
    struct berth_loss loss = {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS};
    double want = 0, weighted = 0, all = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        double sum = 0;
        for (size_t j = 0; j < LABELS; j++)
            sum += exp((double)logits[i * LABELS + j]);
        const double cost = log(sum) - (double)logits[i * LABELS + (size_t)classes[i]];
        want += cost / TEXTS;
        weighted += cost * weights[(size_t)classes[i]];
        all += weights[(size_t)classes[i]];
    }
    assert_true(fabs(loss_at(&loss, logits, false, NULL) - want) < 1e-12);
    loss.class_weights = weights;
    assert_true(fabs(loss_at(&loss, logits, false, NULL) - weighted / all) < 1e-12);
    loss = (struct berth_loss){.problem = BERTH_PROBLEM_REGRESSION, .labels = 1};
    want = (pow(0.5 - 0.3, 2) + pow(-1 + 2, 2) + pow(2.0 - 5, 2)) / 3;
    assert_true(fabs(loss_at(&loss, logits, false, NULL) - want) < 1e-7);
}

static void distillation_from_equal_logits_costs_nothing(void **state)
{
    (void)state;
    struct berth_loss loss = {
        .problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS, .alpha = 1, .temperature = 2};
    assert_true(fabs(loss_at(&loss, teacher, true, NULL)) < 1e-12);
    assert_true(loss_at(&loss, logits, true, NULL) > 0.1);
    loss.problem = BERTH_PROBLEM_MULTI_LABEL;
    assert_true(fabs(loss_at(&loss, teacher, true, NULL)) < 1e-12);
    assert_true(loss_at(&loss, logits, true, NULL) > 0.1);
}

static void gradients_for_accumulation_are_scaled(void **state)
{
    (void)state;
    const struct berth_loss loss = {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS};
    float whole[TEXTS * LABELS], quarter[TEXTS * LABELS];
    const double a = berth_loss_of(&loss, whole, logits, classes, NULL, TEXTS, 1);
    const double b = berth_loss_of(&loss, quarter, logits, classes, NULL, TEXTS, 0.25);
    assert_true(fabs(a - b) < 1e-12);
    for (size_t i = 0; i < TEXTS * LABELS; i++)
        assert_true(fabsf(whole[i] / 4 - quarter[i]) < 1e-7f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_loss_are_slopes),
        cmocka_unit_test(loss_of_known_logits_follows_the_formulas),
        cmocka_unit_test(distillation_from_equal_logits_costs_nothing),
        cmocka_unit_test(gradients_for_accumulation_are_scaled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
