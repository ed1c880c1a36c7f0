/* remote.h: a server under test, spoken to as a stranger would: by the protocols that it documents, over HTTP. */
#ifndef BERTH_BENCH_REMOTE_H
#define BERTH_BENCH_REMOTE_H

#include "bench/check.h"
#include "bench/experiment.h"
#include "bench/load.h"

enum { BERTH_REMOTE_NAME = 128, BERTH_REMOTE_LABELS = 512 };

struct berth_remote {
    const struct berth_bench_target *target; /* borrowed */
    enum berth_protocol protocol;            /* never AUTO once open */
    unsigned timeout_ms;
    char model[BERTH_REMOTE_NAME]; /* selected; "" : none */
    char precision[8];             /* the study's: what was set */
    size_t threads;
    char input[BERTH_REMOTE_NAME], output[BERTH_REMOTE_NAME]; /* Open Inference Protocol: tensors' names */
    bool ids, type_ids;            /* it takes token ids instead of text; and types */
    size_t labels;                 /* names that /predict has told, sorted; 0: none yet */
    char *label[BERTH_REMOTE_LABELS];
};

/* Finds out which protocol the server speaks unless the target says so. What does not answer, or answers nothing of
 * the kind, is an error that says what was tried. */
enum berth_status berth_remote_open(const struct berth_bench_target *target, unsigned timeout_ms,
                                    struct berth_remote *remote, struct berth_error *err);
void berth_remote_close(struct berth_remote *remote);

/* Makes the server ready to be asked about a model: /set_model of the study (precision fp32 or int8; threads 0: as
 * they are), the model's metadata of the Open Inference Protocol. Does nothing when it is selected already. */
enum berth_status berth_remote_select(struct berth_remote *remote, const char *model, enum berth_precision precision,
                                      size_t threads, struct berth_error *err);

/* ---- wire.c ---- */

/* A whole request for `count` texts (those from `first` on, in turn, of `total`); wire->bytes for berth_free.
 * `tokenizer` is needed by servers that take ids; NULL refuses them. */
enum berth_status berth_remote_wire(const struct berth_remote *remote, const struct berth_model *tokenizer,
                                    const struct berth_text *texts, size_t total, size_t first, size_t count,
                                    struct berth_wire *wire, struct berth_error *err);

/* A request without a body. */
enum berth_status berth_remote_plain_wire(const struct berth_endpoint *endpoint, const char *method, const char *path,
                                          struct berth_wire *wire, struct berth_error *err);

/* The logits of an answer to `texts` texts, in rows. `names` (may be NULL) [names_count] are the model's labels, by
 * which /predict's are ordered. Garbage, NaN and other shapes are refused. */
enum berth_status berth_remote_parse(struct berth_remote *remote, const char *body, size_t size, size_t texts,
                                     const char *const *names, size_t names_count, struct berth_logits *logits,
                                     struct berth_error *err);

#endif
