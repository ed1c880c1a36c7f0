/* quantize.c: the whole of `berth quantize`: the model before, the choice, the checkpoint, its check, its price. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/folder.h"
#include "pipeline/check.h"
#include "pipeline/model.h"
#include "pipeline/model_write.h"
#include "pipeline/source.h"
#include "quant/price.h"
#include "quant/search.h"

enum { SENSITIVITY_TEXTS = 512 };

struct job {
    const char *name; /* resolved */
    const struct berth_quantize_options *options;
    struct berth_options native; /* the caller's, at fp32 */
    enum berth_stored stored;
    enum berth_precision precision;
    struct berth_quantize_report *report;
    struct berth_model *before;
    struct berth_labelled data, calibration;
    float *logits, *calibration_logits, *after; /* [texts, labels] */
    struct berth_unit *unit;
    size_t units;
    bool searched; /* `after` are the logits of the choice */
    struct berth_trial_progress progress;
};

static enum berth_status check_options(const struct berth_quantize_options *options, struct berth_error *err)
{
    if (!options->output || !*options->output)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no output is named");
    if (options->precision != BERTH_PRECISION_DEFAULT && options->precision != BERTH_PRECISION_INT8 &&
        options->precision != BERTH_PRECISION_BF16)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "precision %s: a model is quantised to int8 or bf16",
                          berth_precision_name(options->precision));
    if (options->options.runtime == BERTH_RUNTIME_ONNXRUNTIME || options->options.runtime == BERTH_RUNTIME_CUDA)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "runtime %s: a model is quantised for berth's own",
                          berth_runtime_name(options->options.runtime));
    if ((options->task != NULL) != (options->data != NULL))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a task and its data go together");
    if (options->limit_drop && !options->data)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a largest drop needs labelled data (task and data) to be measured on");
    if (options->limit_drop && !(options->max_drop >= 0 && options->max_drop <= 100))
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a largest drop of %g points: 0 to 100 are possible",
                          options->max_drop);
    if (options->calibration && !options->limit_drop)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "calibration data chooses the layers that a largest drop keeps finer; without one there is "
                          "nothing to calibrate, since scales of activations are found text by text");
    if (options->calibration && berth_same_file(options->calibration, options->data))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%s: holds what %s is measured on; calibrate on training data", options->calibration,
                          options->data);
    return BERTH_OK;
}

/* --- before --------------------------------------------------------------------------------------- */

static uint64_t stored_bytes(const struct berth_encoder *encoder)
{
    uint64_t bytes = 0;
    if (!encoder->checkpoint)
        return (uint64_t)encoder->parameters * sizeof(float);
    for (size_t i = 0; i < berth_checkpoint_count(encoder->checkpoint); i++)
        bytes += berth_checkpoint_at(encoder->checkpoint, i)->bytes;
    return bytes;
}

/* The encoder as it is stored: what may not be quantised is refused here. */
static enum berth_status look_at_source(struct job *job, struct berth_error *err)
{
    struct berth_encoder *encoder;
    enum berth_status status = berth_source_encoder(job->name, &encoder, err);
    if (status != BERTH_OK)
        return status;
    const enum berth_stored stored = encoder->config.storage.stored;
    const size_t most = encoder->config.layers + BERTH_PRODUCTS_OUTSIDE;
    struct berth_quantize_report *report = job->report;
    report->before.stored_bytes = stored_bytes(encoder);
    job->unit = berth_calloc(most, sizeof *job->unit);
    report->layer = berth_calloc(most, sizeof *report->layer);
    if (stored != BERTH_STORED_PLAIN)
        status = berth_fail(err, BERTH_INVALID_ARGUMENT, "%s: is quantised to %s already; give the model it was made of",
                            job->name, berth_stored_name(stored));
    else if (!encoder->has_head)
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: has no classifier to check answers with; fine-tune it first",
                            job->name);
    else if (!job->unit || !report->layer)
        status = berth_fail_memory(err, "the list of layers", most * sizeof *report->layer);
    else
        job->units = berth_units(encoder, job->unit, report->layer);
    berth_encoder_free(encoder);
    return status;
}

