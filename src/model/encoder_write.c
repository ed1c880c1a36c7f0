/* encoder_write.c: the walk of encoder.c the other way: from typed weights to named tensors, and the
 * configuration that reads them back. */
#include "model/encoder_write.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/hf_storage.h"
#include "formats/json_load.h"
#include "model/families.h"

enum { NAME_SIZE = 128, TENSORS_PER_LAYER = 24, TENSORS_OUTSIDE = 24 };

/* The list being made. After the first failure `status` is set and the rest does nothing. */
struct list {
    const struct berth_encoder *encoder;
    const struct berth_family_names *names;
    struct berth_tensor *tensors; /* [capacity] */
    char (*made)[NAME_SIZE];      /* their names */
    void **owned;                 /* numbers that were generated or widened, or NULL */
    struct berth_storage storage; /* what of the encoder is quantised; kept [capacity] */
    bool widen;
    const enum berth_dtype *type; /* of all weights; NULL: each its own */
    size_t count;
    enum berth_status status;
    struct berth_error *err;
};

static void add_tensor(struct list *list, const char *prefix, const char *stem, const char *suffix,
                       long layer, const struct berth_tensor *tensor)
{
    if (list->status != BERTH_OK || tensor->elements == 0)
        return;
    size_t at = list->count++;
    char *name = list->made[at];
    if (layer >= 0)
        snprintf(name, NAME_SIZE, "%s%s%ld.%s.%s", prefix, list->names->layer, layer, stem, suffix);
    else
        snprintf(name, NAME_SIZE, "%s%s.%s", prefix, stem, suffix);
    list->tensors[at] = *tensor;
    list->tensors[at].name = name;
    enum berth_dtype type = list->type ? *list->type : BERTH_DTYPE_F32;
    if (tensor->data && !(tensor->scales && list->widen) && !(list->type && tensor->dtype != type))
        return;
    list->owned[at] = berth_malloc(tensor->elements, sizeof(float));
    if (!list->owned[at]) {
        list->status = berth_fail_memory(list->err, name, tensor->bytes);
        return;
    }
    berth_encoder_read(list->encoder, tensor, 0, tensor->elements, list->owned[at]);
    /* in place: each number is read before anything is written to where it stands */
    if (!berth_narrow(type, list->owned[at], tensor->elements, list->owned[at]))
        list->status = berth_fail(list->err, BERTH_LIMIT,
                                  "tensor '%s' has numbers beyond what %s can hold; use bf16 or f32", name,
                                  berth_dtype_name(type));
    list->tensors[at].data = list->owned[at];
    list->tensors[at].dtype = type;
    list->tensors[at].bytes = tensor->elements * berth_dtype_size(type);
}

/* A weight that may be quantised, and what says how: its scales, or its module among those that are kept. */
static void add_stored(struct list *list, const char *prefix, const char *stem, long layer,
                       const struct berth_tensor *weight, enum berth_stored keep)
{
    const size_t at = list->count;
    add_tensor(list, prefix, stem, "weight", layer, weight);
    if (list->status != BERTH_OK || list->count == at || list->widen ||
        list->encoder->config.storage.stored == BERTH_STORED_PLAIN)
        return;
    if (weight->scales) {
        const struct berth_tensor scales = {.dtype = BERTH_DTYPE_F32,
                                            .rank = 1,
                                            .shape = {weight->shape[0]},
                                            .elements = weight->shape[0],
                                            .data = weight->scales,
                                            .bytes = weight->shape[0] * sizeof(float)};
        add_tensor(list, prefix, stem, "weight_scale", layer, &scales);
    } else if (keep > list->encoder->config.storage.stored) {
        struct berth_kept_module *kept = &list->storage.kept[list->storage.kept_count];
        kept->stored = keep;
        kept->module = berth_strndup(list->made[at], strlen(list->made[at]) - strlen(".weight"));
        if (!kept->module)
            list->status = berth_fail_memory(list->err, stem, strlen(list->made[at]));
        else
            list->storage.kept_count++;
    }
}

static void add_linear(struct list *list, const char *prefix, const char *stem, long layer,
                       const struct berth_linear *linear)
{
    add_stored(list, prefix, stem, layer, &linear->weight, linear->keep);
    add_tensor(list, prefix, stem, "bias", layer, &linear->bias);
}

