/* cmd_bench.c: `berth bench`: the grid in process, and its table. */
#include <math.h>
#include <string.h>

#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

struct precisions {
    enum berth_precision item[8];
    size_t count;
};

static bool read_precisions(void *target, const char *value)
{
    struct precisions *list = target;
    char word[16];
    for (;;) {
        size_t length = strcspn(value, ",");
        if (length == 0 || length >= sizeof word || list->count == 8)
            return false;
        memcpy(word, value, length);
        word[length] = 0;
        if (!berth_precision_parse(word, &list->item[list->count++]))
            return false;
        if (!value[length])
            return true;
        value += length + 1;
    }
}

static bool show_progress(void *context, size_t done, size_t total)
{
    struct berth_progress *progress = context;
    progress->total = total;
    berth_progress_update(progress, done);
    return true;
}

static void print_ms(FILE *out, double ms)
{
    if (isnan(ms))
        fprintf(out, " %9s", "-");
    else
        fprintf(out, " %9.3f", ms);
}

static void print_table(FILE *out, const struct berth_bench_report *report)
{
    fprintf(out, "%-22s %-9s %3s %5s %6s %6s %9s %9s %9s %9s %11s %s\n", "model", "precision", "thr", "batch",
            "length", "n", "median ms", "p90 ms", "min ms", "stddev", "tokens/s", "status");
    for (size_t i = 0; i < report->cells; i++) {
        const struct berth_bench_cell *cell = &report->cell[i];
        fprintf(out, "%-22s %-9s %3zu %5zu %6zu %6zu", cell->model, cell->precision, cell->threads,
                cell->batch, cell->length, cell->n);
        print_ms(out, cell->p50_ms);
        print_ms(out, cell->p90_ms);
        print_ms(out, cell->min_ms);
        print_ms(out, cell->stddev_ms);
        fprintf(out, " %11.0f %s\n", isnan(cell->tokens_per_second) ? 0.0 : cell->tokens_per_second,
                cell->status);
    }
    fputs("(- : too few trials for that figure)\n", out);
}

int cli_bench(int argc, char **argv)
{
    struct cli_common common = {0};
    struct cli_strings models = {0};
    struct cli_sizes batches = {0}, lengths = {0}, threads = {0};
    struct precisions precisions = {.count = 0};
    size_t trials = 0, seed = 1;
    bool json = false;
    const struct cli_flag flags[] = {
        CLI_HEADING("grid"),
        {"model", 'm', "MODEL", cli_read_strings, &models,
         "model directory, bundled:sst2 or random:PRESET; several may follow one another"},
        {"batch", 'b', "N,...", cli_read_sizes, &batches, "texts at once (default 1)"},
        {"length", 'l', "N,...", cli_read_sizes, &lengths,
         "tokens of every text, special ones included (default 128)"},
        {"threads", 't', "N,...", cli_read_sizes, &threads,
         "threads (default: what affinity and the container allow)"},
        {"precision", 0, "P,...", read_precisions, &precisions, "fp32 (default), bf16, int8 or auto"},
        CLI_HEADING("run"),
        {"trials", 'n', "N", cli_read_positive, &trials, "timed runs of each combination (default 20)"},
        {"seed", 0, "N", cli_read_size, &seed, "of the order and the token ids (default 1)"},
        {"isa", 0, "LEVEL", cli_read_string, &common.options.isa,
         "never above scalar, avx2, avx512, vnni or amx"},
        {"runtime", 0, "R", cli_read_runtime, &common.options.runtime,
         "native (default), cuda or onnxruntime"},
        {"ort-library", 0, "FILE", cli_read_string, &common.options.ort_library, "ONNX Runtime's library"},
        CLI_HEADING("output"),
        {"json", 0, NULL, NULL, &json, "one JSON object with environment and results"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {
        "bench",
        "-m MODEL ... [--batch 1,8,32] [--length 16,128] [OPTIONS]",
        "Measures every combination of models, batches, lengths and threads, in process, interleaved.",
        "Percentiles are order statistics of the trials; nothing is removed.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    for (; first < argc; first++)
        if (!cli_read_strings(&models, argv[first]))
            return cli_usage(&verb, "more than %d models", CLI_LIST_MAX);
    if (models.count == 0)
        return cli_usage(&verb, "no model; give -m MODEL");
    cli_log_to_stderr(&common);
    struct berth_progress progress;
    berth_progress_begin(&progress, common.quiet ? NULL : stderr, "trials", 0);
    const struct berth_bench_options options = {
        .models = models.item,
        .model_count = models.count,
        .precisions = precisions.count ? precisions.item : NULL,
        .precision_count = precisions.count,
        .threads = threads.count ? threads.item : NULL,
        .thread_count = threads.count,
        .batches = batches.count ? batches.item : NULL,
        .batch_count = batches.count,
        .lengths = lengths.count ? lengths.item : NULL,
        .length_count = lengths.count,
        .trials = trials,
        .seed = seed,
        .options = common.options,
        .progress = show_progress,
        .progress_context = &progress,
    };
    struct berth_error err;
    struct berth_bench_report report;
    enum berth_status status = berth_bench(&options, &report, &err);
    berth_progress_end(&progress, progress.total);
    if (status != BERTH_OK)
        return cli_fail("bench", &err);
    struct cli_output output;
    cli_output_open(&output, NULL, &err);
    char *text = json ? berth_bench_json(&report) : NULL;
    if (text)
        fprintf(output.stream, "%s\n", text);
    else if (!json)
        print_table(output.stream, &report);
    berth_memory_free(text);
    berth_bench_report_clear(&report);
    return cli_output_close(&output, "bench", BERTH_OK, &err);
}
