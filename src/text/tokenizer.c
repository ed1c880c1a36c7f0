/* tokenizer.c: opens a tokenizer: gathers its files (tokenizer_source.h), then builds the index and the rules
 * that encode.c and decode.c work with. */
#include "text/tokenizer.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_internal.h"
#include "text/tokenizer_source.h"
#include "text/utf8.h"

static const char *const usual_names[BERTH_SPECIAL_COUNT] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

/* --- special and added tokens ---------------------------------------------------------------- */

/* Lower case of a token of at most BERTH_ADDED_MAX_BYTES; returns its size. A character's lower case has at
 * most three times its bytes. */
static size_t lower_token(const char *text, size_t size, char out[3 * BERTH_ADDED_MAX_BYTES])
{
    const unsigned char *at = (const unsigned char *)text, *end = at + size;
    size_t n = 0;
    while (at < end) {
        uint32_t c, lower[BERTH_LOWER_MAX];
        at += berth_utf8_read(at, end, &c);
        const size_t count = berth_char_lower(c, lower);
        for (size_t i = 0; i < count; i++)
            n += berth_utf8_write((unsigned char *)out + n, lower[i]);
    }
    return n;
}

/* Finds the special tokens and joins them to the added ones; all but [PAD] and [MASK] are needed. */
static enum berth_status find_specials(struct berth_tokenizer *tokenizer,
                                       struct berth_tokenizer_source *source, const char *name,
                                       struct berth_error *err)
{
    for (int i = 0; i < BERTH_SPECIAL_COUNT; i++) {
        const char *text = source->special[i] ? source->special[i] : usual_names[i];
        const size_t size = strlen(text);
        int64_t id = berth_vocab_find(&tokenizer->vocab, text, size);
        for (size_t k = 0; k < source->added_count && id < 0; k++)
            if (source->added[k].size == size && memcmp(source->added[k].text, text, size) == 0)
                id = source->added[k].id;
        tokenizer->special[i] = (int32_t)id;
        if (id < 0 && i <= BERTH_SPECIAL_SEP)
            return berth_fail(err, BERTH_FORMAT, "%s: the vocabulary has no %s, which is needed", name, text);
        const enum berth_status status =
            id < 0 ? BERTH_OK : berth_tokenizer_add_token(source, text, size, id, true, name, err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

/* An added token has the vocabulary's id, or the one its file gives, with which it joins the vocabulary. */
static enum berth_status place(struct berth_tokenizer *tokenizer, struct berth_added_token *token,
                               const char *name, struct berth_error *err)
{
    const int32_t id = berth_vocab_find(&tokenizer->vocab, token->text, token->size);
    token->outside = id < 0;
    if (id >= 0)
        token->id = id;
    if (token->id < 0)
        return berth_fail(err, BERTH_FORMAT, "%s: added token '%s' is not in the vocabulary and has no id",
                          name, token->text);
    if (id >= 0)
        return BERTH_OK;
    const enum berth_status status =
        berth_vocab_add(&tokenizer->vocab, token->text, token->size, (size_t)token->id, err);
    return status == BERTH_OK ? status : berth_fail_prefix(err, status, "%s: added token", name);
}

/* Makes a token be recognised in a text. */
static enum berth_status protect(struct berth_tokenizer *tokenizer, const struct berth_added_token *token,
                                 struct berth_error *err)
{
    struct berth_trie *trie = &tokenizer->protected_;
    const char *text = token->text;
    size_t size = token->size;
    char lower[3 * BERTH_ADDED_MAX_BYTES];
    if (!token->special &&
        tokenizer->rules.lower) { /* special ones keep their case, others are found in lower case */
        size = lower_token(text, size, lower);
        text = lower;
    }
    tokenizer->flags[token->id] |= (unsigned char)((token->special ? BERTH_TOKEN_SPECIAL : 0) |
                                                   (token->outside ? BERTH_TOKEN_ADDED : 0));
    const int32_t id = (int32_t)token->id;
    enum berth_status status = berth_trie_insert(trie, BERTH_PROTECTED_ANYWHERE, text, size, id, err);
    if (status == BERTH_OK && token->special)
        status = berth_trie_insert(trie, BERTH_PROTECTED_WHOLE, text, size, id, err);
    return status;
}

static enum berth_status add_tokens(struct berth_tokenizer *tokenizer, struct berth_tokenizer_source *source,
                                    const char *name, struct berth_error *err)
{
    enum berth_status status;
    BERTH_TRY(find_specials(tokenizer, source, name, err));
    for (size_t i = 0; i < source->added_count; i++)
        BERTH_TRY(place(tokenizer, &source->added[i], name, err));
    tokenizer->flags = berth_calloc(tokenizer->vocab.size, 1);
    if (!tokenizer->flags)
        return berth_fail_memory(err, "a tokenizer", tokenizer->vocab.size);
    BERTH_TRY(berth_trie_init(&tokenizer->protected_, 0, err));
    for (size_t i = 0; i < source->added_count; i++)
        BERTH_TRY(protect(tokenizer, &source->added[i], err));
fail:
    return status;
}

/* --- building -------------------------------------------------------------------------------- */

static enum berth_choice first_set(enum berth_choice a, enum berth_choice b, enum berth_choice otherwise)
{
    return a != BERTH_CHOICE_UNSET ? a : b != BERTH_CHOICE_UNSET ? b : otherwise;
}

static void resolve(struct berth_tokenizer_options *options, const struct berth_tokenizer_options *files,
                    const struct berth_tokenizer_options *overrides)
{
    static const struct berth_tokenizer_options none = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET,
                                                        BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, 0};
    const struct berth_tokenizer_options *over = overrides ? overrides : &none;
    options->do_lower_case = first_set(over->do_lower_case, files->do_lower_case, BERTH_CHOICE_YES);
    options->strip_accents = first_set(over->strip_accents, files->strip_accents, options->do_lower_case);
    options->tokenize_chinese_chars =
        first_set(over->tokenize_chinese_chars, files->tokenize_chinese_chars, BERTH_CHOICE_YES);
    options->add_special_tokens =
        first_set(over->add_special_tokens, files->add_special_tokens, BERTH_CHOICE_YES);
    options->model_max_length = over->model_max_length ? over->model_max_length : files->model_max_length;
}

/* Makes the tokenizer of what was read; takes the vocabulary and the prefix out of the source. */
static enum berth_status build(struct berth_tokenizer_source *source,
                               const struct berth_tokenizer_options *overrides, const char *name,
                               struct berth_tokenizer **out, struct berth_error *err)
{
    enum berth_status status;
    struct berth_tokenizer *tokenizer = berth_calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return berth_fail_memory(err, "a tokenizer", sizeof *tokenizer);
    tokenizer->vocab = source->vocab;
    source->vocab = (struct berth_vocab){0};
    tokenizer->prefix = source->prefix ? source->prefix : berth_strdup("##");
    source->prefix = NULL;
    if (!tokenizer->prefix) {
        status = berth_fail_memory(err, "a tokenizer", 3);
        goto fail;
    }
    resolve(&tokenizer->options, &source->options, overrides);
    tokenizer->rules = (struct berth_word_rules){
        .lower = tokenizer->options.do_lower_case == BERTH_CHOICE_YES,
        .strip_accents = tokenizer->options.strip_accents == BERTH_CHOICE_YES,
        .separate_ideographs = tokenizer->options.tokenize_chinese_chars == BERTH_CHOICE_YES,
        .max_chars = source->max_chars ? source->max_chars : BERTH_WORD_CHARS_DEFAULT,
        .protected_ = &tokenizer->protected_,
    };
    BERTH_TRY(berth_vocab_index(&tokenizer->vocab, tokenizer->prefix, err));
    BERTH_TRY(add_tokens(tokenizer, source, name, err));
    berth_word_rules_init(&tokenizer->rules);
    *out = tokenizer;
    return BERTH_OK;
fail:
    berth_tokenizer_free(tokenizer);
    return status;
}

void berth_tokenizer_free(struct berth_tokenizer *tokenizer)
{
    if (!tokenizer)
        return;
    berth_vocab_clear(&tokenizer->vocab);
    berth_trie_clear(&tokenizer->protected_);
    berth_free(tokenizer->flags);
    berth_free(tokenizer->prefix);
    berth_free(tokenizer);
}

/* --- opening --------------------------------------------------------------------------------- */

typedef enum berth_status read_file(struct berth_tokenizer_source *, const char *, struct berth_error *);

/* Reads DIRECTORY/NAME when it is there. */
static enum berth_status read_optional(struct berth_tokenizer_source *source, const char *directory,
                                       const char *name, read_file *read, struct berth_error *err)
{
    char *path = berth_path_join(directory, name);
    if (!path)
        return berth_fail_memory(err, name, strlen(directory));
    const enum berth_status status = berth_path_present(path) ? read(source, path, err) : BERTH_OK;
    berth_free(path);
    return status;
}

enum berth_status berth_tokenizer_open(const char *directory, const struct berth_tokenizer_options *overrides,
                                       struct berth_tokenizer **tokenizer, struct berth_error *err)
{
    static const struct {
        const char *name;
        read_file *read;
    } files[] = {{"special_tokens_map.json", berth_tokenizer_read_special_map},
                 {"tokenizer_config.json", berth_tokenizer_read_config},
                 {"vocab.txt", berth_tokenizer_read_vocab},
                 {"tokenizer.json", berth_tokenizer_read_json},
                 {"added_tokens.json", berth_tokenizer_read_added}};
    *tokenizer = NULL;
    struct berth_tokenizer_source source;
    berth_tokenizer_source_init(&source);
    enum berth_status status;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        BERTH_TRY(read_optional(&source, directory, files[i].name, files[i].read, err));
    if (source.has_vocab)
        status = build(&source, overrides, directory, tokenizer, err);
    else
        status = berth_fail(err, BERTH_NOT_FOUND, "%s: no vocabulary: vocab.txt or tokenizer.json is needed",
                            directory);
fail:
    berth_tokenizer_source_clear(&source);
    return status;
}

enum berth_status berth_tokenizer_open_vocab(const char *path, const struct berth_tokenizer_options *options,
                                             struct berth_tokenizer **tokenizer, struct berth_error *err)
{
    *tokenizer = NULL;
    struct berth_tokenizer_source source;
    berth_tokenizer_source_init(&source);
    const size_t length = strlen(path);
    const bool json = length > 5 && strcmp(path + length - 5, ".json") == 0;
    enum berth_status status;
    BERTH_TRY((json ? berth_tokenizer_read_json : berth_tokenizer_read_vocab)(&source, path, err));
    status = build(&source, options, path, tokenizer, err);
fail:
    berth_tokenizer_source_clear(&source);
    return status;
}

enum berth_status berth_tokenizer_from_memory(const char *name, const char *vocab, size_t size,
                                              const struct berth_tokenizer_options *options,
                                              struct berth_tokenizer **tokenizer, struct berth_error *err)
{
    *tokenizer = NULL;
    struct berth_tokenizer_source source;
    berth_tokenizer_source_init(&source);
    enum berth_status status;
    BERTH_TRY(berth_tokenizer_parse_vocab(&source, name, vocab, size, err));
    status = build(&source, options, name, tokenizer, err);
fail:
    berth_tokenizer_source_clear(&source);
    return status;
}

/* --- asking ---------------------------------------------------------------------------------- */

size_t berth_tokenizer_vocab_size(const struct berth_tokenizer *tokenizer)
{
    return tokenizer->vocab.size;
}

size_t berth_tokenizer_model_max_length(const struct berth_tokenizer *tokenizer)
{
    return tokenizer->options.model_max_length;
}

const struct berth_tokenizer_options *berth_tokenizer_effective_options(
    const struct berth_tokenizer *tokenizer)
{
    return &tokenizer->options;
}

const char *berth_tokenizer_token(const struct berth_tokenizer *tokenizer, int32_t id)
{
    size_t length;
    return berth_vocab_token(&tokenizer->vocab, id, &length);
}

int32_t berth_tokenizer_id(const struct berth_tokenizer *tokenizer, const char *token, size_t length)
{
    const int32_t id = berth_vocab_find(&tokenizer->vocab, token, length);
    if (id >= 0)
        return id;
    size_t taken = 0;
    const int32_t added = berth_trie_longest(&tokenizer->protected_, BERTH_PROTECTED_ANYWHERE,
                                             (const unsigned char *)token, length, &taken);
    return taken == length ? added : -1;
}

int32_t berth_tokenizer_special(const struct berth_tokenizer *tokenizer, enum berth_special special)
{
    return tokenizer->special[special];
}
