/* tokenizer_source.c: reads the files that describe a tokenizer. What is read first wins; options that would change the
 * tokens and are not known here are refused by name. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/file.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

enum { JSON_FILE_MAX = 256 << 20 };

static const char *const special_keys[BERTH_SPECIAL_COUNT] = {"unk_token", "cls_token", "sep_token", "pad_token", "mask_token"};

void berth_tokenizer_source_init(struct berth_tokenizer_source *source)
{
    *source = (struct berth_tokenizer_source){
        .options = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, 0}};
    berth_vocab_init(&source->vocab);
}

void berth_tokenizer_source_clear(struct berth_tokenizer_source *source)
{
    berth_vocab_clear(&source->vocab);
    for (int i = 0; i < BERTH_SPECIAL_COUNT; i++)
        berth_free(source->special[i]);
    for (size_t i = 0; i < source->added_count; i++)
        berth_free(source->added[i].text);
    berth_free(source->added);
    berth_free(source->prefix);
    *source = (struct berth_tokenizer_source){0};
}

/* --- vocab.txt ------------------------------------------------------------------------------------------------------ */

/* Adds a line, its ill-formed UTF-8 replaced as Python's decoder would have to. */
static enum berth_status add_line(struct berth_vocab *vocab, const char *line, size_t length, size_t id, struct berth_error *err)
{
    const unsigned char *at = (const unsigned char *)line, *end = at + length;
    bool well_formed = true;
    for (uint32_t c; at < end && well_formed; at += berth_utf8_read(at, end, &c))
        well_formed = *at < 0x80 || (berth_utf8_read(at, end, &c), c != BERTH_REPLACEMENT);
    if (well_formed)
        return berth_vocab_add(vocab, line, length, id, err);
    unsigned char *clean = berth_malloc(length, 3); /* U+FFFD is three bytes for at least one */
    if (!clean)
        return berth_fail_memory(err, "a vocabulary line", 3 * length);
    size_t n = 0;
    for (at = (const unsigned char *)line; at < end;) {
        uint32_t c;
        at += berth_utf8_read(at, end, &c);
        n += berth_utf8_write(clean + n, c);
    }
    enum berth_status status = berth_vocab_add(vocab, (char *)clean, n, id, err);
    berth_free(clean);
    return status;
}

