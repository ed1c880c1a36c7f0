/* onnx_writer.c: ONNX files out. A protobuf message is the concatenation of its fields in any order, so every
 * node is packed by the generated code at once and appended; the weights are written straight into their
 * place in the file. */
#include "formats/onnx_writer.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/checked.h"
#include "base/error.h"
#include <onnx.pb-c.h>

enum {
    /* Field numbers of onnx.proto that are written by hand, with the wire type of a length-delimited field.
     */
    MODEL_GRAPH = 7 << 3 | 2,
    MODEL_METADATA = 14 << 3 | 2,
    MODEL_OPSET = 8 << 3 | 2,
    GRAPH_NODE = 1 << 3 | 2,
    GRAPH_INITIALIZER = 5 << 3 | 2,
    GRAPH_INPUT = 11 << 3 | 2,
    GRAPH_OUTPUT = 12 << 3 | 2,
    GRAPH_VALUE_INFO = 13 << 3 | 2,
    TENSOR_RAW_DATA = 9 << 3 | 2,
    VARINT_MAX = 10,
    NAMES_MAX = 32,     /* inputs or outputs of one node */
    ATTRIBUTES_MAX = 8, /* of one node */
    GRAPH_LIMIT = 1 << 28,
    PAGE = 4096 /* external tensors begin on one, so that they can be mapped */
};

/* protobuf cannot hold more in one message. */
static const uint64_t inline_maximum = INT32_MAX;

struct tensor {
    char *name; /* owned */
    struct berth_onnx_shape shape;
    size_t bytes;
    const void *item; /* for fill; NULL: `data` has the bytes */
    void *data;       /* owned */
    uint64_t offset;  /* in the external file */
    char *header;     /* owned: the packed TensorProto without its numbers, while the file is written */
    size_t header_size;
};

struct berth_onnx_writer {
    int opset;
    berth_onnx_fill_fn *fill;
    void *context;
    struct berth_buffer model; /* fields of ModelProto but the graph */
    struct berth_buffer graph; /* fields of GraphProto but the initializers */
    struct tensor *tensors;
    size_t tensor_count, tensor_capacity;
    enum berth_status status; /* the first failure */
    struct berth_error err;
};

struct berth_onnx_sink {
    FILE *stream;
    uint64_t left; /* bytes still wanted */
    bool overrun;
};

void berth_onnx_put(struct berth_onnx_sink *sink, const void *bytes, size_t size)
{
    if (size > sink->left) {
        sink->overrun = true;
        return;
    }
    (void)fwrite(bytes, 1, size, sink->stream); /* a failure stays in the stream, for the end */
    sink->left -= size;
}

/* --- protobuf by hand ----------------------------------------------------------------------------- */

static size_t make_varint(unsigned char out[VARINT_MAX], uint64_t number)
{
    size_t n = 0;
    for (; number >= 0x80; number >>= 7)
        out[n++] = (unsigned char)(number | 0x80);
    out[n++] = (unsigned char)number;
    return n;
}

static size_t varint_size(uint64_t number)
{
    unsigned char bytes[VARINT_MAX];
    return make_varint(bytes, number);
}

void berth_onnx_fail_memory(struct berth_onnx_writer *writer)
{
    if (writer->status == BERTH_OK)
        writer->status = berth_fail(&writer->err, BERTH_NO_MEMORY,
                                    "out of memory, or of the bounds of a graph, for ONNX nodes");
}

/* Appends one field: tag, length, packed message. */
static void append_message(struct berth_onnx_writer *writer, struct berth_buffer *buffer, unsigned tag,
                           const ProtobufCMessage *message)
{
    unsigned char head[2 * VARINT_MAX];
    size_t size = protobuf_c_message_get_packed_size(message);
    size_t n = make_varint(head, tag);
    n += make_varint(head + n, size);
    if (writer->status != BERTH_OK)
        return;
    if (!berth_buffer_append(buffer, head, n) || !berth_buffer_reserve(buffer, size)) {
        berth_onnx_fail_memory(writer);
        return;
    }
    protobuf_c_message_pack(message, (uint8_t *)buffer->data + buffer->size);
    buffer->size += size;
    buffer->data[buffer->size] = 0;
}

/* --- the writer ----------------------------------------------------------------------------------- */

static char producer[] = "berth", producer_version[] = BERTH_VERSION, graph_name[] = "berth",
            standard_domain[] = "";

