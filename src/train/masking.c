/* masking.c: one generator a batch, seeded by its number. */
#include "train/masking.h"

#include "base/alloc.h"
#include "base/error.h"
#include "base/rng.h"

enum berth_status berth_masking_init(struct berth_masking *masking, const struct berth_tokenizer *tokenizer,
                                     size_t vocab, size_t tokens, struct berth_error *err)
{
    size_t slots = berth_network_slots(tokens);
    if (berth_tokenizer_special(tokenizer, BERTH_SPECIAL_MASK) < 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "the vocabulary has no [MASK], which --objective mlm needs");
    *masking = (struct berth_masking){.tokenizer = tokenizer,
                                      .vocab = vocab,
                                      .slots = berth_calloc(slots, sizeof *masking->slots),
                                      .words = berth_calloc(slots, sizeof *masking->words)};
    if (masking->slots && masking->words)
        return BERTH_OK;
    berth_masking_clear(masking);
    return berth_fail_memory(err, "masked words", slots * sizeof(size_t));
}

void berth_masking_clear(struct berth_masking *masking)
{
    berth_free(masking->slots);
    berth_free(masking->words);
    *masking = (struct berth_masking){0};
}

static bool is_special(const struct berth_tokenizer *tokenizer, int32_t id)
{
    return id == berth_tokenizer_special(tokenizer, BERTH_SPECIAL_CLS) ||
           id == berth_tokenizer_special(tokenizer, BERTH_SPECIAL_SEP) ||
           id == berth_tokenizer_special(tokenizer, BERTH_SPECIAL_PAD);
}

static void mask(struct berth_masking *masking, struct berth_train_batch *batch, int32_t *ids, size_t token,
                 struct berth_rng *rng)
{
    double how = berth_rng_uniform(rng);
    masking->slots[batch->masked] = token;
    masking->words[batch->masked++] = ids[token];
    if (how < 0.8)
        ids[token] = berth_tokenizer_special(masking->tokenizer, BERTH_SPECIAL_MASK);
    else if (how < 0.9)
        ids[token] = (int32_t)berth_rng_below(rng, masking->vocab);
}

void berth_masking_apply(struct berth_masking *masking, struct berth_train_batch *batch, int32_t *ids,
                         uint64_t seed, uint64_t number)
{
    struct berth_rng rng;
    size_t tokens = batch->offsets[batch->texts], most = berth_network_slots(tokens), word = 0;
    berth_rng_seed(&rng, seed + (number + 1) * 0x9e3779b97f4a7c15u);
    batch->masked = 0;
    batch->slots = masking->slots;
    for (size_t i = 0; i < tokens; i++) {
        double draw = berth_rng_uniform(&rng);
        if (is_special(masking->tokenizer, ids[i]))
            continue;
        word = i;
        if (draw < 0.15 && batch->masked < most)
            mask(masking, batch, ids, i, &rng);
    }
    if (batch->masked == 0)
        mask(masking, batch, ids, word, &rng);
}

void berth_masking_drop(const struct berth_tokenizer *tokenizer, int32_t *ids, size_t count, double share,
                        uint64_t seed, uint64_t number)
{
    int32_t mask = berth_tokenizer_special(tokenizer, BERTH_SPECIAL_MASK),
            unknown = berth_tokenizer_special(tokenizer, BERTH_SPECIAL_UNK);
    struct berth_rng rng;
    berth_rng_seed(&rng, seed + (number + 1) * 0xd1342543de82ef95u);
    for (size_t i = 0; i < count; i++) {
        double draw = berth_rng_uniform(&rng);
        if (draw < share && !is_special(tokenizer, ids[i]))
            ids[i] = mask >= 0 ? mask : unknown;
    }
}
