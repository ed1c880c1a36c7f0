/* tokens.c: the public face of the tokenizer. */
#include "base/alloc.h"
#include "base/error.h"
#include "pipeline/model.h"

enum berth_status berth_tokenize(const struct berth_model *model, const struct berth_text *text,
                                 size_t max_length, struct berth_tokens *tokens, struct berth_error *err)
{
    if (!tokens->owned)
        tokens->owned = berth_calloc(1, sizeof(struct berth_encoding));
    struct berth_encoding *encoding = tokens->owned;
    if (!encoding)
        return berth_fail_memory(err, "tokens", sizeof *encoding);
    enum berth_status status =
        berth_tokenizer_encode(model->tokenizer, text->text, text->size, text->pair, text->pair_size,
                               max_length ? max_length : model->max_length, encoding, err);
    if (status != BERTH_OK)
        return status;
    tokens->size = encoding->size;
    tokens->ids = encoding->ids;
    tokens->type_ids = encoding->type_ids;
    tokens->truncated = encoding->truncated;
    return BERTH_OK;
}

void berth_tokens_clear(struct berth_tokens *tokens)
{
    if (tokens->owned)
        berth_encoding_clear(tokens->owned);
    berth_free(tokens->owned);
    *tokens = (struct berth_tokens){0};
}

const char *berth_token_text(const struct berth_model *model, int32_t id)
{
    return berth_tokenizer_token(model->tokenizer, id);
}

int32_t berth_token_pad(const struct berth_model *model)
{
    return berth_tokenizer_special(model->tokenizer, BERTH_SPECIAL_PAD);
}

enum berth_status berth_detokenize(const struct berth_model *model, const int32_t *ids, size_t count,
                                   bool skip_special, bool clean_up, char **text, struct berth_error *err)
{
    return berth_tokenizer_decode(model->tokenizer, ids, count, skip_special, clean_up, text, err);
}
