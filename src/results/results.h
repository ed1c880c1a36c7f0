/* results.h: the results file: what was measured, where, and what came of it, as raw latencies.
 *
 * One SQLite file (docs/results.md has the schema), written ahead (WAL): a process that is killed loses what it
 * had not appended yet and nothing else, several processes may append at once, and what was appended is read
 * back. Another version is migrated when it is older and refused when it is newer; a file that is damaged, or is
 * no results file, is refused in one sentence. Files come from other machines and are trusted in nothing: their
 * schema is compared with ours and every size is checked.
 *
 *     run ──< configuration ──< trials (blocks of latencies) ──< stages
 *
 * A handle is used by one thread at a time; any number of handles may be open, in any number of processes. */
#ifndef BERTH_RESULTS_RESULTS_H
#define BERTH_RESULTS_RESULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

struct berth_results;

enum berth_results_access {
    BERTH_RESULTS_READ,   /* must exist; nothing is changed, but for the migration of an older file */
    BERTH_RESULTS_APPEND, /* made when it does not exist */
    BERTH_RESULTS_MEMORY  /* in memory, path ignored: to merge into */
};

enum berth_status berth_results_open(const char *path, enum berth_results_access access,
                                     struct berth_results **results, struct berth_error *err);
void berth_results_close(struct berth_results *results); /* NULL is fine */
const char *berth_results_path(const struct berth_results *results); /* Several calls as one, with the write lock from the start; berth_results_append and _merge do so by themselves. End it with `status` OK to commit, else to roll back; the
 * status of the whole comes back. */
enum berth_status berth_results_begin(struct berth_results *results, struct berth_error *err);
enum berth_status berth_results_end(struct berth_results *results, enum berth_status status, struct berth_error *err);

/* borrowed; "memory" for that */

/* Copies what FROM has and `into` lacks: runs are the same when their uid is, configurations when what they ask
 * for is, trials when their number is. Merging twice changes nothing; all of it comes, or nothing. *added (may be NULL): latencies that came. */
enum berth_status berth_results_merge(struct berth_results *into, const char *from, int64_t *added,
                                      struct berth_error *err);
enum berth_status berth_results_merge_from(struct berth_results *into, struct berth_results *from, int64_t *added,
                                           struct berth_error *err);

/* ---- Writing. Strings and arrays are read during the call; NULL strings are "". ---------------------------- */

/* A run is one experiment on one machine. The name need not be unique. *run is its id in this file. */
struct berth_results_run {
    int64_t id;       /* read only */
    const char *uid;  /* 32 hex digits, the same in every file; NULL when adding: a random one */
    const char *name; /* "" when adding: "run-" and the beginning of its uid */
    int64_t started_us;  /* since 1970, UTC; 0 when adding: now */
    int64_t finished_us; /* 0: not (yet) */
    const char *command; /* how it was started */
    const char *suite;   /* "study", or "" */
    uint64_t seed;
};
enum berth_status berth_results_add_run(struct berth_results *results, const struct berth_results_run *new_run,
                                        int64_t *run, struct berth_error *err);
enum berth_status berth_results_finish_run(struct berth_results *results, int64_t run, struct berth_error *err);

/* The newest run of that name, by id, or by (a beginning of) uid: NOT_FOUND names those that there are. An empty
 * name or "last" is the newest of all, "first" the oldest. */
enum berth_status berth_results_find_run(struct berth_results *results, const char *name, int64_t *run,
                                         struct berth_error *err);

/* One line of the environment record: replaces an older value. Keys in use: cpu, isa, flags, processors, governor,
 * frequency_mhz, memory_bytes, kernel, machine, build, berth; of noise: steal_percent, load_before, load_after,
 * frequency_drop_percent, noise. Any other may be added. */
enum berth_status berth_results_set_fact(struct berth_results *results, int64_t run, const char *key,
                                         const char *value, struct berth_error *err);

