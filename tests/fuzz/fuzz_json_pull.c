/* fuzz_json_pull.c: any bytes as JSON, against jansson: the same texts are accepted, and mean the same. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "serve/json_pull.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static json_t *rebuild(struct berth_json *json);

static json_t *rebuild_array(struct berth_json *json)
{
    json_t *array = json_array();
    while (berth_json_item(json))
        json_array_append_new(array, rebuild(json));
    return array;
}

static json_t *rebuild_object(struct berth_json *json)
{
    json_t *object = json_object();
    struct berth_slice name;
    while (berth_json_member(json, &name)) {
        char *key = malloc(name.size + 1); /* strndup may look for the end that a slice does not have */
        memcpy(key, name.bytes, name.size);
        key[name.size] = 0;
        json_object_set_new(object, key, rebuild(json));
        free(key);
    }
    return object;
}

/* What is read, as jansson would hold it; reals, which nobody reads, as null. */
static json_t *rebuild(struct berth_json *json)
{
    struct berth_slice text;
    int64_t number;
    bool truth;
    if (berth_json_open(json, '['))
        return rebuild_array(json);
    if (berth_json_open(json, '{'))
        return rebuild_object(json);
    if (berth_json_string(json, &text))
        return json_stringn_nocheck(text.bytes, text.size);
    if (berth_json_integer(json, &number))
        return json_integer(number);
    if (berth_json_bool(json, &truth))
        return json_boolean(truth);
    if (!berth_json_null(json))
        berth_json_skip(json);
    return json_null();
}

static json_t *without_reals(json_t *value)
{
    const char *key;
    json_t *item;
    void *next;
    size_t i;
    json_array_foreach(value, i, item) json_array_set_new(value, i, without_reals(json_incref(item)));
    json_object_foreach_safe(value, next, key, item)
        json_object_set_new(value, key, without_reals(json_incref(item)));
    if (!json_is_real(value))
        return value;
    json_decref(value);
    return json_null();
}

static size_t depth_of(const char *text, size_t size)
{
    size_t brackets = 0;
    for (size_t i = 0; i < size; i++)
        brackets += text[i] == '[' || text[i] == '{';
    return brackets;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *mended = malloc(size + 1), *first = malloc(size + 1), *second = malloc(size + 1);
    memcpy(first, data, size);
    memcpy(second, data, size);
    memcpy(mended, data, size);
    mended[size] = 0;
    struct berth_json json;
    berth_json_begin(&json, first, size);
    bool passed = berth_json_skip(&json) && berth_json_end(&json);
    if (memcmp(first, data, size) != 0)
        abort();                              /* passing over must rewrite nothing */
    bool nul = memchr(data, 0, size) != NULL; /* of which jansson swallows some */
    if (nul && passed)
        abort();
    if (!nul && depth_of(first, size) <= BERTH_JSON_DEPTH) {
        size_t mark = size >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        berth_json_text_mend(mended, size);
        json_t *wanted = json_loadb(mended + mark, size - mark, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        berth_json_begin(&json, second, size);
        json_t *got = rebuild(&json);
        if (berth_json_end(&json) != passed || passed != (wanted != NULL))
            abort();
        wanted = wanted ? without_reals(wanted) : NULL;
        if (passed && !json_equal(wanted, got))
            abort();
        json_decref(wanted);
        json_decref(got);
    }
    free(mended);
    free(first);
    free(second);
    return 0;
}
