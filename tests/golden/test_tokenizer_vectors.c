/* test_tokenizer_vectors.c: published vectors of other projects, whole data sets by their digest, and the
 * tokenizer of each reference model, opened as a directory in both of its forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/file.h"
#include "support/golden.h"
#include "text/tokenizer_internal.h"

enum { TEXT_LIMIT = 64 << 20 };

static enum berth_choice choice(const json_t *options, const char *key)
{
    const json_t *value = json_object_get(options, key);
    return !json_is_boolean(value) ? BERTH_CHOICE_UNSET
           : json_is_true(value)   ? BERTH_CHOICE_YES
                                   : BERTH_CHOICE_NO;
}

static const char *vocab_path(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "data/vocab/%s-vocab.txt", name);
    return golden_path(path);
}

static bool same_ids(const struct berth_encoding *encoding, const json_t *ids)
{
    if (encoding->size != json_array_size(ids))
        return false;
    for (size_t i = 0; i < encoding->size; i++)
        if (json_integer_value(json_array_get(ids, i)) != encoding->ids[i])
            return false;
    return true;
}

static bool same_type_ids(const struct berth_encoding *encoding, const json_t *type_ids)
{
    for (size_t i = 0; i < encoding->size; i++)
        if (json_integer_value(json_array_get(type_ids, i)) != encoding->type_ids[i])
            return false;
    return true;
}

/* Tokens as the lines have them: without those around the text. */
static bool same_tokens(const struct berth_tokenizer *tokenizer, const struct berth_encoding *encoding,
                        bool framed, const json_t *tokens)
{
    const size_t start = framed ? 1 : 0;
    if (encoding->size != json_array_size(tokens) + 2 * start)
        return false;
    for (size_t i = 0; i < json_array_size(tokens); i++)
        if (strcmp(berth_tokenizer_token(tokenizer, encoding->ids[start + i]),
                   json_string_value(json_array_get(tokens, i))) != 0)
            return false;
    return true;
}

/* --- vectors of other projects ---------------------------------------------------------------- */

/* A vocabulary given as a list; what it lacks of [CLS] and [SEP] is put behind, where it changes no id. */
static struct berth_tokenizer *open_list(const json_t *list, const struct berth_tokenizer_options *options)
{
    struct berth_buffer text;
    berth_buffer_init(&text, 1 << 20);
    size_t i;
    const json_t *token;
    json_array_foreach(list, i, token)
        assert_true(berth_buffer_format(&text, "%s\n", json_string_value(token)));
    static const char *const needed[] = {"[CLS]", "[SEP]"};
    for (i = 0; i < 2; i++)
        if (!strstr(text.data, needed[i]))
            assert_true(berth_buffer_format(&text, "%s\n", needed[i]));
    struct berth_tokenizer *tokenizer;
    assert_int_equal(berth_tokenizer_from_memory("list", text.data, text.size, options, &tokenizer, NULL),
                     BERTH_OK);
    berth_buffer_clear(&text);
    return tokenizer;
}

