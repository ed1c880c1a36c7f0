/* berth.h: the whole of berth as a C library. This file is the manual; what is not here is not API.
 *
 *     #include <berth/berth.h>
 *     #include <stdio.h>
 *     int main(int argc, char **argv)
 *     {
 *         struct berth_error err;
 *         struct berth_classifier *c;
 *         struct berth_text text = BERTH_TEXT("a gripping, funny film");
 *         struct berth_result result;
 *         if (berth_classifier_open(argc > 1 ? argv[1] : "random:bert-tiny", NULL, &c, &err) ||
 *             berth_classify(c, &text, 1, &result, &err))
 *             return fprintf(stderr, "%s\n", err.message), 1;
 *         printf("%s %.4f\n", result.label, result.score);
 *         berth_classifier_free(c);
 *     }
 *
 * Contents, from simple to advanced:
 *     1  classifying texts          4  labelled data and evaluation
 *     2  models                     5  serving over HTTP
 *     3  tokens                     6  measuring: berth/bench.h
 *     7  fine-tuning                8  converting
 *     9  vocabularies              10  vectors: berth/embed.h
 *     11 models from a hub: berth/hub.h      12 reports: berth/report.h
 *     13 quantising: berth/quantize.h
 *
 * Rules that hold everywhere
 *   Errors     functions that can fail return enum berth_status and fill *err (may be NULL) with one
 *              sentence; see berth/status.h. On failure, output pointers are NULL.
 *   Ownership  "borrowed" means: owned by the object it came from, valid as long as that says. Every _free
 *              and _clear accepts NULL or a zeroed struct. Option structs are read during the call only; NULL
 *              means all defaults, and a zeroed member is the default of that member.
 *   Threads    a model is immutable: any number of threads may use it. Every other object is used by one
 *              thread at a time. There is no global state.
 *   Output     the library prints nothing and never exits. Remarks go to the log callback of the options.
 *   Sameness   the same text gives the same bits, whatever else is in the batch and whatever the number of
 *              threads. */
#ifndef BERTH_BERTH_H
#define BERTH_BERTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "berth/embed.h"
#include "berth/page.h"
#include "berth/report.h"
#include "berth/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Version of the library, "0.1.0"; static storage. */
BERTH_API const char *berth_version(void);

/* Frees a string or array that the library returned for the caller to free. NULL is fine. */
BERTH_API void berth_memory_free(void *memory);

/* ----------------------------------------------------------------------------------------------------
 * 1  Classifying texts
 * ------------------------------------------------------------------------------------------------- */

/* One input: a text, or a pair. Bytes are UTF-8 (ill-formed ones read as U+FFFD) and may hold NULs. */
struct berth_text {
    const char *text;
    size_t size;      /* bytes */
    const char *pair; /* NULL: no second text */
    size_t pair_size; /* bytes */
};
#define BERTH_TEXT(literal)                     \
    {                                           \
        (literal), sizeof(literal) - 1, NULL, 0 \
    }

/* What a model says of one text. Pointers are borrowed: labels from the model, arrays from the classifier or
 * session until its next call. */
struct berth_result {
    const char *label;   /* name of the best label; NULL for regression */
    size_t label_id;     /* its index; 0 for regression */
    float score;         /* probability of the best label; for regression, the value (the first of several) */
    const float *scores; /* [labels] softmax, or sigmoid when multi-label; for regression, the values */
    const float *logits; /* [labels] */
    size_t labels;
    size_t tokens;  /* computed, special ones included */
    bool truncated; /* the text was longer than the model's limit */
};

