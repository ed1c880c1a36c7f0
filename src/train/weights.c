/* weights.c: from an encoder to flat arrays. One walk over the roles lays out places and names; a second one
 * reads or draws the numbers. */
#include "train/weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/rng.h"
#include "model/families.h"

enum { WEIGHTS_PER_LAYER = 16, WEIGHTS_OUTSIDE = 16, STEM_SIZE = 80 };

/* --- places and names ----------------------------------------------------------------------------- */

struct layout {
    struct berth_weights *weights;
    const struct berth_encoder *encoder;
    const struct berth_family_names *names;
    const struct berth_tensor **source; /* [count]: where a weight is read from; NULL or absent: drawn */
    size_t depth;
    bool fits;
};

/* Places one tensor; columns 0 for a vector. `source` may be absent (elements 0). */
static size_t place(struct layout *l, const char *stem, const char *suffix, size_t rows, size_t columns,
                    bool decays, const struct berth_tensor *source)
{
    struct berth_weights *weights = l->weights;
    struct berth_weight *weight = &weights->list[weights->count];
    snprintf(weight->name, sizeof weight->name, "%s.%s", stem, suffix);
    weight->rank = columns ? 2 : 1;
    weight->rows = rows;
    weight->columns = columns;
    weight->first = weights->total;
    weight->decays = decays;
    weight->depth = l->depth;
    weight->fresh = source->elements == 0;
    l->source[weights->count++] = source;
    l->fits = l->fits && berth_mul(rows, columns ? columns : 1, &weight->elements) &&
              berth_add(weights->total, weight->elements, &weights->total);
    return weight->first;
}

static void make_stem(const struct layout *l, char stem[STEM_SIZE], const char *name, size_t layer)
{
    if (layer == SIZE_MAX)
        snprintf(stem, STEM_SIZE, "%s%s", l->names->prefix, name);
    else
        snprintf(stem, STEM_SIZE, "%s%s%zu.%s", l->names->prefix, l->names->layer, layer, name);
}

static struct berth_train_norm place_norm(struct layout *l, const char *name, size_t layer,
                                          const struct berth_norm *source, size_t n)
{
    char stem[STEM_SIZE];
    make_stem(l, stem, name, layer);
    struct berth_train_norm norm = {.n = n};
    norm.gamma = place(l, stem, "weight", n, 0, false, &source->gamma);
    norm.beta = place(l, stem, "bias", n, 0, false, &source->beta);
    return norm;
}

/* Several linear maps of one input as one: their matrices, then their biases. */
static struct berth_train_linear place_linears(struct layout *l, const char *const *stems,
                                               const struct berth_linear *const *sources, size_t count,
                                               size_t n, size_t k)
{
    struct berth_train_linear linear = {.w = l->weights->total, .n = count * n, .k = k};
    for (size_t i = 0; i < count; i++)
        place(l, stems[i], "weight", n, k, true, &sources[i]->weight);
    linear.b = l->weights->total;
    for (size_t i = 0; i < count; i++)
        place(l, stems[i], "bias", n, 0, false, &sources[i]->bias);
    return linear;
}

static struct berth_train_linear place_linear(struct layout *l, const char *name, size_t layer,
                                              const struct berth_linear *source, size_t n, size_t k)
{
    char stem[STEM_SIZE];
    make_stem(l, stem, name, layer);
    const char *stems = stem;
    return place_linears(l, &stems, &source, 1, n, k);
}

static size_t place_table(struct layout *l, const char *name, const struct berth_tensor *source, size_t rows,
                          size_t columns)
{
    char stem[STEM_SIZE];
    make_stem(l, stem, name, SIZE_MAX);
    return place(l, stem, "weight", rows, columns, true, source);
}

