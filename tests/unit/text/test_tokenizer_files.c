/* test_tokenizer_files.c: what the files of a tokenizer may say: options and names in every form that is in
 * use, and files that are wrong, which are refused in one sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "text/tokenizer_internal.h"

#define VOCAB \
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nhello\nworld\n##s\nHello\nhe\n##llo\n!\n\xc3\xa9t\xc3\xa9\nete\n"
enum { PAD, UNK, CLS, SEP, MASK, HELLO, WORLD, S, CAPITAL_HELLO, HE, LLO, MARK, ETE_ACCENTS, ETE };

/* --- a folder of files ------------------------------------------------------------------------ */

static char folder[64];
static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                    "special_tokens_map.json", "added_tokens.json"};

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/berth-files-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        remove(path);
    }
    return rmdir(folder);
}

static void put_bytes(const char *name, const void *bytes, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put(const char *name, const char *text)
{
    put_bytes(name, text, strlen(text));
}

static struct berth_tokenizer *open_folder(void)
{
    struct berth_tokenizer *tokenizer;
    struct berth_error err;
    if (berth_tokenizer_open(folder, NULL, &tokenizer, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return tokenizer;
}

/* The folder is refused with this status, and the sentence has `part` in it. */
static void expect_refused(enum berth_status want, const char *part)
{
    struct berth_tokenizer *tokenizer;
    struct berth_error err = {0};
    const enum berth_status got = berth_tokenizer_open(folder, NULL, &tokenizer, &err);
    if (got != want || tokenizer || !strstr(err.message, part))
        fail_msg("%d: %s (want %d, '%s')", got, err.message, want, part);
}

/* The text becomes these ids (ended by -1), special ones around it included. */
static void expect_ids(const struct berth_tokenizer *tokenizer, const char *text, const int *want)
{
    struct berth_encoding encoding = {0};
    assert_int_equal(berth_tokenizer_encode(tokenizer, text, strlen(text), NULL, 0, 0, &encoding, NULL),
                     BERTH_OK);
    size_t n = 0;
    for (; want[n] >= 0; n++)
        if (n >= encoding.size || encoding.ids[n] != want[n])
            fail_msg("'%s': token %zu is %d, want %d", text, n, n < encoding.size ? encoding.ids[n] : -1,
                     want[n]);
    assert_int_equal(encoding.size, n);
    berth_encoding_clear(&encoding);
}

static void expect_open_ids(const char *text, const int *want)
{
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, text, want);
    berth_tokenizer_free(tokenizer);
}
#define IDS(...) ((const int[]){__VA_ARGS__, -1})

/* --- vocab.txt -------------------------------------------------------------------------------- */

static void open_vocab_alone_is_uncased(void **state)
{
    (void)state;
    put("vocab.txt", VOCAB);
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, "Hello worlds! \xc3\x89t\xc3\xa9", IDS(CLS, HELLO, WORLD, S, MARK, ETE, SEP));
    assert_int_equal(berth_tokenizer_vocab_size(tokenizer), 14);
    assert_int_equal(berth_tokenizer_model_max_length(tokenizer), 0);
    assert_int_equal(berth_tokenizer_special(tokenizer, BERTH_SPECIAL_PAD), PAD);
    assert_int_equal(berth_tokenizer_special(tokenizer, BERTH_SPECIAL_MASK), MASK);
    assert_string_equal(berth_tokenizer_token(tokenizer, LLO), "##llo");
    assert_null(berth_tokenizer_token(tokenizer, 14));
    assert_null(berth_tokenizer_token(tokenizer, -1));
    assert_int_equal(berth_tokenizer_id(tokenizer, "he", 2), HE);
    assert_int_equal(berth_tokenizer_id(tokenizer, "her", 3), -1);
    berth_tokenizer_free(tokenizer);
}

static void open_vocab_with_other_line_ends_is_the_same(void **state)
{
    (void)state;
    put("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nhello\r\nworld\r\n##s");
    expect_open_ids("hello worlds", IDS(CLS, HELLO, WORLD, S, SEP));
    put("vocab.txt", "[PAD]\r[UNK]\r[CLS]\r[SEP]\r[MASK]\rhello\rworld\r");
    expect_open_ids("hello world", IDS(CLS, HELLO, WORLD, SEP));
    put("vocab.txt", "[UNK]\n\n[CLS]\n[SEP]\nhello"); /* an empty line has an id too */
    expect_open_ids("hello", IDS(2, 4, 3));
}

static void open_vocab_with_repeated_token_takes_the_last(void **state)
{
    (void)state;
    put("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nhello\nhello\n[SEP]\n");
    expect_open_ids("hello", IDS(1, 4, 5));
}

static void open_vocab_of_ill_formed_lines_replaces_them(void **state)
{
    (void)state;
    put("vocab.txt",
        "[UNK]\n[CLS]\n[SEP]\na\xff"
        "b\n\xe2\x82\n\xef\xbf\xbd\n");
    struct berth_tokenizer *tokenizer = open_folder();
    assert_string_equal(berth_tokenizer_token(tokenizer, 3),
                        "a\xef\xbf\xbd"
                        "b");
    assert_string_equal(berth_tokenizer_token(tokenizer, 4), "\xef\xbf\xbd");
    assert_string_equal(berth_tokenizer_token(tokenizer, 5), "\xef\xbf\xbd");
    berth_tokenizer_free(tokenizer);
}

static void open_without_a_usable_vocabulary_is_refused(void **state)
{
    (void)state;
    expect_refused(BERTH_NOT_FOUND, "no vocabulary");
    put("vocab.txt", "");
    expect_refused(BERTH_FORMAT, "vocab.txt: the vocabulary is empty");
    put("vocab.txt", "[CLS]\n[SEP]\n");
    expect_refused(BERTH_FORMAT, "no [UNK]");
    put("vocab.txt", "[UNK]\n[SEP]\n");
    expect_refused(BERTH_FORMAT, "no [CLS]");
    put("vocab.txt", "[CLS]\n[UNK]\n");
    expect_refused(BERTH_FORMAT, "no [SEP]");
    struct berth_tokenizer *tokenizer;
    struct berth_error err;
    assert_int_equal(berth_tokenizer_open("/nonexistent/model", NULL, &tokenizer, &err), BERTH_NOT_FOUND);
    assert_int_equal(berth_tokenizer_open_vocab("/nonexistent/vocab.txt", NULL, &tokenizer, &err),
                     BERTH_NOT_FOUND);
    assert_true(berth_tokenizer_open_vocab(folder, NULL, &tokenizer, &err) != BERTH_OK); /* a directory */
    assert_null(tokenizer);
}

static void open_vocab_beyond_the_limits_is_refused(void **state)
{
    (void)state;
    char *lines = malloc(BERTH_VOCAB_MAX + 1);
    assert_non_null(lines);
    memset(lines, '\n', BERTH_VOCAB_MAX + 1);
    put_bytes("vocab.txt", lines, BERTH_VOCAB_MAX + 1);
    expect_refused(BERTH_LIMIT, "limit");
    memset(lines, 'x', BERTH_VOCAB_MAX);
    put_bytes("vocab.txt", lines, BERTH_VOCAB_MAX);
    expect_refused(BERTH_LIMIT, "line 1");
    free(lines);
    put("vocab.txt", "");
    char path[128];
    snprintf(path, sizeof path, "%s/vocab.txt", folder);
    assert_int_equal(truncate(path, (off_t)1 << 30), 0); /* a file of a gigabyte that takes no space */
    expect_refused(BERTH_LIMIT, "vocab.txt");
}

/* --- the small files -------------------------------------------------------------------------- */

static void open_with_config_follows_it(void **state)
{
    (void)state;
    put("vocab.txt", VOCAB);
    put("tokenizer_config.json",
        "{\"do_lower_case\": false, \"model_max_length\": 77, \"never_split\": null,"
        "\"tokenizer_class\": \"BertTokenizerFast\"}");
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, "Hello hello \xc3\xa9t\xc3\xa9", IDS(CLS, CAPITAL_HELLO, HELLO, ETE_ACCENTS, SEP));
    assert_int_equal(berth_tokenizer_model_max_length(tokenizer), 77);
    berth_tokenizer_free(tokenizer);
    put("tokenizer_config.json",
        "{\"do_lower_case\": false, \"strip_accents\": true, \"model_max_length\": "
        "1000000000000000019884624838656}");
    tokenizer = open_folder();
    expect_ids(tokenizer, "Hello \xc3\xa9t\xc3\xa9", IDS(CLS, CAPITAL_HELLO, ETE, SEP));
    assert_int_equal(berth_tokenizer_model_max_length(tokenizer), 0);
    berth_tokenizer_free(tokenizer);
    put("tokenizer_config.json", "{\"max_len\": 33, \"tokenizer_class\": null}");
    tokenizer = open_folder();
    assert_int_equal(berth_tokenizer_model_max_length(tokenizer), 33);
    const struct berth_tokenizer_options overrides = {BERTH_CHOICE_NO, BERTH_CHOICE_UNSET, BERTH_CHOICE_UNSET,
                                                      BERTH_CHOICE_NO, 5};
    berth_tokenizer_free(tokenizer);
    assert_int_equal(berth_tokenizer_open(folder, &overrides, &tokenizer, NULL), BERTH_OK);
    expect_ids(tokenizer, "Hello", IDS(CAPITAL_HELLO));
    assert_int_equal(berth_tokenizer_model_max_length(tokenizer), 5);
    assert_int_equal(berth_tokenizer_effective_options(tokenizer)->strip_accents, BERTH_CHOICE_NO);
    berth_tokenizer_free(tokenizer);
}

