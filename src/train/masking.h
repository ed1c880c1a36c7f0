/* masking.h: which tokens of a batch a masked-language model has to guess (Devlin et al. 2019): 15 in a
 * hundred of those that are not special; of these, eight in ten read [MASK], one another word, one itself. A
 * function of seed, batch number and place alone. */
#ifndef BERTH_TRAIN_MASKING_H
#define BERTH_TRAIN_MASKING_H

#include "text/tokenizer.h"
#include "train/network.h"

struct berth_masking {
    const struct berth_tokenizer *tokenizer; /* borrowed; has [MASK] */
    size_t vocab;
    size_t *slots;  /* [berth_network_slots(most tokens)], owned */
    int32_t *words; /* likewise: what stood there */
};

enum berth_status berth_masking_init(struct berth_masking *masking, const struct berth_tokenizer *tokenizer,
                                     size_t vocab, size_t tokens, struct berth_error *err);
void berth_masking_clear(struct berth_masking *masking); /* {0} is fine */

/* Changes the batch's ids in place and sets its slots; there is at least one. */
void berth_masking_apply(struct berth_masking *masking, struct berth_train_batch *batch, int32_t *ids,
                         uint64_t seed, uint64_t number);

/* Word dropout: each of the ids that is not special becomes [MASK], or [UNK] in a vocabulary without it, with
 * probability `share`. */
void berth_masking_drop(const struct berth_tokenizer *tokenizer, int32_t *ids, size_t count, double share,
                        uint64_t seed, uint64_t number);

#endif
