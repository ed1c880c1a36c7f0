/* cmd_finetune.c: `berth finetune`. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/progress.h"
#include "cli/common.h"
#include "cli/verbs.h"

static bool read_number(void *target, const char *value)
{
    char *end;
    *(double *)target = strtod(value, &end);
    return end != value && !*end && isfinite(*(double *)target);
}

/* "1500000", "64K", "512M" or "2G", in powers of 1024. */
static bool read_bytes(void *target, const char *value)
{
    char *end, *unit;
    unsigned long long number = strtoull(value, &end, 10);
    static const char units[] = "KMG";
    if (end == value || value[0] == '-' || value[0] == '+')
        return false;
    unsigned shift = 0;
    if (*end && (unit = strchr(units, *end))) {
        shift = 10 * (unsigned)(unit - units + 1);
        end++;
    }
    *(size_t *)target = (size_t)(number << shift);
    return number > 0 && number <= SIZE_MAX >> (shift + 2) && !*end;
}

static bool read_seed(void *target, const char *value)
{
    size_t seed;
    if (!cli_read_size(&seed, value))
        return false;
    *(uint64_t *)target = seed;
    return true;
}

/* The live line, with what is worth watching. */
struct line {
    struct berth_progress progress;
    char note[160];
};

static bool show(void *context, const struct berth_finetune_progress *at)
{
    struct line *line = context;
    int size = snprintf(line->note, sizeof line->note, "loss %.4f", at->loss);
    if (at->metric)
        size += snprintf(line->note + size, sizeof line->note - (size_t)size, ", %s %.4f (best %.4f)",
                         at->metric, at->value, at->best);
    snprintf(line->note + size, sizeof line->note - (size_t)size, ", %.0f examples/s",
             at->examples_per_second);
    line->progress.note = line->note;
    line->progress.total = at->steps;
    berth_progress_update(&line->progress, at->step);
    return true;
}

static void print_seeds(const struct berth_finetune_report *report)
{
    double mean = 0, squares = 0;
    for (size_t i = 0; i < report->seeds; i++)
        mean += report->seed_value[i] / (double)report->seeds;
    for (size_t i = 0; i < report->seeds; i++)
        squares += (report->seed_value[i] - mean) * (report->seed_value[i] - mean);
    for (size_t i = 0; i < report->seeds; i++)
        printf("run %-20zu %.6f\n", i + 1, report->seed_value[i]);
    printf("%-24s %.6f\n%-24s %.6f\n", "mean", mean, "deviation",
           sqrt(squares / (double)(report->seeds - 1)));
}

static void print_report(const struct berth_finetune_options *options,
                         const struct berth_finetune_report *report)
{
    if (options->dump_gradients) {
        printf("loss %.9g\n", report->loss);
        return;
    }
    if (report->seeds > 1)
        print_seeds(report);
    printf("%-24s %s\n%-24s %zu%s\n%-24s %zu\n%-24s %.6f\n%-24s %.1f\n%-24s %.0f\n", "model", options->output,
           "steps", report->steps, report->stopped_early ? " (stopped early)" : "", "kept step",
           report->best_step, "loss", report->loss, "seconds", report->seconds, "examples/s",
           report->examples_per_second);
    if (options->activation_memory)
        printf("%-24s %zu\n%-24s %zu\n", "activation bytes", report->activation_bytes, "recomputed layers",
               report->recomputed_layers);
    for (size_t i = 0; report->evaluated && i < report->evaluation.metrics; i++)
        printf("%-24s %.6f\n", report->evaluation.metric[i].name, report->evaluation.metric[i].value);
}

/* MNLI's second dev file: the weights that were kept are scored on it, as `berth eval` does, and the result
 * written beside the first. */
static enum berth_status score_mismatched(const struct berth_finetune_options *options, const char *data,
                                          struct berth_evaluation *evaluation, struct berth_error *err)
{
    const struct berth_evaluation_options wanted = {.task = options->task, .data = data};
    struct berth_options reads = {.threads = options->options.threads,
                                  .isa = options->options.isa,
                                  .max_length = options->options.max_length};
    struct berth_model *model = NULL;
    struct berth_session *session = NULL;
    struct berth_atomic_file file;
    char path[4096];
    char *text = NULL;
    snprintf(path, sizeof path, "%s/eval_results_mm.json", options->output);
    enum berth_status status = berth_model_open(options->output, &reads, &model, err);
    if (status == BERTH_OK)
        status = berth_session_new(model, &reads, &session, err);
    if (status == BERTH_OK)
        status = berth_evaluate(session, &wanted, evaluation, err);
    if (status == BERTH_OK)
        status = berth_atomic_open(path, &file, err);
    if (status == BERTH_OK && (text = berth_evaluation_json(evaluation)) != NULL) {
        fprintf(file.stream, "%s\n", text); /* a failure stays in the stream */
        status = berth_atomic_commit(&file, err);
    } else if (status == BERTH_OK) {
        berth_atomic_abort(&file);
        snprintf(err->message, sizeof err->message, "out of memory for %.200s", path);
        status = BERTH_NO_MEMORY;
    }
    berth_memory_free(text);
    berth_session_free(session);
    berth_model_free(model);
    return status;
}

