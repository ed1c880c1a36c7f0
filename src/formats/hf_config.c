/* hf_config.c: reads config.json by the tables of hf_fields.c and the labels by hf_labels.c. Called by
 * model/. */
#include "formats/hf_config.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/hf_fields.h"
#include "formats/hf_labels.h"
#include "formats/hf_storage.h"
#include "formats/json_load.h"

enum { CONFIG_LIMIT = 16 << 20, CONFIG_DEPTH = 64, VALUE_TEXT = 96, FIELD_NAME_SHOWN = 64 };

static const size_t family_count = BERTH_FAMILY_ELECTRA + 1;

/* One sentence about a field's value: "NAME: FIELD is VALUE, PROBLEM". */
static enum berth_status reject(enum berth_status status, const char *name, const char *field,
                                const json_t *value, const char *problem, struct berth_error *err)
{
    char text[VALUE_TEXT];
    return berth_fail(err, status, "%s: %s is %s, %s", name, field,
                      berth_json_describe(value, text, sizeof text), problem);
}

/* --- the family
 * ---------------------------------------------------------------------------------------------- */

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* architectures[0], or NULL when the file names none. */
static enum berth_status read_architecture(const char *name, const json_t *root, const char **architecture,
                                           struct berth_error *err)
{
    const json_t *list = json_object_get(root, "architectures");
    *architecture = NULL;
    if (!list || json_is_null(list) || (json_is_array(list) && json_array_size(list) == 0))
        return BERTH_OK;
    *architecture = json_string_value(json_array_get(list, 0));
    if (!*architecture || strlen(*architecture) >= sizeof((struct berth_config *)0)->architecture)
        return reject(BERTH_FORMAT, name, "architectures", list, "a list of class names is needed", err);
    return BERTH_OK;
}

/* By model_type, or by the architecture's name where an old file has none; the two must not contradict each
 * other. */
static enum berth_status find_family(const char *name, const json_t *root, const char *architecture,
                                     const struct berth_family_fields **family, struct berth_error *err)
{
    static const char supported[] = "berth runs bert, distilbert and electra";
    const json_t *type = json_object_get(root, "model_type");
    if (type && !json_is_string(type))
        return reject(BERTH_FORMAT, name, "model_type", type, "a string is needed", err);
    *family = NULL;
    for (size_t i = 0; i < family_count; i++) {
        const struct berth_family_fields *f = &berth_families[i];
        if (type ? strcmp(json_string_value(type), f->model_type) == 0
                 : architecture && starts_with(architecture, f->prefix))
            *family = f;
    }
    if (!*family && type)
        return reject(BERTH_UNSUPPORTED, name, "model_type", type, supported, err);
    if (!*family)
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: no model_type, and architecture %s tells no family: %s", name,
                          architecture ? architecture : "is absent and", supported);
    if (architecture && !starts_with(architecture, (*family)->prefix))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: architecture %s is not one of model_type %s", name,
                          architecture, (*family)->model_type);
    return BERTH_OK;
}

/* --- plain fields
 * -------------------------------------------------------------------------------------------- */

static enum berth_status read_size(const char *name, const json_t *root, const struct berth_size_field *field,
                                   struct berth_config *config, struct berth_error *err)
{
    const char *used = field->name;
    const json_t *value = json_object_get(root, field->name);
    const json_t *other = field->alias ? json_object_get(root, field->alias) : NULL;
    if (value && other && !json_equal(value, other))
        return reject(BERTH_FORMAT, name, field->name, value, "but another name of the same field differs",
                      err);
    if (!value && other)
        value = other, used = field->alias;
    size_t size = field->fallback;
    if (value) {
        char problem[80];
        snprintf(problem, sizeof problem, "an integer from 1 to %zu is needed", field->most);
        json_int_t integer = json_integer_value(value); /* 0 when it is none */
        if (integer < 1 || (unsigned long long)integer > field->most)
            return reject(BERTH_FORMAT, name, used, value, problem, err);
        size = (size_t)integer;
    }
    memcpy((char *)config + field->offset, &size, sizeof size);
    return BERTH_OK;
}

static enum berth_status read_number(const char *name, const json_t *root,
                                     const struct berth_number_field *field, struct berth_config *config,
                                     struct berth_error *err)
{
    const json_t *value = json_object_get(root, field->name);
    double number = value ? json_number_value(value) : field->fallback;
    bool inside =
        number >= field->least && (field->probability ? number < field->most : number <= field->most);
    if (value && (!json_is_number(value) || !inside)) {
        char problem[80];
        snprintf(problem, sizeof problem, "a number from %g %s %g is needed", field->least,
                 field->probability ? "to below" : "to", field->most);
        return reject(BERTH_FORMAT, name, field->name, value, problem, err);
    }
    memcpy((char *)config + field->offset, &number, sizeof number);
    return BERTH_OK;
}

