/* encoder.c: from named tensors to typed weights. One walk over the roles serves stored and random models: it
 * makes each tensor's name from the family's table, and finds or invents the tensor. */
#include "model/encoder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "model/families.h"
#include "model/presets.h"
#include "model/random.h"

enum { NAME_SIZE = 96, STEM_SIZE = 80, TENSORS_PER_LAYER = 16, TENSORS_OUTSIDE = 16 };

/* The walk. After the first failure `status` is set and the rest does nothing. */
struct binder {
    struct berth_encoder *encoder;
    const struct berth_family_names *names;
    const char *model;       /* for messages */
    const char *prefix;      /* the family's, or "" */
    char (*made)[NAME_SIZE]; /* names of a random model; NULL when tensors are looked up */
    size_t made_count;
    size_t kept_count; /* modules met that quantization_config keeps */
    enum berth_status status;
    struct berth_error *err;
};

/* --- one tensor ----------------------------------------------------------------------------------- */

static bool is_float(enum berth_dtype dtype)
{
    return dtype == BERTH_DTYPE_F32 || dtype == BERTH_DTYPE_F16 || dtype == BERTH_DTYPE_BF16;
}

static bool same_shape(const struct berth_tensor *a, const struct berth_tensor *b)
{
    if (a->rank != b->rank)
        return false;
    for (size_t i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i])
            return false;
    return true;
}

static void refuse_tensor(struct binder *b, const struct berth_tensor *found,
                          const struct berth_tensor *wanted)
{
    char where[256], have[160], want[160];
    berth_tensor_describe(found, have, sizeof have);
    berth_tensor_describe(wanted, want, sizeof want);
    berth_encoder_locate(b->encoder, found, where, sizeof where);
    if (!same_shape(found, wanted))
        b->status = berth_fail(b->err, BERTH_FORMAT, "%s: %s is %s, but config.json asks for %s", b->model,
                               where, have, want);
    else
        b->status = berth_fail(b->err, BERTH_UNSUPPORTED, "%s: %s is %s; weights must be f32, f16 or bf16",
                               b->model, where, have);
}

/* --- quantised weights ---------------------------------------------------------------------------- */

/* What quantization_config says of the module; PLAIN when nothing is quantised. */
static enum berth_stored stored_as(struct binder *b, const char *module)
{
    const struct berth_storage *storage = &b->encoder->config.storage;
    for (size_t i = 0; i < storage->kept_count; i++)
        if (strcmp(storage->kept[i].module, module) == 0) {
            b->kept_count++;
            return storage->kept[i].stored;
        }
    return storage->stored;
}

static void refuse_stored(struct binder *b, const struct berth_tensor *found, enum berth_stored stored)
{
    char where[256], have[160];
    berth_tensor_describe(found, have, sizeof have);
    berth_encoder_locate(b->encoder, found, where, sizeof where);
    b->status =
        berth_fail(b->err, BERTH_FORMAT, "%s: %s is %s, but quantization_config of config.json says %s",
                   b->model, where, have, berth_stored_name(stored));
}

/* The steps' scales, which a product turns into factors: finite, not negative, and 127 steps finite too. */
static void bind_scales(struct binder *b, struct berth_tensor *weight)
{
    char name[2 * NAME_SIZE];
    snprintf(name, sizeof name, "%s_scale", weight->name);
    const struct berth_tensor *scales = berth_checkpoint_find(b->encoder->checkpoint, name);
    if (!scales) {
        b->status =
            berth_fail(b->err, BERTH_FORMAT, "%s: the weights lack tensor '%s' (f32[%zu]) of quantised '%s'",
                       b->model, name, weight->shape[0], weight->name);
        return;
    }
    const struct berth_tensor wanted = {.dtype = BERTH_DTYPE_F32, .rank = 1, .shape = {weight->shape[0]}};
    if (!same_shape(scales, &wanted) || scales->dtype != BERTH_DTYPE_F32) {
        refuse_tensor(b, scales, &wanted);
        return;
    }
    for (size_t i = 0; i < scales->elements; i++) {
        float scale;
        berth_tensor_read_f32(scales, i, 1, &scale);
        if (!(scale >= 0 && isfinite(scale * 127))) {
            b->status =
                berth_fail(b->err, BERTH_FORMAT, "%s: tensor '%s' holds %g, which is no scale of int8 steps",
                           b->model, name, (double)scale);
            return;
        }
    }
    weight->scales = scales->data;
}

