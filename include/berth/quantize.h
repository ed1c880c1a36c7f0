/* quantize.h: checkpoints of int8 or bf16 weights, and what they cost in accuracy. Part of berth.h. */
#ifndef BERTH_QUANTIZE_H
#define BERTH_QUANTIZE_H

#include "berth/berth.h"

#ifdef __cplusplus
extern "C" {
#endif

struct berth_quantize_options {
    const char *output;             /* directory to write */
    enum berth_precision precision; /* int8 (the default) or bf16 */
    const char *task;               /* as in berth_evaluation_options; with `data`, or NULL */
    const char *data;               /* labelled texts to tell the cost on; NULL: the check's own texts alone */
    struct berth_columns columns;   /* of csv and jsonl */
    /* The task's main metric may fall by this many percentage points: layers are kept in bf16, and then in fp32,
     * the most sensitive first, until it does not fall further. */
    bool limit_drop;
    double max_drop;
    /* With limit_drop: texts (.tsv, .csv, .jsonl, else a text a line) that the layers' sensitivity is measured on
     * instead of those of `data`; of training data, and not the file of `data`. */
    const char *calibration;
    size_t worst;         /* texts listed; 0: 10 */
    double speed_seconds; /* of measuring each side's speed; 0: 0.5 */
    struct berth_options options; /* tokenizer, threads, isa */
    berth_progress_fn *progress;  /* of all work, in texts; may be NULL */
    void *progress_context;
};

/* One side of the comparison: before or after. */
struct berth_quantize_side {
    const char *precision;         /* "fp32", "int8" */
    double metric;                 /* the main one */
    double accuracy, interval[2];  /* Wilson's 95 %; NaN for regression */
    uint64_t stored_bytes;         /* of the tensors in the weight files */
    size_t memory_bytes;           /* of the packed weights */
    double load_ms;                /* to a model ready to run; files in cache */
    double texts_per_second;       /* the median of rounds that alternate with the other side */
};

/* What a layer adds to the price. */
struct berth_layer_sensitivity {
    char name[40];            /* "layer 3", "word embedding" */
    double noise;             /* root mean square change of the logits when this layer alone is quantised */
    const char *precision;    /* kept in: "int8" (not kept), "bf16", "fp32" */
    double drop;              /* points lost when this layer was the last that was kept; NaN: it was not kept */
};

/* A text whose answer moved most. */
struct berth_moved_text {
    size_t line;        /* in the file */
    char *text;         /* cut to some 100 bytes */
    const char *before, *after, *actual; /* labels; NULL for regression */
    double score_before, score_after;    /* of the label before, or the value */
    double change;                       /* of that score */
    double logit_change;                 /* largest */
};

struct berth_quantize_report {
    size_t check_texts;                     /* of the check, which is always made */
    double check_difference, check_allowed; /* of logits */
    bool measured;                          /* there was labelled data: the rest is filled in */
    char metric[32];                        /* name of the main one */
    size_t examples;
    double drop; /* of the main metric, in points; negative: it rose */
    struct berth_quantize_side before, after;
    size_t flips, broken, mended;        /* answers that changed; from right to wrong; from wrong to right */
    double p_value, p_mid;               /* McNemar's test, exact and mid-p; NaN for regression */
    double logit_rms, logit_largest;     /* of the change */
    size_t layers;                       /* [layers], in the network's order; 0: none was needed */
    struct berth_layer_sensitivity *layer;
    size_t kept;                         /* of them */
    size_t sensitivity_texts;            /* that it was measured on */
    size_t moved;
    struct berth_moved_text *text; /* [moved], the most moved first */
    void *owned;
};

/* Quantises MODEL into a directory that opens at its new precision by default. The directory is written beside its
 * name, opened, checked (its logits against fp32's; with data, against the model that was measured) and renamed:
 * whole or not at all. `report` may be NULL; cleared by the caller. */
BERTH_API enum berth_status berth_quantize(const char *model, const struct berth_quantize_options *options,
                                           struct berth_quantize_report *report, struct berth_error *err);

/* One JSON object; for berth_memory_free. NULL when memory ran out. */
BERTH_API char *berth_quantize_json(const struct berth_quantize_report *report);
BERTH_API void berth_quantize_report_clear(struct berth_quantize_report *report); /* {0} is fine */

#ifdef __cplusplus
}
#endif
#endif
