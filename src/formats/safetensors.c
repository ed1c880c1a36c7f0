/* safetensors.c: reads one safetensors file: 8 bytes of header length (little-endian), a JSON header, then
 * the numbers. The header must describe every byte after it, without holes or overlaps, as the format's own
 * reader demands. Called by checkpoint.c. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "formats/checkpoint_build.h"
#include "formats/json_load.h"
#include "formats/safetensors.h"

enum { HEADER_DEPTH = 8 }; /* a shape is at depth 3 */

struct extent {
    size_t begin, end;
    const char *name; /* borrowed from the header */
};

static const char *const dtype_names[BERTH_DTYPE_COUNT] = {
    [BERTH_DTYPE_F32] = "F32",   [BERTH_DTYPE_F16] = "F16", [BERTH_DTYPE_BF16] = "BF16",
    [BERTH_DTYPE_F64] = "F64",   [BERTH_DTYPE_I8] = "I8",   [BERTH_DTYPE_U8] = "U8",
    [BERTH_DTYPE_I16] = "I16",   [BERTH_DTYPE_I32] = "I32", [BERTH_DTYPE_I64] = "I64",
    [BERTH_DTYPE_BOOL] = "BOOL",
};

const char *berth_safetensors_dtype_name(enum berth_dtype dtype)
{
    return dtype_names[dtype];
}

/* Reads a size; false when it is no integer or negative. */
static bool read_size(const json_t *value, size_t *size)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *size = (size_t)json_integer_value(value);
    return true;
}

static enum berth_status read_dtype(const char *path, const char *name, const json_t *value,
                                    enum berth_dtype *dtype, struct berth_error *err)
{
    const char *word = json_string_value(value);
    if (!word)
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s': \"dtype\" is not a string", path, name);
    for (*dtype = 0; *dtype < BERTH_DTYPE_COUNT; (*dtype)++)
        if (strcmp(word, dtype_names[*dtype]) == 0)
            return BERTH_OK;
    return berth_fail(err, BERTH_UNSUPPORTED, "%s: tensor '%s' has dtype '%s', which berth does not read",
                      path, name, word);
}

/* Fills shape, elements and bytes. */
static enum berth_status read_shape(const char *path, const char *name, const json_t *shape,
                                    struct berth_tensor *tensor, struct berth_error *err)
{
    char text[80];
    if (!json_is_array(shape))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s': \"shape\" is not an array", path, name);
    tensor->rank = json_array_size(shape);
    if (tensor->rank > BERTH_TENSOR_MAX_RANK)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: tensor '%s' has %zu dimensions, at most %d are read",
                          path, name, tensor->rank, BERTH_TENSOR_MAX_RANK);
    tensor->elements = 1;
    for (size_t i = 0; i < tensor->rank; i++)
        if (!read_size(json_array_get(shape, i), &tensor->shape[i]) ||
            !berth_mul(tensor->elements, tensor->shape[i], &tensor->elements))
            return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' has an impossible shape %s", path, name,
                              berth_json_describe(shape, text, sizeof text));
    if (!berth_mul(tensor->elements, berth_dtype_size(tensor->dtype), &tensor->bytes))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' has an impossible shape %s", path, name,
                          berth_json_describe(shape, text, sizeof text));
    return BERTH_OK;
}

static enum berth_status read_extent(const char *path, const char *name, const json_t *offsets,
                                     size_t data_size, struct extent *extent, struct berth_error *err)
{
    char text[80];
    extent->name = name;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !read_size(json_array_get(offsets, 0), &extent->begin) ||
        !read_size(json_array_get(offsets, 1), &extent->end))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s': \"data_offsets\" is not a pair of sizes", path,
                          name);
    if (extent->begin > extent->end || extent->end > data_size)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: tensor '%s' lies at %s, but the file has %zu bytes of data (is it complete?)",
                          path, name, berth_json_describe(offsets, text, sizeof text), data_size);
    return BERTH_OK;
}

static enum berth_status read_tensor(struct berth_checkpoint *checkpoint, const char *path, const char *name,
                                     const json_t *value, const unsigned char *data, size_t data_size,
                                     struct extent *extent, struct berth_error *err)
{
    if (!json_is_object(value))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' is not described by an object", path, name);
    struct berth_tensor tensor = {0};
    enum berth_status status;
    BERTH_TRY(read_dtype(path, name, json_object_get(value, "dtype"), &tensor.dtype, err));
    BERTH_TRY(read_shape(path, name, json_object_get(value, "shape"), &tensor, err));
    BERTH_TRY(read_extent(path, name, json_object_get(value, "data_offsets"), data_size, extent, err));
    if (tensor.bytes != extent->end - extent->begin) {
        char text[BERTH_TENSOR_MAX_RANK * 21 + 16];
        status = berth_fail(
            err, BERTH_FORMAT, "%s: tensor '%s' is %s, which is %zu bytes, but its data has %zu", path, name,
            berth_tensor_describe(&tensor, text, sizeof text), tensor.bytes, extent->end - extent->begin);
        goto fail;
    }
    tensor.data = data + extent->begin;
    status = berth_checkpoint_add(checkpoint, &tensor, name, strlen(name), NULL, err);
fail:
    return status;
}

