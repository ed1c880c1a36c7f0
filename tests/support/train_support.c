/* train_support.c: networks and batches for the tests of training. */
#include "support/train_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"

static const struct berth_network_bounds bounds = {
    .tokens = TRAIN_TOKENS, .texts = TRAIN_TEXTS, .pairs = 1 << 18, .longest = 128};

static void open_rig(struct train_rig *rig, struct berth_encoder *encoder, enum berth_isa isa, size_t threads,
                     bool masked)
{
    struct berth_error err = {0};
    const struct berth_weights_options options = {
        .labels = encoder->config.labels, .seed = 1, .masked = masked};
    *rig = (struct train_rig){.encoder = encoder, .kernels = berth_kernels_select(isa)};
    assert_int_equal(berth_team_new(threads, &rig->team, &err), BERTH_OK);
    if (berth_weights_new(encoder, &options, rig->kernels, &rig->weights, &err) != BERTH_OK ||
        berth_network_new(encoder, rig->weights, rig->kernels, rig->team, &bounds, &rig->network, &err) !=
            BERTH_OK)
        fail_msg("%s", err.message);
    rig->loss = (struct berth_loss){.problem = encoder->config.problem, .labels = rig->weights->labels};
}

void train_rig_open(struct train_rig *rig, struct berth_encoder *encoder, enum berth_isa isa, size_t threads)
{
    open_rig(rig, encoder, isa, threads, false);
}

void train_rig_open_masked(struct train_rig *rig, struct berth_encoder *encoder, enum berth_isa isa,
                           size_t threads)
{
    open_rig(rig, encoder, isa, threads, true);
}

