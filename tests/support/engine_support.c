/* engine_support.c: see engine_support.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/engine_support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"

void support_runner_open(struct support_runner *runner, struct berth_encoder *encoder, enum berth_isa isa,
                         size_t threads, size_t max_tokens)
{
    support_runner_open_as(runner, encoder, BERTH_NUMBER_F32, isa, threads, max_tokens);
}

void support_runner_open_as(struct support_runner *runner, struct berth_encoder *encoder,
                            enum berth_number number, enum berth_isa isa, size_t threads, size_t max_tokens)
{
    const struct berth_plan_options options = {.number = number};
    struct berth_error err;
    struct berth_team *team = NULL;
    *runner = (struct support_runner){0};
    if (berth_team_new(threads, &team, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    enum berth_status status =
        berth_plan_new(encoder, berth_kernels_select(isa), &options, team, &runner->plan, &err);
    berth_team_free(team);
    if (status != BERTH_OK)
        fail_msg("%s", err.message);
    if (berth_engine_new(runner->plan, threads, max_tokens, 0, &runner->engine, &err) != BERTH_OK)
        fail_msg("%s", err.message);
}

void support_runner_close(struct support_runner *runner)
{
    berth_engine_free(runner->engine);
    berth_plan_free(runner->plan);
    *runner = (struct support_runner){0};
}

enum berth_isa support_best_isa(void)
{
    struct berth_cpu cpu;
    berth_cpu_detect(&cpu);
    return cpu.best;
}

/* --- batches -------------------------------------------------------------------------------------- */

static void allocate_batch(struct support_batch *batch, size_t texts, size_t tokens)
{
    *batch = (struct support_batch){0};
    batch->offsets = calloc(texts + 1, sizeof *batch->offsets);
    batch->ids = calloc(tokens, sizeof *batch->ids);
    batch->positions = calloc(tokens, sizeof *batch->positions);
    batch->types = calloc(tokens, sizeof *batch->types);
    batch->source = calloc(tokens, sizeof *batch->source);
    assert_true(batch->offsets && batch->ids && batch->positions && batch->types && batch->source);
    batch->batch = (struct berth_batch){.texts = texts,
                                        .offsets = batch->offsets,
                                        .ids = batch->ids,
                                        .type_ids = batch->types,
                                        .positions = batch->positions};
}

void support_batch_from_json(struct support_batch *batch, const json_t *golden)
{
    const json_t *ids = json_object_get(golden, "input_ids"),
                 *types = json_object_get(golden, "token_type_ids"),
                 *mask = json_object_get(golden, "attention_mask");
    size_t texts = json_array_size(ids), width = json_array_size(json_array_get(ids, 0)), n = 0;
    allocate_batch(batch, texts, texts * width);
    batch->width = width;
    for (size_t i = 0; i < texts; i++) {
        for (size_t t = 0; t < width; t++) {
            if (!json_integer_value(json_array_get(json_array_get(mask, i), t)))
                continue;
            batch->ids[n] = (int32_t)json_integer_value(json_array_get(json_array_get(ids, i), t));
            batch->types[n] = (uint8_t)json_integer_value(json_array_get(json_array_get(types, i), t));
            batch->positions[n] = (int32_t)t;
            batch->source[n++] = i * width + t;
        }
        batch->offsets[i + 1] = n;
    }
}

void support_batch_random(struct support_batch *batch, const size_t *lengths, size_t texts, size_t vocab,
                          unsigned seed)
{
    size_t tokens = 0;
    for (size_t i = 0; i < texts; i++)
        tokens += lengths[i];
    allocate_batch(batch, texts, tokens);
    for (size_t i = 0, n = 0; i < texts; i++) {
        struct berth_rng rng;
        berth_rng_seed(&rng, seed + i);
        for (size_t t = 0; t < lengths[i]; t++, n++) {
            batch->ids[n] = (int32_t)berth_rng_below(&rng, vocab);
            batch->types[n] = (uint8_t)(t > lengths[i] / 2);
            batch->positions[n] = (int32_t)t;
        }
        batch->offsets[i + 1] = n;
    }
}

void support_batch_clear(struct support_batch *batch)
{
    free(batch->offsets);
    free(batch->ids);
    free(batch->positions);
    free(batch->types);
    free(batch->source);
    *batch = (struct support_batch){0};
}

/* --- numbers -------------------------------------------------------------------------------------- */

double support_distance(const float *got, const double *want, size_t count)
{
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        double error = fabs((double)got[i] - want[i]);
        if (!(error <= largest))
            largest = isnan(error) ? INFINITY : error;
    }
    return largest;
}

static size_t flatten(const json_t *value, double *out)
{
    if (!json_is_array(value)) {
        if (out)
            *out = json_number_value(value);
        return 1;
    }
    size_t count = 0;
    for (size_t i = 0; i < json_array_size(value); i++)
        count += flatten(json_array_get(value, i), out ? out + count : NULL);
    return count;
}

size_t support_numbers(const json_t *array, double **values)
{
    size_t count = flatten(array, NULL);
    *values = calloc(count ? count : 1, sizeof **values);
    assert_non_null(*values);
    return flatten(array, *values);
}

/* --- tiny models ---------------------------------------------------------------------------------- */

