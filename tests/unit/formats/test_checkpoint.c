/* test_checkpoint.c: which files of a folder are the weights, and shards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/weights_support.h"

static char folder[64]; /* of the running test */

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/berth-checkpoint-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *path_of(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static int remove_folder(void **state)
{
    (void)state;
    DIR *entries = opendir(folder);
    for (struct dirent *entry; entries && (entry = readdir(entries));)
        if (entry->d_name[0] != '.')
            (void)remove(path_of(entry->d_name));
    if (entries)
        closedir(entries);
    return rmdir(folder);
}

static void put_file(const char *name, const void *data, size_t size)
{
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put_text(const char *name, const char *text)
{
    put_file(name, text, strlen(text));
}

/* A safetensors file with one u8[1] tensor, whose value is `value`. */
static void put_tensor(const char *name, const char *tensor, unsigned char value)
{
    const struct berth_tensor w = {.name = tensor, .dtype = BERTH_DTYPE_U8, .data = &value, .bytes = 1};
    assert_int_equal(berth_safetensors_write(path_of(name), &w, 1, NULL, NULL), BERTH_OK);
}

static struct berth_checkpoint *open_folder(void)
{
    struct berth_checkpoint *checkpoint;
    struct berth_error err;
    if (berth_checkpoint_open(folder, &checkpoint, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return checkpoint;
}

static void expect_folder_refused(enum berth_status status, const char *words)
{
    struct berth_checkpoint *checkpoint = (void *)1;
    struct berth_error err = {0};
    enum berth_status got = berth_checkpoint_open(folder, &checkpoint, &err);
    if (got != status || !strstr(err.message, words) || !strstr(err.message, folder) || err.status != status)
        fail_msg("want status %d and '%s', got %d: %s", (int)status, words, (int)got, err.message);
    assert_null(checkpoint);
}

static unsigned char value_of(const struct berth_checkpoint *checkpoint, const char *name)
{
    const struct berth_tensor *tensor = berth_checkpoint_find(checkpoint, name);
    assert_non_null(tensor);
    return *(const unsigned char *)tensor->data;
}

static void open_prefers_safetensors_and_one_file(void **state)
{
    (void)state;
    expect_folder_refused(BERTH_NOT_FOUND, "no weights: neither model.safetensors");
    struct bytes pickle = {0}, file = {0};
    sample_pickle(&pickle);
    torch_older_of(&file, &pickle, sample_storages, 3);
    put_file("pytorch_model.bin", file.data, file.size);
    struct berth_checkpoint *checkpoint = open_folder();
    check_sample(checkpoint);
    assert_string_equal(berth_checkpoint_file_of(checkpoint, berth_checkpoint_at(checkpoint, 0)),
                        path_of("pytorch_model.bin"));
    berth_checkpoint_close(checkpoint);
    put_tensor("shard", "w", 2);
    put_text("model.safetensors.index.json", "{\"weight_map\":{\"w\":\"shard\"}}");
    checkpoint = open_folder();
    assert_int_equal(value_of(checkpoint, "w"), 2);
    berth_checkpoint_close(checkpoint);
    put_tensor("model.safetensors", "w", 1);
    checkpoint = open_folder();
    assert_int_equal(value_of(checkpoint, "w"), 1);
    berth_checkpoint_close(checkpoint);
    put_text("model.safetensors", ""); /* a broken file is an error, no reason to take another */
    expect_folder_refused(BERTH_FORMAT, "model.safetensors: the file is empty");
    bytes_free(&pickle);
    bytes_free(&file);
}

static void open_what_is_no_file_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path_of("model.safetensors"), 0700), 0);
    expect_folder_refused(BERTH_IO, "model.safetensors: is a directory");
    struct berth_checkpoint *checkpoint;
    struct berth_error err;
    assert_int_equal(berth_checkpoint_open(path_of("nowhere"), &checkpoint, &err), BERTH_NOT_FOUND);
    assert_non_null(strstr(err.message, "nowhere: no such directory"));
    assert_int_equal(berth_checkpoint_open_file(path_of("nowhere"), &checkpoint, &err), BERTH_NOT_FOUND);
    assert_null(checkpoint);
    berth_checkpoint_close(NULL);
}

static void open_shards_gives_all_tensors(void **state)
{
    (void)state;
    put_tensor("a.safetensors", "x", 1);
    put_tensor("b.safetensors", "y", 2);
    struct bytes pickle = {0}, file = {0};
    sample_pickle(&pickle);
    torch_zip_of(&file, &pickle, sample_storages, 3);
    put_file("c.bin", file.data, file.size); /* the content tells the format, not the name */
    put_text("model.safetensors.index.json",
             "{\"metadata\":{\"total_size\":3},\"weight_map\":{\"y\":\"b.safetensors\","
             "\"x\":\"a.safetensors\",\"matrix\":\"c.bin\",\"tail\":\"c.bin\"}}");
    struct berth_checkpoint *checkpoint = open_folder();
    assert_int_equal(berth_checkpoint_count(checkpoint), 7);
    assert_int_equal(value_of(checkpoint, "x"), 1);
    assert_int_equal(value_of(checkpoint, "y"), 2);
    assert_string_equal(berth_checkpoint_file_of(checkpoint, berth_checkpoint_find(checkpoint, "tail")),
                        path_of("c.bin"));
    berth_checkpoint_close(checkpoint);
    bytes_free(&pickle);
    bytes_free(&file);
}

static void open_hostile_index_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *index, *words;
        enum berth_status status;
    } cases[] = {
        {"{\"weight_map\":{\"x\":\"../a.safetensors\"}}",
         "'x' is said to be in '../a.safetensors', which is no plain file", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"/etc/passwd\"}}", "'/etc/passwd', which is no plain file name",
         BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"sub/a.safetensors\"}}", "no plain file name", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"..\"}}", "no plain file name", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\".\"}}", "no plain file name", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"\"}}", "no plain file name", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":1}}", "no plain file name", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"a.safetensors\\u0000\"}}", "malformed JSON", BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"c.safetensors\"}}", "c.safetensors: cannot open", BERTH_IO},
        {"{\"weight_map\":{\"z\":\"a.safetensors\"}}", "'z' is not in a.safetensors, where the index says",
         BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"b.safetensors\",\"y\":\"a.safetensors\"}}", "'x' is not in b.safetensors",
         BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"a.safetensors\",\"w\":\"a2.safetensors\"}}", "tensor 'x' appears twice",
         BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"a.safetensors\",\"x\":\"b.safetensors\"}}", "duplicate object key",
         BERTH_FORMAT},
        {"{\"weight_map\":{\"x\":\"model.safetensors.index.json\"}}", "index.json: neither a safetensors",
         BERTH_FORMAT},
        {"{\"weight_map\":{}}", "no \"weight_map\" object", BERTH_FORMAT},
        {"{\"weight_map\":[]}", "no \"weight_map\" object", BERTH_FORMAT},
        {"{}", "no \"weight_map\" object", BERTH_FORMAT},
        {"[]", "no \"weight_map\" object", BERTH_FORMAT},
        {"{\"weight_map\":", "malformed JSON", BERTH_FORMAT},
        {"", "malformed JSON", BERTH_FORMAT},
        {"[[[[[[[[[[[[[[[[[[[[[[[[", "nested deeper", BERTH_LIMIT},
    };
    put_tensor("a.safetensors", "x", 1);
    put_tensor("a2.safetensors", "x", 1);
    put_tensor("b.safetensors", "y", 2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put_text("model.safetensors.index.json", cases[i].index);
        expect_folder_refused(cases[i].status, cases[i].words);
    }
}

/* Opening costs no copy of the weights: a sparse file far larger than memory may be opened. */
static void open_huge_file_is_a_view(void **state)
{
    (void)state;
    const uint64_t gigabyte = (uint64_t)1 << 30, size = 64 * gigabyte;
    char header[256];
    snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"U8\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
             (unsigned long long)size, (unsigned long long)size);
    struct bytes file = {0};
    safetensors_of(&file, header, 0);
    put_file("model.safetensors", file.data, file.size);
    if (truncate(path_of("model.safetensors"), (off_t)(file.size + size)) != 0) {
        print_message("no sparse file of %llu bytes here\n", (unsigned long long)size);
        bytes_free(&file);
        skip();
    }
    struct berth_checkpoint *checkpoint = open_folder();
    assert_int_equal(berth_checkpoint_find(checkpoint, "w")->bytes, size);
    assert_int_equal(value_of(checkpoint, "w"), 0);
    berth_checkpoint_close(checkpoint);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(open_prefers_safetensors_and_one_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(open_what_is_no_file_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(open_shards_gives_all_tensors, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(open_hostile_index_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(open_huge_file_is_a_view, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
