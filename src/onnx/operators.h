/* operators.h: which operators a graph may be made of. Internal to import. */
#ifndef BERTH_ONNX_OPERATORS_H
#define BERTH_ONNX_OPERATORS_H

#include "berth/status.h"
#include "formats/onnx_reader.h"

/* BERTH_UNSUPPORTED over the first node whose operator is none that exporters write in or around an encoder, wherever it stands:
 * also where only shapes are computed, which import does not follow. */
enum berth_status berth_onnx_check_operators(const struct berth_onnx_file *file, struct berth_error *err);

#endif
