/* classifier.c: the simplest way in (a model with one session), and the words of the public enums. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "berth/berth.h"

struct berth_classifier {
    struct berth_model *model;
    struct berth_session *session;
};

const char *berth_version(void)
{
    return BERTH_VERSION;
}

void berth_memory_free(void *memory)
{
    berth_free(memory);
}

enum berth_status berth_classifier_open(const char *model, const struct berth_options *options,
                                        struct berth_classifier **out, struct berth_error *err)
{
    *out = NULL;
    struct berth_classifier *classifier = berth_calloc(1, sizeof *classifier);
    if (!classifier)
        return berth_fail_memory(err, "a classifier", sizeof *classifier);
    enum berth_status status;
    BERTH_TRY(berth_model_open(model, options, &classifier->model, err));
    BERTH_TRY(berth_session_new(classifier->model, options, &classifier->session, err));
    *out = classifier;
    return BERTH_OK;
fail:
    berth_classifier_free(classifier);
    return status;
}

void berth_classifier_free(struct berth_classifier *classifier)
{
    if (!classifier)
        return;
    berth_session_free(classifier->session);
    berth_model_free(classifier->model);
    berth_free(classifier);
}

enum berth_status berth_classify(struct berth_classifier *classifier, const struct berth_text *texts,
                                 size_t count, struct berth_result *results, struct berth_error *err)
{
    return berth_session_classify(classifier->session, texts, count, results, err);
}

static const char *const precisions[] = {"default", "fp32", "bf16", "int8", "auto", "fp16", "fp8"};
static const char *const runtimes[] = {"default", "native", "cuda", "onnxruntime"};
static const char *const optimizations[] = {"default", "none", "runtime", "fused"};

/* Index of a word; 0, "default", is not one that may be given. */
static bool find_word(const char *const *words, size_t count, const char *word, size_t *index)
{
    for (*index = 1; *index < count; ++*index)
        if (strcmp(words[*index], word) == 0)
            return true;
    return false;
}

bool berth_precision_parse(const char *word, enum berth_precision *precision)
{
    size_t index;
    if (!find_word(precisions, sizeof precisions / sizeof *precisions, word, &index))
        return false;
    *precision = (enum berth_precision)index;
    return true;
}

bool berth_runtime_parse(const char *word, enum berth_runtime *runtime)
{
    size_t index;
    if (!find_word(runtimes, sizeof runtimes / sizeof *runtimes, word, &index))
        return false;
    *runtime = (enum berth_runtime)index;
    return true;
}

const char *berth_precision_name(enum berth_precision precision)
{
    return (size_t)precision < sizeof precisions / sizeof *precisions ? precisions[precision] : "unknown";
}

const char *berth_runtime_name(enum berth_runtime runtime)
{
    return (size_t)runtime < sizeof runtimes / sizeof *runtimes ? runtimes[runtime] : "unknown";
}

bool berth_optimization_parse(const char *word, enum berth_optimization *optimization)
{
    size_t index;
    if (!find_word(optimizations, sizeof optimizations / sizeof *optimizations, word, &index))
        return false;
    *optimization = (enum berth_optimization)index;
    return true;
}

const char *berth_optimization_name(enum berth_optimization optimization)
{
    return (size_t)optimization < sizeof optimizations / sizeof *optimizations ? optimizations[optimization]
                                                                               : "unknown";
}