enum berth_status berth_tokenizer_read_vocab(struct berth_tokenizer_source *source, const char *name, const char *text,
                                             size_t size, struct berth_error *err)
{
    const char *at = text, *end = text + size;
    size_t id = 0;
    while (at < end) {
        const char *stop = at; /* "\n", "\r\n" and "\r" end a line, as in Python's text mode */
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        enum berth_status status = add_line(&source->vocab, at, (size_t)(stop - at), id++, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s: line %zu", name, id);
        at = stop + (stop + 1 < end && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
    }
    if (id == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: the vocabulary is empty; it needs a token a line", name);
    source->has_vocab = true;
    return BERTH_OK;
}

/* --- JSON files ------------------------------------------------------------------------------------------------------- */

static enum berth_status load_object(const char *path, json_t **root, struct berth_error *err)
{
    char *data;
    size_t size;
    *root = NULL;
    enum berth_status status = berth_file_read(path, JSON_FILE_MAX, &data, &size, err);
    if (status != BERTH_OK)
        return status;
    json_error_t json;
    /* Integers as reals: transformers writes a model_max_length of 10^30. */
    *root = json_loadb(data, size, JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &json);
    berth_free(data);
    if (!*root) {
        if (json_error_code(&json) == json_error_out_of_memory)
            return berth_fail_memory(err, path, size);
        return berth_fail(err, BERTH_FORMAT, "%s: line %d: %s", path, json.line, json.text);
    }
    if (!json_is_object(*root)) {
        json_decref(*root);
        *root = NULL;
        return berth_fail(err, BERTH_FORMAT, "%s: a JSON object is needed", path);
    }
    return BERTH_OK;
}

/* A member that is true, false, null or absent. */
static enum berth_status read_choice(const json_t *object, const char *key, const char *path, enum berth_choice *choice,
                                     struct berth_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value))
        return BERTH_OK;
    if (!json_is_boolean(value))
        return berth_fail(err, BERTH_FORMAT, "%s: '%s' must be true, false or null", path, key);
    if (*choice == BERTH_CHOICE_UNSET)
        *choice = json_is_true(value) ? BERTH_CHOICE_YES : BERTH_CHOICE_NO;
    return BERTH_OK;
}

/* The text of a token given as "[CLS]" or as {"content": "[CLS]", ...}. */
static const json_t *token_text(const json_t *value)
{
    return json_is_object(value) ? json_object_get(value, "content") : value;
}

static enum berth_status read_specials(struct berth_tokenizer_source *source, const json_t *object, const char *path,
                                       struct berth_error *err)
{
    for (int i = 0; i < BERTH_SPECIAL_COUNT; i++) {
        const json_t *text = token_text(json_object_get(object, special_keys[i]));
        if (!text || json_is_null(text) || source->special[i])
            continue;
        if (!json_is_string(text) || json_string_length(text) == 0)
            return berth_fail(err, BERTH_FORMAT, "%s: '%s' must be a token", path, special_keys[i]);
        source->special[i] = berth_strndup(json_string_value(text), json_string_length(text));
        if (!source->special[i])
            return berth_fail_memory(err, "a special token", json_string_length(text));
    }
    return BERTH_OK;
}

static enum berth_status add_token(struct berth_tokenizer_source *source, const char *text, size_t size, int64_t id, bool special,
                                   bool normalized, const char *path, struct berth_error *err)
{
    for (size_t i = 0; i < source->added_count; i++)
        if (source->added[i].size == size && memcmp(source->added[i].text, text, size) == 0)
            return BERTH_OK;
    if (size == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: an added token is empty", path);
    if (source->added_count == BERTH_PROTECTED_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: more than %d added tokens", path, BERTH_PROTECTED_MAX);
    struct berth_added_token *added = berth_realloc(source->added, source->added_count + 1, sizeof *added);
    if (!added)
        return berth_fail_memory(err, "an added token", sizeof *added);
    source->added = added;
    char *copy = berth_strndup(text, size);
    if (!copy)
        return berth_fail_memory(err, "an added token", size);
    source->added[source->added_count++] = (struct berth_added_token){copy, size, id, special, normalized};
    return BERTH_OK;
}

static bool token_id(const json_t *value, int64_t *id)
{
    double number = json_is_number(value) ? json_number_value(value) : -1;
    if (!(number >= 0 && number < BERTH_VOCAB_MAX) || number != floor(number))
        return false;
    *id = (int64_t)number;
    return true;
}

/* An entry of added_tokens (tokenizer.json) or added_tokens_decoder (tokenizer_config.json). */
static enum berth_status read_added_entry(struct berth_tokenizer_source *source, const json_t *entry, int64_t id, const char *path,
                                          struct berth_error *err)
{
    const json_t *text = json_object_get(entry, "content");
    if (!json_is_string(text))
        return berth_fail(err, BERTH_FORMAT, "%s: an added token has no 'content'", path);
    if (json_is_true(json_object_get(entry, "single_word")))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: added token '%s' asks for single_word, which berth does not have", path,
                          json_string_value(text));
    bool special = json_is_true(json_object_get(entry, "special"));
    const json_t *normalized = json_object_get(entry, "normalized");
    return add_token(source, json_string_value(text), json_string_length(text), id, special,
                     normalized ? json_is_true(normalized) : !special, path, err);
}

static enum berth_status read_class(const json_t *root, const char *path, struct berth_error *err)
{
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "PreTrainedTokenizer"};
    const json_t *class = json_object_get(root, "tokenizer_class");
    if (!json_is_string(class))
        return BERTH_OK;
    const char *name = json_string_value(class);
    size_t length = strlen(name);
    if (length > 4 && strcmp(name + length - 4, "Fast") == 0)
        length -= 4;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == length && memcmp(known[i], name, length) == 0)
            return BERTH_OK;
    return berth_fail(err, BERTH_UNSUPPORTED, "%s: tokenizer_class '%s' is not BERT's; berth has WordPiece tokenizers only", path, name);
}

