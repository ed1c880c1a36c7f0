/* trainer.c: one run, step by step. What a step does depends on its number, the seed and the data alone, so
 * that a run resumed at any saved step goes on with the same bits. */
#include "train/trainer.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/error.h"
#include "train/curves.h"
#include "train/journal.h"
#include "train/order.h"
#include "train/output.h"
#include "train/state.h"

struct run {
    const struct berth_train_job *job;
    const struct berth_finetune_options *options;
    struct berth_weights *weights;
    struct berth_train_engine *engine;
    struct berth_train_window window;
    struct berth_masking masking; /* of masked-language training */
    struct berth_output output;
    struct berth_journal log, eval_log;
    struct berth_train_state state;
    struct berth_evaluation best; /* of the weights in model.safetensors */
    float *dlogits;               /* [batch, labels] */
    float *dfirst;                /* [batch, hidden], with a teacher's hidden states; else NULL */
    size_t *rows, *scratch;       /* [train->count] the epoch's order, and for making one */
    size_t *dev_rows, *dev_scratch;
    size_t epoch;              /* that rows are of; SIZE_MAX: none */
    size_t per_epoch;          /* batches */
    size_t steps_epoch, steps; /* updates of an epoch, of the run */
    double last_value;         /* of the deciding metric */
    uint64_t started, line_started;
    size_t examples, line_examples; /* since those */
    double step_loss;
};

/* --- life ----------------------------------------------------------------------------------------- */

static size_t divide_up(size_t n, size_t by)
{
    return (n + by - 1) / by;
}

/* As Hugging Face's trainer counts them: an epoch has its batches / accumulation updates, rounded down. */
static void count_steps(struct run *run)
{
    const struct berth_finetune_options *options = run->options;
    run->per_epoch = divide_up(run->job->train->count, options->batch_size);
    run->steps_epoch = berth_max(run->per_epoch / options->gradient_accumulation_steps, 1);
    double steps = ceil(options->epochs * (double)run->steps_epoch);
    run->steps = options->max_steps ? options->max_steps : (size_t)fmax(1, fmin(steps, 4e9));
}

static uint64_t mix_bytes(uint64_t hash, const void *bytes, size_t size)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, berth_min(8, size - i));
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

/* Of all that decides the weights. */
static uint64_t fingerprint(const struct run *run)
{
    const struct berth_finetune_options *o = run->options;
    const struct berth_train_data *data = run->job->train;
    const double numbers[] = {o->learning_rate,       o->weight_decay,       o->adam_beta1,
                              o->adam_beta2,          o->adam_epsilon,       o->max_grad_norm,
                              o->layer_decay,         o->label_smoothing,    o->hidden_dropout,
                              o->attention_dropout,   o->classifier_dropout, o->distill_alpha,
                              o->distill_temperature, o->distill_hidden,     o->word_dropout};
    const size_t counts[] = {run->steps,
                             o->batch_size,
                             o->gradient_accumulation_steps,
                             o->freeze_layers,
                             o->eval_steps,
                             o->save_steps,
                             o->no_shuffle,
                             o->group_by_length,
                             o->freeze_embeddings,
                             run->job->schedule,
                             run->engine->options.warmup_steps,
                             (size_t)run->job->seed,
                             o->early_stopping_patience,
                             run->job->bf16,
                             run->job->gpu != NULL};
    uint64_t hash = mix_bytes(1, numbers, sizeof numbers);
    hash = mix_bytes(hash, counts, sizeof counts);
    hash = mix_bytes(hash, data->offsets, (data->count + 1) * sizeof *data->offsets);
    hash = mix_bytes(hash, data->ids, data->offsets[data->count] * sizeof *data->ids);
    hash = mix_bytes(hash, data->targets, data->count * data->width * sizeof *data->targets);
    if (data->teacher)
        hash = mix_bytes(hash, data->teacher, data->count * run->weights->labels * sizeof *data->teacher);
    if (data->states)
        hash = mix_bytes(hash, data->states, data->count * data->hidden * sizeof *data->states);
    return mix_bytes(hash, run->weights->value, run->weights->total * sizeof(float));
}