/* The tables' fields, and what depends on more than one of them. */
static enum berth_status read_fields(const char *name, const json_t *root,
                                     const struct berth_family_fields *family, struct berth_config *config,
                                     struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (const struct berth_size_field *field = family->sizes; field->name && status == BERTH_OK; field++)
        status = read_size(name, root, field, config, err);
    for (const struct berth_number_field *field = family->numbers; field->name && status == BERTH_OK; field++)
        status = read_number(name, root, field, config, err);
    if (status != BERTH_OK)
        return status;
    if (config->embedding_size == 0)
        config->embedding_size = config->hidden_size;
    if (config->hidden_size % config->heads != 0)
        return berth_fail(err, BERTH_FORMAT, "%s: %zu attention heads do not divide the hidden size %zu",
                          name, config->heads, config->hidden_size);
    if (!family->classifier_dropout)
        return BERTH_OK;
    const json_t *dropout = json_object_get(root, family->classifier_dropout);
    const struct berth_number_field field = {family->classifier_dropout,
                                             offsetof(struct berth_config, classifier_dropout),
                                             config->hidden_dropout,
                                             0,
                                             1,
                                             true};
    config->classifier_dropout = config->hidden_dropout;
    return json_is_null(dropout) ? BERTH_OK : read_number(name, root, &field, config, err);
}

/* null means that no row is the padding's: as good as any other, for nothing is padded. */
static enum berth_status read_pad_token(const char *name, const json_t *root, struct berth_config *config,
                                        struct berth_error *err)
{
    const json_t *value = json_object_get(root, "pad_token_id");
    if (!value || json_is_null(value))
        return BERTH_OK;
    json_int_t id = json_integer_value(value);
    if (!json_is_integer(value) || id < 0 || (size_t)id >= config->vocab_size)
        return reject(BERTH_FORMAT, name, "pad_token_id", value, "an id below vocab_size is needed", err);
    config->pad_token_id = (size_t)id;
    return BERTH_OK;
}

/* Words of Hugging Face's ACT2FN. gelu_fast and gelu_accurate write gelu_new's formula in another way. */
static const struct {
    const char *word;
    enum berth_activation activation;
} activations[] = {
    {"gelu", BERTH_ACT_GELU_ERF},       {"gelu_python", BERTH_ACT_GELU_ERF},
    {"gelu_new", BERTH_ACT_GELU_TANH},  {"gelu_pytorch_tanh", BERTH_ACT_GELU_TANH},
    {"gelu_fast", BERTH_ACT_GELU_TANH}, {"gelu_accurate", BERTH_ACT_GELU_TANH},
    {"relu", BERTH_ACT_RELU},           {"silu", BERTH_ACT_SILU},
    {"swish", BERTH_ACT_SILU},
};

static enum berth_status read_activation(const char *name, const json_t *root, const char *field,
                                         enum berth_activation *activation, struct berth_error *err)
{
    const json_t *value = json_object_get(root, field);
    *activation = BERTH_ACT_GELU_ERF;
    if (!value)
        return BERTH_OK;
    for (size_t i = 0; json_is_string(value) && i < sizeof activations / sizeof *activations; i++)
        if (strcmp(json_string_value(value), activations[i].word) == 0) {
            *activation = activations[i].activation;
            return BERTH_OK;
        }
    return reject(BERTH_UNSUPPORTED, name, field, value,
                  "berth computes gelu, gelu_new, gelu_pytorch_tanh, relu and silu", err);
}

/* --- mathematics that berth lacks
 * ---------------------------------------------------------------------------- */

/* Fields that must be absent, null, false or empty. */
static const struct {
    const char *field, *problem;
} refused[] = {
    {"is_decoder", "berth runs encoders"},
    {"is_encoder_decoder", "berth runs encoders"},
    {"add_cross_attention", "berth runs encoders"},
    {"pruned_heads", "berth keeps all heads"},
    {"auto_map", "berth runs no code of a model's own"},
};

static bool is_nothing(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0) ||
           (json_is_array(value) && json_array_size(value) == 0);
}

static enum berth_status check_refused(const char *name, const json_t *root, struct berth_error *err)
{
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const json_t *value = json_object_get(root, refused[i].field);
        if (!is_nothing(value))
            return reject(BERTH_UNSUPPORTED, name, refused[i].field, value, refused[i].problem, err);
    }
    const json_t *positions = json_object_get(root, "position_embedding_type");
    if (positions && (!json_is_string(positions) || strcmp(json_string_value(positions), "absolute") != 0))
        return reject(BERTH_UNSUPPORTED, name, "position_embedding_type", positions,
                      "berth computes \"absolute\"", err);
    return BERTH_OK;
}

