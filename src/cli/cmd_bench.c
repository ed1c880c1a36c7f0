/* cmd_bench.c: `berth bench`: an experiment from options or a file, its progress, its table, JSON or raw trials. */
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

/* What the options say; lists that stay empty are the experiment file's, or defaults. */
struct bench_arguments {
    struct cli_common common;
    struct cli_strings models, targets, optimizations;
    struct cli_sizes batches, lengths, threads, concurrencies;
    enum berth_precision precision[CLI_LIST_MAX];
    enum berth_runtime runtime[CLI_LIST_MAX];
    double rate[CLI_LIST_MAX];
    size_t precisions, runtimes, rates;
    const char *scenario, *suite, *spec, *export;
    struct berth_bench_options o; /* single values */
    size_t seed;
    bool seeded, json, dry_run;
};

/* Calls take with each word between commas; false: one is refused, or too long. */
static bool each_word(const char *value, bool (*take)(struct bench_arguments *, const char *),
                      struct bench_arguments *arguments)
{
    char word[64];
    for (;;) {
        size_t length = strcspn(value, ",");
        if (length == 0 || length >= sizeof word)
            return false;
        memcpy(word, value, length);
        word[length] = 0;
        if (!take(arguments, word))
            return false;
        if (!value[length])
            return true;
        value += length + 1;
    }
}

static bool take_precision(struct bench_arguments *a, const char *word)
{
    return a->precisions < CLI_LIST_MAX && berth_precision_parse(word, &a->precision[a->precisions++]);
}

static bool take_runtime(struct bench_arguments *a, const char *word)
{
    return a->runtimes < CLI_LIST_MAX && berth_runtime_parse(word, &a->runtime[a->runtimes++]);
}

static bool take_rate(struct bench_arguments *a, const char *word)
{
    char *end;
    double rate = strtod(word, &end);
    if (*end || !(rate > 0) || a->rates == CLI_LIST_MAX)
        return false;
    a->rate[a->rates++] = rate;
    return true;
}

/* The words of lists of strings outlive the call as static storage: they are few and known. */
static bool take_optimization(struct bench_arguments *a, const char *word)
{
    static const char *const known[] = {"plain", "none", "runtime", "optimized", "optimised", "fused", "quantized", "quantised"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(word, known[i]) == 0)
            return cli_read_strings(&a->optimizations, known[i]);
    return false;
}

static bool read_precisions(void *target, const char *value)
{
    return each_word(value, take_precision, target);
}

static bool read_runtimes(void *target, const char *value)
{
    return each_word(value, take_runtime, target);
}

static bool read_rates(void *target, const char *value)
{
    return each_word(value, take_rate, target);
}

static bool read_optimizations(void *target, const char *value)
{
    return each_word(value, take_optimization, target);
}

static bool read_number(void *target, const char *value)
{
    char *end;
    double number = strtod(value, &end);
    *(double *)target = number;
    return end != value && *end == 0 && isfinite(number) && number > 0;
}

static bool read_seed(void *target, const char *value)
{
    struct bench_arguments *a = target;
    a->seeded = true;
    return cli_read_size(&a->seed, value);
}

static bool read_scenario(void *target, const char *value)
{
    enum berth_scenario scenario;
    *(const char **)target = value;
    return berth_scenario_parse(value, &scenario);
}

static bool read_word(const char *value, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(value, *words) == 0)
            return true;
    return false;
}

static bool read_protocol(void *target, const char *value)
{
    static const char *const words[] = {"auto", "study", "oip", "berth", NULL};
    *(const char **)target = value;
    return read_word(value, words);
}

static bool read_suite(void *target, const char *value)
{
    static const char *const words[] = {"study", NULL};
    *(const char **)target = value;
    return read_word(value, words);
}

static bool read_export(void *target, const char *value)
{
    static const char *const words[] = {"csv", "json", NULL};
    *(const char **)target = value;
    return read_word(value, words);
}

/* A signal handler has nothing but globals. */
static volatile sig_atomic_t interrupted;

static void interrupt(int signal_number)
{
    if (interrupted) /* asked twice: at once */
        _exit(128 + signal_number);
    interrupted = 1;
}