static struct berth_optimizer_options optimizer_options(const struct run *run)
{
    const struct berth_finetune_options *options = run->options;
    return (struct berth_optimizer_options){
        .learning_rate = options->learning_rate,
        .weight_decay = options->weight_decay,
        .beta1 = options->adam_beta1,
        .beta2 = options->adam_beta2,
        .epsilon = options->adam_epsilon,
        .max_grad_norm = options->max_grad_norm,
        .schedule = run->job->schedule,
        .warmup_steps = options->warmup_steps ? options->warmup_steps
                                              : (size_t)ceil(options->warmup_ratio * (double)run->steps),
        .total_steps = run->steps,
        .layer_decay = options->layer_decay,
        .freeze_layers = options->freeze_layers,
        .freeze_embedding = options->freeze_embeddings,
    };
}

static enum berth_status open_run(struct run *run, struct berth_error *err)
{
    const struct berth_train_job *job = run->job;
    enum berth_status status;
    struct berth_network_bounds bounds = berth_order_bounds(job->train, run->options->batch_size);
    size_t width = job->train->width, labels = job->loss.labels, hidden = job->train->hidden;
    const struct berth_weights_options made = {.labels = labels,
                                               .vocab = berth_tokenizer_vocab_size(job->tokenizer),
                                               .seed = job->seed,
                                               .masked = job->masked};
    if (job->dev) {
        bounds.longest = berth_max(bounds.longest, job->dev->longest);
        bounds.tokens = berth_max(bounds.tokens, job->dev->longest);
        bounds.pairs = berth_max(bounds.pairs, berth_network_pairs(job->dev->longest));
    }
    bounds.memory = run->options->activation_memory;
    count_steps(run);
    BERTH_TRY(berth_weights_new(job->encoder, &made, job->kernels, &run->weights, err));
    const struct berth_optimizer_options options = optimizer_options(run);
    BERTH_TRY(job->gpu ? berth_train_engine_cuda(job->gpu, job->encoder, run->weights, &bounds, job->bf16, hidden > 0,
                                                 &options, &run->engine, err)
                       : berth_train_engine_native(job->encoder, run->weights, job->kernels, job->team, &bounds,
                                                   job->bf16, &options, &run->engine, err));
    if (job->masked)
        BERTH_TRY(berth_masking_init(&run->masking, job->tokenizer, run->weights->vocab, bounds.tokens, err));
    BERTH_TRY(berth_train_window_init(&run->window, bounds.texts, bounds.tokens, width, labels, hidden, err));
    run->dlogits = berth_calloc(bounds.texts * labels, sizeof *run->dlogits);
    run->dfirst = hidden ? berth_calloc(bounds.texts * hidden, sizeof *run->dfirst) : NULL;
    run->rows = berth_calloc(job->train->count, sizeof *run->rows);
    run->scratch = berth_calloc(job->train->count, sizeof *run->scratch);
    run->dev_rows = berth_calloc(job->dev ? job->dev->count : 1, sizeof *run->dev_rows);
    run->dev_scratch = berth_calloc(job->dev ? job->dev->count : 1, sizeof *run->dev_scratch);
    if (!run->dlogits || (hidden && !run->dfirst) || !run->rows || !run->scratch || !run->dev_rows ||
        !run->dev_scratch)
        return berth_fail_memory(err, "the order of examples", job->train->count * 2 * sizeof *run->rows);
    run->epoch = SIZE_MAX;
    run->output = (struct berth_output){.directory = job->directory,
                                        .source = job->source,
                                        .own_vocab = run->options->options.vocab != NULL,
                                        .encoder = job->encoder,
                                        .weights = run->weights,
                                        .tokenizer = job->tokenizer};
fail:
    return status;
}

