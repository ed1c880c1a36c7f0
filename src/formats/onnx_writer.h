/* onnx_writer.h: writes an ONNX model, knowing nothing of what it computes. Nodes are serialised as they are
 * added; tensors are only described, and their numbers asked for when the file is written, one after another:
 * memory holds the graph, never the weights.
 *
 * Adding cannot fail one by one: the first failure is kept, what follows does nothing, and berth_onnx_write
 * reports it. */
#ifndef BERTH_FORMATS_ONNX_WRITER_H
#define BERTH_FORMATS_ONNX_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/file.h"
#include "berth/status.h"
#include "formats/onnx_types.h"

struct berth_onnx_writer;

/* Takes numbers in order; berth_onnx_put is the only way to give them. */
struct berth_onnx_sink;
void berth_onnx_put(struct berth_onnx_sink *sink, const void *bytes, size_t size);

/* Gives exactly the bytes of one tensor (little-endian, row-major) to the sink. */
typedef enum berth_status berth_onnx_fill_fn(void *context, const void *item, struct berth_onnx_sink *sink,
                                             struct berth_error *err);

/* fill and context serve every tensor that is added with an item. */
enum berth_status berth_onnx_writer_new(int opset, berth_onnx_fill_fn *fill, void *context,
                                        struct berth_onnx_writer **writer, struct berth_error *err);
void berth_onnx_writer_free(struct berth_onnx_writer *writer);

int berth_onnx_opset(const struct berth_onnx_writer *writer);

/* Whoever adds ran out of memory itself. */
void berth_onnx_fail_memory(struct berth_onnx_writer *writer);

/* Another operator set beside the standard one: "com.microsoft", 1. */
void berth_onnx_domain(struct berth_onnx_writer *writer, const char *domain, int version);
void berth_onnx_metadata(struct berth_onnx_writer *writer, const char *key, const char *value);

/* --- values: inputs, outputs and, for readers of the graph, the shapes in between. A negative dimension is
 * one of these names. */
enum { BERTH_ONNX_BATCH = -1, BERTH_ONNX_SEQUENCE = -2, BERTH_ONNX_RANK_MAX = 4 };

struct berth_onnx_shape {
    enum berth_onnx_type type;
    size_t rank;
    int64_t dims[BERTH_ONNX_RANK_MAX];
};

enum berth_onnx_place { BERTH_ONNX_INPUT, BERTH_ONNX_OUTPUT, BERTH_ONNX_BETWEEN };
void berth_onnx_value(struct berth_onnx_writer *writer, enum berth_onnx_place place, const char *name,
                      struct berth_onnx_shape shape);

/* --- nodes */
struct berth_onnx_attribute {
    const char *name;
    enum { BERTH_ONNX_INT, BERTH_ONNX_FLOAT, BERTH_ONNX_INTS } kind;
    int64_t number;
    float real;
    const int64_t *list; /* [list_size] */
    size_t list_size;
};

/* inputs end with NULL ("" leaves an optional one out), outputs too; attributes [attribute_count]. The node's
 * name is its first output's. domain NULL: standard operators. */
void berth_onnx_node(struct berth_onnx_writer *writer, const char *op, const char *domain,
                     const char *const *inputs, const char *const *outputs,
                     const struct berth_onnx_attribute *attributes, size_t attribute_count);

/* --- tensors: small ones are copied; large ones are filled when written. A name that exists already is not
 * added again. */
void berth_onnx_constant(struct berth_onnx_writer *writer, const char *name, struct berth_onnx_shape shape,
                         const void *data);
void berth_onnx_tensor(struct berth_onnx_writer *writer, const char *name, struct berth_onnx_shape shape,
                       const void *item);

/* --- the file: beside its final name until committed. Above `inline_limit` bytes in all (0: 2 GB, protobuf's
 * bound) the filled tensors go to FILE.data beside it, as external data. */
struct berth_onnx_files {
    struct berth_atomic_file model, data; /* data.stream NULL: none */
    bool external;
};

/* On success the caller commits or aborts. With external data the file refers to its final name: it can be
 * tried before the commit only when it has none. */
enum berth_status berth_onnx_write(struct berth_onnx_writer *writer, const char *path, uint64_t inline_limit,
                                   struct berth_onnx_files *files, struct berth_error *err);
/* The same into an open stream, which has to hold all of it. */
enum berth_status berth_onnx_write_stream(struct berth_onnx_writer *writer, FILE *stream,
                                          struct berth_error *err);
enum berth_status berth_onnx_commit(struct berth_onnx_files *files, struct berth_error *err);
void berth_onnx_abort(struct berth_onnx_files *files);

#endif
