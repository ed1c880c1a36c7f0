/* vocab_train.c: counts the words of a corpus with the tokenizer's own rules, chooses the alphabet, cuts the
 * words into characters, and writes what vocab_train_merge.c makes of them. */
#include "text/vocab_train.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"
#include "text/vocab_train_merge.h"
#include "text/vocab_train_strings.h"

enum { CODE_POINTS = 0x110000, KEY_BYTES = 8 };

static const char special_tokens[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";

struct berth_vocab_trainer {
    struct berth_vocab_recipe recipe;
    struct berth_tokenizer *splitter; /* of the special tokens alone: its rules make the words */
    struct berth_strings words, tokens;
    struct berth_cut_word *cut; /* those of the words that the alphabet spells */
    size_t cut_count;
    uint32_t *symbols; /* of the cut words, one after the other */
    unsigned char memory[BERTH_WORD_MEMORY];
};

void berth_vocab_trainer_free(struct berth_vocab_trainer *trainer)
{
    if (!trainer)
        return;
    berth_tokenizer_free(trainer->splitter);
    berth_strings_clear(&trainer->words);
    berth_strings_clear(&trainer->tokens);
    berth_free(trainer->cut);
    berth_free(trainer->symbols);
    berth_free(trainer);
}

enum berth_status berth_vocab_trainer_new(const struct berth_vocab_recipe *recipe,
                                          struct berth_vocab_trainer **out, struct berth_error *err)
{
    *out = NULL;
    if (recipe->size == 0 || recipe->size > BERTH_VOCAB_MAX)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "size %zu of a vocabulary: 1 to %d tokens are possible", recipe->size,
                          BERTH_VOCAB_MAX);
    if (recipe->limit_alphabet == 0 || recipe->min_frequency == 0)
        return berth_fail(err, BERTH_INVALID_ARGUMENT,
                          "the alphabet's limit and the least frequency are 1 at least");
    enum berth_status status;
    struct berth_vocab_trainer *trainer = berth_calloc(1, sizeof *trainer);
    if (!trainer)
        return berth_fail_memory(err, "a vocabulary's training", sizeof *trainer);
    trainer->recipe = *recipe;
    BERTH_TRY(berth_tokenizer_from_memory("special tokens", special_tokens, sizeof special_tokens - 1,
                                          &recipe->options, &trainer->splitter, err));
    *out = trainer;
    return BERTH_OK;
fail:
    berth_vocab_trainer_free(trainer);
    return status;
}

/* --- words ----------------------------------------------------------------------------------- */

static enum berth_status check_utf8(const char *text, size_t size, struct berth_error *err)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + size;
    while (at < end) {
        uint32_t c;
        const size_t bytes = berth_utf8_read(at, end, &c);
        if (c == BERTH_REPLACEMENT && !(bytes == 3 && memcmp(at, "\xef\xbf\xbd", 3) == 0))
            return berth_fail(err, BERTH_FORMAT,
                              "byte %zu of the text is not UTF-8; convert the corpus first",
                              (size_t)(at - (const unsigned char *)text) + 1);
        at += bytes;
    }
    return BERTH_OK;
}

enum berth_status berth_vocab_trainer_add(struct berth_vocab_trainer *trainer, const char *text, size_t size,
                                          struct berth_error *err)
{
    enum berth_status status = check_utf8(text, size, err);
    struct berth_words words;
    berth_words_begin(&words, &trainer->splitter->rules, text, size, trainer->memory);
    while (status == BERTH_OK && berth_words_next(&words)) {
        uint32_t index;
        if (words.protected_id < 0 && !words.too_long && words.size > 0)
            status = berth_strings_add(&trainer->words, (const char *)words.word, words.size, &index, err);
    }
    return status;
}

/* --- alphabet -------------------------------------------------------------------------------- */

struct letter {
    uint64_t count;
    uint32_t code;
    bool continues; /* it stands inside a word */
};

static int by_frequency(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->code < y->code ? -1 : x->code > y->code;
}

static int by_code(const void *a, const void *b)
{
    const struct letter *x = a, *y = b;
    return x->code < y->code ? -1 : x->code > y->code;
}

/* letters[code] of all code points; returns how many characters the words have in all. */
static size_t count_letters(const struct berth_strings *words, struct letter *letters)
{
    size_t total = 0;
    for (size_t i = 0; i < words->size; i++) {
        const unsigned char *start = (const unsigned char *)berth_strings_text(words, i);
        const unsigned char *at = start, *end = start + words->items[i].length;
        while (at < end) {
            uint32_t c;
            const size_t bytes = berth_utf8_read(at, end, &c);
            letters[c].count += words->items[i].count;
            letters[c].continues |= at > start;
            at += bytes;
            total++;
        }
    }
    return total;
}

/* Those that occur, to the front; returns how many. */
static size_t gather_letters(struct letter *letters)
{
    size_t count = 0;
    for (uint32_t c = 0; c < CODE_POINTS; c++)
        if (letters[c].count > 0) {
            letters[count] = letters[c];
            letters[count++].code = c;
        }
    return count;
}

/* The token of a character; returns its bytes. */
static size_t write_key(char key[KEY_BYTES], const unsigned char *character, size_t bytes, bool continues)
{
    const size_t prefix = continues ? sizeof BERTH_CONTINUATION_PREFIX - 1 : 0;
    memcpy(key, BERTH_CONTINUATION_PREFIX, prefix);
    memcpy(key + prefix, character, bytes);
    return prefix + bytes;
}

