/* onnx_reader.c: an ONNX file in: the skeleton through the generated code, the numbers where they lie on the
 * map. */
#include "formats/onnx_reader.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "formats/onnx_wire.h"

enum {
    EXTERNAL_MAX = 64, /* files beside the model */
    INPUTS_MAX = 64,   /* of the graph, weights not counted */
    OPSET_OLDEST = 7,  /* numpy's broadcasting begins here */
    OPSET_NEWEST = 26  /* operators of a later one may mean something else */
};

struct value {
    const char *name; /* of the graph */
    struct berth_onnx_maker maker;
    size_t order; /* of the node; initializers come before all */
};

struct external {
    char *location; /* owned; as the tensors name it */
    struct berth_map map;
};

struct berth_onnx_file {
    char *name; /* owned: path, or the caller's words */
    bool is_path;
    struct berth_map map; /* empty when the bytes are borrowed */
    const unsigned char *data;
    size_t size;
    Onnx__ModelProto *model; /* owned */
    struct value *values;    /* sorted by name */
    size_t value_count;
    struct external external[EXTERNAL_MAX];
    size_t external_count;
};

/* For the generated code; *context tells afterwards whether memory ran out. */
static void *allocate(void *context, size_t size)
{
    void *block = berth_malloc(size, 1);
    if (!block)
        *(bool *)context = true;
    return block;
}

static void release(void *context, void *block)
{
    (void)context;
    berth_free(block);
}

void berth_onnx_close(struct berth_onnx_file *file)
{
    if (!file)
        return;
    for (size_t i = 0; i < file->external_count; i++) {
        berth_free(file->external[i].location);
        berth_map_close(&file->external[i].map);
    }
    if (file->model)
        onnx__model_proto__free_unpacked(file->model,
                                         &(ProtobufCAllocator){.alloc = allocate, .free = release});
    berth_map_close(&file->map);
    berth_free(file->values);
    berth_free(file->name);
    berth_free(file);
}

/* --- names ---------------------------------------------------------------------------------------- */

static int compare_values(const void *a, const void *b)
{
    return strcmp(((const struct value *)a)->name, ((const struct value *)b)->name);
}

static enum berth_status index_values(struct berth_onnx_file *file, struct berth_error *err)
{
    const Onnx__GraphProto *graph = file->model->graph;
    size_t count = graph->n_initializer, used = 0;
    for (size_t i = 0; i < graph->n_node; i++)
        count += graph->node[i]->n_output;
    file->values = berth_calloc(count, sizeof *file->values);
    if (!file->values)
        return berth_fail_memory(err, file->name, count * sizeof *file->values);
    for (size_t i = 0; i < graph->n_initializer; i++) {
        const Onnx__TensorProto *tensor = graph->initializer[i];
        file->values[used++] = (struct value){tensor->name ? tensor->name : "", {.tensor = tensor}, 0};
    }
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (graph->node[i]->output[k][0]) /* "" is an output that nobody wants */
                file->values[used++] =
                    (struct value){graph->node[i]->output[k], {.node = graph->node[i], .output = k}, i + 1};
    file->value_count = used;
    qsort(file->values, used, sizeof *file->values, compare_values);
    for (size_t i = 1; i < used; i++)
        if (strcmp(file->values[i - 1].name, file->values[i].name) == 0)
            return berth_fail(err, BERTH_FORMAT, "%s: two things in its graph are called '%s'", file->name,
                              file->values[i].name);
    return BERTH_OK;
}

static const struct value *find_value(const struct berth_onnx_file *file, const char *name)
{
    const struct value wanted = {.name = name};
    return file->value_count
               ? bsearch(&wanted, file->values, file->value_count, sizeof wanted, compare_values)
               : NULL;
}

struct berth_onnx_maker berth_onnx_find(const struct berth_onnx_file *file, const char *name)
{
    const struct value *found = find_value(file, name);
    return found ? found->maker : (struct berth_onnx_maker){.node = NULL};
}

static enum berth_status check_opset(const struct berth_onnx_file *file, struct berth_error *err)
{
    const Onnx__ModelProto *model = file->model;
    bool said = false;
    for (size_t i = 0; i < model->n_opset_import; i++) {
        const Onnx__OperatorSetIdProto *set = model->opset_import[i];
        bool standard = !set->domain || !set->domain[0] || strcmp(set->domain, "ai.onnx") == 0;
        said = said || standard;
        if (standard && (set->version < OPSET_OLDEST || set->version > OPSET_NEWEST))
            return berth_fail(err, BERTH_UNSUPPORTED, "%s: is of opset %lld; %d to %d are read", file->name,
                              (long long)set->version, OPSET_OLDEST, OPSET_NEWEST);
    }
    if (!said)
        return berth_fail(err, BERTH_FORMAT, "%s: does not say which opset it is of", file->name);
    if (model->n_functions > 0) /* they may redefine any operator */
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: defines functions of its own; export it with them inlined", file->name);
    return BERTH_OK;
}

