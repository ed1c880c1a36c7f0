/* finetune.c: the public face of training: checks the options, opens model, data and teacher, decides the
 * head, and runs the trainer once for each seed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "pipeline/model.h"
#include "pipeline/source.h"
#include "pipeline/teacher.h"
#include "train/trainer.h"

struct finetune {
    const struct berth_finetune_options *options;
    struct berth_model *model; /* opened to tokenise: tokenizer, kernels, threads */
    struct berth_encoder *encoder;
    struct berth_team *team;
    struct berth_gpu *gpu;         /* of runtime cuda */
    const struct berth_task *task; /* NULL: a text a line */
    bool masked;                   /* masked-language training */
    struct berth_model_info info;  /* of the model that training makes; for the label map */
    struct berth_label_map labels;
    struct berth_train_data train, dev;
    double *class_weights; /* [labels] or NULL */
    enum berth_schedule schedule;
};

void berth_finetune_defaults(const char *model, struct berth_finetune_options *options)
{
    bool random = model && berth_source_is_random(model);
    *options = (struct berth_finetune_options){
        .model = model,
        .epochs = 3,
        .batch_size = random ? 64 : 32,
        .gradient_accumulation_steps = 1,
        .learning_rate = random ? 5e-4 : 5e-5,
        .warmup_ratio = random ? 0.1 : 0,
        .lr_scheduler = "linear",
        .adam_beta1 = 0.9,
        .adam_beta2 = 0.999,
        .adam_epsilon = 1e-8,
        .max_grad_norm = 1,
        .layer_decay = 1,
        .label_smoothing = random ? 0.1 : 0,
        .hidden_dropout = random ? 0.2 : -1,
        .attention_dropout = -1,
        .classifier_dropout = -1,
        .seed = 1,
        .seeds = 1,
        .eval_steps = random ? 200 : 0,
        .save_steps = 500,
        .logging_steps = 10,
        .distill_alpha = 0.5,
        .distill_temperature = 2,
    };
}

/* --- options -------------------------------------------------------------------------------------- */

/* Numbers of the options and what they may be: [least, most), least excluded where `above`. */
static enum berth_status check_numbers(const struct berth_finetune_options *o, struct berth_error *err)
{
    const struct {
        const char *name;
        double value, least, most;
        bool above;
    } numbers[] = {
        {"epochs", o->epochs, 0, 1e6, true},
        {"learning rate", o->learning_rate, 0, 1e3, true},
        {"weight decay", o->weight_decay, 0, 1e3, false},
        {"warm-up ratio", o->warmup_ratio, 0, 1, false},
        {"adam beta1", o->adam_beta1, 0, 1, false},
        {"adam beta2", o->adam_beta2, 0, 1, false},
        {"adam epsilon", o->adam_epsilon, 0, 1, true},
        {"maximum gradient norm", o->max_grad_norm, 0, 1e9, false},
        {"layer decay", o->layer_decay, 0, 1.0000001, true},
        {"label smoothing", o->label_smoothing, 0, 1, false},
        {"hidden dropout", o->hidden_dropout, -2, 1, false},
        {"attention dropout", o->attention_dropout, -2, 1, false},
        {"classifier dropout", o->classifier_dropout, -2, 1, false},
        {"distillation alpha", o->distill_alpha, 0, 1.0000001, false},
        {"distillation temperature", o->distill_temperature, 0, 1e3, true},
        {"weight of hidden states", o->distill_hidden, 0, 1e6, false},
        {"word dropout", o->word_dropout, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        double value = numbers[i].value;
        if (!(numbers[i].above ? value > numbers[i].least : value >= numbers[i].least) ||
            !(value < numbers[i].most))
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "a %s of %g: it must be %s %g and less than %g",
                              numbers[i].name, value, numbers[i].above ? "more than" : "at least",
                              fmax(numbers[i].least, 0), numbers[i].most);
    }
    return BERTH_OK;
}