static enum berth_status add_letters(struct berth_strings *tokens, const struct letter *letters, size_t count,
                                     bool continuations, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (size_t i = 0; i < count && status == BERTH_OK; i++) {
        unsigned char character[4];
        char key[KEY_BYTES];
        uint32_t index;
        const size_t bytes = berth_utf8_write(character, letters[i].code);
        if (letters[i].continues || !continuations)
            status =
                berth_strings_add(tokens, key, write_key(key, character, bytes, continuations), &index, err);
    }
    return status;
}

/* Special tokens, then the alphabet; *total: characters of all distinct words. */
static enum berth_status begin_tokens(struct berth_vocab_trainer *trainer, size_t *total,
                                      struct berth_vocab_outcome *outcome, struct berth_error *err)
{
    struct berth_strings *tokens = &trainer->tokens;
    const struct berth_vocab_recipe *recipe = &trainer->recipe;
    enum berth_status status;
    uint32_t index;
    struct letter *letters = berth_calloc(CODE_POINTS, sizeof *letters);
    if (!letters)
        return berth_fail_memory(err, "the alphabet", CODE_POINTS * sizeof *letters);
    *total = count_letters(&trainer->words, letters);
    const size_t found = gather_letters(letters);
    outcome->alphabet = berth_min(found, recipe->limit_alphabet);
    outcome->left_out = found - outcome->alphabet;
    qsort(letters, found, sizeof *letters, by_frequency);
    qsort(letters, outcome->alphabet, sizeof *letters, by_code);
    for (const char *at = special_tokens, *end; *at; at = end + 1) {
        end = strchr(at, '\n');
        BERTH_TRY(berth_strings_add(tokens, at, (size_t)(end - at), &index, err));
    }
    BERTH_TRY(add_letters(tokens, letters, outcome->alphabet, false, err));
    BERTH_TRY(add_letters(tokens, letters, outcome->alphabet, true, err));
    if (tokens->size > recipe->size)
        status = berth_fail(err, BERTH_INVALID_ARGUMENT,
                            "size %zu is too small: the special tokens and %zu characters are %zu tokens; "
                            "raise the size or lower the alphabet's limit",
                            recipe->size, outcome->alphabet, tokens->size);
fail:
    berth_free(letters);
    return status;
}

/* --- cutting and writing --------------------------------------------------------------------- */

/* Writes the word's characters as tokens; returns how many, 0 when the alphabet lacks one. */
static uint32_t cut_word(const struct berth_strings *tokens, const char *word, size_t size, uint32_t *symbols)
{
    const unsigned char *start = (const unsigned char *)word, *at = start, *end = start + size;
    uint32_t count = 0;
    while (at < end) {
        uint32_t c;
        char key[KEY_BYTES];
        const size_t bytes = berth_utf8_read(at, end, &c);
        symbols[count] = berth_strings_find(tokens, key, write_key(key, at, bytes, at > start));
        if (symbols[count++] == UINT32_MAX)
            return 0;
        at += bytes;
    }
    return count;
}

/* All words that the alphabet spells; `total` characters are enough room. */
static enum berth_status cut_words(struct berth_vocab_trainer *trainer, size_t total, struct berth_error *err)
{
    const struct berth_strings *words = &trainer->words;
    trainer->cut = berth_malloc(words->size, sizeof *trainer->cut);
    trainer->symbols = berth_malloc(total, sizeof *trainer->symbols);
    if (!trainer->cut || !trainer->symbols)
        return berth_fail_memory(err, "the words in pieces", total * sizeof *trainer->symbols);
    uint32_t used = 0;
    for (size_t i = 0; i < words->size; i++) {
        const uint32_t length = cut_word(&trainer->tokens, berth_strings_text(words, i),
                                         words->items[i].length, trainer->symbols + used);
        if (length > 0)
            trainer->cut[trainer->cut_count++] = (struct berth_cut_word){used, length, words->items[i].count};
        used += length;
    }
    return BERTH_OK;
}

static enum berth_status write_tokens(const struct berth_strings *tokens, struct berth_buffer *vocab,
                                      struct berth_error *err)
{
    const size_t size = tokens->text_size + tokens->size;
    if (size > BERTH_VOCAB_MAX_BYTES)
        return berth_fail(err, BERTH_LIMIT, "the vocabulary has %zu bytes, more than %d MiB; lower its size",
                          size, BERTH_VOCAB_MAX_BYTES >> 20);
    if (!berth_buffer_reserve(vocab, size))
        return berth_fail_memory(err, "the vocabulary", size);
    for (size_t i = 0; i < tokens->size; i++) {
        berth_buffer_append(vocab, berth_strings_text(tokens, i), tokens->items[i].length);
        berth_buffer_append(vocab, "\n", 1);
    }
    return BERTH_OK;
}

enum berth_status berth_vocab_trainer_finish(struct berth_vocab_trainer *trainer,
                                             berth_vocab_progress *progress, void *progress_context,
                                             struct berth_buffer *vocab, struct berth_vocab_outcome *outcome,
                                             struct berth_error *err)
{
    *outcome = (struct berth_vocab_outcome){.words = trainer->words.size};
    berth_buffer_init(vocab, BERTH_VOCAB_MAX_BYTES);
    if (trainer->words.size == 0)
        return berth_fail(err, BERTH_FORMAT, "no words to make a vocabulary of");
    size_t total = 0;
    enum berth_status status;
    BERTH_TRY(begin_tokens(trainer, &total, outcome, err));
    BERTH_TRY(cut_words(trainer, total, err));
    BERTH_TRY(berth_vocab_merge(&trainer->tokens, trainer->cut, trainer->cut_count, trainer->symbols,
                                trainer->recipe.size, trainer->recipe.min_frequency, progress,
                                progress_context, err));
    outcome->tokens = trainer->tokens.size;
    status = write_tokens(&trainer->tokens, vocab, err);
fail:
    return status;
}