/* The graph's own inputs; older exporters list the weights among them. */
static enum berth_status list_inputs(const struct berth_onnx_file *file, const char *inputs[INPUTS_MAX],
                                     size_t *count, struct berth_error *err)
{
    const Onnx__GraphProto *graph = file->model->graph;
    *count = 0;
    for (size_t i = 0; i < graph->n_input; i++) {
        const char *name = graph->input[i]->name;
        if (!name || !name[0] || find_value(file, name))
            continue;
        if (*count == INPUTS_MAX)
            return berth_fail(err, BERTH_LIMIT, "%s: its graph has more than %d inputs", file->name,
                              INPUTS_MAX);
        inputs[(*count)++] = name;
    }
    return BERTH_OK;
}

static bool is_listed(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Nodes read what earlier nodes wrote, so there are no cycles; or inputs; nothing else. */
static enum berth_status check_order(const struct berth_onnx_file *file, struct berth_error *err)
{
    const Onnx__GraphProto *graph = file->model->graph;
    const char *inputs[INPUTS_MAX];
    size_t count;
    enum berth_status status = list_inputs(file, inputs, &count, err);
    if (status != BERTH_OK)
        return status;
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_input; k++) {
            const char *name = graph->node[i]->input[k];
            const struct value *made = find_value(file, name);
            if (!made && name[0] && !is_listed(inputs, count, name))
                return berth_fail(err, BERTH_FORMAT,
                                  "%s: node %zu (%s) reads '%s', which is neither made nor an input",
                                  file->name, i, graph->node[i]->op_type, name);
            if (made && made->order > i)
                return berth_fail(err, BERTH_FORMAT, "%s: node %zu (%s) reads '%s' before a node has made it",
                                  file->name, i, graph->node[i]->op_type, made->name);
        }
    return BERTH_OK;
}

/* --- tensors -------------------------------------------------------------------------------------- */

static const char *name_of(const Onnx__TensorProto *proto)
{
    return proto->name && proto->name[0] ? proto->name : "of a constant";
}

static bool convert_type(int type, enum berth_dtype *out)
{
    static const struct {
        int onnx;
        enum berth_dtype dtype;
    } types[] = {
        {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, BERTH_DTYPE_F32},
        {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, BERTH_DTYPE_F16},
        {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, BERTH_DTYPE_BF16},
        {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, BERTH_DTYPE_F64},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, BERTH_DTYPE_I8},
        {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, BERTH_DTYPE_U8},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, BERTH_DTYPE_I32},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, BERTH_DTYPE_I64},
        {ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, BERTH_DTYPE_BOOL},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].onnx == type) {
            *out = types[i].dtype;
            return true;
        }
    return false;
}

static const char *entry_of(const Onnx__TensorProto *proto, const char *key)
{
    for (size_t i = 0; i < proto->n_external_data; i++) {
        const Onnx__StringStringEntryProto *entry = proto->external_data[i];
        if (entry->key && entry->value && strcmp(entry->key, key) == 0)
            return entry->value;
    }
    return NULL;
}

static bool read_number(const char *text, uint64_t *number)
{
    char *end;
    *number = 0;
    if (!text)
        return true;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    *number = value;
    return !errno && !*end;
}

/* The folder of a path after links were followed: PATH_MAX bytes at `folder`, with a slash at its end. */
static bool real_folder(const char *path, char *folder)
{
    if (!realpath(path, folder))
        return false;
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[1] = 0;
    return slash != NULL;
}

/* A file beside the model, or beside what the model's name links to (caches keep links): nothing else is
 * opened. */