static enum berth_status check_options(struct finetune *f, struct berth_error *err)
{
    static const char *const schedules[] = {"linear", "cosine", "constant"};
    const struct berth_finetune_options *o = f->options;
    bool known = !o->objective || strcmp(o->objective, "classify") == 0 || strcmp(o->objective, "mlm") == 0;
    if (!known)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown objective '%s'; known are classify and mlm",
                          o->objective);
    f->masked = o->objective && strcmp(o->objective, "mlm") == 0;
    if (f->masked && (o->teacher_count || o->class_weights))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a teacher and class weights are for classifiers, not for mlm");
    if (o->distill_hidden > 0 && (o->teacher_count != 1 || o->options.runtime == BERTH_RUNTIME_ONNXRUNTIME))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "hidden states are learnt from one teacher, which berth's own runtime runs");
    if (o->activation_memory && o->options.runtime == BERTH_RUNTIME_CUDA)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "activation memory of %zu bytes: runtime cuda keeps all activations; leave --activation-memory "
                          "out, and use a smaller --batch-size or --max-length where memory does not suffice",
                          o->activation_memory);
    if (!o->model || (!o->task && !f->masked) || !o->train || (!o->output && !o->dump_gradients))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a model, a task, training data and an output directory are needed");
    f->task = o->task ? berth_task_find(o->task) : NULL;
    if (o->task && !f->task)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "unknown task '%s'; known are %s", o->task,
                          berth_task_names);
    if (o->batch_size == 0 || o->batch_size > 65536 || o->gradient_accumulation_steps == 0 ||
        o->gradient_accumulation_steps > 65536 || o->seeds == 0 || o->seeds > BERTH_SEEDS_MAX)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "batch size and accumulation must be 1 to 65536, seeds 1 to %d", BERTH_SEEDS_MAX);
    size_t schedule = 0;
    while (schedule < 3 && strcmp(o->lr_scheduler, schedules[schedule]) != 0)
        schedule++;
    if (schedule == 3)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "unknown schedule '%s'; known are linear, cosine, constant", o->lr_scheduler);
    f->schedule = (enum berth_schedule)schedule;
    return check_numbers(o, err);
}

/* --- model and data ------------------------------------------------------------------------------- */

static bool is_random(const struct finetune *f)
{
    return berth_source_is_random(f->options->model);
}

static enum berth_status open_model(struct finetune *f, struct berth_error *err)
{
    const struct berth_finetune_options *o = f->options;
    struct berth_options options = o->options;
    enum berth_status status;
    options.tokenizer_only = true;
    if (o->options.runtime == BERTH_RUNTIME_ONNXRUNTIME)
        return berth_fail(err, BERTH_UNSUPPORTED, "training with runtime %s is not possible; use native or cuda",
                          berth_runtime_name(o->options.runtime));
    if (o->options.runtime == BERTH_RUNTIME_CUDA)
        BERTH_TRY(berth_gpu_open(NULL, o->options.device, &f->gpu, err));
    BERTH_TRY(berth_model_open(o->model, &options, &f->model, err));
    if (is_random(f))
        BERTH_TRY(berth_encoder_random(berth_source_preset(o->model), &f->encoder, err));
    else
        BERTH_TRY(berth_encoder_open(f->model->path, &f->encoder, err));
    if (f->model->precision != BERTH_PRECISION_FP32 && f->model->precision != BERTH_PRECISION_BF16)
        return berth_fail(err, BERTH_UNSUPPORTED, "training in %s is not possible; use fp32 or bf16",
                          berth_precision_name(f->model->precision));
    struct berth_config *config = &f->encoder->config;
    if (!is_random(f) && berth_tokenizer_vocab_size(f->model->tokenizer) > config->vocab_size)
        return berth_fail(
            err, BERTH_FORMAT,
            "%s: the vocabulary has %zu tokens, the embedding only %zu rows; they do not belong together",
            o->model, berth_tokenizer_vocab_size(f->model->tokenizer), config->vocab_size);
    if (o->options.max_length > config->max_positions)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a maximum length of %zu tokens: this model has %zu positions",
                          o->options.max_length, config->max_positions);
    if (o->hidden_dropout >= 0)
        config->hidden_dropout = o->hidden_dropout;
    if (o->attention_dropout >= 0)
        config->attention_dropout = o->attention_dropout;
    if (o->classifier_dropout >= 0)
        config->classifier_dropout = o->classifier_dropout;
    status = berth_team_new(f->model->threads, &f->team, err);
fail:
    return status;
}