struct berth_results_model {
    int64_t run;
    const char *name; /* as configurations name it */
    const char *source;       /* what was opened: path, "random:bert-tiny" */
    const char *hash;         /* SHA-256 of its weights in hex, or "" */
    const char *architecture;
    int64_t parameters, layers, hidden, bytes; /* 0: unknown */
};
enum berth_status berth_results_set_model(struct berth_results *results, const struct berth_results_model *model,
                                          struct berth_error *err);

/* What was asked for: together, the identity of a configuration within its run. */
struct berth_results_configuration {
    int64_t id;  /* read only */
    int64_t run;
    const char *model, *target;
    const char *runtime;      /* "native", "onnxruntime", "cuda", "remote" */
    const char *optimization; /* "plain", "optimized", "quantized", or "" */
    const char *precision;    /* "fp32", "bf16", "int8" */
    const char *scenario;     /* "single-stream", "multi-stream", "offline", "server", "closed-loop" */
    const char *data;         /* "synthetic", or the name of the file of texts */
    int64_t threads, batch;
    int64_t length;      /* tokens of each text; 0: as the data has them */
    int64_t concurrency; /* requests in flight at most; 0: 1 */
    double rate;         /* requests a second asked for (server); else 0 */

    /* What came of it: read here, written by berth_results_set_outcome (and _set_accuracy, _set_summary). */
    const char *status;  /* "pending", "ok", "failed", "refused" */
    const char *failure; /* why not ok, or "" */
    int64_t memory_bytes;            /* at its highest; 0: unknown */
    double load_ms, cold_ms;         /* opening the model; the first run; NaN: unknown */
    double difference, allowed;      /* of logits from fp32's, in the check before timing; NaN: not checked */
    int64_t correct, labelled;       /* accuracy; labelled 0: not measured */
    struct berth_results_summary {   /* figures that came without latencies (published ones); n 0: none */
        int64_t n;
        double mean_ms, stddev_ms, p50_ms, p90_ms, p95_ms, p99_ms; /* NaN: not given */
    } summary;
};
/* Adds it, or finds the one that asks for the same (then nothing is changed). */
enum berth_status berth_results_add_configuration(struct berth_results *results,
                                                  const struct berth_results_configuration *configuration,
                                                  int64_t *id, struct berth_error *err);

struct berth_results_outcome {
    const char *status, *failure;
    int64_t memory_bytes;
    double load_ms, cold_ms, difference, allowed;
};
enum berth_status berth_results_set_outcome(struct berth_results *results, int64_t configuration,
                                            const struct berth_results_outcome *outcome, struct berth_error *err);
enum berth_status berth_results_set_accuracy(struct berth_results *results, int64_t configuration, int64_t correct,
                                             int64_t labelled, struct berth_error *err);
enum berth_status berth_results_set_summary(struct berth_results *results, int64_t configuration,
                                            const struct berth_results_summary *summary, struct berth_error *err);

/* A block of trials that were measured together: one for interleaved single runs, all requests of a `server` run.
 * It is appended whole or not at all. */
struct berth_results_trials {
    int64_t configuration;
    int64_t first; /* number of the first trial, from 1; the others follow */
    size_t count;  /* 1 to BERTH_RESULTS_BLOCK */
    const int64_t *latency_ns;     /* [count] from the scheduled start; of a failed one until it failed */
    const int64_t *service_ns;     /* [count] from the actual start; NULL: the same */
    const unsigned char *ok;       /* [count] 0: failed; NULL: none did */
    const char *failure;           /* why the first failed one did */
    int64_t began_us;              /* since 1970, UTC */
    int64_t wall_ns;               /* from the first start to the last end; 0: the sum of service_ns */
    int64_t texts;                 /* classified; 0: count times the batch */
    int64_t tokens, padded_tokens; /* computed; and what a padded batch would have; 0: unknown */
    int64_t late;                  /* sent later than scheduled */
    int64_t cpu_ns, energy_uj;     /* 0: unknown */
    size_t stages;
    const struct berth_results_stage {
        const char *name;  /* of the server: "queue", "tokenization", "inference", "total"; of the client: "send",
                              "wait", "receive" */
        const int64_t *ns; /* [count]; -1: not told */
    } *stage;              /* [stages] */
};
enum { BERTH_RESULTS_BLOCK = 4000000 };
/* BUSY when one of these trials is there already (another process measures the same configuration). */
enum berth_status berth_results_append(struct berth_results *results, const struct berth_results_trials *trials,
                                       struct berth_error *err);