static void check_vector(const json_t *line, void *context)
{
    size_t *decoded = context;
    const json_t *list = json_object_get(line, "vocab_list");
    const struct berth_tokenizer_options options = {choice(line, "lowercase"), choice(line, "strip_accents"),
                                                    BERTH_CHOICE_UNSET, choice(line, "add_special_tokens"),
                                                    0};
    struct berth_tokenizer *tokenizer;
    if (list)
        tokenizer = open_list(list, &options);
    else
        assert_int_equal(
            berth_tokenizer_open_vocab(vocab_path(json_string_value(json_object_get(line, "vocab"))),
                                       &options, &tokenizer, NULL),
            BERTH_OK);
    size_t text_size, pair_size;
    const char *text = golden_string(line, "text", &text_size),
               *pair = golden_string(line, "text_pair", &pair_size);
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_tokenizer_encode(tokenizer, text, text_size, pair, pair_size, 0, &encoding, NULL),
                     BERTH_OK);
    const json_t *ids = json_object_get(line, "ids"), *type_ids = json_object_get(line, "type_ids");
    const json_t *tokens = json_object_get(line, "tokens"), *want = json_object_get(line, "decoded");
    bool same = (!ids || same_ids(&encoding, ids)) && (!type_ids || same_type_ids(&encoding, type_ids));
    same =
        same && (!tokens || pair ||
                 same_tokens(tokenizer, &encoding, options.add_special_tokens == BERTH_CHOICE_YES, tokens));
    if (same && want) {
        char *got;
        assert_int_equal(
            berth_tokenizer_decode(tokenizer, encoding.ids, encoding.size, false, true, &got, NULL),
            BERTH_OK);
        same = strcmp(got, json_string_value(want)) == 0;
        if (!same)
            printf("decoded: %s\nwant:    %s\n", got, json_string_value(want));
        berth_free(got);
        ++*decoded;
    }
    if (!same)
        fail_msg("%s", json_string_value(json_object_get(line, "id")));
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

static void published_vectors_are_met(void **state)
{
    (void)state;
    size_t decoded = 0;
    const size_t lines =
        golden_json_lines(golden_path("data/tokenizer/wordpiece_vectors.jsonl"), check_vector, &decoded);
    assert_true(lines > 100 && decoded > 90);
}

static void check_basic_vector(const json_t *line, void *context)
{
    (void)context;
    const bool lower = choice(line, "lowercase") != BERTH_CHOICE_NO;
    const enum berth_choice strip = choice(line, "strip_accents");
    struct berth_word_rules rules = {
        .lower = lower,
        .strip_accents = strip == BERTH_CHOICE_UNSET ? lower : strip == BERTH_CHOICE_YES,
        .separate_ideographs = true,
        .max_chars = BERTH_WORD_CHARS_MAX};
    berth_word_rules_init(&rules);
    static unsigned char memory[BERTH_WORD_MEMORY];
    size_t size, n = 0;
    const char *text = golden_string(line, "text", &size);
    struct berth_words words;
    berth_words_begin(&words, &rules, text, size, memory);
    for (; berth_words_next(&words); n++)
        assert_string_equal((char *)words.word,
                            json_string_value(json_array_get(json_object_get(line, "words"), n)));
    assert_int_equal(n, json_array_size(json_object_get(line, "words")));
}

static void published_words_are_met(void **state)
{
    (void)state;
    assert_true(golden_json_lines(golden_path("data/tokenizer/basic_tokenizer_vectors.jsonl"),
                                  check_basic_vector, NULL) > 5);
}

/* The first row of a batch that is not as in the reference, padding left out; -1: none. */
static int wrong_row(const struct berth_tokenizer *tokenizer, const json_t *line, size_t max_length)
{
    int wrong = -1;
    struct berth_encoding encoding = {0};
    const json_t *texts = json_object_get(line, "texts"), *pairs = json_object_get(line, "pairs");
    for (size_t row = 0; row < json_array_size(texts); row++) {
        const char *text = json_string_value(json_array_get(texts, row));
        const char *pair = json_string_value(json_array_get(pairs, row));
        assert_int_equal(berth_tokenizer_encode(tokenizer, text, strlen(text), pair, pair ? strlen(pair) : 0,
                                                max_length, &encoding, NULL),
                         BERTH_OK);
        const json_t *ids = json_array_get(json_object_get(line, "input_ids"), row);
        const json_t *mask = json_array_get(json_object_get(line, "attention_mask"), row);
        const json_t *types = json_array_get(json_object_get(line, "token_type_ids"), row);
        size_t used = 0;
        for (size_t i = 0; i < json_array_size(mask); i++)
            used += (size_t)json_integer_value(json_array_get(mask, i));
        bool same = used == encoding.size && same_type_ids(&encoding, types);
        for (size_t i = 0; i < used && same; i++)
            same = json_integer_value(json_array_get(ids, i)) == encoding.ids[i];
        if (!same)
            wrong = (int)row;
    }
    berth_encoding_clear(&encoding);
    return wrong;
}

