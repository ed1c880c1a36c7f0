/* hf_config.h: config.json as one typed description. Every field that changes the mathematics is read or
 * refused by name; fields that do not (use_cache, transformers_version, ...) are known and skipped; names
 * that are neither are kept for the user to see. Absent fields have Hugging Face's defaults
 * (transformers 4.30, configuration_<family>.py), which also decides what is ignored: sequence classification
 * reads no summary_* field, DistilBERT no layer_norm_eps. */
#ifndef BERTH_FORMATS_HF_CONFIG_H
#define BERTH_FORMATS_HF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "berth/status.h"

enum berth_family { BERTH_FAMILY_BERT, BERTH_FAMILY_DISTILBERT, BERTH_FAMILY_ELECTRA };
enum berth_activation {
    BERTH_ACT_GELU_ERF,
    BERTH_ACT_GELU_TANH,
    BERTH_ACT_RELU,
    BERTH_ACT_SILU,
    BERTH_ACT_TANH,
    BERTH_ACT_NONE
};
enum berth_problem { BERTH_PROBLEM_SINGLE_LABEL, BERTH_PROBLEM_MULTI_LABEL, BERTH_PROBLEM_REGRESSION };

/* Numbers that a checkpoint of `berth quantize` stores a product's weights in. PLAIN: the checkpoint is not
 * quantised, its weights are what they are. */
enum berth_stored { BERTH_STORED_PLAIN, BERTH_STORED_INT8, BERTH_STORED_BF16, BERTH_STORED_FP32 };

/* A module kept finer than the rest. */
struct berth_kept_module {
    char *module; /* owned: "bert.encoder.layer.3.output.dense" */
    enum berth_stored stored;
};

/* quantization_config of berth's own method. */
struct berth_storage {
    enum berth_stored stored;       /* of all products and the word embedding; PLAIN: not quantised */
    struct berth_kept_module *kept; /* [kept_count], owned */
    size_t kept_count;
};

enum { BERTH_LABELS_MAX = 65536, BERTH_UNRECOGNISED_MAX = 32 };

struct berth_config {
    enum berth_family family;
    char architecture[64];    /* architectures[0], or the family's bare model when the file does not say */
    size_t vocab_size;        /* V */
    size_t hidden_size;       /* C */
    size_t embedding_size;    /* E; equals C but for ELECTRA with a projection */
    size_t layers;            /* L */
    size_t heads;             /* H, divides C */
    size_t intermediate_size; /* F */
    size_t max_positions;     /* P */
    size_t told_positions;    /* what config.json said, where an ONNX graph holds fewer; else 0 */
    size_t type_vocab_size;   /* 0 for DistilBERT */
    size_t pad_token_id;
    enum berth_activation activation;         /* of the feed-forward layer */
    enum berth_activation summary_activation; /* of the head's dense layer, fixed by the family: BERT tanh,
                                                 DistilBERT relu, ELECTRA exact gelu whatever hidden_act */
    double layer_norm_eps;
    double hidden_dropout, attention_dropout, classifier_dropout; /* for training; resolved defaults */
    double initializer_range;
    enum berth_problem problem;
    size_t labels;        /* >= 1 */
    char **label_names;   /* [labels], owned; LABEL_0 ... when the file has no id2label */
    bool has_label_names; /* the file named them */
    struct berth_storage storage;
    char **unrecognised;  /* [unrecognised_count], owned; fields that berth does not know, at most
                             BERTH_UNRECOGNISED_MAX: for a warning and for `berth info` */
    size_t unrecognised_count;
};

/* Reads DIR/config.json (bounded: 16 MiB, nesting 64). On failure *config is empty. BERTH_NOT_FOUND: there is
 * none. BERTH_UNSUPPORTED: another family, or a field that asks for mathematics berth lacks. The architecture
 * may be one that has no classifier: what to do about heads is the model's to decide. */
enum berth_status berth_config_read(const char *directory, struct berth_config *config,
                                    struct berth_error *err);

/* The same from memory; `name` stands in messages. For presets, fuzzing and ONNX metadata. */
enum berth_status berth_config_parse(const char *name, const char *json, size_t size,
                                     struct berth_config *config, struct berth_error *err);

void berth_config_clear(struct berth_config *config); /* {0} is fine */
void berth_storage_clear(struct berth_storage *quantization); /* {0} is fine */

const char *berth_family_name(enum berth_family family);             /* "bert" */
const char *berth_activation_name(enum berth_activation activation); /* a word of config.json: "gelu" */
const char *berth_problem_name(enum berth_problem problem);          /* "single_label_classification" */
const char *berth_stored_name(enum berth_stored stored);             /* "int8", "bf16", "fp32"; PLAIN: "" */

#endif