/* The weight of a product, or the word embedding, which are what is quantised: `module` is its stem. */
static void bind_stored(struct binder *b, struct berth_tensor *weight, const char *module,
                        enum berth_stored *keep)
{
    if (b->status != BERTH_OK || b->made)
        return;
    const enum berth_stored stored = stored_as(b, module);
    const bool fits = stored == BERTH_STORED_INT8   ? weight->dtype == BERTH_DTYPE_I8
                      : stored == BERTH_STORED_BF16 ? weight->dtype == BERTH_DTYPE_BF16
                                                    : is_float(weight->dtype);
    if (!fits)
        refuse_stored(b, weight, stored);
    else if (stored == BERTH_STORED_INT8)
        bind_scales(b, weight);
    *keep = stored;
}

/* Whether an int8 tensor may stand under this name at all. */
static bool may_be_steps(const struct binder *b, const struct berth_tensor *found)
{
    return found->dtype == BERTH_DTYPE_I8 && found->rank == 2 &&
           b->encoder->config.storage.stored == BERTH_STORED_INT8;
}

/* Binds "STEM.SUFFIX" (or "STEM.OTHER" of older files, when not NULL) of shape [rows, columns], or [rows]
 * when columns is 0. */
static void bind_tensor(struct binder *b, struct berth_tensor *out, const char *stem, const char *suffix,
                        const char *other, size_t rows, size_t columns)
{
    if (b->status != BERTH_OK)
        return;
    struct berth_tensor wanted = {
        .dtype = BERTH_DTYPE_F32, .rank = columns ? 2 : 1, .shape = {rows, columns}};
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", stem, suffix);
    if (!berth_mul(rows, columns ? columns : 1, &wanted.elements) ||
        !berth_mul(wanted.elements, sizeof(float), &wanted.bytes)) {
        b->status =
            berth_fail(b->err, BERTH_LIMIT, "%s: config.json makes tensor '%s' too large", b->model, name);
        return;
    }
    if (b->made) {
        memcpy(b->made[b->made_count], name, sizeof name);
        wanted.name = b->made[b->made_count++];
        *out = wanted;
    } else {
        const struct berth_tensor *found = berth_checkpoint_find(b->encoder->checkpoint, name);
        if (!found && other) {
            char older[NAME_SIZE];
            snprintf(older, sizeof older, "%s.%s", stem, other);
            found = berth_checkpoint_find(b->encoder->checkpoint, older);
        }
        if (!found) {
            char want[160];
            b->status = berth_fail(b->err, BERTH_FORMAT, "%s: the weights lack tensor '%s' (%s)", b->model,
                                   name, berth_tensor_describe(&wanted, want, sizeof want));
            return;
        }
        if (!same_shape(found, &wanted) || !(is_float(found->dtype) || may_be_steps(b, found))) {
            refuse_tensor(b, found, &wanted);
            return;
        }
        *out = *found;
    }
    b->encoder->parameters += out->elements;
}

/* --- groups of tensors ---------------------------------------------------------------------------- */

/* Full stem: "bert." "encoder.layer." "3." "attention.self.query"; layer -1 outside the layers. */
static const char *make_stem(const struct binder *b, char *text, const char *stem, long layer)
{
    if (layer >= 0)
        snprintf(text, STEM_SIZE, "%s%s%ld.%s", b->prefix, b->names->layer, layer, stem);
    else
        snprintf(text, STEM_SIZE, "%s%s", b->prefix, stem);
    return text;
}

/* A tensor that is never quantised. */
static void bind_exact(struct binder *b, struct berth_tensor *out, const char *stem, const char *suffix,
                       const char *other, size_t rows, size_t columns)
{
    bind_tensor(b, out, stem, suffix, other, rows, columns);
    if (b->status == BERTH_OK && out->dtype == BERTH_DTYPE_I8)
        refuse_tensor(b, out, out);
}

