/* cmd_report.c: `berth report`. */
#include "cli/results_flags.h"
#include "cli/verbs.h"

int cli_report(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_report_options options = {0};
    struct cli_prices prices = {.count = 0};
    bool json = false;
    const struct cli_flag flags[] = {
        {"output", 'o', "DIR", cli_read_string, &options.directory, "folder to write; made when it is missing"},
        {"baseline", 0, "MODEL", cli_read_string, &options.baseline,
         "model of speed-up 1 (default: the one with the most parameters)"},
        CLI_PRICE_FLAG(prices),
        {"json", 0, NULL, NULL, &json, "print the report's data as JSON; writes no folder"},
        {"gnuplot", 0, "FILE", cli_read_string, &options.gnuplot, "the program (default: gnuplot)"},
        CLI_QUIET_FLAG(common),
        CLI_HEADING("selection"),
        CLI_RUN_FLAG(options.selection),
        CLI_SELECTION_FLAGS(options.selection),
    };
    const struct cli_verb verb = {"report",
                                  "RESULTS ... -o DIR [OPTIONS]",
                                  "Writes report.html, report.md and the figures as SVG and PNG.",
                                  "Of configurations that several runs measured, the newest run's count; --run chooses another.",
                                  flags,
                                  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first == argc)
        return cli_usage(&verb, "no results file");
    if (!json && !options.directory)
        return cli_usage(&verb, "no folder; give -o DIR");
    struct berth_error err;
    struct berth_report_summary summary;
    options.results = (const char *const *)argv + first;
    options.result_count = (size_t)(argc - first);
    options.prices = prices.item, options.price_count = prices.count;
    if (json) {
        char *text;
        if (berth_report_json(&options, &text, &err) != BERTH_OK)
            return cli_fail("report", &err);
        puts(text);
        berth_memory_free(text);
        return CLI_OK;
    }
    if (berth_report(&options, &summary, &err) != BERTH_OK)
        return cli_fail("report", &err);
    if (!common.quiet) {
        fprintf(stderr, "berth: %zu configurations, %zu latencies (%zu failed): report.html, report.md and %zu figures in %s\n",
                summary.configurations, summary.latencies, summary.failed, summary.figures, options.directory);
        if (summary.missing[0])
            fprintf(stderr, "berth: note: no data for %s\n", summary.missing);
    }
    return CLI_OK;
}
