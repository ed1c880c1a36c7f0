/* peer_ort.h: ONNX Runtime as a peer to measure beside berth: its C API out of a shared library opened at run
 * time. Only for benchmarks; nothing is needed to build. */
#ifndef BERTH_BENCH_PEER_ORT_H
#define BERTH_BENCH_PEER_ORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer_ort;
struct peer_model;

enum { PEER_WHY_SIZE = 512 };

/* False with a sentence in `why` when the library cannot be used. Its code stays mapped until the process
 * ends. */
bool peer_ort_open(const char *library, struct peer_ort **ort, char why[PEER_WHY_SIZE]);
void peer_ort_close(struct peer_ort *ort); /* after its models; NULL is fine */
const char *peer_ort_version(const struct peer_ort *ort);

/* An ONNX file with inputs input_ids, attention_mask and perhaps token_type_ids (int64 [batch, sequence]) and
 * the output logits; all load-time optimisations on. */
bool peer_model_open(struct peer_ort *ort, const char *path, size_t threads, struct peer_model **model,
                     char why[PEER_WHY_SIZE]);
void peer_model_close(struct peer_model *model); /* NULL is fine */

/* Sets the input for the runs that follow, copied: text i is ids [offsets[i], offsets[i + 1]). Texts are
 * padded to the longest with 0 and masked, types are 0. */
bool peer_model_prepare(struct peer_model *model, const int32_t *ids, const size_t *offsets, size_t texts,
                        char why[PEER_WHY_SIZE]);

/* One run; the logits are computed and dropped. *checksum (may be NULL) receives the first of them. */
bool peer_model_run(struct peer_model *model, float *checksum, char why[PEER_WHY_SIZE]);

#endif
