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
#include "support/train_support.h"
#include "train/optimizer.h"

static const char *const sets[] = {"bert-cls3",       "bert-reg1",    "bert-multilabel4", "distilbert-cls2",
                                   "distilbert-reg1", "electra-cls2", "electra-reg1"};
enum { SETS = sizeof sets / sizeof sets[0], STEPS = 20 };

struct set {
    struct train_rig rig;
    struct train_batch batch;
    struct berth_checkpoint *grads, *final;
    json_t *json;
};

static void open_set(struct set *set, const char *name, enum berth_isa isa, size_t threads)
{
    char path[256];
    struct berth_error err = {0};
    struct berth_encoder *encoder;
    snprintf(path, sizeof path, "golden/train/%s", name);
    if (berth_encoder_open(golden_path(path), &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    train_rig_open(&set->rig, encoder, isa, threads);
    snprintf(path, sizeof path, "golden/train/%s/train.json", name);
    set->json = golden_json(golden_path(path));
    snprintf(path, sizeof path, "golden/train/%s/grads.safetensors", name);
    assert_int_equal(berth_checkpoint_open_file(golden_path(path), &set->grads, &err), BERTH_OK);
    snprintf(path, sizeof path, "golden/train/%s/final.safetensors", name);
    assert_int_equal(berth_checkpoint_open_file(golden_path(path), &set->final, &err), BERTH_OK);
}

static void close_set(struct set *set)
{
    berth_checkpoint_close(set->grads);
    berth_checkpoint_close(set->final);
    json_decref(set->json);
    train_rig_close(&set->rig);
}

static void take_rows(struct set *set, const json_t *rows)
{
    train_batch_from_json(&set->batch, json_object_get(set->json, "examples"), rows, &set->rig);
}

static bool is_key_bias(const char *name)
{
    return strstr(name, ".key.bias") || strstr(name, ".k_lin.bias");
}

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
    struct set set;
    open_set(&set, name, isa, threads);
    const json_t *batch = json_object_get(set.json, "gradient_batch");
    const struct berth_weights *weights = set.rig.weights;
    take_rows(&set, json_object_get(batch, "rows"));
    double loss = train_rig_loss(&set.rig, &set.batch, NULL, true), worst = 0;
    const json_t *first = json_array_get(json_object_get(set.json, "trajectory"), 0);
    assert_true(fabs(loss - json_number_value(json_object_get(first, "loss"))) <= 1e-5);
    assert_int_equal(berth_checkpoint_count(set.grads), weights->count);
    for (size_t i = 0; i < weights->count; i++) {
        double largest, off = distance(set.grads, &weights->list[i], weights->grad, &largest);
        double bound = is_key_bias(weights->list[i].name) ? 1e-6 : 1e-5 + 1e-5 * largest;
        if (off > bound)
            fail_msg("%s: %s is off by %g, bound %g", name, weights->list[i].name, off, bound);
        worst = fmax(worst, off / bound);
    }
    print_message("%s (%s, %zu threads): loss %.6f, gradients at %.3f of the bound\n", name,
                  berth_isa_name(isa), threads, loss, worst);
    close_set(&set);
}

static void gradients_of_every_set_equal_pytorchs(void **state)
{
    (void)state;
    enum berth_isa best = support_best_isa();
    for (size_t i = 0; i < SETS; i++) {
        check_gradients(sets[i], best, 2);
        check_gradients(sets[i], BERTH_ISA_SCALAR, 1);
        if (best > BERTH_ISA_AVX2)
            check_gradients(sets[i], BERTH_ISA_AVX2, 1);
    }
}

static void distance_of_other_numbers_is_seen(void **state)
{
    (void)state;
    struct set set;
    open_set(&set, sets[0], BERTH_ISA_SCALAR, 1);
    const json_t *batch = json_object_get(set.json, "gradient_batch");
    take_rows(&set, json_object_get(batch, "rows"));
    set.batch.targets[0] = set.batch.targets[0] == 0 ? 1 : 0; /* another label, other gradients */
    train_rig_loss(&set.rig, &set.batch, NULL, true);
    const struct berth_weight *weight = &set.rig.weights->list[set.rig.weights->count - 1];
    double largest;
    assert_true(distance(set.grads, weight, set.rig.weights->grad, &largest) > 1e-3);
    close_set(&set);
}

static struct berth_optimizer *open_optimizer(struct set *set)
{
    const struct berth_optimizer_options options = {.learning_rate = 1e-3,
                                                    .weight_decay = 0.01,
                                                    .beta1 = 0.9,
                                                    .beta2 = 0.999,
                                                    .epsilon = 1e-8,
                                                    .max_grad_norm = 1,
                                                    .warmup_steps = 4,
                                                    .total_steps = STEPS,
                                                    .layer_decay = 1};
    struct berth_optimizer *optimizer;
    assert_int_equal(berth_optimizer_new(&options, set->rig.weights, &optimizer, NULL), BERTH_OK);
    return optimizer;
}

static void walk(struct set *set, struct berth_optimizer *optimizer)
{
    const struct berth_crew *crew = &set->rig.network->crew;
    const json_t *trajectory = json_object_get(set->json, "trajectory"), *step;
    size_t index;
    json_array_foreach(trajectory, index, step)
    {
        struct berth_step_report report;
        take_rows(set, json_object_get(step, "rows"));
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
    assert_int_equal(index, STEPS);
}

static void twenty_steps_end_where_pytorch_does(void **state)
{
    (void)state;
    for (size_t s = 0; s < SETS; s++) {
        struct set set;
        open_set(&set, sets[s], support_best_isa(), 2);
        struct berth_optimizer *optimizer = open_optimizer(&set);
        walk(&set, optimizer);
        double worst = 0, largest;
        for (size_t i = 0; i < set.rig.weights->count; i++) {
            const struct berth_weight *weight = &set.rig.weights->list[i];
            double off = distance(set.final, weight, set.rig.weights->value, &largest);
            if (off > (is_key_bias(weight->name) ? 0.01 : 5e-5))
                fail_msg("%s: %s is off by %g", sets[s], weight->name, off);
            worst = is_key_bias(weight->name) ? worst : fmax(worst, off);
        }
        print_message("%s: final parameters within %.2g\n", sets[s], worst);
        berth_optimizer_free(optimizer);
        close_set(&set);
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
