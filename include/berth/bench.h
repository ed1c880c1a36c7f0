/* berth/bench.h: measuring models, in process and through servers. Included by berth/berth.h, which has the rules
 * that hold everywhere; docs/measuring.md has the method and what each figure means. */
#ifndef BERTH_BENCH_H
#define BERTH_BENCH_H

#include "berth/berth.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How queries follow one another, with the meanings of MLPerf Inference. A query is a call, or a request, with
 * `batch` texts; its latency runs from the moment it was due, its service time from the moment it was sent. */
enum berth_scenario {
    BERTH_SINGLE_STREAM, /* "single-stream": the next when the last is answered */
    BERTH_MULTI_STREAM,  /* "multi-stream": the same with 8 texts a query */
    BERTH_OFFLINE,       /* "offline": everything at once; the answer is the time until all is done */
    BERTH_SERVER,        /* "server": Poisson arrivals, whether or not the last is answered */
    BERTH_CLOSED_LOOP    /* "closed-loop": `concurrency` queries under way at any moment */
};
BERTH_API bool berth_scenario_parse(const char *word, enum berth_scenario *scenario);
BERTH_API const char *berth_scenario_name(enum berth_scenario scenario);

struct berth_bench_spec; /* an experiment's file; see berth_bench_spec_open */

/* An experiment: every combination of the lists below, `trials` times each, in interleaved seeded order. */
struct berth_bench_options {
    const char *const *models; /* "MODEL", or "NAME=MODEL": NAME is what servers and results call it */
    size_t model_count;
    /* "local": in this process (NULL: that alone); or "NAME=http://host:port", with what is known of the server
     * after commas: precision=, runtime=, threads=, protocol=. */
    const char *const *targets;
    size_t target_count;
    const enum berth_runtime *runtimes; /* of local targets; NULL: options.runtime */
    size_t runtime_count;
    /* Of ONNX Runtime: "plain" (as written, an operation a node), "runtime" (what it does at load), "optimized"
     * (fused operators, too), "quantized" (that at int8). They set its precision. NULL: options.optimization, at
     * each of `precisions`. */
    const char *const *optimizations;
    size_t optimization_count;
    const enum berth_precision *precisions; /* NULL: the default one */
    size_t precision_count;
    const size_t *threads; /* NULL: the default */
    size_t thread_count;
    const size_t *batches; /* NULL: 1; multi-stream 8; offline 256, or all of the data */
    size_t batch_count;
    const size_t *lengths; /* exact tokens, special ones included; NULL: 128, or with `data` its own */
    size_t length_count;
    enum berth_scenario scenario;
    const double *rates; /* server: queries a second */
    size_t rate_count;
    const size_t *concurrencies; /* closed-loop; naming some sets the scenario */
    size_t concurrency_count;
    bool find_rate;    /* search the highest rate whose p99 stays within p99_ms; sets the scenario to server */
    double p99_ms;
    double percentile; /* 50 to 99.9: take as many trials as its interval needs; 0: as `trials` says */
    size_t trials;     /* queries of each combination; 0: 20; server and closed-loop 1000; once through the data */
    uint64_t seed;     /* of the order, the texts and the arrivals */
    const char *protocol;     /* of servers: "study", "oip", "berth"; NULL or "auto": what they answer to */
    size_t timeout_ms;        /* of a request; 0: 30,000 */
    size_t connections;       /* to a server, at most; 0: 1024 */
    const char *data, *task;  /* labelled texts instead of synthetic ones, in a layout of berth_reader_open_task */
    struct berth_columns columns; /* of csv and jsonl */
    const char *output;       /* results file, appended to; NULL: none is kept */
    const char *name;         /* of the run in it; NULL: one is made */
    const char *suite;        /* "study", or NULL */
    const char *command;      /* how the run was started, for the record */
    bool fresh;               /* a new run, even where an unfinished one of this experiment could go on */
    struct berth_options options;
    berth_progress_fn *progress; /* total 0: so many combinations are opened and checked; then trials */
    void *progress_context;
    const struct berth_bench_spec *spec; /* the file that values are of, as berth_bench_spec_options sets it: messages about
                                          * them name it; NULL: none */
};