/* done[i] tells whether trial i+1 of the configuration is there, for resuming; *count how many of these are. */
enum berth_status berth_results_done(struct berth_results *results, int64_t configuration, bool *done, size_t trials,
                                     size_t *count, struct berth_error *err);

/* ---- Reading --------------------------------------------------------------------------------------------- */

struct berth_results_fact {
    int64_t run;
    const char *key, *value;
};

/* Everything but the latencies, in the order of ids. Owns its strings. */
struct berth_results_book {
    size_t runs, facts, models, configurations;
    struct berth_results_run *run;
    struct berth_results_fact *fact;
    struct berth_results_model *model;
    struct berth_results_configuration *configuration;
    struct berth_results_text *texts; /* private: the strings */
};
/* run 0: all. */
enum berth_status berth_results_read(struct berth_results *results, int64_t run, struct berth_results_book *book,
                                     struct berth_error *err);
void berth_results_book_clear(struct berth_results_book *book);

/* The latencies of one configuration, ordered by number. */
struct berth_results_series {
    size_t n, failed;
    int64_t *trial, *latency_ns, *service_ns; /* [n] */
    unsigned char *ok;                        /* [n] */
    int64_t texts, tokens, padded_tokens, late, wall_ns, cpu_ns, energy_uj; /* sums over the blocks */
    char failure[256];                        /* of the first failed trial that says why */
    int64_t began_us, ended_us;               /* of its blocks, the earliest and the latest; 0: unknown */
};
enum berth_status berth_results_read_series(struct berth_results *results, int64_t configuration,
                                            struct berth_results_series *series, struct berth_error *err);
void berth_results_series_clear(struct berth_results_series *series);

/* Calls `each` with the values of every block that has stages: name, number of its first trial, count, ns. */
typedef enum berth_status berth_results_stage_fn(void *context, const char *name, int64_t first, size_t count,
                                                 const int64_t *ns, struct berth_error *err);
enum berth_status berth_results_each_stage(struct berth_results *results, int64_t configuration,
                                           berth_results_stage_fn *each, void *context, struct berth_error *err);

/* ---- The page's log -------------------------------------------------------------------------------------- */

/* What one deployment answered to one sentence. */
struct berth_results_page_trial {
    int64_t id;              /* read only; grows */
    int64_t click;           /* the same for all deployments that answered one request */
    int64_t time_us;         /* since 1970; 0 when adding: now */
    const char *deployment;
    const char *sentence, *pair; /* UTF-8; pair "" for none */
    const char *truth, *prediction; /* labels by name; truth "" when unknown; prediction "" when it failed */
    double score;            /* of the prediction */
    double latency_ms, queue_ms, compute_ms; /* NaN: unknown */
    int64_t tokens;
    const char *failure;     /* or "" */
};
enum berth_status berth_results_page_add(struct berth_results *results, const struct berth_results_page_trial *trials,
                                         size_t count, struct berth_error *err); /* all or none */
typedef enum berth_status berth_results_page_fn(void *context, const struct berth_results_page_trial *trial,
                                                struct berth_error *err);
/* Those with an id above `after`, oldest first, `limit` at most. Strings live during the call of `each`. */
enum berth_status berth_results_page_each(struct berth_results *results, int64_t after, size_t limit,
                                          berth_results_page_fn *each, void *context, struct berth_error *err);
enum berth_status berth_results_page_clear(struct berth_results *results, struct berth_error *err);

#endif
