/* test_plan.c: packing shares out without changing a bit, refuses what is not finite, and the bill adds up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/engine_support.h"

static struct berth_plan *plan_random(const char *preset, size_t threads)
{
    struct berth_encoder *encoder;
    struct berth_team *team = NULL;
    struct berth_plan *plan;
    struct berth_error err;
    assert_int_equal(berth_encoder_random(preset, &encoder, &err), BERTH_OK);
    if (threads)
        assert_int_equal(berth_team_new(threads, &team, &err), BERTH_OK);
    if (berth_plan_new(encoder, berth_kernels_select(support_best_isa()), NULL, team, &plan, &err) !=
        BERTH_OK)
        fail_msg("%s", err.message);
    berth_team_free(team);
    return plan;
}

static void new_any_number_of_threads_packs_the_same_bytes(void **state)
{
    (void)state;
    struct berth_plan *alone = plan_random("bert-tiny", 0), *shared = plan_random("bert-tiny", 3);
    assert_int_equal(alone->packed.size, shared->packed.size);
    assert_int_equal(alone->packed.used, alone->packed.size);
    for (size_t i = 0; i < alone->step_count; i++) {
        const struct berth_step *a = &alone->steps[i], *b = &shared->steps[i];
        if (a->weights.data)
            assert_memory_equal(a->weights.data, b->weights.data,
                                berth_gemm_f32_packed(alone->kernels, a->n, a->k) * sizeof(float));
        if (a->bias)
            assert_memory_equal(a->bias, b->bias, a->n * sizeof(float));
        if (a->gamma)
            assert_memory_equal(a->gamma, b->gamma, a->n * sizeof(float));
    }
    berth_plan_free(alone);
    berth_plan_free(shared);
}

static void new_weights_that_are_not_finite_are_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"bert.embeddings.word_embeddings.weight",
                                        "bert.embeddings.token_type_embeddings.weight",
                                        "bert.encoder.layer.1.attention.self.value.weight",
                                        "bert.encoder.layer.0.attention.self.query.bias",
                                        "bert.encoder.layer.0.output.LayerNorm.weight",
                                        "bert.encoder.layer.1.output.dense.weight",
                                        "classifier.bias"};
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    struct support_model model;
    support_model_init(&model);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct berth_encoder *encoder;
        struct berth_plan *plan;
        struct berth_error err;
        struct support_tensor *tensor = support_model_find(&model, names[i]);
        float *last = &tensor->data[tensor->shape[0] * (tensor->rank == 2 ? tensor->shape[1] : 1) - 1],
              kept = *last;
        *last = bad[i % 3];
        support_model_write(&model);
        assert_int_equal(berth_encoder_open(model.directory, &encoder, &err), BERTH_OK);
        assert_int_equal(
            berth_plan_new(encoder, berth_kernels_select(support_best_isa()), NULL, NULL, &plan, &err),
            BERTH_FORMAT);
        assert_null(plan);
        if (!strstr(err.message, names[i]) || !strstr(err.message, "not finite"))
            fail_msg("message: %s", err.message);
        *last = kept;
    }
    support_model_clear(&model);
}

static void cost_of_all_steps_is_the_architectures(void **state)
{
    (void)state;
    enum { TEXTS = 2, LENGTH = 16 };
    struct berth_plan *plan = plan_random("bert-tiny", 0);
    double all = 0, first = 0, c = 128, f = 512, rows = TEXTS * LENGTH;
    for (size_t i = 0; i < plan->step_count; i++) {
        const struct berth_step *step = &plan->steps[i];
        struct berth_step_cost cost = berth_step_cost(plan, step, TEXTS, LENGTH);
        assert_true(strlen(cost.kernel) > 0 && strlen(step->name) > 0);
        if (step->layer < 0)
            continue;
        if (berth_step_runs(step, false))
            all += cost.operations;
        if (berth_step_runs(step, true))
            first += cost.operations;
    }
    double layer = 2 * rows * (4 * c * c + 2 * c * f) + 4 * rows * LENGTH * c;
    double last = 2 * rows * 2 * c * c + 2 * TEXTS * (2 * c * c + 2 * c * f) + 4 * TEXTS * LENGTH * c;
    assert_float_equal(all, 2 * layer, 1);
    assert_float_equal(first, layer + last, 1);
    assert_true(berth_plan_weight_bytes(plan) >= 4 * plan->encoder->parameters);
    assert_true(berth_plan_weight_bytes(plan) < 4 * plan->encoder->parameters * 1.02);
    berth_plan_free(plan);
}

static void workspace_slots_alive_together_never_overlap(void **state)
{
    (void)state;
    static const enum berth_slot alive[][3] = {{BERTH_SLOT_EMBEDDED, BERTH_SLOT_X, BERTH_SLOT_X},
                                               {BERTH_SLOT_X, BERTH_SLOT_QKV, BERTH_SLOT_CONTEXT},
                                               {BERTH_SLOT_X, BERTH_SLOT_CONTEXT, BERTH_SLOT_FIRST},
                                               {BERTH_SLOT_X, BERTH_SLOT_FFN, BERTH_SLOT_FIRST},
                                               {BERTH_SLOT_QUERY, BERTH_SLOT_QKV, BERTH_SLOT_FIRST},
                                               {BERTH_SLOT_QUERY, BERTH_SLOT_QKV, BERTH_SLOT_CONTEXT},
                                               {BERTH_SLOT_FIRST, BERTH_SLOT_POOLED, BERTH_SLOT_LOGITS}};
    enum { TOKENS = 37, TEXTS = 5 };
    struct berth_place places[BERTH_SLOT_COUNT];
    size_t sum = 0;
    struct berth_plan *plan = plan_random("electra-small", 0);
    size_t total = berth_plan_workspace(plan, TOKENS, TEXTS, places);
    for (int slot = 0; slot < BERTH_SLOT_COUNT; slot++) {
        size_t bytes = berth_plan_slot_rows(slot, TOKENS, TEXTS) * plan->slot_width[slot] * sizeof(float);
        assert_true(places[slot].values + bytes <= total && places[slot].values % 64 == 0);
        sum += bytes;
    }
    assert_true(total < sum);
    for (size_t i = 0; i < sizeof alive / sizeof alive[0]; i++)
        for (int j = 0; j < 3; j++) {
            enum berth_slot a = alive[i][j], b = alive[i][(j + 1) % 3];
            size_t end = places[a].values +
                         berth_plan_slot_rows(a, TOKENS, TEXTS) * plan->slot_width[a] * sizeof(float);
            assert_true(a == b || places[b].values < places[a].values || end <= places[b].values);
        }
    assert_int_equal(berth_plan_workspace(plan, SIZE_MAX / 2, 1, NULL), SIZE_MAX / 4);
    berth_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_any_number_of_threads_packs_the_same_bytes),
        cmocka_unit_test(new_weights_that_are_not_finite_are_refused_by_name),
        cmocka_unit_test(cost_of_all_steps_is_the_architectures),
        cmocka_unit_test(workspace_slots_alive_together_never_overlap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
