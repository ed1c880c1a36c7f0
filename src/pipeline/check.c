/* check.c: logits of a converted model against those of the model before at fp32, from text on. */
#include "pipeline/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "ort/ort.h"

/* What the check reads unless it is given texts: short and long, plain and ugly. */
static const char *const own_texts[] = {
    "a gorgeous , witty , seductive movie .",
    "the plot is nothing but boilerplate clichés from start to finish .",
    "It was not bad at all.",
    "no",
    "Unflinchingly bleak and desperate",
    "the film runs on equal parts of innocence and wisdom -- wisdom that comes with experience, and it has "
    "fun being grown up.",
    "Order #4471-B arrived 3 days late (again!!), the box was torn and nobody answers: support@example.org",
    "Ça m'a plu, même si la fin traîne un peu.",
    "this 2.5-hour-long epic is, at $12.99 a ticket, neither cheap nor short; still, I'd go twice.",
    "in its best moments , resembles a bad high school production of grease , without benefit of song .",
    "you won't like roger , but you will quickly recognize him, and that is a mixed blessing for everyone "
    "who has ever worked in an office, "
    "sat through a meeting that could have been a letter, or listened to a man explain to the person who "
    "wrote the book what the book was "
    "about; the film knows this, shows it patiently, and then, when it could have stopped, goes on for "
    "another half an hour in which it "
    "forgives everybody, including the audience, for having laughed.",
    "映画は とても 面白かった。",
};
static const char *const own_pairs[] = {"a witty movie", "he said the storm was over", "the plot"};

enum {
    TEXTS = sizeof own_texts / sizeof *own_texts,
    PAIRS = sizeof own_pairs / sizeof *own_pairs,
    CASES = TEXTS + PAIRS
};

/* What a conversion may cost in logits: rounding; or the noise of int8 or bf16, for each unit of the
 * largest logit and at least 1. */
static const double allowed_exact = 1e-4, allowed_quantized = 0.25, allowed_bf16 = 0.1;

struct judge {
    const struct berth_model *model; /* before, at fp32 */
    struct berth_model *opened;      /* it, when it is the judge's to free */
    struct berth_session *native;
    struct berth_ort *ort; /* what is judged: a file in ONNX Runtime, */
    struct berth_ort_session *other;
    struct berth_model *written; /* or a directory in berth */
    struct berth_session *session;
    struct berth_result result; /* of the native engine at fp32 */
    float *logits;              /* [labels] of the other */
    double largest, difference; /* over all texts so far */
};

/* `options` may be NULL: the model's own. */
static enum berth_status seat_judge(struct judge *judge, const struct berth_model *model,
                                    const struct berth_options *options, struct berth_error *err)
{
    const size_t labels = berth_model_get_info(model)->labels;
    judge->model = model;
    judge->logits = berth_calloc(labels, sizeof *judge->logits);
    if (!judge->logits)
        return berth_fail_memory(err, "logits", labels * sizeof *judge->logits);
    return berth_session_new(model, options, &judge->native, err);
}

/* The model before: at fp32, in berth's own engine. */
static enum berth_status open_judge(struct judge *judge, const char *model, const struct berth_options *options,
                                    struct berth_error *err)
{
    struct berth_options native = *options;
    enum berth_status status;
    native.runtime = BERTH_RUNTIME_NATIVE;
    native.optimization = BERTH_OPTIMIZATION_DEFAULT;
    native.precision = BERTH_PRECISION_FP32;
    BERTH_TRY(berth_model_open(model, &native, &judge->opened, err));
    status = seat_judge(judge, judge->opened, &native, err);
fail:
    return status;
}

static void close_judge(struct judge *judge)
{
    berth_free(judge->logits);
    berth_ort_session_close(judge->other);
    berth_ort_close(judge->ort);
    berth_session_free(judge->session);
    berth_model_free(judge->written);
    berth_session_free(judge->native);
    berth_model_free(judge->opened);
}

/* ONNX Runtime is given the tokens, a directory the text. */
static enum berth_status ask_other(struct judge *judge, const struct berth_text *text,
                                   const struct berth_tokens *tokens, struct berth_error *err)
{
    const size_t labels = berth_model_get_info(judge->model)->labels, offsets[2] = {0, tokens->size};
    struct berth_result result;
    if (judge->other)
        return berth_ort_session_run(judge->other, tokens->ids, tokens->type_ids, offsets, 1, labels, judge->logits,
                                     err);
    enum berth_status status = berth_session_classify(judge->session, text, 1, &result, err);
    if (status == BERTH_OK)
        memcpy(judge->logits, result.logits, labels * sizeof *judge->logits);
    return status;
}

static enum berth_status compare_text(struct judge *judge, const struct berth_text *text,
                                      struct berth_tokens *tokens, struct berth_error *err)
{
    size_t labels = berth_model_get_info(judge->model)->labels;
    enum berth_status status;
    BERTH_TRY(berth_tokenize(judge->model, text, 0, tokens, err));
    const size_t offsets[2] = {0, tokens->size};
    BERTH_TRY(berth_session_classify_ids(judge->native, tokens->ids, tokens->type_ids, offsets, 1,
                                         &judge->result, err));
    BERTH_TRY(ask_other(judge, text, tokens, err));
    for (size_t i = 0; i < labels; i++) {
        double difference = fabs((double)judge->logits[i] - (double)judge->result.logits[i]);
        judge->largest = fmax(judge->largest, fabs((double)judge->result.logits[i]));
        judge->difference = isfinite(difference) ? fmax(judge->difference, difference) : INFINITY;
    }
fail:
    return status;
}

