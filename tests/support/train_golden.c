/* train_golden.c: reads the training goldens. */
#include "support/train_golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "support/golden.h"

const char *const train_set_names[TRAIN_SETS] = {"bert-cls3",       "bert-reg1",    "bert-multilabel4", "distilbert-cls2",
                                                 "distilbert-reg1", "electra-cls2", "electra-reg1"};

const struct berth_optimizer_options train_set_recipe = {.learning_rate = 1e-3,
                                                         .weight_decay = 0.01,
                                                         .beta1 = 0.9,
                                                         .beta2 = 0.999,
                                                         .epsilon = 1e-8,
                                                         .max_grad_norm = 1,
                                                         .warmup_steps = 4,
                                                         .total_steps = TRAIN_SET_STEPS,
                                                         .layer_decay = 1};

static struct berth_checkpoint *open_tensors(const char *name, const char *file)
{
    char path[256];
    struct berth_error err;
    struct berth_checkpoint *checkpoint;
    snprintf(path, sizeof path, "golden/train/%s/%s", name, file);
    if (berth_checkpoint_open_file(golden_path(path), &checkpoint, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return checkpoint;
}

void train_set_open(struct train_set *set, const char *name, enum berth_isa isa, size_t threads)
{
    char path[256];
    struct berth_error err;
    struct berth_encoder *encoder;
    snprintf(path, sizeof path, "golden/train/%s", name);
    if (berth_encoder_open(golden_path(path), &encoder, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    train_rig_open(&set->rig, encoder, isa, threads);
    snprintf(path, sizeof path, "golden/train/%s/train.json", name);
    set->json = golden_json(golden_path(path));
    set->grads = open_tensors(name, "grads.safetensors");
    set->final = open_tensors(name, "final.safetensors");
}

void train_set_close(struct train_set *set)
{
    berth_checkpoint_close(set->grads);
    berth_checkpoint_close(set->final);
    json_decref(set->json);
    train_rig_close(&set->rig);
}

void train_set_take(struct train_set *set, const json_t *rows)
{
    train_batch_from_json(&set->batch, json_object_get(set->json, "examples"), rows, &set->rig);
}

bool train_set_is_key_bias(const char *name)
{
    return strstr(name, ".key.bias") || strstr(name, ".k_lin.bias");
}
