/* tokenizer.c: builds a tokenizer from its sources, and encodes: words (words.c), then WordPiece over the vocabulary. */
#include "text/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_internal.h"

enum { VOCAB_FILE_MAX = 256 << 20 };
static const size_t TEXT_MAX = (size_t)1 << 30;

static const char *const special_names[BERTH_SPECIAL_COUNT] = {"[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"};

/* --- building ------------------------------------------------------------------------------------------------------- */

static int longer_first(const void *a, const void *b)
{
    const struct berth_protected *left = a, *right = b;
    return left->size < right->size ? 1 : left->size > right->size ? -1 : 0;
}

static enum berth_status protect(struct berth_tokenizer *tokenizer, const char *text, size_t size, int32_t id, bool any_case,
                                 struct berth_error *err)
{
    for (size_t i = 0; i < tokenizer->protected_count; i++)
        if (tokenizer->protected_[i].size == size && memcmp(tokenizer->protected_[i].text, text, size) == 0)
            return BERTH_OK;
    char *copy = berth_strndup(text, size);
    if (!copy)
        return berth_fail_memory(err, "a special token", size);
    tokenizer->protected_[tokenizer->protected_count++] = (struct berth_protected){copy, size, id, any_case};
    return BERTH_OK;
}

static enum berth_status find_specials(struct berth_tokenizer *tokenizer, const struct berth_tokenizer_source *source, const char *name,
                                       struct berth_error *err)
{
    for (int i = 0; i < BERTH_SPECIAL_COUNT; i++) {
        const char *text = source->special[i] ? source->special[i] : special_names[i];
        int32_t id = berth_vocab_find(&tokenizer->vocab, text, strlen(text));
        for (size_t k = 0; k < source->added_count && id < 0; k++)
            if (source->added[k].id >= 0 && strcmp(source->added[k].text, text) == 0)
                id = (int32_t)source->added[k].id;
        tokenizer->special[i] = id;
        if (id < 0 && i <= BERTH_SPECIAL_SEP)
            return berth_fail(err, BERTH_FORMAT, "%s: the vocabulary has no %s, which every text needs", name, text);
        if (id >= 0) {
            enum berth_status status = protect(tokenizer, text, strlen(text), id, false, err);
            if (status != BERTH_OK)
                return status;
        }
    }
    return BERTH_OK;
}

