/* json_pull.c: a strict reader of JSON that only ever moves forward. */
#include "serve/json_pull.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/alloc.h"

bool berth_slice_is(struct berth_slice slice, const char *word)
{
    return slice.bytes && slice.size == strlen(word) && memcmp(slice.bytes, word, slice.size) == 0;
}

char *berth_slice_copy(struct berth_slice slice, char *text, size_t size)
{
    size_t length = slice.size < size ? slice.size : size - 1;
    for (size_t i = 0; i < length; i++)
        text[i] = slice.bytes[i] ? slice.bytes[i] : '?';
    text[length] = 0;
    return text;
}

void berth_json_begin(struct berth_json *json, char *text, size_t size)
{
    *json = (struct berth_json){.start = text, .at = text, .end = text + size};
    if (size >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        json->at += 3;
}

static bool fail(struct berth_json *json, const char *fault)
{
    if (!json->fault)
        json->fault = fault;
    return false;
}

static void skip_space(struct berth_json *json)
{
    while (json->at < json->end &&
           (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t'))
        json->at++;
}

char berth_json_peek(struct berth_json *json)
{
    if (json->fault)
        return 0;
    skip_space(json);
    if (json->at == json->end)
        return 0;
    char c = *json->at;
    if ((c >= '0' && c <= '9') || c == '-')
        return '0';
    if (c && strchr("{[\"tfn]},", c))
        return c;
    fail(json, c == ':' ? "a value is missing before ':'" : "a character that begins no value");
    return 0;
}

bool berth_json_open(struct berth_json *json, char bracket)
{
    if (berth_json_peek(json) != bracket)
        return false;
    if (json->depth == BERTH_JSON_DEPTH)
        return fail(json, "nested to a depth of more than 64");
    json->at++;
    uint64_t bit = (uint64_t)1 << json->depth++;
    json->objects = bracket == '{' ? json->objects | bit : json->objects & ~bit;
    json->first = true;
    return true;
}

/* Past the comma before the next item, or past the closing bracket: then false. */
static bool next(struct berth_json *json, char closing)
{
    char c = berth_json_peek(json);
    if (json->fault)
        return false;
    if (c == closing) {
        json->at++;
        json->depth--;
        json->first = false;
        return false;
    }
    if (!json->first) {
        if (c != ',')
            return fail(json, c ? "a ',' or a closing bracket is missing" : "the text ends early");
        json->at++;
        c = berth_json_peek(json);
    }
    json->first = false;
    if (c == ']' || c == '}' || c == ',')
        return fail(json, "a value is missing");
    return c || fail(json, "the text ends early");
}

bool berth_json_item(struct berth_json *json)
{
    return next(json, ']');
}

static int hex4(const char *digits)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        int c = digits[i], low = c | 32;
        int digit = c >= '0' && c <= '9' ? c - '0' : low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The code point of the escape \uXXXX whose digits are at `in`, with its other half when it is a surrogate; *used
 * receives the bytes from `in` on. -1: malformed. */
static int32_t read_unicode(const char *in, const char *end, size_t *used)
{
    int32_t unit = end - in < 4 ? -1 : hex4(in);
    *used = 4;
    if (unit < 0xd800 || unit > 0xdfff)
        return unit;
    if (unit < 0xdc00 && end - in >= 10 && in[4] == '\\' && in[5] == 'u') {
        int32_t low = hex4(in + 6);
        if (low >= 0xdc00 && low <= 0xdfff) {
            *used = 10;
            return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return 0xfffd;
}

/* Reads the escape at `in` (behind the backslash) and writes its bytes, fewer than it has, to *out. Returns the end
 * of the escape; NULL: malformed. */
static const char *unescape(const char *in, const char *end, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (in == end)
        return NULL;
    if (*in != 'u') {
        const char *found = *in ? strchr(from, *in) : NULL;
        if (!found)
            return NULL;
        *(*out)++ = to[found - from];
        return in + 1;
    }
    size_t used;
    int32_t point = read_unicode(in + 1, end, &used);
    if (point < 0)
        return NULL;
    *out += utf8proc_encode_char(point, (utf8proc_uint8_t *)*out);
    return in + 1 + used;
}

/* The first byte from `at` on that is not plain: a quote, a backslash, a control or beyond ASCII. */
static char *skip_plain(char *at, const char *end)
{
    const uint64_t ones = 0x0101010101010101u, high = 0x80 * ones;
    while (end - at >= 8) {
        uint64_t eight;
        memcpy(&eight, at, 8);
        uint64_t quote = eight ^ ('"' * ones), slash = eight ^ ('\\' * ones);
        uint64_t special = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (eight - 0x20 * ones) | eight;
        if (special & high)
            break;
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\')
        at++;
    return at;
}

/* The string at `at`, which is its opening quote; with `rewrite` its escapes are replaced. */
static bool read_string(struct berth_json *json, bool rewrite, struct berth_slice *text)
{
    char scratch[4], *in = json->at + 1, *out = in;
    *text = (struct berth_slice){in, 0};
    for (;;) {
        char *plain = skip_plain(in, json->end);
        if (rewrite && out != in)
            memmove(out, in, (size_t)(plain - in));
        out += plain - in;
        in = plain;
        if (in == json->end)
            break;
        unsigned char c = (unsigned char)*in;
        if (c == '"') {
            text->size = (size_t)(out - text->bytes);
            json->at = in + 1;
            return true;
        }
        if (c < 0x20)
            return fail(json, "a control character in a string");
        if (c == '\\') {
            char *written = scratch;
            const char *behind = unescape(in + 1, json->end, rewrite ? &out : &written);
            if (!behind)
                return fail(json, "a malformed escape in a string");
            in += behind - in;
            continue;
        }
        utf8proc_int32_t point;
        utf8proc_ssize_t bytes = utf8proc_iterate((utf8proc_uint8_t *)in, json->end - in, &point);
        if (bytes < 1)
            return fail(json, "a string is not valid UTF-8");
        if (rewrite && out != in)
            memmove(out, in, (size_t)bytes);
        out += bytes;
        in += bytes;
    }
    return fail(json, "a string has no end");
}

bool berth_json_string(struct berth_json *json, struct berth_slice *text)
{
    return berth_json_peek(json) == '"' && read_string(json, true, text);
}

static bool read_name(struct berth_json *json, bool rewrite, struct berth_slice *name)
{
    if (!next(json, '}'))
        return false;
    if (*json->at != '"')
        return fail(json, "a name in an object is no string");
    if (!read_string(json, rewrite, name))
        return false;
    skip_space(json);
    if (json->at == json->end || *json->at != ':')
        return fail(json, "a ':' is missing behind a name");
    json->at++;
    return true;
}

bool berth_json_member(struct berth_json *json, struct berth_slice *name)
{
    if (!read_name(json, true, name))
        return false;
    return !memchr(name->bytes, 0, name->size) || fail(json, "a name with a NUL in it");
}

static char *skip_digits(char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

/* Past the number at `at`; *whole: it has neither fraction nor exponent. */
static bool pass_number(struct berth_json *json, bool *whole)
{
    char *from = json->at, *at = from + (*from == '-');
    char *digits = at;
    at = skip_digits(at, json->end);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return fail(json, "a malformed number");
    *whole = true;
    if (at < json->end && *at == '.') {
        *whole = false;
        digits = ++at;
        at = skip_digits(at, json->end);
        if (at == digits)
            return fail(json, "a malformed number");
    }
    bool power = at < json->end && (*at | 32) == 'e';
    if (power) {
        *whole = false;
        at++;
        if (at < json->end && (*at == '+' || *at == '-'))
            at++;
        digits = at;
        at = skip_digits(at, json->end);
        if (at == digits)
            return fail(json, "a malformed number");
    }
    /* Few digits without a power fit; of the rest there are few. The body ends in a NUL or another byte, and no
     * number goes on there. */
    if (!*whole && (power || at - from > 300)) {
        char *copy = berth_strndup(from, (size_t)(at - from));
        if (!copy)
            return fail(json, "memory ran out");
        bool finite = isfinite(strtod(copy, NULL));
        berth_free(copy);
        if (!finite)
            return fail(json, "a number that is too large");
    }
    json->at = at;
    return true;
}

/* The digits [at, end), with their sign, as 64 bits. */
static bool read_integer(struct berth_json *json, const char *at, const char *end, int64_t *value)
{
    bool negative = *at == '-';
    int64_t sum = 0; /* below zero, where there is room for one more */
    for (at += negative; at < end; at++)
        if (__builtin_mul_overflow(sum, 10, &sum) || __builtin_sub_overflow(sum, *at - '0', &sum))
            return fail(json, "an integer beyond 64 bits");
    if (!negative && __builtin_sub_overflow(0, sum, &sum))
        return fail(json, "an integer beyond 64 bits");
    *value = sum;
    return true;
}

bool berth_json_integer(struct berth_json *json, int64_t *value)
{
    if (berth_json_peek(json) != '0')
        return false;
    char *from = json->at;
    bool whole;
    if (!pass_number(json, &whole))
        return false;
    if (whole)
        return read_integer(json, from, json->at, value);
    json->at = from;
    return false;
}

static bool pass_word(struct berth_json *json, const char *word)
{
    size_t size = strlen(word);
    if ((size_t)(json->end - json->at) < size || memcmp(json->at, word, size) != 0)
        return fail(json, "a word that is not true, false or null");
    json->at += size;
    return true;
}

bool berth_json_bool(struct berth_json *json, bool *value)
{
    char c = berth_json_peek(json);
    if (c != 't' && c != 'f')
        return false;
    *value = c == 't';
    return pass_word(json, *value ? "true" : "false");
}

bool berth_json_null(struct berth_json *json)
{
    return berth_json_peek(json) == 'n' && pass_word(json, "null");
}

/* One value that is no array and no object. */
static bool skip_scalar(struct berth_json *json)
{
    struct berth_slice text;
    bool whole;
    int64_t value;
    char *from;
    switch (berth_json_peek(json)) {
        case '"':
            return read_string(json, false, &text);
        case '0':
            from = json->at;
            return pass_number(json, &whole) && (!whole || read_integer(json, from, json->at, &value));
        case 't':
            return pass_word(json, "true");
        case 'f':
            return pass_word(json, "false");
        case 'n':
            return pass_word(json, "null");
        case 0:
            return fail(json, "the text ends early");
        default:
            return fail(json, "a value is missing");
    }
}

/* Whether the escapes of a name, which is only passed over, make a NUL. */
static bool escapes_nul(struct berth_slice name)
{
    for (size_t i = 0; i + 6 <= name.size; i++)
        if (name.bytes[i] == '\\') {
            if (memcmp(name.bytes + i, "\\u0000", 6) == 0)
                return true;
            i++;
        }
    return false;
}

/* To the next value within the brackets open above `depth`, leaving those that end; false: all have. */
static bool to_next_value(struct berth_json *json, size_t depth)
{
    while (json->depth > depth && !json->fault) {
        struct berth_slice name;
        if (!(json->objects >> (json->depth - 1) & 1)) {
            if (berth_json_item(json))
                return true;
            continue;
        }
        char *from = json->at;
        if (read_name(json, false, &name)) {
            name.size = (size_t)(json->at - name.bytes); /* as written, whatever its escapes make */
            return (size_t)(json->at - from) < 6 || !escapes_nul(name) || fail(json, "a name with a NUL in it");
        }
    }
    return false;
}

bool berth_json_skip(struct berth_json *json)
{
    size_t depth = json->depth;
    do {
        char c = berth_json_peek(json);
        if (c == '{' || c == '[')
            berth_json_open(json, c);
        else
            skip_scalar(json);
    } while (to_next_value(json, depth));
    return !json->fault;
}

bool berth_json_end(struct berth_json *json)
{
    if (json->fault)
        return false;
    skip_space(json);
    if (json->at != json->end)
        return fail(json, json->depth ? "the text goes on where it was not read" : "something stands behind the end");
    return true;
}

size_t berth_json_line(const struct berth_json *json)
{
    size_t line = 1;
    for (const char *at = json->start; at < json->at; at++)
        line += *at == '\n';
    return line;
}