static void bind_table(struct binder *b, struct berth_tensor *out, const char *stem, size_t rows,
                       size_t columns)
{
    char text[STEM_SIZE];
    bind_exact(b, out, make_stem(b, text, stem, -1), "weight", NULL, rows, columns);
}

static void bind_linear(struct binder *b, struct berth_linear *out, const char *stem, long layer, size_t n,
                        size_t k)
{
    char text[STEM_SIZE];
    make_stem(b, text, stem, layer);
    bind_tensor(b, &out->weight, text, "weight", NULL, n, k);
    bind_stored(b, &out->weight, text, &out->keep);
    bind_exact(b, &out->bias, text, "bias", NULL, n, 0);
}

/* The classifier, whose few rows stay as they are. */
static void bind_classifier(struct binder *b, struct berth_linear *out, const char *stem, size_t n, size_t k)
{
    char text[STEM_SIZE];
    make_stem(b, text, stem, -1);
    bind_exact(b, &out->weight, text, "weight", NULL, n, k);
    bind_exact(b, &out->bias, text, "bias", NULL, n, 0);
}

static void bind_words(struct binder *b, struct berth_tensor *out, const char *stem, size_t rows,
                       size_t columns)
{
    char text[STEM_SIZE];
    make_stem(b, text, stem, -1);
    bind_tensor(b, out, text, "weight", NULL, rows, columns);
    bind_stored(b, out, text, &b->encoder->word_keep);
}

static void bind_norm(struct binder *b, struct berth_norm *out, const char *stem, long layer, size_t n)
{
    char text[STEM_SIZE];
    make_stem(b, text, stem, layer);
    bind_tensor(b, &out->gamma, text, "weight", "gamma", n, 0);
    bind_tensor(b, &out->beta, text, "bias", "beta", n, 0);
}

static void bind_layer(struct binder *b, struct berth_layer *out, long layer)
{
    const struct berth_family_names *names = b->names;
    size_t c = b->encoder->config.hidden_size, f = b->encoder->config.intermediate_size;
    bind_linear(b, &out->query, names->query, layer, c, c);
    bind_linear(b, &out->key, names->key, layer, c, c);
    bind_linear(b, &out->value, names->value, layer, c, c);
    if (b->status == BERTH_OK && (out->key.keep != out->query.keep || out->value.keep != out->query.keep))
        b->status = berth_fail(b->err, BERTH_UNSUPPORTED,
                               "%s: quantization_config keeps query, key and value of layer %ld in different "
                               "precisions; they are one product",
                               b->model, layer);
    bind_linear(b, &out->attention_out, names->attention_out, layer, c, c);
    bind_norm(b, &out->attention_norm, names->attention_norm, layer, c);
    bind_linear(b, &out->ffn_in, names->ffn_in, layer, f, c);
    bind_linear(b, &out->ffn_out, names->ffn_out, layer, c, f);
    bind_norm(b, &out->ffn_norm, names->ffn_norm, layer, c);
}

static void bind_encoder(struct binder *b)
{
    struct berth_encoder *encoder = b->encoder;
    const struct berth_config *config = &encoder->config;
    const struct berth_family_names *names = b->names;
    size_t e = config->embedding_size;
    bind_words(b, &encoder->word_embedding, names->word_embedding, config->vocab_size, e);
    bind_table(b, &encoder->position_embedding, names->position_embedding, config->max_positions, e);
    if (names->type_embedding)
        bind_table(b, &encoder->type_embedding, names->type_embedding, config->type_vocab_size, e);
    bind_norm(b, &encoder->embedding_norm, names->embedding_norm, -1, e);
    if (e != config->hidden_size)
        bind_linear(b, &encoder->project, names->project, -1, config->hidden_size, e);
    for (size_t i = 0; i < config->layers; i++)
        bind_layer(b, &encoder->layers[i], (long)i);
}

/* True when the file holds the tensor, or in a random model, which holds all. */
static bool has_weight(const struct binder *b, const char *prefix, const char *stem)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s%s.weight", prefix, stem);
    return b->made || berth_checkpoint_find(b->encoder->checkpoint, name);
}

