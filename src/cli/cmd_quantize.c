/* cmd_quantize.c: `berth quantize`: the checkpoint, and the table of its price. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

static bool read_points(void *target, const char *value)
{
    struct berth_quantize_options *options = target;
    char *end;
    options->max_drop = strtod(value, &end);
    options->limit_drop = true;
    return end != value && !*end && options->max_drop >= 0 && options->max_drop <= 100;
}

static bool read_target(void *target, const char *value)
{
    enum berth_precision *precision = target;
    return berth_precision_parse(value, precision) &&
           (*precision == BERTH_PRECISION_INT8 || *precision == BERTH_PRECISION_BF16);
}

static volatile sig_atomic_t interrupted; /* a signal handler has nothing but globals */

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool show_progress(void *context, size_t done, size_t total)
{
    struct berth_progress *progress = context;
    progress->total = total;
    berth_progress_update(progress, done);
    return !interrupted;
}

static void print_row(FILE *out, const char *name, const char *format, double before, double after, const char *note)
{
    char left[32], right[32];
    snprintf(left, sizeof left, format, before);
    snprintf(right, sizeof right, format, after);
    fprintf(out, "%-22s %14s %14s   %s\n", name, isfinite(before) ? left : "-", isfinite(after) ? right : "-", note);
}

/* "2.51 times faster", or the other word. */
static const char *tell_ratio(char *note, size_t size, double ratio, const char *more, const char *less)
{
    snprintf(note, size, "%.2f times %s", ratio >= 1 ? ratio : 1 / ratio, ratio >= 1 ? more : less);
    return note;
}

static void print_sides(FILE *out, const struct berth_quantize_report *r)
{
    const struct berth_quantize_side *before = &r->before, *after = &r->after;
    char note[96];
    fprintf(out, "\n%-22s %14s %14s\n", "", before->precision, after->precision);
    snprintf(note, sizeof note, r->drop >= 0 ? "falls by %.3f points" : "rises by %.3f points", fabs(r->drop));
    print_row(out, r->metric, "%.6f", before->metric, after->metric, note);
    if (isfinite(before->accuracy)) {
        if (strcmp(r->metric, "accuracy") != 0)
            print_row(out, "accuracy", "%.6f", before->accuracy, after->accuracy, "");
        print_row(out, "  95 % from", "%.6f", before->interval[0], after->interval[0], "Wilson");
        print_row(out, "  95 % to", "%.6f", before->interval[1], after->interval[1], "");
    }
    print_row(out, "weight files, MB", "%.1f", (double)before->stored_bytes / 1e6, (double)after->stored_bytes / 1e6,
              tell_ratio(note, sizeof note, (double)before->stored_bytes / (double)after->stored_bytes, "smaller",
                         "larger"));
    print_row(out, "weights in memory, MB", "%.1f", (double)before->memory_bytes / 1e6,
              (double)after->memory_bytes / 1e6,
              tell_ratio(note, sizeof note, (double)before->memory_bytes / (double)after->memory_bytes, "smaller",
                         "larger"));
    print_row(out, "load, ms", "%.1f", before->load_ms, after->load_ms,
              tell_ratio(note, sizeof note, before->load_ms / after->load_ms, "faster", "slower"));
    print_row(out, "texts/s", "%.0f", before->texts_per_second, after->texts_per_second,
              tell_ratio(note, sizeof note, after->texts_per_second / before->texts_per_second, "faster", "slower"));
}

static void print_layers(FILE *out, const struct berth_quantize_report *r)
{
    if (r->layers == 0)
        return;
    fprintf(out, "\n%-22s %14s %10s   by sensitivity on %zu texts\n", "layer", "noise alone", "kept in",
            r->sensitivity_texts);
    for (size_t i = 0; i < r->layers; i++) {
        const struct berth_layer_sensitivity *layer = &r->layer[i];
        fprintf(out, "%-22s %14.6f %10s", layer->name, layer->noise,
                strcmp(layer->precision, r->after.precision) == 0 ? "-" : layer->precision);
        if (isfinite(layer->drop))
            fprintf(out, "   among the noisiest; the metric then %s by %.3f points", layer->drop < 0 ? "rose" : "fell",
                    fabs(layer->drop));
        fputc('\n', out);
    }
}

/* Outside text on a terminal: control bytes become spaces. */
static void print_text(FILE *out, const char *text)
{
    for (; *text; text++)
        fputc((unsigned char)*text < 0x20 || *text == 0x7f ? ' ' : *text, out);
    fputc('\n', out);
}

static void print_moved(FILE *out, const struct berth_quantize_report *r)
{
    fprintf(out, "\ntexts that moved most\n%8s %12s %8s %8s %8s   %s\n", "line", "answer", "before", "after", "logit",
            "text");
    for (size_t i = 0; i < r->moved; i++) {
        const struct berth_moved_text *t = &r->text[i];
        const bool flipped = t->before && strcmp(t->before, t->after) != 0;
        fprintf(out, "%8zu %12.12s %8.4f %8.4f %8.4f %c ", t->line, t->before ? t->before : "", t->score_before,
                t->score_after, t->logit_change, flipped ? '*' : ' ');
        print_text(out, t->text);
    }
}