static enum berth_status read_metadata(struct berth_checkpoint *checkpoint, const char *path,
                                       json_t *metadata, struct berth_error *err)
{
    if (!json_is_object(metadata))
        return berth_fail(err, BERTH_FORMAT, "%s: \"__metadata__\" is not an object", path);
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return berth_fail(err, BERTH_FORMAT, "%s: \"__metadata__\": '%s' is not a string", path, key);
        enum berth_status status =
            berth_checkpoint_add_metadata(checkpoint, key, json_string_value(value), err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

static int compare_extents(const void *a, const void *b)
{
    const struct extent *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end); /* empty ones first */
}

/* The tensors lie end to end from the first byte of the data to its last. */
static enum berth_status check_cover(const char *path, struct extent *extents, size_t count, size_t data_size,
                                     struct berth_error *err)
{
    size_t reached = 0;
    qsort(extents, count, sizeof *extents, compare_extents);
    for (size_t i = 0; i < count; i++) {
        if (extents[i].begin < reached)
            return berth_fail(err, BERTH_FORMAT, "%s: tensors '%s' and '%s' overlap", path,
                              extents[i - 1].name, extents[i].name);
        if (extents[i].begin > reached)
            return berth_fail(err, BERTH_FORMAT, "%s: no tensor describes the %zu bytes before '%s'", path,
                              extents[i].begin - reached, extents[i].name);
        reached = extents[i].end;
    }
    if (reached != data_size)
        return berth_fail(err, BERTH_FORMAT, "%s: no tensor describes the last %zu bytes", path,
                          data_size - reached);
    return BERTH_OK;
}

static enum berth_status read_tensors(struct berth_checkpoint *checkpoint, const char *path, json_t *header,
                                      const unsigned char *data, size_t data_size, struct berth_error *err)
{
    struct extent *extents = berth_calloc(json_object_size(header), sizeof *extents);
    if (!extents)
        return berth_fail_memory(err, path, json_object_size(header) * sizeof *extents);
    enum berth_status status = BERTH_OK;
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(header, name, value)
    {
        if (strcmp(name, "__metadata__") == 0)
            BERTH_TRY(read_metadata(checkpoint, path, value, err));
        else
            BERTH_TRY(read_tensor(checkpoint, path, name, value, data, data_size, &extents[count++], err));
    }
    status = check_cover(path, extents, count, data_size, err);
fail:
    berth_free(extents);
    return status;
}

enum berth_status berth_safetensors_read(struct berth_checkpoint *checkpoint,
                                         const struct berth_weight_file *file, struct berth_error *err)
{
    const char *path = file->path;
    if (file->size < 8)
        return berth_fail(err, BERTH_FORMAT, "%s: %zu bytes are no weight file", path, file->size);
    uint64_t length = 0;
    for (size_t i = 0; i < 8; i++)
        length |= (uint64_t)file->data[i] << (8 * i);
    if (file->size > 8 && file->data[8] != '{')
        return berth_fail(err, BERTH_FORMAT, "%s: neither a safetensors file nor one that torch.save wrote",
                          path);
    if (length > file->size - 8)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: the header is said to have %llu bytes, the file has %zu (is it complete?)",
                          path, (unsigned long long)length, file->size);
    if (length > BERTH_SAFETENSORS_MAX_HEADER)
        return berth_fail(err, BERTH_LIMIT, "%s: a header of %llu bytes, at most %d are read", path,
                          (unsigned long long)length, BERTH_SAFETENSORS_MAX_HEADER);
    json_t *header;
    enum berth_status status = berth_json_load(path, (const char *)file->data + 8, (size_t)length,
                                               HEADER_DEPTH, JSON_REJECT_DUPLICATES, &header, err);
    if (status != BERTH_OK)
        return status;
    size_t data_size = file->size - 8 - (size_t)length;
    status = read_tensors(checkpoint, path, header, file->data + 8 + length, data_size, err);
    json_decref(header);
    return status;
}