/* The oldest file version that has the opset. */
static int ir_version(int opset)
{
    return opset >= 19 ? 9 : opset >= 15 ? 8 : 7;
}

static void append_head(struct berth_onnx_writer *writer)
{
    Onnx__ModelProto model = ONNX__MODEL_PROTO__INIT;
    Onnx__GraphProto graph = ONNX__GRAPH_PROTO__INIT;
    model.has_ir_version = true;
    model.ir_version = ir_version(writer->opset);
    model.producer_name = producer;
    model.producer_version = producer_version;
    graph.name = graph_name;
    size_t model_size = onnx__model_proto__get_packed_size(&model),
           graph_size = onnx__graph_proto__get_packed_size(&graph);
    if (!berth_buffer_reserve(&writer->model, model_size) ||
        !berth_buffer_reserve(&writer->graph, graph_size)) {
        berth_onnx_fail_memory(writer);
        return;
    }
    writer->model.size = onnx__model_proto__pack(&model, (uint8_t *)writer->model.data);
    writer->graph.size = onnx__graph_proto__pack(&graph, (uint8_t *)writer->graph.data);
}

enum berth_status berth_onnx_writer_new(int opset, berth_onnx_fill_fn *fill, void *context,
                                        struct berth_onnx_writer **out, struct berth_error *err)
{
    struct berth_onnx_writer *writer = berth_calloc(1, sizeof *writer);
    *out = writer;
    if (!writer)
        return berth_fail_memory(err, "an ONNX graph", sizeof *writer);
    writer->opset = opset;
    writer->fill = fill;
    writer->context = context;
    berth_buffer_init(&writer->model, GRAPH_LIMIT);
    berth_buffer_init(&writer->graph, GRAPH_LIMIT);
    append_head(writer);
    berth_onnx_domain(writer, standard_domain, opset);
    return BERTH_OK;
}

void berth_onnx_writer_free(struct berth_onnx_writer *writer)
{
    if (!writer)
        return;
    for (size_t i = 0; i < writer->tensor_count; i++) {
        berth_free(writer->tensors[i].name);
        berth_free(writer->tensors[i].data);
        berth_free(writer->tensors[i].header);
    }
    berth_free(writer->tensors);
    berth_buffer_clear(&writer->model);
    berth_buffer_clear(&writer->graph);
    berth_free(writer);
}

int berth_onnx_opset(const struct berth_onnx_writer *writer)
{
    return writer->opset;
}

void berth_onnx_domain(struct berth_onnx_writer *writer, const char *domain, int version)
{
    Onnx__OperatorSetIdProto opset = ONNX__OPERATOR_SET_ID_PROTO__INIT;
    opset.domain = (char *)domain;
    opset.has_version = true;
    opset.version = version;
    append_message(writer, &writer->model, MODEL_OPSET, &opset.base);
}

void berth_onnx_metadata(struct berth_onnx_writer *writer, const char *key, const char *value)
{
    if (!value) {
        berth_onnx_fail_memory(writer);
        return;
    }
    Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
    entry.key = (char *)key;
    entry.value = (char *)value;
    append_message(writer, &writer->model, MODEL_METADATA, &entry.base);
}

void berth_onnx_value(struct berth_onnx_writer *writer, enum berth_onnx_place place, const char *name,
                      struct berth_onnx_shape shape)
{
    static const unsigned tags[] = {GRAPH_INPUT, GRAPH_OUTPUT, GRAPH_VALUE_INFO};
    static char batch[] = "batch", sequence[] = "sequence";
    Onnx__TensorShapeProto__Dimension dims[BERTH_ONNX_RANK_MAX], *list[BERTH_ONNX_RANK_MAX];
    Onnx__TensorShapeProto shape_proto = ONNX__TENSOR_SHAPE_PROTO__INIT;
    Onnx__TypeProto__Tensor tensor = ONNX__TYPE_PROTO__TENSOR__INIT;
    Onnx__TypeProto type = ONNX__TYPE_PROTO__INIT;
    Onnx__ValueInfoProto value = ONNX__VALUE_INFO_PROTO__INIT;
    for (size_t i = 0; i < shape.rank; i++) {
        list[i] = &dims[i];
        onnx__tensor_shape_proto__dimension__init(list[i]);
        if (shape.dims[i] < 0) {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dims[i].dim_param = shape.dims[i] == BERTH_ONNX_BATCH ? batch : sequence;
        } else {
            dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dims[i].dim_value = shape.dims[i];
        }
    }
    shape_proto.n_dim = shape.rank;
    shape_proto.dim = list;
    tensor.has_elem_type = true;
    tensor.elem_type = (int)shape.type;
    tensor.shape = &shape_proto;
    type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type.tensor_type = &tensor;
    value.name = (char *)name;
    value.type = &type;
    append_message(writer, &writer->graph, tags[place], &value.base);
}

