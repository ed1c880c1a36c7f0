/* campaign.h: an experiment while it is carried out: what is open, what each combination has come to, where it is
 * recorded. prepare.c fills it, measure_*.c and rounds.c work on it, summary.c reads what came of it. */
#ifndef BERTH_BENCH_CAMPAIGN_H
#define BERTH_BENCH_CAMPAIGN_H

#include "bench/check.h"
#include "bench/experiment.h"
#include "bench/inputs.h"
#include "bench/local.h"
#include "bench/noise.h"
#include "bench/remote.h"
#include "results/results.h"

/* What is known of one combination. */
struct berth_cell_state {
    int64_t configuration;        /* in the results file; 0: none yet */
    const char *outcome;          /* "ok", "failed", "refused": only the first is measured */
    char *failure;                /* owned; NULL when ok */
    const char *runtime, *precision, *optimization; /* of the results */
    char precision_text[8], runtime_text[16];
    size_t threads;               /* in force */
    enum berth_precision asked;   /* of a study server; DEFAULT: nothing is asked */
    struct berth_session *session; /* local; borrowed */
    struct berth_remote *remote;   /* server; borrowed */
    const struct berth_inputs *inputs; /* borrowed */
    const struct berth_local_model *opened; /* local: what it runs; server: the tokenizer and labels, or NULL */
    double load_ms, cold_ms, warm_ms, difference, allowed; /* NaN: unknown */
    size_t memory_bytes;
    bool estimated; /* warm_ms was scaled from another shape's */
    bool *done; /* [trials] recorded already */
    size_t done_count;
    size_t correct, labelled;
};

struct berth_campaign {
    struct berth_experiment e;
    struct berth_local local;
    struct berth_remote *remote; /* [targets] */
    struct berth_inputs *inputs; /* [models * lengths] */
    struct berth_logits *reference; /* [models] for the probes; no values: not computed */
    struct berth_local_model *stand_in; /* a tokenizer for models that only a server has; owned */
    struct berth_cell_state *state; /* [cells] */
    struct berth_results *results;
    int64_t run;
    bool resumed;
    bool planning; /* nothing will be timed: few calls, estimates for the rest */
    struct berth_noise noise;
    size_t total, finished; /* trials, for progress */
};

/* A block of trials, as they are recorded together. */
struct berth_block {
    size_t first, count, capacity; /* first: from 1 */
    int64_t *latency, *service;    /* [capacity] ns */
    unsigned char *ok;
    int64_t *stage[4]; /* tokenization, queue, inference, total: ns, -1: not told */
    bool staged[4];
    char failure[256];
    int64_t began_us, wall_ns, texts, tokens, padded_tokens, late, cpu_ns, energy_uj;
    size_t correct, labelled;
};

enum berth_status berth_block_init(struct berth_block *block, size_t capacity, struct berth_error *err);
void berth_block_clear(struct berth_block *block);

/* ---- prepare.c ---- */

/* Opens what the experiment needs, checks every answer, warms up. Cells that cannot be measured say why; what would
 * spoil all of them is a failure. */
enum berth_status berth_campaign_open(struct berth_campaign *campaign, const struct berth_bench_options *options,
                                      struct berth_error *err);
enum berth_status berth_campaign_prepare(struct berth_campaign *campaign, struct berth_error *err);
void berth_campaign_close(struct berth_campaign *campaign);

/* Whether two cells differ in their texts or their load alone. */
bool berth_cell_same_deployment(const struct berth_cell *a, const struct berth_cell *b);

/* The cell is not measured, and why. */
enum berth_status berth_cell_skip(struct berth_cell_state *state, const char *outcome, const char *why,
                                  struct berth_error *err);

/* ---- measure_local.c, measure_remote.c ---- */

/* Trials [first, first + count) of a cell into the block. A query that fails is a trial that is not ok; only want of
 * memory and a stop are failures. `rate` is the cell's or one that is tried. */
enum berth_status berth_measure_local(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                      size_t count, struct berth_block *block, struct berth_error *err);
enum berth_status berth_measure_remote(struct berth_campaign *campaign, size_t cell, double rate, size_t first,
                                       size_t count, struct berth_block *block, struct berth_error *err);

/* One query, untimed or timed for warm-up: ns; the answer of its first text in logits (may be NULL). */
enum berth_status berth_local_query(struct berth_cell_state *state, size_t first, size_t count, uint64_t *ns,
                                    struct berth_logits *logits, struct berth_error *err);
enum berth_status berth_remote_query(struct berth_cell_state *state, size_t first, size_t count, uint64_t *ns,
                                     struct berth_logits *logits, struct berth_error *err);

/* ---- record.c ---- */

enum berth_status berth_record_open(struct berth_campaign *campaign, struct berth_error *err);
enum berth_status berth_record_cell(struct berth_campaign *campaign, size_t cell, double rate, int64_t *configuration,
                                    struct berth_error *err);
enum berth_status berth_record_outcome(struct berth_campaign *campaign, size_t cell, int64_t configuration,
                                       struct berth_error *err);
enum berth_status berth_record_block(struct berth_campaign *campaign, size_t cell, int64_t configuration,
                                     const struct berth_block *block, struct berth_error *err);
enum berth_status berth_record_finish(struct berth_campaign *campaign, struct berth_error *err);

/* ---- rounds.c, find_rate.c ---- */

enum berth_status berth_campaign_measure(struct berth_campaign *campaign, struct berth_error *err);
enum berth_status berth_campaign_find_rates(struct berth_campaign *campaign, struct berth_error *err);

/* Measures one block of a cell's trials at a rate and records it; the block is the caller's to clear. */
enum berth_status berth_campaign_block(struct berth_campaign *campaign, size_t cell, double rate,
                                       int64_t configuration, size_t first, size_t count, struct berth_block *block,
                                       struct berth_error *err);

/* False: the caller wants to stop. `extra` trials of the block under way are done. */
bool berth_campaign_going(struct berth_campaign *campaign, size_t extra);

/* ---- summary.c ---- */

/* Fills the report from what the run's part of the results file holds; p99_ms: the objective of a search, or 0. */
enum berth_status berth_summary_read(struct berth_results *results, int64_t run, double p99_ms,
                                     struct berth_bench_report *report, struct berth_error *err);

#endif
