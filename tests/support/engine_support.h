/* engine_support.h: what the tests of model, plan and engine share: a runner from a model to numbers, golden
 * batches, and tiny checkpoints written to a temporary folder. */
#ifndef BERTH_TESTS_ENGINE_SUPPORT_H
#define BERTH_TESTS_ENGINE_SUPPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/engine.h"

/* A plan and an engine over it. */
struct support_runner {
    struct berth_plan *plan;
    struct berth_engine *engine;
};

/* Takes the encoder. Fails the test on error. */
void support_runner_open(struct support_runner *runner, struct berth_encoder *encoder, enum berth_isa isa,
                         size_t threads, size_t max_tokens);
void support_runner_open_as(struct support_runner *runner, struct berth_encoder *encoder,
                            enum berth_number number, enum berth_isa isa, size_t threads, size_t max_tokens);
void support_runner_close(struct support_runner *runner);

/* The highest level of this machine. */
enum berth_isa support_best_isa(void);

/* A batch that owns its arrays. */
struct support_batch {
    struct berth_batch batch;
    size_t *offsets;
    int32_t *ids, *positions;
    uint8_t *types;
    size_t *source; /* [tokens]: index of the token in the padded [B][T] arrays it came from */
    size_t width;   /* T */
};

/* From golden.json: tokens whose mask is 0 are left out, the others keep their positions. */
void support_batch_from_json(struct support_batch *batch, const json_t *golden);

/* `texts` texts with lengths[i] pseudo-random ids below `vocab`. */
void support_batch_random(struct support_batch *batch, const size_t *lengths, size_t texts, size_t vocab,
                          unsigned seed);
void support_batch_clear(struct support_batch *batch);

/* Largest |got - want|; NaN counts as infinity. */
double support_distance(const float *got, const double *want, size_t count);

/* Flattens nested arrays of numbers; returns the count. values freed by the caller with free(). */
size_t support_numbers(const json_t *array, double **values);

/* A tiny BERT as a folder of config.json and model.safetensors under a new temporary folder. */
struct support_tensor {
    char name[96];
    size_t rank, shape[2];
    float *data;
};

enum {
    SUPPORT_V = 11,
    SUPPORT_P = 7,
    SUPPORT_C = 8,
    SUPPORT_H = 2,
    SUPPORT_F = 12,
    SUPPORT_L = 2,
    SUPPORT_TENSORS = 64
};

struct support_model {
    char directory[128];
    char config[1024];
    struct support_tensor tensors[SUPPORT_TENSORS];
    size_t count;
};

/* Fills in a sound model; the test changes what it wants, then writes it. */
void support_model_init(struct support_model *model);
struct support_tensor *support_model_find(struct support_model *model, const char *name);
void support_model_replace(struct support_model *model, const char *from,
                           const char *to); /* in config.json */
void support_model_write(struct support_model *model);
void support_model_clear(struct support_model *model); /* removes the folder */

#endif