static enum berth_status read_data(struct finetune *f, const char *path, struct berth_train_data *data,
                                   struct berth_error *err)
{
    const struct berth_config *config = &f->encoder->config;
    size_t length = f->model->max_length ? f->model->max_length : config->max_positions;
    const struct berth_train_source source = {
        .path = path,
        .task = f->task,
        .labels = !f->masked,
        .columns = &f->options->columns,
        .tokenizer = f->model->tokenizer,
        .max_length = berth_min(length, config->max_positions),
        .vocab = is_random(f) ? berth_tokenizer_vocab_size(f->model->tokenizer) : config->vocab_size,
        .types = f->encoder->type_embedding.elements ? config->type_vocab_size : 0,
    };
    return berth_train_data_read(&source, data, err);
}

/* --- the head ------------------------------------------------------------------------------------- */

/* A head that is still to be made is the task's: GLUE's labels, or what the training data's labels say. */
static enum berth_status decide_head(struct finetune *f, struct berth_error *err)
{
    struct berth_config *config = &f->encoder->config;
    enum berth_status status = BERTH_OK;
    if (is_random(f) || !f->encoder->has_head) {
        if (f->task->labels > 0)
            status = berth_config_set_labels(config, BERTH_PROBLEM_SINGLE_LABEL, f->task->labels,
                                             f->task->label_names, err);
        else if (f->task->metrics == BERTH_METRICS_CORRELATION)
            status = berth_config_set_labels(config, BERTH_PROBLEM_REGRESSION, 1, NULL, err);
        else
            status = berth_train_data_infer(&f->train, config, err);
    }
    if (status != BERTH_OK)
        return status;
    f->info = (struct berth_model_info){
        .name = f->options->model,
        .problem = berth_problem_name(config->problem),
        .has_head = true,
        .labels = config->labels,
        .label_names = (const char *const *)config->label_names,
    };
    return berth_label_map_init(&f->labels, f->task, &f->info, err);
}

/* n / (labels * examples of the class), as scikit-learn's "balanced"; or the numbers of a list. */
static enum berth_status weigh_classes(struct finetune *f, struct berth_error *err)
{
    const struct berth_config *config = &f->encoder->config;
    const char *text = f->options->class_weights;
    size_t labels = config->labels;
    if (!text)
        return BERTH_OK;
    if (config->problem != BERTH_PROBLEM_SINGLE_LABEL)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "class weights are for single-label classification; this is %s",
                          berth_problem_name(config->problem));
    f->class_weights = berth_calloc(labels, sizeof *f->class_weights);
    if (!f->class_weights)
        return berth_fail_memory(err, "class weights", labels * sizeof *f->class_weights);
    if (strcmp(text, "balanced") == 0) {
        for (size_t i = 0; i < f->train.count; i++)
            f->class_weights[(size_t)f->train.targets[i]]++;
        for (size_t i = 0; i < labels; i++)
            if (f->class_weights[i] > 0)
                f->class_weights[i] = (double)f->train.count / ((double)labels * f->class_weights[i]);
        return BERTH_OK;
    }
    for (size_t i = 0; i < labels; i++) {
        char *end;
        f->class_weights[i] = strtod(text, &end);
        if (end == text || !(f->class_weights[i] >= 0) || !isfinite(f->class_weights[i]) ||
            *end != (i + 1 < labels ? ',' : 0))
            return berth_fail(err, BERTH_INVALID_ARGUMENT,
                              "class weights '%s': give \"balanced\" or %zu numbers with commas between",
                              f->options->class_weights, labels);
        text = end + 1;
    }
    return BERTH_OK;
}

/* --- runs ----------------------------------------------------------------------------------------- */

static struct berth_train_job make_job(struct finetune *f)
{
    const struct berth_finetune_options *o = f->options;
    const struct berth_config *config = &f->encoder->config;
    return (struct berth_train_job){
        .options = o,
        .directory = o->output,
        .seed = o->seed,
        .source = is_random(f) ? NULL : f->model->path,
        .encoder = f->encoder,
        .tokenizer = f->model->tokenizer,
        .kernels = f->model->kernels,
        .team = f->team,
        .gpu = f->gpu,
        .train = &f->train,
        .dev = o->dev ? &f->dev : NULL,
        .labels = &f->labels,
        .loss = {.problem = config->problem,
                 .labels = config->labels,
                 .smoothing = o->label_smoothing,
                 .class_weights = f->class_weights,
                 .alpha = o->distill_alpha,
                 .temperature = o->distill_temperature,
                 .hidden = o->distill_hidden},
        .schedule = f->schedule,
        .masked = f->masked,
        .bf16 = f->model->precision == BERTH_PRECISION_BF16,
    };
}

