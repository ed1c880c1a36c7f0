/* test_cuda_train.c [gpu]: training by the CUDA plugin's own sources, on the emulated device or on the GPU itself: gradients and
 * twenty steps of every reference set against PyTorch, dropout against the CPU's, bf16 within bounds, the same bits again, and
 * finite differences. The emulation adds blocks in another order, refused allocations, and that nothing is written beyond what
 * was allocated. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "formats/checkpoint.h"
#include "support/cuda_emulated.h"
#include "support/engine_support.h"
#include "support/golden.h"
#include "support/train_golden.h"
#include "train/train_engine.h"

static struct support_cuda_state *device;
static bool on_gpu;
static struct berth_gpu *gpu;

static const struct berth_network_bounds bounds = {.tokens = 512, .texts = 16, .pairs = 1 << 16, .longest = 64};

#define OK(call)                             \
    do {                                     \
        if ((call) != BERTH_OK)              \
            fail_msg("%s", err.message);     \
    } while (0)

static struct berth_train_engine *open_engine(const struct train_rig *rig, bool bf16, bool hidden,
                                              const struct berth_optimizer_options *options)
{
    struct berth_train_engine *engine;
    struct berth_error err;
    OK(berth_train_engine_cuda(gpu, rig->encoder, rig->weights, &bounds, bf16, hidden, options, &engine, &err));
    return engine;
}

static void close_engine(struct berth_train_engine *engine)
{
    berth_train_engine_free(engine);
    assert_int_equal(device->used, 0);
    assert_int_equal(device->overruns, 0);
}

/* Forward, loss and, `backward`, the gradients of a batch, which are added up on the device. */
static double learn(struct berth_train_engine *engine, struct train_rig *rig, const struct train_batch *batch,
                    const struct berth_train_rates *rates, bool backward)
{
    struct berth_error err;
    const float *dfirst = NULL;
    double loss;
    size_t right = 0;
    OK(engine->calls->forward(engine, &batch->batch, rates, &err));
    if (rig->weights->masked) {
        OK(engine->calls->masked_loss(engine, batch->words, 1, &loss, &right, &err));
    } else {
        loss = berth_loss_of(&rig->loss, rig->dlogits, engine->logits, batch->targets, NULL, batch->batch.texts, 1);
        if (rig->states) {
            loss += berth_loss_of_states(rig->loss.hidden, rig->dfirst, engine->first, rig->states, batch->batch.texts,
                                         rig->weights->hidden, 1);
            dfirst = rig->dfirst;
        }
    }
    if (backward)
        OK(engine->calls->backward(engine, rig->weights->masked ? NULL : rig->dlogits, dfirst, &err));
    return loss;
}

static void read_numbers(struct berth_train_engine *engine, enum berth_train_numbers what)
{
    struct berth_error err;
    OK(engine->calls->read(engine, what, &err));
}

/* --- the reference sets --------------------------------------------------------------------------- */

/* How far numbers are from the golden ones. */
struct off {
    double most, largest;  /* distance; of the golden numbers */
    double errors, squares; /* sums of squares */
};

static struct off distance(const struct berth_checkpoint *golden, const struct berth_weight *weight, const float *numbers)
{
    const struct berth_tensor *tensor = berth_checkpoint_find(golden, weight->name);
    float *want = malloc(weight->elements * sizeof *want);
    struct off d = {0};
    assert_non_null(tensor);
    berth_tensor_read_f32(tensor, 0, weight->elements, want);
    for (size_t i = 0; i < weight->elements; i++) {
        double off = fabs((double)numbers[weight->first + i] - want[i]);
        d.most = off <= d.most ? d.most : isnan(off) ? INFINITY : off;
        d.largest = fmax(d.largest, fabs((double)want[i]));
        d.errors += off * off;
        d.squares += (double)want[i] * want[i];
    }
    free(want);
    return d;
}

/* A gradient's distance in parts of what it may be. fp32: the largest. bf16: the root mean square of a tensor's, since a
 * number on its way is rounded by up to 2^-9 of its size at some thirty places, by chance up or down; where a ReLU opens
 * or closes by that, a whole neuron's is off. */