enum berth_precision {
    BERTH_PRECISION_DEFAULT,
    BERTH_PRECISION_FP32,
    BERTH_PRECISION_BF16,
    BERTH_PRECISION_INT8,
    BERTH_PRECISION_AUTO,
    BERTH_PRECISION_FP16, /* runtime cuda alone, as is FP8 */
    BERTH_PRECISION_FP8
};
enum berth_runtime {
    BERTH_RUNTIME_DEFAULT,
    BERTH_RUNTIME_NATIVE,
    BERTH_RUNTIME_CUDA,
    BERTH_RUNTIME_ONNXRUNTIME
};
/* What is done to a model's graph before ONNX Runtime runs it. */
enum berth_optimization {
    BERTH_OPTIMIZATION_DEFAULT,
    BERTH_OPTIMIZATION_NONE,    /* "none": an operation a node, run as it is written */
    BERTH_OPTIMIZATION_RUNTIME, /* "runtime": the same graph, with all that ONNX Runtime does when it loads it */
    BERTH_OPTIMIZATION_FUSED    /* "fused" (default): fused operators in the graph, and all that it does */
};
enum berth_severity { BERTH_SEVERITY_INFO, BERTH_SEVERITY_WARNING, BERTH_SEVERITY_ERROR };

/* Words of the command line ("fp32", "native"); false for an unknown word. */
BERTH_API bool berth_precision_parse(const char *word, enum berth_precision *precision);
BERTH_API bool berth_runtime_parse(const char *word, enum berth_runtime *runtime);
BERTH_API const char *berth_precision_name(enum berth_precision precision);
BERTH_API const char *berth_runtime_name(enum berth_runtime runtime);
BERTH_API bool berth_optimization_parse(const char *word, enum berth_optimization *optimization);
BERTH_API const char *berth_optimization_name(enum berth_optimization optimization);

/* Three-valued overrides of a tokenizer's own files: 0 leaves it to them. */
enum berth_override { BERTH_FROM_FILES, BERTH_FORCE_OFF, BERTH_FORCE_ON };

struct berth_options {
    enum berth_precision precision; /* default: fp32, or the checkpoint's own when it is quantised */
    enum berth_runtime runtime;     /* default: native */
    size_t threads;                 /* of a session; 0: what affinity and the container's quota allow */
    size_t max_length;              /* tokens of a text, special ones included; 0: the model's own limit */
    size_t max_batch_tokens;        /* computed together at most; 0: a good default; raised to max_length */
    const char *isa;                /* never above "scalar", "avx2", "avx512", "vnni", "amx"; NULL: best */
    const char *vocab;              /* vocabulary file for random: models, or instead of a directory's own */
    enum berth_override do_lower_case, strip_accents, tokenize_chinese_chars, add_special_tokens;
    const char *ort_library; /* for that runtime; NULL: BERTH_ORT_LIBRARY, or the usual places */
    enum berth_optimization optimization; /* for that runtime alone; a .onnx file is never "fused" anew */
    size_t device;           /* of runtime cuda: 0, 1, ... of those that CUDA_VISIBLE_DEVICES leaves */
    bool tokenizer_only;     /* open no weights: the model only tokenises */
    bool bare_encoder;       /* of a session: the model may lack a classifier; it then embeds only */
    /* Called with one line (no newline), from any thread; NULL: dropped. */
    void (*log)(void *log_context, enum berth_severity severity, const char *line);
    void *log_context;
};

/* A model and one session in one object, for programs that need no more. */
struct berth_classifier;

/* Opens MODEL: a directory in Hugging Face's layout, a .onnx file, "bundled:sst2", "org/name" in the cache of models
 * (berth/hub.h), or "random:PRESET". Loads, checks, packs:
 * then ready. */
BERTH_API enum berth_status berth_classifier_open(const char *model, const struct berth_options *options,
                                                  struct berth_classifier **classifier,
                                                  struct berth_error *err);
BERTH_API void berth_classifier_free(struct berth_classifier *classifier);

/* Classifies `count` texts; results[i] belongs to texts[i]. Forms batches inside: any count is fine. */
BERTH_API enum berth_status berth_classify(struct berth_classifier *classifier,
                                           const struct berth_text *texts, size_t count,
                                           struct berth_result *results, struct berth_error *err);

/* ----------------------------------------------------------------------------------------------------
 * 2  Models: loaded once, shared by any number of sessions
 * ------------------------------------------------------------------------------------------------- */

struct berth_model;
struct berth_session;

BERTH_API enum berth_status berth_model_open(const char *model, const struct berth_options *options,
                                             struct berth_model **out, struct berth_error *err);

/* All sessions of the model are freed before it. */
BERTH_API void berth_model_free(struct berth_model *model);

