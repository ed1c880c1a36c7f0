/* cmd_compare.c: `berth compare`. */
#include "cli/results_flags.h"
#include "cli/verbs.h"

int cli_compare(int argc, char **argv)
{
    struct berth_compare_options options = {0};
    const char *output_path = NULL;
    const struct cli_flag flags[] = {
        {"error-rate", 0, "P", cli_read_amount, &options.error_rate,
         "chance of a wrong difference among all configurations (default 0.05)"},
        {"json", 0, NULL, NULL, &options.json, "one JSON object"},
        CLI_OUTPUT_FLAG(output_path),
        CLI_HEADING("selection"),
        CLI_SELECTION_FLAGS(options.selection),
    };
    const struct cli_verb verb = {
        "compare",
        "RESULTS ... A B [OPTIONS]",
        "Compares run B with run A: ratio, interval, and whether the difference is real.",
        "A and B are names (of all runs called so), numbers or uids of runs; last and first are the newest\nand the oldest. Runs that took turns are compared pair by pair.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (argc - first < 3)
        return cli_usage(&verb, "results and two runs are needed");
    struct berth_error err;
    struct cli_output output;
    char *text;
    options.results = (const char *const *)argv + first;
    options.result_count = (size_t)(argc - first) - 2;
    options.run_a = argv[argc - 2], options.run_b = argv[argc - 1];
    if (berth_compare(&options, &text, NULL, &err) != BERTH_OK)
        return cli_fail("compare", &err);
    enum berth_status status = cli_output_open(&output, output_path, &err);
    if (status == BERTH_OK)
        fputs(text, output.stream);
    berth_memory_free(text);
    return status == BERTH_OK ? cli_output_close(&output, "compare", BERTH_OK, &err)
                              : cli_fail("compare", &err);
}
