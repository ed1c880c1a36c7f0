/* test_tokenizer.c: words, tokens and ids equal those of Hugging Face's tokenizers, on every reference line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "support/golden.h"
#include "text/tokenizer_internal.h"
#include "text/utf8.h"

static enum berth_choice choice(const json_t *options, const char *key)
{
    const json_t *value = json_object_get(options, key);
    return !json_is_boolean(value) ? BERTH_CHOICE_UNSET
           : json_is_true(value)   ? BERTH_CHOICE_YES
                                   : BERTH_CHOICE_NO;
}

static struct berth_tokenizer *open_vocab(const char *path, const json_t *options)
{
    struct berth_tokenizer_options wanted = {
        choice(options, "do_lower_case"), choice(options, "strip_accents"),
        choice(options, "tokenize_chinese_chars"), BERTH_CHOICE_UNSET, 0};
    struct berth_tokenizer *tokenizer;
    struct berth_error err;
    if (berth_tokenizer_open_vocab(path, &wanted, &tokenizer, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

/* One tokenizer for each distinct set of options, kept for all lines. */
struct cache {
    size_t count;
    struct {
        char key[256];
        struct berth_tokenizer *tokenizer;
    } entries[64];
    size_t alternatives; /* lines where the other accepted answer was given */
    size_t wrong;
    bool shift; /* negative control: an id off by one must be noticed */
};

static struct berth_tokenizer *cached(struct cache *cache, const char *path, const json_t *options)
{
    char key[256];
    snprintf(key, sizeof key, "%s %d %d %d", path + (strlen(path) > 150 ? strlen(path) - 150 : 0),
             choice(options, "do_lower_case"), choice(options, "strip_accents"),
             choice(options, "tokenize_chinese_chars"));
    for (size_t i = 0; i < cache->count; i++)
        if (strcmp(cache->entries[i].key, key) == 0)
            return cache->entries[i].tokenizer;
    assert_true(cache->count < 64);
    memcpy(cache->entries[cache->count].key, key, sizeof key);
    return cache->entries[cache->count++].tokenizer = open_vocab(path, options);
}

static void clear_cache(struct cache *cache)
{
    for (size_t i = 0; i < cache->count; i++)
        berth_tokenizer_free(cache->entries[i].tokenizer);
}

/* True when the encoding, padded as the line's mask says, has these ids and types. */
static bool same_ids(const struct berth_encoding *encoding, const json_t *ids, const json_t *type_ids,
                     int32_t pad, int shift)
{
    size_t n = json_array_size(ids);
    if (encoding->size > n)
        return false;
    for (size_t i = 0; i < n; i++) {
        int32_t id = i < encoding->size ? encoding->ids[i] + shift : pad;
        int32_t type = i < encoding->size ? encoding->type_ids[i] : 0;
        if (json_integer_value(json_array_get(ids, i)) != id)
            return false;
        if (type_ids && json_integer_value(json_array_get(type_ids, i)) != type)
            return false;
    }
    return true;
}