/* Every text through both. `lost` is what may be lost for each unit of the largest logit and at least 1, or 0:
 * rounding alone. */
static enum berth_status compare_texts(struct judge *judge, double lost, struct berth_conversion *conversion,
                                       struct berth_error *err)
{
    struct berth_tokens tokens = {0};
    enum berth_status status;
    for (size_t i = 0; i < CASES; i++) {
        struct berth_text text = {.text = own_texts[i % TEXTS], .size = strlen(own_texts[i % TEXTS])};
        if (i >= TEXTS) {
            text.pair = own_pairs[i - TEXTS];
            text.pair_size = strlen(text.pair);
        }
        BERTH_TRY(compare_text(judge, &text, &tokens, err));
    }
    conversion->checked = true;
    conversion->difference = judge->difference;
    conversion->allowed = lost > 0 ? lost * fmax(1, judge->largest) : allowed_exact;
    conversion->texts = CASES;
fail:
    berth_tokens_clear(&tokens);
    return status;
}

bool berth_check_passes(const struct berth_conversion *conversion)
{
    return conversion->difference <= conversion->allowed;
}

/* `hint` is the end of the sentence. */
static enum berth_status verdict(const struct berth_conversion *conversion, const char *output, const char *hint,
                                 struct berth_error *err)
{
    if (berth_check_passes(conversion))
        return BERTH_OK;
    return berth_fail(err, BERTH_FORMAT,
                      "%s: not written: its logits differ by %.3g from fp32's over %zu texts, more than the %.3g that "
                      "may be lost%s",
                      output, conversion->difference, conversion->texts, conversion->allowed, hint);
}

static double allowed_at(enum berth_precision precision, bool rounded)
{
    if (precision == BERTH_PRECISION_INT8)
        return allowed_quantized;
    return precision == BERTH_PRECISION_BF16 || rounded ? allowed_bf16 : 0;
}

enum berth_status berth_check_onnx(const char *model, const char *file,
                                   const struct berth_convert_options *options,
                                   struct berth_conversion *conversion, struct berth_error *err)
{
    struct judge judge = {.model = NULL};
    enum berth_status status;
    BERTH_TRY(berth_ort_open(options->options.ort_library, &judge.ort, err));
    BERTH_TRY(open_judge(&judge, model, &options->options, err));
    BERTH_TRY(berth_ort_session_open(judge.ort, file, berth_model_get_info(judge.model)->threads, true, &judge.other,
                                     err));
    snprintf(conversion->runtime, sizeof conversion->runtime, "ONNX Runtime %.24s",
             berth_ort_version(judge.ort));
    BERTH_TRY(compare_texts(&judge, options->quantization == BERTH_QUANTIZATION_NONE ? 0 : allowed_quantized,
                            conversion, err));
    status = verdict(conversion, options->output, "", err);
fail:
    close_judge(&judge);
    return status;
}

enum berth_status berth_check_folder(const char *model, const char *directory, const char *output,
                                     enum berth_precision precision, bool rounded,
                                     const struct berth_options *options,
                                     struct berth_conversion *conversion, struct berth_error *err)
{
    struct judge judge = {.model = NULL};
    struct berth_options own = *options;
    enum berth_status status;
    BERTH_TRY(open_judge(&judge, model, options, err));
    own.precision = BERTH_PRECISION_DEFAULT;
    own.runtime = BERTH_RUNTIME_NATIVE;
    own.vocab = NULL; /* the directory has it */
    BERTH_TRY(berth_model_open(directory, &own, &judge.written, err));
    const struct berth_model_info *info = berth_model_get_info(judge.written);
    BERTH_TRY(berth_session_new(judge.written, &own, &judge.session, err));
    if (info->labels != berth_model_get_info(judge.model)->labels ||
        strcmp(info->precision, berth_precision_name(precision)) != 0) {
        status = berth_fail(err, BERTH_INTERNAL, "%s: not written: it opens at %s with %zu labels", output,
                            info->precision, info->labels);
        goto fail;
    }
    snprintf(conversion->runtime, sizeof conversion->runtime, "berth %.24s", berth_version());
    BERTH_TRY(compare_texts(&judge, allowed_at(precision, rounded), conversion, err));
    status = verdict(conversion, output,
                     precision == BERTH_PRECISION_INT8
                         ? "; a largest drop (--max-drop) keeps the layers finer that lose the most"
                         : "",
                     err);
fail:
    close_judge(&judge);
    return status;
}

enum berth_status berth_check_models(const struct berth_model *before, const struct berth_model *after,
                                     enum berth_precision precision, struct berth_conversion *conversion,
                                     struct berth_error *err)
{
    struct judge judge = {.model = NULL};
    enum berth_status status;
    BERTH_TRY(seat_judge(&judge, before, NULL, err));
    BERTH_TRY(berth_session_new(after, NULL, &judge.session, err));
    status = compare_texts(&judge, allowed_at(precision, false), conversion, err);
fail:
    close_judge(&judge);
    return status;
}