static void place_layer(struct layout *l, size_t index)
{
    const struct berth_family_names *names = l->names;
    const struct berth_layer *source = &l->encoder->layers[index];
    struct berth_train_layer *layer = &l->weights->layer[index];
    size_t c = l->weights->hidden, f = l->weights->ffn;
    char key[STEM_SIZE], value[STEM_SIZE];
    make_stem(l, key, names->key, index);
    make_stem(l, value, names->value, index);
    l->depth = index + 1;
    layer->query = place_linear(l, names->query, index, &source->query, c, c);
    layer->key_value =
        place_linears(l, (const char *const[]){key, value},
                      (const struct berth_linear *const[]){&source->key, &source->value}, 2, c, c);
    layer->attention_out = place_linear(l, names->attention_out, index, &source->attention_out, c, c);
    layer->attention_norm = place_norm(l, names->attention_norm, index, &source->attention_norm, c);
    layer->ffn_in = place_linear(l, names->ffn_in, index, &source->ffn_in, f, c);
    layer->ffn_out = place_linear(l, names->ffn_out, index, &source->ffn_out, c, f);
    layer->ffn_norm = place_norm(l, names->ffn_norm, index, &source->ffn_norm, c);
}

static void place_head(struct layout *l)
{
    struct berth_weights *weights = l->weights;
    const struct berth_family_names *names = l->names;
    const struct berth_encoder *encoder = l->encoder;
    char stem[STEM_SIZE];
    snprintf(stem, sizeof stem, "%s%s", names->pooler_in_encoder ? names->prefix : "", names->pooler);
    const char *stems = stem;
    const struct berth_linear *source = &encoder->pooler;
    l->depth = weights->layers + 1;
    weights->pooler = place_linears(l, &stems, &source, 1, weights->hidden, weights->hidden);
    stems = names->classifier;
    source = &encoder->classifier;
    weights->classifier = place_linears(l, &stems, &source, 1, weights->labels, weights->hidden);
}

/* Hugging Face's names of the masked-language head: dense, LayerNorm, and what the output's bias hangs on. */
static const char *const masked_names[][3] = {
    [BERTH_FAMILY_BERT] = {"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm",
                           "cls.predictions"},
    [BERTH_FAMILY_DISTILBERT] = {"vocab_transform", "vocab_layer_norm", "vocab_projector"},
    [BERTH_FAMILY_ELECTRA] = {"generator_predictions.dense", "generator_predictions.LayerNorm",
                              "generator_lm_head"},
};

static void place_masked_head(struct layout *l)
{
    static const struct berth_linear absent;
    struct berth_weights *weights = l->weights;
    const char *const *names = masked_names[l->encoder->config.family];
    const struct berth_linear *source = &absent;
    size_t e = weights->embedding;
    l->depth = weights->layers + 1;
    weights->transform = place_linears(l, &names[0], &source, 1, e, weights->hidden);
    weights->transform_norm = (struct berth_train_norm){.n = e};
    weights->transform_norm.gamma = place(l, names[1], "weight", e, 0, false, &absent.bias);
    weights->transform_norm.beta = place(l, names[1], "bias", e, 0, false, &absent.bias);
    weights->output_bias = place(l, names[2], "bias", weights->vocab, 0, false, &absent.bias);
}

static void place_all(struct layout *l)
{
    struct berth_weights *weights = l->weights;
    const struct berth_encoder *encoder = l->encoder;
    const struct berth_family_names *names = l->names;
    size_t e = weights->embedding;
    weights->word = place_table(l, names->word_embedding, &encoder->word_embedding, weights->vocab, e);
    weights->position =
        place_table(l, names->position_embedding, &encoder->position_embedding, weights->positions, e);
    if (weights->types)
        weights->type = place_table(l, names->type_embedding, &encoder->type_embedding, weights->types, e);
    weights->embedding_norm = place_norm(l, names->embedding_norm, SIZE_MAX, &encoder->embedding_norm, e);
    if (weights->has_project)
        weights->project = place_linear(l, names->project, SIZE_MAX, &encoder->project, weights->hidden, e);
    for (size_t i = 0; i < weights->layers; i++)
        place_layer(l, i);
    if (weights->masked)
        place_masked_head(l);
    else
        place_head(l);
}