/* Facts of a model; strings borrowed from it. */
struct berth_model_info {
    const char *name;         /* as it was opened */
    const char *architecture; /* "BertForSequenceClassification" */
    const char *family;       /* "bert", "distilbert", "electra" */
    const char *activation;   /* "gelu" */
    const char *problem;      /* "single_label_classification", ... */
    size_t parameters, layers, hidden_size, embedding_size, heads, intermediate_size;
    size_t vocab_size;     /* rows of the embedding */
    size_t type_vocab_size; /* types of tokens; 0: the model reads none */
    size_t tokenizer_size; /* entries of the vocabulary */
    size_t max_positions;  /* longest text the weights allow, in tokens */
    size_t max_length;     /* the limit in force */
    bool has_head;         /* false: an encoder without a classifier, which cannot predict yet */
    size_t labels;
    const char *const *label_names; /* [labels] */
    const char *precision;          /* in force: "fp32" */
    const char *precision_reason;   /* why, and what of the model is in it */
    const char *runtime;            /* "native", "onnxruntime" */
    const char *optimization;       /* of ONNX Runtime's graph: "none", "runtime", "fused"; native: "" */
    const char *isa;                /* chosen: "avx512" */
    const char *isa_reason;         /* why not a higher one */
    const char *cpu;                /* the processor's own name */
    const char *device;             /* the GPU of runtime cuda; NULL otherwise */
    size_t threads;                 /* default of a session */
    const char *threads_reason;
    size_t weight_bytes;        /* packed weights and embeddings */
    const char *const *remarks; /* fallbacks taken and fields not understood; NULL-terminated */
    bool lower_case, strip_accents, chinese_chars; /* how the tokenizer reads */
    bool special_tokens; /* it puts [CLS] and [SEP] around texts */
};
BERTH_API const struct berth_model_info *berth_model_get_info(const struct berth_model *model);

/* SHA-256 of the model's file of weights in hex, of shards one after the other in the order of their names; "" for random
 * weights, which have none. Reads the file. */
BERTH_API enum berth_status berth_model_hash(const struct berth_model *model, char hash[65], struct berth_error *err);

/* The facts, or with `plan` also every step with its kernel, shape, bytes and operations (for a text of
 * `length` tokens, 0: 128), as readable text or as one JSON object. Returned for berth_memory_free; NULL when
 * memory ran out. */
BERTH_API char *berth_model_describe(const struct berth_model *model, bool plan, size_t length, bool json);

/* options: threads and max_batch_tokens are read, the rest was the model's. The model is borrowed. */
BERTH_API enum berth_status berth_session_new(const struct berth_model *model,
                                              const struct berth_options *options,
                                              struct berth_session **session, struct berth_error *err);
BERTH_API void berth_session_free(struct berth_session *session);
BERTH_API const struct berth_model *berth_session_model(const struct berth_session *session);

BERTH_API enum berth_status berth_session_classify(struct berth_session *session,
                                                   const struct berth_text *texts, size_t count,
                                                   struct berth_result *results, struct berth_error *err);

/* Time spent by the session's last call in each stage. */
struct berth_timing {
    uint64_t tokenize_ns, compute_ns, total_ns;
    size_t texts, tokens; /* computed */
    size_t longest;       /* tokens of the longest text */
    size_t batches;       /* engine runs */
};
BERTH_API struct berth_timing berth_session_timing(const struct berth_session *session);

/* ----------------------------------------------------------------------------------------------------
 * 3  Tokens
 * ------------------------------------------------------------------------------------------------- */

/* Zero-initialise; reuse it for many texts; clear at the end. */
struct berth_tokens {
    size_t size;
    const int32_t *ids;      /* [size] borrowed from this struct, until its next use */
    const uint8_t *type_ids; /* [size] */
    bool truncated;
    void *owned;
};

/* max_length 0: the model's limit in force. */
BERTH_API enum berth_status berth_tokenize(const struct berth_model *model, const struct berth_text *text,
                                           size_t max_length, struct berth_tokens *tokens,
                                           struct berth_error *err);
BERTH_API void berth_tokens_clear(struct berth_tokens *tokens);