static void open_with_other_special_tokens_uses_them(void **state)
{
    (void)state;
    put("vocab.txt", "<pad>\n<unk>\n<s>\n</s>\n<mask>\nhello\n<x>\n");
    expect_refused(BERTH_FORMAT, "no [UNK]");
    put("special_tokens_map.json",
        "{\"unk_token\": \"<unk>\", \"cls_token\": {\"content\": \"<s>\", \"lstrip\": false}, \"sep_token\": "
        "\"</s>\","
        "\"pad_token\": \"<pad>\", \"mask_token\": {\"content\": \"<mask>\"}, \"additional_special_tokens\": "
        "[\"<x>\"]}");
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, "hello<mask>zz<x>", IDS(2, 5, 4, 1, 6, 3));
    char *text;
    assert_int_equal(
        berth_tokenizer_decode(tokenizer, (const int32_t[]){2, 5, 6, 3}, 4, true, false, &text, NULL),
        BERTH_OK);
    assert_string_equal(text, "hello");
    berth_free(text);
    berth_tokenizer_free(tokenizer);
}

static void open_with_added_tokens_finds_them(void **state)
{
    (void)state;
    put("vocab.txt", VOCAB);
    put("added_tokens.json", "{\"NewTok\": 14, \"\xc3\x9cml\": 20}");
    put("tokenizer_config.json",
        "{\"additional_special_tokens\": [\"<A>\"], \"added_tokens_decoder\": {"
        "\"0\": {\"content\": \"[PAD]\", \"special\": true},"
        "\"16\": {\"content\": \"<A>\", \"special\": true, \"normalized\": false}}}");
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, "hellonewTOK \xc3\xbcML<A> <a>", IDS(CLS, HELLO, 14, 20, 16, UNK, UNK, UNK, SEP));
    assert_int_equal(berth_tokenizer_vocab_size(tokenizer), 21);
    assert_string_equal(berth_tokenizer_token(tokenizer, 14), "NewTok");
    assert_null(berth_tokenizer_token(tokenizer, 15));
    berth_tokenizer_free(tokenizer);
}