static void check_batch(const json_t *line, void *context)
{
    (void)context;
    const json_t *options = json_object_get(line, "options"), *limit = json_object_get(options, "max_length");
    const json_t *padding = json_object_get(options, "padding"),
                 *truncation = json_object_get(options, "truncation");
    /* There, a limit without a word on truncation cuts when nothing pads, and is the padded length otherwise.
     */
    const bool cuts = truncation ? json_is_true(truncation) : !padding || json_is_false(padding);
    const struct berth_tokenizer_options wanted = {BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET,
                                                   choice(options, "add_special_tokens"), 0};
    struct berth_tokenizer *tokenizer;
    assert_int_equal(berth_tokenizer_open_vocab(vocab_path("bert-base-uncased"), &wanted, &tokenizer, NULL),
                     BERTH_OK);
    if (wrong_row(tokenizer, line, cuts ? (size_t)json_integer_value(limit) : 0) >= 0)
        fail_msg("%s", json_string_value(json_object_get(line, "name")));
    berth_tokenizer_free(tokenizer);
}

static void published_batches_are_met(void **state)
{
    (void)state;
    assert_true(
        golden_json_lines(golden_path("data/tokenizer/batch_encode_vectors.jsonl"), check_batch, NULL) > 10);
}

static void check_count(const json_t *line, void *context)
{
    const struct berth_tokenizer *tokenizer = context;
    size_t size;
    const char *text = golden_string(line, "text", &size);
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_tokenizer_encode(tokenizer, text, size, NULL, 0, 0, &encoding, NULL), BERTH_OK);
    assert_int_equal(encoding.size, json_integer_value(json_object_get(line, "tokens_with_cls_sep")));
    berth_encoding_clear(&encoding);
}

static void published_token_counts_are_met(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer;
    assert_int_equal(berth_tokenizer_open_vocab(vocab_path("bert-base-uncased"), NULL, &tokenizer, NULL),
                     BERTH_OK);
    assert_true(golden_json_lines(golden_path("data/tokenizer/sst2_token_counts.jsonl"), check_count,
                                  tokenizer) > 10);
    berth_tokenizer_free(tokenizer);
}

/* --- a whole data set ------------------------------------------------------------------------- */

struct totals {
    size_t examples, tokens, longest;
};

/* Writes the ids of the first column of a TSV to a stream, 4 bytes each. */
static struct totals write_ids(const struct berth_tokenizer *tokenizer, const char *tsv, FILE *out)
{
    struct totals totals = {0};
    struct berth_encoding encoding = {0};
    char *data;
    size_t size;
    assert_int_equal(berth_file_read(tsv, TEXT_LIMIT, &data, &size, NULL), BERTH_OK);
    const char *end = data + size, *at = memchr(data, '\n', size);
    while (at && ++at < end) {
        const char *stop = memchr(at, '\t', (size_t)(end - at));
        assert_non_null(stop);
        assert_int_equal(
            berth_tokenizer_encode(tokenizer, at, (size_t)(stop - at), NULL, 0, 0, &encoding, NULL),
            BERTH_OK);
        assert_int_equal(fwrite(encoding.ids, sizeof *encoding.ids, encoding.size, out), encoding.size);
        totals.examples++;
        totals.tokens += encoding.size;
        totals.longest = encoding.size > totals.longest ? encoding.size : totals.longest;
        at = memchr(stop, '\n', (size_t)(end - stop));
    }
    berth_encoding_clear(&encoding);
    berth_free(data);
    return totals;
}

