/* test_model_open.c: what a model argument may be, the limits in force, and each refusal with its sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tiny_model.h"

static int set_up(void **state)
{
    struct support_model *files = malloc(sizeof *files);
    assert_non_null(files);
    tiny_init(files);
    *state = files;
    return 0;
}

static int tear_down(void **state)
{
    tiny_clear(*state);
    free(*state);
    return 0;
}

static void open_what_names_no_model_is_refused_by_form(void **state)
{
    struct support_model *files = *state;
    tiny_write(files, tiny_vocab);
    char path[192];
    snprintf(path, sizeof path, "%s/config.json", files->directory);
    tiny_refused(NULL, NULL, BERTH_INVALID_ARGUMENT, "no model is named");
    tiny_refused("", NULL, BERTH_INVALID_ARGUMENT, "no model is named");
    tiny_refused("/nonexistent/model", NULL, BERTH_NOT_FOUND, "no such directory; a model is");
    tiny_refused("google/no-such-model", NULL, BERTH_NOT_FOUND,
                 "`berth pull google/no-such-model` fetches it");
    tiny_refused("../model", NULL, BERTH_NOT_FOUND, "no such directory; a model is");
    tiny_refused("a/b/c", NULL, BERTH_NOT_FOUND, "no such directory; a model is");
    tiny_refused("bundled:sst3", NULL, BERTH_NOT_FOUND, "bundled:sst3: no such model comes with berth");
    tiny_refused("folder/model.onnx", NULL, BERTH_NOT_FOUND, "no such file");
    tiny_refused("random:nonsense", NULL, BERTH_NOT_FOUND, "no such architecture; there are bert-tiny");
    tiny_refused("random:bert-tiny@x", NULL, BERTH_INVALID_ARGUMENT, "seed");
    tiny_refused("random:", NULL, BERTH_NOT_FOUND, "no such architecture");
    tiny_refused(path, NULL, BERTH_INVALID_ARGUMENT, "give the model's directory");
    struct berth_options tokenizer_only = {.tokenizer_only = true};
    tiny_refused("random:nonsense", &tokenizer_only, BERTH_NOT_FOUND, "no such architecture");
}

static void open_what_this_version_lacks_is_refused_by_name(void **state)
{
    (void)state;
    struct berth_options options = {.precision = BERTH_PRECISION_FP16};
    tiny_refused("random:bert-tiny", &options, BERTH_UNSUPPORTED, "runtime cuda");
    options.precision = BERTH_PRECISION_DEFAULT;
    options.runtime = BERTH_RUNTIME_ONNXRUNTIME;
    options.ort_library = "/nonexistent/libonnxruntime.so";
    tiny_refused("random:bert-tiny", &options, BERTH_NOT_FOUND, "the library of ONNX Runtime");
    options.precision = BERTH_PRECISION_BF16;
    tiny_refused("random:bert-tiny", &options, BERTH_UNSUPPORTED, "berth's own");
    options.precision = BERTH_PRECISION_DEFAULT;
    options = (struct berth_options){.isa = "sse2"};
    tiny_refused("random:bert-tiny", &options, BERTH_INVALID_ARGUMENT, "unknown instruction set 'sse2'");
}

static void open_vocabulary_must_fit_the_embedding(void **state)
{
    struct support_model *files = *state;
    char vocab[256];
    snprintf(vocab, sizeof vocab, "%sextra\n", tiny_vocab);
    tiny_write(files, vocab);
    tiny_refused(files->directory, NULL, BERTH_FORMAT, "12 tokens, the embedding only 11 rows");
    tiny_write_file(files, "vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\n");
    struct berth_model *model = tiny_open(files->directory, NULL);
    const struct berth_model_info *info = berth_model_get_info(model);
    assert_int_equal(info->tokenizer_size, 5);
    assert_int_equal(info->vocab_size, SUPPORT_V);
    berth_model_free(model);
}

static size_t limit_in_force(const char *directory, size_t max_length)
{
    struct berth_options options = {.max_length = max_length};
    struct berth_model *model = tiny_open(directory, &options);
    size_t limit = berth_model_get_info(model)->max_length;
    berth_model_free(model);
    return limit;
}

static void open_limit_is_the_smaller_of_files_and_positions(void **state)
{
    struct support_model *files = *state;
    tiny_write(files, tiny_vocab);
    assert_int_equal(limit_in_force(files->directory, 0), SUPPORT_P);
    tiny_write_file(files, "tokenizer_config.json",
                    "{\"model_max_length\": 1000000000000000019884624838656}");
    assert_int_equal(limit_in_force(files->directory, 0), SUPPORT_P);
    tiny_write_file(files, "tokenizer_config.json", "{\"model_max_length\": 5}");
    assert_int_equal(limit_in_force(files->directory, 0), 5);
    assert_int_equal(limit_in_force(files->directory, 4), 4);
    assert_int_equal(limit_in_force(files->directory, SUPPORT_P),
                     SUPPORT_P); /* the caller's word is above the file's */
    struct berth_options options = {.max_length = SUPPORT_P + 1};
    tiny_refused(files->directory, &options, BERTH_INVALID_ARGUMENT, "has 7 positions");
    options.max_length = 1;
    tiny_refused(files->directory, &options, BERTH_INVALID_ARGUMENT, "no room for [CLS] and [SEP]");
}