static void print_table(FILE *out, const char *output, const struct berth_quantize_report *r)
{
    fprintf(out, "%s written: %s, %.1f MB\n", output, r->after.precision, (double)r->after.stored_bytes / 1e6);
    fprintf(out, "check: largest difference of logits from fp32's %.3g over %zu texts (allowed: %.3g)\n",
            r->check_difference, r->check_texts, r->check_allowed);
    if (!r->measured)
        return;
    print_sides(out, r);
    fprintf(out, "\n%zu of %zu answers changed (*): %zu from right to wrong, %zu from wrong to right\n", r->flips,
            r->examples, r->broken, r->mended);
    if (isfinite(r->p_mid))
        fprintf(out, "McNemar's test: p = %.4f (exact), %.4f (mid-p): %s\n", r->p_value, r->p_mid,
                r->p_mid < 0.05 ? "the difference is real" : "no difference is shown");
    fprintf(out, "logits: changed by %.4g (root mean square), %.4g at most\n", r->logit_rms, r->logit_largest);
    print_layers(out, r);
    print_moved(out, r);
}

static int print_report(const struct cli_common *common, const char *directory,
                        const struct berth_quantize_report *report, bool json)
{
    struct cli_output output;
    struct berth_error err;
    enum berth_status status = cli_output_open(&output, NULL, &err);
    if (json) {
        char *text = berth_quantize_json(report);
        if (text)
            fprintf(output.stream, "%s\n", text);
        else {
            err.status = status = BERTH_NO_MEMORY;
            snprintf(err.message, sizeof err.message, "out of memory for the report");
        }
        berth_memory_free(text);
    } else if (!common->quiet || report->measured) {
        print_table(output.stream, directory, report);
    }
    return cli_output_close(&output, "quantize", status, &err);
}

int cli_quantize(int argc, char **argv)
{
    struct cli_common common = {0};
    struct berth_quantize_options o = {.precision = BERTH_PRECISION_INT8};
    bool json = false, check = false;
    const struct cli_flag flags[] = {
        CLI_HEADING("checkpoint"),
        CLI_MODEL_FLAG(common),
        {"output", 'o', "DIR", cli_read_string, &o.output, "directory to write"},
        {"precision", 0, "P", read_target, &o.precision, "int8 (default) or bf16"},
        {"check", 0, NULL, NULL, &check,
         "compare logits with fp32's; what fails is not written (quantize always does)"},
        CLI_HEADING("price"),
        {"task", 0, "T", cli_read_task, &o.task, "cola sst2 mrpc stsb qqp mnli qnli rte wnli csv jsonl"},
        {"data", 'd', "FILE", cli_read_string, &o.data, "labelled texts to tell the cost on"},
        {"max-drop", 0, "POINTS", read_points, &o,
         "percentage points that the main metric may fall by: the most sensitive layers are kept finer until it holds"},
        {"calibration", 0, "FILE", cli_read_string, &o.calibration,
         "--max-drop: training data, in the task's layout, to measure sensitivity on (default: the texts of --data)"},
        {"worst", 0, "N", cli_read_positive, &o.worst, "texts listed that moved most (default 10)"},
        CLI_COLUMN_FLAGS(o.columns),
        CLI_HEADING("run"),
        {"threads", 't', "N", cli_read_positive, &common.options.threads, "threads (default: what is allowed)"},
        {"isa", 0, "LEVEL", cli_read_isa, &common.options.isa, "never above scalar, avx2, avx512, vnni or amx"},
        CLI_TOKENIZER_FLAGS(common),
        CLI_HEADING("output"),
        {"json", 0, NULL, NULL, &json, "one JSON object"},
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {"quantize",
                                  "-m MODEL -o DIR [--task T --data FILE [--max-drop POINTS]]",
                                  "Writes an int8 or bf16 checkpoint, and tells what it cost.",
                                  NULL,
                                  flags,
                                  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model || !o.output)
        return cli_usage(&verb, "-m MODEL and -o DIR are needed");
    if ((o.task != NULL) != (o.data != NULL))
        return cli_usage(&verb, "--task and --data go together");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    cli_log_to_stderr(&common);
    o.options = common.options;
    struct berth_progress progress;
    berth_progress_begin(&progress, common.quiet ? NULL : stderr, "texts", 0);
    o.progress = show_progress;
    o.progress_context = &progress;
    const struct sigaction stop = {.sa_handler = interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &stop, NULL);
    sigaction(SIGTERM, &stop, NULL);
    struct berth_error err;
    struct berth_quantize_report report;
    enum berth_status status = berth_quantize(common.model, &o, &report, &err);
    berth_progress_end(&progress, 0);
    int exit_status = status == BERTH_OK ? print_report(&common, o.output, &report, json) : cli_fail("quantize", &err);
    berth_quantize_report_clear(&report);
    return exit_status;
}
