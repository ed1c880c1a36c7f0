/* calibrate.c: the engine at fp32 with an observer on its linear steps. */
#include "pipeline/calibrate.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "engine/engine.h"
#include "pipeline/model.h"
#include "pipeline/ranges.h"

/* Which range a linear step's input belongs to; NULL for the head, which is not quantised. */
static struct berth_onnx_range *range_of(struct berth_onnx_ranges *ranges, const struct berth_step *step)
{
    if (step->in == BERTH_SLOT_EMBEDDED)
        return &ranges->project;
    if (step->layer < 0)
        return NULL;
    struct berth_onnx_layer_ranges *layer = &ranges->layers[step->layer];
    if (step->out == BERTH_SLOT_QKV || step->out == BERTH_SLOT_QUERY)
        return &layer->qkv;
    if (step->out == BERTH_SLOT_FFN)
        return &layer->ffn_in;
    return step->in == BERTH_SLOT_CONTEXT ? &layer->attention_out : &layer->ffn_out;
}

/* Two passes over the texts: what the numbers range over, then how many there are where. */
struct observer {
    struct berth_onnx_ranges *ranges;
    struct berth_histogram *histograms; /* the second pass: of the projection, then four a layer; else NULL */
};

static struct berth_histogram *histogram_of(const struct observer *o, const struct berth_onnx_range *range)
{
    if (range == &o->ranges->project)
        return o->histograms;
    return o->histograms + 1 + (range - &o->ranges->layers[0].qkv); /* a layer is four ranges, end to end */
}

static void observe(void *context, const struct berth_step *step, const float *numbers, size_t rows)
{
    const struct observer *o = context;
    struct berth_onnx_range *range = range_of(o->ranges, step);
    if (range && o->histograms) {
        berth_histogram_add(histogram_of(o, range), numbers, rows * step->k);
        return;
    }
    for (size_t i = 0; range && i < rows * step->k; i++) {
        range->low = fminf(range->low, numbers[i]);
        range->high = fmaxf(range->high, numbers[i]);
    }
}

static enum berth_layout layout_of(const char *path)
{
    static const struct {
        const char *suffix;
        enum berth_layout layout;
    } layouts[] = {{".tsv", BERTH_LAYOUT_TSV}, {".csv", BERTH_LAYOUT_CSV}, {".jsonl", BERTH_LAYOUT_JSONL}};
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof layouts / sizeof *layouts; i++)
        if (strcmp(dot, layouts[i].suffix) == 0)
            return layouts[i].layout;
    return BERTH_LAYOUT_LINES;
}

/* Every text of the file, up to the maximum, one run each: all of its tokens. */
static enum berth_status run_texts(const struct berth_model *model, struct berth_engine *engine,
                                   const char *path, struct observer *observer, struct berth_error *err)
{
    struct berth_reader *reader = NULL;
    struct berth_tokens tokens = {0};
    enum berth_status status;
    size_t texts = 0, numbers = berth_engine_max_tokens(engine) * model->plan->hidden;
    float *last =
        berth_malloc(numbers, sizeof *last); /* asked for so that the last layer, too, runs for all tokens */
    if (!last) {
        status = berth_fail_memory(err, "calibration", numbers * sizeof *last);
        goto fail;
    }
    BERTH_TRY(berth_reader_open(path, layout_of(path), NULL, &reader, err));
    for (; texts < BERTH_CALIBRATION_TEXTS_MAX; texts++) {
        struct berth_record record;
        bool end;
        BERTH_TRY(berth_reader_next(reader, &record, &end, err));
        if (end)
            break;
        BERTH_TRY(berth_tokenize(model, &record.text, 0, &tokens, err));
        const size_t offsets[2] = {0, tokens.size};
        const struct berth_batch batch = {
            .texts = 1, .offsets = offsets, .ids = tokens.ids, .type_ids = tokens.type_ids};
        const struct berth_outputs outputs = {.tokens = last, .observe = observe, .observe_context = observer};
        BERTH_TRY(berth_engine_run(engine, &batch, &outputs, err));
    }
    if (texts == 0)
        status = berth_fail(err, BERTH_FORMAT, "%s: has no texts to calibrate on", path);
fail:
    berth_tokens_clear(&tokens);
    berth_reader_close(reader);
    berth_free(last);
    return status;
}

/* Every range, 4 a layer and the projection's. */
static void visit_ranges(struct observer *o, size_t layers, void (*visit)(struct observer *, struct berth_onnx_range *,
                                                                          const struct berth_convert_options *),
                         const struct berth_convert_options *options)
{
    visit(o, &o->ranges->project, options);
    for (size_t i = 0; i < 4 * layers; i++)
        visit(o, &o->ranges->layers[0].qkv + i, options);
}

static void begin_histogram(struct observer *o, struct berth_onnx_range *range,
                            const struct berth_convert_options *options)
{
    (void)options;
    histogram_of(o, range)->range = *range;
}

static void cut_range(struct observer *o, struct berth_onnx_range *range, const struct berth_convert_options *options)
{
    const double percent = options->calibration_percentile > 0 ? options->calibration_percentile : 99.99;
    const struct berth_histogram *histogram = histogram_of(o, range);
    *range = options->calibration_method == BERTH_CALIBRATION_ENTROPY ? berth_range_entropy(histogram)
                                                                      : berth_range_percentile(histogram, percent);
}

/* The second pass. */
static enum berth_status cut_ranges(const struct berth_model *model, struct berth_engine *engine,
                                    const struct berth_convert_options *options, struct observer *o,
                                    struct berth_error *err)
{
    const size_t layers = model->plan->layers, count = 1 + 4 * layers;
    o->histograms = berth_calloc(count, sizeof *o->histograms);
    if (!o->histograms)
        return berth_fail_memory(err, "histograms of activations", count * sizeof *o->histograms);
    visit_ranges(o, layers, begin_histogram, options);
    enum berth_status status = run_texts(model, engine, options->calibration, o, err);
    if (status == BERTH_OK)
        visit_ranges(o, layers, cut_range, options);
    berth_free(o->histograms);
    return status;
}

enum berth_status berth_calibrate(const char *name, const struct berth_convert_options *options,
                                  struct berth_onnx_ranges *ranges, struct berth_error *err)
{
    struct berth_options native = options->options;
    struct berth_model *model = NULL;
    struct berth_engine *engine = NULL;
    enum berth_status status;
    if (options->calibration_method != BERTH_CALIBRATION_MINMAX && berth_path_present(options->calibration) &&
        !berth_file_exists(options->calibration))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%s: is no regular file, and this calibration method reads it twice", options->calibration);
    native.runtime = BERTH_RUNTIME_NATIVE;
    native.optimization = BERTH_OPTIMIZATION_DEFAULT;
    native.precision = BERTH_PRECISION_FP32;
    BERTH_TRY(berth_model_open(name, &native, &model, err));
    ranges->layers = berth_calloc(model->plan->layers, sizeof *ranges->layers);
    if (!ranges->layers) {
        status = berth_fail_memory(err, "calibration", model->plan->layers * sizeof *ranges->layers);
        goto fail;
    }
    BERTH_TRY(berth_engine_new(model->plan, model->threads, model->max_length, 1, &engine, err));
    struct observer observer = {.ranges = ranges};
    BERTH_TRY(run_texts(model, engine, options->calibration, &observer, err));
    if (options->calibration_method != BERTH_CALIBRATION_MINMAX)
        status = cut_ranges(model, engine, options, &observer, err);
fail:
    berth_engine_free(engine);
    berth_model_free(model);
    return status;
}
