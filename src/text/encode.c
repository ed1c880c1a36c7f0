/* encode.c: text to ids: words (words.c), WordPiece over the vocabulary, truncation, special tokens around.
 */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "text/tokenizer_internal.h"

static const size_t text_max = (size_t)1 << 30;

void berth_encoding_clear(struct berth_encoding *encoding)
{
    berth_free(encoding->ids);
    berth_free(encoding->type_ids);
    berth_free(encoding->scratch);
    *encoding = (struct berth_encoding){0};
}

static bool reserve(struct berth_encoding *encoding, size_t need)
{
    if (need <= encoding->capacity)
        return true;
    const size_t capacity = berth_max(berth_max(encoding->capacity * 2, 128), need);
    int32_t *ids = berth_realloc(encoding->ids, capacity, sizeof *ids);
    if (ids)
        encoding->ids = ids;
    uint8_t *type_ids = berth_realloc(encoding->type_ids, capacity, sizeof *type_ids);
    if (type_ids)
        encoding->type_ids = type_ids;
    if (!ids || !type_ids)
        return false;
    encoding->capacity = capacity;
    return true;
}

static inline bool push(struct berth_encoding *encoding, int32_t id)
{
    if (encoding->size == encoding->capacity && !reserve(encoding, encoding->size + 1))
        return false;
    encoding->ids[encoding->size++] = id;
    return true;
}

/* WordPiece: the longest token the word begins with, then the longest continuation of what is left, and so
 * on; a word that is not covered so is one unknown token. */
static bool push_pieces(const struct berth_tokenizer *tokenizer, const struct berth_words *words,
                        struct berth_encoding *encoding)
{
    const size_t first = encoding->size;
    uint32_t root = BERTH_VOCAB_WORD;
    for (size_t at = 0, taken = 0; at < words->size; at += taken) {
        const int32_t id =
            berth_trie_longest(&tokenizer->vocab.pieces, root, words->word + at, words->size - at, &taken);
        if (id < 0) {
            encoding->size = first;
            return push(encoding, tokenizer->special[BERTH_SPECIAL_UNK]);
        }
        if (!push(encoding, id))
            return false;
        root = BERTH_VOCAB_CONTINUATION;
    }
    return true;
}

static bool push_word(const struct berth_tokenizer *tokenizer, const struct berth_words *words,
                      struct berth_encoding *encoding)
{
    if (words->protected_id >= 0)
        return push(encoding, words->protected_id);
    if (words->too_long)
        return push(encoding, tokenizer->special[BERTH_SPECIAL_UNK]);
    const int32_t whole = berth_vocab_find_word(&tokenizer->vocab, words->word, words->size);
    return whole >= 0 ? push(encoding, whole) : push_pieces(tokenizer, words, encoding);
}

/* Appends the tokens of one text, at most `limit` of them; *cut tells that there were more. Stopping early is
 * exact: how longest_first shares a budget depends on a text's length only up to that budget. */
static bool push_text(const struct berth_tokenizer *tokenizer, const char *text, size_t size, size_t limit,
                      struct berth_encoding *encoding, bool *cut)
{
    const size_t first = encoding->size;
    struct berth_words words;
    berth_words_begin(&words, &tokenizer->rules, text, size, encoding->scratch);
    while (berth_words_next(&words)) {
        if (!push_word(tokenizer, &words, encoding))
            return false;
        if (encoding->size - first > limit) {
            encoding->size = first + limit;
            *cut = true;
            break;
        }
    }
    return true;
}

/* How many tokens each of two texts keeps within the budget: one by one they are taken from the longer text,
 * on a tie from the second. */
static void share_budget(size_t budget, size_t *first, size_t *second)
{
    if (*first + *second <= budget)
        return;
    const size_t half = budget / 2, larger_half = budget - half;
    if (*first <= larger_half)
        *second = budget - *first;
    else if (*second <= half)
        *first = budget - *second;
    else {
        *first = larger_half;
        *second = half;
    }
}

/* Tokens [start, middle) and [middle, size) become the two texts' (without `paired`, the second is empty) as
 * they are kept, with the special tokens around them where start leaves room for [CLS]. Two more places are
 * reserved. */
static void arrange(const struct berth_tokenizer *tokenizer, struct berth_encoding *encoding, size_t start,
                    size_t middle, size_t budget, bool paired)
{
    size_t first = middle - start, second = encoding->size - middle;
    const size_t all = first + second;
    share_budget(budget, &first, &second);
    encoding->truncated |= first + second < all;
    size_t at = start + first;
    memmove(encoding->ids + at + start, encoding->ids + middle, second * sizeof *encoding->ids);
    if (start > 0) {
        encoding->ids[0] = tokenizer->special[BERTH_SPECIAL_CLS];
        encoding->ids[at++] = tokenizer->special[BERTH_SPECIAL_SEP];
    }
    encoding->size = at + second;
    if (start > 0 && paired)
        encoding->ids[encoding->size++] = tokenizer->special[BERTH_SPECIAL_SEP];
    memset(encoding->type_ids, 0, at);
    memset(encoding->type_ids + at, 1, encoding->size - at);
}

enum berth_status berth_tokenizer_encode(const struct berth_tokenizer *tokenizer, const char *text,
                                         size_t text_size, const char *pair, size_t pair_size,
                                         size_t max_length, struct berth_encoding *encoding,
                                         struct berth_error *err)
{
    const size_t start = tokenizer->options.add_special_tokens == BERTH_CHOICE_YES ? 1 : 0;
    const size_t frame = start == 0 ? 0 : pair ? 3 : 2;
    encoding->size = 0;
    encoding->truncated = false;
    if (text_size > text_max || pair_size > text_max)
        return berth_fail(err, BERTH_LIMIT, "a text of %zu bytes; the limit is %zu",
                          berth_max(text_size, pair_size), text_max);
    if (max_length > 0 && max_length < frame)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "a maximum length of %zu tokens has no room for the %zu special ones", max_length,
                          frame);
    if (!encoding->scratch && !(encoding->scratch = berth_malloc(BERTH_WORD_MEMORY, 1)))
        return berth_fail_memory(err, "a text's tokens", BERTH_WORD_MEMORY);
    const size_t budget = max_length > 0 ? max_length - frame : SIZE_MAX;
    bool done = reserve(encoding, start + 2);
    encoding->size = start;
    done = done && push_text(tokenizer, text, text_size, budget, encoding, &encoding->truncated);
    const size_t middle = encoding->size;
    done = done && (!pair || push_text(tokenizer, pair, pair_size, budget, encoding, &encoding->truncated));
    done = done && reserve(encoding, encoding->size + 2);
    if (!done) {
        encoding->size = 0;
        return berth_fail_memory(err, "a text's tokens", (encoding->capacity + 1) * sizeof *encoding->ids);
    }
    arrange(tokenizer, encoding, start, middle, budget, pair != NULL);
    return BERTH_OK;
}
