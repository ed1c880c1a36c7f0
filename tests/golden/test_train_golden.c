/* The training goldens: losses, gradients of one batch, and twenty steps of AdamW, against PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "formats/checkpoint.h"
#include "support/engine_support.h"
#include "support/golden.h"
#include "support/train_golden.h"

/* Largest distance of a weight's numbers to the golden ones, and the largest of those. */
static double distance(const struct berth_checkpoint *golden, const struct berth_weight *weight,
                       const float *numbers, double *largest)
{
    const struct berth_tensor *tensor = berth_checkpoint_find(golden, weight->name);
    if (!tensor)
        fail_msg("no tensor %s", weight->name);
    assert_int_equal(tensor->elements, weight->elements);
    double most = 0;
    *largest = 0;
    for (size_t i = 0; i < weight->elements; i++) {
        float want;
        berth_tensor_read_f32(tensor, i, 1, &want);
        double off = fabs((double)numbers[weight->first + i] - want);
        most = off <= most ? most : isnan(off) ? INFINITY : off;
        *largest = fmax(*largest, fabs((double)want));
    }
    return most;
}

static void check_gradients(const char *name, enum berth_isa isa, size_t threads)
{
    struct train_set set;
    train_set_open(&set, name, isa, threads);
    const json_t *batch = json_object_get(set.json, "gradient_batch");
    const struct berth_weights *weights = set.rig.weights;
    train_set_take(&set, json_object_get(batch, "rows"));
    double loss = train_rig_loss(&set.rig, &set.batch, NULL, true), worst = 0;
    const json_t *first = json_array_get(json_object_get(set.json, "trajectory"), 0);
    assert_true(fabs(loss - json_number_value(json_object_get(first, "loss"))) <= 1e-5);
    assert_int_equal(berth_checkpoint_count(set.grads), weights->count);
    for (size_t i = 0; i < weights->count; i++) {
        double largest, off = distance(set.grads, &weights->list[i], weights->grad, &largest);
        double bound = train_set_is_key_bias(weights->list[i].name) ? 1e-6 : 1e-5 + 1e-5 * largest;
        if (off > bound)
            fail_msg("%s: %s is off by %g, bound %g", name, weights->list[i].name, off, bound);
        worst = fmax(worst, off / bound);
    }
    print_message("%s (%s, %zu threads): loss %.6f, gradients at %.3f of the bound\n", name,
                  berth_isa_name(isa), threads, loss, worst);
    train_set_close(&set);
}

static void gradients_of_every_set_equal_pytorchs(void **state)
{
    (void)state;
    enum berth_isa best = support_best_isa();
    for (size_t i = 0; i < TRAIN_SETS; i++) {
        check_gradients(train_set_names[i], best, 2);
        check_gradients(train_set_names[i], BERTH_ISA_SCALAR, 1);
        if (best > BERTH_ISA_AVX2)
            check_gradients(train_set_names[i], BERTH_ISA_AVX2, 1);
    }
}

static void distance_of_other_numbers_is_seen(void **state)
{
    (void)state;
    struct train_set set;
    train_set_open(&set, train_set_names[0], BERTH_ISA_SCALAR, 1);
    const json_t *batch = json_object_get(set.json, "gradient_batch");
    train_set_take(&set, json_object_get(batch, "rows"));
    set.batch.targets[0] = set.batch.targets[0] == 0 ? 1 : 0; /* another label, other gradients */
    train_rig_loss(&set.rig, &set.batch, NULL, true);
    const struct berth_weight *weight = &set.rig.weights->list[set.rig.weights->count - 1];
    double largest;
    assert_true(distance(set.grads, weight, set.rig.weights->grad, &largest) > 1e-3);
    train_set_close(&set);
}

static struct berth_optimizer *open_optimizer(struct train_set *set)
{
    struct berth_optimizer *optimizer;
    assert_int_equal(berth_optimizer_new(&train_set_recipe, set->rig.weights, &optimizer, NULL), BERTH_OK);
    return optimizer;
}

static void walk(struct train_set *set, struct berth_optimizer *optimizer)
{
    const struct berth_crew *crew = &set->rig.network->crew;
    const json_t *trajectory = json_object_get(set->json, "trajectory"), *step;
    size_t index;
    json_array_foreach(trajectory, index, step)
    {
        struct berth_step_report report;
        train_set_take(set, json_object_get(step, "rows"));
        berth_optimizer_touch(optimizer, crew, set->batch.ids, set->batch.offsets[set->batch.batch.texts]);
        berth_network_forward(set->rig.network, &set->batch.batch, NULL);
        double loss = berth_loss_of(&set->rig.loss, set->rig.dlogits, set->rig.network->logits,
                                    set->batch.targets, NULL, set->batch.batch.texts, 1);
        berth_network_backward(set->rig.network, set->rig.dlogits);
        assert_int_equal(berth_optimizer_step(optimizer, crew, &report, NULL), BERTH_OK);
        double norm = json_number_value(json_object_get(step, "grad_norm_before_clip"));
        assert_true(fabs(loss - json_number_value(json_object_get(step, "loss"))) <= 1e-5);
        assert_true(fabs(report.norm - norm) <= 1e-4 * norm);
        assert_true(fabs(report.rate - json_number_value(json_object_get(step, "lr"))) <= 1e-12);
    }
    berth_optimizer_settle(optimizer, crew);
    assert_int_equal(index, TRAIN_SET_STEPS);
}

static void twenty_steps_end_where_pytorch_does(void **state)
{
    (void)state;
    for (size_t s = 0; s < TRAIN_SETS; s++) {
        struct train_set set;
        train_set_open(&set, train_set_names[s], support_best_isa(), 2);
        struct berth_optimizer *optimizer = open_optimizer(&set);
        walk(&set, optimizer);
        double worst = 0, largest;
        for (size_t i = 0; i < set.rig.weights->count; i++) {
            const struct berth_weight *weight = &set.rig.weights->list[i];
            double off = distance(set.final, weight, set.rig.weights->value, &largest);
            if (off > (train_set_is_key_bias(weight->name) ? 0.01 : 5e-5))
                fail_msg("%s: %s is off by %g", train_set_names[s], weight->name, off);
            worst = train_set_is_key_bias(weight->name) ? worst : fmax(worst, off);
        }
        print_message("%s: final parameters within %.2g\n", train_set_names[s], worst);
        berth_optimizer_free(optimizer);
        train_set_close(&set);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_set_equal_pytorchs),
        cmocka_unit_test(distance_of_other_numbers_is_seen),
        cmocka_unit_test(twenty_steps_end_where_pytorch_does),
    };
    golden_path("golden/train/index.json");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