static enum berth_status read_texts(struct job *job, struct berth_error *err)
{
    const struct berth_quantize_options *o = job->options;
    const struct berth_model_info *info = berth_model_get_info(job->before);
    enum berth_status status;
    BERTH_TRY(berth_labelled_read(&job->data, o->data, o->task, &o->columns, info, 0, err));
    if (o->calibration)
        BERTH_TRY(berth_labelled_read(&job->calibration, o->calibration, o->task, &o->columns, info,
                                      SENSITIVITY_TEXTS, err));
    job->logits = berth_malloc(job->data.count, info->labels * sizeof *job->logits);
    job->after = berth_malloc(job->data.count, info->labels * sizeof *job->after);
    job->calibration_logits = berth_malloc(job->calibration.count + 1, info->labels * sizeof *job->logits);
    if (!job->logits || !job->after || !job->calibration_logits)
        status = berth_fail_memory(err, "logits", job->data.count * info->labels * sizeof *job->logits);
fail:
    return status;
}

static enum berth_status measure_before(struct job *job, struct berth_error *err)
{
    struct berth_evaluation evaluation;
    enum berth_status status;
    BERTH_TRY(read_texts(job, err));
    BERTH_TRY(berth_trial_run(job->before, &job->data, &job->progress, job->logits, err));
    if (job->calibration.count)
        BERTH_TRY(berth_trial_run(job->before, &job->calibration, &job->progress, job->calibration_logits, err));
    BERTH_TRY(berth_trial_score(&job->data, job->logits, &evaluation, err));
    snprintf(job->report->metric, sizeof job->report->metric, "%s", evaluation.metric[0].name);
    job->report->before.metric = evaluation.metric[0].value;
    job->report->examples = job->data.count;
    job->report->measured = true;
fail:
    return status;
}

/* --- the choice ----------------------------------------------------------------------------------- */

static enum berth_status choose_layers(struct job *job, struct berth_error *err)
{
    struct berth_labelled some = job->data; /* the first of them; not to be cleared */
    some.count = berth_min(some.count, SENSITIVITY_TEXTS);
    const bool calibrated = job->calibration.count > 0;
    struct berth_search search = {
        .model = job->name,
        .before = job->before,
        .options = &job->native,
        .stored = job->stored,
        .data = &job->data,
        .logits = job->logits,
        .sensitivity = calibrated ? &job->calibration : &some,
        .sensitivity_logits = calibrated ? job->calibration_logits : job->logits,
        .metric = job->report->before.metric,
        .max_drop = job->options->max_drop,
        .progress = &job->progress,
        .unit = job->unit,
        .units = job->units,
        .found = job->after,
    };
    enum berth_status status = berth_search_run(&search, err);
    if (status != BERTH_OK)
        return status;
    job->searched = true;
    for (size_t i = 0; i < job->units; i++) {
        const enum berth_stored keep = job->unit[i].keep;
        job->unit[i].report->precision =
            berth_stored_name(keep == BERTH_STORED_PLAIN ? job->stored : keep);
        job->report->kept += keep != BERTH_STORED_PLAIN;
    }
    if (!isnan(job->report->layer[0].noise)) {
        job->report->layers = job->units;
        job->report->sensitivity_texts = search.sensitivity->count;
    }
    return BERTH_OK;
}

/* --- the checkpoint ------------------------------------------------------------------------------- */

static enum berth_status write_folder(const struct job *job, const char *path, struct berth_error *err)
{
    struct berth_encoder *encoder = NULL;
    enum berth_status status;
    BERTH_TRY(berth_source_encoder(job->name, &encoder, err));
    BERTH_TRY(berth_units_keep(job->unit, job->units, encoder, err));
    BERTH_TRY(berth_quantize_weights(encoder, job->stored, job->before->kernels, err));
    status = berth_model_write(job->name, encoder, false, NULL, job->options->options.vocab, path, err);
fail:
    berth_encoder_free(encoder);
    return status;
}

