/* test_train_network.c: the gradient of every weight against finite differences of the loss, for each family,
 * activation and problem, with dropout at work (its mask is the same at every evaluation of a step); and that
 * threads and instruction sets do not change what they must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/engine_support.h"
#include "support/train_support.h"

struct example {
    const char *config;
    bool dropout, masked;
};

#define BERT(act, problem, labels)                                                                     \
    "{\"model_type\":\"bert\",\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":3,"   \
    "\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":20,\"type_vocab_size\":2," \
    "\"hidden_act\":\"" act "\",\"problem_type\":\"" problem "\",\"num_labels\":" labels               \
    ",\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.3,\"initializer_range\":0.2}"

static const struct example examples[] = {
    {BERT("gelu", "single_label_classification", "3"), false, false},
    {BERT("gelu", "single_label_classification", "3"), true, false},
    {BERT("gelu_new", "multi_label_classification", "4"), true, false},
    {BERT("silu", "regression", "1"), true, false},
    {"{\"model_type\":\"distilbert\",\"dim\":24,\"n_layers\":3,\"n_heads\":2,\"hidden_dim\":20,\"vocab_"
     "size\":50,"
     "\"max_position_embeddings\":20,\"activation\":\"gelu\",\"initializer_range\":0.2}",
     true, false},
    {"{\"model_type\":\"electra\",\"hidden_size\":24,\"embedding_size\":10,\"num_hidden_layers\":1,"
     "\"num_attention_heads\":4,\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":20,"
     "\"type_vocab_size\":2,\"initializer_range\":0.2}",
     true, false},
    {BERT("gelu", "single_label_classification", "3"), true, true},
    {"{\"model_type\":\"electra\",\"hidden_size\":24,\"embedding_size\":10,\"num_hidden_layers\":2,"
     "\"num_attention_heads\":4,\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":20,"
     "\"type_vocab_size\":2,\"initializer_range\":0.2}",
     false, true},
};
enum { EXAMPLES = sizeof examples / sizeof examples[0] };

static void open_example(struct train_rig *rig, const struct example *example, enum berth_isa isa,
                         size_t threads)
{
    train_rig_open_config(rig, example->config, example->masked, isa, threads);
}

static const size_t lengths[] = {5, 1, 17, 8, 2};
enum { TEXTS = 5 };

/* The slope of the loss along the gradient of one weight, by central differences; `norm` gets its length. */
static double measured_slope(struct train_rig *rig, const struct train_batch *batch,
                             const struct berth_train_rates *rates, const struct berth_weight *weight,
                             const float *grad, double norm)
{
    float *value = rig->weights->value + weight->first;
    const float h = 4e-3f;
    double loss[2];
    float *kept = malloc(weight->elements * sizeof *kept);
    memcpy(kept, value, weight->elements * sizeof *kept);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < weight->elements; i++)
            value[i] = kept[i] + (side ? h : -h) * (float)(grad[weight->first + i] / norm);
        loss[side] = train_rig_loss(rig, batch, rates, false);
    }
    memcpy(value, kept, weight->elements * sizeof *kept);
    free(kept);
    return (loss[1] - loss[0]) / (2 * (double)h);
}

static double length_of(const float *x, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sqrt(sum);
}

static bool is_near(double got, double want)
{
    return fabs(got - want) <= 0.02 * want + 1e-3; /* third derivatives, and a loss rounded to 2^-23 */
}

static void check_example(const struct example *example, const float *states)
{
    struct train_rig rig;
    struct train_batch batch;
    open_example(&rig, example, support_best_isa(), 2);
    if (strstr(example->config, "num_labels\":3") || !strstr(example->config, "num_labels"))
        rig.loss.smoothing = 0.1;
    rig.states = states;
    rig.loss.hidden = 0.7;
    train_rig_stir(&rig);
    train_batch_random(&batch, lengths, TEXTS, 5, &rig);
    if (example->masked)
        train_batch_mask(&batch);
    struct berth_train_rates rates = train_rig_rates(&rig);
    const struct berth_train_rates *dropout = example->dropout ? &rates : NULL;
    train_rig_loss(&rig, &batch, dropout, true);
    float *grad = malloc(rig.weights->total * sizeof *grad);
    memcpy(grad, rig.weights->grad, rig.weights->total * sizeof *grad);
    size_t checked = 0;
    for (size_t i = 0; i < rig.weights->count; i++) {
        const struct berth_weight *weight = &rig.weights->list[i];
        double norm = length_of(grad + weight->first, weight->elements);
        if (norm < 1e-5) /* biases of keys */
            continue;
        double slope = measured_slope(&rig, &batch, dropout, weight, grad, norm);
        if (!is_near(slope, norm))
            fail_msg("%s: slope %g, gradient says %g", weight->name, slope, norm);
        assert_false(is_near(slope * 1.1 + 3e-3, norm)); /* a wrong gradient would be seen */
        checked++;
    }
    assert_true(checked + rig.weights->layers >= rig.weights->count);
    free(grad);
    train_rig_close(&rig);
}

static void gradients_of_every_weight_are_slopes_of_the_loss(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++)
        check_example(&examples[i], NULL);
}