static void check_line(const json_t *line, void *context)
{
    struct cache *cache = context;
    const json_t *options = json_object_get(line, "options");
    const char *vocab = strcmp(json_string_value(json_object_get(options, "vocab")), "cased") == 0
                            ? golden_path("golden/tokenizer/small-cased-vocab.txt")
                            : golden_path("golden/tokenizer/bert-base-uncased-vocab.txt");
    struct berth_tokenizer *tokenizer = cached(cache, vocab, options);
    size_t text_size, pair_size;
    const char *text = golden_string(line, "text", &text_size),
               *pair = golden_string(line, "pair", &pair_size);
    size_t max_length = (size_t)json_integer_value(json_object_get(options, "max_length"));
    struct berth_encoding encoding = {0};
    struct berth_error err;
    if (berth_tokenizer_encode(tokenizer, text, text_size, pair, pair_size, max_length, &encoding, &err) !=
        BERTH_OK)
        fail_msg("%s", err.message);
    int32_t pad = berth_tokenizer_special(tokenizer, BERTH_SPECIAL_PAD);
    const json_t *ids = json_object_get(line, "ids");
    bool same = same_ids(&encoding, ids, json_object_get(line, "type_ids"), pad, cache->shift);
    size_t mask = 0;
    for (size_t i = 0; i < json_array_size(json_object_get(line, "attention_mask")); i++)
        mask += (size_t)json_integer_value(json_array_get(json_object_get(line, "attention_mask"), i));
    same = same && mask == encoding.size;
    static const char *const others[] = {"hf_fast", "hf_slow_4_31_0"};
    for (size_t i = 0; i < 2 && !same; i++) {
        const json_t *other = json_object_get(line, others[i]);
        same = other && same_ids(&encoding, json_object_get(other, "ids"), json_object_get(other, "type_ids"),
                                 pad, cache->shift);
        cache->alternatives += same;
    }
    if (!same && !cache->shift) {
        char *dump = json_dumps(line, JSON_COMPACT);
        printf("wrong: %.1500s\n got:", dump);
        for (size_t i = 0; i < encoding.size; i++)
            printf(" %s", berth_tokenizer_token(tokenizer, encoding.ids[i]));
        printf("\n");
        free(dump);
    }
    cache->wrong += !same;
    berth_encoding_clear(&encoding);
}

static void check_file(const char *name, size_t at_least)
{
    struct cache cache = {0};
    size_t lines = golden_json_lines(golden_path(name), check_line, &cache);
    printf("%s: %zu lines, %zu as the other accepted answer, %zu wrong\n", name, lines, cache.alternatives,
           cache.wrong);
    assert_true(lines >= at_least);
    assert_int_equal(cache.wrong, 0);
    clear_cache(&cache);
}

static void encode_single_texts_gives_the_reference_ids(void **state)
{
    (void)state;
    check_file("golden/tokenizer/single.jsonl", 100);
}

static void encode_pairs_gives_the_reference_ids(void **state)
{
    (void)state;
    check_file("golden/tokenizer/pairs.jsonl", 100);
}

static void the_check_rejects_ids_off_by_one(void **state)
{
    (void)state;
    struct cache cache = {.shift = true};
    size_t lines = golden_json_lines(golden_path("golden/tokenizer/single.jsonl"), check_line, &cache);
    assert_int_equal(cache.wrong, lines);
    clear_cache(&cache);
}

/* --- words alone
 * ------------------------------------------------------------------------------------------------------- */

enum { WORD_CHARS = 10000 }; /* no word of the reference is longer */
static unsigned char word_memory[WORD_CHARS * 4 + BERTH_WORD_PAD];

static struct berth_word_rules rules_of(const json_t *options)
{
    bool lower = choice(options, "do_lower_case") != BERTH_CHOICE_NO;
    enum berth_choice strip = choice(options, "strip_accents");
    struct berth_word_rules rules = {
        .lower = lower,
        .strip_accents = strip == BERTH_CHOICE_UNSET ? lower : strip == BERTH_CHOICE_YES,
        .separate_ideographs = choice(options, "tokenize_chinese_chars") != BERTH_CHOICE_NO,
        .max_chars = WORD_CHARS,
    };
    berth_word_rules_init(&rules);
    return rules;
}

/* The basic tokenizer alone lower-cases a word at a time, with Greek's final sigma; the whole tokenizer,
 * which is what berth is, a character at a time (it gives the same ids on every line of single.jsonl). So a
 * final sigma in the reference counts as a sigma. */