/* Text of one id, borrowed from the model; NULL outside the vocabulary. Id of [PAD] (-1: none). */
BERTH_API const char *berth_token_text(const struct berth_model *model, int32_t id);
BERTH_API int32_t berth_token_pad(const struct berth_model *model);

/* Ids back to text; *text for berth_memory_free. */
BERTH_API enum berth_status berth_detokenize(const struct berth_model *model, const int32_t *ids,
                                             size_t count, bool skip_special, bool clean_up, char **text,
                                             struct berth_error *err);

/* Classifies ready token ids: text i is ids [offsets[i], offsets[i+1]), 1 to the limit in force of
 * them; type_ids NULL means all 0. */
BERTH_API enum berth_status berth_session_classify_ids(struct berth_session *session, const int32_t *ids,
                                                       const uint8_t *type_ids, const size_t *offsets,
                                                       size_t count, struct berth_result *results,
                                                       struct berth_error *err);

/* ----------------------------------------------------------------------------------------------------
 * 4  Labelled data and evaluation
 * ------------------------------------------------------------------------------------------------- */

/* How a file of texts is laid out. LINES: a text a line. TSV and CSV have a header line with column names. */
enum berth_layout { BERTH_LAYOUT_LINES, BERTH_LAYOUT_JSONL, BERTH_LAYOUT_TSV, BERTH_LAYOUT_CSV };

/* Names of columns (tsv, csv) or keys (jsonl). */
struct berth_columns {
    const char *text;  /* NULL: "text" (jsonl), "sentence" or "text" (tsv, csv) */
    const char *pair;  /* NULL: none, except "pair" in jsonl, where a line may lack it */
    const char *label; /* NULL: labels are not read */
};

/* One example; strings borrowed from the reader until the next call. */
struct berth_record {
    struct berth_text text;
    const char
        *label;  /* as written in the file, in jsonl unless a string as JSON; NULL when labels are not read */
    size_t line; /* 1-based, for messages: the record's first */
};

struct berth_reader;

/* path NULL or "-": standard input. Streams: a file larger than memory is fine; a single line (in csv, a
 * record) is bounded at 256 MiB. Line ends are "\n" or "\r\n", the last may be missing; a byte order mark is
 * dropped. TSV is GLUE's, where quotes are characters like others; CSV is RFC 4180's. Empty lines are empty
 * texts in LINES, and skipped elsewhere (but for files of one column). */
BERTH_API enum berth_status berth_reader_open(const char *path, enum berth_layout layout,
                                              const struct berth_columns *columns,
                                              struct berth_reader **reader, struct berth_error *err);

/* Opens a file in the layout of a task: one of GLUE's, whose columns are known, or csv or jsonl with
 * `columns` (may be NULL; read for these two alone). `labels` false leaves labels out, as GLUE's test files
 * do; else csv and jsonl have "label" unless columns say otherwise. */
BERTH_API enum berth_status berth_reader_open_task(const char *path, const char *task,
                                                   const struct berth_columns *columns, bool labels,
                                                   struct berth_reader **reader, struct berth_error *err);

/* *end is set instead of a record after the last one. After a malformed record (BERTH_FORMAT) the next call
 * goes on behind it. */
BERTH_API enum berth_status berth_reader_next(struct berth_reader *reader, struct berth_record *record,
                                              bool *end, struct berth_error *err);

/* Whether the next record (or the end) is there without waiting for the other end of a pipe: a program that
 * collects records answers what it has when not. The last record still holds after it. */
BERTH_API bool berth_reader_ready(struct berth_reader *reader);
BERTH_API void berth_reader_close(struct berth_reader *reader);

/* Called now and then with the work done so far (total 0: unknown). Return false to stop: the call then fails
 * with BERTH_CANCELLED. */
typedef bool berth_progress_fn(void *context, size_t done, size_t total);

struct berth_evaluation_options {
    const char *task;             /* cola sst2 mrpc stsb qqp mnli qnli rte wnli csv jsonl */
    const char *data;             /* file */
    struct berth_columns columns; /* for csv and jsonl; label NULL: "label" */
    berth_progress_fn *progress;  /* may be NULL */
    void *progress_context;
};

