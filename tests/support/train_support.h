/* train_support.h: what the tests of training share: a network over an encoder, and batches from the training
 * goldens. */
#ifndef BERTH_TESTS_TRAIN_SUPPORT_H
#define BERTH_TESTS_TRAIN_SUPPORT_H

#include <jansson.h>

#include "train/loss.h"
#include "train/network.h"

enum { TRAIN_TEXTS = 64, TRAIN_TOKENS = 2048 };

struct train_rig {
    struct berth_encoder *encoder;
    struct berth_team *team;
    const struct berth_kernels *kernels;
    struct berth_weights *weights;
    struct berth_network *network;
    struct berth_loss loss;
    float dlogits[TRAIN_TEXTS * 8];
    const float
        *states; /* [texts, C] of a teacher, or NULL: the loss then counts loss.hidden times their distance */
    float dfirst[TRAIN_TEXTS * 64];
};

/* A batch that owns its arrays. */
struct train_batch {
    struct berth_train_batch batch;
    size_t offsets[TRAIN_TEXTS + 1];
    int32_t ids[TRAIN_TOKENS];
    uint8_t types[TRAIN_TOKENS];
    double targets[TRAIN_TEXTS * 8];
    size_t slots[8]; /* a masked-language head's, set by the test */
    int32_t words[8];
};

/* Takes the encoder. Fails the test on error. */
void train_rig_open(struct train_rig *rig, struct berth_encoder *encoder, enum berth_isa isa, size_t threads);
/* The same with a masked-language head. */
void train_rig_open_masked(struct train_rig *rig, struct berth_encoder *encoder, enum berth_isa isa,
                           size_t threads);
/* Takes a config.json's text, without weights: they are drawn. */
void train_rig_open_config(struct train_rig *rig, const char *json, bool masked, enum berth_isa isa, size_t threads);
/* LayerNorm and biases off their initial 1 and 0, so that every gradient counts. */
void train_rig_stir(struct train_rig *rig);
/* The configuration's, of one step. */
struct berth_train_rates train_rig_rates(const struct train_rig *rig);
/* Some words of a batch of 33 tokens or more, for a masked-language head. */
void train_batch_mask(struct train_batch *batch);
/* Makes the network anew, its memory bounded; false when it does not fit. */
bool train_rig_limit(struct train_rig *rig, size_t memory);
void train_rig_close(struct train_rig *rig);

/* The examples with these numbers, of train.json. */
void train_batch_from_json(struct train_batch *batch, const json_t *examples, const json_t *rows,
                           const struct train_rig *rig);

/* Texts of these lengths with ids, types and targets drawn from `seed`. */
void train_batch_random(struct train_batch *batch, const size_t *lengths, size_t texts, unsigned seed,
                        const struct train_rig *rig);

/* Forward and loss; with `backward`, gradients are cleared and computed too. */
double train_rig_loss(struct train_rig *rig, const struct train_batch *batch,
                      const struct berth_train_rates *rates, bool backward);

#endif