static void open_with_wrong_small_files_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        enum berth_status status;
        const char *part;
    } cases[] = {
        {"tokenizer_config.json", "{\"do_lower_case\": \"yes\"}", BERTH_FORMAT, "do_lower_case"},
        {"tokenizer_config.json", "{\"do_basic_tokenize\": false}", BERTH_UNSUPPORTED, "do_basic_tokenize"},
        {"tokenizer_config.json", "{\"never_split\": [\"x\"]}", BERTH_UNSUPPORTED, "never_split"},
        {"tokenizer_config.json", "{\"tokenizer_class\": \"RobertaTokenizer\"}", BERTH_UNSUPPORTED,
         "RobertaTokenizer"},
        {"tokenizer_config.json", "{\"unk_token\": 7}", BERTH_FORMAT, "unk_token"},
        {"tokenizer_config.json", "{\"cls_token\": \"[NO]\"}", BERTH_FORMAT, "no [NO]"},
        {"tokenizer_config.json", "{\"additional_special_tokens\": [\"[NO]\"]}", BERTH_FORMAT, "[NO]"},
        {"tokenizer_config.json", "{\"additional_special_tokens\": [7]}", BERTH_FORMAT,
         "additional_special_tokens"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"x\": {\"content\": \"a\"}}}", BERTH_FORMAT,
         "'x'"},
        {"tokenizer_config.json", "{\"added_tokens_decoder\": {\"20\": {}}}", BERTH_FORMAT, "content"},
        {"tokenizer_config.json",
         "{\"added_tokens_decoder\": {\"20\": {\"content\": \"a\", \"single_word\": true}}}",
         BERTH_UNSUPPORTED, "single_word"},
        {"tokenizer_config.json", "{\"model_max_length\": \"x\"}", BERTH_FORMAT, "model_max_length"},
        {"tokenizer_config.json", "{\"model_max_length\": -3}", BERTH_FORMAT, "model_max_length"},
        {"tokenizer_config.json", "{\"model_max_length\": 0}", BERTH_FORMAT, "model_max_length"},
        {"tokenizer_config.json", "{\"model_max_length\": 3.7}", BERTH_FORMAT, "model_max_length"},
        {"tokenizer_config.json", "{\"max_len\": []}", BERTH_FORMAT, "max_len"},
        {"tokenizer_config.json", "[1]", BERTH_FORMAT, "JSON object"},
        {"tokenizer_config.json", "{\"a\": ", BERTH_FORMAT, "line 1"},
        {"tokenizer_config.json", "", BERTH_FORMAT, "tokenizer_config.json"},
        {"special_tokens_map.json", "{\"sep_token\": \"\"}", BERTH_FORMAT, "sep_token"},
        {"added_tokens.json", "{\"a\": -1}", BERTH_FORMAT, "no valid id"},
        {"added_tokens.json", "{\"a\": 1.5}", BERTH_FORMAT, "no valid id"},
        {"added_tokens.json", "{\"a\": 99999999}", BERTH_FORMAT, "no valid id"},
        {"added_tokens.json", "{\"a\": \"1\"}", BERTH_FORMAT, "no valid id"},
        {"added_tokens.json", "{\"a\": 5}", BERTH_FORMAT, "same id 5"},
        {"added_tokens.json", "{\"\": 20}", BERTH_LIMIT, "0 bytes"},
    };
    put("vocab.txt", VOCAB);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put(cases[i].name, cases[i].text);
        expect_refused(cases[i].status, cases[i].part);
        put(cases[i].name, "{}");
    }
    expect_open_ids("hello", IDS(CLS, HELLO, SEP));
}

