/* words.c: text to words. ASCII runs take a fast path; any other character goes through utf8proc's tables. */
#include "text/words.h"

#include <string.h>

#include "text/utf8.h"

void berth_word_rules_init(struct berth_word_rules *rules)
{
    for (unsigned c = 0; c < 256; c++) {
        unsigned char kind = BERTH_BYTE_OTHER;
        if (c < 0x80)
            switch (berth_char_class(c)) {
            case BERTH_CHAR_WORD:
                kind = BERTH_BYTE_WORD;
                break;
            case BERTH_CHAR_SPACE:
                kind = BERTH_BYTE_SPACE;
                break;
            case BERTH_CHAR_PUNCTUATION:
                kind = BERTH_BYTE_PUNCTUATION;
                break;
            default:
                break;
            }
        rules->ascii[c] = kind;
    }
    for (size_t i = 0; i < rules->protected_count; i++) {
        unsigned char first = (unsigned char)rules->protected_[i].text[0];
        rules->ascii[first] = BERTH_BYTE_MAYBE_PROTECTED;
        if (rules->protected_[i].any_case && first >= 'a' && first <= 'z')
            rules->ascii[first - 32] = BERTH_BYTE_MAYBE_PROTECTED;
        if (rules->protected_[i].any_case && first >= 'A' && first <= 'Z')
            rules->ascii[first + 32] = BERTH_BYTE_MAYBE_PROTECTED;
    }
}

void berth_words_begin(struct berth_words *words, const struct berth_word_rules *rules, const char *text, size_t size,
                       unsigned char *memory)
{
    *words = (struct berth_words){.rules = rules, .at = (const unsigned char *)text, .word = memory};
    words->end = words->at + size;
}

static unsigned char fold(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

static bool matches(const struct berth_protected *token, const unsigned char *at, size_t left)
{
    if (token->size > left)
        return false;
    if (!token->any_case)
        return memcmp(token->text, at, token->size) == 0;
    for (size_t i = 0; i < token->size; i++)
        if (fold((unsigned char)token->text[i]) != fold(at[i]))
            return false;
    return true;
}

/* The longest protected token that begins here, or NULL. */
static const struct berth_protected *find_protected(const struct berth_words *words)
{
    size_t left = (size_t)(words->end - words->at);
    for (size_t i = 0; i < words->rules->protected_count; i++)
        if (matches(&words->rules->protected_[i], words->at, left))
            return &words->rules->protected_[i];
    return NULL;
}

static void append(struct berth_words *words, uint32_t c)
{
    words->chars++;
    if (words->chars > words->rules->max_chars) {
        words->too_long = true;
        return;
    }
    unsigned char bytes[BERTH_WORD_CHAR_BYTES];
    size_t n = berth_utf8_write(bytes, c);
    unsigned combining = words->rules->strip_accents ? berth_char_combining(c) : 0;
    size_t to = words->size;
    if (combining == 0)
        words->run = words->size + n;
    else {
        /* Canonical order of NFD: a combining character moves before those of a higher class in its run. Runs are short:
         * nonspacing marks were dropped already, and a word ends at max_chars. */
        while (to > words->run) {
            size_t before = to - 1;
            while ((words->word[before] & 0xc0) == 0x80)
                before--;
            uint32_t previous;
            berth_utf8_read(words->word + before, words->word + to, &previous);
            if (berth_char_combining(previous) <= combining)
                break;
            to = before;
        }
        memmove(words->word + to + n, words->word + to, words->size - to);
    }
    memcpy(words->word + to, bytes, n);
    words->size += n;
}

/* Lower-cases, decomposes and strips one character of the input into words->pending. */
static void normalise(struct berth_words *words, uint32_t c)
{
    const struct berth_word_rules *rules = words->rules;
    uint32_t lower[BERTH_LOWER_MAX] = {c};
    size_t n = rules->lower ? berth_char_lower(c, lower) : 1;
    words->pending_count = words->pending_at = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t parts[BERTH_DECOMPOSED_MAX] = {lower[i]};
        size_t m = rules->strip_accents ? berth_char_decompose(lower[i], parts) : 1;
        for (size_t k = 0; k < m; k++)
            if (!rules->strip_accents || berth_char_class(parts[k]) != BERTH_CHAR_MARK)
                words->pending[words->pending_count++] = parts[k];
    }
}

/* Uses the pending characters: true when a word is complete (pending ones may be left for the next). */
static bool take_pending(struct berth_words *words)
{
    while (words->pending_at < words->pending_count) {
        uint32_t c = words->pending[words->pending_at];
        bool alone = berth_char_class(c) == BERTH_CHAR_PUNCTUATION;
        if (alone && words->chars > 0)
            return true;
        append(words, c);
        words->pending_at++;
        if (alone)
            return true;
    }
    bool ends = words->isolated && words->chars > 0;
    words->isolated = false;
    return ends;
}

/* Appends the run of plain ASCII letters and digits that begins here. */
static void take_ascii_run(struct berth_words *words)
{
    const unsigned char *ascii = words->rules->ascii, *from = words->at, *to = from + 1;
    while (to < words->end && ascii[*to] == BERTH_BYTE_WORD)
        to++;
    words->at = to;
    size_t n = (size_t)(to - from);
    size_t room = words->chars < words->rules->max_chars ? words->rules->max_chars - words->chars : 0;
    words->chars += n;
    if (n > room) {
        words->too_long = true;
        n = room;
    }
    unsigned char *out = words->word + words->size;
    if (words->rules->lower)
        for (size_t i = 0; i < n; i++) {
            unsigned char c = from[i];
            out[i] = (unsigned char)(c | (unsigned char)((unsigned char)(c - 'A') < 26) << 5);
        }
    else
        memcpy(out, from, n);
    words->size += n;
    words->run = words->size;
}

/* Looks at the next input character; true when the word at hand is complete. */
static bool take_input(struct berth_words *words)
{
    const struct berth_word_rules *rules = words->rules;
    unsigned char kind = rules->ascii[*words->at];
    if (kind == BERTH_BYTE_MAYBE_PROTECTED) {
        const struct berth_protected *token = find_protected(words);
        if (token) {
            if (words->chars > 0)
                return true;
            words->at += token->size;
            words->protected_id = token->id;
            return true;
        }
    }
    if (kind == BERTH_BYTE_WORD) {
        take_ascii_run(words);
        return false;
    }
    if (kind == BERTH_BYTE_SPACE) {
        words->at++;
        return words->chars > 0;
    }
    uint32_t c;
    size_t bytes = berth_utf8_read(words->at, words->end, &c);
    enum berth_char_class class = berth_char_class(c);
    bool isolated = class == BERTH_CHAR_IDEOGRAPH && rules->separate_ideographs;
    if ((isolated || class == BERTH_CHAR_PUNCTUATION) && words->chars > 0)
        return true; /* the word ends before it; it is looked at again */
    words->at += bytes;
    if (class == BERTH_CHAR_REMOVED)
        return false;
    if (class == BERTH_CHAR_SPACE)
        return words->chars > 0;
    normalise(words, c);
    words->isolated = isolated;
    return take_pending(words);
}

bool berth_words_next(struct berth_words *words)
{
    words->size = words->chars = words->run = 0;
    words->too_long = false;
    words->protected_id = -1;
    bool complete = take_pending(words);
    while (!complete && words->at < words->end)
        complete = take_input(words);
    memset(words->word + words->size, 0, BERTH_WORD_PAD);
    return complete || words->chars > 0;
}
