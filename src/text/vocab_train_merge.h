/* vocab_train_merge.h: the second half of vocabulary training: words as sequences of tokens, of which the
 * most frequent pair of neighbours becomes one token, again and again (byte-pair encoding: Sennrich, Haddow,
 * Birch 2016, algorithm 1; here the counts are kept up to date instead of taken anew). */
#ifndef BERTH_TEXT_VOCAB_TRAIN_MERGE_H
#define BERTH_TEXT_VOCAB_TRAIN_MERGE_H

#include "text/vocab_train.h"
#include "text/vocab_train_strings.h"

#define BERTH_CONTINUATION_PREFIX "##"

/* A word of the corpus as it is cut at the moment. */
struct berth_cut_word {
    uint32_t start;  /* in the array of symbols */
    uint32_t length; /* symbols; each merge takes one away */
    uint64_t count;  /* how often the corpus has it */
};

/* Adds tokens until there are `size`, or no pair comes min_frequency (>= 1) times. Of equally frequent pairs
 * the one whose left token came first is taken, then by the right one. `symbols` holds numbers of `tokens`;
 * words and symbols are changed. CANCELLED when progress says false. */
enum berth_status berth_vocab_merge(struct berth_strings *tokens, struct berth_cut_word *words, size_t count,
                                    uint32_t *symbols, size_t size, uint64_t min_frequency,
                                    berth_vocab_progress *progress, void *progress_context,
                                    struct berth_error *err);

#endif