static void sst2_train_has_the_reference_digest(void **state)
{
    (void)state;
    char path[] = "/tmp/berth-ids-XXXXXX", command[64], digest[65] = "";
    json_t *want = golden_json(golden_path("data/tokenizer/sst2_train_digest.json"));
    struct berth_tokenizer *tokenizer;
    assert_int_equal(berth_tokenizer_open_vocab(vocab_path("bert-base-uncased"), NULL, &tokenizer, NULL),
                     BERTH_OK);
    FILE *out = fdopen(mkstemp(path), "wb");
    assert_non_null(out);
    const struct totals totals = write_ids(tokenizer, golden_path("data/sst2/train.tsv"), out);
    assert_int_equal(fclose(out), 0);
    snprintf(command, sizeof command, "sha256sum %s", path);
    FILE *sum = popen(command, "r");
    assert_non_null(sum);
    assert_int_equal(fread(digest, 1, 64, sum), 64);
    pclose(sum);
    unlink(path);
    assert_int_equal(totals.examples, json_integer_value(json_object_get(want, "examples")));
    assert_int_equal(totals.tokens, json_integer_value(json_object_get(want, "total_tokens_with_cls_sep")));
    assert_int_equal(totals.longest, json_integer_value(json_object_get(want, "max_len")));
    assert_string_equal(digest,
                        json_string_value(json_object_get(want, "sha256_of_concatenated_int32_le_ids")));
    berth_tokenizer_free(tokenizer);
    json_decref(want);
}

/* --- the reference models --------------------------------------------------------------------- */

/* Checks the rows of a batch of golden.json that came from texts. */
static size_t check_model_batch(const struct berth_tokenizer *tokenizer, const json_t *batch)
{
    const json_t *inputs = json_object_get(batch, "inputs"), *call = json_object_get(batch, "tokenizer_call");
    struct berth_encoding encoding = {0};
    size_t row, rows = 0;
    const json_t *input;
    json_array_foreach(inputs, row, input)
    {
        size_t text_size, pair_size, used = 0;
        const char *text = golden_string(input, "text", &text_size);
        const char *pair = golden_string(input, "text_pair", &pair_size);
        const size_t max_length = (size_t)json_integer_value(json_object_get(call, "max_length"));
        assert_int_equal(
            berth_tokenizer_encode(tokenizer, text, text_size, pair, pair_size, max_length, &encoding, NULL),
            BERTH_OK);
        const json_t *ids = json_array_get(json_object_get(batch, "input_ids"), row);
        const json_t *mask = json_array_get(json_object_get(batch, "attention_mask"), row);
        for (size_t i = 0; i < json_array_size(mask); i++)
            used += (size_t)json_integer_value(json_array_get(mask, i));
        assert_int_equal(encoding.size, used);
        for (size_t i = 0; i < used; i++)
            assert_int_equal(encoding.ids[i], json_integer_value(json_array_get(ids, i)));
        assert_true(same_type_ids(&encoding, json_array_get(json_object_get(batch, "token_type_ids"), row)));
        rows++;
    }
    berth_encoding_clear(&encoding);
    return rows;
}