/* Metrics under Hugging Face's names, in print order: those that the task has. Undefined ones (correlation of
 * a constant) are NaN here and null in JSON; matthews_correlation of a constant is 0, as scikit-learn has it.
 * Predictions of GLUE's tasks are counted in GLUE's order of labels: where the model's label names are the
 * task's (case ignored), they are matched by name. */
enum { BERTH_METRICS_MAX = 16 };
struct berth_evaluation {
    char task[16];
    size_t examples;
    size_t tokens;
    double loss; /* mean over examples */
    double seconds;
    size_t metrics;
    struct {
        char name[32]; /* "accuracy", "f1", "matthews_correlation", "pearson", "spearmanr", ... */
        double value;
    } metric[BERTH_METRICS_MAX];
};
BERTH_API enum berth_status berth_evaluate(struct berth_session *session,
                                           const struct berth_evaluation_options *options,
                                           struct berth_evaluation *evaluation, struct berth_error *err);

/* One JSON object as `berth eval --json` prints it; for berth_memory_free. */
BERTH_API char *berth_evaluation_json(const struct berth_evaluation *evaluation);

/* ----------------------------------------------------------------------------------------------------
 * 5  Serving over HTTP
 * ------------------------------------------------------------------------------------------------- */

struct berth_served_model {
    const char *name;    /* in URLs */
    const char *model;   /* as berth_model_open takes it */
    const char *version; /* NULL: "1"; a name may be given in several */
    struct berth_options options;
    size_t instances;            /* that compute side by side, each with options.threads of its own; 0: 1 */
    unsigned max_batch_delay_us; /* how long a batch behind a batch waits to be filled */
    size_t max_batch_texts;      /* computed together at most; 0: 1,024; 1: each text alone */
};

struct berth_server_options {
    const struct berth_served_model *models;
    size_t model_count;
    const char *host;               /* NULL: 127.0.0.1 */
    unsigned port;                  /* 0: a free one */
    size_t max_body_bytes;          /* 0: 8 MiB */
    size_t max_concurrent_requests; /* 0: 512 */
    unsigned request_timeout_ms;    /* 0: 30,000; also bounds slow headers and bodies */
    unsigned max_queue_ms;          /* a request that would wait longer is refused at once; 0: request_timeout_ms */
    unsigned drain_timeout_ms;      /* for what is under way at a stop; 0: request_timeout_ms */
    size_t max_connections;         /* 0: 16,384; bounded by the process's files */
    size_t max_texts, max_tokens;   /* of a request; 0: 16,384 and 1,048,576 */
    const char *const *api_keys;    /* one of them must come as "Authorization: Bearer KEY" */
    size_t api_key_count;           /* 0: none is asked for */
    const char *const *cors_origins; /* that browsers may ask from; "*": any */
    size_t cors_origin_count;
    const char *tls_cert, *tls_key; /* PEM files, both or neither: HTTPS */
    const char *unix_socket;        /* path, listened on as well */
    const char *access_log;         /* file, a JSON line a request; "-": standard output; NULL: none */
    bool check_only;                /* opens and checks everything but listens on nothing: *server is NULL */
    struct berth_options defaults;  /* threads and log of the server itself */
    struct berth_page_options page; /* shown at "/" */
};

struct berth_server;

/* Loads the models and listens; returns when ready to answer. */
BERTH_API enum berth_status berth_server_start(const struct berth_server_options *options,
                                               struct berth_server **server, struct berth_error *err);
BERTH_API unsigned berth_server_port(const struct berth_server *server);

/* Loads every model again from its files and opens the access log anew, beside the requests under way; what cannot
 * be loaded stays as it was, and the log of the options says so. Returns at once. */
BERTH_API void berth_server_reload(struct berth_server *server);

/* Stops accepting, answers what is in flight (bounded by drain_timeout_ms), frees everything. */
BERTH_API void berth_server_stop(struct berth_server *server);

/* 6  Measuring: berth/bench.h, included at the end. */

/* ---------------------------------------------------------------------------------------------------------------
 * 7  Fine-tuning
 * ------------------------------------------------------------------------------------------------------------- */

