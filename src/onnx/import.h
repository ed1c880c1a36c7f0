/* import.h: an encoder recognised in an ONNX file.
 *
 * Read are the encoders that torch.onnx and optimum write (with and without constant folding), and all that
 * berth writes itself: plain, fused, quantised. config.json beside the file says what the model is; the graph
 * has to compute exactly that, or it is refused over the first node that does not fit. Weights come out as
 * float32 or as stored; int8 ones are widened by their scales. */
#ifndef BERTH_ONNX_IMPORT_H
#define BERTH_ONNX_IMPORT_H

#include "berth/status.h"
#include "model/encoder.h"

/* Opens FILE.onnx with the configuration in its folder. */
enum berth_status berth_onnx_import(const char *path, struct berth_encoder **encoder,
                                    struct berth_error *err);

/* The same from memory; config is taken (cleared in the caller), also on failure. For tests and fuzzing. */
enum berth_status berth_onnx_import_memory(const char *name, const void *data, size_t size,
                                           struct berth_config *config, struct berth_encoder **encoder,
                                           struct berth_error *err);

#endif