static void close_run(struct run *run)
{
    berth_journal_close(&run->log);
    berth_journal_close(&run->eval_log);
    berth_train_window_clear(&run->window);
    berth_masking_clear(&run->masking);
    berth_train_engine_free(run->engine);
    berth_weights_free(run->weights);
    berth_free(run->dlogits);
    berth_free(run->dfirst);
    berth_free(run->rows);
    berth_free(run->scratch);
    berth_free(run->dev_rows);
    berth_free(run->dev_scratch);
}

/* --- one step ------------------------------------------------------------------------------------- */

/* Batch number `index` of the run into the window. */
static void take_batch(struct run *run, size_t index)
{
    const struct berth_finetune_options *options = run->options;
    const struct berth_train_data *data = run->job->train;
    size_t epoch = index / run->per_epoch, first = index % run->per_epoch * options->batch_size;
    if (epoch != run->epoch) {
        enum berth_order_kind kind = options->no_shuffle        ? BERTH_ORDER_FILE
                                     : options->group_by_length ? BERTH_ORDER_BY_LENGTH
                                                                : BERTH_ORDER_SHUFFLED;
        berth_order_fill(run->rows, run->scratch, data, kind, options->batch_size, run->job->seed, epoch);
        run->epoch = epoch;
    }
    berth_train_window_fill(&run->window, data, run->rows + first,
                            berth_min(options->batch_size, data->count - first), run->job->loss.labels);
}

/* The loss of a classifier's batch, with its gradient. */
static double classifier_loss(struct run *run, size_t texts, double scale)
{
    const struct berth_loss *loss = &run->job->loss;
    const struct berth_train_data *data = run->job->train;
    const struct berth_train_engine *engine = run->engine;
    double sum = berth_loss_of(loss, run->dlogits, engine->logits, run->window.targets,
                               data->teacher ? run->window.teacher : NULL, texts, scale);
    if (run->dfirst)
        sum += berth_loss_of_states(loss->hidden, run->dfirst, engine->first, run->window.states, texts,
                                    data->hidden, scale);
    return sum;
}

/* Forward and backward of one batch, its gradient times `scale`. A loss that is not finite goes no further. */
static enum berth_status learn(struct run *run, size_t index, double scale, double *loss, struct berth_error *err)
{
    const struct berth_config *config = &run->job->encoder->config;
    const struct berth_train_rates rates = {.hidden = config->hidden_dropout,
                                            .attention = config->attention_dropout,
                                            .classifier = config->classifier_dropout,
                                            .seed = run->job->seed,
                                            .step = index};
    struct berth_train_engine *engine = run->engine;
    struct berth_train_batch *batch = &run->window.batch;
    enum berth_status status;
    size_t right = 0;
    take_batch(run, index);
    if (run->job->masked)
        berth_masking_apply(&run->masking, batch, run->window.ids, run->job->seed, index);
    else if (run->options->word_dropout > 0)
        berth_masking_drop(run->job->tokenizer, run->window.ids, batch->offsets[batch->texts],
                           run->options->word_dropout, run->job->seed, index);
    BERTH_TRY(engine->calls->forward(engine, batch, &rates, err));
    if (run->job->masked)
        BERTH_TRY(engine->calls->masked_loss(engine, run->masking.words, scale, loss, &right, err));
    else
        *loss = classifier_loss(run, batch->texts, scale);
    if (isfinite(*loss))
        BERTH_TRY(engine->calls->backward(engine, run->job->masked ? NULL : run->dlogits, run->dfirst, err));
    run->examples += batch->texts;
fail:
    return status;
}

static const char *last_checkpoint(const struct run *run, char *text, size_t size)
{
    if (run->state.best_step)
        snprintf(text, size, "the best weights so far, of step %zu, are in %s", run->state.best_step,
                 run->job->directory);
    else
        snprintf(text, size, "no checkpoint was written yet");
    return text;
}