static void heed_signals(void)
{
    const struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static bool show_progress(void *context, size_t done, size_t total)
{
    struct berth_progress *progress = context;
    if (progress->total != total) { /* the preparation is over: the rate is of trials */
        berth_progress_end(progress, progress->done);
        berth_progress_begin(progress, progress->stream, "trials", total);
        progress->before = done;
    }
    berth_progress_update(progress, done);
    return !interrupted;
}

static void print_ms(FILE *out, double ms)
{
    if (isnan(ms))
        fprintf(out, " %9s", "too few");
    else
        fprintf(out, " %9.3f", ms);
}

/* "128", "data"; "128 x4" at a concurrency; "128 900/s" at a rate. */
static void print_load(FILE *out, const struct berth_bench_cell *cell)
{
    char text[48];
    int n = cell->length ? snprintf(text, sizeof text, "%zu", cell->length) : snprintf(text, sizeof text, "data");
    if (cell->concurrency)
        snprintf(text + n, sizeof text - (size_t)n, " x%zu", cell->concurrency);
    else if (cell->rate > 0)
        snprintf(text + n, sizeof text - (size_t)n, " %.5g/s", cell->rate);
    fprintf(out, " %12s", text);
}

static void print_table(FILE *out, const struct berth_bench_report *report)
{
    fprintf(out, "%-18s %-9s %-11s %-9s %-9s %3s %5s %12s %6s %9s %9s %9s %9s %11s %8s %s\n", "model", "target", "runtime",
            "optimized", "precision", "thr", "batch", "length", "n", "p50 ms", "p90 ms", "p99 ms", "min ms", "tokens/s",
            "accuracy", "status");
    for (size_t i = 0; i < report->cells; i++) {
        const struct berth_bench_cell *cell = &report->cell[i];
        fprintf(out, "%-18s %-9s %-11s %-9s %-9s %3zu %5zu", cell->model, cell->target, cell->runtime,
                *cell->optimization ? cell->optimization : "-", cell->precision, cell->threads, cell->batch);
        print_load(out, cell);
        fprintf(out, " %6zu", cell->n);
        print_ms(out, cell->p50_ms);
        print_ms(out, cell->p90_ms);
        print_ms(out, cell->p99_ms);
        print_ms(out, cell->min_ms);
        fprintf(out, " %11.0f", isfinite(cell->tokens_per_second) ? cell->tokens_per_second : 0.0);
        if (cell->labelled)
            fprintf(out, " %7.2f%%", 100.0 * (double)cell->correct / (double)cell->labelled);
        else
            fprintf(out, " %8s", "-");
        fprintf(out, " %s\n", cell->status);
    }
}

/* Which of the rates that were tried keep the objective, for each thing that was searched. */
static void print_found(FILE *out, const struct berth_bench_report *report, double p99_ms)
{
    for (size_t i = 0; i < report->cells; i++) {
        const struct berth_bench_cell *cell = &report->cell[i], *best = NULL;
        bool first = true;
        for (size_t k = 0; k < report->cells; k++) {
            const struct berth_bench_cell *other = &report->cell[k];
            bool same = strcmp(cell->model, other->model) == 0 && strcmp(cell->target, other->target) == 0 &&
                        strcmp(cell->runtime, other->runtime) == 0 && strcmp(cell->precision, other->precision) == 0 &&
                        strcmp(cell->optimization, other->optimization) == 0 && cell->threads == other->threads &&
                        cell->batch == other->batch && cell->length == other->length;
            first = first && !(same && k < i);
            if (same && other->within && other->rate > 0 && (!best || other->rate > best->rate))
                best = other;
        }
        if (first && best)
            fprintf(out, "%s %s %s batch %zu: %.5g queries/s keep p99 within %g ms (p99 %.3f ms, n %zu)\n", cell->model,
                    cell->target, cell->precision, cell->batch, best->rate, p99_ms, best->p99_ms, best->n);
        else if (first && cell->rate > 0)
            fprintf(out, "%s %s %s batch %zu: no rate that was tried keeps p99 within %g ms\n", cell->model, cell->target,
                    cell->precision, cell->batch, p99_ms);
    }
}

/* What the options give replaces what the file gives. */
static void merge_options(struct bench_arguments *a, const struct berth_bench_options *file, struct berth_bench_options *o)
{
    static const struct berth_bench_options none;
    const struct berth_bench_options *f = file ? file : &none, *g = &a->o;
    *o = *f;
#define LIST(list, count, given, number) \
    if (number)                          \
        o->list = given, o->count = number
#define VALUE(member) \
    if (g->member)    \
        o->member = g->member
    LIST(models, model_count, a->models.item, a->models.count);
    LIST(targets, target_count, a->targets.item, a->targets.count);
    LIST(optimizations, optimization_count, a->optimizations.item, a->optimizations.count);
    LIST(runtimes, runtime_count, a->runtime, a->runtimes);
    LIST(precisions, precision_count, a->precision, a->precisions);
    LIST(rates, rate_count, a->rate, a->rates);
    LIST(threads, thread_count, a->threads.item, a->threads.count);
    LIST(batches, batch_count, a->batches.item, a->batches.count);
    LIST(lengths, length_count, a->lengths.item, a->lengths.count);
    LIST(concurrencies, concurrency_count, a->concurrencies.item, a->concurrencies.count);
    /* What excludes each other: the option's stands, and the file's does not contradict it. */
    if (g->trials || g->percentile > 0)
        o->trials = 0, o->percentile = 0;
    if (g->find_rate && !a->rates)
        o->rates = NULL, o->rate_count = 0;
    if (a->rates && !g->find_rate)
        o->find_rate = false, o->p99_ms = 0;
    VALUE(find_rate);
    VALUE(p99_ms);
    VALUE(percentile);
    VALUE(trials);
    VALUE(protocol);
    VALUE(timeout_ms);
    VALUE(connections);
    VALUE(data);
    VALUE(task);
    VALUE(columns.text);
    VALUE(columns.pair);
    VALUE(columns.label);
    VALUE(output);
    VALUE(name);
    VALUE(fresh);
    o->seed = a->seeded || !file ? a->seed : f->seed;
    o->options = a->common.options;
    if (!o->options.isa)
        o->options.isa = f->options.isa;
    if (!o->options.vocab)
        o->options.vocab = f->options.vocab;
    if (!o->options.ort_library)
        o->options.ort_library = f->options.ort_library;
    if (!o->options.max_length)
        o->options.max_length = f->options.max_length;
    if (a->scenario)
        berth_scenario_parse(a->scenario, &o->scenario);
    if (a->suite || f->suite)
        berth_bench_suite_study(o);
}

static char *join_command(int argc, char **argv)
{
    size_t size = sizeof "berth";
    for (int i = 0; i < argc; i++)
        size += strlen(argv[i]) + 1;
    char *command = malloc(size);
    if (!command)
        return NULL;
    strcpy(command, "berth");
    for (int i = 0; i < argc; i++)
        strcat(strcat(command, " "), argv[i]);
    return command;
}

/* Tells how far the work is, and ends it when a signal asks. */
static void watch(const struct bench_arguments *a, struct berth_bench_options *options, struct berth_progress *progress)
{
    berth_progress_begin(progress, a->common.quiet ? NULL : stderr, "combinations checked", 0);
    options->progress = show_progress;
    options->progress_context = progress;
    heed_signals();
}

static int print_plan(const struct bench_arguments *a, struct berth_bench_options *options)
{
    struct berth_progress progress;
    struct berth_error err;
    struct cli_output output;
    char *plan;
    watch(a, options, &progress);
    enum berth_status status = berth_bench_plan(options, &plan, &err);
    berth_progress_end(&progress, progress.done);
    if (status != BERTH_OK)
        return cli_fail("bench", &err);
    cli_output_open(&output, NULL, &err);
    fputs(plan, output.stream);
    berth_memory_free(plan);
    return cli_output_close(&output, "bench", BERTH_OK, &err);
}

static enum berth_status print_raw(const char *file, const char *run, const char *format, FILE *stream,
                                   struct berth_error *err)
{
    const struct berth_selection selection = {.run = run};
    return berth_export(&file, 1, strcmp(format, "csv") == 0 ? BERTH_EXPORT_CSV : BERTH_EXPORT_JSON, &selection, stream,
                        NULL, err);
}

static int print_report(struct bench_arguments *a, const struct berth_bench_options *o,
                        const struct berth_bench_report *report)
{
    struct berth_error err;
    struct cli_output output;
    enum berth_status status = BERTH_OK;
    cli_output_open(&output, NULL, &err);
    char *text = a->json ? berth_bench_json(report) : NULL;
    if (a->export)
        status = print_raw(o->output, berth_bench_run(report), a->export, output.stream, &err);
    else if (text)
        fprintf(output.stream, "%s\n", text);
    else if (!a->json)
        print_table(output.stream, report);
    if (!a->export && !a->json && o->find_rate)
        print_found(output.stream, report, o->p99_ms);
    berth_memory_free(text);
    const char *remarks = a->common.quiet ? "" : berth_bench_remarks(report);
    while (*remarks) {
        int size = (int)strcspn(remarks, "\n");
        fprintf(stderr, "berth: note: %.*s\n", size, remarks);
        remarks += size + (remarks[size] != 0);
    }
    return cli_output_close(&output, "bench", status, &err);
}

/* Exit status: of the operation, or failed when nothing at all could be measured. */
static int judge(const struct berth_bench_report *report, int status)
{
    for (size_t i = 0; i < report->cells; i++)
        if (report->cell[i].n > 0)
            return status;
    return report->cells > 0 && status == CLI_OK ? CLI_FAILED : status;
}

static int run_bench(struct bench_arguments *a, struct berth_bench_options *options)
{
    struct berth_progress progress;
    struct berth_error err;
    struct berth_bench_report report;
    watch(a, options, &progress);
    enum berth_status status = berth_bench(options, &report, &err);
    berth_progress_end(&progress, progress.done);
    if (status == BERTH_CANCELLED && options->output && !a->export)
        fprintf(stderr, "berth: note: the same command goes on from here\n");
    if (status != BERTH_OK)
        return cli_fail("bench", &err);
    int end = judge(&report, print_report(a, options, &report));
    if (end == CLI_FAILED)
        for (size_t i = 0; i < report.cells && i < 1; i++)
            fprintf(stderr, "berth bench: nothing was measured: %s\n", report.cell[i].status);
    berth_bench_report_clear(&report);
    return end;
}

/* Raw trials are read from a results file: one of a moment where none is to be kept. */
static int run_exported(struct bench_arguments *a, struct berth_bench_options *options)
{
    char folder[] = "/tmp/berth-bench-XXXXXX", file[sizeof folder + 16];
    if (!a->export || options->output)
        return run_bench(a, options);
    if (!mkdtemp(folder)) {
        fputs("berth bench: no room for the trials in /tmp; give -o FILE\n", stderr);
        return CLI_FAILED;
    }
    snprintf(file, sizeof file, "%s/trials.db", folder);
    options->output = file;
    int end = run_bench(a, options);
    static const char *const parts[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char part[sizeof file + 8];
        snprintf(part, sizeof part, "%s%s", file, parts[i]);
        unlink(part);
    }
    rmdir(folder);
    return end;
}

int cli_bench(int argc, char **argv)
{
    struct bench_arguments a = {.seed = 1};
    const struct cli_flag flags[] = {
        CLI_HEADING("what is measured"),
        {"model", 'm', "MODEL", cli_read_strings, &a.models,
         "MODEL or NAME=MODEL (NAME: what servers and results call it); several may follow one another"},
        {"target", 0, "T", cli_read_strings, &a.targets,
         "local (default), or NAME=http://host:port with what is known of it after commas: precision=, threads=, "
         "runtime=, protocol=; several times"},
        {"runtime", 0, "R,...", read_runtimes, &a, "native (default), cuda, onnxruntime"},
        {"optimization", 0, "O,...", read_optimizations, &a,
         "onnxruntime's graph: plain, runtime, optimized (default), quantized"},
        {"precision", 0, "P,...", read_precisions, &a, "fp32 (default), bf16, int8 or auto"},
        {"threads", 't', "N,...", cli_read_sizes, &a.threads,
         "threads (default: what affinity and the container allow)"},
        {"batch", 'b', "N,...", cli_read_sizes, &a.batches,
         "texts of a query (default 1; multi-stream 8, offline 256)"},
        {"length", 'l', "N,...", cli_read_sizes, &a.lengths,
         "tokens of every text, special ones included (default 128)"},
        {"data", 0, "FILE", cli_read_string, &a.o.data, "labelled texts instead of synthetic ones; with --task"},
        {"task", 0, "T", cli_read_task, &a.o.task, "layout and labels of --data: sst2, ..., csv, jsonl"},
        CLI_COLUMN_FLAGS(a.o.columns),
        {"spec", 0, "FILE", cli_read_string, &a.spec,
         "the experiment as YAML, keys named as these options; options replace what it says"},
        {"suite", 0, "NAME", read_suite, &a.suite,
         "study: the 2021 study's grid (4 models, batches 2,8,32, lengths 12..112); options reduce it"},
        CLI_HEADING("how queries follow one another"),
        {"scenario", 0, "S", read_scenario, &a.scenario,
         "single-stream (default), multi-stream, offline, server (Poisson), closed-loop"},
        {"rate", 0, "R,...", read_rates, &a, "queries a second (server)"},
        {"concurrency", 0, "N,...", cli_read_sizes, &a.concurrencies, "queries under way at once (closed-loop)"},
        {"find-rate", 0, NULL, NULL, &a.o.find_rate, "search the highest rate within --p99-ms"},
        {"p99-ms", 0, "MS", read_number, &a.o.p99_ms, "the objective of --find-rate"},
        {"protocol", 0, "P", read_protocol, &a.o.protocol,
         "of servers: auto (default), study, oip (Open Inference Protocol), berth (/predict)"},
        {"timeout-ms", 0, "N", cli_read_positive, &a.o.timeout_ms, "of a request (default 30000)"},
        {"connections", 0, "N", cli_read_positive, &a.o.connections, "to a server at most (default 1024)"},
        CLI_HEADING("run"),
        {"trials", 'n', "N", cli_read_positive, &a.o.trials,
         "queries of each combination (default 20; server and closed-loop 1000; data: once through it)"},
        {"percentile", 0, "P", read_number, &a.o.percentile, "as many trials as an interval of this percentile needs"},
        {"seed", 0, "N", read_seed, &a, "of the order, the texts and the arrivals (default 1)"},
        {"dry-run", 0, NULL, NULL, &a.dry_run, "check everything, list the trials, estimate the time"},
        CLI_LENGTH_FLAG(a.common),
        CLI_VOCAB_FLAG(a.common),
        {"isa", 0, "LEVEL", cli_read_string, &a.common.options.isa,
         "never above scalar, avx2, avx512, vnni or amx"},
        {"ort-library", 0, "FILE", cli_read_string, &a.common.options.ort_library, "ONNX Runtime's library"},
        CLI_HEADING("output"),
        {"output", 'o', "FILE", cli_read_string, &a.o.output,
         "results file, appended to; an interrupted run of the same experiment goes on"},
        {"name", 0, "NAME", cli_read_string, &a.o.name, "of the run in it"},
        {"fresh", 0, NULL, NULL, &a.o.fresh, "a new run, even where an interrupted one could go on"},
        {"json", 0, NULL, NULL, &a.json, "one JSON object with environment and results"},
        {"export", 0, "F", read_export, &a.export, "the raw trials instead: csv or json"},
        CLI_QUIET_FLAG(a.common),
    };
    const struct cli_verb verb = {
        "bench",
        "-m MODEL ... [--target NAME=URL ...] [--batch 1,8] [--length 16,128] [OPTIONS]",
        "Measures every combination of models, targets, runtimes, precisions, threads, batches, lengths.",
        "Every answer is compared with fp32's before it is timed. Trials are interleaved; latency runs from\n"
        "the moment a query was due. Percentiles are order statistics; too few trials give no figure.",
        flags,
        sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    for (; first < argc; first++)
        if (!cli_read_strings(&a.models, argv[first]))
            return cli_usage(&verb, "more than %d models", CLI_LIST_MAX);
    if (a.json && a.export)
        return cli_usage(&verb, "--json and --export both write to standard output; give one");
    if (a.dry_run && (a.json || a.export))
        return cli_usage(&verb, "--dry-run measures nothing that --%s could print", a.json ? "json" : "export");
    cli_log_to_stderr(&a.common);
    struct berth_bench_spec *spec = NULL;
    struct berth_error err;
    if (a.spec && berth_bench_spec_open(a.spec, &spec, &err) != BERTH_OK)
        return cli_fail("bench", &err);
    struct berth_bench_options options;
    merge_options(&a, spec ? berth_bench_spec_options(spec) : NULL, &options);
    char *command = join_command(argc, argv);
    options.command = command;
    if (options.model_count == 0)
        end = cli_usage(&verb, "no model; give -m MODEL");
    else
        end = a.dry_run ? print_plan(&a, &options) : run_exported(&a, &options);
    free(command);
    berth_bench_spec_free(spec);
    return end;
}
