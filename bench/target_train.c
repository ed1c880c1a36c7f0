/* target_train.c: the steps of `berth finetune`, without its files, on data that stay in memory. */
#include "target_train.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "formats/glue.h"
#include "train/loss.h"
#include "train/optimizer.h"
#include "train/order.h"

enum { VOCAB = 30522, LABELS = 2, STEPS_MOST = 100000 };

struct target_trainee {
    const struct berth_train_data *data;
    size_t batch, step, epoch;
    struct berth_encoder *encoder;
    struct berth_team *team;
    struct berth_weights *weights;
    struct berth_network *network;
    struct berth_optimizer *optimizer;
    struct berth_train_window window;
    size_t *rows, *scratch;
    float *dlogits;
};

/* --- data -------------------------------------------------------------------------------------------------
 */

bool target_train_random(struct target_run *run, size_t texts, size_t length, struct berth_train_data *data)
{
    *data = (struct berth_train_data){.count = texts, .width = 1, .longest = length};
    data->offsets = berth_calloc(texts + 1, sizeof *data->offsets);
    data->ids = berth_calloc(texts * length, sizeof *data->ids);
    data->types = berth_calloc(texts * length, 1);
    data->targets = berth_calloc(texts, sizeof *data->targets);
    if (!data->offsets || !data->ids || !data->types || !data->targets)
        return false;
    for (size_t i = 0; i < texts; i++) {
        data->offsets[i + 1] = (i + 1) * length;
        data->targets[i] = (double)berth_rng_below(&run->rng, LABELS);
    }
    for (size_t i = 0; i < texts * length; i++)
        data->ids[i] = (int32_t)(1000 + berth_rng_below(&run->rng, VOCAB - 1000));
    return true;
}

bool target_train_sst2(struct target_run *run, struct berth_train_data *data, char why[TARGET_WHY_SIZE])
{
    char vocab[TARGET_PATH_SIZE], texts[TARGET_PATH_SIZE];
    struct berth_error err = {0};
    snprintf(vocab, sizeof vocab, "%s/data/vocab/bert-base-uncased-vocab.txt", run->data);
    snprintf(texts, sizeof texts, "%s/data/sst2/train.tsv", run->data);
    *data = (struct berth_train_data){0};
    struct berth_tokenizer *tokenizer = NULL;
    const struct berth_columns columns = {0};
    enum berth_status status = berth_tokenizer_open_vocab(vocab, NULL, &tokenizer, &err);
    if (status == BERTH_OK)
        status = berth_train_data_read(&(struct berth_train_source){.path = texts,
                                                                    .task = berth_task_find("sst2"),
                                                                    .labels = true,
                                                                    .columns = &columns,
                                                                    .tokenizer = tokenizer,
                                                                    .max_length = 128,
                                                                    .vocab = VOCAB,
                                                                    .types = 2},
                                       data, &err);
    berth_tokenizer_free(tokenizer);
    if (status == BERTH_OK) {
        data->targets = berth_calloc(data->count, sizeof *data->targets);
        data->width = 1;
        for (size_t i = 0; data->targets && i < data->count; i++) /* speed does not ask for the real ones */
            data->targets[i] = (double)berth_rng_below(&run->rng, LABELS);
    }
    snprintf(why, TARGET_WHY_SIZE, "%s", err.message);
    return status == BERTH_OK && data->targets;
}

bool target_train_write(const struct berth_train_data *data, size_t texts, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        return false;
    for (size_t i = 0; i < texts; i++)
        for (size_t at = data->offsets[i]; at < data->offsets[i + 1]; at++)
            fprintf(file, "%" PRId32 "%c", data->ids[at], at + 1 < data->offsets[i + 1] ? ' ' : '\n');
    return fclose(file) == 0;
}

/* --- steps ------------------------------------------------------------------------------------------------
 */

