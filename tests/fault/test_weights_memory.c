/* test_weights_memory.c: each allocation of reading and writing model files fails in turn: the call says so,
 * hands out nothing and leaks nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/hf_config.h"
#include "support/fault.h"
#include "support/weights_support.h"

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
    fault_each(open_file, &file, 8, 0);
    bytes_free(&file);
    sample_pickle(&pickle);
    torch_zip_of(&file, &pickle, sample_storages, 3);
    fault_each(open_file, &file, 12, 0);
    bytes_free(&file);
    torch_older_of(&file, &pickle, sample_storages, 3);
    fault_each(open_file, &file, 12, 0);
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
    fault_each(write_file, weights, 10, 1); /* spare: the name of the folder to sync */
    FILE *file = fopen(index, "wb");
    assert_non_null(file);
    fputs("{\"weight_map\":{\"w\":\"a.safetensors\"}}", file);
    assert_int_equal(fclose(file), 0);
    fault_each(open_folder, folder, 15, 0);
    assert_int_equal(unlink(weights) | unlink(index) | rmdir(folder), 0); /* no half-written file is left */
}

static void parse_config_survives_each_failure(void **state)
{
    (void)state;
    char json[] = "{\"model_type\":\"bert\",\"id2label\":{\"0\":\"a\",\"1\":\"b\"},\"new_thing\":1}";
    fault_each(parse_config, json, 10, 0);
}

int main(void)
{
    fault_watch_json(); /* jansson's allocations fail in turn too */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_weights_survives_each_failure),
        cmocka_unit_test(write_and_open_folder_survives_each_failure),
        cmocka_unit_test(parse_config_survives_each_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
