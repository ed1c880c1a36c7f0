/* decode.c: token ids back to text, as Hugging Face's decode does it. */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "text/tokenizer_internal.h"

enum { DECODED_MAX = 1 << 30 };

/* Removes the space before punctuation and contractions, in place: the replacements of transformers'
 * clean_up_tokenization, in its order. */
static void tidy(char *text)
{
    static const struct {
        const char *from, *to;
    } rules[] = {{" .", "."},     {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                 {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        const size_t from = strlen(rules[r].from), to = strlen(rules[r].to);
        char *out = text, *at = text;
        while (*at)
            if (strncmp(at, rules[r].from, from) == 0) {
                memcpy(out, rules[r].to, to);
                out += to;
                at += from;
            } else
                *out++ = *at++;
        *out = 0;
    }
}

/* Appends a token behind a space, or glued when it continues a word of the vocabulary. */
static bool append_token(const struct berth_tokenizer *tokenizer, const char *token, size_t length,
                         bool first, bool glue, struct berth_buffer *text)
{
    const size_t prefix = strlen(tokenizer->prefix);
    if (glue && length >= prefix && memcmp(token, tokenizer->prefix, prefix) == 0)
        return berth_buffer_append(text, token + prefix, length - prefix);
    return (first || berth_buffer_append(text, " ", 1)) && berth_buffer_append(text, token, length);
}

enum berth_status berth_tokenizer_decode(const struct berth_tokenizer *tokenizer, const int32_t *ids,
                                         size_t count, bool skip_special, bool clean_up, char **text,
                                         struct berth_error *err)
{
    *text = NULL;
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, DECODED_MAX);
    bool written = berth_buffer_append(&buffer, "", 0);
    bool first = true, glue = false;
    for (size_t i = 0; i < count && written; i++) {
        size_t length;
        const char *token = berth_vocab_token(&tokenizer->vocab, ids[i], &length);
        if (!token) {
            berth_buffer_clear(&buffer);
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "token id %d is not in the vocabulary",
                              (int)ids[i]);
        }
        const bool added = tokenizer->flags[ids[i]] & BERTH_TOKEN_ADDED;
        if (skip_special && tokenizer->flags[ids[i]] & BERTH_TOKEN_SPECIAL)
            continue;
        written = append_token(tokenizer, token, length, first, glue && !added, &buffer);
        first = false;
        glue = !added; /* an added token is not glued, and nothing to it */
    }
    if (!written) {
        const size_t size = buffer.size;
        berth_buffer_clear(&buffer);
        return size >= DECODED_MAX / 2
                   ? berth_fail(err, BERTH_LIMIT, "%zu tokens are too many to decode", count)
                   : berth_fail_memory(err, "decoded text", size);
    }
    if (clean_up)
        tidy(buffer.data);
    *text = buffer.data;
    return BERTH_OK;
}