static enum berth_status open_external(struct berth_onnx_file *file, const char *location,
                                       const struct external **out, struct berth_error *err)
{
    for (size_t i = 0; i < file->external_count; i++)
        if (strcmp(file->external[i].location, location) == 0) {
            *out = &file->external[i];
            return BERTH_OK;
        }
    if (!file->is_path || strchr(location, '/') || !*location || strcmp(location, "..") == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: keeps tensors in '%s'; only files beside it are read",
                          file->name, location);
    if (file->external_count == EXTERNAL_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: keeps tensors in more than %d files", file->name,
                          EXTERNAL_MAX);
    char ours[PATH_MAX], beside[PATH_MAX], theirs[PATH_MAX];
    const char *slash = strrchr(file->name, '/');
    int length = snprintf(beside, sizeof beside, "%.*s%s", slash ? (int)(slash + 1 - file->name) : 0,
                          file->name, location);
    if (length < 0 || (size_t)length >= sizeof beside)
        return berth_fail(err, BERTH_FORMAT, "%s: keeps tensors in a file whose name is too long",
                          file->name);
    if (!berth_path_present(beside))
        return berth_fail(err, BERTH_NOT_FOUND, "%s: keeps tensors in '%s', which is not beside it",
                          file->name, location);
    struct external *external = &file->external[file->external_count];
    enum berth_status status = berth_map_open(beside, &external->map, err);
    if (status != BERTH_OK)
        return status;
    char plain[PATH_MAX];
    snprintf(plain, sizeof plain, "%.*s.", slash ? (int)(slash + 1 - file->name) : 0, file->name);
    bool inside = real_folder(file->name, ours) && real_folder(beside, theirs) && strcmp(ours, theirs) == 0;
    if (!inside && realpath(plain, ours) && real_folder(beside, theirs)) {
        size_t n = strlen(ours);
        inside = strncmp(ours, theirs, n) == 0 && strcmp(theirs + n, "/") == 0;
    }
    if (!inside) {
        berth_map_close(&external->map);
        return berth_fail(err, BERTH_FORMAT, "%s: keeps tensors in '%s', which is a link out of its folder",
                          file->name, location);
    }
    external->location = berth_strdup(location);
    file->external_count++;
    *out = external;
    return external->location ? BERTH_OK : berth_fail_memory(err, location, strlen(location));
}

static enum berth_status locate_external(struct berth_onnx_file *file, const Onnx__TensorProto *proto,
                                         const void **data, size_t *bytes, struct berth_error *err)
{
    const char *location = entry_of(proto, "location");
    uint64_t offset, length, end;
    if (!location || !read_number(entry_of(proto, "offset"), &offset) ||
        !read_number(entry_of(proto, "length"), &length))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' does not say where its numbers are", file->name,
                          name_of(proto));
    const struct external *external;
    enum berth_status status = open_external(file, location, &external, err);
    if (status != BERTH_OK)
        return status;
    if (!entry_of(proto, "length"))
        length = *bytes;
    if (__builtin_add_overflow(offset, length, &end) || end > external->map.size)
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' reaches beyond the end of '%s' (%zu bytes)",
                          file->name, name_of(proto), location, external->map.size);
    *data = external->map.data + offset;
    *bytes = (size_t)length;
    return BERTH_OK;
}

/* Where the numbers are, and how many bytes: *bytes comes in as what the shape needs. */
static enum berth_status locate(struct berth_onnx_file *file, const Onnx__TensorProto *proto,
                                enum berth_dtype dtype, const void **data, size_t *bytes,
                                struct berth_error *err)
{
    struct berth_onnx_place_of place;
    if (proto->has_data_location && proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return locate_external(file, proto, data, bytes, err);
    if (proto->has_raw_data && proto->raw_data.len == sizeof place) {
        memcpy(&place, proto->raw_data.data, sizeof place);
        *data = file->data + place.offset; /* the walk measured it */
        *bytes = place.size;
    } else if (dtype == BERTH_DTYPE_I64) {
        *data = proto->int64_data;
        *bytes = proto->n_int64_data * sizeof *proto->int64_data;
    } else if (dtype == BERTH_DTYPE_I32) {
        *data = proto->int32_data;
        *bytes = proto->n_int32_data * sizeof *proto->int32_data;
    } else if (dtype == BERTH_DTYPE_F64) {
        *data = proto->double_data;
        *bytes = proto->n_double_data * sizeof *proto->double_data;
    } else {
        *bytes = 0;
    }
    return BERTH_OK;
}

enum berth_status berth_onnx_tensor_of(struct berth_onnx_file *file, const Onnx__TensorProto *proto,
                                       struct berth_tensor *tensor, struct berth_error *err)
{
    *tensor = (struct berth_tensor){.name = name_of(proto), .rank = proto->n_dims, .elements = 1};
    if (!convert_type(proto->data_type, &tensor->dtype))
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: tensor '%s' has elements of type %d, which berth does not read", file->name,
                          tensor->name, proto->data_type);
    bool fits = proto->n_dims <= BERTH_TENSOR_MAX_RANK;
    for (size_t i = 0; fits && i < proto->n_dims; i++) {
        fits = proto->dims[i] >= 0 && berth_mul(tensor->elements, (size_t)proto->dims[i], &tensor->elements);
        tensor->shape[i] = (size_t)proto->dims[i];
    }
    size_t needed = 0;
    if (!fits || !berth_mul(tensor->elements, berth_dtype_size(tensor->dtype), &needed))
        return berth_fail(err, BERTH_FORMAT, "%s: tensor '%s' has a shape that no tensor can have",
                          file->name, tensor->name);
    tensor->bytes = needed;
    enum berth_status status = locate(file, proto, tensor->dtype, &tensor->data, &tensor->bytes, err);
    if (status == BERTH_OK && tensor->bytes != needed)
        return berth_fail(err, BERTH_FORMAT,
                          "%s: tensor '%s' needs %zu bytes for its shape, the file has %zu", file->name,
                          tensor->name, needed, tensor->bytes);
    return status;
}