static size_t collect(const char *const *names, char **out)
{
    size_t n = 0;
    while (names[n] && n < NAMES_MAX) {
        out[n] = (char *)names[n];
        n++;
    }
    return n;
}

void berth_onnx_node(struct berth_onnx_writer *writer, const char *op, const char *domain,
                     const char *const *inputs, const char *const *outputs,
                     const struct berth_onnx_attribute *attributes, size_t attribute_count)
{
    static const Onnx__AttributeProto__AttributeType types[] = {ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT,
                                                                ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT,
                                                                ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS};
    Onnx__NodeProto node = ONNX__NODE_PROTO__INIT;
    Onnx__AttributeProto packed[ATTRIBUTES_MAX], *list[ATTRIBUTES_MAX];
    char *in[NAMES_MAX], *out[NAMES_MAX];
    for (size_t i = 0; i < attribute_count; i++) {
        const struct berth_onnx_attribute *from = &attributes[i];
        list[i] = &packed[i];
        onnx__attribute_proto__init(list[i]);
        packed[i].name = (char *)from->name;
        packed[i].has_type = true;
        packed[i].type = types[from->kind];
        packed[i].has_i = from->kind == BERTH_ONNX_INT;
        packed[i].i = from->number;
        packed[i].has_f = from->kind == BERTH_ONNX_FLOAT;
        packed[i].f = from->real;
        packed[i].n_ints = from->list_size;
        packed[i].ints = (int64_t *)from->list;
    }
    node.n_input = collect(inputs, in);
    node.input = in;
    node.n_output = collect(outputs, out);
    node.output = out;
    node.name = out[0];
    node.op_type = (char *)op;
    node.domain = (char *)domain;
    node.n_attribute = attribute_count;
    node.attribute = list;
    append_message(writer, &writer->graph, GRAPH_NODE, &node.base);
}

/* --- tensors -------------------------------------------------------------------------------------- */

static bool has_tensor(const struct berth_onnx_writer *writer, const char *name)
{
    for (size_t i = 0; i < writer->tensor_count; i++)
        if (strcmp(writer->tensors[i].name, name) == 0)
            return true;
    return false;
}

static bool grow(struct berth_onnx_writer *writer)
{
    if (writer->tensor_count < writer->tensor_capacity)
        return true;
    size_t capacity = writer->tensor_capacity ? 2 * writer->tensor_capacity : 64;
    struct tensor *tensors = berth_realloc(writer->tensors, capacity, sizeof *tensors);
    if (!tensors)
        return false;
    writer->tensors = tensors;
    writer->tensor_capacity = capacity;
    return true;
}

static void add_tensor(struct berth_onnx_writer *writer, const char *name, struct berth_onnx_shape shape,
                       const void *item, const void *data)
{
    size_t bytes = berth_onnx_type_size((int)shape.type);
    if (writer->status != BERTH_OK || has_tensor(writer, name))
        return;
    for (size_t i = 0; i < shape.rank; i++)
        if (!berth_mul(bytes, (size_t)shape.dims[i], &bytes)) {
            writer->status = berth_fail(&writer->err, BERTH_LIMIT, "tensor '%s' is too large", name);
            return;
        }
    struct tensor tensor = {.name = berth_strdup(name), .shape = shape, .bytes = bytes, .item = item};
    if (data) {
        tensor.data = berth_malloc(bytes, 1);
        if (tensor.data)
            memcpy(tensor.data, data, bytes);
    }
    if (!tensor.name || (data && !tensor.data) || !grow(writer)) {
        berth_free(tensor.name);
        berth_free(tensor.data);
        berth_onnx_fail_memory(writer);
        return;
    }
    writer->tensors[writer->tensor_count++] = tensor;
}

void berth_onnx_constant(struct berth_onnx_writer *writer, const char *name, struct berth_onnx_shape shape,
                         const void *data)
{
    add_tensor(writer, name, shape, NULL, data);
}

