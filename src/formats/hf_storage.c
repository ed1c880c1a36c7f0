/* hf_storage.c: what a quantised checkpoint says of itself, read and written. Every field changes what the
 * weights mean, so an unknown one is refused. */
#include "formats/hf_storage.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "formats/json_load.h"

enum { VERSION = 1, VALUE_TEXT = 96, MODULE_MAX = 120 };

static const char field_name[] = "quantization_config";
static const char *const words[] = {
    [BERTH_STORED_PLAIN] = "",
    [BERTH_STORED_INT8] = "int8",
    [BERTH_STORED_BF16] = "bf16",
    [BERTH_STORED_FP32] = "fp32",
};

const char *berth_stored_name(enum berth_stored stored)
{
    return words[stored];
}

void berth_storage_clear(struct berth_storage *storage)
{
    for (size_t i = 0; i < storage->kept_count; i++)
        berth_free(storage->kept[i].module);
    berth_free(storage->kept);
    *storage = (struct berth_storage){0};
}

static enum berth_status reject(enum berth_status status, const char *name, const char *field,
                                const json_t *value, const char *problem, struct berth_error *err)
{
    char text[VALUE_TEXT];
    return berth_fail(err, status, "%s: %s: %.64s is %s, %s", name, field_name, field,
                      berth_json_describe(value, text, sizeof text), problem);
}

/* One of the words, finer than `coarser`. */
static bool read_stored(const json_t *value, enum berth_stored coarser, enum berth_stored *stored)
{
    const char *word = json_string_value(value);
    for (*stored = coarser + 1; word && *stored <= BERTH_STORED_FP32; ++*stored)
        if (strcmp(word, words[*stored]) == 0)
            return true;
    return false;
}

static enum berth_status read_kept(const char *name, json_t *kept, struct berth_storage *storage,
                                   struct berth_error *err)
{
    if (!json_is_object(kept) || json_object_size(kept) > BERTH_KEPT_MAX)
        return reject(BERTH_FORMAT, name, "kept", kept, "an object of modules is needed, not more than 8192",
                      err);
    storage->kept = berth_calloc(json_object_size(kept) + 1, sizeof *storage->kept);
    if (!storage->kept)
        return berth_fail_memory(err, name, json_object_size(kept) * sizeof *storage->kept);
    const char *module;
    json_t *value;
    json_object_foreach(kept, module, value)
    {
        struct berth_kept_module *into = &storage->kept[storage->kept_count];
        if (!read_stored(value, storage->stored, &into->stored))
            return reject(BERTH_FORMAT, name, module, value, "a precision finer than the rest's is needed",
                          err);
        if (strlen(module) > MODULE_MAX)
            return reject(BERTH_FORMAT, name, module, value, "and no module has a name as long", err);
        into->module = berth_strdup(module);
        if (!into->module)
            return berth_fail_memory(err, name, strlen(module));
        storage->kept_count++;
    }
    return BERTH_OK;
}

static enum berth_status read_object(const char *name, json_t *object, struct berth_storage *storage,
                                     struct berth_error *err)
{
    static const char *const known[] = {"quant_method", "version", "precision", "kept"};
    const json_t *method = json_object_get(object, "quant_method");
    if (!json_is_string(method) || strcmp(json_string_value(method), "berth") != 0) {
        char text[VALUE_TEXT];
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: %s is %s, and berth reads no quantisation but its own",
                          name, field_name, berth_json_describe(object, text, sizeof text));
    }
    const char *field;
    json_t *value;
    json_object_foreach(object, field, value)
    {
        bool found = false;
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            found = found || strcmp(field, known[i]) == 0;
        if (!found)
            return reject(BERTH_UNSUPPORTED, name, field, value,
                          "and this version of berth does not know the field", err);
    }
    const json_t *version = json_object_get(object, "version"),
                 *precision = json_object_get(object, "precision");
    if (!json_is_integer(version) || json_integer_value(version) != VERSION)
        return reject(BERTH_UNSUPPORTED, name, "version", version, "1 is what this version of berth reads",
                      err);
    if (!read_stored(precision, BERTH_STORED_PLAIN, &storage->stored) || storage->stored == BERTH_STORED_FP32)
        return reject(BERTH_UNSUPPORTED, name, "precision", precision, "\"int8\" or \"bf16\" is needed", err);
    json_t *kept = json_object_get(object, "kept");
    return kept ? read_kept(name, kept, storage, err) : BERTH_OK;
}

static bool is_nothing(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_object(value) && json_object_size(value) == 0);
}

enum berth_status berth_storage_read(const char *name, const json_t *root, struct berth_storage *storage,
                                     struct berth_error *err)
{
    json_t *object = json_object_get(root, field_name);
    *storage = (struct berth_storage){0};
    if (is_nothing(object))
        return BERTH_OK;
    enum berth_status status =
        json_is_object(object) ? read_object(name, object, storage, err)
                               : berth_fail(err, BERTH_UNSUPPORTED, "%s: %s is no object", name, field_name);
    if (status != BERTH_OK)
        berth_storage_clear(storage);
    return status;
}

json_t *berth_storage_json(const struct berth_storage *storage)
{
    if (storage->stored == BERTH_STORED_PLAIN)
        return NULL;
    json_t *kept = json_object();
    bool complete = kept != NULL;
    for (size_t i = 0; i < storage->kept_count && complete; i++)
        complete = json_object_set_new(kept, storage->kept[i].module,
                                       json_string(words[storage->kept[i].stored])) == 0;
    if (!complete) {
        json_decref(kept);
        return NULL;
    }
    return json_pack("{s:s, s:i, s:s, s:o}", "quant_method", "berth", "version", VERSION, "precision",
                     words[storage->stored], "kept", kept);
}