static void add_tensor(struct support_model *model, const char *name, size_t rows, size_t columns)
{
    assert_true(model->count < SUPPORT_TENSORS);
    struct support_tensor *tensor = &model->tensors[model->count];
    assert_true(strlen(name) < sizeof tensor->name);
    strcpy(tensor->name, name);
    tensor->rank = columns ? 2 : 1;
    tensor->shape[0] = rows;
    tensor->shape[1] = columns;
    size_t elements = rows * (columns ? columns : 1);
    tensor->data = calloc(elements, sizeof(float));
    assert_non_null(tensor->data);
    struct berth_rng rng;
    berth_rng_seed(&rng, model->count++);
    bool scale = strstr(name, "LayerNorm.weight") != NULL;
    for (size_t i = 0; i < elements; i++)
        tensor->data[i] = (float)(scale ? 1 + 0.1 * berth_rng_normal(&rng) : 0.3 * berth_rng_normal(&rng));
}

static void add_pair(struct support_model *model, const char *stem, size_t rows, size_t columns)
{
    char name[128];
    snprintf(name, sizeof name, "%s.weight", stem);
    add_tensor(model, name, rows, columns);
    snprintf(name, sizeof name, "%s.bias", stem);
    add_tensor(model, name, rows, 0);
}

void support_model_init(struct support_model *model)
{
    static const struct {
        const char *stem;
        size_t rows, columns;
    } layer[] = {
        {"attention.self.query", SUPPORT_C, SUPPORT_C}, {"attention.self.key", SUPPORT_C, SUPPORT_C},
        {"attention.self.value", SUPPORT_C, SUPPORT_C}, {"attention.output.dense", SUPPORT_C, SUPPORT_C},
        {"attention.output.LayerNorm", SUPPORT_C, 0},   {"intermediate.dense", SUPPORT_F, SUPPORT_C},
        {"output.dense", SUPPORT_C, SUPPORT_F},         {"output.LayerNorm", SUPPORT_C, 0},
    };
    *model = (struct support_model){.directory = "/tmp/berth_test_XXXXXX"};
    assert_non_null(mkdtemp(model->directory));
    snprintf(model->config, sizeof model->config,
             "{\"architectures\": [\"BertForSequenceClassification\"], \"model_type\": \"bert\", "
             "\"vocab_size\": %d,"
             " \"hidden_size\": %d, \"num_attention_heads\": %d, \"num_hidden_layers\": %d, "
             "\"intermediate_size\": %d,"
             " \"max_position_embeddings\": %d, \"type_vocab_size\": 2, \"hidden_act\": \"gelu\"}",
             SUPPORT_V, SUPPORT_C, SUPPORT_H, SUPPORT_L, SUPPORT_F, SUPPORT_P);
    add_tensor(model, "bert.embeddings.word_embeddings.weight", SUPPORT_V, SUPPORT_C);
    add_tensor(model, "bert.embeddings.position_embeddings.weight", SUPPORT_P, SUPPORT_C);
    add_tensor(model, "bert.embeddings.token_type_embeddings.weight", 2, SUPPORT_C);
    add_pair(model, "bert.embeddings.LayerNorm", SUPPORT_C, 0);
    for (int i = 0; i < SUPPORT_L; i++)
        for (size_t j = 0; j < sizeof layer / sizeof layer[0]; j++) {
            char stem[96];
            snprintf(stem, sizeof stem, "bert.encoder.layer.%d.%s", i, layer[j].stem);
            add_pair(model, stem, layer[j].rows, layer[j].columns);
        }
    add_pair(model, "bert.pooler.dense", SUPPORT_C, SUPPORT_C);
    add_pair(model, "classifier", 2, SUPPORT_C);
}

struct support_tensor *support_model_find(struct support_model *model, const char *name)
{
    for (size_t i = 0; i < model->count; i++)
        if (strcmp(model->tensors[i].name, name) == 0)
            return &model->tensors[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

void support_model_replace(struct support_model *model, const char *from, const char *to)
{
    char rest[sizeof model->config], *at = strstr(model->config, from);
    assert_non_null(at);
    snprintf(rest, sizeof rest, "%s", at + strlen(from));
    snprintf(at, sizeof model->config - (size_t)(at - model->config), "%s%s", to, rest);
}

void support_model_write(struct support_model *model)
{
    struct berth_tensor tensors[SUPPORT_TENSORS];
    struct berth_error err;
    char path[192];
    size_t count = 0;
    for (size_t i = 0; i < model->count; i++) {
        const struct support_tensor *from = &model->tensors[i];
        if (from->name[0] == 0)
            continue; /* left out by the test */
        struct berth_tensor *to = &tensors[count++];
        *to = (struct berth_tensor){
            .name = from->name, .dtype = BERTH_DTYPE_F32, .rank = from->rank, .data = from->data};
        to->shape[0] = from->shape[0];
        to->shape[1] = from->shape[1];
        to->elements = from->shape[0] * (from->rank == 2 ? from->shape[1] : 1);
        to->bytes = to->elements * sizeof(float);
    }
    snprintf(path, sizeof path, "%s/model.safetensors", model->directory);
    if (berth_safetensors_write(path, tensors, count, NULL, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    snprintf(path, sizeof path, "%s/config.json", model->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(model->config, file);
    assert_int_equal(fclose(file), 0);
}

void support_model_clear(struct support_model *model)
{
    static const char *const files[] = {"model.safetensors", "config.json"};
    for (size_t i = 0; i < 2; i++) {
        char path[192];
        snprintf(path, sizeof path, "%s/%s", model->directory, files[i]);
        unlink(path);
    }
    rmdir(model->directory);
    for (size_t i = 0; i < model->count; i++)
        free(model->tensors[i].data);
    *model = (struct support_model){0};
}
