/* train_golden.h: the training goldens: a batch's losses and gradients, and twenty steps of AdamW, by PyTorch. */
#ifndef BERTH_TESTS_TRAIN_GOLDEN_H
#define BERTH_TESTS_TRAIN_GOLDEN_H

#include "formats/checkpoint.h"
#include "support/train_support.h"
#include "train/optimizer.h"

enum { TRAIN_SETS = 7, TRAIN_SET_STEPS = 20 };
extern const char *const train_set_names[TRAIN_SETS];

/* Of the twenty steps. */
extern const struct berth_optimizer_options train_set_recipe;

struct train_set {
    struct train_rig rig;
    struct train_batch batch;
    struct berth_checkpoint *grads, *final; /* gradients of the batch, parameters after the steps */
    json_t *json;
};

/* Fail the test on error. */
void train_set_open(struct train_set *set, const char *name, enum berth_isa isa, size_t threads);
void train_set_close(struct train_set *set);
/* The examples with these numbers become set->batch. */
void train_set_take(struct train_set *set, const json_t *rows);

/* A softmax does not feel a key's bias: its gradient is rounding alone. */
bool train_set_is_key_bias(const char *name);

#endif
