/* export.h: an encoder with its head as an ONNX graph.
 *
 *   inputs   input_ids, attention_mask, token_type_ids (not for DistilBERT): int64 [batch, sequence]
 *   output   logits: float32 [batch, labels]
 *
 * Plain: standard operators, a node an operation, as the usual exporters write it after constant folding. */
#ifndef BERTH_ONNX_EXPORT_H
#define BERTH_ONNX_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "berth/status.h"
#include "formats/onnx_writer.h"
#include "model/encoder.h"

enum { BERTH_OPSET_MIN = 13, BERTH_OPSET_MAX = 20, BERTH_OPSET_DEFAULT = 17 };

enum berth_onnx_quantization { BERTH_ONNX_UNQUANTIZED, BERTH_ONNX_DYNAMIC, BERTH_ONNX_STATIC };

/* What the inputs of linear layers were seen to be, for static quantisation. */
struct berth_onnx_range {
    float low, high; /* low <= 0 <= high */
};

struct berth_onnx_layer_ranges {
    struct berth_onnx_range qkv, attention_out, ffn_in, ffn_out;
};

struct berth_onnx_ranges {
    struct berth_onnx_range project;        /* ELECTRA */
    struct berth_onnx_layer_ranges *layers; /* [L] */
};

struct berth_onnx_export_options {
    int opset;
    bool optimize; /* fused operators: the standard ones that the opset has */
    bool contrib;  /* with optimize: ONNX Runtime's own as well (com.microsoft) */
    enum berth_onnx_quantization quantization;
    const struct berth_onnx_ranges *ranges; /* static: needed, and no contrib */
    uint64_t inline_limit;                  /* 0: 2 GB; above it the weights go to PATH.data */
};

/* Writes beside PATH; the caller tries, then commits or aborts `files`. Memory: the largest single weight a
 * few times. */
enum berth_status berth_onnx_export(const struct berth_encoder *encoder, const char *path,
                                    const struct berth_onnx_export_options *options,
                                    struct berth_onnx_files *files, struct berth_error *err);

/* The same into a stream; below 2 GB. */
enum berth_status berth_onnx_export_stream(const struct berth_encoder *encoder,
                                           const struct berth_onnx_export_options *options, FILE *stream,
                                           struct berth_error *err);

#endif