static void open_deep_json_is_refused(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    memcpy(text, "{\"a\":", 5);
    put("vocab.txt", VOCAB);
    put_bytes("tokenizer_config.json", text, DEPTH);
    expect_refused(BERTH_FORMAT, "depth");
    free(text);
}

/* --- tokenizer.json --------------------------------------------------------------------------- */

#define WORDS "{\"[UNK]\": 0, \"[CLS]\": 1, \"[SEP]\": 2, \"hello\": 3, \"@@s\": 4, \"Hello\": 9}"
#define MODEL \
    "\"model\": {\"type\": \"WordPiece\", \"vocab\": " WORDS ", \"continuing_subword_prefix\": \"@@\"}"
#define TEMPLATE(cls, second)                                                                                \
    "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"" cls \
    "\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": "    \
    "\"[SEP]\", "                                                                                            \
    "\"type_id\": 0}}], \"pair\": [{\"SpecialToken\": {\"id\": \"" cls                                       \
    "\", \"type_id\": 0}}, {\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}, {\"SpecialToken\": {\"id\": "    \
    "\"[SEP]\", "                                                                                            \
    "\"type_id\": 0}}, {\"Sequence\": {\"id\": \"B\", \"type_id\": " second                                  \
    "}}, {\"SpecialToken\": {\"id\": \"[SEP]\", "                                                            \
    "\"type_id\": 1}}]}"

