/* ort.h: ONNX Runtime, loaded at run time through its C API: a table of functions that only ever grows at its
 * end, so the number of a slot never changes its meaning. berth is built without it; it is a runtime beside
 * berth's own engine, and the judge of exported files. */
#ifndef BERTH_ORT_ORT_H
#define BERTH_ORT_ORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

struct berth_ort;

/* Loads the library: `path`, or when NULL the one that the environment's BERTH_ORT_LIBRARY names, or else
 * libonnxruntime.so.1 or libonnxruntime.so where the system looks for libraries, in /usr/local/lib,
 * /opt/onnxruntime/lib. One sentence when it is absent (BERTH_NOT_FOUND), not ONNX Runtime (BERTH_FORMAT), or
 * older than BERTH_ORT_API (BERTH_UNSUPPORTED). It stays loaded until the process ends: its threads may
 * outlive its objects. */
enum { BERTH_ORT_API = 12 };
enum berth_status berth_ort_open(const char *path, struct berth_ort **ort, struct berth_error *err);
void berth_ort_close(struct berth_ort *ort);                /* NULL is fine; its sessions are closed before */
const char *berth_ort_version(const struct berth_ort *ort); /* "1.30.0" */

/* One model. A session is used by one thread at a time. */
struct berth_ort_session;

/* threads: of one operation; 0: 1. optimize: all graph optimisations, or none. The graph's inputs are among input_ids, attention_mask, token_type_ids,
 * int64 [batch, sequence]; it has an output `logits` (or one output alone), float32 [batch, labels]. */
enum berth_status berth_ort_session_open(struct berth_ort *ort, const char *model, size_t threads, bool optimize,
                                         struct berth_ort_session **session, struct berth_error *err);
void berth_ort_session_close(struct berth_ort_session *session);

/* Text i is ids [offsets[i], offsets[i + 1]); types NULL: all 0. All texts are padded to the longest and run
 * at once; logits [count, labels]. BERTH_FORMAT when the graph's output is not of that shape. */
enum berth_status berth_ort_session_run(struct berth_ort_session *session, const int32_t *ids,
                                        const uint8_t *types, const size_t *offsets, size_t count,
                                        size_t labels, float *logits, struct berth_error *err);

#endif