static const char *model_argument(int argc, char **argv)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-m") == 0 || strcmp(argv[i], "--model") == 0)
            return argv[i + 1];
    for (int i = 1; i < argc; i++)
        if (strncmp(argv[i], "--model=", 8) == 0)
            return argv[i] + 8;
    return NULL;
}

int cli_finetune(int argc, char **argv)
{
    struct cli_common common = {0};
    struct cli_strings teachers = {.count = 0};
    const char *mismatched = NULL;
    struct berth_finetune_options o;
    berth_finetune_defaults(model_argument(argc, argv), &o);
    const struct cli_flag flags[] = {
        CLI_HEADING("data"),
        {"task", 0, "T", cli_read_string, &o.task, "cola sst2 mrpc stsb qqp mnli qnli rte wnli csv jsonl"},
        {"objective", 0, "O", cli_read_string, &o.objective,
         "classify (default), or mlm: guess masked words of unlabelled texts"},
        {"train", 0, "FILE", cli_read_string, &o.train, "training data in the task's own layout"},
        {"dev", 0, "FILE", cli_read_string, &o.dev,
         "data to evaluate on during training; the best weights are kept"},
        {"dev-mismatched", 0, "FILE", cli_read_string, &mismatched,
         "mnli: its other dev file, on which the weights that were kept are scored too"},
        {"output", 'o', "DIR", cli_read_string, &o.output, "directory to write"},
        CLI_COLUMN_FLAGS(o.columns),
        CLI_HEADING("steps"),
        {"epochs", 0, "X", read_number, &o.epochs, "passes over the data (default 3)"},
        {"max-steps", 0, "N", cli_read_positive, &o.max_steps, "steps instead of epochs"},
        {"batch-size", 0, "N", cli_read_positive, &o.batch_size,
         "examples of a batch (default 32; random models 64)"},
        {"gradient-accumulation-steps", 0, "N", cli_read_positive, &o.gradient_accumulation_steps,
         "batches of a step"},
        {"learning-rate", 0, "X", read_number, &o.learning_rate,
         "highest rate (default 5e-5; random models 5e-4)"},
        {"lr-scheduler", 0, "S", cli_read_string, &o.lr_scheduler,
         "linear (default), cosine or constant, after the warm-up"},
        {"warmup-ratio", 0, "X", read_number, &o.warmup_ratio,
         "share of the steps (default 0; random models 0.1)"},
        {"warmup-steps", 0, "N", cli_read_size, &o.warmup_steps, "steps, instead of a share"},
        {"weight-decay", 0, "X", read_number, &o.weight_decay, "of all but biases and LayerNorm (default 0)"},
        {"max-grad-norm", 0, "X", read_number, &o.max_grad_norm,
         "clips gradients to this norm (default 1; 0: no clipping)"},
        {"adam-beta1", 0, "X", read_number, &o.adam_beta1, "default 0.9"},
        {"adam-beta2", 0, "X", read_number, &o.adam_beta2, "default 0.999"},
        {"adam-epsilon", 0, "X", read_number, &o.adam_epsilon, "default 1e-8"},
        CLI_HEADING("what is trained"),
        {"layer-decay", 0, "X", read_number, &o.layer_decay,
         "rate of a layer, of that of the one above (default 1)"},
        {"freeze-layers", 0, "N", cli_read_size, &o.freeze_layers,
         "lowest layers that stay as they are, embeddings included"},
        {"freeze-embeddings", 0, NULL, NULL, &o.freeze_embeddings, "embeddings stay as they are"},
        {"label-smoothing", 0, "X", read_number, &o.label_smoothing, "default 0; random models 0.1"},
        {"class-weights", 0, "W", cli_read_string, &o.class_weights,
         "balanced, or a number for each label: 1,2.5"},
        {"hidden-dropout", 0, "X", read_number, &o.hidden_dropout,
         "instead of the configuration's (random models 0.2)"},
        {"attention-dropout", 0, "X", read_number, &o.attention_dropout, "instead of the configuration's"},
        {"classifier-dropout", 0, "X", read_number, &o.classifier_dropout, "instead of the configuration's"},
        {"word-dropout", 0, "X", read_number, &o.word_dropout, "share of words that read [MASK] (default 0)"},
        CLI_HEADING("runs"),
        {"activation-memory", 0, "SIZE", read_bytes, &o.activation_memory,
         "bytes (K, M, G) at most: layers compute activations again"},
        {"seed", 0, "N", read_seed, &o.seed, "of new weights, order and dropout (default 1)"},
        {"seeds", 0, "N", cli_read_positive, &o.seeds, "runs with as many seeds; the best is kept"},
        {"eval-steps", 0, "N", cli_read_positive, &o.eval_steps,
         "steps between evaluations (default an epoch; random models 200)"},
        {"early-stopping-patience", 0, "N", cli_read_positive, &o.early_stopping_patience,
         "evaluations without a better one before the end"},
        {"save-steps", 0, "N", cli_read_size, &o.save_steps,
         "steps between states to resume from (default 500; 0: none)"},
        {"logging-steps", 0, "N", cli_read_positive, &o.logging_steps,
         "steps of a line in train_log.jsonl (default 10)"},
        {"no-shuffle", 0, NULL, NULL, &o.no_shuffle, "examples in the order of the file"},
        {"group-by-length", 0, NULL, NULL, &o.group_by_length, "batches of like lengths"},
        {"resume", 0, NULL, NULL, &o.resume, "go on where the same command was stopped"},
        CLI_HEADING("distillation"),
        {"teacher", 0, "MODEL", cli_read_strings, &teachers,
         "a model to learn from besides the labels; several: the mean of their logits"},
        {"distill-alpha", 0, "X", read_number, &o.distill_alpha,
         "the teacher's share of the loss (default 0.5)"},
        {"distill-temperature", 0, "X", read_number, &o.distill_temperature,
         "softens both distributions (default 2)"},
        {"distill-hidden", 0, "X", read_number, &o.distill_hidden,
         "weight of the distance to the teacher's hidden states (default 0)"},
        CLI_HEADING("checks"),
        {"dump-gradients", 0, "FILE", cli_read_string, &o.dump_gradients,
         "write the first batch's gradients (safetensors) and stop"},
        CLI_HEADING("model"),
        CLI_MODEL_FLAG(common),
        CLI_ENGINE_FLAGS(common),

        CLI_TOKENIZER_FLAGS(common),
        CLI_QUIET_FLAG(common),
    };
    const struct cli_verb verb = {"finetune",
                                  "-m MODEL --task T --train FILE [--dev FILE] -o DIR",
                                  "Trains a classifier and writes it in Hugging Face's layout.",
                                  NULL,
                                  flags,
                                  sizeof flags / sizeof *flags};
    int first, end = cli_parse(&verb, argc, argv, &first);
    if (end >= 0)
        return end;
    if (!common.model || (!o.task && !o.objective) || !o.train || (!o.output && !o.dump_gradients))
        return cli_usage(&verb, "-m MODEL, --task, --train and -o DIR are needed");
    if (first < argc)
        return cli_usage(&verb, "unexpected argument '%s'", argv[first]);
    if (mismatched && (!o.task || strcmp(o.task, "mnli") != 0 || o.objective || o.dump_gradients))
        return cli_usage(&verb, "--dev-mismatched is for the training of mnli");
    cli_log_to_stderr(&common);
    o.model = common.model;
    o.teachers = teachers.item;
    o.teacher_count = teachers.count;
    o.options = common.options;
    struct line line;
    berth_progress_begin(&line.progress, common.quiet ? NULL : stderr, "steps", 0);
    o.progress = show;
    o.progress_context = &line;
    struct berth_finetune_report report;
    struct berth_error err;
    struct berth_evaluation other;
    enum berth_status status = berth_finetune(&o, &report, &err);
    berth_progress_end(&line.progress, report.steps);
    if (status == BERTH_OK && mismatched)
        status = score_mismatched(&o, mismatched, &other, &err);
    if (status != BERTH_OK)
        return cli_fail("finetune", &err);
    struct cli_output output;
    cli_output_open(&output, NULL, &err);
    print_report(&o, &report);
    for (size_t i = 0; mismatched && i < other.metrics; i++)
        printf("mismatched %-13s %.6f\n", other.metric[i].name, other.metric[i].value);
    return cli_output_close(&output, "finetune", status, &err);
}
