/* onnx_wire.c: walks the framing of an ONNX file by the schema's own descriptors, and copies all but the
 * numbers. */
#include "formats/onnx_wire.h"

#include <onnx.pb-c.h>
#include <stdbool.h>
#include <string.h>

#include "base/error.h"

enum {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5,
    TENSOR_FLOAT_DATA = 4,
    TENSOR_RAW_DATA = 9,
    LENGTH_SIZE = 5
};

struct walk {
    const char *name;
    const unsigned char *data; /* the file */
    size_t parts;              /* fields met so far */
    struct berth_buffer *out;
    struct berth_error *err;
};

static enum berth_status not_protobuf(const struct walk *w, const unsigned char *at)
{
    return berth_fail(w->err, BERTH_FORMAT,
                      "%s: is damaged or no ONNX file: at byte %zu it breaks off or is not protobuf", w->name,
                      (size_t)(at - w->data));
}

static enum berth_status too_large(const struct walk *w)
{
    return berth_fail(
        w->err, BERTH_LIMIT,
        "%s: its graph is larger than any encoder's (at most %d parts, %d bytes, nested %d deep)", w->name,
        BERTH_ONNX_PARTS_MAX, BERTH_ONNX_SKELETON_MAX, BERTH_ONNX_DEPTH_MAX);
}

/* Why `need` bytes more could not be appended. */
static enum berth_status no_room(const struct walk *w, size_t need)
{
    if (need > w->out->limit - w->out->size)
        return too_large(w);
    return berth_fail_memory(w->err, w->name, need);
}

/* Reads a varint; false at the end of the bytes or when it is longer than 64 bits. */
static bool read_varint(const unsigned char **at, const unsigned char *end, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
        unsigned char byte = *(*at)++;
        *number |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return true;
    }
    return false;
}

/* The bytes after a tag: [*at, *at + *size), at the varint's own beginning for numbers. */
static bool measure(const unsigned char **at, const unsigned char *end, unsigned wire, size_t *size)
{
    uint64_t number;
    const unsigned char *p = *at;
    switch (wire) {
        case WIRE_VARINT:
            if (!read_varint(&p, end, &number))
                return false;
            *size = (size_t)(p - *at);
            return true;
        case WIRE_64:
            *size = 8;
            break;
        case WIRE_32:
            *size = 4;
            break;
        case WIRE_BYTES:
            if (!read_varint(at, end, &number) || number > (uint64_t)(end - *at))
                return false;
            *size = (size_t)number;
            return true;
        default:
            return false;
    }
    return *size <= (size_t)(end - *at);
}

/* A length as five bytes, whatever it is: its place is known before its value. */
static void put_length(unsigned char out[LENGTH_SIZE], size_t length)
{
    for (size_t i = 0; i < LENGTH_SIZE; i++)
        out[i] = (unsigned char)(length >> (7 * i) & 0x7f) | (i + 1 < LENGTH_SIZE ? 0x80 : 0);
}

/* Appends tag and length of a part of `size` bytes. */
static bool put_head(struct walk *w, uint32_t number, size_t size)
{
    unsigned char head[2 * LENGTH_SIZE];
    put_length(head, (size_t)number << 3 | WIRE_BYTES);
    put_length(head + LENGTH_SIZE, size);
    return berth_buffer_append(w->out, head, sizeof head);
}

static enum berth_status walk_message(struct walk *w, const ProtobufCMessageDescriptor *type,
                                      const unsigned char *at, const unsigned char *end, unsigned depth);

static enum berth_status walk_part(struct walk *w, const ProtobufCFieldDescriptor *field,
                                   const unsigned char *at, size_t size, unsigned depth)
{
    if (!put_head(w, field->id, 0))
        return no_room(w, 2 * LENGTH_SIZE);
    size_t begin = w->out->size;
    enum berth_status status = walk_message(w, field->descriptor, at, at + size, depth + 1);
    if (status == BERTH_OK)
        put_length((unsigned char *)w->out->data + begin - LENGTH_SIZE, w->out->size - begin);
    return status;
}

static enum berth_status walk_message(struct walk *w, const ProtobufCMessageDescriptor *type,
                                      const unsigned char *at, const unsigned char *end, unsigned depth)
{
    if (depth > BERTH_ONNX_DEPTH_MAX)
        return too_large(w);
    enum berth_status status = BERTH_OK;
    while (at < end && status == BERTH_OK) {
        const unsigned char *begin = at;
        uint64_t tag;
        size_t size = 0;
        if (!read_varint(&at, end, &tag) || tag >> 3 == 0 || tag > UINT32_MAX ||
            !measure(&at, end, tag & 7, &size))
            return not_protobuf(w, begin);
        if (++w->parts > BERTH_ONNX_PARTS_MAX)
            return too_large(w);
        unsigned wire = tag & 7, number = (unsigned)(tag >> 3);
        const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field(type, number);
        bool numbers = type == &onnx__tensor_proto__descriptor &&
                       (number == TENSOR_FLOAT_DATA || number == TENSOR_RAW_DATA);
        bool kept = true;
        if (numbers && wire == WIRE_BYTES) {
            struct berth_onnx_place_of place = {(uint64_t)(at - w->data), size};
            kept = put_head(w, TENSOR_RAW_DATA, sizeof place) &&
                   berth_buffer_append(w->out, &place, sizeof place);
        } else if (numbers) {
            return not_protobuf(w, begin);
        } else if (field && field->type == PROTOBUF_C_TYPE_MESSAGE) {
            if (wire != WIRE_BYTES)
                return not_protobuf(w, begin);
            status = walk_part(w, field, at, size, depth);
        } else if (field) {
            kept = berth_buffer_append(w->out, begin, (size_t)(at + size - begin));
        }
        if (!kept)
            return no_room(w, size + 2 * LENGTH_SIZE + sizeof(struct berth_onnx_place_of));
        at += size;
    }
    return status;
}

enum berth_status berth_onnx_skeleton(const char *name, const unsigned char *data, size_t size,
                                      struct berth_buffer *skeleton, struct berth_error *err)
{
    struct walk w = {.name = name, .data = data, .out = skeleton, .err = err};
    berth_buffer_init(skeleton, BERTH_ONNX_SKELETON_MAX);
    if (size == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: the file is empty", name);
    return walk_message(&w, &onnx__model_proto__descriptor, data, data + size, 0);
}