/* --- numbers -------------------------------------------------------------------------------------- */

/* As Hugging Face's _init_weights: matrices normal, vectors constant, the embedding of padding 0. */
static void draw(struct berth_weights *weights, const struct berth_weight *weight, size_t index,
                 const struct berth_config *config, uint64_t seed)
{
    float *out = weights->value + weight->first;
    size_t length = strlen(weight->name);
    bool scale = weight->rank == 1 && length > 7 && strcmp(weight->name + length - 7, ".weight") == 0;
    struct berth_rng rng;
    berth_rng_seed(&rng, seed * 0x9e3779b97f4a7c15u + index);
    for (size_t i = 0; i < weight->elements; i++)
        out[i] =
            weight->rank == 1 ? (scale ? 1 : 0) : (float)(berth_rng_normal(&rng) * config->initializer_range);
    if (weight->first == weights->word && config->pad_token_id < weight->rows)
        memset(out + config->pad_token_id * weight->columns, 0, weight->columns * sizeof *out);
}

/* A head that the encoder does not bind may be in the checkpoint all the same: a masked-language one. */
static void find_extra(struct layout *l, size_t index)
{
    struct berth_weight *weight = &l->weights->list[index];
    const struct berth_tensor *found = berth_checkpoint_find(l->encoder->checkpoint, weight->name);
    if (!l->weights->masked || !found || found->elements != weight->elements ||
        !berth_dtype_is_float(found->dtype))
        return;
    l->source[index] = found;
    weight->fresh = false;
}

static enum berth_status fill(struct layout *l, const struct berth_weights_options *options,
                              const struct berth_kernels *kernels, struct berth_error *err)
{
    struct berth_weights *weights = l->weights;
    const struct berth_encoder *encoder = l->encoder;
    uint64_t seed = options->seed ^ (encoder->seed << 32);
    for (size_t i = 0; i < weights->count; i++) {
        struct berth_weight *weight = &weights->list[i];
        if (weight->fresh && encoder->checkpoint)
            find_extra(l, i);
        weight->fresh = weight->fresh || !encoder->checkpoint;
        if (weight->fresh) {
            draw(weights, weight, i, &encoder->config, seed);
            continue;
        }
        float *out = weights->value + weight->first;
        berth_encoder_read(encoder, l->source[i], 0, weight->elements, out);
        if (!kernels->all_finite_f32(out, weight->elements)) {
            char where[256];
            return berth_fail(err, BERTH_FORMAT,
                              "%s holds a value that is not finite; training cannot start from it",
                              berth_encoder_locate(encoder, l->source[i], where, sizeof where));
        }
    }
    return BERTH_OK;
}

static void take_sizes(struct berth_weights *weights, const struct berth_encoder *encoder,
                       const struct berth_weights_options *options)
{
    const struct berth_config *config = &encoder->config;
    weights->embedding = config->embedding_size;
    weights->hidden = config->hidden_size;
    weights->ffn = config->intermediate_size;
    weights->heads = config->heads;
    weights->layers = config->layers;
    weights->vocab = options->vocab && !encoder->checkpoint ? options->vocab : config->vocab_size;
    weights->positions = config->max_positions;
    weights->types = encoder->type_embedding.elements ? config->type_vocab_size : 0;
    weights->labels = encoder->has_head && encoder->checkpoint ? config->labels : options->labels;
    weights->masked = options->masked;
    weights->has_project = config->embedding_size != config->hidden_size;
}