void berth_onnx_tensor(struct berth_onnx_writer *writer, const char *name, struct berth_onnx_shape shape,
                       const void *item)
{
    add_tensor(writer, name, shape, item, NULL);
}

/* --- the file ------------------------------------------------------------------------------------- */

/* Packs everything of a TensorProto but its numbers; `location` is the external file, or NULL. */
static enum berth_status pack_header(struct tensor *tensor, const char *location, struct berth_error *err)
{
    static char key_location[] = "location", key_offset[] = "offset", key_length[] = "length";
    char offset[24], length[24];
    snprintf(offset, sizeof offset, "%" PRIu64, tensor->offset);
    snprintf(length, sizeof length, "%zu", tensor->bytes);
    Onnx__StringStringEntryProto entries[3], *list[3];
    char *keys[3] = {key_location, key_offset, key_length}, *values[3] = {(char *)location, offset, length};
    for (size_t i = 0; i < 3; i++) {
        list[i] = &entries[i];
        onnx__string_string_entry_proto__init(list[i]);
        entries[i].key = keys[i];
        entries[i].value = values[i];
    }
    Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
    proto.n_dims = tensor->shape.rank;
    proto.dims = tensor->shape.dims;
    proto.has_data_type = true;
    proto.data_type = (int)tensor->shape.type;
    proto.name = tensor->name;
    if (location && tensor->item) {
        proto.has_data_location = true;
        proto.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
        proto.n_external_data = 3;
        proto.external_data = list;
    }
    tensor->header_size = onnx__tensor_proto__get_packed_size(&proto);
    tensor->header = berth_malloc(tensor->header_size, 1);
    if (!tensor->header)
        return berth_fail_memory(err, "an ONNX tensor", tensor->header_size);
    onnx__tensor_proto__pack(&proto, (uint8_t *)tensor->header);
    return BERTH_OK;
}

static enum berth_status pack_headers(struct berth_onnx_writer *writer, const char *location,
                                      struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < writer->tensor_count && status == BERTH_OK; i++) {
        berth_free(writer->tensors[i].header);
        writer->tensors[i].header = NULL;
        status = pack_header(&writer->tensors[i], location, err);
    }
    return status;
}

static bool is_inside(const struct tensor *tensor, bool external)
{
    return !(external && tensor->item);
}

/* Bytes of the TensorProto of one tensor. */
static uint64_t tensor_size(const struct tensor *tensor, bool external)
{
    uint64_t size = tensor->header_size;
    if (is_inside(tensor, external))
        size += 1 + varint_size(tensor->bytes) + (uint64_t)tensor->bytes;
    return size;
}

static enum berth_status fill(struct berth_onnx_writer *writer, const struct tensor *tensor, FILE *stream,
                              struct berth_error *err)
{
    struct berth_onnx_sink sink = {.stream = stream, .left = tensor->bytes};
    enum berth_status status = BERTH_OK;
    if (tensor->item)
        status = writer->fill(writer->context, tensor->item, &sink, err);
    else
        berth_onnx_put(&sink, tensor->data, tensor->bytes);
    if (status == BERTH_OK && (sink.left > 0 || sink.overrun))
        status = berth_fail(err, BERTH_INTERNAL, "tensor '%s': its numbers are not those of its shape",
                            tensor->name);
    return status;
}

static void put_head(FILE *stream, unsigned tag, uint64_t size)
{
    unsigned char head[2 * VARINT_MAX];
    size_t n = make_varint(head, tag);
    n += make_varint(head + n, size);
    (void)fwrite(head, 1, n, stream);
}

static enum berth_status write_model(struct berth_onnx_writer *writer, bool external, FILE *stream,
                                     struct berth_error *err)
{
    uint64_t graph = writer->graph.size;
    for (size_t i = 0; i < writer->tensor_count; i++) {
        uint64_t size = tensor_size(&writer->tensors[i], external);
        graph += 1 + varint_size(size) + size;
    }
    (void)fwrite(writer->model.data, 1, writer->model.size, stream);
    put_head(stream, MODEL_GRAPH, graph);
    (void)fwrite(writer->graph.data, 1, writer->graph.size, stream);
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < writer->tensor_count && status == BERTH_OK; i++) {
        const struct tensor *tensor = &writer->tensors[i];
        put_head(stream, GRAPH_INITIALIZER, tensor_size(tensor, external));
        (void)fwrite(tensor->header, 1, tensor->header_size, stream);
        if (is_inside(tensor, external)) {
            put_head(stream, TENSOR_RAW_DATA, tensor->bytes);
            status = fill(writer, tensor, stream, err);
        }
    }
    return status;
}

