/* test_weights_memory.c: each allocation of reading and writing model files fails in turn: the call says so,
 * hands out nothing and leaks nothing (the leak checker of a sanitizer build tells). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/hf_config.h"
#include "support/weights_support.h"

static long countdown;     /* allocations until one fails; 0: none does */
static bool parser_failed; /* the failed one was jansson's, which may call it a malformed text */

static bool fails(void)
{
    return countdown > 0 && --countdown == 0;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails() ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

static void *parser_malloc(size_t size)
{
    void *block = __wrap_malloc(size);
    parser_failed |= !block;
    return block;
}

typedef enum berth_status operation(void *context, struct berth_error *err);

/* Runs the operation with the n-th allocation failing, for n = 1, 2, ... until it needs fewer. `spare` of
 * them are for something that may fail without harm. */
static void check_each_failure(operation *run, void *context, long at_least, long spare)
{
    for (long n = 1;; n++) {
        struct berth_error err = {0};
        parser_failed = false;
        countdown = n;
        enum berth_status status = run(context, &err);
        bool failed = countdown == 0;
        countdown = 0;
        if (!failed) {
            assert_int_equal(status, BERTH_OK);
            assert_true(n > at_least && spare == 0);
            return;
        }
        bool expected = parser_failed ? status == BERTH_NO_MEMORY || status == BERTH_FORMAT ||
                                            status == BERTH_INVALID_ARGUMENT
                                      : status == BERTH_NO_MEMORY && strstr(err.message, "out of memory");
        if (status == BERTH_OK && spare > 0)
            spare--;
        else if (!expected || !err.message[0])
            fail_msg("allocation %ld: status %d: %s", n, (int)status, err.message);
    }
}

static enum berth_status open_file(void *context, struct berth_error *err)
{
    const struct bytes *file = context;
    struct berth_checkpoint *checkpoint;
    enum berth_status status =
        berth_checkpoint_open_memory("weights", file->data, file->size, &checkpoint, err);
    if (status != BERTH_OK && checkpoint)
        return BERTH_INTERNAL;
    berth_checkpoint_close(checkpoint);
    return status;
}

static enum berth_status open_folder(void *context, struct berth_error *err)
{
    struct berth_checkpoint *checkpoint;
    enum berth_status status = berth_checkpoint_open(context, &checkpoint, err);
    if (status != BERTH_OK && checkpoint)
        return BERTH_INTERNAL;
    berth_checkpoint_close(checkpoint);
    return status;
}

static enum berth_status write_file(void *context, struct berth_error *err)
{
    static const unsigned char byte;
    static const char *const metadata[] = {"format", "pt", NULL};
    static const struct berth_tensor tensor = {
        .name = "w", .dtype = BERTH_DTYPE_U8, .rank = 1, .shape = {1}, .data = &byte, .bytes = 1};
    return berth_safetensors_write(context, &tensor, 1, metadata, err);
}

static enum berth_status parse_config(void *context, struct berth_error *err)
{
    struct berth_config config;
    enum berth_status status = berth_config_parse("config.json", context, strlen(context), &config, err);
    if (status != BERTH_OK && (config.label_names || config.unrecognised))
        return BERTH_INTERNAL;
    berth_config_clear(&config);
    return status;
}

static void open_weights_survives_each_failure(void **state)
{
    (void)state;
    struct bytes pickle = {0}, file = {0};
    sample_safetensors(&file);
    check_each_failure(open_file, &file, 8, 0);
    bytes_free(&file);
    sample_pickle(&pickle);
    torch_zip_of(&file, &pickle, sample_storages, 3);
    check_each_failure(open_file, &file, 12, 0);
    bytes_free(&file);
    torch_older_of(&file, &pickle, sample_storages, 3);
    check_each_failure(open_file, &file, 12, 0);
    bytes_free(&file);
    bytes_free(&pickle);
}

static void write_and_open_folder_survives_each_failure(void **state)
{
    (void)state;
    char folder[] = "/tmp/berth-memory-XXXXXX", weights[64], index[64];
    assert_non_null(mkdtemp(folder));
    snprintf(weights, sizeof weights, "%s/a.safetensors", folder);
    snprintf(index, sizeof index, "%s/model.safetensors.index.json", folder);
    check_each_failure(write_file, weights, 10, 1); /* spare: the name of the folder to sync */
    FILE *file = fopen(index, "wb");
    assert_non_null(file);
    fputs("{\"weight_map\":{\"w\":\"a.safetensors\"}}", file);
    assert_int_equal(fclose(file), 0);
    check_each_failure(open_folder, folder, 15, 0);
    assert_int_equal(unlink(weights) | unlink(index) | rmdir(folder), 0); /* no half-written file is left */
}

static void parse_config_survives_each_failure(void **state)
{
    (void)state;
    char json[] = "{\"model_type\":\"bert\",\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"new_thing\":1}";
    check_each_failure(parse_config, json, 10, 0);
}

int main(void)
{
    json_set_alloc_funcs(parser_malloc, free); /* jansson's allocations fail in turn too */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_weights_survives_each_failure),
        cmocka_unit_test(write_and_open_folder_survives_each_failure),
        cmocka_unit_test(parse_config_survives_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