static void add_norm(struct list *list, const char *stem, long layer, const struct berth_norm *norm)
{
    add_tensor(list, list->names->prefix, stem, "weight", layer, &norm->gamma);
    add_tensor(list, list->names->prefix, stem, "bias", layer, &norm->beta);
}

static void add_all(struct list *list)
{
    const struct berth_encoder *encoder = list->encoder;
    const struct berth_family_names *names = list->names;
    const char *prefix = names->prefix;
    add_stored(list, prefix, names->word_embedding, -1, &encoder->word_embedding, encoder->word_keep);
    add_tensor(list, prefix, names->position_embedding, "weight", -1, &encoder->position_embedding);
    if (names->type_embedding)
        add_tensor(list, prefix, names->type_embedding, "weight", -1, &encoder->type_embedding);
    add_norm(list, names->embedding_norm, -1, &encoder->embedding_norm);
    if (names->project)
        add_linear(list, prefix, names->project, -1, &encoder->project);
    for (size_t i = 0; i < encoder->config.layers; i++) {
        const struct berth_layer *layer = &encoder->layers[i];
        add_linear(list, prefix, names->query, (long)i, &layer->query);
        add_linear(list, prefix, names->key, (long)i, &layer->key);
        add_linear(list, prefix, names->value, (long)i, &layer->value);
        add_linear(list, prefix, names->attention_out, (long)i, &layer->attention_out);
        add_norm(list, names->attention_norm, (long)i, &layer->attention_norm);
        add_linear(list, prefix, names->ffn_in, (long)i, &layer->ffn_in);
        add_linear(list, prefix, names->ffn_out, (long)i, &layer->ffn_out);
        add_norm(list, names->ffn_norm, (long)i, &layer->ffn_norm);
    }
    add_linear(list, names->pooler_in_encoder ? prefix : "", names->pooler, -1, &encoder->pooler);
    add_tensor(list, "", names->classifier, "weight", -1, &encoder->classifier.weight);
    add_tensor(list, "", names->classifier, "bias", -1, &encoder->classifier.bias);
}

static void clear_list(struct list *list)
{
    for (size_t i = 0; list->owned && i < list->count; i++)
        berth_free(list->owned[i]);
    berth_free(list->tensors);
    berth_free(list->made);
    berth_free(list->owned);
    berth_storage_clear(&list->storage);
}

/* Every tensor of the encoder, and what is quantised of it. */
static enum berth_status make_list(struct list *list, struct berth_error *err)
{
    const struct berth_encoder *encoder = list->encoder;
    size_t capacity = encoder->config.layers * TENSORS_PER_LAYER + TENSORS_OUTSIDE;
    list->err = err;
    list->names = berth_family_names(encoder->config.family);
    list->storage.stored = list->widen ? BERTH_STORED_PLAIN : encoder->config.storage.stored;
    list->tensors = berth_calloc(capacity, sizeof *list->tensors);
    list->made = berth_calloc(capacity, sizeof *list->made);
    list->owned = berth_calloc(capacity, sizeof *list->owned);
    list->storage.kept = berth_calloc(capacity, sizeof *list->storage.kept);
    if (!list->tensors || !list->made || !list->owned || !list->storage.kept)
        return berth_fail_memory(err, "the list of weights", capacity * sizeof *list->tensors);
    add_all(list);
    return list->status;
}

/* --- config.json ---------------------------------------------------------------------------------- */

/* An object in the making; every value is taken, also on failure. */
struct object {
    json_t *json;
    bool failed;
};

static void set(struct object *object, const char *key, json_t *value)
{
    object->failed = json_object_set_new(object->json, key, value) != 0 || object->failed;
}

static void set_number(struct object *object, const char *key, size_t number)
{
    set(object, key, json_integer((json_int_t)number));
}

static void set_labels(struct object *object, const struct berth_config *config)
{
    struct object names = {.json = json_object()}, numbers = {.json = json_object()};
    char id[24];
    for (size_t i = 0; i < config->labels; i++) {
        snprintf(id, sizeof id, "%zu", i);
        set(&names, id, json_string(config->label_names[i]));
        set_number(&numbers, config->label_names[i], i);
    }
    set(object, "id2label", names.json);
    set(object, "label2id", numbers.json);
    object->failed = object->failed || names.failed || numbers.failed;
    set(object, "problem_type", json_string(berth_problem_name(config->problem)));
}

