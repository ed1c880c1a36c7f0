/* berth/embed.h: vectors of texts, and sequences of token ids that lie anywhere in memory: what a server
 * needs beside the classification of texts. Included by berth/berth.h, whose rules hold here. */
#ifndef BERTH_EMBED_H
#define BERTH_EMBED_H

#include <stddef.h>
#include <stdint.h>

#include "berth/status.h"

#ifdef __cplusplus
extern "C" {
#endif

struct berth_session;
struct berth_text;
struct berth_result;

/* What makes one vector out of the last layer's rows: their mean (special tokens included), or the first. */
enum berth_pooling { BERTH_POOLING_MEAN, BERTH_POOLING_CLS };

/* Ready token ids of one text, 1 to the limit in force of them; type_ids NULL means all 0. Borrowed during
 * the call. */
struct berth_sequence {
    const int32_t *ids;      /* [size] */
    const uint8_t *type_ids; /* [size] or NULL */
    size_t size;
};

/* Vectors of `count` texts: vectors[count, hidden_size], not normalised; tokens (may be NULL) receives how
 * many of each text were computed. The same text gives the same bits, whatever else is in the batch. Only the
 * native runtime has the encoder's rows; the others are refused (UNSUPPORTED). */
BERTH_API enum berth_status berth_session_embed(struct berth_session *session, const struct berth_text *texts,
                                                size_t count, enum berth_pooling pooling, float *vectors,
                                                size_t *tokens, struct berth_error *err);

/* The same of token ids, and their classification. Results are borrowed as those of berth_session_classify.
 */
BERTH_API enum berth_status berth_session_embed_sequences(struct berth_session *session,
                                                          const struct berth_sequence *sequences,
                                                          size_t count, enum berth_pooling pooling,
                                                          float *vectors, struct berth_error *err);
BERTH_API enum berth_status berth_session_classify_sequences(struct berth_session *session,
                                                             const struct berth_sequence *sequences,
                                                             size_t count, struct berth_result *results,
                                                             struct berth_error *err);

#ifdef __cplusplus
}
#endif
#endif
