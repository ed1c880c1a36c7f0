/* target.h: what the parts of bench_targets share. Each part measures some of the speeds that berth is to
 * reach, prints a table and adds its lines to the results. */
#ifndef BERTH_BENCH_TARGET_H
#define BERTH_BENCH_TARGET_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cpu.h"
#include "base/rng.h"
#include "berth/berth.h"
#include "limit.h"
#include "peer_ort.h"

enum { TARGET_PATH_SIZE = 4096 };

struct target_run {
    bool quick;
    const char *only;       /* comma-separated names of targets; NULL: all */
    const char *build;      /* folder with berth and bench/ in it */
    const char *data;       /* folder of reference data, with data/ in it */
    const char *ort_models; /* folder with NAME.fp32.onnx (or NAME.onnx) and NAME.int8.onnx; NULL: none */
    struct peer_ort *ort;   /* NULL: not here */
    struct berth_cpu cpu;
    double limit[LIMIT_FORMATS]; /* operations a ns of one core */
    double memory_rate;          /* bytes a ns that one core reads of what no cache holds */
    struct berth_rng rng;
    json_t *results;  /* list: every figure, as its part has it */
    json_t *verdicts; /* list: those that something is wanted of, and what is missing */
};

/* Whether the target ("T6") was asked for. */
bool target_wanted(const struct target_run *run, const char *target);

/* The calling thread, and those it starts, on one core: of the last few that this process may use, the one
 * that other work disturbs least just now. And on all again. */
void target_pin(void);
void target_unpin(void);

/* --- timing in turns --------------------------------------------------------------------------------------
 */

/* Middle and 10th and 90th percentile by nearest rank. */
struct target_spread {
    double median, low, high;
};
struct target_spread target_spread(const double *values, size_t count);

enum { TARGET_CONTESTANTS_MAX = 8, TARGET_ROUNDS_MAX = 41 };

/* One of several that are timed in turn. */
struct target_contestant {
    bool (*run)(void *context); /* false ends the measuring */
    void *context;
    bool elsewhere;               /* another process does the work: core_share is 1 */
    size_t calls;                 /* of a turn; out, as all that follows */
    double ms[TARGET_ROUNDS_MAX]; /* of a call, by round: the mean of the turn's calls */
    size_t rounds;
    struct target_spread time; /* ms */
    double core_share; /* of a turn, how much of the time the calling thread had the core; the rest went to
                          other work */
};

/* Warms up, then times all in turns, in a fresh random order each round, until `seconds` or the most rounds
 * are over, but min_rounds at least. Calls that take less than a ms are repeated within a turn. */
bool target_measure(struct target_run *run, struct target_contestant *contestants, size_t count,
                    double seconds, size_t min_rounds);

/* The peer's time over ours, round by round: what disturbs a whole round cancels out. */
struct target_spread target_ratio(const struct target_contestant *ours, const struct target_contestant *peer);

/* --- verdicts ---------------------------------------------------------------------------------------------
 */

enum target_sense { TARGET_AT_LEAST, TARGET_AT_MOST };

/* "met", "a tie" (a gap below 10 %) or "MISSED". */
const char *target_word(double value, enum target_sense sense, double wanted);

/* A figure beside what is wanted of it. */
struct target_figure {
    const char *target, *what; /* "T7", "bert-base int8 8 x 128" */
    double value;
    enum target_sense sense;
    double wanted;
    double at_limit; /* the most that the machine itself allows; 0: not known */
};

/* Keeps it for the summary and the results. */
void target_record(struct target_run *run, const struct target_figure *figure);

/* Prints and records it. `bound` says what keeps a value that falls short from more; may be NULL. */
void target_verdict(struct target_run *run, const struct target_figure *figure, const char *bound);

/* Prints and records that there is no figure, and why. */
void target_missing(struct target_run *run, const char *target, const char *what, const char *why);

/* Prints all that was recorded, a line each. */
void target_summary(const struct target_run *run);

/* --- models -----------------------------------------------------------------------------------------------
 */

enum { TARGET_TEXTS_MAX = 32, TARGET_TOKENS_MAX = 32 * 128 };

/* Packed token ids: text i is ids [offsets[i], offsets[i + 1]). */
struct target_batch {
    size_t texts, longest;
    size_t offsets[TARGET_TEXTS_MAX + 1];
    int32_t ids[TARGET_TOKENS_MAX];
};

/* Texts of one length, of random words. */
void target_batch_fill(struct target_run *run, struct target_batch *batch, size_t texts, size_t length);

enum { TARGET_WHY_SIZE = 1024 };

/* random:NAME at a precision; NULL with a sentence in `why`. `vocab` may be NULL. */
struct berth_model *target_model_open(const char *name, enum berth_precision precision, const char *vocab,
                                      char why[TARGET_WHY_SIZE]);
struct berth_session *target_session_new(const struct berth_model *model, size_t threads,
                                         char why[TARGET_WHY_SIZE]);

/* A session with the input of its runs; the context of target_ours_run. */
struct target_ours {
    struct berth_session *session;
    const struct target_batch *batch;
};
bool target_ours_run(void *ours);

/* What one run must do: operations, and bytes of weights that are read at least once. */
struct target_work {
    double operations, weight_bytes;
};
struct target_work target_model_work(const struct berth_model *model, size_t texts, size_t length);

/* The least time that the machine allows one core for the work, in ms, and what sets it. */
struct target_floor {
    double ms;
    double compute_ms, memory_ms;
    enum limit_format format;
};
struct target_floor target_floor(const struct target_run *run, const struct target_work *work,
                                 enum berth_precision precision);

/* ONNX Runtime's model of that name; NULL with what is missing in `why`. */
struct peer_model *target_peer_open(struct target_run *run, const char *name, enum limit_format format,
                                    size_t threads, char why[TARGET_WHY_SIZE]);
bool target_peer_run(void *model);

/* Writes a BERT-base checkpoint of random weights into build/bench/bert-base, once; its path in `folder`. */
bool target_checkpoint(const struct target_run *run, char folder[TARGET_PATH_SIZE]);

/* --- parts ------------------------------------------------------------------------------------------------
 */

/* T10; first, while this process is small: a child's peak memory counts its parent's at the start. */
void target_cold(struct target_run *run);
void target_memory(struct target_run *run);   /* T15; second, for the same reason */
void target_limits(struct target_run *run);   /* the machine; fills run->limit */
void target_products(struct target_run *run); /* bare matrix products */
void target_grid(struct target_run *run);     /* T1 to T6 */
void target_threads(struct target_run *run);  /* T7 */
void target_texts(struct target_run *run);    /* T8 */
void target_tokenize(struct target_run *run); /* T9 */

#endif
