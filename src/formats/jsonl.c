/* jsonl.c: jansson does the parsing; here is what it refuses and people's files hold (ill-formed UTF-8, lone
 * surrogates), what it would allow at great cost (millions of values in a line), and the types of the keys.
 */
#include "formats/jsonl.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/error.h"
#include "base/json_text.h"
#include "formats/json_load.h"
#include "formats/lines.h"

enum { VALUES_MAX = 1 << 16 }; /* of one line: jansson spends some hundred bytes on each */

void berth_jsonl_clear(struct berth_jsonl *jsonl)
{
    json_decref(jsonl->root);
    berth_free(jsonl->text);
    berth_free(jsonl->pair);
    berth_free(jsonl->label);
    berth_buffer_clear(&jsonl->repaired);
    berth_buffer_clear(&jsonl->written);
    *jsonl = (struct berth_jsonl){0};
}

/* Bytes of the well-formed UTF-8 sequence at s, or of the maximal ill-formed part (Unicode, table 3-7),
 * negated. */
static int sequence_length(const unsigned char *s, size_t size)
{
    if (s[0] < 0x80)
        return 1;
    int length = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 1;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (length == 1)
        return -1;
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= size || s[i] < low || s[i] > high)
            return -i;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

/* Bytes of the well-formed beginning of text. */
static size_t well_formed_prefix(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size) {
        uint64_t word;
        if (size - i >= sizeof word &&
            (memcpy(&word, text + i, sizeof word), (word & 0x8080808080808080u) == 0)) {
            i += sizeof word;
            continue;
        }
        int length = sequence_length((const unsigned char *)text + i, size - i);
        if (length < 0)
            break;
        i += (size_t)length;
    }
    return i;
}

/* Points *text at a copy in which each maximal ill-formed part is U+FFFD; leaves it alone when there is none.
 */
static enum berth_status repair_utf8(struct berth_buffer *repaired, char **text, size_t *size,
                                     struct berth_error *err)
{
    size_t done = well_formed_prefix(*text, *size);
    if (done == *size)
        return BERTH_OK;
    repaired->limit = BERTH_LINE_MAX;
    repaired->size = 0;
    const char *from = *text;
    size_t left = *size;
    for (;;) {
        if (!berth_buffer_append(repaired, from, done))
            break;
        from += done;
        left -= done;
        if (left == 0) {
            *text = repaired->data;
            *size = repaired->size;
            return BERTH_OK;
        }
        size_t bad = (size_t)-sequence_length((const unsigned char *)from, left);
        if (!berth_buffer_append(repaired, "\xef\xbf\xbd", 3))
            break;
        from += bad;
        left -= bad;
        done = well_formed_prefix(from, left);
    }
    if (repaired->limit - repaired->size >= berth_max(done, 3)) /* the limit was not in the way */
        return berth_fail_memory(err, "a line with ill-formed UTF-8", repaired->size + left);
    return berth_fail(err, BERTH_LIMIT, "a line with ill-formed UTF-8 grows beyond the limit of %d MiB",
                      BERTH_LINE_MAX >> 20);
}

static enum berth_status refuse_type(const char *key, const char *want, struct berth_error *err)
{
    return berth_fail(err, BERTH_FORMAT, "key '%s' must be %s", key, want);
}

static enum berth_status read_text(const json_t *root, const char *key, bool required, const char **text,
                                   size_t *size, struct berth_error *err)
{
    const json_t *value = json_object_get(root, key);
    if (!required && (!value || json_is_null(value)))
        return BERTH_OK;
    if (!value)
        return berth_fail(err, BERTH_FORMAT, "key '%s' is missing", key);
    if (!json_is_string(value))
        return refuse_type(key, "a string", err);
    *text = json_string_value(value);
    *size = json_string_length(value);
    return BERTH_OK;
}

static enum berth_status read_label(struct berth_jsonl *jsonl, const char **label, struct berth_error *err)
{
    const json_t *value = json_object_get(jsonl->root, jsonl->label);
    if (!value)
        return berth_fail(err, BERTH_FORMAT, "key '%s' is missing", jsonl->label);
    if (json_is_object(value) || json_is_null(value))
        return refuse_type(jsonl->label, "a string, a number, true, false or a list of them", err);
    if (json_is_string(value)) {
        *label = json_string_value(value);
        return strlen(*label) == json_string_length(value) ? BERTH_OK
                                                           : refuse_type(jsonl->label, "without NUL", err);
    }
    jsonl->written.limit = BERTH_LINE_MAX;
    jsonl->written.size = 0;
    if (!berth_json_write(value, JSON_COMPACT | JSON_ENCODE_ANY, &jsonl->written))
        return berth_fail_memory(err, "a label", jsonl->written.size);
    *label = jsonl->written.data;
    return BERTH_OK;
}

enum berth_status berth_jsonl_parse(struct berth_jsonl *jsonl, char *line, size_t size,
                                    struct berth_record *record, struct berth_error *err)
{
    json_decref(jsonl->root);
    jsonl->root = NULL;
    enum berth_status status = repair_utf8(&jsonl->repaired, &line, &size, err);
    if (status != BERTH_OK)
        return status;
    if (berth_json_text_mend(line, size) > VALUES_MAX)
        return berth_fail(err, BERTH_LIMIT, "more than %d JSON values in a line", VALUES_MAX);
    json_error_t problem;
    jsonl->root = json_loadb(line, size, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &problem);
    if (!jsonl->root && !problem.text[0]) /* a failed allocation is the one thing jansson has no words for */
        return berth_fail_memory(err, "a line of JSON", size);
    if (!jsonl->root)
        return berth_fail(err, BERTH_FORMAT, "not valid JSON: %s", problem.text);
    if (!json_is_object(jsonl->root))
        return berth_fail(err, BERTH_FORMAT, "a JSON object is needed, as {\"%s\": \"...\"}", jsonl->text);
    *record = (struct berth_record){.line = record->line};
    struct berth_text *text = &record->text;
    BERTH_TRY(read_text(jsonl->root, jsonl->text, true, &text->text, &text->size, err));
    if (jsonl->pair)
        BERTH_TRY(
            read_text(jsonl->root, jsonl->pair, jsonl->pair_required, &text->pair, &text->pair_size, err));
    if (jsonl->label)
        BERTH_TRY(read_label(jsonl, &record->label, err));
    return BERTH_OK;
fail:
    return status;
}