/* Puts a seed's directory in the place of the output's files. */
static enum berth_status keep_run(const char *from, const char *to, struct berth_error *err)
{
    static const char *const files[] = {"config.json",
                                        "model.safetensors",
                                        "vocab.txt",
                                        "tokenizer_config.json",
                                        "special_tokens_map.json",
                                        "tokenizer.json",
                                        "added_tokens.json",
                                        "train_log.jsonl",
                                        "eval_log.jsonl",
                                        "eval_results.json",
                                        "training.svg"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *a = berth_path_join(from, files[i]), *b = berth_path_join(to, files[i]);
        bool ok = a && b && (!berth_path_present(a) || rename(a, b) == 0);
        berth_free(a);
        berth_free(b);
        if (!ok)
            return berth_fail(err, BERTH_IO, "%s/%s: cannot move to %s", from, files[i], to);
    }
    return BERTH_OK;
}

/* Each seed in a directory of its own; the best one's files become the output's. */
static enum berth_status run_seeds(struct finetune *f, struct berth_finetune_report *report,
                                   struct berth_error *err)
{
    const struct berth_finetune_options *o = f->options;
    struct berth_finetune_report best = {0};
    char directory[4096], best_directory[4096] = "";
    for (size_t i = 0; i < o->seeds; i++) {
        struct berth_train_job job = make_job(f);
        job.seed = o->seed + i;
        snprintf(directory, sizeof directory, "%s/seed-%zu", o->output, (size_t)job.seed);
        job.directory = directory;
        enum berth_status status = berth_train_run(&job, report, err);
        if (status != BERTH_OK)
            return status;
        if (i == 0 || report->seed_value[i] > best.seed_value[best.seeds - 1]) {
            best = *report;
            memcpy(best_directory, directory, sizeof directory);
        }
    }
    size_t seeds = report->seeds;
    double values[BERTH_SEEDS_MAX];
    memcpy(values, report->seed_value, sizeof values);
    *report = best;
    report->seeds = seeds;
    memcpy(report->seed_value, values, sizeof values);
    return keep_run(best_directory, o->output, err);
}

static enum berth_status prepare(struct finetune *f, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(check_options(f, err));
    BERTH_TRY(open_model(f, err));
    BERTH_TRY(read_data(f, f->options->train, &f->train, err));
    if (f->options->dev)
        BERTH_TRY(read_data(f, f->options->dev, &f->dev, err));
    if (f->masked)
        return BERTH_OK;
    BERTH_TRY(decide_head(f, err));
    BERTH_TRY(berth_train_data_label(&f->train, &f->labels, true, err));
    if (f->options->dev)
        BERTH_TRY(berth_train_data_label(&f->dev, &f->labels, false, err));
    BERTH_TRY(weigh_classes(f, err));
    if (f->options->teacher_count)
        BERTH_TRY(berth_teacher_ask(f->options, &f->info, f->encoder->config.hidden_size, &f->train, err));
fail:
    return status;
}

enum berth_status berth_finetune(const struct berth_finetune_options *options,
                                 struct berth_finetune_report *report, struct berth_error *err)
{
    struct finetune f = {.options = options};
    struct berth_error unwanted;
    if (!err)
        err = &unwanted;
    *report = (struct berth_finetune_report){0};
    enum berth_status status = prepare(&f, err);
    if (status == BERTH_OK) {
        const struct berth_train_job job = make_job(&f);
        status = options->dump_gradients ? berth_train_dump(&job, &report->loss, err)
                 : options->seeds > 1    ? run_seeds(&f, report, err)
                                         : berth_train_run(&job, report, err);
    }
    berth_free(f.class_weights);
    berth_train_data_clear(&f.train);
    berth_train_data_clear(&f.dev);
    berth_label_map_clear(&f.labels);
    berth_encoder_free(f.encoder);
    berth_team_free(f.team);
    berth_gpu_close(f.gpu);
    berth_model_free(f.model);
    return status;
}
