/* tokenizer_source.c: gathers what a tokenizer's files say: vocab.txt and the small JSON files beside it
 * (tokenizer_json.c reads tokenizer.json). */
#include "text/tokenizer_source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "text/utf8.h"

static const char *const special_keys[BERTH_SPECIAL_COUNT] = {"unk_token", "cls_token", "sep_token",
                                                              "pad_token", "mask_token"};

void berth_tokenizer_source_init(struct berth_tokenizer_source *source)
{
    *source = (struct berth_tokenizer_source){
        .options = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, 0}};
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

/* --- vocab.txt ------------------------------------------------------------------------------- */

static bool is_utf8(const unsigned char *at, const unsigned char *end)
{
    static const unsigned char replacement[] = "\xef\xbf\xbd";
    uint32_t c;
    for (size_t n; at < end; at += n) {
        n = berth_utf8_read(at, end, &c);
        if (c == BERTH_REPLACEMENT && (n != 3 || memcmp(at, replacement, 3) != 0))
            return false;
    }
    return true;
}

/* Adds a line; ill-formed UTF-8 in it reads as U+FFFD, as in a text. */
static enum berth_status add_line(struct berth_vocab *vocab, const char *line, size_t length, size_t id,
                                  struct berth_error *err)
{
    const unsigned char *at = (const unsigned char *)line, *end = at + length;
    if (is_utf8(at, end))
        return berth_vocab_add(vocab, line, length, id, err);
    char *clean = berth_malloc(length, 3); /* U+FFFD has three bytes and stands for at least one */
    if (!clean)
        return berth_fail_memory(err, "a line of a vocabulary", 3 * (unsigned long long)length);
    size_t n = 0;
    while (at < end) {
        uint32_t c;
        at += berth_utf8_read(at, end, &c);
        n += berth_utf8_write((unsigned char *)clean + n, c);
    }
    const enum berth_status status = berth_vocab_add(vocab, clean, n, id, err);
    berth_free(clean);
    return status;
}

