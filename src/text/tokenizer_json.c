/* tokenizer_json.c: reads tokenizer.json, the file of Hugging Face's tokenizers library. Its parts must be
 * those of BERT (BertNormalizer, BertPreTokenizer, WordPiece, [CLS] A [SEP] B [SEP]); others are refused by
 * name. Its truncation, padding and decoder sections say nothing about the ids of a text. */
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "text/tokenizer_source.h"
#include "text/words.h"

/* Refuses a section whose "type" is not `want`; an absent section is taken for BERT's. */
static enum berth_status expect_type(const json_t *root, const char *section, const char *want,
                                     const char *path, struct berth_error *err)
{
    const json_t *object = json_object_get(root, section);
    if (!object || json_is_null(object))
        return BERTH_OK;
    const char *type = json_string_value(json_object_get(object, "type"));
    if (type && strcmp(type, want) == 0)
        return BERTH_OK;
    return berth_fail(err, BERTH_UNSUPPORTED, "%s: %s of type '%s'; only %s is supported", path, section,
                      type ? type : "?", want);
}

static enum berth_status read_normalizer(struct berth_tokenizer_source *source, const json_t *root,
                                         const char *path, struct berth_error *err)
{
    const json_t *normalizer = json_object_get(root, "normalizer");
    struct berth_tokenizer_options *options = &source->options;
    enum berth_status status;
    BERTH_TRY(expect_type(root, "normalizer", "BertNormalizer", path, err));
    BERTH_TRY(expect_type(root, "pre_tokenizer", "BertPreTokenizer", path, err));
    if (json_is_false(json_object_get(normalizer, "clean_text")))
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: clean_text false is not supported", path);
    BERTH_TRY(berth_tokenizer_read_choice(normalizer, "lowercase", path, &options->do_lower_case, err));
    BERTH_TRY(berth_tokenizer_read_choice(normalizer, "strip_accents", path, &options->strip_accents, err));
    BERTH_TRY(berth_tokenizer_read_choice(normalizer, "handle_chinese_chars", path,
                                          &options->tokenize_chinese_chars, err));
fail:
    return status;
}

/* --- special tokens around a text ------------------------------------------------------------ */

/* The token that the post processor puts in the place of cls_token or sep_token, which must be the same. */
static enum berth_status frame_token(struct berth_tokenizer_source *source, enum berth_special special,
                                     const json_t *text, const char *path, struct berth_error *err)
{
    if (!json_is_string(text))
        return berth_fail(err, BERTH_FORMAT, "%s: post_processor: a special token has no name", path);
    const enum berth_status status = berth_tokenizer_name_special(source, special, text, path, err);
    if (status == BERTH_OK && strcmp(source->special[special], json_string_value(text)) != 0)
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: post_processor puts '%s' where '%s' is named for it",
                          path, json_string_value(text), source->special[special]);
    return status;
}

/* A template must be that of BERT: `parts` has a letter a part, C for cls_token, S for sep_token, A and B for
 * the texts; from B on the type is 1. */
static enum berth_status check_template(struct berth_tokenizer_source *source, const json_t *pieces,
                                        const char *parts, const char *path, struct berth_error *err)
{
    bool same = json_array_size(pieces) == strlen(parts);
    double type = 0;
    for (size_t i = 0; same && parts[i]; i++) {
        const bool text = parts[i] == 'A' || parts[i] == 'B';
        const json_t *piece = json_object_get(json_array_get(pieces, i), text ? "Sequence" : "SpecialToken");
        const json_t *name = json_object_get(piece, "id");
        type = parts[i] == 'B' ? 1 : type;
        same = json_is_string(name) && json_number_value(json_object_get(piece, "type_id")) == type &&
               (!text || strncmp(json_string_value(name), &parts[i], 1) == 0);
        const enum berth_special special = parts[i] == 'C' ? BERTH_SPECIAL_CLS : BERTH_SPECIAL_SEP;
        const enum berth_status status =
            same && !text ? frame_token(source, special, name, path, err) : BERTH_OK;
        if (status != BERTH_OK)
            return status;
    }
    return same ? BERTH_OK
                : berth_fail(err, BERTH_UNSUPPORTED,
                             "%s: post_processor has another template than BERT's [CLS] A [SEP] B [SEP]",
                             path);
}