static bool same_word(const json_t *want, const struct berth_words *got)
{
    static const char final_sigma[] = "\xcf\x82", sigma[] = "\xcf\x83";
    size_t size = json_string_length(want);
    if (!want || size != got->size)
        return false;
    const char *a = json_string_value(want), *b = (const char *)got->word;
    for (size_t i = 0; i < size; i++)
        if (a[i] != b[i] &&
            !(i > 0 && memcmp(a + i - 1, final_sigma, 2) == 0 && memcmp(b + i - 1, sigma, 2) == 0))
            return false;
    return true;
}

static void check_words(const json_t *line, void *context)
{
    struct berth_word_rules rules = rules_of(json_object_get(line, "options"));
    const json_t *want = json_object_get(line, "basic_tokens");
    size_t size;
    const char *text = golden_string(line, "text", &size);
    struct berth_words words;
    berth_words_begin(&words, &rules, text, size, word_memory);
    size_t n = 0;
    bool same = true;
    for (; berth_words_next(&words); n++)
        same = same && same_word(json_array_get(want, n), &words);
    same = same && n == json_array_size(want);
    size_t *wrong = context;
    if (!same) {
        char *dump = json_dumps(line, JSON_COMPACT);
        printf("wrong: %.600s\n", dump);
        free(dump);
        ++*wrong;
    }
}

static void words_are_those_of_the_basic_tokenizer(void **state)
{
    (void)state;
    size_t wrong = 0;
    size_t lines = golden_json_lines(golden_path("golden/tokenizer/basic.jsonl"), check_words, &wrong);
    printf("basic.jsonl: %zu lines, %zu wrong\n", lines, wrong);
    assert_true(lines >= 100);
    assert_int_equal(wrong, 0);
}

/* --- every code point
 * --------------------------------------------------------------------------------------------------- */

enum fate { UNKNOWN, REMOVED, SPACE, SPLIT, KEPT };
enum { CODE_POINTS = 0x110000 };

static void mark(unsigned char *fates, const json_t *ranges, enum fate fate)
{
    size_t i;
    const json_t *range;
    json_array_foreach(ranges, i, range)
    {
        unsigned long first = strtoul(json_string_value(json_array_get(range, 0)), NULL, 16);
        unsigned long last = strtoul(json_string_value(json_array_get(range, 1)), NULL, 16);
        for (unsigned long c = first; c <= last; c++)
            fates[c] = (unsigned char)fate;
    }
}

/* The words of 'a' c 'b', each followed by a bar. */
static void words_around(uint32_t c, const struct berth_word_rules *rules, char *joined, size_t size)
{
    unsigned char text[8] = {'a'};
    size_t n = 1 + berth_utf8_write(text + 1, c);
    text[n++] = 'b';
    struct berth_words words;
    berth_words_begin(&words, rules, (const char *)text, n, word_memory);
    size_t used = 0;
    joined[0] = 0;
    while (berth_words_next(&words) && used < size)
        used += (size_t)snprintf(joined + used, size - used, "%.*s|", (int)words.size, (char *)words.word);
}

static void want_of(uint32_t c, enum fate fate, char *want, size_t size)
{
    unsigned char bytes[8] = {0};
    berth_utf8_write(bytes, c);
    switch (fate) {
        case REMOVED:
            snprintf(want, size, "ab|");
            break;
        case SPACE:
            snprintf(want, size, "a|b|");
            break;
        case SPLIT:
            snprintf(want, size, "a|%s|b|", (char *)bytes);
            break;
        default:
            snprintf(want, size, "a%sb|", (char *)bytes);
    }
}

