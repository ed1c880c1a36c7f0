/* convert.c: a model into another format, tried before it is left behind. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/folder.h"
#include "onnx/export.h"
#include "pipeline/calibrate.h"
#include "pipeline/check.h"
#include "pipeline/model_write.h"
#include "pipeline/source.h"

static enum berth_status check_options(const struct berth_convert_options *options, struct berth_error *err)
{
    if (!options->output || !*options->output)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "no output is named");
    if (options->quantization != BERTH_QUANTIZATION_NONE && options->format != BERTH_TO_ONNX)
        return berth_fail(
            err, BERTH_INVALID_ARGUMENT,
            "quantisation on conversion is for ONNX; a quantised checkpoint is made by quantize");
    if ((options->quantization == BERTH_QUANTIZATION_STATIC) != (options->calibration != NULL))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "static quantisation and calibration data (--calibration) go together");
    if (options->weights != BERTH_WEIGHTS_AS_STORED && options->format != BERTH_TO_SAFETENSORS)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "an element type of the weights is for safetensors alone");
    if (options->calibration_method != BERTH_CALIBRATION_MINMAX && !options->calibration)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a calibration method is for static quantisation alone");
    if (options->calibration_percentile != 0 && (options->calibration_method != BERTH_CALIBRATION_PERCENTILE ||
                                                 !(options->calibration_percentile > 50) ||
                                                 options->calibration_percentile > 100))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a percentile of %g: it goes with the method percentile, above 50 and at most 100",
                          options->calibration_percentile);
    if (options->contrib && !options->optimize)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "ONNX Runtime's own operators come with optimisation alone");
    return BERTH_OK;
}

/* Tries the file while it stands beside its final name. */
static enum berth_status try_file(const char *model, const struct berth_onnx_files *files,
                                  const struct berth_convert_options *options,
                                  struct berth_conversion *conversion, struct berth_error *err)
{
    if (!options->check)
        return BERTH_OK;
    if (files->external)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: a model whose weights lie in a file of their own cannot be checked before it "
                          "is written; convert it without the check",
                          options->output);
    if (!files->model.temporary)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "%s: is no regular file, so what is written there cannot be checked",
                          options->output);
    return berth_check_onnx(model, files->model.temporary, options, conversion, err);
}

static enum berth_status convert_to_onnx(const char *model, const struct berth_encoder *encoder,
                                         const struct berth_convert_options *options,
                                         struct berth_conversion *conversion, struct berth_error *err)
{
    static const enum berth_onnx_quantization kinds[] = {
        [BERTH_QUANTIZATION_NONE] = BERTH_ONNX_UNQUANTIZED,
        [BERTH_QUANTIZATION_DYNAMIC] = BERTH_ONNX_DYNAMIC,
        [BERTH_QUANTIZATION_STATIC] = BERTH_ONNX_STATIC,
    };
    struct berth_onnx_ranges ranges = {.layers = NULL};
    const struct berth_onnx_export_options wanted = {
        .opset = options->opset ? (int)options->opset : BERTH_OPSET_DEFAULT,
        .optimize = options->optimize,
        .contrib = options->contrib,
        .quantization = kinds[options->quantization],
        .ranges = options->calibration ? &ranges : NULL,
    };
    struct berth_onnx_files files = {.external = false};
    enum berth_status status;
    if (options->calibration)
        BERTH_TRY(berth_calibrate(model, options, &ranges, err));
    BERTH_TRY(berth_onnx_export(encoder, options->output, &wanted, &files, err));
    BERTH_TRY(try_file(model, &files, options, conversion, err));
    status = berth_onnx_commit(&files, err);
fail:
    berth_onnx_abort(&files);
    berth_free(ranges.layers);
    return status;
}

/* Every weight that the model computes with, in float32, under its family's names; and the files that say
 * what the model is. */
static enum berth_status convert_to_safetensors(const char *model, const struct berth_encoder *encoder,
                                                const struct berth_convert_options *options,
                                                struct berth_conversion *conversion, struct berth_error *err)
{
    static const enum berth_dtype types[] = {[BERTH_WEIGHTS_F32] = BERTH_DTYPE_F32,
                                             [BERTH_WEIGHTS_F16] = BERTH_DTYPE_F16,
                                             [BERTH_WEIGHTS_BF16] = BERTH_DTYPE_BF16};
    struct berth_folder folder = {.path = NULL};
    enum berth_status status;
    if (options->optimize || options->opset)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "--optimize and --opset are for ONNX alone");
    const bool rounded = options->weights == BERTH_WEIGHTS_F16 || options->weights == BERTH_WEIGHTS_BF16;
    BERTH_TRY(berth_folder_begin(options->output, &folder, err));
    BERTH_TRY(berth_model_write(model, encoder, true, options->weights ? &types[options->weights] : NULL,
                                options->options.vocab, folder.path, err));
    if (options->check)
        BERTH_TRY(berth_check_folder(model, folder.path, options->output, BERTH_PRECISION_FP32, rounded,
                                     &options->options, conversion, err));
    BERTH_TRY(berth_folder_commit(&folder, "config.json", err));
fail:
    berth_folder_abort(&folder);
    return status;
}

enum berth_status berth_convert(const char *model, const struct berth_convert_options *options,
                                struct berth_conversion *conversion, struct berth_error *err)
{
    struct berth_conversion unwanted;
    struct berth_error spare;
    struct berth_encoder *encoder = NULL;
    char *path = NULL;
    enum berth_status status;
    if (!conversion)
        conversion = &unwanted;
    if (!err)
        err = &spare;
    *conversion = (struct berth_conversion){.checked = false};
    BERTH_TRY(check_options(options, err));
    BERTH_TRY(berth_source_resolve(model, &path, err));
    BERTH_TRY(berth_source_encoder(path, &encoder, err));
    status = options->format == BERTH_TO_SAFETENSORS
                 ? convert_to_safetensors(path, encoder, options, conversion, err)
                 : convert_to_onnx(path, encoder, options, conversion, err);
fail:
    berth_encoder_free(encoder);
    berth_free(path);
    return status;
}
