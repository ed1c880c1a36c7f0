/* fuzz_tokenizer.c: any bytes as texts, under any options. The first byte holds the options (bits 0 to 3:
 * lower case, accents, ideographs, special tokens; bit 4: a pair), the second the greatest length; the rest
 * is the text, with a pair up to the first byte 0xfe and behind it. With the highest bit of the first byte
 * the rest is a vocabulary instead, up to the first byte 0xfe, with three special tokens before it, and then
 * the text. Checked beyond what the sanitizers see: ids have tokens, no more of them than asked for, the same
 * ones when encoded again, and they can be decoded. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "text/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char usual[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\nab\n##aba\n!\n\xc3\xa9\ne\n##"
    "\xcc\x81\n\xe4\xb8\xad\n";

static void require(int holds)
{
    if (!holds)
        abort();
}

/* The special tokens and a vocabulary of any bytes; NULL when it is refused. */
static struct berth_tokenizer *open_any(const struct berth_tokenizer_options *options, const uint8_t *lines,
                                        size_t size)
{
    static const char special[] = "[UNK]\n[CLS]\n[SEP]\n";
    struct berth_tokenizer *tokenizer;
    char *text = malloc(sizeof special + size);
    require(text != NULL);
    memcpy(text, special, sizeof special - 1);
    if (size > 0)
        memcpy(text + sizeof special - 1, lines, size);
    require((berth_tokenizer_from_memory("any", text, sizeof special - 1 + size, options, &tokenizer, NULL) ==
             BERTH_OK) == (tokenizer != NULL));
    free(text);
    return tokenizer;
}

static void check(const struct berth_tokenizer *tokenizer, const char *text, size_t text_size,
                  const char *pair, size_t pair_size, size_t max_length)
{
    struct berth_encoding first = {0}, second = {0};
    const enum berth_status status =
        berth_tokenizer_encode(tokenizer, text, text_size, pair, pair_size, max_length, &first, NULL);
    require(berth_tokenizer_encode(tokenizer, text, text_size, pair, pair_size, max_length, &second, NULL) ==
            status);
    require(status == BERTH_OK || (status == BERTH_INVALID_ARGUMENT && max_length > 0 && max_length < 3));
    if (status == BERTH_OK) {
        require(max_length == 0 || first.size <= max_length);
        require(first.size <=
                3 * (text_size + pair_size) + 3); /* at worst a Hangul syllable of 3 bytes is 3 tokens */
        require(first.size == second.size && first.truncated == second.truncated);
        require(first.size == 0 || memcmp(first.ids, second.ids, first.size * sizeof *first.ids) == 0);
        require(first.size == 0 || memcmp(first.type_ids, second.type_ids, first.size) == 0);
        for (size_t i = 0; i < first.size; i++)
            require(berth_tokenizer_token(tokenizer, first.ids[i]) != NULL &&
                    first.type_ids[i] <= (pair ? 1 : 0));
        for (int i = 0; i < 4; i++) {
            char *decoded;
            require(berth_tokenizer_decode(tokenizer, first.ids, first.size, i & 1, i & 2, &decoded, NULL) ==
                    BERTH_OK);
            berth_free(decoded);
        }
    }
    berth_encoding_clear(&first);
    berth_encoding_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const struct berth_tokenizer_options options = {data[0] & 1, data[0] >> 1 & 1, data[0] >> 2 & 1,
                                                    data[0] >> 3 & 1, 0};
    const uint8_t *text = data + 2, *end = data + size, *cut = memchr(text, 0xfe, size - 2);
    struct berth_tokenizer *tokenizer;
    if (data[0] & 128) {
        tokenizer = open_any(&options, text, (size_t)((cut ? cut : end) - text));
        text = cut ? cut + 1 : end;
        cut = memchr(text, 0xfe, (size_t)(end - text));
    } else
        require(berth_tokenizer_from_memory("usual", usual, sizeof usual - 1, &options, &tokenizer, NULL) ==
                BERTH_OK);
    const uint8_t *stop = data[0] & 16 && cut ? cut : end;
    const char *pair = !(data[0] & 16) ? NULL : stop < end ? (const char *)stop + 1 : "";
    if (tokenizer)
        check(tokenizer, (const char *)text, (size_t)(stop - text), pair,
              stop < end ? (size_t)(end - stop - 1) : 0, data[1]);
    berth_tokenizer_free(tokenizer);
    return 0;
}
