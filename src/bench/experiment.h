/* experiment.h: what is to be measured: the lists of an experiment checked, named and multiplied out. */
#ifndef BERTH_BENCH_EXPERIMENT_H
#define BERTH_BENCH_EXPERIMENT_H

#include "base/buffer.h"
#include "bench/endpoint.h"
#include "berth/berth.h"

enum berth_protocol {
    BERTH_PROTOCOL_AUTO,
    BERTH_PROTOCOL_STUDY, /* /set_model, /inference */
    BERTH_PROTOCOL_OIP,   /* Open Inference Protocol */
    BERTH_PROTOCOL_BERTH  /* /predict, as text-embeddings-inference has it */
};

struct berth_bench_model {
    char *name;   /* of results and servers */
    char *source; /* as berth_model_open takes it; NULL: the server alone has it */
};

struct berth_bench_target {
    char *name;
    bool local;
    struct berth_endpoint endpoint;
    enum berth_protocol protocol;
    enum berth_precision precision; /* what the server was said to run; DEFAULT: not said */
    char runtime[16];               /* "" : not said */
    size_t threads;
};

/* One way of running a model in this process. */
struct berth_engine_choice {
    enum berth_runtime runtime;
    enum berth_optimization optimization;
    enum berth_precision precision;
    const char *label; /* "plain", "runtime", "optimized", "quantized", or "" */
};

/* One combination. Indices into the experiment's lists; the rest values. */
struct berth_cell {
    size_t model, target, engine; /* engine: of a server, which of `precisions` it is asked for */
    size_t threads, batch, length, concurrency;
    double rate;
};

struct berth_experiment {
    struct berth_bench_options o; /* defaults filled in */
    size_t models, targets, engines, cells;
    struct berth_bench_model *model;
    struct berth_bench_target *target;
    struct berth_engine_choice *engine;
    struct berth_cell *cell;
    size_t rounds; /* visits of each cell that takes its trials one by one */
    const char *key; /* of the option that init failed about; NULL: of none */
};

/* Checks everything that can be checked without opening anything but the addresses of targets. The options' lists
 * must live as long as the experiment. Clear it also after a failure. */
enum berth_status berth_experiment_init(struct berth_experiment *experiment,
                                        const struct berth_bench_options *options, struct berth_error *err);
void berth_experiment_clear(struct berth_experiment *experiment);

/* Puts "FILE:LINE: KEY: " before a message about the option of this name, when its value in `options` is the file's. */
void berth_bench_spec_locate(const struct berth_bench_spec *spec, const char *key,
                             const struct berth_bench_options *options, struct berth_error *err);

/* Multiplies the lists out, once the protocols of servers and the number of trials are known. */
enum berth_status berth_experiment_expand(struct berth_experiment *experiment, struct berth_error *err);

/* What makes two experiments the same, as text: an unfinished run goes on only for the same one. */
bool berth_experiment_text(const struct berth_experiment *experiment, struct berth_buffer *text);

/* Whether the scenario's trials are measured one by one (in rounds), and not all in one run. */
bool berth_experiment_single(const struct berth_experiment *experiment);

/* Trials that an interval of the q-quantile needs (95 %), by the binomial distribution: 36 for 0.9, 368 for 0.99. */
size_t berth_experiment_needed(double q);

/* Whether it is one of the words of `optimizations`. */
bool berth_optimization_word(const char *word);

/* "study", ...; false for another word. */
bool berth_protocol_parse(const char *word, enum berth_protocol *protocol);

#endif
