/* trainer.h: the loop. One call is one run: batches, steps, evaluations, checkpoints, logs, until the last
 * step or the early stop; what it reads was prepared by the caller. */
#ifndef BERTH_TRAIN_TRAINER_H
#define BERTH_TRAIN_TRAINER_H

#include "berth/berth.h"
#include "eval/label_map.h"
#include "train/data.h"
#include "train/loss.h"
#include "train/masking.h"
#include "train/train_engine.h"

/* All borrowed. */
struct berth_train_job {
    const struct berth_finetune_options *options;
    const char *directory; /* for the results of this run */
    uint64_t seed;         /* of order, dropout and fresh weights */
    const char *source;    /* directory of the model; NULL: random */
    const struct berth_encoder *encoder;
    const struct berth_tokenizer *tokenizer;
    const struct berth_kernels *kernels;
    struct berth_team *team;
    const struct berth_gpu *gpu; /* to train on; NULL: the CPU */
    const struct berth_train_data *train, *dev; /* dev NULL: none */
    const struct berth_label_map *labels;
    struct berth_loss loss;
    enum berth_schedule schedule;
    bool masked; /* masked-language training: labels, and loss but for its labels, are not read */
    bool bf16;   /* products in bf16, weights and sums in fp32 */
};

/* Writes the directory; report's members about one run are filled. On failure what was written last is whole,
 * and a state to resume from remains when there was one. */
enum berth_status berth_train_run(const struct berth_train_job *job, struct berth_finetune_report *report,
                                  struct berth_error *err);

/* The gradients of the first batch as a file (options->dump_gradients), and its loss. */
enum berth_status berth_train_dump(const struct berth_train_job *job, double *loss, struct berth_error *err);

/* Mean loss, and as "accuracy" and "perplexity", of guessing masked words: the same ones at every call. */
enum berth_status berth_train_evaluate_masked(struct berth_train_engine *engine,
                                              struct berth_train_window *window,
                                              struct berth_masking *masking,
                                              const struct berth_train_data *data, size_t *rows,
                                              size_t *scratch, struct berth_evaluation *evaluation,
                                              struct berth_error *err);

/* Metrics of the weights on the data, whose targets are in the task's order. `rows` is scratch of
 * data->count, window and engine hold what bounds say. */
enum berth_status berth_train_evaluate(struct berth_train_engine *engine, struct berth_train_window *window,
                                       const struct berth_train_data *data,
                                       const struct berth_label_map *labels, size_t *rows, size_t *scratch,
                                       struct berth_evaluation *evaluation, struct berth_error *err);

#endif
