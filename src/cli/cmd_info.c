/* cmd_info.c: `berth info`. */
#include "cli/common.h"
#include "cli/verbs.h"

int cli_info(int argc, char **argv)
{
    struct cli_common common = {0};
    bool json = false, plan = false;
    size_t length = 0;
    const struct cli_flag flags[] = {
        CLI_HEADING("model"),
        CLI_MODEL_FLAG(common),
        CLI_ENGINE_FLAGS(common),
        CLI_TOKENIZER_FLAGS(common),
        CLI_HEADING("output"),
        {"plan", 0, NULL, NULL, &plan, "every step: kernel, shape, bytes of weights, operations"},
        {"length", 0, "N", cli_read_positive, &length,
         "tokens of the text that --plan counts for (default 128)"},
        {"json", 0, NULL, NULL, &json, "one JSON object"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "info", "-m MODEL [--plan] [--json]", "Tells what a model is, which kernels run it and why.", NULL,
        flags,  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model && first < argc)
        common.model = argv[first++];
    if (!common.model)
        return cli_usage(&verb, "no model; give -m MODEL");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    cli_log_to_stderr(&common);
    struct berth_error err;
    struct berth_model *model;
    if (berth_model_open(common.model, &common.options, &model, &err) != BERTH_OK)
        return cli_fail("info", &err);
    char *text = berth_model_describe(model, plan, length, json);
    struct cli_output output;
    enum berth_status status = cli_output_open(&output, NULL, &err);
    if (text)
        fprintf(output.stream, "%s%s", text, json ? "\n" : "");
    else {
        err.status = status = BERTH_NO_MEMORY;
        snprintf(err.message, sizeof err.message, "out of memory for the description");
    }
    berth_memory_free(text);
    berth_model_free(model);
    return cli_output_close(&output, "info", status, &err);
}
