/* cmd_eval.c: `berth eval`. */
#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

static bool show_progress(void *context, size_t done, size_t total)
{
    struct berth_progress *progress = context;
    progress->total = total;
    berth_progress_update(progress, done);
    return true;
}

static void print_table(FILE *out, const struct berth_evaluation *evaluation)
{
    fprintf(out, "%-24s %s\n%-24s %zu\n%-24s %.6f\n", "task", evaluation->task, "examples",
            evaluation->examples, "loss", evaluation->loss);
    for (size_t i = 0; i < evaluation->metrics; i++)
        fprintf(out, "%-24s %.6f\n", evaluation->metric[i].name, evaluation->metric[i].value);
    fprintf(out, "%-24s %zu\n%-24s %.3f\n", "tokens", evaluation->tokens, "seconds", evaluation->seconds);
}

int cli_eval(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_evaluation_options evaluation_options = {0};
    bool json = false;
    const struct cli_flag flags[] = {
        CLI_HEADING("data"),
        {"task", 0, "T", cli_read_task, &evaluation_options.task,
         "cola sst2 mrpc stsb qqp mnli qnli rte wnli csv jsonl"},
        {"data", 'd', "FILE", cli_read_string, &evaluation_options.data,
         "labelled texts in the task's own layout"},
        CLI_COLUMN_FLAGS(evaluation_options.columns),
        CLI_HEADING("model"),
        CLI_MODEL_FLAG(common),
        CLI_ENGINE_FLAGS(common),
        CLI_TOKENIZER_FLAGS(common),
        CLI_HEADING("output"),
        {"json", 0, NULL, NULL, &json, "one JSON object"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {"eval",
                                  "-m MODEL --task T --data FILE [--json]",
                                  "Measures a model on labelled data.",
                                  NULL,
                                  flags,
                                  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model || !evaluation_options.task || !evaluation_options.data)
        return cli_usage(&verb, "-m MODEL, --task and --data are needed");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    cli_log_to_stderr(&common);
    struct berth_error err;
    struct berth_model *model = NULL;
    struct berth_session *session = NULL;
    struct berth_evaluation evaluation;
    struct berth_progress progress;
    berth_progress_begin(&progress, common.quiet ? NULL : stderr, "examples", 0);
    evaluation_options.progress = show_progress;
    evaluation_options.progress_context = &progress;
    int exit_status;
    if (berth_model_open(common.model, &common.options, &model, &err) != BERTH_OK ||
        berth_session_new(model, &common.options, &session, &err) != BERTH_OK ||
        berth_evaluate(session, &evaluation_options, &evaluation, &err) != BERTH_OK) {
        berth_progress_end(&progress, 0);
        exit_status = cli_fail("eval", &err);
    } else {
        berth_progress_end(&progress, evaluation.examples);
        struct cli_output output;
        cli_output_open(&output, NULL, &err);
        if (json) {
            char *text = berth_evaluation_json(&evaluation);
            if (text)
                fprintf(output.stream, "%s\n", text);
            berth_memory_free(text);
        } else
            print_table(output.stream, &evaluation);
        exit_status = cli_output_close(&output, "eval", BERTH_OK, &err);
    }
    berth_session_free(session);
    berth_model_free(model);
    return exit_status;
}