static enum berth_status add_added(struct berth_tokenizer *tokenizer, const struct berth_tokenizer_source *source, const char *name,
                                   struct berth_error *err)
{
    for (size_t i = 0; i < source->added_count; i++) {
        const struct berth_added_token *token = &source->added[i];
        int32_t id = berth_vocab_find(&tokenizer->vocab, token->text, token->size);
        if (id < 0 && token->id < 0)
            return berth_fail(err, BERTH_FORMAT, "%s: special token '%s' is not in the vocabulary", name, token->text);
        if (id < 0) {
            id = (int32_t)token->id;
            const char *other = berth_vocab_token(&tokenizer->vocab, id);
            if (other && strcmp(other, token->text) != 0)
                return berth_fail(err, BERTH_FORMAT, "%s: added token '%s' has id %d, which is '%s' in the vocabulary", name,
                                  token->text, (int)id, other);
            enum berth_status status = berth_vocab_add(&tokenizer->vocab, token->text, token->size, (size_t)id, err);
            if (status != BERTH_OK)
                return status;
        }
        bool any_case = !token->special && token->normalized && tokenizer->rules.lower;
        enum berth_status status = protect(tokenizer, token->text, token->size, id, any_case, err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

static enum berth_choice first_set(enum berth_choice a, enum berth_choice b, enum berth_choice otherwise)
{
    return a != BERTH_CHOICE_UNSET ? a : b != BERTH_CHOICE_UNSET ? b : otherwise;
}

/* Makes the tokenizer of what was read; moves the vocabulary out of the source. */
static enum berth_status build(struct berth_tokenizer_source *source, const struct berth_tokenizer_options *overrides, const char *name,
                               struct berth_tokenizer **out, struct berth_error *err)
{
    static const struct berth_tokenizer_options none = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, 0};
    if (!overrides)
        overrides = &none;
    const struct berth_tokenizer_options *files = &source->options;
    struct berth_tokenizer *tokenizer = berth_calloc(1, sizeof *tokenizer);
    if (!tokenizer)
        return berth_fail_memory(err, "a tokenizer", sizeof *tokenizer);
    enum berth_status status;
    struct berth_tokenizer_options *options = &tokenizer->options;
    options->do_lower_case = first_set(overrides->do_lower_case, files->do_lower_case, BERTH_CHOICE_YES);
    options->strip_accents = first_set(overrides->strip_accents, files->strip_accents, options->do_lower_case);
    options->tokenize_chinese_chars = first_set(overrides->tokenize_chinese_chars, files->tokenize_chinese_chars, BERTH_CHOICE_YES);
    options->add_special_tokens = first_set(overrides->add_special_tokens, files->add_special_tokens, BERTH_CHOICE_YES);
    options->model_max_length = overrides->model_max_length ? overrides->model_max_length : files->model_max_length;
    tokenizer->rules = (struct berth_word_rules){
        .lower = options->do_lower_case == BERTH_CHOICE_YES,
        .strip_accents = options->strip_accents == BERTH_CHOICE_YES,
        .separate_ideographs = options->tokenize_chinese_chars == BERTH_CHOICE_YES,
        .max_chars = source->max_chars ? source->max_chars : BERTH_WORD_CHARS_DEFAULT,
    };
    tokenizer->vocab = source->vocab;
    berth_vocab_init(&source->vocab);
    tokenizer->prefix = source->prefix ? source->prefix : berth_strdup("##");
    source->prefix = NULL;
    tokenizer->protected_ = berth_calloc(source->added_count + BERTH_SPECIAL_COUNT, sizeof *tokenizer->protected_);
    if (!tokenizer->prefix || !tokenizer->protected_) {
        status = berth_fail_memory(err, "a tokenizer", sizeof *tokenizer->protected_ * (source->added_count + BERTH_SPECIAL_COUNT));
        goto fail;
    }
    BERTH_TRY(berth_vocab_index(&tokenizer->vocab, tokenizer->prefix, err));
    BERTH_TRY(find_specials(tokenizer, source, name, err));
    BERTH_TRY(add_added(tokenizer, source, name, err));
    qsort(tokenizer->protected_, tokenizer->protected_count, sizeof *tokenizer->protected_, longer_first);
    tokenizer->rules.protected_ = tokenizer->protected_;
    tokenizer->rules.protected_count = tokenizer->protected_count;
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
    for (size_t i = 0; i < tokenizer->protected_count; i++)
        berth_free((char *)tokenizer->protected_[i].text);
    berth_free(tokenizer->protected_);
    berth_free(tokenizer->prefix);
    berth_free(tokenizer);
}

/* Reads DIRECTORY/NAME with `read` when the file is there. */
static enum berth_status read_optional(struct berth_tokenizer_source *source, const char *directory, const char *name,
                                       enum berth_status (*read)(struct berth_tokenizer_source *, const char *, struct berth_error *),
                                       struct berth_error *err)
{
    char *path = berth_path_join(directory, name);
    if (!path)
        return berth_fail_memory(err, name, strlen(directory));
    enum berth_status status = berth_file_exists(path) ? read(source, path, err) : BERTH_OK;
    berth_free(path);
    return status;
}

static enum berth_status read_vocab_file(struct berth_tokenizer_source *source, const char *path, struct berth_error *err)
{
    char *data;
    size_t size;
    enum berth_status status = berth_file_read(path, VOCAB_FILE_MAX, &data, &size, err);
    if (status != BERTH_OK)
        return status;
    status = berth_tokenizer_read_vocab(source, path, data, size, err);
    berth_free(data);
    return status;
}

enum berth_status berth_tokenizer_open(const char *directory, const struct berth_tokenizer_options *overrides,
                                       struct berth_tokenizer **tokenizer, struct berth_error *err)
{
    *tokenizer = NULL;
    struct berth_tokenizer_source source;
    berth_tokenizer_source_init(&source);
    enum berth_status status;
    BERTH_TRY(read_optional(&source, directory, "tokenizer_config.json", berth_tokenizer_read_config, err));
    BERTH_TRY(read_optional(&source, directory, "special_tokens_map.json", berth_tokenizer_read_special_map, err));
    BERTH_TRY(read_optional(&source, directory, "vocab.txt", read_vocab_file, err));
    BERTH_TRY(read_optional(&source, directory, "tokenizer.json", berth_tokenizer_read_json, err));
    BERTH_TRY(read_optional(&source, directory, "added_tokens.json", berth_tokenizer_read_added, err));
    if (!source.has_vocab) {
        status = berth_fail(err, BERTH_NOT_FOUND, "%s: no vocabulary: vocab.txt or tokenizer.json is needed", directory);
        goto fail;
    }
    status = build(&source, overrides, directory, tokenizer, err);
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
    size_t length = strlen(path);
    bool json = length > 5 && strcmp(path + length - 5, ".json") == 0;
    enum berth_status status = json ? berth_tokenizer_read_json(&source, path, err) : read_vocab_file(&source, path, err);
    if (status == BERTH_OK)
        status = build(&source, options, path, tokenizer, err);
    berth_tokenizer_source_clear(&source);
    return status;
}

enum berth_status berth_tokenizer_from_memory(const char *name, const char *vocab, size_t size,
                                              const struct berth_tokenizer_options *options, struct berth_tokenizer **tokenizer,
                                              struct berth_error *err)
{
    *tokenizer = NULL;
    struct berth_tokenizer_source source;
    berth_tokenizer_source_init(&source);
    enum berth_status status = berth_tokenizer_read_vocab(&source, name, vocab, size, err);
    if (status == BERTH_OK)
        status = build(&source, options, name, tokenizer, err);
    berth_tokenizer_source_clear(&source);
    return status;
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

size_t berth_tokenizer_vocab_size(const struct berth_tokenizer *tokenizer)
{
    return tokenizer->vocab.size;
}

size_t berth_tokenizer_model_max_length(const struct berth_tokenizer *tokenizer)
{
    return tokenizer->options.model_max_length;
}

const struct berth_tokenizer_options *berth_tokenizer_effective_options(const struct berth_tokenizer *tokenizer)
{
    return &tokenizer->options;
}

const char *berth_tokenizer_token(const struct berth_tokenizer *tokenizer, int32_t id)
{
    return berth_vocab_token(&tokenizer->vocab, id);
}

int32_t berth_tokenizer_id(const struct berth_tokenizer *tokenizer, const char *token, size_t length)
{
    for (size_t i = 0; i < tokenizer->protected_count; i++)
        if (tokenizer->protected_[i].size == length && memcmp(tokenizer->protected_[i].text, token, length) == 0)
            return tokenizer->protected_[i].id;
    return berth_vocab_find(&tokenizer->vocab, token, length);
}

int32_t berth_tokenizer_special(const struct berth_tokenizer *tokenizer, enum berth_special special)
{
    return tokenizer->special[special];
}

/* --- encoding --------------------------------------------------------------------------------------------------------- */

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
    size_t capacity = berth_max(berth_max(encoding->capacity * 2, 128), need);
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

static bool push(struct berth_encoding *encoding, int32_t id)
{
    if (encoding->size == encoding->capacity && !reserve(encoding, encoding->size + 1))
        return false;
    encoding->ids[encoding->size++] = id;
    return true;
}

/* Greedy longest match first; a word that cannot be covered is one unknown token. */
static bool push_word(const struct berth_tokenizer *tokenizer, const struct berth_words *words, struct berth_encoding *encoding)
{
    const struct berth_vocab *vocab = &tokenizer->vocab;
    if (words->protected_id >= 0)
        return push(encoding, words->protected_id);
    if (words->too_long)
        return push(encoding, tokenizer->special[BERTH_SPECIAL_UNK]);
    int32_t whole = berth_vocab_find(vocab, (const char *)words->word, words->size);
    if (whole >= 0)
        return push(encoding, whole);
    size_t first = encoding->size;
    uint32_t root = BERTH_TRIE_WORD;
    for (size_t at = 0; at < words->size;) {
        size_t taken = 0;
        int32_t id = berth_vocab_longest(vocab, root, words->word + at, words->size - at, &taken);
        if (id < 0) {
            encoding->size = first;
            return push(encoding, tokenizer->special[BERTH_SPECIAL_UNK]);
        }
        if (!push(encoding, id))
            return false;
        at += taken;
        root = BERTH_TRIE_CONTINUATION;
    }
    return true;
}

/* Appends the tokens of one text, at most `limit` (0: all); *cut tells that there were more. Stopping early is exact: how longest_first
 * shares a budget of B tokens depends on a length only as far as B. */
static bool push_text(const struct berth_tokenizer *tokenizer, const char *text, size_t size, size_t limit,
                      struct berth_encoding *encoding, bool *cut)
{
    struct berth_words words;
    berth_words_begin(&words, &tokenizer->rules, text, size, encoding->scratch);
    size_t first = encoding->size;
    *cut = false;
    while (berth_words_next(&words)) {
        if (!push_word(tokenizer, &words, encoding))
            return false;
        if (limit > 0 && encoding->size - first > limit) {
            encoding->size = first + limit;
            *cut = true;
            return true;
        }
    }
    return true;
}

enum berth_status berth_tokenizer_encode(const struct berth_tokenizer *tokenizer, const char *text, size_t text_size, const char *pair,
                                         size_t pair_size, size_t max_length, struct berth_encoding *encoding, struct berth_error *err)
{
    encoding->size = 0;
    encoding->truncated = false;
    bool specials = tokenizer->options.add_special_tokens == BERTH_CHOICE_YES;
    size_t frame = !specials ? 0 : pair ? 3 : 2;
    if (text_size > TEXT_MAX || pair_size > TEXT_MAX)
        return berth_fail(err, BERTH_LIMIT, "a text of %zu bytes; the limit is %zu", berth_max(text_size, pair_size), TEXT_MAX);
    if (max_length > 0 && max_length < frame)
        return berth_fail(err, BERTH_INVALID_ARGUMENT, "a maximum length of %zu tokens has no room for the %zu special ones", max_length, frame);
    if (!encoding->scratch) {
        encoding->scratch = berth_malloc(BERTH_WORD_CHARS_MAX * BERTH_WORD_CHAR_BYTES + BERTH_WORD_PAD, 1);
        if (!encoding->scratch)
            return berth_fail_memory(err, "tokenising", BERTH_WORD_CHARS_MAX * BERTH_WORD_CHAR_BYTES);
    }
    size_t budget = max_length > 0 ? max_length - frame : 0;
    bool limited = max_length > 0, cut_text = false, cut_pair = false;
    bool done = !specials || push(encoding, tokenizer->special[BERTH_SPECIAL_CLS]);
    size_t start = encoding->size;
    /* A limit of 0 means "all" to push_text, so a budget of none reads one token and drops it. */
    done = done && push_text(tokenizer, text, text_size, limited ? berth_max(budget, 1) : 0, encoding, &cut_text);
    size_t middle = encoding->size;
    done = done && (!pair || push_text(tokenizer, pair, pair_size, limited ? berth_max(budget, 1) : 0, encoding, &cut_pair));
    done = done && reserve(encoding, encoding->size + 2);
    if (!done)
        return berth_fail_memory(err, "token ids", (encoding->size + 3) * sizeof *encoding->ids);
    size_t n = middle - start, m = encoding->size - middle;
    size_t keep_n = n, keep_m = m;
    if (limited && n + m > budget) { /* longest_first, one by one from the longer, the second text on a tie */
        size_t half_m = budget / 2, half_n = budget - half_m;
        if (n <= half_n)
            keep_m = budget - n;
        else if (m <= half_m)
            keep_n = budget - m;
        else
            keep_n = half_n, keep_m = half_m;
    }
    encoding->truncated = cut_text || cut_pair || keep_n < n || keep_m < m;
    /* Move the second text up behind the first one's [SEP]. */
    size_t at = start + keep_n;
    memmove(encoding->ids + at + (specials ? 1 : 0), encoding->ids + middle, keep_m * sizeof *encoding->ids);
    if (specials)
        encoding->ids[at++] = tokenizer->special[BERTH_SPECIAL_SEP];
    memset(encoding->type_ids, 0, at);
    encoding->size = at;
    if (pair) {
        encoding->size += keep_m;
        if (specials)
            encoding->ids[encoding->size++] = tokenizer->special[BERTH_SPECIAL_SEP];
        memset(encoding->type_ids + at, 1, encoding->size - at);
    }
    return BERTH_OK;
}