/* What a run did so far; passed to the caller after every step. */
struct berth_finetune_progress {
    size_t step, steps;
    double loss;                /* mean since the last line of the log */
    double examples_per_second;
    const char *metric;         /* name of the metric that decides, NULL before the first evaluation */
    double value, best;         /* its last and its best value */
};
/* Return false to stop: the call fails with BERTH_CANCELLED, and the state that was saved last is there to
 * resume from. */
typedef bool berth_finetune_progress_fn(void *context, const struct berth_finetune_progress *progress);

/* Names and meaning are those of Hugging Face's trainer; begin with berth_finetune_defaults. */
struct berth_finetune_options {
    const char *model;            /* directory of an encoder or a classifier, "bundled:sst2" or "random:PRESET" */
    const char *task;             /* as in berth_evaluation_options */
    const char *objective;        /* "classify" (NULL) or "mlm": guessing masked words, without labels; then task NULL is a text a line */
    const char *train, *dev;      /* files; dev NULL: the last step's weights are kept, else the best */
    const char *output;           /* directory, made when it is missing */
    struct berth_columns columns; /* for csv and jsonl */
    double epochs;
    size_t max_steps;             /* 0: as many as the epochs take */
    size_t batch_size, gradient_accumulation_steps;
    double learning_rate, weight_decay, warmup_ratio;
    size_t warmup_steps;          /* 0: by warmup_ratio */
    const char *lr_scheduler;     /* linear, cosine or constant */
    double adam_beta1, adam_beta2, adam_epsilon, max_grad_norm; /* max_grad_norm 0: no clipping */
    double layer_decay;           /* each layer's rate is so much of the one above; 1: all alike */
    size_t freeze_layers;         /* lowest layers, with the embeddings, that stay as they are */
    bool freeze_embeddings;
    double label_smoothing;
    const char *class_weights;    /* "balanced" or a number for each label, "1,2.5"; NULL: all alike */
    double hidden_dropout, attention_dropout, classifier_dropout; /* negative: the configuration's */
    uint64_t seed;
    size_t seeds;                 /* runs, from `seed` on; the best is kept */
    size_t eval_steps;            /* 0: after each epoch */
    size_t save_steps;            /* state for resuming; 0: never */
    size_t logging_steps;
    size_t early_stopping_patience; /* evaluations without a better one; 0: none */
    bool no_shuffle, group_by_length, resume;
    const char *const *teachers;  /* [teacher_count] models with the same labels; of several, the mean logits count */
    size_t teacher_count;
    double distill_alpha, distill_temperature;
    double distill_hidden;        /* weight of the mean squared distance between the first tokens' last hidden states, the
                                     student's and the one teacher's, which must be as wide; 0: none */
    double word_dropout;          /* share of the tokens that read [MASK] (without one, [UNK]) in training */
    size_t activation_memory;     /* bytes of activations at most: layers compute theirs again in the backward pass
                                     to keep below it, with the same results; 0: as many as it takes */
    const char *dump_gradients;   /* file: the first batch's gradients, then stop; NULL: train */
    struct berth_options options; /* threads, isa, precision, max_length, vocab and the tokenizer's overrides */
    berth_finetune_progress_fn *progress;
    void *progress_context;
};

/* The defaults, which for a random model are those that train one from scratch. */
BERTH_API void berth_finetune_defaults(const char *model, struct berth_finetune_options *options);

enum { BERTH_SEEDS_MAX = 64 };
struct berth_finetune_report {
    size_t steps, best_step;
    double loss;                        /* of the last step; of the first batch when gradients are dumped */
    double seconds, examples_per_second;
    bool stopped_early, evaluated;
    struct berth_evaluation evaluation; /* of the weights that were kept, when there is a dev file */
    size_t activation_bytes;            /* of the arena that holds activations, and scratch */
    size_t recomputed_layers;           /* that compute their activations again to keep within activation_memory */
    size_t seeds;                       /* runs with a result below */
    double seed_value[BERTH_SEEDS_MAX]; /* of the metric that decides: the first of the evaluation's */
};

/* Trains and writes a directory in Hugging Face's layout, train_log.jsonl, eval_log.jsonl and eval_results.json. */
BERTH_API enum berth_status berth_finetune(const struct berth_finetune_options *options, struct berth_finetune_report *report,
                                           struct berth_error *err);