/* --- opening -------------------------------------------------------------------------------------- */

/* Strings that the schema leaves optional but no node can do without. */
static enum berth_status check_nodes(const struct berth_onnx_file *file, struct berth_error *err)
{
    const Onnx__GraphProto *graph = file->model->graph;
    for (size_t i = 0; i < graph->n_node; i++) {
        const Onnx__NodeProto *node = graph->node[i];
        bool named = node->op_type != NULL;
        for (size_t k = 0; k < node->n_attribute; k++)
            named = named && node->attribute[k]->name != NULL;
        if (!named)
            return berth_fail(err, BERTH_FORMAT,
                              "%s: node %zu has no operator, or an attribute without a name", file->name, i);
    }
    return BERTH_OK;
}

static enum berth_status read_model(struct berth_onnx_file *file, struct berth_error *err)
{
    struct berth_buffer skeleton;
    enum berth_status status = berth_onnx_skeleton(file->name, file->data, file->size, &skeleton, err);
    if (status == BERTH_OK) {
        bool exhausted = false;
        ProtobufCAllocator allocator = {.alloc = allocate, .free = release, .allocator_data = &exhausted};
        file->model = onnx__model_proto__unpack(&allocator, skeleton.size, (const uint8_t *)skeleton.data);
        if (!file->model && exhausted)
            status = berth_fail_memory(err, file->name, skeleton.size);
        else if (!file->model)
            status = berth_fail(err, BERTH_FORMAT, "%s: is damaged or no ONNX file", file->name);
        else if (!file->model->graph)
            status = berth_fail(err, BERTH_FORMAT, "%s: is no ONNX file: it holds no graph", file->name);
    }
    berth_buffer_clear(&skeleton);
    BERTH_TRY(status);
    BERTH_TRY(check_opset(file, err));
    BERTH_TRY(check_nodes(file, err));
    BERTH_TRY(index_values(file, err));
    status = check_order(file, err);
    struct berth_tensor tensor;
    for (size_t i = 0; i < file->model->graph->n_initializer && status == BERTH_OK; i++)
        if (convert_type(file->model->graph->initializer[i]->data_type, &tensor.dtype))
            status = berth_onnx_tensor_of(file, file->model->graph->initializer[i], &tensor, err);
fail:
    return status;
}

static enum berth_status open_bytes(const char *name, const void *data, size_t size, bool is_path,
                                    struct berth_onnx_file **out, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    struct berth_onnx_file *file = berth_calloc(1, sizeof *file);
    *out = NULL;
    if (!file)
        return berth_fail_memory(err, name, sizeof *file);
    file->is_path = is_path;
    file->data = data;
    file->size = size;
    file->name = berth_strdup(name);
    if (!file->name) {
        status = berth_fail_memory(err, name, strlen(name));
        goto fail;
    }
    if (is_path) {
        BERTH_TRY(berth_map_open(name, &file->map, err));
        file->data = file->map.data;
        file->size = file->map.size;
    }
    BERTH_TRY(read_model(file, err));
    *out = file;
    return BERTH_OK;
fail:
    berth_onnx_close(file);
    return status;
}

enum berth_status berth_onnx_open(const char *path, struct berth_onnx_file **file, struct berth_error *err)
{
    return open_bytes(path, NULL, 0, true, file, err);
}

enum berth_status berth_onnx_open_memory(const char *name, const void *data, size_t size,
                                         struct berth_onnx_file **file, struct berth_error *err)
{
    return open_bytes(name, data, size, false, file, err);
}

size_t berth_onnx_bytes(const struct berth_onnx_file *file)
{
    size_t bytes = file->size;
    for (size_t i = 0; i < file->external_count; i++)
        bytes += file->external[i].map.size;
    return bytes;
}

const char *berth_onnx_name(const struct berth_onnx_file *file)
{
    return file->name;
}

const Onnx__GraphProto *berth_onnx_graph(const struct berth_onnx_file *file)
{
    return file->model->graph;
}
