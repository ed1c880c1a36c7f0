/* cmd_convert.c: `berth convert`. */
#include <stdlib.h>
#include <string.h>

#include "cli/common.h"
#include "cli/verbs.h"

static bool read_format(void *target, const char *value)
{
    bool onnx = strcmp(value, "onnx") == 0, safetensors = strcmp(value, "safetensors") == 0;
    *(enum berth_target_format *)target = safetensors ? BERTH_TO_SAFETENSORS : BERTH_TO_ONNX;
    return onnx || safetensors;
}

static bool read_quantization(void *target, const char *value)
{
    bool is_static = strcmp(value, "static") == 0;
    *(enum berth_quantization *)target = is_static ? BERTH_QUANTIZATION_STATIC : BERTH_QUANTIZATION_DYNAMIC;
    return is_static || strcmp(value, "dynamic") == 0;
}

static bool read_weights(void *target, const char *value)
{
    static const char *const names[] = {
        [BERTH_WEIGHTS_F32] = "f32", [BERTH_WEIGHTS_F16] = "f16", [BERTH_WEIGHTS_BF16] = "bf16"};
    for (enum berth_weight_type i = BERTH_WEIGHTS_F32; i <= BERTH_WEIGHTS_BF16; i++)
        if (strcmp(value, names[i]) == 0) {
            *(enum berth_weight_type *)target = i;
            return true;
        }
    return false;
}

static bool read_method(void *target, const char *value)
{
    static const char *const words[] = {"minmax", "percentile", "entropy"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(words[i], value) == 0) {
            *(enum berth_calibration_method *)target = (enum berth_calibration_method)i;
            return true;
        }
    return false;
}

static bool read_percent(void *target, const char *value)
{
    char *end;
    *(double *)target = strtod(value, &end);
    return end != value && !*end && *(double *)target > 50 && *(double *)target <= 100;
}

static bool read_target(void *target, const char *value)
{
    *(bool *)target = strcmp(value, "onnxruntime") == 0;
    return *(bool *)target || strcmp(value, "standard") == 0;
}

static int print_report(const struct cli_common *common, const struct berth_convert_options *convert,
                        const struct berth_conversion *conversion, bool json)
{
    struct cli_output output;
    struct berth_error err;
    enum berth_status status = cli_output_open(&output, NULL, &err);
    if (status != BERTH_OK)
        return cli_fail("convert", &err);
    if (json) {
        fputs("{\"output\": ", output.stream);
        cli_json_string(output.stream, convert->output, strlen(convert->output));
        if (conversion->checked)
            fprintf(output.stream,
                    ", \"check\": {\"runtime\": \"%s\", \"texts\": %zu, \"largest_difference\": %.9g, "
                    "\"allowed\": %.9g}",
                    conversion->runtime, conversion->texts, conversion->difference, conversion->allowed);
        fputs("}\n", output.stream);
    } else if (!common->quiet) {
        fprintf(output.stream, "%s written\n", convert->output);
        if (conversion->checked)
            fprintf(output.stream,
                    "check: largest difference of logits %.3g over %zu texts in %s (allowed: %.3g)\n",
                    conversion->difference, conversion->texts, conversion->runtime, conversion->allowed);
    }
    return cli_output_close(&output, "convert", BERTH_OK, &err);
}

int cli_convert(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_convert_options convert = {0};
    const char *to = NULL;
    bool json = false;
    const struct cli_flag flags[] = {
        CLI_HEADING("conversion"),
        CLI_MODEL_FLAG(common),
        {"to", 0, "FORMAT", cli_read_string, &to, "onnx, or safetensors (a model directory)"},
        {"output", 'o', "OUT", cli_read_string, &convert.output,
         "file to write; for safetensors a directory"},
        {"weights", 0, "TYPE", read_weights, &convert.weights,
         "of safetensors: f32, f16 or bf16 (default: as they are stored)"},
        {"opset", 0, "N", cli_read_positive, &convert.opset, "of ONNX: 13 to 20 (default 17)"},
        {"optimize", 0, NULL, NULL, &convert.optimize,
         "fused operators: the standard ones that the opset has"},
        {"target", 0, "T", read_target, &convert.contrib,
         "with --optimize: onnxruntime for its own operators too (default: standard)"},
        {"quantize", 0, "HOW", read_quantization, &convert.quantization,
         "dynamic, or static (QDQ, with --calibration): int8 weights, a scale a column"},
        {"calibration", 0, "FILE", cli_read_string, &convert.calibration,
         "--quantize static: texts to calibrate on (.tsv, .csv, .jsonl, else a text a line)"},
        {"calibration-method", 0, "M", read_method, &convert.calibration_method,
         "range of the activations: minmax (default), percentile or entropy"},
        {"calibration-percentile", 0, "P", read_percent, &convert.calibration_percentile,
         "of percentile: numbers within the range, in percent (default 99.99)"},
        CLI_HEADING("check"),
        {"check", 0, NULL, NULL, &convert.check,
         "compare logits (in ONNX Runtime; of a directory in berth) with fp32's; what fails is not written"},
        {"ort-library", 0, "FILE", cli_read_string, &common.options.ort_library,
         "libonnxruntime.so (default: BERTH_ORT_LIBRARY, or the usual places)"},
        {"threads", 't', "N", cli_read_positive, &common.options.threads, "threads of the check"},
        {"vocab", 0, "FILE", cli_read_string, &common.options.vocab,
         "vocab.txt or tokenizer.json to use instead of the model's"},
        CLI_HEADING("output"),
        {"json", 0, NULL, NULL, &json, "one JSON object"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {"convert",
                                  "-m MODEL --to onnx|safetensors -o OUT",
                                  "Converts a model into another format.",
                                  NULL,
                                  flags,
                                  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model || !to || !convert.output)
        return cli_usage(&verb, "-m MODEL, --to and -o are needed");
    if (!read_format(&convert.format, to))
        return cli_usage(&verb, "--to: '%s' is not a valid FORMAT", to);
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    cli_log_to_stderr(&common);
    convert.options = common.options;
    struct berth_error err;
    struct berth_conversion conversion;
    if (berth_convert(common.model, &convert, &conversion, &err) != BERTH_OK)
        return cli_fail("convert", &err);
    return print_report(&common, &convert, &conversion, json);
}