/* The model as it was written gives the numbers that the report tells. */
static enum berth_status measure_after(struct job *job, const char *path, struct berth_error *err)
{
    struct berth_options own = job->native;
    struct berth_model *model = NULL;
    struct berth_evaluation evaluation;
    const size_t numbers = job->data.count * job->data.labels.model->labels;
    float *logits = berth_malloc(numbers, sizeof *logits);
    enum berth_status status;
    own.precision = BERTH_PRECISION_DEFAULT;
    own.vocab = NULL;
    if (!logits)
        return berth_fail_memory(err, "logits", numbers * sizeof *logits);
    BERTH_TRY(berth_model_open(path, &own, &model, err));
    BERTH_TRY(berth_trial_run(model, &job->data, &job->progress, logits, err));
    if (job->searched && memcmp(logits, job->after, numbers * sizeof *logits) != 0) {
        status = berth_fail(err, BERTH_INTERNAL, "%s: not written: read back it answers otherwise than what was measured",
                            job->options->output);
        goto fail;
    }
    memcpy(job->after, logits, numbers * sizeof *logits);
    BERTH_TRY(berth_trial_score(&job->data, logits, &evaluation, err));
    job->report->after.metric = evaluation.metric[0].value;
    job->report->drop = 100 * (job->report->before.metric - job->report->after.metric);
    BERTH_TRY(berth_price_fill(job->report, &job->data, job->logits, job->after,
                               job->options->worst ? job->options->worst : 10, err));
    const double seconds = job->options->speed_seconds > 0 ? fmin(job->options->speed_seconds, 3600) : 0.5;
    status = berth_price_speed(job->report, job->name, &job->native, path, &own, &job->data, seconds, err);
fail:
    berth_model_free(model);
    berth_free(logits);
    return status;
}

static enum berth_status size_of_weights(const char *folder, uint64_t *bytes, struct berth_error *err)
{
    struct stat file;
    char *path = berth_path_join(folder, "model.safetensors");
    enum berth_status status = BERTH_OK;
    if (!path)
        status = berth_fail_memory(err, "a path", strlen(folder));
    else if (stat(path, &file) != 0)
        status = berth_fail(err, BERTH_IO, "%s: cannot stat what was written", path);
    else
        *bytes = (uint64_t)file.st_size;
    berth_free(path);
    return status;
}

static enum berth_status write_checked(struct job *job, struct berth_error *err)
{
    struct berth_folder folder = {.path = NULL};
    struct berth_conversion check = {.checked = false};
    enum berth_status status;
    BERTH_TRY(berth_folder_begin(job->options->output, &folder, err));
    BERTH_TRY(write_folder(job, folder.path, err));
    BERTH_TRY(berth_check_folder(job->name, folder.path, job->options->output, job->precision, false, &job->native,
                                 &check, err));
    job->report->check_texts = check.texts;
    job->report->check_difference = check.difference;
    job->report->check_allowed = check.allowed;
    BERTH_TRY(size_of_weights(folder.path, &job->report->after.stored_bytes, err));
    if (job->report->measured)
        BERTH_TRY(measure_after(job, folder.path, err));
    status = berth_folder_commit(&folder, "config.json", err);
fail:
    berth_folder_abort(&folder);
    return status;
}

static enum berth_status run(struct job *job, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(look_at_source(job, err));
    BERTH_TRY(berth_model_open(job->name, &job->native, &job->before, err));
    job->native.log = NULL; /* remarks were made */
    if (job->options->data)
        BERTH_TRY(measure_before(job, err));
    if (job->options->limit_drop)
        BERTH_TRY(choose_layers(job, err));
    status = write_checked(job, err);
fail:
    return status;
}

enum berth_status berth_quantize(const char *model, const struct berth_quantize_options *options,
                                 struct berth_quantize_report *report, struct berth_error *err)
{
    struct berth_quantize_report unwanted;
    struct berth_error spare;
    const bool wanted = report != NULL;
    if (!wanted)
        report = &unwanted;
    if (!err)
        err = &spare;
    *report = (struct berth_quantize_report){.drop = 0};
    enum berth_status status = check_options(options, err);
    if (status != BERTH_OK)
        return status;
    char *path = NULL;
    if (!model || !*model)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no model is named");
    status = berth_source_resolve(model, &path, err);
    if (status != BERTH_OK)
        return status;
    struct job job = {.name = path, .options = options, .native = options->options, .report = report};
    job.precision = options->precision == BERTH_PRECISION_BF16 ? BERTH_PRECISION_BF16 : BERTH_PRECISION_INT8;
    job.stored = job.precision == BERTH_PRECISION_BF16 ? BERTH_STORED_BF16 : BERTH_STORED_INT8;
    job.native.precision = BERTH_PRECISION_FP32;
    job.progress = (struct berth_trial_progress){.call = options->progress, .context = options->progress_context};
    report->before.precision = "fp32";
    report->after.precision = berth_precision_name(job.precision);
    status = run(&job, err);
    berth_labelled_clear(&job.data);
    berth_labelled_clear(&job.calibration);
    berth_model_free(job.before);
    berth_free(job.logits);
    berth_free(job.calibration_logits);
    berth_free(job.after);
    berth_free(job.unit);
    berth_free(path);
    if (status != BERTH_OK || !wanted)
        berth_quantize_report_clear(report);
    return status;
}
