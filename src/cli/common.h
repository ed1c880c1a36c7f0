/* common.h: what the verbs share: opening models with a log on stderr, output to stdout or a file, JSON text,
 * errors. */
#ifndef BERTH_CLI_COMMON_H
#define BERTH_CLI_COMMON_H

#include <stdbool.h>
#include <stdio.h>

#include "base/file.h"
#include "berth/berth.h"
#include "cli/flags.h"

/* Options that most verbs have; the macros below are their rows. */
struct cli_common {
    const char *model;
    struct berth_options options;
    bool quiet;
};

#define CLI_MODEL_FLAG(c)                                                                              \
    {                                                                                                  \
        "model", 'm', "MODEL", cli_read_string, &(c).model,                                            \
            "model directory, .onnx file, org/name (pulled), bundled:sst2, or random:PRESET"             \
    }
#define CLI_ENGINE_FLAGS(c)                                                                                   \
    {"precision", 0, "P", cli_read_precision, &(c).options.precision, "fp32 (default), bf16, int8 or auto; cuda has fp16 and fp8, too"},  \
        {"runtime", 0, "R", cli_read_runtime, &(c).options.runtime, "native (default), cuda or onnxruntime"}, \
        {"ort-library", 0, "FILE", cli_read_string, &(c).options.ort_library, "ONNX Runtime's library"},      \
        {"ort-optimization",                                                                                  \
         0,                                                                                                   \
         "HOW",                                                                                               \
         cli_read_optimization,                                                                               \
         &(c).options.optimization,                                                                           \
         "its graph: none (an operation a node), runtime (what it does at load) or fused (default)"},         \
        {"threads",                                                                                           \
         't',                                                                                                 \
         "N",                                                                                                 \
         cli_read_positive,                                                                                   \
         &(c).options.threads,                                                                                \
         "threads (default: what affinity and the container allow)"},                                         \
    {                                                                                                         \
        "isa", 0, "LEVEL", cli_read_isa, &(c).options.isa, "never above scalar, avx2, avx512, vnni or amx"    \
    }
#define CLI_LENGTH_FLAG(c)                                                \
    {                                                                     \
        "max-length", 0, "N", cli_read_positive, &(c).options.max_length, \
            "tokens of a text at most (default: the model's own limit)"   \
    }
#define CLI_VOCAB_FLAG(c)                                               \
    {                                                                   \
        "vocab", 0, "FILE", cli_read_string, &(c).options.vocab,        \
            "vocab.txt or tokenizer.json to use instead of the model's" \
    }
#define CLI_TOKENIZER_FLAGS(c)                                                                            \
    CLI_LENGTH_FLAG(c),                                                                                   \
        {"tokenizer-option", 0,                                                                           \
         "K=BOOL",           cli_read_tokenizer_option,                                                   \
         &(c).options,       "do_lower_case, strip_accents, tokenize_chinese_chars, add_special_tokens"}, \
        CLI_VOCAB_FLAG(c)
#define CLI_INPUT_FLAGS(path, layout, columns)                                                         \
    {"input", 'i', "FILE", cli_read_string, &(path), "texts (default: standard input)"},               \
        {"input-format",  0,         "F",                                                              \
         cli_read_layout, &(layout), "text (default: a line a text), jsonl, tsv or csv"},              \
        {"text-column", 0, "NAME", cli_read_string, &(columns).text, "column or key of the text"},     \
    {                                                                                                  \
        "pair-column", 0, "NAME", cli_read_string, &(columns).pair, "column or key of the second text" \
    }
#define CLI_COLUMN_FLAGS(columns)                                                                              \
    {"text-column", 0, "NAME", cli_read_string, &(columns).text, "csv, jsonl: column or key of the text"},       \
        {"pair-column", 0, "NAME", cli_read_string, &(columns).pair, "csv, jsonl: column or key of the second text"}, \
    {                                                                                                          \
        "label-column", 0, "NAME", cli_read_string, &(columns).label, "csv, jsonl: column or key of the label"   \
    }
#define CLI_OUTPUT_FLAG(path)                                                                     \
    {                                                                                             \
        "output", 'o', "FILE", cli_read_string, &(path), "write there instead of standard output" \
    }
#define CLI_QUIET_FLAG(c)                                                        \
    {                                                                            \
        "quiet", 'q', NULL, NULL, &(c).quiet, "say nothing on stderr but errors" \
    }

/* Remarks of the library go to stderr unless quiet. */
void cli_log_to_stderr(struct cli_common *common);

/* The sentence on stderr; returns CLI_FAILED. */
int cli_fail(const char *verb, const struct berth_error *err);

/* Results: stdout, or PATH written atomically. */
struct cli_output {
    FILE *stream;
    struct berth_atomic_file file;
    bool to_file;
};

/* path NULL or "-": stdout. A signal that ends the program removes the file that is not complete yet; one
 * output at a time. */
enum berth_status cli_output_open(struct cli_output *output, const char *path, struct berth_error *err);

/* Flushes and, when all went well (`status` OK), commits; a write that failed is an error. Returns the exit
 * status. */
int cli_output_close(struct cli_output *output, const char *verb, enum berth_status status,
                     struct berth_error *err);

/* Errors of a stream say where: "SOURCE:LINE: " before the sentence. Returns the error's status. */
enum berth_status cli_place_error(struct berth_error *err, const char *source, size_t line);

/* What -i FILE is called in messages. */
const char *cli_source_name(const char *input);

/* Writes a JSON string with quotes; ill-formed UTF-8 becomes U+FFFD. */
void cli_json_string(FILE *stream, const char *text, size_t size);

#endif