static enum berth_status refuse_divergence(const struct run *run, double loss, struct berth_error *err)
{
    char kept[256];
    return berth_fail(err, BERTH_LIMIT,
                      "step %zu: the loss is %f: training diverged; try a smaller --learning-rate or more "
                      "--warmup-steps (%s)",
                      run->engine->step + 1, loss, last_checkpoint(run, kept, sizeof kept));
}

static enum berth_status run_step(struct run *run, struct berth_step_report *report, struct berth_error *err)
{
    size_t accumulated = run->options->gradient_accumulation_steps,
           first = run->engine->step * accumulated;
    enum berth_status status;
    double sum = 0;
    for (size_t i = 0; i < accumulated; i++) {
        double loss;
        BERTH_TRY(learn(run, first + i, 1 / (double)accumulated, &loss, err));
        if (!isfinite(loss))
            return refuse_divergence(run, loss, err);
        sum += loss;
    }
    run->step_loss = sum / (double)accumulated;
    BERTH_TRY(run->engine->calls->update(run->engine, report, err));
    run->state.step = run->engine->step;
    run->state.loss_sum += run->step_loss;
    run->state.loss_count++;
fail:
    return status;
}

/* --- between steps -------------------------------------------------------------------------------- */

static double seconds_since(uint64_t start)
{
    return (double)(berth_clock_ns() - start) / 1e9;
}

static double epochs_done(const struct run *run)
{
    return (double)run->state.step / (double)run->steps_epoch;
}

static enum berth_status write_line(struct run *run, const struct berth_step_report *report,
                                    struct berth_error *err)
{
    double seconds = seconds_since(run->line_started);
    double rate = seconds > 0 ? (double)(run->examples - run->line_examples) / seconds : 0;
    json_t *line =
        json_pack("{s:I, s:f, s:f, s:f, s:f, s:f}", "step", (json_int_t)run->state.step, "epoch",
                  epochs_done(run), "loss", run->state.loss_sum / (double)run->state.loss_count,
                  "learning_rate", report->rate, "grad_norm", report->norm, "examples_per_second", rate);
    run->state.loss_sum = 0;
    run->state.loss_count = 0;
    run->line_started = berth_clock_ns();
    run->line_examples = run->examples;
    return berth_journal_write(&run->log, line, err);
}

static json_t *evaluation_line(const struct run *run, const struct berth_evaluation *evaluation)
{
    json_t *line = json_pack("{s:I, s:f, s:f}", "step", (json_int_t)run->state.step, "epoch",
                             epochs_done(run), "eval_loss", evaluation->loss);
    for (size_t i = 0; i < evaluation->metrics && line; i++) {
        char name[64];
        double value = evaluation->metric[i].value;
        snprintf(name, sizeof name, "eval_%s", evaluation->metric[i].name);
        json_object_set_new(line, name, isfinite(value) ? json_real(value) : json_null());
    }
    return line;
}

/* The metric that decides: the first; an undefined one is worse than any. */
static double deciding(const struct berth_evaluation *evaluation)
{
    double value = evaluation->metrics ? evaluation->metric[0].value : NAN;
    return isfinite(value) ? value : -INFINITY;
}

static enum berth_status write_results(struct run *run, struct berth_error *err)
{
    char *text = berth_evaluation_json(&run->best);
    if (!text)
        return berth_fail_memory(err, "eval_results.json", 0);
    size_t size = strlen(text);
    text[size] = '\n'; /* in place of the NUL */
    enum berth_status status =
        berth_output_text(run->job->directory, "eval_results.json", text, size + 1, err);
    berth_memory_free(text);
    return status;
}