void train_rig_open_config(struct train_rig *rig, const char *json, bool masked, enum berth_isa isa, size_t threads)
{
    struct berth_encoder *encoder = calloc(1, sizeof *encoder);
    struct berth_error err = {0};
    if (berth_config_parse("example", json, strlen(json), &encoder->config, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    encoder->layers = calloc(encoder->config.layers, sizeof *encoder->layers);
    encoder->pooler_act = encoder->config.summary_activation;
    encoder->type_embedding.elements = encoder->config.type_vocab_size;
    open_rig(rig, encoder, isa, threads, masked);
    rig->loss.labels = rig->weights->labels;
}

void train_rig_stir(struct train_rig *rig)
{
    struct berth_rng rng;
    berth_rng_seed(&rng, 11);
    for (size_t i = 0; i < rig->weights->count; i++) {
        const struct berth_weight *weight = &rig->weights->list[i];
        for (size_t j = 0; j < weight->elements && weight->rank == 1; j++)
            rig->weights->value[weight->first + j] += (float)(0.2 * berth_rng_normal(&rng));
    }
}

struct berth_train_rates train_rig_rates(const struct train_rig *rig)
{
    const struct berth_config *config = &rig->encoder->config;
    return (struct berth_train_rates){config->hidden_dropout, config->attention_dropout, config->classifier_dropout, 7, 3};
}

void train_batch_mask(struct train_batch *batch)
{
    static const size_t slots[] = {1, 4, 5, 20, 32};
    batch->batch.masked = sizeof slots / sizeof slots[0];
    batch->batch.slots = batch->slots;
    for (size_t i = 0; i < batch->batch.masked; i++) {
        batch->slots[i] = slots[i];
        batch->words[i] = (int32_t)(7 * i + 3);
    }
}

bool train_rig_limit(struct train_rig *rig, size_t memory)
{
    struct berth_network_bounds limited = bounds;
    struct berth_error err;
    limited.memory = memory;
    berth_network_free(rig->network);
    return berth_network_new(rig->encoder, rig->weights, rig->kernels, rig->team, &limited, &rig->network,
                             &err) == BERTH_OK;
}

void train_rig_close(struct train_rig *rig)
{
    berth_network_free(rig->network);
    berth_weights_free(rig->weights);
    berth_team_free(rig->team);
    berth_encoder_free(rig->encoder);
}

static void read_target(double *target, const json_t *label, size_t width)
{
    for (size_t i = 0; i < width; i++)
        target[i] = json_number_value(json_is_array(label) ? json_array_get(label, i) : label);
}

void train_batch_from_json(struct train_batch *batch, const json_t *examples, const json_t *rows,
                           const struct train_rig *rig)
{
    size_t width = berth_loss_width(&rig->loss), tokens = 0, index;
    const json_t *row;
    memset(batch, 0, sizeof *batch);
    json_array_foreach(rows, index, row)
    {
        const json_t *example = json_array_get(examples, (size_t)json_integer_value(row));
        const json_t *ids = json_object_get(example, "input_ids"),
                     *types = json_object_get(example, "token_type_ids");
        assert_true(json_array_size(ids) > 0 && index < TRAIN_TEXTS);
        for (size_t i = 0; i < json_array_size(ids); i++, tokens++) {
            assert_true(tokens < TRAIN_TOKENS);
            batch->ids[tokens] = (int32_t)json_integer_value(json_array_get(ids, i));
            batch->types[tokens] = (uint8_t)json_integer_value(json_array_get(types, i));
        }
        batch->offsets[index + 1] = tokens;
        const json_t *label = json_object_get(example, "label");
        read_target(batch->targets + index * width, label ? label : json_object_get(example, "labels"),
                    width);
    }
    batch->batch = (struct berth_train_batch){.texts = json_array_size(rows),
                                              .offsets = batch->offsets,
                                              .ids = batch->ids,
                                              .type_ids = batch->types};
}

void train_batch_random(struct train_batch *batch, const size_t *lengths, size_t texts, unsigned seed,
                        const struct train_rig *rig)
{
    struct berth_rng rng;
    size_t tokens = 0, width = berth_loss_width(&rig->loss);
    berth_rng_seed(&rng, seed);
    memset(batch, 0, sizeof *batch);
    for (size_t i = 0; i < texts; i++) {
        for (size_t j = 0; j < lengths[i]; j++, tokens++) {
            batch->ids[tokens] = (int32_t)berth_rng_below(&rng, rig->weights->vocab);
            batch->types[tokens] =
                rig->weights->types ? (uint8_t)berth_rng_below(&rng, rig->weights->types) : 0;
        }
        batch->offsets[i + 1] = tokens;
        for (size_t j = 0; j < width; j++) {
            bool single = rig->loss.problem == BERTH_PROBLEM_SINGLE_LABEL;
            batch->targets[i * width + j] =
                rig->loss.problem == BERTH_PROBLEM_REGRESSION
                    ? berth_rng_normal(&rng)
                    : (double)berth_rng_below(&rng, single ? rig->loss.labels : 2);
        }
    }
    batch->batch = (struct berth_train_batch){
        .texts = texts, .offsets = batch->offsets, .ids = batch->ids, .type_ids = batch->types};
}

double train_rig_loss(struct train_rig *rig, const struct train_batch *batch,
                      const struct berth_train_rates *rates, bool backward)
{
    berth_network_forward(rig->network, &batch->batch, rates);
    if (rig->weights->masked) {
        size_t right = 0;
        double masked = berth_network_masked_loss(rig->network, batch->words, 1, &right);
        memset(rig->weights->grad, 0, rig->weights->total * sizeof(float));
        if (backward)
            berth_network_backward(rig->network, rig->network->logits);
        return masked;
    }
    double loss = berth_loss_of(&rig->loss, rig->dlogits, rig->network->logits, batch->targets, NULL,
                                batch->batch.texts, 1);
    if (rig->states) {
        loss += berth_loss_of_states(rig->loss.hidden, rig->dfirst, berth_network_first(rig->network),
                                     rig->states, batch->batch.texts, rig->weights->hidden, 1);
        rig->network->d_first = rig->dfirst;
    }
    if (backward) {
        memset(rig->weights->grad, 0, rig->weights->total * sizeof(float));
        berth_network_backward(rig->network, rig->dlogits);
    }
    return loss;
}