/* ----------------------------------------------------------------------------------------------------------
 * 8  Converting
 * -------------------------------------------------------------------------------------------------------------
 */

enum berth_target_format { BERTH_TO_ONNX, BERTH_TO_SAFETENSORS };
enum berth_weight_type { BERTH_WEIGHTS_AS_STORED, BERTH_WEIGHTS_F32, BERTH_WEIGHTS_F16, BERTH_WEIGHTS_BF16 };
enum berth_quantization { BERTH_QUANTIZATION_NONE, BERTH_QUANTIZATION_DYNAMIC, BERTH_QUANTIZATION_STATIC };
/* What static quantisation spends eight bits on: all that was seen; all but the outermost numbers; or the range
 * whose steps tell most about them (smallest Kullback-Leibler divergence). */
enum berth_calibration_method {
    BERTH_CALIBRATION_MINMAX,
    BERTH_CALIBRATION_PERCENTILE,
    BERTH_CALIBRATION_ENTROPY
};

struct berth_convert_options {
    enum berth_target_format format;
    const char *output; /* a file; for safetensors a directory */
    enum berth_weight_type weights; /* of safetensors */
    size_t opset;       /* of ONNX: 13 to 20; 0: 17 */
    bool optimize;      /* fused operators */
    bool contrib;       /* with optimize: ONNX Runtime's own operators too */
    enum berth_quantization
        quantization;        /* int8 weights, a scale a column; activations by the text, or static (QDQ) */
    const char *calibration; /* static: texts to see the activations' ranges on; .tsv, .csv, .jsonl, else a
                                text a line */
    enum berth_calibration_method calibration_method;
    double calibration_percentile; /* of PERCENTILE: numbers kept; 0: 99.99 */
    bool check; /* compare logits (in ONNX Runtime, or of the directory) with fp32's; what fails is not written */
    struct berth_options options; /* tokenizer, threads and ONNX Runtime's library, for the check */
};

/* What the check found. */
struct berth_conversion {
    bool checked;
    size_t texts;
    double difference; /* largest of the logits */
    double allowed;
    char runtime[48]; /* "ONNX Runtime 1.30.0" */
};

/* Converts MODEL. The output is written beside its name and renamed: whole or not at all. */
BERTH_API enum berth_status berth_convert(const char *model, const struct berth_convert_options *options,
                                          struct berth_conversion *conversion, struct berth_error *err);

/* ----------------------------------------------------------------------------------------------------------
 * 9  Vocabularies
 * -------------------------------------------------------------------------------------------------------------
 */

struct berth_vocab_options {
    const char *corpus;           /* file; NULL or "-": standard input */
    enum berth_layout layout;     /* of the corpus */
    struct berth_columns columns; /* text; and pair, whose texts count too */
    size_t size;                  /* tokens wanted */
    size_t limit_alphabet;        /* the most frequent characters alone; 0: 1000 */
    size_t min_frequency;         /* how often a pair stands in the corpus to be merged; 0: 2 */
    enum berth_override do_lower_case, strip_accents, tokenize_chinese_chars; /* from files: BERT's own */
    berth_progress_fn *progress; /* may be NULL; total 0: done counts texts read, else tokens made */
    void *progress_context;
};

struct berth_vocab_report {
    size_t texts;
    size_t words;    /* distinct ones */
    size_t alphabet; /* characters that are tokens */
    size_t left_out; /* characters beyond limit_alphabet: words with them are unknown */
    size_t tokens;   /* fewer than wanted when the corpus gives no more */
};

/* Trains a WordPiece vocabulary: *vocab is a vocab.txt of *size bytes, freed by the caller with
 * berth_memory_free. The same texts give the same bytes, in whatever order they come. The corpus is streamed:
 * its distinct words are kept, at most 2^24 of them and 256 MiB (LIMIT beyond). */
BERTH_API enum berth_status berth_vocab_train(const struct berth_vocab_options *options, char **vocab,
                                              size_t *size, struct berth_vocab_report *report,
                                              struct berth_error *err);

#ifdef __cplusplus
}
#endif

#include "berth/bench.h"
#include "berth/hub.h"
#include "berth/quantize.h"

#endif