static enum berth_status measure(struct run *run, struct berth_evaluation *evaluation,
                                 struct berth_error *err)
{
    const struct berth_train_job *job = run->job;
    if (job->masked)
        return berth_train_evaluate_masked(run->engine, &run->window, &run->masking, job->dev, run->dev_rows,
                                           run->dev_scratch, evaluation, err);
    return berth_train_evaluate(run->engine, &run->window, job->dev, job->labels, run->dev_rows,
                                run->dev_scratch, evaluation, err);
}

/* The weights as they are now, into the directory. */
static enum berth_status write_weights(struct run *run, struct berth_error *err)
{
    enum berth_status status = run->engine->calls->read(run->engine, BERTH_TRAIN_VALUES, err);
    return status == BERTH_OK ? berth_output_weights(&run->output, err) : status;
}

static enum berth_status evaluate(struct run *run, struct berth_error *err)
{
    struct berth_evaluation evaluation;
    uint64_t start = berth_clock_ns();
    enum berth_status status = run->engine->calls->settle(run->engine, err);
    if (status == BERTH_OK)
        status = measure(run, &evaluation, err);
    if (status == BERTH_OK)
        status = berth_journal_write(&run->eval_log, evaluation_line(run, &evaluation), err);
    if (status != BERTH_OK)
        return status;
    run->last_value = deciding(&evaluation);
    run->state.behind++;
    if (run->state.best_step == 0 || run->last_value > run->state.best) {
        run->state.best = run->last_value;
        run->state.best_step = run->state.step;
        run->state.behind = 0;
        run->best = evaluation;
        status = write_weights(run, err);
        if (status == BERTH_OK)
            status = write_results(run, err);
    }
    run->line_started += berth_clock_ns() - start; /* is not training */
    run->started += berth_clock_ns() - start;
    return status;
}

static enum berth_status save(struct run *run, struct berth_error *err)
{
    uint64_t start = berth_clock_ns();
    enum berth_status status = run->engine->calls->read(run->engine, BERTH_TRAIN_VALUES, err);
    if (status == BERTH_OK && !run->job->dev) {
        run->state.best_step = run->state.step;
        status = berth_output_weights(&run->output, err);
    }
    if (status == BERTH_OK)
        status = run->engine->calls->read(run->engine, BERTH_TRAIN_MOMENTS, err);
    if (status == BERTH_OK)
        status = berth_train_state_write(run->job->directory, &run->state, run->engine, err);
    run->line_started += berth_clock_ns() - start;
    return status;
}

static enum berth_status tell(struct run *run, struct berth_error *err)
{
    const struct berth_finetune_options *options = run->options;
    if (!options->progress)
        return BERTH_OK;
    double seconds = seconds_since(run->started);
    struct berth_finetune_progress progress = {
        .step = run->state.step,
        .steps = run->steps,
        .loss = run->state.loss_count ? run->state.loss_sum / (double)run->state.loss_count : run->step_loss,
        .examples_per_second = seconds > 0 ? (double)run->examples / seconds : 0,
        .metric =
            run->state.best_step && run->job->dev && run->best.metrics ? run->best.metric[0].name : NULL,
        .value = run->last_value,
        .best = run->state.best,
    };
    if (options->progress(options->progress_context, &progress))
        return BERTH_OK;
    return berth_fail(
        err, BERTH_CANCELLED,
        "stopped at step %zu of %zu; the same command with --resume goes on from the state that "
        "was saved last",
        run->state.step, run->steps);
}

/* --- the run -------------------------------------------------------------------------------------- */

static enum berth_status begin(struct run *run, struct berth_error *err)
{
    enum berth_status status;
    bool found = false;
    run->state.fingerprint = fingerprint(run);
    BERTH_TRY(berth_output_begin(&run->output, err));
    if (run->options->resume)
        BERTH_TRY(berth_train_state_read(run->job->directory, run->state.fingerprint, &run->state,
                                         run->engine, &found, err));
    else
        berth_train_state_remove(run->job->directory);
    BERTH_TRY(berth_journal_open(&run->log, run->job->directory, "train_log.jsonl", run->state.step, err));
    if (run->job->dev)
        BERTH_TRY(
            berth_journal_open(&run->eval_log, run->job->directory, "eval_log.jsonl", run->state.step, err));
    run->last_value = NAN;
    run->started = run->line_started = berth_clock_ns();
fail:
    return status;
}

