/* cmd_recommend.c: `berth recommend`. */
#include <string.h>

#include "cli/results_flags.h"
#include "cli/verbs.h"

enum { NOTHING_MEETS = 3 };

static bool read_json(void *target, const char *value)
{
    *(bool *)target = strcmp(value, "json") == 0;
    return *(bool *)target || strcmp(value, "text") == 0;
}

int cli_recommend(int argc, char **argv)
{
    struct berth_recommend_options options = {0};
    struct cli_prices prices = {.count = 0};
    const char *output_path = NULL;
    const struct cli_flag flags[] = {
        CLI_HEADING("objective"),
        {"p50-ms", 0, "MS", cli_read_amount, &options.p50_ms, "median latency at most"},
        {"p90-ms", 0, "MS", cli_read_amount, &options.p90_ms, "90 % of latencies at most"},
        {"p99-ms", 0, "MS", cli_read_amount, &options.p99_ms, "99 % of latencies at most"},
        {"min-accuracy", 0, "X", cli_read_amount, &options.min_accuracy, "accuracy at least, 0 to 1"},
        {"min-rate", 0, "N", cli_read_amount, &options.min_rate, "texts a second at least"},
        {"max-memory-mb", 0, "MB", cli_read_amount, &options.max_memory_mb, "memory at most"},
        {"max-cost", 0, "USD", cli_read_amount, &options.max_cost, "cost of a million texts at most"},
        CLI_PRICE_FLAG(prices),
        CLI_HEADING("output"),
        {"format", 0, "F", read_json, &options.json, "text (default) or json"},
        {"json", 0, NULL, NULL, &options.json, "the same as --format json"},
        {"all", 0, NULL, NULL, &options.all, "text: every deployment, not the first ones alone"},
        CLI_OUTPUT_FLAG(output_path),
        CLI_HEADING("selection"),
        CLI_RUN_FLAG(options.selection),
        CLI_SELECTION_FLAGS(options.selection),
    };
    const struct cli_verb verb = {
        "recommend",
        "RESULTS ... --p99-ms MS [--min-accuracy X] [--price NAME=USD ...]",
        "Ranks the deployments that meet an objective, cheapest first, and says what excludes the others.",
        "Without prices the fastest comes first. Exit status 3: nothing meets the objective.\n"
        "RESULTS are results files, CSVs, or bundled:study-2021, the published figures of the 2021 study.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (first == argc)
        return cli_usage(&verb, "no results file");
    struct berth_error err;
    struct cli_output output;
    char *text;
    bool met;
    options.results = (const char *const *)argv + first;
    options.result_count = (size_t)(argc - first);
    options.prices = prices.item, options.price_count = prices.count;
    if (berth_recommend(&options, &text, &met, &err) != BERTH_OK)
        return cli_fail("recommend", &err);
    enum berth_status status = cli_output_open(&output, output_path, &err);
    if (status == BERTH_OK)
        fputs(text, output.stream);
    berth_memory_free(text);
    int code = status == BERTH_OK ? cli_output_close(&output, "recommend", BERTH_OK, &err)
                                  : cli_fail("recommend", &err);
    return code == CLI_OK && !met ? NOTHING_MEETS : code;
}
