/* words.c: text to words. Runs of ASCII letters take a fast path; other characters go by their properties.
 * The order of the reference's steps (lower-case all, cut at protected strings, clean, split at spaces,
 * strip, split at punctuation) is kept in effect, character by character. */
#include "text/words.h"

#include <string.h>

#include "text/utf8.h"

static unsigned char ascii_lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c + 32) : c;
}

/* A byte may begin a protected string when the string begins with it, or with the lower case of a character
 * that begins with it. Beyond ASCII any lower case is thought possible: it is not worth telling apart. */
static bool may_begin_protected(const struct berth_word_rules *rules, unsigned char byte)
{
    const struct berth_trie *trie = rules->protected_;
    if (berth_trie_child(trie, BERTH_PROTECTED_ANYWHERE, byte) != 0)
        return true;
    if (!rules->lower || byte < 0x80)
        return rules->lower && berth_trie_child(trie, BERTH_PROTECTED_ANYWHERE, ascii_lower(byte)) != 0;
    for (unsigned first = 'a'; first < 256; first++)
        if ((first <= 'z' || first >= 0x80) &&
            berth_trie_child(trie, BERTH_PROTECTED_ANYWHERE, (unsigned char)first) != 0)
            return true;
    return false;
}

void berth_word_rules_init(struct berth_word_rules *rules)
{
    for (unsigned c = 0; c < 256; c++) {
        const unsigned class = c < 0x80 ? berth_char_properties(c) & BERTH_CHAR_CLASS : BERTH_CHAR_REMOVED;
        unsigned char kind = class == BERTH_CHAR_WORD    ? BERTH_BYTE_WORD
                             : class == BERTH_CHAR_SPACE ? BERTH_BYTE_SPACE
                                                         : BERTH_BYTE_OTHER;
        if (rules->protected_ && may_begin_protected(rules, (unsigned char)c))
            kind = BERTH_BYTE_MAYBE_PROTECTED;
        rules->kind[c] = kind;
        rules->letter[c] = kind != BERTH_BYTE_WORD ? 0
                           : rules->lower          ? ascii_lower((unsigned char)c)
                                                   : (unsigned char)c;
    }
}

void berth_words_begin(struct berth_words *words, const struct berth_word_rules *rules, const char *text,
                       size_t size, unsigned char *memory)
{
    *words = (struct berth_words){
        .rules = rules, .at = (const unsigned char *)text, .word = memory, .chunk_start = true};
    words->end = words->at + size;
}

/* --- building a word ------------------------------------------------------------------------- */

/* Where a combining character belongs in canonical order (NFD): before those of a higher class in the run of
 * combining characters that ends the word. Runs are short, for a word ends at max_chars. */
static size_t find_place(const struct berth_words *words, uint32_t c)
{
    const unsigned combining = berth_char_combining(c);
    size_t place = words->size;
    while (place > words->run) {
        size_t before = place - 1;
        while ((words->word[before] & 0xc0) == 0x80)
            before--;
        uint32_t previous;
        berth_utf8_read(words->word + before, words->word + place, &previous);
        if (berth_char_combining(previous) <= combining)
            break;
        place = before;
    }
    return place;
}

static void append(struct berth_words *words, uint32_t c, unsigned properties)
{
    words->chars++;
    if (words->chars > words->rules->max_chars) {
        words->too_long = true;
        return;
    }
    unsigned char bytes[4], *word = words->word;
    const size_t n = berth_utf8_write(bytes, c);
    size_t place = words->size;
    if (words->rules->strip_accents && properties & BERTH_CHAR_COMBINES) {
        place = find_place(words, c);
        memmove(word + place + n, word + place, words->size - place);
    } else
        words->run = words->size + n;
    memcpy(word + place, bytes, n);
    words->size += n;
}