static void set_distilbert(struct object *object, const struct berth_config *config)
{
    set_number(object, "dim", config->hidden_size);
    set_number(object, "n_layers", config->layers);
    set_number(object, "n_heads", config->heads);
    set_number(object, "hidden_dim", config->intermediate_size);
    set(object, "activation", json_string(berth_activation_name(config->activation)));
    set(object, "dropout", json_real(config->hidden_dropout));
    set(object, "attention_dropout", json_real(config->attention_dropout));
    set(object, "seq_classif_dropout", json_real(config->classifier_dropout));
}

static void set_bert(struct object *object, const struct berth_config *config)
{
    set_number(object, "hidden_size", config->hidden_size);
    set_number(object, "num_hidden_layers", config->layers);
    set_number(object, "num_attention_heads", config->heads);
    set_number(object, "intermediate_size", config->intermediate_size);
    set_number(object, "type_vocab_size", config->type_vocab_size);
    set(object, "hidden_act", json_string(berth_activation_name(config->activation)));
    set(object, "layer_norm_eps", json_real(config->layer_norm_eps));
    set(object, "hidden_dropout_prob", json_real(config->hidden_dropout));
    set(object, "attention_probs_dropout_prob", json_real(config->attention_dropout));
    set(object, "classifier_dropout", json_real(config->classifier_dropout));
    if (config->family == BERTH_FAMILY_ELECTRA)
        set_number(object, "embedding_size", config->embedding_size);
}

static const char *torch_name(enum berth_dtype type)
{
    return type == BERTH_DTYPE_F16 ? "float16" : type == BERTH_DTYPE_BF16 ? "bfloat16" : "float32";
}

static enum berth_status write_config(const struct berth_config *config, const struct berth_storage *storage,
                                      const enum berth_dtype *type, const char *path, struct berth_error *err)
{
    struct object object = {.json = json_object()};
    set(&object, "architectures", json_pack("[s]", config->architecture));
    set(&object, "model_type", json_string(berth_family_name(config->family)));
    set_number(&object, "vocab_size", config->vocab_size);
    set_number(&object, "max_position_embeddings", config->max_positions);
    set_number(&object, "pad_token_id", config->pad_token_id);
    set(&object, "initializer_range", json_real(config->initializer_range));
    if (config->family == BERTH_FAMILY_DISTILBERT)
        set_distilbert(&object, config);
    else
        set_bert(&object, config);
    set_labels(&object, config);
    if (type)
        set(&object, "torch_dtype", json_string(torch_name(*type)));
    if (storage->stored != BERTH_STORED_PLAIN)
        set(&object, "quantization_config", berth_storage_json(storage));
    char *text = object.failed ? NULL : berth_json_dump(object.json, JSON_INDENT(2));
    json_decref(object.json);
    if (!text)
        return berth_fail_memory(err, path, 0);
    struct berth_atomic_file file;
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status == BERTH_OK) {
        fprintf(file.stream, "%s\n", text); /* a failure stays in the stream */
        status = berth_atomic_commit(&file, err);
    }
    berth_free(text);
    return status;
}

enum berth_status berth_encoder_write(const struct berth_encoder *encoder, bool widen,
                                      const enum berth_dtype *type, const char *directory,
                                      struct berth_error *err)
{
    static const char *const metadata[] = {"format", "pt", NULL};
    struct list list = {.encoder = encoder, .widen = widen || type, .type = type};
    char *weights = berth_path_join(directory, "model.safetensors"),
         *config = berth_path_join(directory, "config.json");
    enum berth_status status =
        weights && config ? make_list(&list, err) : berth_fail_memory(err, directory, 0);
    if (status == BERTH_OK)
        status = berth_safetensors_write(weights, list.tensors, list.count, metadata, err);
    if (status == BERTH_OK)
        status = write_config(&encoder->config, &list.storage, type, config, err);
    clear_list(&list);
    berth_free(weights);
    berth_free(config);
    return status;
}