static enum berth_status open_trainee(struct target_trainee *t, const char *preset, size_t threads,
                                      struct berth_error *err)
{
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    const struct berth_kernels *kernels = berth_kernels_select(cpu.best);
    const struct berth_network_bounds bounds = berth_order_bounds(t->data, t->batch);
    const struct berth_optimizer_options options = {.learning_rate = 5e-5,
                                                    .weight_decay = 0.01,
                                                    .beta1 = 0.9,
                                                    .beta2 = 0.999,
                                                    .epsilon = 1e-8,
                                                    .max_grad_norm = 1,
                                                    .schedule = BERTH_SCHEDULE_CONSTANT,
                                                    .total_steps = STEPS_MOST,
                                                    .layer_decay = 1};
    enum berth_status status;
    BERTH_TRY(berth_encoder_random(preset, &t->encoder, err));
    BERTH_TRY(berth_team_new(threads, &t->team, err));
    BERTH_TRY(berth_weights_new(t->encoder,
                                &(struct berth_weights_options){.labels = LABELS, .vocab = VOCAB, .seed = 1},
                                kernels, &t->weights, err));
    BERTH_TRY(berth_network_new(t->encoder, t->weights, kernels, t->team, &bounds, &t->network, err));
    BERTH_TRY(berth_train_window_init(&t->window, bounds.texts, bounds.tokens, 1, LABELS, 0, err));
    BERTH_TRY(berth_optimizer_new(&options, t->weights, &t->optimizer, err));
    t->dlogits = berth_calloc(bounds.texts * LABELS, sizeof *t->dlogits);
    t->rows = berth_calloc(t->data->count, sizeof *t->rows);
    t->scratch = berth_calloc(t->data->count, sizeof *t->scratch);
    if (!t->dlogits || !t->rows || !t->scratch)
        return berth_fail_memory(err, "the order of examples", t->data->count * sizeof *t->rows);
    t->epoch = SIZE_MAX;
fail:
    return status;
}

struct target_trainee *target_trainee_new(const char *preset, const struct berth_train_data *data,
                                          size_t batch, size_t threads, char why[TARGET_WHY_SIZE])
{
    struct berth_error err = {0};
    struct target_trainee *trainee = berth_calloc(1, sizeof *trainee);
    if (!trainee)
        return NULL;
    trainee->data = data;
    trainee->batch = batch;
    if (open_trainee(trainee, preset, threads, &err) == BERTH_OK)
        return trainee;
    snprintf(why, TARGET_WHY_SIZE, "%s", err.message);
    target_trainee_free(trainee);
    return NULL;
}

void target_trainee_free(struct target_trainee *trainee)
{
    if (!trainee)
        return;
    berth_train_window_clear(&trainee->window);
    berth_optimizer_free(trainee->optimizer);
    berth_network_free(trainee->network);
    berth_weights_free(trainee->weights);
    berth_team_free(trainee->team);
    berth_encoder_free(trainee->encoder);
    berth_free(trainee->dlogits);
    berth_free(trainee->rows);
    berth_free(trainee->scratch);
    berth_free(trainee);
}

static void take_batch(struct target_trainee *t)
{
    const size_t batches = t->data->count / t->batch, epoch = t->step / batches;
    if (epoch != t->epoch)
        berth_order_fill(t->rows, t->scratch, t->data, BERTH_ORDER_SHUFFLED, t->batch, 1, epoch);
    t->epoch = epoch;
    berth_train_window_fill(&t->window, t->data, t->rows + t->step % batches * t->batch, t->batch, LABELS);
}

static bool take_step(struct target_trainee *t)
{
    static const struct berth_loss loss = {.problem = BERTH_PROBLEM_SINGLE_LABEL, .labels = LABELS};
    const struct berth_train_rates rates = {
        .hidden = 0.1, .attention = 0.1, .classifier = 0.1, .seed = 1, .step = t->step};
    const struct berth_train_batch *batch = &t->window.batch;
    struct berth_step_report report;
    take_batch(t);
    berth_optimizer_touch(t->optimizer, &t->network->crew, batch->ids, batch->offsets[batch->texts]);
    berth_network_forward(t->network, batch, &rates);
    const double value =
        berth_loss_of(&loss, t->dlogits, t->network->logits, t->window.targets, NULL, batch->texts, 1);
    berth_network_backward(t->network, t->dlogits);
    t->step++;
    return isfinite(value) &&
           berth_optimizer_step(t->optimizer, &t->network->crew, &report, NULL) == BERTH_OK;
}

bool target_trainee_run(void *context)
{
    const struct target_training *training = context;
    training->trainee->network->bf16 = training->bf16;
    for (size_t i = 0; i < training->steps; i++)
        if (training->trainee->step == STEPS_MOST || !take_step(training->trainee))
            return false;
    return true;
}

/* --- memory -----------------------------------------------------------------------------------------------
 */

double target_peak_memory(void)
{
    char line[128];
    double kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "VmHWM: %lf", &kilobytes) == 1)
            break;
    if (file)
        fclose(file);
    return kilobytes * 1024;
}

void target_peak_reset(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file)
        return;
    fputs("5", file);
    fclose(file);
}
