/* target_train.h: training as something to time: a model of random weights, and data to take batches from. */
#ifndef BERTH_BENCH_TARGET_TRAIN_H
#define BERTH_BENCH_TARGET_TRAIN_H

#include "target.h"
#include "train/data.h"

struct target_trainee;

/* Steps of one precision; the context of target_trainee_run, which makes `steps` of them. Those of one
 * trainee share its weights and its place in the data. */
struct target_training {
    struct target_trainee *trainee;
    bool bf16;
    size_t steps;
};

/* Texts of one length, of random words, with labels. */
bool target_train_random(struct target_run *run, size_t texts, size_t length, struct berth_train_data *data);
/* SST-2's training texts at their real lengths; false with what is missing in `why`. */
bool target_train_sst2(struct target_run *run, struct berth_train_data *data, char why[TARGET_WHY_SIZE]);
/* A line of token ids a text. */
bool target_train_write(const struct berth_train_data *data, size_t texts, const char *path);

/* BERT of a preset's size, as `berth finetune` trains it: dropout 0.1, AdamW, shuffled batches end to end.
 * The data are borrowed. NULL with a sentence in `why`. */
struct target_trainee *target_trainee_new(const char *preset, const struct berth_train_data *data,
                                          size_t batch, size_t threads, char why[TARGET_WHY_SIZE]);
void target_trainee_free(struct target_trainee *trainee); /* NULL is fine */
bool target_trainee_run(void *training);

/* The most memory that this process held since the last reset, in bytes; 0: not known. */
double target_peak_memory(void);
void target_peak_reset(void);

#endif