/* A bare encoder may carry a classifier all the same (an older file without `architectures`); one that says
 * it is for another task has a classifier of another kind. The pooler of a bare BERT is bound too:
 * fine-tuning starts from it. */
static void bind_head(struct binder *b)
{
    struct berth_encoder *encoder = b->encoder;
    const struct berth_config *config = &encoder->config;
    const struct berth_family_names *names = b->names;
    const char *encoder_prefix = b->prefix;
    bool claimed = strstr(config->architecture, "ForSequenceClassification") != NULL;
    bool bare = strstr(config->architecture, "For") == NULL;
    bool head = claimed || (bare && has_weight(b, "", names->classifier));
    const char *pooler_prefix = names->pooler_in_encoder ? encoder_prefix : "";
    encoder->pooler_act = names->pooler_act;
    if (head || (names->pooler_in_encoder && has_weight(b, pooler_prefix, names->pooler))) {
        b->prefix = pooler_prefix;
        bind_linear(b, &encoder->pooler, names->pooler, -1, config->hidden_size, config->hidden_size);
    }
    if (head) {
        b->prefix = "";
        bind_classifier(b, &encoder->classifier, names->classifier, config->labels, config->hidden_size);
        encoder->has_head = b->status == BERTH_OK;
    }
    b->prefix = encoder_prefix;
}

/* Every module that is said to be kept is one of this model's. */
static void check_kept(struct binder *b)
{
    const struct berth_storage *storage = &b->encoder->config.storage;
    if (b->status != BERTH_OK || b->kept_count == storage->kept_count)
        return;
    struct berth_encoder *encoder = b->encoder;
    for (size_t i = 0; i < storage->kept_count && b->status == BERTH_OK; i++) {
        char name[NAME_SIZE + 64];
        snprintf(name, sizeof name, "%.150s.weight", storage->kept[i].module);
        const struct berth_tensor *found = berth_checkpoint_find(encoder->checkpoint, name);
        if (!found)
            b->status = berth_fail(b->err, BERTH_FORMAT,
                                   "%s: quantization_config keeps '%s', of which the weights have no tensor",
                                   b->model, storage->kept[i].module);
    }
    if (b->status == BERTH_OK)
        b->status =
            berth_fail(b->err, BERTH_FORMAT,
                       "%s: quantization_config keeps %zu modules, of which only %zu are products of this "
                       "model or its word embedding",
                       b->model, storage->kept_count, b->kept_count);
}

/* --- whole encoders ------------------------------------------------------------------------------- */

static enum berth_status check_config(const struct berth_config *config, const char *model,
                                      struct berth_error *err)
{
    if (config->vocab_size == 0 || config->hidden_size == 0 || config->embedding_size == 0 ||
        config->layers == 0 || config->intermediate_size == 0 || config->max_positions == 0 ||
        config->labels == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: config.json gives a size of 0", model);
    if (config->heads == 0 || config->hidden_size % config->heads != 0)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: num_attention_heads %zu does not divide hidden_size %zu in config.json", model,
                          config->heads, config->hidden_size);
    if (config->family != BERTH_FAMILY_DISTILBERT && config->type_vocab_size == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: type_vocab_size is 0 in config.json", model);
    if (config->family != BERTH_FAMILY_ELECTRA && config->embedding_size != config->hidden_size)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: embedding_size %zu differs from hidden_size %zu, which only ELECTRA has",
                          model, config->embedding_size, config->hidden_size);
    return BERTH_OK;
}

static enum berth_status new_encoder(struct berth_config *config, const char *model,
                                     struct berth_encoder **out, struct berth_error *err)
{
    struct berth_encoder *encoder = berth_calloc(1, sizeof *encoder);
    if (!encoder) {
        berth_config_clear(config);
        return berth_fail_memory(err, "the encoder", sizeof *encoder);
    }
    encoder->config = *config;
    *config = (struct berth_config){0};
    enum berth_status status = check_config(&encoder->config, model, err);
    *out = encoder;
    return status;
}