static size_t check_model(const char *directory, const json_t *golden)
{
    struct berth_tokenizer *tokenizer;
    struct berth_error err;
    if (berth_tokenizer_open(directory, NULL, &tokenizer, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    size_t i, rows = 0;
    const json_t *batch;
    json_array_foreach(json_object_get(golden, "batches"), i, batch) rows +=
        check_model_batch(tokenizer, batch);
    berth_tokenizer_free(tokenizer);
    return rows;
}

/* Checks the model again in a folder that has its tokenizer.json alone; false when it has none. */
static bool check_model_by_json(const char *directory, const json_t *golden)
{
    char from[PATH_MAX], real[PATH_MAX], to[64], folder[] = "/tmp/berth-tokenizer-XXXXXX";
    snprintf(from, sizeof from, "%s/tokenizer.json", directory);
    if (!realpath(from, real))
        return false;
    assert_non_null(mkdtemp(folder));
    snprintf(to, sizeof to, "%s/tokenizer.json", folder);
    assert_int_equal(symlink(real, to), 0);
    check_model(folder, golden);
    unlink(to);
    rmdir(folder);
    return true;
}

static void each_reference_model_has_its_ids(void **state)
{
    (void)state;
    json_t *index = golden_json(golden_path("golden/models/index.json"));
    const json_t *names = json_is_array(index) ? index : json_object_get(index, "models"), *entry;
    size_t i, rows = 0, by_json = 0;
    json_array_foreach(names, i, entry)
    {
        char name[256], file[300];
        snprintf(name, sizeof name, "golden/models/%s",
                 json_string_value(json_is_string(entry) ? entry : json_object_get(entry, "name")));
        snprintf(file, sizeof file, "%s/golden.json", name);
        json_t *golden = golden_json(golden_path(file));
        const char *directory = golden_path(name);
        rows += check_model(directory, golden);
        by_json += check_model_by_json(directory, golden);
        json_decref(golden);
    }
    printf("%zu models, %zu of them by tokenizer.json alone too, %zu rows\n", json_array_size(names), by_json,
           rows);
    assert_true(rows > 300 && by_json >= 2);
    json_decref(index);
}

static void other_vocabularies_agree_between_their_files(void **state)
{
    (void)state;
    static const char *const texts[] = {"Hello, wörld! 你好，世界。 [MASK] 123abc",
                                        "naïve CAFÉ über-straße \xf0\x9f\x98\x80", "日本語のテキスト",
                                        "Привет мир"};
    static const char *const files[][2] = {
        {"data/vocab/bert-base-chinese-vocab.txt", "data/vocab/bert-base-chinese-tokenizer.json"},
        {"data/vocab/bert-base-uncased-vocab.txt", "data/vocab/all-MiniLM-L6-v2-tokenizer.json"}};
    for (size_t f = 0; f < 2; f++) {
        struct berth_tokenizer *a, *b;
        assert_int_equal(berth_tokenizer_open_vocab(golden_path(files[f][1]), NULL, &b, NULL), BERTH_OK);
        assert_int_equal(berth_tokenizer_open_vocab(golden_path(files[f][0]),
                                                    berth_tokenizer_effective_options(b), &a, NULL),
                         BERTH_OK);
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            struct berth_encoding x = {0}, y = {0};
            assert_int_equal(berth_tokenizer_encode(a, texts[t], strlen(texts[t]), NULL, 0, 0, &x, NULL),
                             BERTH_OK);
            assert_int_equal(berth_tokenizer_encode(b, texts[t], strlen(texts[t]), NULL, 0, 0, &y, NULL),
                             BERTH_OK);
            assert_int_equal(x.size, y.size);
            assert_memory_equal(x.ids, y.ids, x.size * sizeof *x.ids);
            berth_encoding_clear(&x);
            berth_encoding_clear(&y);
        }
        berth_tokenizer_free(a);
        berth_tokenizer_free(b);
    }
}

static void the_checks_reject_other_answers(void **state)
{
    (void)state;
    int32_t ids[] = {101, 2, 102};
    uint8_t type_ids[] = {0, 0, 1};
    struct berth_encoding encoding = {.ids = ids, .type_ids = type_ids, .size = 3};
    json_t *same = json_pack("[iii]", 101, 2, 102), *other = json_pack("[iii]", 101, 3, 102);
    json_t *longer = json_pack("[iiii]", 101, 2, 102, 0), *types = json_pack("[iii]", 0, 0, 0);
    assert_true(same_ids(&encoding, same));
    assert_false(same_ids(&encoding, other));
    assert_false(same_ids(&encoding, longer));
    assert_false(same_type_ids(&encoding, types));
    json_decref(same);
    json_decref(other);
    json_decref(longer);
    json_decref(types);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_vectors_are_met),
        cmocka_unit_test(published_words_are_met),
        cmocka_unit_test(published_batches_are_met),
        cmocka_unit_test(published_token_counts_are_met),
        cmocka_unit_test(sst2_train_has_the_reference_digest),
        cmocka_unit_test(each_reference_model_has_its_ids),
        cmocka_unit_test(the_checks_reject_other_answers),
        cmocka_unit_test(other_vocabularies_agree_between_their_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
