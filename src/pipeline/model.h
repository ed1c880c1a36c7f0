/* model.h: what an opened model holds; shared by the files of this room. */
#ifndef BERTH_PIPELINE_MODEL_H
#define BERTH_PIPELINE_MODEL_H

#include "base/cpu.h"
#include "base/log.h"
#include "cuda/gpu.h"
#include "berth/berth.h"
#include "engine/engine.h"
#include "formats/hf_config.h"
#include "pipeline/ort_model.h"
#include "plan/plan.h"
#include "text/tokenizer.h"

enum { BERTH_REMARKS_MAX = 40, BERTH_BATCH_TOKENS_DEFAULT = 1024, BERTH_GPU_BATCH_TOKENS = 16384 };

struct berth_model {
    char *name; /* as the caller gave it */
    char *path; /* what that stands for: source.h */
    struct berth_cpu cpu;
    const struct berth_kernels *kernels;
    enum berth_precision precision; /* in force */
    char precision_reason[160];
    struct berth_tokenizer *tokenizer;
    struct berth_plan *plan;       /* NULL: opened to tokenise only, or for another runtime */
    struct berth_ort_model *other; /* ONNX Runtime's, when that is the runtime */
    struct berth_gpu *gpu;         /* of runtime cuda */
    struct berth_gpu_model *gpu_model;
    enum berth_optimization optimization; /* of its graph */
    struct berth_config config;    /* of a model without a plan, when it has one */
    size_t threads;                /* of a session, unless it says otherwise */
    char threads_reason[160];
    size_t max_length; /* tokens of a text; 0: no limit (tokenising only) */
    size_t max_batch_tokens;
    char *remarks[BERTH_REMARKS_MAX + 1]; /* owned, NULL-terminated */
    bool has_head;
    size_t parameters;
    struct berth_model_info info;
};

/* Configuration of the model: the plan's, or its own. */
const struct berth_config *berth_model_config(const struct berth_model *model);

/* As berth_model_open, with an encoder (taken, also on failure) in the place of the one that `name` has;
 * vocabulary and all else are `name`'s. Native runtime only. */
enum berth_status berth_model_open_encoder(const char *name, struct berth_encoder *encoder,
                                           const struct berth_options *options, struct berth_model **model,
                                           struct berth_error *err);

/* A caller's override as the tokenizer's option. */
enum berth_choice berth_choice_of(enum berth_override override);

#endif