enum berth_status berth_tokenizer_parse_vocab(struct berth_tokenizer_source *source, const char *name,
                                              const char *text, size_t size, struct berth_error *err)
{
    const char *at = text, *end = text + size;
    size_t id = 0;
    while (at < end) {
        const char *stop = at; /* "\n", "\r\n" and "\r" end a line, as where the reference reads it */
        while (stop < end && *stop != '\n' && *stop != '\r')
            stop++;
        const enum berth_status status = add_line(&source->vocab, at, (size_t)(stop - at), id++, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s: line %zu", name, id);
        at = stop + (end - stop > 1 && stop[0] == '\r' && stop[1] == '\n' ? 2 : 1);
    }
    if (id == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: the vocabulary is empty; it needs a token a line", name);
    source->has_vocab = true;
    return BERTH_OK;
}

enum berth_status berth_tokenizer_read_vocab(struct berth_tokenizer_source *source, const char *path,
                                             struct berth_error *err)
{
    char *data;
    size_t size;
    enum berth_status status = berth_file_read(path, BERTH_TOKENIZER_FILE_MAX, &data, &size, err);
    if (status != BERTH_OK)
        return status;
    status = berth_tokenizer_parse_vocab(source, path, data, size, err);
    berth_free(data);
    return status;
}

/* --- pieces of JSON -------------------------------------------------------------------------- */

enum berth_status berth_tokenizer_load_object(const char *path, size_t flags, json_t **root,
                                              struct berth_error *err)
{
    char *data;
    size_t size;
    *root = NULL;
    const enum berth_status status = berth_file_read(path, BERTH_TOKENIZER_FILE_MAX, &data, &size, err);
    if (status != BERTH_OK)
        return status;
    json_error_t json;
    *root = json_loadb(data, size, flags | JSON_ALLOW_NUL, &json);
    berth_free(data);
    if (json_is_object(*root))
        return BERTH_OK;
    const bool parsed = *root != NULL;
    json_decref(*root);
    *root = NULL;
    if (parsed)
        return berth_fail(err, BERTH_FORMAT, "%s: a JSON object is needed", path);
    if (json_error_code(&json) == json_error_out_of_memory || json.text[0] == 0)
        return berth_fail_memory(err, path, size);
    return berth_fail(err, BERTH_FORMAT, "%s: line %d: %s", path, json.line, json.text);
}

enum berth_status berth_tokenizer_read_choice(const json_t *object, const char *key, const char *path,
                                              enum berth_choice *choice, struct berth_error *err)
{
    const json_t *value = json_object_get(object, key);
    if (!value || json_is_null(value) || *choice != BERTH_CHOICE_UNSET)
        return BERTH_OK;
    if (!json_is_boolean(value))
        return berth_fail(err, BERTH_FORMAT, "%s: '%s' must be true or false", path, key);
    *choice = json_is_true(value) ? BERTH_CHOICE_YES : BERTH_CHOICE_NO;
    return BERTH_OK;
}

bool berth_tokenizer_id_of(const json_t *value, int64_t *id)
{
    const double number = json_is_number(value) ? json_number_value(value) : -1;
    if (!(number >= 0 && number < BERTH_VOCAB_MAX) || number != floor(number))
        return false;
    *id = (int64_t)number;
    return true;
}

/* A token is a string or an object with a string "content". */
static const json_t *token_text(const json_t *value)
{
    return json_is_object(value) ? json_object_get(value, "content") : value;
}

enum berth_status berth_tokenizer_name_special(struct berth_tokenizer_source *source,
                                               enum berth_special special, const json_t *text,
                                               const char *path, struct berth_error *err)
{
    text = token_text(text);
    if (!text || json_is_null(text) || source->special[special])
        return BERTH_OK;
    if (!json_is_string(text) || json_string_length(text) == 0 ||
        json_string_length(text) > BERTH_ADDED_MAX_BYTES)
        return berth_fail(err, BERTH_FORMAT, "%s: '%s' must be a token of 1 to %d bytes", path,
                          special_keys[special], BERTH_ADDED_MAX_BYTES);
    source->special[special] = berth_strdup(json_string_value(text));
    return source->special[special] ? BERTH_OK
                                    : berth_fail_memory(err, "a special token", json_string_length(text));
}

/* --- added tokens ---------------------------------------------------------------------------- */

enum berth_status berth_tokenizer_add_token(struct berth_tokenizer_source *source, const char *text,
                                            size_t size, int64_t id, bool special, const char *path,
                                            struct berth_error *err)
{
    for (size_t i = 0; i < source->added_count; i++) {
        struct berth_added_token *known = &source->added[i];
        if (known->size != size || memcmp(known->text, text, size) != 0)
            continue;
        known->special |= special;
        if (known->id < 0)
            known->id = id;
        return BERTH_OK;
    }
    if (size == 0 || size > BERTH_ADDED_MAX_BYTES)
        return berth_fail(err, BERTH_LIMIT, "%s: an added token of %zu bytes; it must have 1 to %d", path,
                          size, BERTH_ADDED_MAX_BYTES);
    if (source->added_count == BERTH_ADDED_MAX)
        return berth_fail(err, BERTH_LIMIT, "%s: more than %d added tokens", path, BERTH_ADDED_MAX);
    if (source->added_count == source->added_capacity) {
        const size_t capacity = berth_max(source->added_capacity * 2, 16);
        struct berth_added_token *added = berth_realloc(source->added, capacity, sizeof *added);
        if (!added)
            return berth_fail_memory(err, "added tokens", capacity * sizeof *added);
        source->added = added;
        source->added_capacity = capacity;
    }
    char *copy = berth_strndup(text, size);
    if (!copy)
        return berth_fail_memory(err, "an added token", size);
    source->added[source->added_count++] =
        (struct berth_added_token){.text = copy, .size = size, .id = id, .special = special};
    return BERTH_OK;
}

enum berth_status berth_tokenizer_add_entry(struct berth_tokenizer_source *source, const json_t *entry,
                                            int64_t id, const char *path, struct berth_error *err)
{
    const json_t *text = json_object_get(entry, "content");
    if (!json_is_string(text))
        return berth_fail(err, BERTH_FORMAT, "%s: an added token has no 'content'", path);
    if (json_is_true(json_object_get(entry, "single_word")))
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: added token '%s' asks for single_word, which is not supported", path,
                          json_string_value(text));
    return berth_tokenizer_add_token(source, json_string_value(text), json_string_length(text), id,
                                     json_is_true(json_object_get(entry, "special")), path, err);
}

/* --- the small files ------------------------------------------------------------------------- */

/* The names of special tokens in a tokenizer_config.json or special_tokens_map.json. */
static enum berth_status read_specials(struct berth_tokenizer_source *source, const json_t *root,
                                       const char *path, struct berth_error *err)
{
    enum berth_status status = BERTH_OK;
    for (int i = 0; i < BERTH_SPECIAL_COUNT && status == BERTH_OK; i++)
        status = berth_tokenizer_name_special(source, (enum berth_special)i,
                                              json_object_get(root, special_keys[i]), path, err);
    size_t index;
    const json_t *entry;
    json_array_foreach(json_object_get(root, "additional_special_tokens"), index, entry)
    {
        const json_t *text = token_text(entry);
        if (status != BERTH_OK)
            break;
        if (!json_is_string(text))
            return berth_fail(err, BERTH_FORMAT, "%s: additional_special_tokens must be a list of tokens",
                              path);
        status = berth_tokenizer_add_token(source, json_string_value(text), json_string_length(text), -1,
                                           true, path, err);
    }
    return status;
}

enum berth_status berth_tokenizer_read_special_map(struct berth_tokenizer_source *source, const char *path,
                                                   struct berth_error *err)
{
    json_t *root;
    enum berth_status status = berth_tokenizer_load_object(path, 0, &root, err);
    if (status == BERTH_OK)
        status = read_specials(source, root, path, err);
    json_decref(root);
    return status;
}

enum berth_status berth_tokenizer_read_added(struct berth_tokenizer_source *source, const char *path,
                                             struct berth_error *err)
{
    json_t *root, *value;
    enum berth_status status = berth_tokenizer_load_object(path, 0, &root, err);
    if (status != BERTH_OK)
        return status;
    const char *text;
    json_object_foreach(root, text, value)
    {
        int64_t id;
        if (!berth_tokenizer_id_of(value, &id)) {
            status = berth_fail(err, BERTH_FORMAT, "%s: token '%s' has no valid id", path, text);
            goto fail;
        }
        BERTH_TRY(berth_tokenizer_add_token(source, text, strlen(text), id, false, path, err));
    }
fail:
    json_decref(root);
    return status;
}

static enum berth_status check_class(const json_t *root, const char *path, struct berth_error *err)
{
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "PreTrainedTokenizer"};
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
    return berth_fail(err, BERTH_UNSUPPORTED,
                      "%s: tokenizer_class '%s' is not BERT's; only WordPiece is supported", path, name);
}

