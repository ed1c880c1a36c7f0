/* safetensors_write.c: writes tensors as one safetensors file, whole or not at all. Used by training,
 * conversion and the dump of gradients; safetensors.c reads it back. */
#include <errno.h>
#include <string.h>

#include <jansson.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/checkpoint.h"
#include "formats/safetensors.h"

static enum berth_status check_tensor(const struct berth_tensor *tensor, const json_t *header,
                                      struct berth_error *err)
{
    const char *name = tensor->name;
    if (name[0] == 0 || strcmp(name, "__metadata__") == 0 || json_object_get(header, name))
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "tensor '%s': the name is empty, reserved or used twice", name);
    size_t elements = 1, bytes;
    bool fits = tensor->rank <= BERTH_TENSOR_MAX_RANK;
    for (size_t i = 0; fits && i < tensor->rank; i++)
        fits = berth_mul(elements, tensor->shape[i], &elements);
    if (!fits || !berth_mul(elements, berth_dtype_size(tensor->dtype), &bytes) || bytes != tensor->bytes)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "tensor '%s': %zu bytes are not what its shape needs",
                          name, tensor->bytes);
    return BERTH_OK;
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]} */
static json_t *describe(const struct berth_tensor *tensor, size_t begin)
{
    json_t *shape = json_array();
    int failed = shape ? 0 : -1;
    for (size_t i = 0; i < tensor->rank && !failed; i++)
        failed = json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    if (failed) {
        json_decref(shape);
        return NULL;
    }
    return json_pack("{s:s, s:o, s:[I,I]}", "dtype", berth_safetensors_dtype_name(tensor->dtype), "shape",
                     shape, "data_offsets", (json_int_t)begin, (json_int_t)(begin + tensor->bytes));
}

static enum berth_status build_metadata(const char *const *metadata, json_t *header, struct berth_error *err)
{
    json_t *object = json_object();
    if (json_object_set_new(header, "__metadata__", object) != 0)
        return berth_fail_memory(err, "a safetensors header", 0);
    for (; metadata[0]; metadata += 2)
        if (json_object_set_new(object, metadata[0], json_string(metadata[1])) != 0)
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "metadata '%s': not UTF-8 text, or out of memory",
                              metadata[0]);
    return BERTH_OK;
}

/* The header as a JSON value, after every check that can fail. */
static enum berth_status build_header(const struct berth_tensor *tensors, size_t count,
                                      const char *const *metadata, json_t *header, struct berth_error *err)
{
    enum berth_status status = metadata ? build_metadata(metadata, header, err) : BERTH_OK;
    size_t begin = 0;
    for (size_t i = 0; i < count && status == BERTH_OK; i++) {
        size_t end;
        status = check_tensor(&tensors[i], header, err);
        if (status == BERTH_OK && (!berth_add(begin, tensors[i].bytes, &end) || end > INT64_MAX))
            status =
                berth_fail(err, BERTH_LIMIT, "tensor '%s': more data than a file can hold", tensors[i].name);
        if (status == BERTH_OK &&
            json_object_set_new(header, tensors[i].name, describe(&tensors[i], begin)) != 0)
            status = berth_fail(err, BERTH_INVALID_ARGUMENT,
                                "tensor '%s': the name is not UTF-8, or out of memory", tensors[i].name);
        if (status == BERTH_OK)
            begin = end;
    }
    return status;
}

/* The bytes before the data: length, JSON, spaces up to a multiple of 8. Freed by the caller. */
static enum berth_status render_header(const json_t *header, char **bytes, size_t *size,
                                       struct berth_error *err)
{
    size_t json_size = json_dumpb(header, NULL, 0, JSON_COMPACT);
    size_t padded = berth_round_up(json_size, 8);
    if (json_size == 0)
        return berth_fail_memory(err, "a safetensors header", 0);
    if (padded > BERTH_SAFETENSORS_MAX_HEADER)
        return berth_fail(err, BERTH_LIMIT, "a header of %zu bytes is more than safetensors allows", padded);
    *size = 8 + padded;
    *bytes = berth_malloc(*size, 1);
    if (!*bytes)
        return berth_fail_memory(err, "a safetensors header", *size);
    for (size_t i = 0; i < 8; i++)
        (*bytes)[i] = (char)(padded >> (8 * i) & 0xff);
    memset(*bytes + 8, ' ', padded);
    if (json_dumpb(header, *bytes + 8, json_size, JSON_COMPACT) != json_size)
        return berth_fail_memory(err, "a safetensors header", json_size);
    return BERTH_OK;
}

static enum berth_status write_file(const char *path, const char *header, size_t header_size,
                                    const struct berth_tensor *tensors, size_t count, struct berth_error *err)
{
    struct berth_atomic_file file;
    enum berth_status status = berth_atomic_open(path, &file, err);
    if (status != BERTH_OK)
        return status;
    bool written = fwrite(header, 1, header_size, file.stream) == header_size;
    for (size_t i = 0; i < count && written; i++)
        written = tensors[i].bytes == 0 ||
                  fwrite(tensors[i].data, 1, tensors[i].bytes, file.stream) == tensors[i].bytes;
    if (!written) {
        status = berth_fail_errno(err, errno, "%s: cannot write", path);
        berth_atomic_abort(&file);
        return status;
    }
    return berth_atomic_commit(&file, err);
}

enum berth_status berth_safetensors_write(const char *path, const struct berth_tensor *tensors, size_t count,
                                          const char *const *metadata, struct berth_error *err)
{
    char *bytes = NULL;
    size_t size = 0;
    json_t *header = json_object();
    enum berth_status status = header ? build_header(tensors, count, metadata, header, err)
                                      : berth_fail_memory(err, "a safetensors header", 0);
    if (status == BERTH_OK)
        status = render_header(header, &bytes, &size, err);
    if (status == BERTH_OK)
        status = write_file(path, bytes, size, tensors, count, err);
    else
        (void)berth_fail_prefix(err, status, "%s", path);
    berth_free(bytes);
    json_decref(header);
    return status;
}