/* What a character becomes: lower-cased, decomposed, nonspacing marks dropped. Returns how many. */
static size_t normalise(const struct berth_word_rules *rules, uint32_t c, uint32_t out[BERTH_NORMALISED_MAX])
{
    uint32_t lower[BERTH_LOWER_MAX] = {c};
    const size_t n = rules->lower ? berth_char_lower(c, lower) : 1;
    size_t count = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t parts[BERTH_DECOMPOSED_MAX] = {lower[i]};
        const size_t m = rules->strip_accents ? berth_char_decompose(lower[i], parts) : 1;
        for (size_t k = 0; k < m; k++)
            if (!rules->strip_accents ||
                (berth_char_properties(parts[k]) & BERTH_CHAR_CLASS) != BERTH_CHAR_MARK)
                out[count++] = parts[k];
    }
    return count;
}

/* Uses the pending characters: true when a word is complete (some may be left for the next). */
static bool take_pending(struct berth_words *words)
{
    while (words->pending_at < words->pending_count) {
        const uint32_t c = words->pending[words->pending_at];
        const unsigned properties = berth_char_properties(c);
        const bool alone = (properties & BERTH_CHAR_CLASS) == BERTH_CHAR_PUNCTUATION;
        if (alone && words->chars > 0)
            return true;
        append(words, c, properties);
        words->pending_at++;
        if (alone)
            return true;
    }
    return false;
}

/* Appends the run of ASCII letters and digits that begins here. */
static void take_letters(struct berth_words *words)
{
    const unsigned char *letter = words->rules->letter, *at = words->at, *end = words->end;
    const size_t room = words->rules->max_chars - (words->too_long ? words->rules->max_chars : words->chars);
    const unsigned char *stop = (size_t)(end - at) < room ? end : at + room;
    unsigned char *out = words->word + words->size;
    while (at < stop && letter[*at] != 0)
        *out++ = letter[*at++];
    words->size = words->run = (size_t)(out - words->word);
    if (at == stop && at < end && letter[*at] != 0) {
        words->too_long = true;
        while (at < end && letter[*at] != 0)
            at++;
    }
    words->chars += (size_t)(at - words->at);
    words->at = at;
}

/* --- protected strings ----------------------------------------------------------------------- */

/* One step for each byte of a character; 0 when no string goes on like this. */
static uint32_t walk(const struct berth_trie *trie, uint32_t node, uint32_t c)
{
    unsigned char bytes[4];
    const size_t n = berth_utf8_write(bytes, c);
    for (size_t i = 0; i < n; i++)
        if ((node = berth_trie_child(trie, node, bytes[i])) == 0)
            return 0;
    return node;
}

/* The longest protected string that the lower case of at[0 .. end) begins with. */
static int32_t find_lowered(const struct berth_trie *trie, const unsigned char *at, const unsigned char *end,
                            size_t *taken)
{
    const unsigned char *start = at;
    uint32_t node = BERTH_PROTECTED_ANYWHERE;
    int32_t best = -1;
    while (at < end) {
        uint32_t c, lower[BERTH_LOWER_MAX];
        at += berth_utf8_read(at, end, &c);
        const size_t n = berth_char_lower(c, lower);
        for (size_t i = 0; i < n; i++)
            if ((node = walk(trie, node, lower[i])) == 0)
                return best;
        if (trie->values[node] >= 0) {
            best = trie->values[node];
            *taken = (size_t)(at - start);
        }
    }
    return best;
}

/* Id of the longest protected string at[0 .. end) begins with, as it stands or in lower case; -1: none. */
static int32_t find_protected(const struct berth_word_rules *rules, const unsigned char *at,
                              const unsigned char *end, size_t *taken)
{
    size_t lower_taken = 0;
    *taken = 0;
    const int32_t id =
        berth_trie_longest(rules->protected_, BERTH_PROTECTED_ANYWHERE, at, (size_t)(end - at), taken);
    const int32_t lower_id = rules->lower ? find_lowered(rules->protected_, at, end, &lower_taken) : -1;
    if (lower_taken <= *taken)
        return id;
    *taken = lower_taken;
    return lower_id;
}

/* True where text between two spaces ends: a space, an ideograph or a protected string is next. */
static bool chunk_ends(const struct berth_words *words, const unsigned char *at, unsigned class)
{
    const struct berth_word_rules *rules = words->rules;
    size_t taken;
    return class == BERTH_CHAR_SPACE || (class == BERTH_CHAR_IDEOGRAPH && rules->separate_ideographs) ||
           (rules->kind[*at] == BERTH_BYTE_MAYBE_PROTECTED &&
            find_protected(rules, at, words->end, &taken) >= 0);
}