static enum berth_status new_layers(struct berth_encoder *encoder, struct berth_error *err)
{
    encoder->layers = berth_calloc(encoder->config.layers, sizeof *encoder->layers);
    if (!encoder->layers)
        return berth_fail_memory(err, "the layers' tensors",
                                 encoder->config.layers * sizeof *encoder->layers);
    return BERTH_OK;
}

/* A file's names have the family's prefix, or none. */
static enum berth_status choose_prefix(struct binder *b)
{
    const char *word = b->names->word_embedding;
    b->prefix = has_weight(b, b->names->prefix, word) ? b->names->prefix : "";
    if (!has_weight(b, b->prefix, word))
        return berth_fail(b->err, BERTH_FORMAT,
                          "%s: the weights have neither '%s%s.weight' nor '%s.weight': not a %s checkpoint",
                          b->model, b->names->prefix, word, word,
                          berth_family_name(b->encoder->config.family));
    return BERTH_OK;
}

enum berth_status berth_encoder_bind(struct berth_config *config, struct berth_checkpoint *checkpoint,
                                     const char *name, struct berth_encoder **out, struct berth_error *err)
{
    enum berth_status status;
    struct berth_encoder *encoder = NULL;
    *out = NULL;
    status = new_encoder(config, name, &encoder, err);
    if (!encoder) {
        berth_checkpoint_close(checkpoint);
        return status;
    }
    encoder->checkpoint = checkpoint;
    if (status != BERTH_OK)
        goto fail;
    size_t tensors = berth_checkpoint_count(checkpoint);
    if (encoder->config.layers > tensors / TENSORS_PER_LAYER) {
        status = berth_fail(
            err, BERTH_FORMAT,
            "%s: config.json asks for %zu layers, more than the %zu tensors of the weights can hold", name,
            encoder->config.layers, tensors);
        goto fail;
    }
    BERTH_TRY(new_layers(encoder, err));
    struct binder b = {
        .encoder = encoder, .names = berth_family_names(encoder->config.family), .model = name, .err = err};
    BERTH_TRY(choose_prefix(&b));
    bind_encoder(&b);
    bind_head(&b);
    check_kept(&b);
    BERTH_TRY(b.status);
    *out = encoder;
    return BERTH_OK;
fail:
    berth_encoder_free(encoder);
    return status;
}

enum berth_status berth_encoder_open(const char *directory, struct berth_encoder **encoder,
                                     struct berth_error *err)
{
    struct berth_config config = {0};
    struct berth_checkpoint *checkpoint = NULL;
    *encoder = NULL;
    enum berth_status status = berth_config_read(directory, &config, err);
    if (status != BERTH_OK)
        return status;
    status = berth_checkpoint_open(directory, &checkpoint, err);
    if (status != BERTH_OK) {
        berth_config_clear(&config);
        return status;
    }
    return berth_encoder_bind(&config, checkpoint, directory, encoder, err);
}

/* --- random models -------------------------------------------------------------------------------- */