static enum berth_status read_post_processor(struct berth_tokenizer_source *source, const json_t *root,
                                             const char *path, struct berth_error *err)
{
    const json_t *processor = json_object_get(root, "post_processor");
    if (!processor || json_is_null(processor))
        return BERTH_OK;
    const char *type = json_string_value(json_object_get(processor, "type"));
    enum berth_status status;
    if (type && strcmp(type, "BertProcessing") == 0) {
        BERTH_TRY(frame_token(source, BERTH_SPECIAL_CLS, json_array_get(json_object_get(processor, "cls"), 0),
                              path, err));
        BERTH_TRY(frame_token(source, BERTH_SPECIAL_SEP, json_array_get(json_object_get(processor, "sep"), 0),
                              path, err));
    } else if (type && strcmp(type, "TemplateProcessing") == 0) {
        BERTH_TRY(check_template(source, json_object_get(processor, "single"), "CAS", path, err));
        BERTH_TRY(check_template(source, json_object_get(processor, "pair"), "CASBS", path, err));
    } else
        status = berth_fail(
            err, BERTH_UNSUPPORTED,
            "%s: post_processor of type '%s'; only TemplateProcessing and BertProcessing are supported", path,
            type ? type : "?");
fail:
    return status;
}

/* --- the model ------------------------------------------------------------------------------- */

static enum berth_status read_word_rules(struct berth_tokenizer_source *source, const json_t *model,
                                         const char *path, struct berth_error *err)
{
    const json_t *prefix = json_object_get(model, "continuing_subword_prefix");
    if (json_is_string(prefix)) {
        source->prefix = berth_strdup(json_string_value(prefix));
        if (!source->prefix)
            return berth_fail_memory(err, "a prefix", json_string_length(prefix));
    }
    const json_t *limit = json_object_get(model, "max_input_chars_per_word");
    const double chars = limit ? json_number_value(limit) : 100;
    if (!(chars >= 1 && chars <= BERTH_WORD_CHARS_MAX))
        return berth_fail(err, BERTH_UNSUPPORTED,
                          "%s: max_input_chars_per_word must be a number from 1 to %d", path,
                          BERTH_WORD_CHARS_MAX);
    source->max_chars = (size_t)chars;
    return berth_tokenizer_name_special(source, BERTH_SPECIAL_UNK, json_object_get(model, "unk_token"), path,
                                        err);
}

static enum berth_status read_vocab(struct berth_tokenizer_source *source, json_t *vocab, const char *path,
                                    struct berth_error *err)
{
    if (json_object_size(vocab) == 0)
        return berth_fail(err, BERTH_FORMAT, "%s: model.vocab is missing or empty", path);
    const char *token;
    json_t *value;
    json_object_foreach(vocab, token, value)
    {
        int64_t id;
        if (!berth_tokenizer_id_of(value, &id))
            return berth_fail(err, BERTH_FORMAT, "%s: token '%s' has no valid id (0 to %d)", path, token,
                              BERTH_VOCAB_MAX - 1);
        const enum berth_status status =
            berth_vocab_add(&source->vocab, token, strlen(token), (size_t)id, err);
        if (status != BERTH_OK)
            return berth_fail_prefix(err, status, "%s", path);
    }
    source->has_vocab = true;
    return BERTH_OK;
}

static enum berth_status read_model(struct berth_tokenizer_source *source, const json_t *root,
                                    const char *path, struct berth_error *err)
{
    const json_t *model = json_object_get(root, "model"), *type = json_object_get(model, "type");
    const char *name = json_string_value(type);
    if (!json_is_object(model) ||
        (type && (!name || strcmp(name, "WordPiece") != 0))) /* older files have no type */
        return berth_fail(err, BERTH_UNSUPPORTED, "%s: model of type '%s'; only WordPiece is supported", path,
                          name ? name : "?");
    const enum berth_status status = read_word_rules(source, model, path, err);
    if (status != BERTH_OK || source->has_vocab)
        return status;
    return read_vocab(source, json_object_get(model, "vocab"), path, err);
}

enum berth_status berth_tokenizer_read_json(struct berth_tokenizer_source *source, const char *path,
                                            struct berth_error *err)
{
    json_t *root;
    enum berth_status status = berth_tokenizer_load_object(path, 0, &root, err);
    if (status != BERTH_OK)
        return status;
    BERTH_TRY(read_normalizer(source, root, path, err));
    BERTH_TRY(read_post_processor(source, root, path, err));
    BERTH_TRY(read_model(source, root, path, err));
    size_t index;
    json_t *entry;
    json_array_foreach(json_object_get(root, "added_tokens"), index, entry)
    {
        int64_t id;
        if (!berth_tokenizer_id_of(json_object_get(entry, "id"), &id)) {
            status = berth_fail(err, BERTH_FORMAT, "%s: added token %zu has no valid id", path, index);
            goto fail;
        }
        BERTH_TRY(berth_tokenizer_add_entry(source, entry, id, path, err));
    }
fail:
    json_decref(root);
    return status;
}