static bool is_due(size_t step, size_t interval)
{
    return interval > 0 && step % interval == 0;
}

static enum berth_status train(struct run *run, struct berth_finetune_report *report, struct berth_error *err)
{
    const struct berth_finetune_options *options = run->options;
    size_t eval_steps = options->eval_steps ? options->eval_steps : run->steps_epoch;
    enum berth_status status = BERTH_OK;
    while (run->state.step < run->steps && !report->stopped_early) {
        struct berth_step_report step;
        BERTH_TRY(run_step(run, &step, err));
        bool last = run->state.step == run->steps;
        if (last || is_due(run->state.step, options->logging_steps))
            BERTH_TRY(write_line(run, &step, err));
        if (run->job->dev && (last || is_due(run->state.step, eval_steps))) {
            BERTH_TRY(evaluate(run, err));
            report->stopped_early = !last && options->early_stopping_patience > 0 &&
                                    run->state.behind >= options->early_stopping_patience;
        }
        if (!last && is_due(run->state.step, options->save_steps))
            BERTH_TRY(save(run, err));
        BERTH_TRY(tell(run, err));
    }
fail:
    return status;
}

/* The best weights, whose evaluation a resumed run may not have seen. */
static enum berth_status finish(struct run *run, struct berth_finetune_report *report,
                                struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    if (!run->job->dev) {
        run->state.best_step = run->state.step;
        status = write_weights(run, err);
        if (status != BERTH_OK)
            return status;
    }
    status = berth_curves_write(run->job->directory, run->job->dev ? run->best.metric[0].name : NULL, err);
    if (status != BERTH_OK)
        return status;
    double seconds = seconds_since(run->started);
    report->steps = run->state.step;
    report->best_step = run->state.best_step;
    report->loss = run->step_loss;
    report->seconds = seconds;
    report->examples_per_second = seconds > 0 ? (double)run->examples / seconds : 0;
    report->evaluated = run->job->dev != NULL;
    report->evaluation = run->best;
    report->activation_bytes = run->engine->activation_bytes;
    report->recomputed_layers = run->engine->recomputed_layers;
    report->seed_value[report->seeds++] = run->state.best;
    berth_train_state_remove(run->job->directory);
    return status;
}

enum berth_status berth_train_run(const struct berth_train_job *job, struct berth_finetune_report *report,
                                  struct berth_error *err)
{
    struct run run = {.job = job, .options = job->options};
    enum berth_status status = open_run(&run, err);
    report->stopped_early = false;
    if (status == BERTH_OK)
        status = begin(&run, err);
    if (status == BERTH_OK)
        status = train(&run, report, err);
    if (status == BERTH_OK)
        status = finish(&run, report, err);
    close_run(&run);
    return status;
}

enum berth_status berth_train_dump(const struct berth_train_job *job, double *loss, struct berth_error *err)
{
    struct run run = {.job = job, .options = job->options};
    enum berth_status status;
    char text[32];
    BERTH_TRY(open_run(&run, err));
    BERTH_TRY(learn(&run, 0, 1, loss, err));
    if (!isfinite(*loss)) {
        status = refuse_divergence(&run, *loss, err);
        goto fail;
    }
    snprintf(text, sizeof text, "%.9g", *loss);
    BERTH_TRY(run.engine->calls->read(run.engine, BERTH_TRAIN_GRADIENTS, err));
    BERTH_TRY(berth_weights_write(run.weights, run.weights->grad, job->options->dump_gradients,
                                  (const char *const[]){"format", "pt", "loss", text, NULL}, err));
fail:
    close_run(&run);
    return status;
}
