/* state.h: everything a run needs to go on as if it had not been stopped, in one file that is whole or
 * absent: DIRECTORY/resume.safetensors with the weights, both moments, and the counters below as text. */
#ifndef BERTH_TRAIN_STATE_H
#define BERTH_TRAIN_STATE_H

#include <stdint.h>

#include "train/train_engine.h"

struct berth_train_state {
    size_t step;              /* done */
    size_t best_step, behind; /* of the best evaluation (0: none yet), and evaluations since */
    double best;
    double loss_sum; /* since the last line of the log */
    size_t loss_count;
    uint64_t fingerprint; /* of the options and data that decide the weights */
};

/* The engine's values and moments were read. */
enum berth_status berth_train_state_write(const char *directory, const struct berth_train_state *state,
                                          const struct berth_train_engine *engine, struct berth_error *err);

/* *found is false when there is none. A state of other options or data (another fingerprint), or a malformed
 * one, is refused. */
enum berth_status berth_train_state_read(const char *directory, uint64_t fingerprint,
                                         struct berth_train_state *state, struct berth_train_engine *engine,
                                         bool *found, struct berth_error *err);

/* Once a run is complete, or begins anew. */
void berth_train_state_remove(const char *directory);

#endif