static void every_code_point_has_its_fate(void **state)
{
    (void)state;
    json_t *root = golden_json(golden_path("golden/tokenizer/codepoints.json"));
    const char *mode, *hex;
    json_t *entry, *tokens;
    unsigned char *fates = malloc(CODE_POINTS);
    size_t modes = 0, checked = 0, wrong = 0;
    char got[128], want[128];
    json_object_foreach(json_object_get(root, "modes"), mode, entry)
    {
        memset(fates, UNKNOWN, CODE_POINTS);
        mark(fates, json_object_get(entry, "removed"), REMOVED);
        mark(fates, json_object_get(entry, "space"), SPACE);
        mark(fates, json_object_get(entry, "split"), SPLIT);
        mark(fates, json_object_get(entry, "keep"), KEPT);
        struct berth_word_rules rules = rules_of(json_object_get(entry, "options"));
        for (uint32_t c = 0; c < CODE_POINTS; c++) {
            if (fates[c] == UNKNOWN || (c >= 0xd800 && c <= 0xdfff))
                continue;
            words_around(c, &rules, got, sizeof got);
            want_of(c, (enum fate)fates[c], want, sizeof want);
            checked++;
            if (strcmp(got, want) != 0 && wrong++ < 20)
                printf("%s: U+%04X: want %s, got %s\n", mode, c, want, got);
        }
        json_object_foreach(json_object_get(entry, "other"), hex, tokens)
        {
            uint32_t c = (uint32_t)strtoul(hex, NULL, 16);
            size_t i, used = 0;
            json_t *token;
            want[0] = 0;
            json_array_foreach(tokens, i, token) used +=
                (size_t)snprintf(want + used, sizeof want - used, "%s|", json_string_value(token));
            words_around(c, &rules, got, sizeof got);
            checked++;
            if (strcmp(got, want) != 0 && wrong++ < 20)
                printf("%s: U+%04X: want %s, got %s\n", mode, c, want, got);
        }
        modes++;
    }
    printf("codepoints.json: %zu modes, %zu checked, %zu wrong\n", modes, checked, wrong);
    assert_true(modes >= 3 && checked > 300000);
    assert_int_equal(wrong, 0);
    free(fates);
    json_decref(root);
}

/* --- real files
 * ------------------------------------------------------------------------------------------------------------
 */

struct ids_file {
    struct berth_tokenizer *tokenizer;
    size_t wrong;
};

static void check_ids(const json_t *line, void *context)
{
    struct ids_file *file = context;
    size_t text_size, pair_size;
    const char *text = golden_string(line, "text", &text_size),
               *pair = golden_string(line, "text_pair", &pair_size);
    struct berth_encoding encoding = {0};
    assert_int_equal(
        berth_tokenizer_encode(file->tokenizer, text, text_size, pair, pair_size, 0, &encoding, NULL),
        BERTH_OK);
    bool same = same_ids(&encoding, json_object_get(line, "ids"), NULL, -1, 0) &&
                encoding.size == json_array_size(json_object_get(line, "ids"));
    file->wrong += !same;
    berth_encoding_clear(&encoding);
}

static void real_sentences_and_pairs_have_the_rust_tokenizers_ids(void **state)
{
    (void)state;
    static const char *const vocabs[] = {"data/vocab/bert-base-uncased-vocab.txt",
                                         "data/vocab/bert-base-uncased-tokenizer.json"};
    static const char *const files[] = {"data/tokenizer/sst2_dev_ids.jsonl",
                                        "data/tokenizer/mrpc_dev_pair_ids.jsonl"};
    for (size_t v = 0; v < 2; v++)
        for (size_t f = 0; f < 2; f++) {
            struct ids_file file = {open_vocab(golden_path(vocabs[v]), NULL), 0};
            size_t lines = golden_json_lines(golden_path(files[f]), check_ids, &file);
            assert_true(lines > 400);
            assert_int_equal(file.wrong, 0);
            berth_tokenizer_free(file.tokenizer);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encode_single_texts_gives_the_reference_ids),
        cmocka_unit_test(encode_pairs_gives_the_reference_ids),
        cmocka_unit_test(the_check_rejects_ids_off_by_one),
        cmocka_unit_test(words_are_those_of_the_basic_tokenizer),
        cmocka_unit_test(every_code_point_has_its_fate),
        cmocka_unit_test(real_sentences_and_pairs_have_the_rust_tokenizers_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