static double share_of_bound(const struct berth_weight *weight, const struct off *d, bool bf16, bool relu)
{
    double rest = relu ? 0.8 : train_set_is_key_bias(weight->name) ? 0 : 0.06;
    if (bf16)
        return sqrt(d->errors / (double)weight->elements) / (1e-4 + rest * sqrt(d->squares / (double)weight->elements));
    return d->most / (train_set_is_key_bias(weight->name) ? 1e-6 : 1e-5 + 1e-5 * d->largest);
}

static double check_gradients(const char *name, bool bf16)
{
    struct train_set set;
    train_set_open(&set, name, support_best_isa(), 1);
    const struct berth_weights *weights = set.rig.weights;
    struct berth_train_engine *engine = open_engine(&set.rig, bf16, false, &train_set_recipe);
    train_set_take(&set, json_object_get(json_object_get(set.json, "gradient_batch"), "rows"));
    double loss = learn(engine, &set.rig, &set.batch, NULL, true), worst = 0;
    bool relu = set.rig.encoder->config.activation == BERTH_ACT_RELU || set.rig.encoder->pooler_act == BERTH_ACT_RELU;
    const json_t *first = json_array_get(json_object_get(set.json, "trajectory"), 0);
    assert_true(fabs(loss - json_number_value(json_object_get(first, "loss"))) <= (bf16 ? 0.03 : 1e-5));
    read_numbers(engine, BERTH_TRAIN_GRADIENTS);
    for (size_t i = 0; i < weights->count; i++) {
        struct off d = distance(set.grads, &weights->list[i], weights->grad);
        double share = share_of_bound(&weights->list[i], &d, bf16, relu);
        if (share > 1)
            print_message("%s %s: %s is off by %g of %g, root mean square %g of %g\n", name, bf16 ? "bf16" : "fp32",
                          weights->list[i].name, d.most, d.largest, sqrt(d.errors), sqrt(d.squares));
        worst = fmax(worst, share);
    }
    assert_true(worst <= 1);
    close_engine(engine);
    train_set_close(&set);
    return worst;
}

static void gradients_of_every_set_equal_pytorchs(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRAIN_SETS; i++)
        for (int bf16 = 0; bf16 < 2; bf16++)
            print_message("%-16s %s gradients at %.3f of the bound\n", train_set_names[i], bf16 ? "bf16" : "fp32",
                          check_gradients(train_set_names[i], bf16));
}

static void check_steps(const char *name, bool bf16)
{
    struct train_set set;
    train_set_open(&set, name, support_best_isa(), 1);
    struct berth_train_engine *engine = open_engine(&set.rig, bf16, false, &train_set_recipe);
    const struct berth_weights *weights = set.rig.weights;
    const json_t *step;
    struct berth_error err;
    size_t index;
    json_array_foreach(json_object_get(set.json, "trajectory"), index, step)
    {
        struct berth_step_report report;
        train_set_take(&set, json_object_get(step, "rows"));
        double loss = learn(engine, &set.rig, &set.batch, NULL, true);
        OK(engine->calls->update(engine, &report, &err));
        double norm = json_number_value(json_object_get(step, "grad_norm_before_clip"));
        assert_true(fabs(loss - json_number_value(json_object_get(step, "loss"))) <= (bf16 ? 0.05 : 1e-5));
        assert_true(fabs(report.norm - norm) <= (bf16 ? 0.1 : 1e-4) * norm);
        assert_true(fabs(report.rate - json_number_value(json_object_get(step, "lr"))) <= 1e-12);
    }
    assert_int_equal(index, TRAIN_SET_STEPS);
    assert_int_equal(engine->step, TRAIN_SET_STEPS);
    read_numbers(engine, BERTH_TRAIN_VALUES);
    double worst = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const struct berth_weight *weight = &weights->list[i];
        double off = distance(set.final, weight, weights->value).most;
        if (off > (bf16 || train_set_is_key_bias(weight->name) ? 0.015 : 5e-5)) /* twenty steps of at most 1e-3 */
            fail_msg("%s: %s is off by %g", name, weight->name, off);
        worst = train_set_is_key_bias(weight->name) ? worst : fmax(worst, off);
    }
    print_message("%-16s %s final parameters within %.2g\n", name, bf16 ? "bf16" : "fp32", worst);
    close_engine(engine);
    train_set_close(&set);
}