/* --- names that are not known
 * -------------------------------------------------------------------------------- */

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static bool is_known(const struct berth_family_fields *family, const char *name)
{
    static const char *const read_elsewhere[] = {"architectures",
                                                 "id2label",
                                                 "label2id",
                                                 "model_type",
                                                 "num_labels",
                                                 "_num_labels",
                                                 "pad_token_id",
                                                 "position_embedding_type",
                                                 "problem_type",
                                                 "quantization_config",
                                                 NULL};
    for (const struct berth_size_field *field = family->sizes; field->name; field++)
        if (strcmp(field->name, name) == 0 || (field->alias && strcmp(field->alias, name) == 0))
            return true;
    for (const struct berth_number_field *field = family->numbers; field->name; field++)
        if (strcmp(field->name, name) == 0)
            return true;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (strcmp(refused[i].field, name) == 0)
            return true;
    return strcmp(name, family->activation) == 0 ||
           (family->classifier_dropout && strcmp(name, family->classifier_dropout) == 0) ||
           is_listed(read_elsewhere, name) || is_listed(family->skipped, name) ||
           is_listed(berth_skipped_fields, name);
}

static enum berth_status note_unrecognised(const char *name, json_t *root,
                                           const struct berth_family_fields *family,
                                           struct berth_config *config, struct berth_error *err)
{
    config->unrecognised = berth_calloc(BERTH_UNRECOGNISED_MAX, sizeof *config->unrecognised);
    if (!config->unrecognised)
        return berth_fail_memory(err, name, BERTH_UNRECOGNISED_MAX * sizeof *config->unrecognised);
    const char *field;
    json_t *value;
    json_object_foreach(root, field, value)
    {
        if (config->unrecognised_count == BERTH_UNRECOGNISED_MAX || is_known(family, field))
            continue;
        char *copy = berth_strndup(field, strnlen(field, FIELD_NAME_SHOWN));
        if (!copy)
            return berth_fail_memory(err, name, FIELD_NAME_SHOWN);
        config->unrecognised[config->unrecognised_count++] = copy;
    }
    return BERTH_OK;
}

/* --- the whole
 * ----------------------------------------------------------------------------------------------- */

static enum berth_activation head_activation(enum berth_family family)
{
    return family == BERTH_FAMILY_BERT         ? BERTH_ACT_TANH
           : family == BERTH_FAMILY_DISTILBERT ? BERTH_ACT_RELU
                                               : BERTH_ACT_GELU_ERF;
}

static enum berth_status read_root(const char *name, json_t *root, struct berth_config *config,
                                   struct berth_error *err)
{
    const char *architecture = NULL;
    const struct berth_family_fields *family = NULL;
    enum berth_status status;
    if (!json_is_object(root))
        return berth_fail(err, BERTH_FORMAT, "%s: an object with the model's fields is needed", name);
    BERTH_TRY(read_architecture(name, root, &architecture, err));
    BERTH_TRY(find_family(name, root, architecture, &family, err));
    config->family = family->family;
    config->layer_norm_eps = 1e-12; /* DistilBERT's, fixed in code */
    config->summary_activation = head_activation(family->family);
    snprintf(config->architecture, sizeof config->architecture, "%s",
             architecture ? architecture : family->bare);
    BERTH_TRY(check_refused(name, root, err));
    BERTH_TRY(berth_storage_read(name, root, &config->storage, err));
    BERTH_TRY(read_fields(name, root, family, config, err));
    BERTH_TRY(read_pad_token(name, root, config, err));
    BERTH_TRY(read_activation(name, root, family->activation, &config->activation, err));
    BERTH_TRY(berth_labels_read(name, root, config, err));
    status = note_unrecognised(name, root, family, config, err);
fail:
    return status;
}

enum berth_status berth_config_parse(const char *name, const char *json, size_t size,
                                     struct berth_config *config, struct berth_error *err)
{
    *config = (struct berth_config){0};
    json_t *root;
    enum berth_status status = berth_json_load(name, json, size, CONFIG_DEPTH, 0, &root, err);
    if (status != BERTH_OK)
        return status;
    status = read_root(name, root, config, err);
    json_decref(root);
    if (status != BERTH_OK)
        berth_config_clear(config);
    return status;
}

enum berth_status berth_config_read(const char *directory, struct berth_config *config,
                                    struct berth_error *err)
{
    *config = (struct berth_config){0};
    char *path = berth_path_join(directory, "config.json"), *text = NULL;
    size_t size;
    enum berth_status status =
        path ? berth_file_read(path, CONFIG_LIMIT, &text, &size, err) : berth_fail_memory(err, directory, 0);
    if (status == BERTH_OK)
        status = berth_config_parse(path, text, size, config, err);
    berth_free(text);
    berth_free(path);
    return status;
}

void berth_config_clear(struct berth_config *config)
{
    for (size_t i = 0; config->label_names && i < config->labels; i++)
        berth_free(config->label_names[i]);
    for (size_t i = 0; i < config->unrecognised_count; i++)
        berth_free(config->unrecognised[i]);
    berth_storage_clear(&config->storage);
    berth_free(config->label_names);
    berth_free(config->unrecognised);
    *config = (struct berth_config){0};
}

const char *berth_family_name(enum berth_family family)
{
    return berth_families[family].model_type;
}

const char *berth_activation_name(enum berth_activation activation)
{
    for (size_t i = 0; i < sizeof activations / sizeof *activations; i++)
        if (activations[i].activation == activation)
            return activations[i].word;
    return activation == BERTH_ACT_TANH ? "tanh" : "linear";
}
