/* vocab_train.h: makes a WordPiece vocabulary from texts. Words are cut out, normalised and counted as the
 * tokenizer reads them, their characters are the first tokens, and pairs of tokens are merged by frequency.
 *
 * Tokens, in order: [PAD] [UNK] [CLS] [SEP] [MASK]; the alphabet, by code point; "##" and a character for
 * those of the alphabet that stand inside words, by code point; merged tokens as they were made. Counts and
 * the tie rule decide alone, so the result depends on the texts, not on their order.
 *
 * Kept in memory are the distinct words, not the texts; vocab_train_strings.h bounds them. */
#ifndef BERTH_TEXT_VOCAB_TRAIN_H
#define BERTH_TEXT_VOCAB_TRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "text/tokenizer.h"

struct berth_vocab_recipe {
    size_t size;           /* tokens wanted; at most BERTH_VOCAB_MAX */
    size_t limit_alphabet; /* characters at most, the most frequent, of equal ones the lower code points */
    size_t min_frequency;  /* of a pair that is merged; >= 1 */
    struct berth_tokenizer_options options; /* how words are made */
};

/* What came of it. */
struct berth_vocab_outcome {
    size_t words;    /* distinct ones */
    size_t alphabet; /* characters that are tokens */
    size_t
        left_out;  /* characters beyond limit_alphabet; a word that has one is unknown and teaches nothing */
    size_t tokens; /* fewer than wanted when the corpus gives no more pairs */
};

/* Told now and then; false stops. */
typedef bool berth_vocab_progress(void *context, size_t done, size_t total);

struct berth_vocab_trainer;

/* The recipe is copied. INVALID_ARGUMENT when a number of it is out of range. */
enum berth_status berth_vocab_trainer_new(const struct berth_vocab_recipe *recipe,
                                          struct berth_vocab_trainer **trainer, struct berth_error *err);
void berth_vocab_trainer_free(struct berth_vocab_trainer *trainer); /* NULL is fine */

/* Counts the words of a text. Special tokens in it, and words longer than the tokenizer takes (100
 * characters), are passed over. FORMAT when it is not UTF-8. */
enum berth_status berth_vocab_trainer_add(struct berth_vocab_trainer *trainer, const char *text, size_t size,
                                          struct berth_error *err);

/* Makes the vocabulary, a token a line, into an empty *vocab (the caller's to clear). Uses the trainer up:
 * nothing but free may follow. FORMAT when there were no words, INVALID_ARGUMENT when size is too small for
 * the characters. */
enum berth_status berth_vocab_trainer_finish(struct berth_vocab_trainer *trainer,
                                             berth_vocab_progress *progress, void *progress_context,
                                             struct berth_buffer *vocab, struct berth_vocab_outcome *outcome,
                                             struct berth_error *err);

#endif