static void open_json_alone_follows_it(void **state)
{
    (void)state;
    put("tokenizer.json", "{\"truncation\": {\"max_length\": 3}, \"padding\": {\"strategy\": {\"Fixed\": 128}}, "
                          "\"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": true, \"lowercase\": false, "
                          "\"strip_accents\": null, \"handle_chinese_chars\": true}, "
                          "\"pre_tokenizer\": {\"type\": \"BertPreTokenizer\"}, " TEMPLATE("[CLS]", "1") ", "
                          "\"added_tokens\": [{\"id\": 12, \"content\": \"<N>\", \"special\": false}], " MODEL "}");
    struct berth_tokenizer *tokenizer = open_folder();
    expect_ids(tokenizer, "hellos Hello <N>", IDS(1, 3, 4, 9, 12, 2));
    assert_int_equal(berth_tokenizer_vocab_size(tokenizer), 13);
    assert_int_equal(berth_tokenizer_special(tokenizer, BERTH_SPECIAL_PAD), -1);
    assert_null(berth_tokenizer_token(tokenizer, 5)); /* ids need not be dense */
    berth_tokenizer_free(tokenizer);
}

static void open_json_names_its_special_tokens(void **state)
{
    (void)state;
    put("tokenizer.json",
        "{\"model\": {\"vocab\": {\"U\": 0, \"<s>\": 1, \"</s>\": 2, \"a\": 3}, \"unk_token\": \"U\", "
        "\"max_input_chars_per_word\": 3}, \"post_processor\": {\"type\": \"BertProcessing\", "
        "\"cls\": [\"<s>\", 1], \"sep\": [\"</s>\", 2]}}");
    expect_open_ids("a<s>aaaa b", IDS(1, 3, 1, 0, 0, 2));
}

static void open_json_beside_vocab_has_options_only(void **state)
{
    (void)state;
    put("vocab.txt", VOCAB);
    put("tokenizer.json",
        "{\"normalizer\": {\"type\": \"BertNormalizer\", \"lowercase\": false}, \"model\": {\"type\": "
        "\"WordPiece\", \"vocab\": {\"hello\": 1}}}");
    expect_open_ids("Hello hello", IDS(CLS, CAPITAL_HELLO, HELLO, SEP));
    put("tokenizer_config.json", "{\"do_lower_case\": true}");
    expect_open_ids("Hello hello", IDS(CLS, HELLO, HELLO, SEP));
}

