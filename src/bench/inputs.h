/* inputs.h: the texts that queries carry: synthetic ones of an exact number of tokens, or labelled ones of a file. */
#ifndef BERTH_BENCH_INPUTS_H
#define BERTH_BENCH_INPUTS_H

#include <stdint.h>

#include "berth/berth.h"

struct berth_inputs {
    size_t count;            /* texts; queries take them in turn */
    struct berth_text *text; /* [count] owned */
    size_t *tokens;          /* [count] special ones included, after truncation; 0: not known */
    size_t *label;           /* [count] the model's index of the right answer; NULL: there are no labels */
    int32_t *ids;            /* [count * length] instead of texts, for lengths that no text has; NULL otherwise */
    size_t length;           /* of every text; 0: they differ */
    bool pairs;              /* some text has a second one */
};

/* `count` texts of exactly `length` tokens for the model's tokenizer, special ones included: words of its vocabulary
 * that are one token each, drawn by `seed`, so no two texts are alike and none is in anybody's cache. Lengths below
 * what an empty text has are random ids. */
enum berth_status berth_inputs_synthetic(const struct berth_model *model, size_t length, size_t count, uint64_t seed,
                                         struct berth_inputs *inputs, struct berth_error *err);

/* All texts of a labelled file, in an order drawn by `seed`. `labels` false: the model cannot be asked what a label
 * means (it is another tokenizer's stand-in), and they are left out. */
enum berth_status berth_inputs_data(const struct berth_model *model, const struct berth_bench_options *options,
                                    bool labels, struct berth_inputs *inputs, struct berth_error *err);

void berth_inputs_clear(struct berth_inputs *inputs);

/* Tokens of the `count` texts from `first` on (in turn), and of the longest of them. */
size_t berth_inputs_tokens(const struct berth_inputs *inputs, size_t first, size_t count, size_t *longest);

#endif