enum berth_status berth_encoder_random(const char *preset, struct berth_encoder **out,
                                       struct berth_error *err)
{
    enum berth_status status;
    struct berth_encoder *encoder = NULL;
    struct berth_config config = {0};
    uint64_t seed;
    *out = NULL;
    status = berth_preset_config(preset, &config, &seed, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(new_encoder(&config, preset, &encoder, err));
    encoder->seed = seed;
    BERTH_TRY(new_layers(encoder, err));
    size_t names = encoder->config.layers * TENSORS_PER_LAYER + TENSORS_OUTSIDE;
    encoder->names = berth_calloc(names, NAME_SIZE);
    if (!encoder->names) {
        status = berth_fail_memory(err, "the names of random weights", names * NAME_SIZE);
        goto fail;
    }
    const struct berth_family_names *table = berth_family_names(encoder->config.family);
    struct binder b = {.encoder = encoder,
                       .names = table,
                       .model = preset,
                       .prefix = table->prefix,
                       .made = encoder->names,
                       .err = err};
    bind_encoder(&b);
    bind_head(&b);
    BERTH_TRY(b.status);
    *out = encoder;
    return BERTH_OK;
fail:
    berth_encoder_free(encoder);
    return status;
}

/* --- afterwards ----------------------------------------------------------------------------------- */

void berth_encoder_free(struct berth_encoder *encoder)
{
    if (!encoder)
        return;
    berth_config_clear(&encoder->config);
    berth_checkpoint_close(encoder->checkpoint);
    berth_free(encoder->layers);
    berth_free(encoder->names);
    berth_free(encoder->memory);
    berth_free(encoder->quantized);
    berth_free(encoder);
}

void berth_encoder_read(const struct berth_encoder *encoder, const struct berth_tensor *tensor, size_t first,
                        size_t count, float *out)
{
    if (tensor->data)
        berth_tensor_read_f32(tensor, first, count, out);
    else
        berth_random_weights(tensor, encoder->seed, encoder->config.initializer_range, first, count, out);
}

void berth_encoder_forget(const struct berth_encoder *encoder, const struct berth_tensor *tensor)
{
    if (encoder->checkpoint)
        berth_checkpoint_forget(encoder->checkpoint,
                                berth_checkpoint_find(encoder->checkpoint, tensor->name));
}

/* Steps and scales become float32. */
static enum berth_status widen_word_embedding(struct berth_encoder *encoder, struct berth_error *err)
{
    struct berth_tensor *word = &encoder->word_embedding;
    size_t bytes;
    float *rows = berth_mul(word->elements, sizeof *rows, &bytes) ? berth_aligned(bytes) : NULL;
    if (!rows)
        return berth_fail_memory(err, "the word embedding", word->elements * sizeof *rows);
    berth_encoder_read(encoder, word, 0, word->elements, rows);
    berth_encoder_forget(encoder, word);
    encoder->memory = rows;
    word->data = rows;
    word->bytes = bytes;
    word->dtype = BERTH_DTYPE_F32;
    word->scales = NULL;
    return BERTH_OK;
}

/* The word embedding into memory of the encoder's own; the stored copy leaves memory as the new one comes. */
static enum berth_status keep_word_embedding(struct berth_encoder *encoder, struct berth_error *err)
{
    enum { CHUNK = 8 << 20 };
    struct berth_tensor *word = &encoder->word_embedding;
    if (word->scales)
        return widen_word_embedding(encoder, err);
    unsigned char *rows = berth_aligned(word->bytes);
    if (!rows)
        return berth_fail_memory(err, "the word embedding", word->bytes);
    if (!word->data)
        berth_encoder_read(encoder, word, 0, word->elements, (float *)(void *)rows);
    struct berth_tensor piece = *word;
    for (size_t at = 0; word->data && at < word->bytes; at += piece.bytes) {
        piece.data = (const unsigned char *)word->data + at;
        piece.bytes = berth_min(CHUNK, word->bytes - at);
        memcpy(rows + at, piece.data, piece.bytes);
        berth_checkpoint_forget(encoder->checkpoint, &piece);
    }
    encoder->memory = rows;
    word->data = rows;
    return BERTH_OK;
}

enum berth_status berth_encoder_settle(struct berth_encoder *encoder, bool keep_words,
                                       struct berth_error *err)
{
    if (encoder->memory)
        return BERTH_OK;
    if (keep_words) {
        enum berth_status status = keep_word_embedding(encoder, err);
        if (status != BERTH_OK)
            return status;
    }
    if (encoder->checkpoint)
        encoder->word_embedding.name = "word embedding"; /* the checkpoint's own goes with it */
    berth_checkpoint_close(encoder->checkpoint);
    encoder->checkpoint = NULL;
    berth_free(encoder->quantized);
    encoder->quantized = NULL;
    return BERTH_OK;
}

char *berth_encoder_locate(const struct berth_encoder *encoder, const struct berth_tensor *tensor, char *text,
                           size_t size)
{
    const struct berth_checkpoint *checkpoint = encoder->checkpoint;
    if (checkpoint)
        snprintf(text, size, "tensor '%s' of %s", tensor->name,
                 berth_checkpoint_file_of(checkpoint, berth_checkpoint_find(checkpoint, tensor->name)));
    else
        snprintf(text, size, "random tensor '%s'", tensor->name);
    return text;
}