static void twenty_steps_end_where_pytorch_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < TRAIN_SETS; i++)
        check_steps(train_set_names[i], false);
    check_steps(train_set_names[0], true);
}

/* --- against the CPU ------------------------------------------------------------------------------ */

#define BERT(act, problem, labels)                                                                     \
    "{\"model_type\":\"bert\",\"hidden_size\":24,\"num_hidden_layers\":2,\"num_attention_heads\":3,"   \
    "\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":60,\"type_vocab_size\":2," \
    "\"hidden_act\":\"" act "\",\"problem_type\":\"" problem "\",\"num_labels\":" labels               \
    ",\"hidden_dropout_prob\":0.2,\"attention_probs_dropout_prob\":0.3,\"initializer_range\":0.2}"
#define ELECTRA                                                                                                 \
    "{\"model_type\":\"electra\",\"hidden_size\":24,\"embedding_size\":10,\"num_hidden_layers\":2,"             \
    "\"num_attention_heads\":4,\"intermediate_size\":40,\"vocab_size\":50,\"max_position_embeddings\":60,"      \
    "\"type_vocab_size\":2,\"initializer_range\":0.2}"

static const struct example {
    const char *config;
    bool masked, states;
} examples[] = {
    {BERT("gelu", "single_label_classification", "3"), false, false},
    {BERT("gelu_new", "multi_label_classification", "4"), false, true},
    {BERT("silu", "regression", "1"), false, false},
    {BERT("relu", "single_label_classification", "3"), true, false},
    {"{\"model_type\":\"distilbert\",\"dim\":24,\"n_layers\":3,\"n_heads\":2,\"hidden_dim\":20,\"vocab_size\":50,"
     "\"max_position_embeddings\":60,\"activation\":\"gelu\",\"initializer_range\":0.2}",
     false, true},
    {ELECTRA, false, false},
    {ELECTRA, true, false},
};
enum { EXAMPLES = sizeof examples / sizeof examples[0], TEXTS = 6 };
/* Texts of one tile and several, and a word, a position and a type with more tokens than a piece of rows. */
static const size_t lengths[TEXTS] = {5, 1, 47, 8, 2, 33};
static float states[TEXTS * 24];

static void open_example(struct train_rig *rig, struct train_batch *batch, const struct example *example)
{
    train_rig_open_config(rig, example->config, example->masked, support_best_isa(), 1);
    rig->loss.hidden = 0.7;
    rig->states = example->states ? states : NULL;
    if (rig->loss.problem == BERTH_PROBLEM_SINGLE_LABEL)
        rig->loss.smoothing = 0.1;
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        states[i] = (float)((i * 37 % 101) / 50.0 - 1);
    train_rig_stir(rig);
    train_batch_random(batch, lengths, TEXTS, 5, rig);
    for (size_t i = 0; i < batch->offsets[TEXTS]; i += 2)
        batch->ids[i] = i % 3 ? 7 : (int32_t)rig->encoder->config.pad_token_id;
    if (example->masked)
        train_batch_mask(batch);
}

/* Largest distance of two gradients, in parts of what fp32 may be off: products of some hundred rows, in another order. */
static double apart(const struct berth_weights *weights, const float *a, const float *b)
{
    double worst = 0;
    for (size_t i = 0; i < weights->count; i++) {
        const struct berth_weight *weight = &weights->list[i];
        double largest = 0, off = 0;
        for (size_t j = weight->first; j < weight->first + weight->elements; j++) {
            largest = fmax(largest, fabs((double)a[j]));
            double d = fabs((double)a[j] - b[j]);
            off = d <= off ? off : isnan(d) ? INFINITY : d;
        }
        worst = fmax(worst, off / (1e-5 + 2e-5 * largest));
    }
    return worst;
}

static float *copy_of(const float *numbers, size_t count)
{
    float *copy = malloc(count * sizeof *copy);
    memcpy(copy, numbers, count * sizeof *copy);
    return copy;
}

