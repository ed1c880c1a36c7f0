/* test_tokens.c: the public face of the tokenizer: one struct for many texts, ids there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "support/tiny_model.h"

static const struct berth_options tokenizer_only = {.tokenizer_only = true};

static void tokenize_many_texts_with_one_struct(void **state)
{
    (void)state;
    struct berth_model *model = tiny_open("random:bert-tiny", &tokenizer_only);
    struct berth_tokens tokens = {0};
    struct berth_text pair = {"the film", 8, "so funny", 8}, empty = BERTH_TEXT("");
    assert_int_equal(berth_tokenize(model, &pair, 0, &tokens, NULL), BERTH_OK);
    assert_false(tokens.truncated);
    assert_int_equal(tokens.size, 7);
    assert_string_equal(berth_token_text(model, tokens.ids[0]), "[CLS]");
    assert_string_equal(berth_token_text(model, tokens.ids[1]), "the");
    assert_string_equal(berth_token_text(model, tokens.ids[3]), "[SEP]");
    for (size_t i = 0; i < tokens.size; i++)
        assert_int_equal(tokens.type_ids[i], i > 3);
    assert_int_equal(berth_tokenize(model, &pair, 5, &tokens, NULL), BERTH_OK);
    assert_true(tokens.truncated);
    assert_int_equal(tokens.size, 5);
    assert_int_equal(berth_tokenize(model, &empty, 0, &tokens, NULL), BERTH_OK);
    assert_int_equal(tokens.size, 2);
    struct berth_error err;
    assert_int_equal(berth_tokenize(model, &empty, 1, &tokens, &err), BERTH_INVALID_ARGUMENT);
    berth_tokens_clear(&tokens);
    assert_null(tokens.ids);
    berth_tokens_clear(&tokens); /* a zeroed struct is fine */
    berth_model_free(model);
}

static void detokenize_gives_the_text_back(void **state)
{
    (void)state;
    struct berth_model *model = tiny_open("random:bert-tiny", &tokenizer_only);
    struct berth_tokens tokens = {0};
    struct berth_text text = BERTH_TEXT("a gripping, funny film");
    char *back;
    assert_int_equal(berth_tokenize(model, &text, 0, &tokens, NULL), BERTH_OK);
    assert_int_equal(berth_detokenize(model, tokens.ids, tokens.size, true, true, &back, NULL), BERTH_OK);
    assert_string_equal(back, text.text);
    berth_memory_free(back);
    assert_int_equal(berth_detokenize(model, tokens.ids, tokens.size, false, false, &back, NULL), BERTH_OK);
    assert_string_equal(back, "[CLS] a gripping , funny film [SEP]");
    berth_memory_free(back);
    int32_t outside = (int32_t)berth_model_get_info(model)->tokenizer_size;
    struct berth_error err;
    assert_int_not_equal(berth_detokenize(model, &outside, 1, true, true, &back, &err), BERTH_OK);
    assert_null(back);
    assert_null(berth_token_text(model, outside));
    assert_null(berth_token_text(model, -1));
    berth_tokens_clear(&tokens);
    berth_model_free(model);
}

static void overrides_stand_above_the_files(void **state)
{
    (void)state;
    struct support_model files;
    tiny_init(&files);
    tiny_write(&files, tiny_vocab);
    tiny_write_file(&files, "tokenizer_config.json", "{\"do_lower_case\": false}");
    struct berth_options options = tokenizer_only;
    struct berth_text text = BERTH_TEXT("Film");
    struct berth_tokens tokens = {0};
    struct berth_model *model = tiny_open(files.directory, &options);
    assert_false(berth_model_get_info(model)->lower_case);
    assert_int_equal(berth_tokenize(model, &text, 0, &tokens, NULL), BERTH_OK);
    assert_int_equal(tokens.ids[1], 1); /* [UNK]: the files keep the capital */
    berth_model_free(model);
    options.do_lower_case = BERTH_FORCE_ON;
    options.add_special_tokens = BERTH_FORCE_OFF;
    model = tiny_open(files.directory, &options);
    assert_int_equal(berth_tokenize(model, &text, 0, &tokens, NULL), BERTH_OK);
    assert_int_equal(tokens.size, 1);
    assert_int_equal(tokens.ids[0], 4);
    assert_int_equal(berth_token_pad(model), 0);
    berth_model_free(model);
    berth_tokens_clear(&tokens);
    tiny_clear(&files);
}

static void builtin_vocabulary_covers_ascii_without_unknowns(void **state)
{
    (void)state;
    struct berth_model *model = tiny_open("random:bert-tiny", &tokenizer_only);
    struct berth_tokens tokens = {0};
    for (int a = '!'; a <= '~'; a++)
        for (int b = '!'; b <= '~'; b++) {
            char word[] = {(char)a, (char)b};
            struct berth_text text = {.text = word, .size = 2};
            assert_int_equal(berth_tokenize(model, &text, 0, &tokens, NULL), BERTH_OK);
            for (size_t i = 0; i < tokens.size; i++)
                if (strcmp(berth_token_text(model, tokens.ids[i]), "[UNK]") == 0)
                    fail_msg("'%c%c' is unknown", a, b);
        }
    struct berth_text beyond = BERTH_TEXT("\xe4\xb8\xad"); /* the check above can fail */
    assert_int_equal(berth_tokenize(model, &beyond, 0, &tokens, NULL), BERTH_OK);
    assert_string_equal(berth_token_text(model, tokens.ids[1]), "[UNK]");
    berth_tokens_clear(&tokens);
    berth_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenize_many_texts_with_one_struct),
        cmocka_unit_test(detokenize_gives_the_text_back),
        cmocka_unit_test(overrides_stand_above_the_files),
        cmocka_unit_test(builtin_vocabulary_covers_ascii_without_unknowns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
