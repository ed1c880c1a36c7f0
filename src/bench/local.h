/* local.h: models opened in this process: each model once for every way of running it, each session once for every
 * number of threads. */
#ifndef BERTH_BENCH_LOCAL_H
#define BERTH_BENCH_LOCAL_H

#include "bench/experiment.h"

struct berth_local_model {
    size_t model;
    struct berth_engine_choice choice;
    struct berth_model *opened; /* NULL: it cannot be */
    enum berth_status status;   /* of opening it */
    char *why;                  /* not; owned */
    double load_ms;
    size_t memory_bytes; /* that opening it and its first session added to this process */
    bool kept;           /* some cell is measured with it */
};

struct berth_local_session {
    const struct berth_local_model *model;
    size_t threads; /* as asked for */
    struct berth_session *session;
};

struct berth_local {
    const struct berth_experiment *experiment; /* borrowed */
    struct berth_local_model **model;          /* [models] owned each */
    struct berth_local_session *session;
    size_t models, sessions;
};

void berth_local_init(struct berth_local *local, const struct berth_experiment *experiment);
void berth_local_clear(struct berth_local *local);

/* The model `model` of the experiment, run as chosen, opened on first use. A model that cannot be opened is no failure
 * of the call: `opened` is NULL and `why` says why. */
enum berth_status berth_local_open(struct berth_local *local, size_t model, const struct berth_engine_choice *choice,
                                   struct berth_local_model **out, struct berth_error *err);

/* The reference that logits are compared with: berth's own engine at fp32. */
enum berth_status berth_local_reference(struct berth_local *local, size_t model, struct berth_local_model **out,
                                        struct berth_error *err);

enum berth_status berth_local_session(struct berth_local *local, struct berth_local_model *model, size_t threads,
                                      struct berth_session **session, struct berth_error *err);

/* Closes models that no cell is measured with, and their sessions. */
void berth_local_trim(struct berth_local *local);

#endif