/* Gradients with dropout at work are the CPU's: the same numbers are dropped. Another step's are others. */
static void gradients_with_dropout_equal_the_cpus(void **state)
{
    (void)state;
    for (size_t i = 0; i < EXAMPLES; i++) {
        struct train_rig rig;
        struct train_batch batch;
        open_example(&rig, &batch, &examples[i]);
        size_t total = rig.weights->total;
        struct berth_train_rates rates = train_rig_rates(&rig);
        double want = train_rig_loss(&rig, &batch, &rates, true);
        float *grad = copy_of(rig.weights->grad, total);
        struct berth_train_engine *engine = open_engine(&rig, false, examples[i].states, &train_set_recipe);
        double loss = learn(engine, &rig, &batch, &rates, true);
        read_numbers(engine, BERTH_TRAIN_GRADIENTS);
        double off = apart(rig.weights, grad, rig.weights->grad);
        print_message("example %zu: loss %.6f, gradients at %.3f of the bound\n", i, loss, off);
        assert_true(fabs(loss - want) <= 1e-5 * fmax(1, fabs(want)));
        assert_true(off <= 1);
        close_engine(engine);
        engine = open_engine(&rig, false, examples[i].states, &train_set_recipe);
        rates.step++;
        learn(engine, &rig, &batch, &rates, true);
        read_numbers(engine, BERTH_TRAIN_GRADIENTS);
        assert_true(apart(rig.weights, grad, rig.weights->grad) > 100);
        close_engine(engine);
        free(grad);
        train_rig_close(&rig);
    }
}

/* The slope of the loss along each weight's gradient, by central differences, is that gradient's length. */
static void gradients_are_slopes_of_the_loss(void **state)
{
    (void)state;
    struct train_rig rig;
    struct train_batch batch;
    struct berth_error err;
    open_example(&rig, &batch, &examples[1]);
    struct berth_train_rates rates = train_rig_rates(&rig);
    struct berth_train_engine *engine = open_engine(&rig, false, true, &train_set_recipe);
    learn(engine, &rig, &batch, &rates, true);
    read_numbers(engine, BERTH_TRAIN_GRADIENTS);
    float *grad = copy_of(rig.weights->grad, rig.weights->total), *value = copy_of(rig.weights->value, rig.weights->total);
    for (size_t i = 0; i < rig.weights->count; i++) {
        const struct berth_weight *weight = &rig.weights->list[i];
        double norm = 0, loss[2], h = 4e-3;
        for (size_t j = weight->first; j < weight->first + weight->elements; j++)
            norm += (double)grad[j] * grad[j];
        norm = sqrt(norm);
        if (norm < 1e-5)
            continue;
        for (int side = 0; side < 2; side++) {
            memcpy(rig.weights->value, value, rig.weights->total * sizeof *value);
            for (size_t j = weight->first; j < weight->first + weight->elements; j++)
                rig.weights->value[j] += (float)((side ? h : -h) * grad[j] / norm);
            OK(engine->calls->resume(engine, 0, &err));
            loss[side] = learn(engine, &rig, &batch, &rates, false);
        }
        double slope = (loss[1] - loss[0]) / (2 * h);
        if (fabs(slope - norm) > 0.02 * norm + 1e-3)
            fail_msg("%s: slope %g, gradient says %g", weight->name, slope, norm);
    }
    free(grad);
    free(value);
    close_engine(engine);
    train_rig_close(&rig);
}

/* --- the same bits -------------------------------------------------------------------------------- */

/* Some steps of two batches each, begun after `from` of them from the host's arrays; what is left in those. */
static void walk(struct berth_train_engine *engine, struct train_rig *rig, const struct train_batch *batch, size_t from, size_t to)
{
    struct berth_train_rates rates = train_rig_rates(rig);
    struct berth_step_report report;
    struct berth_error err;
    for (size_t step = from; step < to; step++) {
        rates.step = 2 * step;
        learn(engine, rig, batch, &rates, true);
        rates.step++;
        learn(engine, rig, batch, &rates, true);
        OK(engine->calls->update(engine, &report, &err));
    }
    read_numbers(engine, BERTH_TRAIN_VALUES);
    read_numbers(engine, BERTH_TRAIN_MOMENTS);
}

