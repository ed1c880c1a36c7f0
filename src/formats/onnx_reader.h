/* onnx_reader.h: an ONNX file as it lies: nodes, names, tensors. What it computes is for others to understand
 * (onnx/import.h).
 *
 * After opening: names of values are unique, nodes read only what earlier ones wrote, every tensor's numbers
 * are there and as many as its shape says, in this file or in a file beside it. */
#ifndef BERTH_FORMATS_ONNX_READER_H
#define BERTH_FORMATS_ONNX_READER_H

#include <onnx.pb-c.h>
#include <stddef.h>

#include "berth/status.h"
#include "formats/tensor.h"

struct berth_onnx_file;

enum berth_status berth_onnx_open(const char *path, struct berth_onnx_file **file, struct berth_error *err);
/* The same from memory, borrowed; external data is refused. */
enum berth_status berth_onnx_open_memory(const char *name, const void *data, size_t size,
                                         struct berth_onnx_file **file, struct berth_error *err);
void berth_onnx_close(struct berth_onnx_file *file);

const char *berth_onnx_name(const struct berth_onnx_file *file);
size_t berth_onnx_bytes(
    const struct berth_onnx_file *file); /* of the file and those beside it that it named */
const Onnx__GraphProto *berth_onnx_graph(const struct berth_onnx_file *file);

/* What makes a value of that name: a node, or an initializer; neither for an input of the graph or an unknown
 * name. */
struct berth_onnx_maker {
    const Onnx__NodeProto *node;
    size_t output; /* which of the node's */
    const Onnx__TensorProto *tensor;
};
struct berth_onnx_maker berth_onnx_find(const struct berth_onnx_file *file, const char *value);

/* A tensor's numbers, borrowed from the file. BERTH_FORMAT when shape and bytes differ, BERTH_UNSUPPORTED for
 * other element types. */
enum berth_status berth_onnx_tensor_of(struct berth_onnx_file *file, const Onnx__TensorProto *proto,
                                       struct berth_tensor *tensor, struct berth_error *err);

#endif