enum berth_status berth_tokenizer_read_config(struct berth_tokenizer_source *source, const char *path, struct berth_error *err)
{
    json_t *root;
    enum berth_status status = load_object(path, &root, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(read_class(root, path, err));
    BERTH_TRY(read_choice(root, "do_lower_case", path, &source->options.do_lower_case, err));
    BERTH_TRY(read_choice(root, "strip_accents", path, &source->options.strip_accents, err));
    BERTH_TRY(read_choice(root, "tokenize_chinese_chars", path, &source->options.tokenize_chinese_chars, err));
    BERTH_TRY(read_specials(source, root, path, err));
    if (json_is_false(json_object_get(root, "do_basic_tokenize"))) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: do_basic_tokenize false is not supported", path);
        goto fail;
    }
    const json_t *never_split = json_object_get(root, "never_split"), *text;
    if (json_array_size(never_split) > 0) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: never_split is not supported; list the tokens as added tokens", path);
        goto fail;
    }
    const json_t *limit = json_object_get(root, "model_max_length");
    if (json_is_number(limit) && json_number_value(limit) >= 1 && json_number_value(limit) < 1e9 && source->options.model_max_length == 0)
        source->options.model_max_length = (size_t)json_number_value(limit);
    const char *key;
    json_t *entry;
    json_object_foreach(json_object_get(root, "added_tokens_decoder"), key, entry)
    {
        char *stop;
        long long id = strtoll(key, &stop, 10);
        if (*stop || stop == key || id < 0 || id >= BERTH_VOCAB_MAX) {
            status = berth_fail(err, BERTH_FORMAT, "%s: added_tokens_decoder: '%s' is not a token id", path, key);
            goto fail;
        }
        BERTH_TRY(read_added_entry(source, entry, id, path, err));
    }
    size_t index;
    json_array_foreach(json_object_get(root, "additional_special_tokens"), index, entry)
    {
        text = token_text(entry);
        if (json_is_string(text))
            BERTH_TRY(add_token(source, json_string_value(text), json_string_length(text), -1, true, false, path, err));
    }
fail:
    json_decref(root);
    return status;
}

enum berth_status berth_tokenizer_read_special_map(struct berth_tokenizer_source *source, const char *path, struct berth_error *err)
{
    json_t *root;
    enum berth_status status = load_object(path, &root, err);
    if (status != BERTH_OK)
        return status;
    status = read_specials(source, root, path, err);
    json_decref(root);
    return status;
}

enum berth_status berth_tokenizer_read_added(struct berth_tokenizer_source *source, const char *path, struct berth_error *err)
{
    json_t *root, *value;
    enum berth_status status = load_object(path, &root, err);
    if (status != BERTH_OK)
        return status;
    const char *text;
    json_object_foreach(root, text, value)
    {
        int64_t id;
        if (!token_id(value, &id)) {
            status = berth_fail(err, BERTH_FORMAT, "%s: token '%s' has no valid id", path, text);
            goto fail;
        }
        BERTH_TRY(add_token(source, text, strlen(text), id, false, true, path, err));
    }
fail:
    json_decref(root);
    return status;
}

/* --- tokenizer.json ------------------------------------------------------------------------------------------------------ */

/* Refuses a section whose "type" is not the one BERT uses; an absent section is taken for BERT's. */
static enum berth_status expect_type(const json_t *root, const char *section, const char *want, const char *path, struct berth_error *err)
{
    const json_t *object = json_object_get(root, section);
    if (!object || json_is_null(object))
        return BERTH_OK;
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type && strcmp(type, want) == 0)
        return BERTH_OK;
    return berth_fail(err, BERTH_UNSUPPORTED, "%s: %s of type '%s': only %s is supported", path, section, type ? type : "?", want);
}