static void open_without_weights_tokenises_but_has_no_session(void **state)
{
    struct support_model *files = *state;
    tiny_write(files, tiny_vocab);
    char path[192];
    snprintf(path, sizeof path, "%s/model.safetensors", files->directory);
    assert_int_equal(unlink(path), 0);
    tiny_refused(files->directory, NULL, BERTH_NOT_FOUND, "model.safetensors");
    struct berth_options options = {.tokenizer_only = true};
    struct berth_model *model = tiny_open(files->directory, &options);
    assert_int_equal(berth_model_get_info(model)->max_length, SUPPORT_P);
    assert_false(berth_model_get_info(model)->has_head);
    struct berth_session *session;
    struct berth_error err;
    assert_int_equal(berth_session_new(model, NULL, &session, &err), BERTH_INVALID_ARGUMENT);
    assert_null(session);
    assert_non_null(strstr(err.message, "tokenise only"));
    berth_model_free(model);
    snprintf(path, sizeof path, "%s/config.json", files->directory);
    assert_int_equal(unlink(path), 0);
    model = tiny_open(files->directory, &options); /* a vocabulary alone is enough */
    assert_int_equal(berth_model_get_info(model)->max_length, 0);
    berth_model_free(model);
}

static void open_random_to_tokenise_has_the_limit_of_its_preset(void **state)
{
    (void)state;
    struct berth_options options = {.tokenizer_only = true};
    struct berth_model *model = tiny_open("random:electra-small", &options);
    assert_int_equal(berth_model_get_info(model)->max_length, 512);
    assert_string_equal(berth_model_get_info(model)->family, "electra");
    berth_model_free(model);
}

struct heard {
    size_t lines;
    char last[BERTH_ERROR_SIZE];
};

static void listen(void *context, enum berth_severity severity, const char *line)
{
    struct heard *heard = context;
    assert_int_equal(severity, BERTH_SEVERITY_WARNING);
    heard->lines++;
    snprintf(heard->last, sizeof heard->last, "%s", line);
}

static void open_remarks_are_logged_once_and_kept_printable(void **state)
{
    struct support_model *files = *state;
    support_model_replace(files, "\"vocab_size\"", "\"odd\\u001b[2J field\": 3, \"vocab_size\"");
    tiny_write(files, tiny_vocab);
    struct heard heard = {0};
    struct berth_options options = {
        .precision = BERTH_PRECISION_BF16, .isa = "scalar", .log = listen, .log_context = &heard};
    struct berth_model *model = tiny_open(files->directory, &options);
    const char *const *remarks = berth_model_get_info(model)->remarks;
    assert_int_equal(heard.lines, 2);
    assert_non_null(strstr(remarks[0], "without bf16 instructions"));
    assert_non_null(strstr(remarks[1], "odd?[2J field"));
    assert_string_equal(heard.last, remarks[1]);
    assert_null(remarks[2]);
    assert_string_equal(berth_model_get_info(model)->precision, "bf16");
    berth_model_free(model);
    options.precision = BERTH_PRECISION_AUTO; /* where bf16 brings nothing, auto is fp32, and says so */
    model = tiny_open(files->directory, &options);
    assert_string_equal(berth_model_get_info(model)->precision, "fp32");
    assert_non_null(strstr(berth_model_get_info(model)->precision_reason, "does not multiply bf16"));
    berth_model_free(model);
}