static void gradients_towards_a_teachers_hidden_states_are_slopes_too(void **state)
{
    (void)state;
    float states[TEXTS * 24];
    struct berth_rng rng;
    berth_rng_seed(&rng, 3);
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        states[i] = (float)berth_rng_normal(&rng);
    check_example(&examples[1], states);
    check_example(&examples[4], states);
    check_example(&examples[5], states);
}

/* Five layers, so that some share activations and others do not. */
#define DEEP                                                                                           \
    "{\"model_type\":\"bert\",\"hidden_size\":24,\"num_hidden_layers\":5,\"num_attention_heads\":3,"   \
    "\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":20,\"type_vocab_size\":2," \
    "\"num_labels\":3,\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.3,\"initializer_" \
    "range\":0.2}"

static void check_limited(const struct example *example)
{
    struct train_rig rig;
    struct train_batch batch;
    open_example(&rig, example, support_best_isa(), 2);
    train_rig_stir(&rig);
    train_batch_random(&batch, lengths, TEXTS, 5, &rig);
    if (example->masked)
        train_batch_mask(&batch);
    struct berth_train_rates rates = train_rig_rates(&rig);
    size_t bytes = rig.weights->total * sizeof(float), whole = rig.network->arena.size, fewer = whole,
           sharing = 1;
    double loss = train_rig_loss(&rig, &batch, &rates, true);
    float *grad = malloc(bytes);
    memcpy(grad, rig.weights->grad, bytes);
    assert_true(rig.network->sharing == 1);
    while (train_rig_limit(&rig, fewer - 1)) {
        assert_true(rig.network->sharing > sharing && rig.network->arena.size < fewer);
        fewer = rig.network->arena.size;
        sharing = rig.network->sharing;
        assert_true(train_rig_loss(&rig, &batch, &rates, true) == loss);
        assert_memory_equal(grad, rig.weights->grad, bytes);
    }
    assert_int_equal(sharing, example->masked ? 5 : 4);
    assert_true(fewer < whole * 2 / 3);
    free(grad);
    train_rig_close(&rig);
}

static void activations_computed_again_give_the_same_bits_in_less_memory(void **state)
{
    (void)state;
    check_limited(&(struct example){DEEP, true, false});
    check_limited(&(struct example){DEEP, true, true});
}

static void gradients_with_any_number_of_threads_are_the_same_bits(void **state)
{
    (void)state;
    float *first = NULL;
    for (size_t threads = 1; threads <= 4; threads++) {
        struct train_rig rig;
        struct train_batch batch;
        open_example(&rig, &examples[1], support_best_isa(), threads);
        train_batch_random(&batch, lengths, TEXTS, 5, &rig);
        struct berth_train_rates rates = train_rig_rates(&rig);
        train_rig_loss(&rig, &batch, &rates, true);
        size_t bytes = rig.weights->total * sizeof(float);
        if (first)
            assert_memory_equal(first, rig.weights->grad, bytes);
        else
            memcpy(first = malloc(bytes), rig.weights->grad, bytes);
        train_rig_close(&rig);
    }
    free(first);
}

static void logits_of_a_text_do_not_depend_on_its_neighbours(void **state)
{
    (void)state;
    struct train_rig rig;
    struct train_batch batch;
    open_example(&rig, &examples[0], support_best_isa(), 2);
    train_batch_random(&batch, lengths, TEXTS, 5, &rig);
    train_rig_loss(&rig, &batch, NULL, false);
    float together[TEXTS * 3];
    memcpy(together, rig.network->logits, sizeof together);
    for (size_t i = 0; i < TEXTS; i++) {
        const size_t offsets[] = {0, lengths[i]};
        const struct berth_train_batch alone = {.texts = 1,
                                                .offsets = offsets,
                                                .ids = batch.ids + batch.offsets[i],
                                                .type_ids = batch.types + batch.offsets[i]};
        berth_network_forward(rig.network, &alone, NULL);
        assert_memory_equal(rig.network->logits, together + i * 3, 3 * sizeof(float));
    }
    train_rig_close(&rig);
}

static void dropout_of_another_step_gives_another_loss(void **state)
{
    (void)state;
    struct train_rig rig;
    struct train_batch batch;
    open_example(&rig, &examples[1], support_best_isa(), 2);
    train_batch_random(&batch, lengths, TEXTS, 5, &rig);
    struct berth_train_rates rates = train_rig_rates(&rig);
    double first = train_rig_loss(&rig, &batch, &rates, false),
           again = train_rig_loss(&rig, &batch, &rates, false);
    rates.step++;
    assert_true(first == again);
    assert_true(first != train_rig_loss(&rig, &batch, &rates, false));
    assert_true(first != train_rig_loss(&rig, &batch, NULL, false));
    train_rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_weight_are_slopes_of_the_loss),
        cmocka_unit_test(gradients_towards_a_teachers_hidden_states_are_slopes_too),
        cmocka_unit_test(activations_computed_again_give_the_same_bits_in_less_memory),
        cmocka_unit_test(gradients_with_any_number_of_threads_are_the_same_bits),
        cmocka_unit_test(logits_of_a_text_do_not_depend_on_its_neighbours),
        cmocka_unit_test(dropout_of_another_step_gives_another_loss),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