/* Text between two spaces that becomes a special token by cleaning (there is a control character inside it,
 * or an accent on it) is one word with that text: then true. */
static bool take_whole(struct berth_words *words)
{
    const struct berth_trie *trie = words->rules->protected_;
    const unsigned char *at = words->at;
    uint32_t node = BERTH_PROTECTED_WHOLE;
    bool goes_on = true;
    while (goes_on && at < words->end) {
        uint32_t c, parts[BERTH_NORMALISED_MAX];
        const size_t bytes = berth_utf8_read(at, words->end, &c);
        const unsigned class = berth_char_properties(c) & BERTH_CHAR_CLASS;
        if (chunk_ends(words, at, class))
            break;
        at += bytes;
        const size_t n = class == BERTH_CHAR_REMOVED ? 0 : normalise(words->rules, c, parts);
        for (size_t i = 0; i < n && goes_on; i++) {
            append(words, parts[i], berth_char_properties(parts[i]));
            node = walk(trie, node, parts[i]);
            goes_on = node != 0;
        }
        /* What is dropped begins no word: to skip runs of it here, at each place, would cost their square. */
        if (words->chars == 0)
            return false;
    }
    if (goes_on && trie->values[node] >= 0) {
        words->at = at;
        return true;
    }
    words->size = words->chars = words->run = 0;
    words->too_long = false;
    return false;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Takes the protected string here, if there is one; true when the word at hand is complete. */
static bool take_protected(struct berth_words *words)
{
    size_t taken;
    const int32_t id = find_protected(words->rules, words->at, words->end, &taken);
    if (id < 0)
        return words->chunk_start && take_whole(words);
    if (words->chars > 0)
        return true; /* it is found again for the next word */
    words->at += taken;
    words->protected_id = id;
    words->chunk_start = true;
    return true;
}

/* Reads a character that no fast path takes; true when the word at hand is complete. */
static bool take_character(struct berth_words *words)
{
    const struct berth_word_rules *rules = words->rules;
    uint32_t c;
    const size_t bytes = berth_utf8_read(words->at, words->end, &c);
    const unsigned properties = berth_char_properties(c);
    unsigned class = properties & BERTH_CHAR_CLASS;
    if (class == BERTH_CHAR_IDEOGRAPH && !rules->separate_ideographs)
        class = BERTH_CHAR_WORD;
    if ((class == BERTH_CHAR_IDEOGRAPH || class == BERTH_CHAR_PUNCTUATION) && words->chars > 0)
        return true; /* the word ends before it; it is looked at again */
    words->at += bytes;
    if (class == BERTH_CHAR_REMOVED)
        return false;
    if (class == BERTH_CHAR_MARK && rules->strip_accents)
        return false;
    words->chunk_start = class == BERTH_CHAR_SPACE || class == BERTH_CHAR_IDEOGRAPH;
    if (class == BERTH_CHAR_SPACE)
        return words->chars > 0;
    if ((rules->lower && properties & BERTH_CHAR_LOWERS) ||
        (rules->strip_accents && properties & BERTH_CHAR_DECOMPOSES)) {
        words->pending_at = 0;
        words->pending_count = normalise(rules, c, words->pending);
        return take_pending(words) || class == BERTH_CHAR_IDEOGRAPH;
    }
    append(words, c, properties);
    return class != BERTH_CHAR_WORD && class != BERTH_CHAR_MARK;
}

/* Looks at the next of the input; true when the word at hand is complete. */
static bool take_input(struct berth_words *words)
{
    switch (words->rules->kind[*words->at]) {
        case BERTH_BYTE_WORD:
            take_letters(words);
            words->chunk_start = false;
            return false;
        case BERTH_BYTE_SPACE:
            words->at++;
            words->chunk_start = true;
            return words->chars > 0;
        case BERTH_BYTE_MAYBE_PROTECTED:
            return take_protected(words) || take_character(words);
        default:
            return take_character(words);
    }
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
