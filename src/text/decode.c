/* decode.c: token ids back to text, as Hugging Face's decode does it. */
#include <string.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/error.h"
#include "text/tokenizer_internal.h"

static bool is_special(const struct berth_tokenizer *tokenizer, int32_t id)
{
    for (int i = 0; i < BERTH_SPECIAL_COUNT; i++)
        if (tokenizer->special[i] == id)
            return true;
    return false;
}

/* Removes the space before punctuation and contractions, in place: the list of transformers' clean_up_tokenization, in its order. */
static void tidy(char *text)
{
    static const struct {
        const char *from, *to;
    } rules[] = {{" .", "."},   {" ?", "?"},   {" !", "!"},   {" ,", ","},     {" ' ", "'"},
                 {" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
    for (size_t r = 0; r < sizeof rules / sizeof *rules; r++) {
        size_t from = strlen(rules[r].from), to = strlen(rules[r].to);
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

enum berth_status berth_tokenizer_decode(const struct berth_tokenizer *tokenizer, const int32_t *ids, size_t count, bool skip_special,
                                         bool clean_up, char **text, struct berth_error *err)
{
    *text = NULL;
    size_t prefix = strlen(tokenizer->prefix);
    struct berth_buffer buffer;
    berth_buffer_init(&buffer, (size_t)1 << 31);
    bool written = berth_buffer_reserve(&buffer, 1);
    for (size_t i = 0; i < count && written; i++) {
        const char *token = berth_vocab_token(&tokenizer->vocab, ids[i]);
        if (!token) {
            berth_buffer_clear(&buffer);
            return berth_fail(err, BERTH_INVALID_ARGUMENT, "token id %d is not in the vocabulary", (int)ids[i]);
        }
        if (skip_special && is_special(tokenizer, ids[i]))
            continue;
        bool continues = buffer.size > 0 && strncmp(token, tokenizer->prefix, prefix) == 0;
        if (buffer.size > 0 && !continues)
            written = berth_buffer_append(&buffer, " ", 1);
        written = written && berth_buffer_text(&buffer, continues ? token + prefix : token);
    }
    if (!written) {
        berth_buffer_clear(&buffer);
        return berth_fail_memory(err, "decoded text", buffer.size);
    }
    if (buffer.size == 0)
        buffer.data[0] = 0;
    if (clean_up)
        tidy(buffer.data);
    *text = buffer.data;
    return BERTH_OK;
}