/* Blocks in another order, and a run that goes on from what was read back: the bits of the unbroken one. */
static void resumed_and_repeated_runs_end_with_the_same_bits(void **state)
{
    (void)state;
    for (int bf16 = 0; bf16 < 2; bf16++) {
        struct train_rig rig;
        struct train_batch batch;
        struct berth_error err;
        open_example(&rig, &batch, &examples[bf16 ? 5 : 0]);
        size_t total = rig.weights->total;
        float *begin = copy_of(rig.weights->value, total);
        struct berth_train_engine *engine = open_engine(&rig, bf16, false, &train_set_recipe);
        walk(engine, &rig, &batch, 0, 4);
        float *value = copy_of(rig.weights->value, total), *first = copy_of(engine->first_moment, total);
        close_engine(engine);
        memcpy(rig.weights->value, begin, total * sizeof *begin);
        engine = open_engine(&rig, bf16, false, &train_set_recipe);
        device->backwards = true;
        walk(engine, &rig, &batch, 0, 2);
        device->backwards = false;
        struct berth_train_engine *next = NULL;
        OK(berth_train_engine_cuda(gpu, rig.encoder, rig.weights, &bounds, bf16, false, &train_set_recipe, &next, &err));
        memcpy(next->first_moment, engine->first_moment, total * sizeof *first);
        memcpy(next->second_moment, engine->second_moment, total * sizeof *first);
        OK(next->calls->resume(next, 2, &err));
        berth_train_engine_free(engine);
        walk(next, &rig, &batch, 2, 4);
        assert_memory_equal(value, rig.weights->value, total * sizeof *value);
        assert_memory_equal(first, next->first_moment, total * sizeof *first);
        close_engine(next);
        assert_memory_not_equal(value, begin, total * sizeof *value);
        free(begin);
        free(value);
        free(first);
        train_rig_close(&rig);
    }
}

/* Frozen weights stay, lower layers learn slower, and what moves moves as on the CPU. */
static void frozen_and_slower_layers_move_as_on_the_cpu(void **state)
{
    (void)state;
    struct berth_optimizer_options options = train_set_recipe;
    struct berth_optimizer *optimizer;
    struct berth_step_report report, wanted;
    struct train_rig rig;
    struct train_batch batch;
    struct berth_error err;
    options.layer_decay = 0.5;
    options.freeze_layers = 1;
    options.warmup_steps = 0;
    open_example(&rig, &batch, &examples[0]);
    size_t total = rig.weights->total;
    float *begin = copy_of(rig.weights->value, total);
    struct berth_train_engine *engine = open_engine(&rig, false, false, &options);
    learn(engine, &rig, &batch, NULL, true);
    OK(engine->calls->update(engine, &report, &err));
    OK(berth_optimizer_new(&options, rig.weights, &optimizer, &err));
    berth_optimizer_touch(optimizer, &rig.network->crew, batch.ids, batch.offsets[TEXTS]);
    train_rig_loss(&rig, &batch, NULL, true);
    OK(berth_optimizer_step(optimizer, &rig.network->crew, &wanted, &err));
    float *want = copy_of(rig.weights->value, total);
    read_numbers(engine, BERTH_TRAIN_VALUES);
    assert_true(fabs(report.norm - wanted.norm) <= 1e-4 * wanted.norm);
    double moved = 0;
    for (size_t i = 0; i < rig.weights->count; i++) {
        const struct berth_weight *weight = &rig.weights->list[i];
        for (size_t j = weight->first; j < weight->first + weight->elements; j++) {
            if (weight->depth <= 1)
                assert_true(rig.weights->value[j] == begin[j]);
            else if (!train_set_is_key_bias(weight->name))
                assert_true(fabs((double)rig.weights->value[j] - want[j]) <= 5e-5);
            moved = fmax(moved, fabs((double)rig.weights->value[j] - begin[j]));
        }
    }
    assert_true(moved > 5e-4);
    read_numbers(engine, BERTH_TRAIN_GRADIENTS);
    for (size_t i = 0; i < total; i++)
        assert_true(rig.weights->grad[i] == 0);
    berth_optimizer_free(optimizer);
    close_engine(engine);
    free(begin);
    free(want);
    train_rig_close(&rig);
}