static enum berth_status write_data(struct berth_onnx_writer *writer, FILE *stream, struct berth_error *err)
{
    static const char zeros[PAGE];
    uint64_t at = 0;
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < writer->tensor_count && status == BERTH_OK; i++) {
        const struct tensor *tensor = &writer->tensors[i];
        if (!tensor->item)
            continue;
        (void)fwrite(zeros, 1, (size_t)(tensor->offset - at), stream);
        status = fill(writer, tensor, stream, err);
        at = tensor->offset + tensor->bytes;
    }
    return status;
}

/* Lays the filled tensors out in the external file; returns whether there is to be one. */
static bool place_tensors(struct berth_onnx_writer *writer, uint64_t inline_limit)
{
    uint64_t total = writer->model.size + writer->graph.size, offset = 0;
    for (size_t i = 0; i < writer->tensor_count; i++) {
        struct tensor *tensor = &writer->tensors[i];
        total += tensor->bytes + strlen(tensor->name) + 64; /* 64: more than its other fields */
        if (!tensor->item)
            continue;
        tensor->offset = offset;
        offset = (offset + tensor->bytes + PAGE - 1) / PAGE * PAGE;
    }
    return total > (inline_limit && inline_limit < inline_maximum ? inline_limit : inline_maximum);
}

enum berth_status berth_onnx_write(struct berth_onnx_writer *writer, const char *path, uint64_t inline_limit,
                                   struct berth_onnx_files *files, struct berth_error *err)
{
    enum berth_status status = writer->status;
    *files = (struct berth_onnx_files){.external = false};
    char *data_path = NULL;
    if (status != BERTH_OK) {
        *err = writer->err;
        return status;
    }
    bool external = place_tensors(writer, inline_limit);
    struct berth_buffer name;
    berth_buffer_init(&name, GRAPH_LIMIT);
    if (external) {
        if (!berth_buffer_format(&name, "%s.data", path)) {
            status = berth_fail_memory(err, path, strlen(path));
            goto fail;
        }
        data_path = name.data;
    }
    const char *slash = data_path ? strrchr(data_path, '/') : NULL;
    const char *location = slash ? slash + 1 : data_path;
    BERTH_TRY(pack_headers(writer, location, err));
    if (external) {
        BERTH_TRY(berth_atomic_open(data_path, &files->data, err));
        BERTH_TRY(write_data(writer, files->data.stream, err));
    }
    BERTH_TRY(berth_atomic_open(path, &files->model, err));
    BERTH_TRY(write_model(writer, external, files->model.stream, err));
    if (ferror(files->model.stream) || (external && ferror(files->data.stream)) ||
        fflush(files->model.stream) != 0) {
        status = berth_fail_errno(err, errno, "%s: cannot write", path);
        goto fail;
    }
    files->external = external;
    berth_buffer_clear(&name);
    return BERTH_OK;
fail:
    berth_buffer_clear(&name);
    berth_onnx_abort(files);
    return status;
}

enum berth_status berth_onnx_write_stream(struct berth_onnx_writer *writer, FILE *stream,
                                          struct berth_error *err)
{
    enum berth_status status = writer->status;
    if (status != BERTH_OK) {
        *err = writer->err;
        return status;
    }
    if (place_tensors(writer, 0))
        return berth_fail(err, BERTH_LIMIT, "an ONNX file of more than 2 GB cannot be made in memory");
    BERTH_TRY(pack_headers(writer, NULL, err));
    BERTH_TRY(write_model(writer, false, stream, err));
    if (fflush(stream) != 0 || ferror(stream))
        status = berth_fail_errno(err, errno, "an ONNX file in memory: cannot write");
fail:
    return status;
}

enum berth_status berth_onnx_commit(struct berth_onnx_files *files, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    if (files->external)
        status = berth_atomic_commit(&files->data, err);
    if (status == BERTH_OK)
        status = berth_atomic_commit(&files->model, err);
    berth_onnx_abort(files);
    return status;
}

void berth_onnx_abort(struct berth_onnx_files *files)
{
    berth_atomic_abort(&files->data);
    berth_atomic_abort(&files->model);
}
