/* onnx_wire.h: the first look at an ONNX file that may be anything: protobuf's framing, bounded. */
#ifndef BERTH_FORMATS_ONNX_WIRE_H
#define BERTH_FORMATS_ONNX_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "berth/status.h"

/* Bounds of what the generated code is given: it would take any nesting and any number of parts, each a small
 * allocation. */
enum {
    BERTH_ONNX_DEPTH_MAX = 32,
    BERTH_ONNX_PARTS_MAX = 1 << 19,
    BERTH_ONNX_SKELETON_MAX =
        32 << 20 /* bytes of a graph without its tensors' numbers; BERT-large's is 1 MB */
};

/* What stands in the skeleton for a tensor's raw_data or float_data: where they are in the file. */
struct berth_onnx_place_of {
    uint64_t offset, size;
};

/* Copies a ModelProto without the numbers of its tensors: each is replaced by a raw_data of one struct
 * berth_onnx_place_of. Unknown fields are left out. BERTH_FORMAT for bytes that are not protobuf, BERTH_LIMIT
 * beyond the bounds; `name` stands in messages. */
enum berth_status berth_onnx_skeleton(const char *name, const unsigned char *data, size_t size,
                                      struct berth_buffer *skeleton, struct berth_error *err);

#endif