/* Options that change the tokens and have only one supported value. */
static enum berth_status check_fixed_options(const json_t *root, const char *path, struct berth_error *err)
{
    if (json_is_false(json_object_get(root, "do_basic_tokenize")))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: do_basic_tokenize false is not supported", path);
    if (json_array_size(json_object_get(root, "never_split")) > 0)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: never_split is not supported; make them added tokens",
                          path);
    return BERTH_OK;
}

static enum berth_status read_added_decoder(struct berth_tokenizer_source *source, json_t *decoder,
                                            const char *path, struct berth_error *err)
{
    const char *key;
    json_t *entry;
    json_object_foreach(decoder, key, entry)
    {
        char *stop;
        const long long id = strtoll(key, &stop, 10);
        if (*stop || stop == key || id < 0 || id >= BERTH_VOCAB_MAX)
            return berth_fail(err, BERTH_FORMAT, "%s: added_tokens_decoder: '%s' is not a token id", path,
                              key);
        const enum berth_status status = berth_tokenizer_add_entry(source, entry, id, path, err);
        if (status != BERTH_OK)
            return status;
    }
    return BERTH_OK;
}

static enum berth_status read_max_length(struct berth_tokenizer_source *source, const json_t *root,
                                         const char *path, struct berth_error *err)
{
    const char *key = "model_max_length";
    const json_t *limit = json_object_get(root, key);
    if (!limit)
        limit = json_object_get(root, key = "max_len"); /* its name until 2020 */
    if (!limit || json_is_null(limit))
        return BERTH_OK;
    const double tokens = json_is_number(limit) ? json_number_value(limit) : 0;
    if (!(tokens >= 1) || tokens != floor(tokens))
        return berth_fail(err, BERTH_FORMAT, "%s: '%s' must be a whole number of tokens, 1 or more", path,
                          key);
    if (tokens < 1e9 && source->options.model_max_length == 0) /* "no limit" is written as 10^30 */
        source->options.model_max_length = (size_t)tokens;
    return BERTH_OK;
}

enum berth_status berth_tokenizer_read_config(struct berth_tokenizer_source *source, const char *path,
                                              struct berth_error *err)
{
    struct berth_tokenizer_options *options = &source->options;
    json_t *root;
    /* Integers as reals: transformers writes a model_max_length of 10^30. */
    enum berth_status status = berth_tokenizer_load_object(path, JSON_DECODE_INT_AS_REAL, &root, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(check_class(root, path, err));
    BERTH_TRY(check_fixed_options(root, path, err));
    BERTH_TRY(berth_tokenizer_read_choice(root, "do_lower_case", path, &options->do_lower_case, err));
    BERTH_TRY(berth_tokenizer_read_choice(root, "strip_accents", path, &options->strip_accents, err));
    BERTH_TRY(berth_tokenizer_read_choice(root, "tokenize_chinese_chars", path,
                                          &options->tokenize_chinese_chars, err));
    BERTH_TRY(read_specials(source, root, path, err));
    BERTH_TRY(read_added_decoder(source, json_object_get(root, "added_tokens_decoder"), path, err));
    BERTH_TRY(read_max_length(source, root, path, err));
fail:
    json_decref(root);
    return status;
}