static void open_wrong_json_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum berth_status status;
        const char *part;
    } cases[] = {
        {"{}", BERTH_UNSUPPORTED, "only WordPiece"},
        {"{\"model\": []}", BERTH_UNSUPPORTED, "only WordPiece"},
        {"{\"model\": {\"type\": \"BPE\"}}", BERTH_UNSUPPORTED, "'BPE'"},
        {"{\"model\": {\"type\": 5}}", BERTH_UNSUPPORTED, "only WordPiece"},
        {"{\"model\": {\"type\": \"WordPiece\"}}", BERTH_FORMAT, "model.vocab"},
        {"{\"model\": {\"vocab\": {}}}", BERTH_FORMAT, "model.vocab"},
        {"{\"model\": {\"vocab\": {\"a\": -3}}}", BERTH_FORMAT, "'a'"},
        {"{\"model\": {\"vocab\": {\"a\": 1e18}}}", BERTH_FORMAT, "'a'"},
        {"{\"model\": {\"vocab\": {\"a\": 123456789012345678901234567890}}}", BERTH_FORMAT, "tokenizer.json"},
        {"{\"model\": {\"vocab\": {\"a\": 1, \"b\": 1}}}", BERTH_FORMAT, "same id 1"},
        {"{\"model\": {\"vocab\": {\"a\": 1}}}", BERTH_FORMAT, "no [UNK]"},
        {"{\"model\": {\"max_input_chars_per_word\": 0, \"vocab\": " WORDS "}}", BERTH_UNSUPPORTED,
         "max_input_chars"},
        {"{\"model\": {\"max_input_chars_per_word\": 1000000, \"vocab\": " WORDS "}}", BERTH_UNSUPPORTED,
         "max_input_chars"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"Lowercase\"}}", BERTH_UNSUPPORTED, "'Lowercase'"},
        {"{" MODEL ", \"normalizer\": {\"type\": \"BertNormalizer\", \"clean_text\": false}}",
         BERTH_UNSUPPORTED, "clean_text"},
        {"{" MODEL ", \"pre_tokenizer\": {\"type\": \"Whitespace\"}}", BERTH_UNSUPPORTED, "'Whitespace'"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"RobertaProcessing\"}}", BERTH_UNSUPPORTED,
         "'RobertaProcessing'"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"BertProcessing\"}}", BERTH_FORMAT, "post_processor"},
        {"{" MODEL ", \"post_processor\": {\"type\": \"TemplateProcessing\"}}", BERTH_UNSUPPORTED,
         "template"},
        {"{" MODEL ", " TEMPLATE("[CLS]", "0") "}", BERTH_UNSUPPORTED, "template"},
        {"{" MODEL ", " TEMPLATE("[NO]", "1") "}", BERTH_FORMAT, "no [NO]"},
        {"{" MODEL ", \"added_tokens\": [{\"content\": \"x\"}]}", BERTH_FORMAT, "added token 0"},
        {"{" MODEL ", \"added_tokens\": [5]}", BERTH_FORMAT, "added token 0"},
        {"{" MODEL ", \"added_tokens\": [{\"content\": \"x\", \"id\": 3}]}", BERTH_FORMAT, "same id 3"},
        {"nonsense", BERTH_FORMAT, "tokenizer.json"},
        {"{\"model\": {\"vocab\": {\"\\u0000\": 1}}}", BERTH_FORMAT, "tokenizer.json"},
        {"{\"model\": {\"vocab\": {\"\xff\": 1}}}", BERTH_FORMAT, "tokenizer.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("tokenizer.json", cases[i].text);
        expect_refused(cases[i].status, cases[i].part);
    }
    put("special_tokens_map.json", "{\"cls_token\": \"hello\"}");
    put("tokenizer.json", "{" MODEL ", " TEMPLATE("[CLS]", "1") "}");
    expect_refused(BERTH_UNSUPPORTED, "'hello' is named");
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(open_vocab_alone_is_uncased),
        IN_FOLDER(open_vocab_with_other_line_ends_is_the_same),
        IN_FOLDER(open_vocab_with_repeated_token_takes_the_last),
        IN_FOLDER(open_vocab_of_ill_formed_lines_replaces_them),
        IN_FOLDER(open_without_a_usable_vocabulary_is_refused),
        IN_FOLDER(open_vocab_beyond_the_limits_is_refused),
        IN_FOLDER(open_with_config_follows_it),
        IN_FOLDER(open_with_other_special_tokens_uses_them),
        IN_FOLDER(open_with_added_tokens_finds_them),
        IN_FOLDER(open_with_wrong_small_files_is_refused),
        IN_FOLDER(open_deep_json_is_refused),
        IN_FOLDER(open_json_alone_follows_it),
        IN_FOLDER(open_json_names_its_special_tokens),
        IN_FOLDER(open_json_beside_vocab_has_options_only),
        IN_FOLDER(open_wrong_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