/* Fills what is not set of an options struct with the experiment of the 2021 case study: four models x {plain,
 * optimized, quantized} x batches {2, 8, 32} x lengths {12, 32, ... 112}, beside berth's own precisions. */
BERTH_API void berth_bench_suite_study(struct berth_bench_options *options);

/* One combination. Percentiles are order statistics (nearest rank); NaN where n is too small for it. */
struct berth_bench_cell {
    const char *model;
    const char *target, *runtime, *precision, *scenario,
        *status; /* "local", "native", "fp32", "single-stream", "ok" or why not */
    size_t threads, batch, length; /* length 0: as the data has them */
    size_t n; /* trials that counted */
    double mean_ms, min_ms, p50_ms, p90_ms, p95_ms, p99_ms, stddev_ms;
    double p50_ci_ms[2], p90_ci_ms[2],
        p99_ci_ms[2];                           /* 95 % order-statistic intervals; NaN when n is too small */
    double texts_per_second, tokens_per_second; /* one stream: at the median; else over the whole run */
    const char *optimization, *outcome;         /* "plain" or ""; "ok", "failed", "refused" or "pending" */
    size_t concurrency;                         /* closed-loop; else 0 */
    double rate;                                /* server: asked for; else 0 */
    size_t failed, late;                        /* trials that failed; that were sent over 1 ms late */
    double p95_ci_ms[2];
    double service_mean_ms, service_p50_ms, service_p90_ms, service_p95_ms, service_p99_ms; /* from the actual start */
    double achieved_rate;        /* queries a second, answered */
    double cpu_ms, joules;       /* of this process a query; of the machine a query (NaN: not told) */
    double difference, allowed;  /* root mean square of the logits' difference from fp32's over the logits' spread */
    size_t correct, labelled;    /* accuracy */
    double accuracy_ci[2];       /* Wilson's, 95 %; NaN: none */
    double tokenize_ms, queue_ms, inference_ms; /* mean, as the server (in process: the session) says; NaN */
    size_t memory_bytes;         /* 0: unknown */
    bool within;                 /* find_rate: at 95 % confidence, at most 1 % take longer than p99_ms or fail */
};

struct berth_bench_report {
    size_t cells;
    struct berth_bench_cell *cell; /* [cells], owned by the report */
    void *owned;
};
/* Measures. BERTH_CANCELLED when `progress` said so: what was measured is in the results file, and the same call
 * goes on from there. Combinations that cannot be measured are cells with a status. */
BERTH_API enum berth_status berth_bench(const struct berth_bench_options *options,
                                        struct berth_bench_report *report, struct berth_error *err);
BERTH_API char *berth_bench_json(
    const struct berth_bench_report *report); /* {"environment", "results"}; for berth_memory_free */
BERTH_API void berth_bench_report_clear(struct berth_bench_report *report);

/* The run's id in the results file as text, and remarks of the run (noise, gone on), for people; borrowed. */
BERTH_API const char *berth_bench_run(const struct berth_bench_report *report);
BERTH_API const char *berth_bench_remarks(const struct berth_bench_report *report);

/* The trials that berth_bench would do, a line a combination, and how long that would take, estimated from a few
 * calls; as text for berth_memory_free. Nothing is recorded. */
BERTH_API enum berth_status berth_bench_plan(const struct berth_bench_options *options, char **plan,
                                             struct berth_error *err);

/* An experiment read from a YAML file, whose keys are the long options of `berth bench`. Messages name the file,
 * the line and the key. What options point to is the spec's. */
BERTH_API enum berth_status berth_bench_spec_open(const char *path, struct berth_bench_spec **spec,
                                                  struct berth_error *err);
BERTH_API const struct berth_bench_options *berth_bench_spec_options(const struct berth_bench_spec *spec);
BERTH_API void berth_bench_spec_free(struct berth_bench_spec *spec);

#ifdef __cplusplus
}
#endif
#endif
