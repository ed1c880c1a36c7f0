/* tiny_model.c: model directories for the tests of the pipeline; see tiny_model.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "support/tiny_model.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char tiny_vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nfilm\nfunny\na\n!\n##s\nnot\nthe\n";

static const char *const extra_files[] = {"vocab.txt", "tokenizer_config.json"};

void tiny_init(struct support_model *model)
{
    support_model_init(model);
}

void tiny_write(struct support_model *model, const char *vocab)
{
    support_model_write(model);
    tiny_write_file(model, "vocab.txt", vocab);
}

void tiny_write_file(const struct support_model *model, const char *name, const char *content)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", model->directory, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

void tiny_clear(struct support_model *model)
{
    for (size_t i = 0; i < sizeof extra_files / sizeof *extra_files; i++) {
        char path[192];
        snprintf(path, sizeof path, "%s/%s", model->directory, extra_files[i]);
        unlink(path);
    }
    support_model_clear(model);
}

struct berth_model *tiny_open(const char *name, const struct berth_options *options)
{
    struct berth_model *model;
    struct berth_error err;
    if (berth_model_open(name, options, &model, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return model;
}

struct berth_session *tiny_session(const struct berth_model *model, const struct berth_options *options)
{
    struct berth_session *session;
    struct berth_error err;
    if (berth_session_new(model, options, &session, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return session;
}

void tiny_refused(const char *name, const struct berth_options *options, enum berth_status status,
                  const char *words)
{
    struct berth_model *model;
    struct berth_error err = {0};
    enum berth_status got = berth_model_open(name, options, &model, &err);
    assert_null(model);
    if (got != status || err.status != status || !strstr(err.message, words))
        fail_msg("status %d, not %d, or no '%s' in: %s", (int)got, (int)status, words, err.message);
}