enum berth_status berth_weights_new(const struct berth_encoder *encoder,
                                    const struct berth_weights_options *options,
                                    const struct berth_kernels *kernels, struct berth_weights **out,
                                    struct berth_error *err)
{
    enum berth_status status;
    *out = NULL;
    struct berth_weights *weights = berth_calloc(1, sizeof *weights);
    if (!weights)
        return berth_fail_memory(err, "the weights", sizeof *weights);
    struct layout l = {.weights = weights,
                       .encoder = encoder,
                       .names = berth_family_names(encoder->config.family),
                       .fits = true};
    take_sizes(weights, encoder, options);
    size_t places = weights->layers * WEIGHTS_PER_LAYER + WEIGHTS_OUTSIDE;
    weights->list = berth_calloc(places, sizeof *weights->list);
    weights->layer = berth_calloc(weights->layers, sizeof *weights->layer);
    l.source = berth_calloc(places, sizeof *l.source);
    if (!weights->list || !weights->layer || !l.source) {
        status = berth_fail_memory(err, "the weights' names", places * sizeof *weights->list);
        goto fail;
    }
    place_all(&l);
    if (!l.fits || weights->total > SIZE_MAX / 64) {
        status = berth_fail(err, BERTH_LIMIT, "a model of so many weights cannot be trained in memory");
        goto fail;
    }
    weights->value = berth_aligned(weights->total * sizeof *weights->value);
    weights->grad = berth_aligned(weights->total * sizeof *weights->grad);
    if (!weights->value || !weights->grad) {
        status = berth_fail_memory(err, "weights and gradients", 2 * weights->total * sizeof(float));
        goto fail;
    }
    memset(weights->grad, 0, weights->total * sizeof *weights->grad);
    BERTH_TRY(fill(&l, options, kernels, err));
    berth_free(l.source);
    *out = weights;
    return BERTH_OK;
fail:
    berth_free(l.source);
    berth_weights_free(weights);
    return status;
}

void berth_weights_free(struct berth_weights *weights)
{
    if (!weights)
        return;
    berth_free(weights->value);
    berth_free(weights->grad);
    berth_free(weights->list);
    berth_free(weights->layer);
    berth_free(weights);
}

/* --- files -------------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct berth_tensor *)a)->name, ((const struct berth_tensor *)b)->name);
}

enum berth_status berth_weights_write(const struct berth_weights *weights, const float *numbers,
                                      const char *path, const char *const *metadata, struct berth_error *err)
{
    struct berth_tensor *tensors = berth_calloc(weights->count, sizeof *tensors);
    if (!tensors)
        return berth_fail_memory(err, "a list of tensors", weights->count * sizeof *tensors);
    for (size_t i = 0; i < weights->count; i++) {
        const struct berth_weight *weight = &weights->list[i];
        tensors[i] = (struct berth_tensor){.name = weight->name,
                                           .dtype = BERTH_DTYPE_F32,
                                           .rank = weight->rank,
                                           .shape = {weight->rows, weight->columns},
                                           .elements = weight->elements,
                                           .data = numbers + weight->first,
                                           .bytes = weight->elements * sizeof *numbers};
    }
    qsort(tensors, weights->count, sizeof *tensors, compare_names);
    enum berth_status status = berth_safetensors_write(path, tensors, weights->count, metadata, err);
    berth_free(tensors);
    return status;
}

enum berth_status berth_weights_read(struct berth_weights *weights, const char *path, struct berth_error *err)
{
    struct berth_checkpoint *file;
    enum berth_status status = berth_checkpoint_open_file(path, &file, err);
    if (status != BERTH_OK)
        return status;
    for (size_t i = 0; i < weights->count && status == BERTH_OK; i++) {
        const struct berth_weight *weight = &weights->list[i];
        const struct berth_tensor *tensor = berth_checkpoint_find(file, weight->name);
        if (!tensor || tensor->elements != weight->elements || !berth_dtype_is_float(tensor->dtype))
            status = berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' is missing or of another shape", path,
                                weight->name);
        else
            berth_tensor_read_f32(tensor, 0, weight->elements, weights->value + weight->first);
    }
    berth_checkpoint_close(file);
    return status;
}