static void a_norm_that_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    struct train_rig rig;
    struct train_batch batch;
    struct berth_step_report report;
    struct berth_error err;
    open_example(&rig, &batch, &examples[0]);
    float *begin = copy_of(rig.weights->value, rig.weights->total);
    struct berth_train_engine *engine = open_engine(&rig, false, false, &train_set_recipe);
    learn(engine, &rig, &batch, NULL, false);
    for (size_t i = 0; i < TEXTS * rig.weights->labels; i++)
        rig.dlogits[i] = 1e30f;
    OK(engine->calls->backward(engine, rig.dlogits, NULL, &err));
    rig.dlogits[0] = INFINITY;
    OK(engine->calls->backward(engine, rig.dlogits, NULL, &err));
    assert_int_equal(engine->calls->update(engine, &report, &err), BERTH_LIMIT);
    assert_non_null(strstr(err.message, "not finite"));
    read_numbers(engine, BERTH_TRAIN_VALUES);
    assert_memory_equal(begin, rig.weights->value, rig.weights->total * sizeof *begin);
    close_engine(engine);
    free(begin);
    train_rig_close(&rig);
}

/* Each allocation of the device and of pinned memory that is refused, and devices too small by some: one sentence, nothing kept. */
static void training_without_memory_is_refused_and_keeps_nothing(void **state)
{
    (void)state;
    struct train_rig rig;
    struct train_batch batch;
    struct berth_error err;
    struct berth_train_engine *engine;
    enum berth_status status = BERTH_NO_MEMORY;
    size_t refused = 0;
    open_example(&rig, &batch, &examples[0]);
    while (status != BERTH_OK) {
        device->refuse = ++refused;
        status = berth_train_engine_cuda(gpu, rig.encoder, rig.weights, &bounds, true, false, &train_set_recipe, &engine, &err);
        if (status == BERTH_OK)
            break;
        assert_int_equal(status, BERTH_NO_MEMORY);
        assert_null(engine);
        assert_non_null(strstr(err.message, "memory does not suffice"));
        assert_int_equal(device->used, 0);
    }
    device->refuse = 0;
    size_t whole = device->used;
    close_engine(engine);
    assert_int_equal(refused - 1, 16); /* ten of the device, six pinned */
    for (size_t budget = 0; budget < whole; budget += whole / 5) {
        device->budget = budget;
        assert_int_equal(berth_train_engine_cuda(gpu, rig.encoder, rig.weights, &bounds, true, false, &train_set_recipe, &engine, &err),
                         BERTH_NO_MEMORY);
        assert_int_equal(device->used, 0);
    }
    device->budget = whole;
    close_engine(open_engine(&rig, true, false, &train_set_recipe));
    device->budget = SIZE_MAX;
    device->capability = 75;
    assert_int_equal(berth_train_engine_cuda(gpu, rig.encoder, rig.weights, &bounds, true, false, &train_set_recipe, &engine, &err),
                     BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "7.5"));
    device->capability = 90;
    train_rig_close(&rig);
}

int main(int argc, char **argv)
{
    struct berth_error err;
    on_gpu = argc > 1 && strcmp(argv[1], "gpu") == 0;
    if (on_gpu)
        support_cuda_use_gpu();
    golden_path("golden/train/index.json");
    device = support_cuda_state();
    if (berth_gpu_open(support_cuda_library(), 0, &gpu, &err) != BERTH_OK) {
        printf("%s\n", err.message);
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_of_every_set_equal_pytorchs),
        cmocka_unit_test(twenty_steps_end_where_pytorch_does),
        cmocka_unit_test(gradients_with_dropout_equal_the_cpus),
        cmocka_unit_test(gradients_are_slopes_of_the_loss),
        cmocka_unit_test(resumed_and_repeated_runs_end_with_the_same_bits),
        cmocka_unit_test(frozen_and_slower_layers_move_as_on_the_cpu),
        cmocka_unit_test(a_norm_that_is_not_finite_changes_nothing),
        cmocka_unit_test(training_without_memory_is_refused_and_keeps_nothing),
    };
    size_t count = sizeof tests / sizeof *tests;
    int result = on_gpu ? _cmocka_run_group_tests("on a GPU", tests, count - 1, NULL, NULL)
                        : _cmocka_run_group_tests("emulated", tests, count, NULL, NULL);
    berth_gpu_close(gpu);
    return result;
}