static enum berth_status read_model(struct berth_tokenizer_source *source, const json_t *root, const char *path, struct berth_error *err)
{
    const json_t *model = json_object_get(root, "model");
    const json_t *type = json_object_get(model, "type");
    if (!json_is_object(model) || (type && (!json_is_string(type) || strcmp(json_string_value(type), "WordPiece") != 0)))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: model of type '%s': only WordPiece is supported", path,
                          json_is_string(type) ? json_string_value(type) : "?");
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    if (json_is_string(prefix) && !source->prefix) {
        source->prefix = berth_strdup(json_string_value(prefix));
        if (!source->prefix)
            return berth_fail_memory(err, "a prefix", json_string_length(prefix));
    }
    const json_t *limit = json_object_get(model, "max_input_chars_per_word");
    if (limit) {
        double chars = json_number_value(limit);
        if (!json_is_number(limit) || !(chars >= 1 && chars <= BERTH_WORD_CHARS_MAX))
            return berth_fail(err, BERTH_UNSUPPORTED, "%s: max_input_chars_per_word must be 1 to %d", path, BERTH_WORD_CHARS_MAX);
        source->max_chars = (size_t)chars;
    }
    const json_t *unknown = json_object_get(model, "unk_token");
    if (json_is_string(unknown) && json_string_length(unknown) > 0 && !source->special[BERTH_SPECIAL_UNK]) {
        source->special[BERTH_SPECIAL_UNK] = berth_strdup(json_string_value(unknown));
        if (!source->special[BERTH_SPECIAL_UNK])
            return berth_fail_memory(err, "a special token", json_string_length(unknown));
    }
    if (source->has_vocab)
        return BERTH_OK;
    json_t *vocab = json_object_get(model, "vocab"), *value;
    if (!json_is_object(vocab) || json_object_size(vocab) == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: model.vocab is missing or empty", path);
    const char *token;
    json_object_foreach(vocab, token, value)
    {
        int64_t id;
        if (!token_id(value, &id))
            return berth_fail(err, BERTH_FORMAT, "%s: token '%s' has no valid id", path, token);
        enum berth_status status = berth_vocab_add(&source->vocab, token, strlen(token), (size_t)id, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s", path);
    }
    source->has_vocab = true;
    return BERTH_OK;
}

enum berth_status berth_tokenizer_read_json(struct berth_tokenizer_source *source, const char *path, struct berth_error *err)
{
    json_t *root, *entry;
    enum berth_status status = load_object(path, &root, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(expect_type(root, "normalizer", "BertNormalizer", path, err));
    BERTH_TRY(expect_type(root, "pre_tokenizer", "BertPreTokenizer", path, err));
    const json_t *normalizer = json_object_get(root, "normalizer");
    if (json_is_false(json_object_get(normalizer, "clean_text"))) {
        status = berth_fail(err, BERTH_UNSUPPORTED, "%s: clean_text false is not supported", path);
        goto fail;
    }
    BERTH_TRY(read_choice(normalizer, "lowercase", path, &source->options.do_lower_case, err));
    BERTH_TRY(read_choice(normalizer, "strip_accents", path, &source->options.strip_accents, err));
    BERTH_TRY(read_choice(normalizer, "handle_chinese_chars", path, &source->options.tokenize_chinese_chars, err));
    BERTH_TRY(read_model(source, root, path, err));
    size_t index;
    json_array_foreach(json_object_get(root, "added_tokens"), index, entry)
    {
        int64_t id;
        if (!token_id(json_object_get(entry, "id"), &id)) {
            status = berth_fail(err, BERTH_FORMAT, "%s: added token %zu has no valid id", path, index);
            goto fail;
        }
        BERTH_TRY(read_added_entry(source, entry, id, path, err));
    }
fail:
    json_decref(root);
    return status;
}