static void open_level_is_never_above_what_was_asked(void **state)
{
    (void)state;
    struct berth_options options = {.isa = "scalar"};
    struct berth_model *model = tiny_open("random:bert-tiny", &options);
    assert_string_equal(berth_model_get_info(model)->isa, "scalar");
    assert_non_null(strstr(berth_model_get_info(model)->isa_reason, "limited to scalar"));
    berth_model_free(model);
    options.isa = "amx"; /* the best there is, with a remark where that is less */
    model = tiny_open("random:bert-tiny", &options);
    struct berth_model *best = tiny_open("random:bert-tiny", NULL);
    assert_string_equal(berth_model_get_info(model)->isa, berth_model_get_info(best)->isa);
    berth_model_free(best);
    berth_model_free(model);
}

static void open_without_a_classifier_tells_but_does_not_predict(void **state)
{
    struct support_model *files = *state;
    support_model_replace(files, "BertForSequenceClassification", "BertModel");
    memset(support_model_find(files, "classifier.weight")->name, 'x', 10);
    memset(support_model_find(files, "classifier.bias")->name, 'x', 10);
    tiny_write(files, tiny_vocab);
    struct berth_model *model = tiny_open(files->directory, NULL);
    struct berth_session *session;
    struct berth_error err;
    assert_false(berth_model_get_info(model)->has_head);
    assert_int_equal(berth_session_new(model, NULL, &session, &err), BERTH_UNSUPPORTED);
    assert_non_null(strstr(err.message, "has no classifier, so it cannot predict"));
    struct berth_tokens tokens = {0};
    struct berth_text text = BERTH_TEXT("a film");
    assert_int_equal(berth_tokenize(model, &text, 0, &tokens, NULL), BERTH_OK);
    assert_int_equal(tokens.size, 4);
    berth_tokens_clear(&tokens);
    berth_model_free(model);
}

static void parse_words_of_the_command_line_go_both_ways(void **state)
{
    (void)state;
    enum berth_precision precision;
    enum berth_runtime runtime;
    for (int p = BERTH_PRECISION_FP32; p <= BERTH_PRECISION_AUTO; p++) {
        assert_true(berth_precision_parse(berth_precision_name((enum berth_precision)p), &precision));
        assert_int_equal(precision, p);
    }
    for (int r = BERTH_RUNTIME_NATIVE; r <= BERTH_RUNTIME_ONNXRUNTIME; r++) {
        assert_true(berth_runtime_parse(berth_runtime_name((enum berth_runtime)r), &runtime));
        assert_int_equal(runtime, r);
    }
    assert_false(berth_precision_parse("default", &precision));
    assert_false(berth_precision_parse("FP32", &precision));
    assert_false(berth_runtime_parse("", &runtime));
    assert_string_equal(berth_precision_name((enum berth_precision)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_what_names_no_model_is_refused_by_form, set_up, tear_down),
        cmocka_unit_test(open_what_this_version_lacks_is_refused_by_name),
        cmocka_unit_test_setup_teardown(open_vocabulary_must_fit_the_embedding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_limit_is_the_smaller_of_files_and_positions, set_up, tear_down),
        cmocka_unit_test_setup_teardown(open_without_weights_tokenises_but_has_no_session, set_up, tear_down),
        cmocka_unit_test(open_random_to_tokenise_has_the_limit_of_its_preset),
        cmocka_unit_test_setup_teardown(open_remarks_are_logged_once_and_kept_printable, set_up, tear_down),
        cmocka_unit_test(open_level_is_never_above_what_was_asked),
        cmocka_unit_test_setup_teardown(open_without_a_classifier_tells_but_does_not_predict, set_up,
                                        tear_down),
        cmocka_unit_test(parse_words_of_the_command_line_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
