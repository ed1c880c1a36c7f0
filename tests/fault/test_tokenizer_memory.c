/* test_tokenizer_memory.c: each allocation of opening, encoding and decoding fails in turn: one sentence,
 * nothing leaked; and encoding allocates nothing once it has grown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "text/tokenizer.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static long calls, fail_at = -1; /* the call that returns NULL; -1: none */

void *__wrap_malloc(size_t size)
{
    return calls++ == fail_at ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return calls++ == fail_at ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return calls++ == fail_at ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return calls++ == fail_at ? NULL : __real_aligned_alloc(alignment, size);
}

/* jansson's own allocations come through here too. Its parser does not look at all of its failures, and then
 * reads on with a part of a string. */
static bool failed_in_jansson;

static void *allocate(size_t size)
{
    failed_in_jansson |= calls == fail_at;
    return __wrap_malloc(size);
}

static const char tokens[] = "[UNK]\n[CLS]\n[SEP]\nhello\n##s\na\xff\n";
static const char config[] =
    "{\"cls_token\": \"[CLS]\", \"added_tokens_decoder\": {\"9\": {\"content\": \"New\"}}}";
static const char whole[] =
    "{\"model\": {\"vocab\": {\"[UNK]\": 0, \"hello\": 3}, \"unk_token\": \"[UNK]\", "
    "\"continuing_subword_prefix\": \"##\"}}";

static char folder[64];

static void put(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/berth-memory-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    put("vocab.txt", tokens);
    put("tokenizer.json", whole);
    put("tokenizer_config.json", config);
    put("added_tokens.json", "{\"Other\": 8}");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"vocab.txt", "tokenizer.json", "tokenizer_config.json",
                                        "added_tokens.json"};
    for (size_t i = 0; i < 4; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

/* Opens, encodes and decodes. */
static enum berth_status work(struct berth_error *err)
{
    struct berth_tokenizer *tokenizer;
    struct berth_encoding encoding = {0};
    char *text = NULL;
    static char long_text[4096];
    memset(long_text, '!', sizeof long_text);
    enum berth_status status = berth_tokenizer_open(folder, NULL, &tokenizer, err);
    if (status != BERTH_OK) {
        assert_null(tokenizer);
        return status;
    }
    status =
        berth_tokenizer_encode(tokenizer, long_text, sizeof long_text, "hellos new", 10, 0, &encoding, err);
    if (status == BERTH_OK)
        status = berth_tokenizer_decode(tokenizer, encoding.ids, encoding.size, false, true, &text, err);
    berth_free(text);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
    return status;
}

static void tokenizer_each_allocation_may_fail(void **state)
{
    (void)state;
    long at = 0, refused = 0;
    for (bool reached = true; reached; at++) {
        struct berth_error err = {0};
        failed_in_jansson = false;
        calls = 0;
        fail_at = at;
        const enum berth_status status = work(&err);
        fail_at = -1;
        reached = calls > at;
        if (!reached)
            assert_int_equal(status, BERTH_OK);
        else if (!failed_in_jansson)
            assert_int_equal(status, BERTH_NO_MEMORY);
        refused += status != BERTH_OK;
        assert_true(status == BERTH_OK || strlen(err.message) > 10);
    }
    assert_true(at > 50 && refused > at / 2);
}

static void encode_again_allocates_nothing(void **state)
{
    (void)state;
    struct berth_tokenizer *tokenizer;
    struct berth_encoding encoding = {0};
    static const char text[] = "hellos \xc3\x89t\xc3\xa9 \xe4\xb8\xad [SEP] New zzz hello hello hello";
    assert_int_equal(berth_tokenizer_open(folder, NULL, &tokenizer, NULL), BERTH_OK);
    assert_int_equal(
        berth_tokenizer_encode(tokenizer, text, sizeof text - 1, text, sizeof text - 1, 0, &encoding, NULL),
        BERTH_OK);
    calls = 0;
    for (size_t size = 0; size < sizeof text; size++)
        assert_int_equal(berth_tokenizer_encode(tokenizer, text, size, text, size, size + 3, &encoding, NULL),
                         BERTH_OK);
    assert_int_equal(calls, 0);
    berth_encoding_clear(&encoding);
    berth_tokenizer_free(tokenizer);
}

int main(void)
{
    json_set_alloc_funcs(allocate, free);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokenizer_each_allocation_may_fail),
        cmocka_unit_test(encode_again_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
