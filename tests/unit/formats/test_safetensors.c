/* test_safetensors.c: the reader against good and hostile headers, the writer against the reader. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/weights_support.h"

static void open_sample_gives_its_tensors_as_views(void **state)
{
    (void)state;
    struct bytes file = {0};
    sample_safetensors(&file);
    struct opened opened = open_bytes(&file);
    assert_int_equal(opened.status, BERTH_OK);
    check_sample(opened.checkpoint);
    assert_string_equal(berth_checkpoint_metadata(opened.checkpoint, "format"), "pt");
    assert_null(berth_checkpoint_metadata(opened.checkpoint, "missing"));
    const struct berth_tensor *half = berth_checkpoint_find(opened.checkpoint, "half");
    assert_ptr_equal(half->data, opened.copy + file.size - 4);
    struct berth_tensor copy = *half;
    assert_string_equal(berth_checkpoint_file_of(opened.checkpoint, &copy), "weights");
    berth_checkpoint_forget(opened.checkpoint, half); /* borrowed memory: nothing happens */
    check_sample(opened.checkpoint);
    close_opened(&opened);
    bytes_free(&file);
}

static void open_hostile_header_is_refused_by_name(void **state)
{
    (void)state;
#define ONE(dtype, shape, offsets) \
    "{\"w\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"
    static const struct {
        const char *header, *words;
        enum berth_status status;
    } cases[] = {
        {ONE("\"F33\"", "[2]", "[0,8]"), "'w' has dtype 'F33'", BERTH_UNSUPPORTED},
        {ONE("\"F8_E4M3\"", "[8]", "[0,8]"), "'w' has dtype 'F8_E4M3'", BERTH_UNSUPPORTED},
        {ONE("32", "[2]", "[0,8]"), "'w': \"dtype\" is not a string", BERTH_FORMAT},
        {ONE("\"F32\"", "2", "[0,8]"), "'w': \"shape\" is not an array", BERTH_FORMAT},
        {ONE("\"F32\"", "[2.0]", "[0,8]"), "'w' has an impossible shape [2.0]", BERTH_FORMAT},
        {ONE("\"F32\"", "[-2]", "[0,8]"), "'w' has an impossible shape [-2]", BERTH_FORMAT},
        {ONE("\"F32\"", "[\"2\"]", "[0,8]"), "'w' has an impossible shape", BERTH_FORMAT},
        {ONE("\"F32\"", "[4294967296,4294967296]", "[0,0]"), "impossible shape", BERTH_FORMAT},
        {ONE("\"F32\"", "[4611686018427387906]", "[0,8]"), "impossible shape", BERTH_FORMAT},
        {ONE("\"F32\"", "[9223372036854775807,2,2]", "[0,8]"), "impossible shape", BERTH_FORMAT},
        {ONE("\"F32\"", "[99999999999999999999]", "[0,8]"), "malformed JSON", BERTH_FORMAT},
        {ONE("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), "'w' has 9 dimensions", BERTH_UNSUPPORTED},
        {ONE("\"F32\"", "[3]", "[0,8]"), "'w' is f32[3], which is 12 bytes, but its data has 8",
         BERTH_FORMAT},
        {ONE("\"F16\"", "[2]", "[0,8]"), "'w' is f16[2], which is 4 bytes", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[0,9]"), "'w' lies at [0,9], but the file has 8 bytes", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[8,0]"), "'w' lies at [8,0]", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[9223372036854775800,9223372036854775807]"), "'w' lies at", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[-8,0]"), "\"data_offsets\" is not a pair", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[0,8,8]"), "\"data_offsets\" is not a pair", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "[0.0,8.0]"), "\"data_offsets\" is not a pair", BERTH_FORMAT},
        {ONE("\"F32\"", "[2]", "null"), "\"data_offsets\" is not a pair", BERTH_FORMAT},
        {ONE("\"F32\"", "[1]", "[0,4]"), "no tensor describes the last 4 bytes", BERTH_FORMAT},
        {ONE("\"F32\"", "[1]", "[4,8]"), "no tensor describes the 4 bytes before 'w'", BERTH_FORMAT},
        {"{\"w\":{}}", "'w': \"dtype\"", BERTH_FORMAT},
        {"{\"w\":[]}", "'w' is not described by an object", BERTH_FORMAT},
        {"{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "name is empty", BERTH_FORMAT},
        {"{}", "no tensor describes the last 8 bytes", BERTH_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
         "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "tensors 'a' and 'b' overlap", BERTH_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
         "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
         "duplicate object key", BERTH_FORMAT},
        {"{\"__metadata__\":[]}", "\"__metadata__\" is not an object", BERTH_FORMAT},
        {"{\"__metadata__\":{\"n\":1}}", "\"__metadata__\": 'n' is not a string", BERTH_FORMAT},
        {"{\"w\":{\"dtype\":\"F32\"", "malformed JSON", BERTH_FORMAT},
        {"{\"w\":{}} {", "malformed JSON", BERTH_FORMAT},
        {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "malformed JSON",
         BERTH_FORMAT},
        {"{\"\xff\":1}", "malformed JSON", BERTH_FORMAT},
        {"{\"a\":[[[[[[[[[[1]]]]]]]]]]}", "nested deeper", BERTH_LIMIT},
        {"[]", "neither a safetensors file nor", BERTH_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = {0};
        safetensors_of(&file, cases[i].header, 8);
        expect_refused(&file, cases[i].status, cases[i].words);
        bytes_free(&file);
    }
    struct bytes good = {0}; /* the checker's control: the same frame with right values opens */
    safetensors_of(&good, ONE("\"F32\"", "[2]", "[0,8]"), 8);
    struct opened opened = open_bytes(&good);
    assert_int_equal(opened.status, BERTH_OK);
    close_opened(&opened);
    bytes_free(&good);
}

static void open_hostile_length_is_refused(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {UINT64_MAX,        UINT64_MAX - 7, UINT64_MAX - 8,
                                       (uint64_t)1 << 63, 100000001,      1000};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        struct bytes file = {0};
        bytes_number(&file, lengths[i], 8);
        bytes_text(&file, "{}");
        expect_refused(&file, BERTH_FORMAT, "the header is said to have");
        bytes_free(&file);
    }
    struct bytes file = {0};
    expect_refused(&file, BERTH_FORMAT, "the file is empty");
    bytes_text(&file, "1234567");
    expect_refused(&file, BERTH_FORMAT, "7 bytes are no weight file");
    bytes_free(&file);
    bytes_number(&file, 0, 8);
    expect_refused(&file, BERTH_FORMAT, "malformed JSON");
    bytes_text(&file, "{");
    expect_refused(&file, BERTH_FORMAT, "malformed JSON");
    bytes_free(&file);
    bytes_text(&file, "version https://git-lfs.github.com/spec/v1\noid sha256:0\n");
    expect_refused(&file, BERTH_FORMAT, "Git LFS pointer");
    bytes_free(&file);
}

static void open_header_of_many_values_is_refused_before_parsing(void **state)
{
    (void)state;
    struct bytes file = {0}, header = {0};
    bytes_text(&header, "{\"w\":[");
    for (size_t i = 0; i < 2 << 20; i++)
        bytes_text(&header, "{},");
    bytes_text(&header, "0]}");
    bytes_number(&file, header.size, 8);
    bytes_put(&file, header.data, header.size);
    expect_refused(&file, BERTH_LIMIT, "more than 2097152 values");
    bytes_free(&header);
    bytes_free(&file);
}

static void open_mutated_sample_is_refused_or_readable(void **state)
{
    (void)state;
    struct bytes file = {0};
    sample_safetensors(&file);
    size_t refused = check_mutations(&file);
    assert_true(refused > file.size); /* every truncation, and most changes of the header */
    bytes_free(&file);
}

static void open_empty_tensors_and_spaces_is_right(void **state)
{
    (void)state;
    struct bytes file = {0};
    safetensors_of(&file,
                   "{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4],\"data_offsets\":[4,4]},"
                   "\"b\":{\"data_offsets\":[0,4],\"shape\":[2,1,2],\"dtype\":\"U8\"}}   ",
                   4);
    struct opened opened = open_bytes(&file);
    assert_int_equal(opened.status, BERTH_OK);
    assert_int_equal(berth_checkpoint_find(opened.checkpoint, "a")->bytes, 0);
    assert_memory_equal(berth_checkpoint_find(opened.checkpoint, "b")->data, "\0\1\2\3", 4);
    close_opened(&opened);
    bytes_free(&file);
}

/* --- writing */

static void make_path(char path[64])
{
    strcpy(path, "/tmp/berth-safetensors-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
}

static void write_then_open_gives_the_same_tensors(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    const float numbers[6] = {0, -1, 2, 3, 4, 5};
    const int64_t step = -3;
    const struct berth_tensor tensors[] = {
        {.name = "z \"quoted\" \xc3\xa9",
         .dtype = BERTH_DTYPE_F32,
         .rank = 2,
         .shape = {2, 3},
         .data = numbers,
         .bytes = 24},
        {.name = "a", .dtype = BERTH_DTYPE_I64, .data = &step, .bytes = 8},
        {.name = "nothing", .dtype = BERTH_DTYPE_BF16, .rank = 1, .shape = {0}},
    };
    const char *metadata[] = {"format", "pt", "loss", "0.5", NULL};
    struct berth_error err;
    assert_int_equal(berth_safetensors_write(path, tensors, 3, metadata, &err), BERTH_OK);
    struct berth_checkpoint *checkpoint;
    assert_int_equal(berth_checkpoint_open_file(path, &checkpoint, &err), BERTH_OK);
    assert_int_equal(berth_checkpoint_count(checkpoint), 3);
    const struct berth_tensor *first = berth_checkpoint_find(checkpoint, tensors[0].name);
    assert_true(first && (uintptr_t)first->data % 8 == 0); /* the header is padded */
    assert_memory_equal(first->data, numbers, sizeof numbers);
    berth_checkpoint_forget(checkpoint, first);
    assert_memory_equal(first->data, numbers, sizeof numbers);
    assert_memory_equal(berth_checkpoint_find(checkpoint, "a")->data, &step, 8);
    assert_string_equal(berth_checkpoint_metadata(checkpoint, "loss"), "0.5");
    berth_checkpoint_close(checkpoint);
    unlink(path);
}

static void write_wrong_tensors_is_refused_and_writes_nothing(void **state)
{
    (void)state;
    char path[64];
    make_path(path);
    const char byte = 0;
    static const struct {
        struct berth_tensor tensor;
        const char *words;
    } cases[] = {
        {{.name = "w", .dtype = BERTH_DTYPE_F32, .rank = 1, .shape = {1}, .bytes = 1},
         "1 bytes are not what its shape"},
        {{.name = "w", .dtype = BERTH_DTYPE_F32, .rank = 2, .shape = {SIZE_MAX, 2}, .bytes = 1},
         "not what its shape"},
        {{.name = "", .dtype = BERTH_DTYPE_U8, .bytes = 1}, "empty, reserved"},
        {{.name = "__metadata__", .dtype = BERTH_DTYPE_U8, .bytes = 1}, "empty, reserved"},
        {{.name = "\xff", .dtype = BERTH_DTYPE_U8, .bytes = 1}, "not UTF-8"},
        {{.name = "w", .dtype = BERTH_DTYPE_U8, .rank = 9, .bytes = 1}, "not what its shape"},
    };
    struct berth_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct berth_tensor tensor = cases[i].tensor;
        tensor.data = &byte;
        assert_int_equal(berth_safetensors_write(path, &tensor, 1, NULL, &err), BERTH_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, cases[i].words));
        assert_non_null(strstr(err.message, path));
        assert_int_equal(access(path, F_OK), -1);
    }
    struct berth_tensor twice[2] = {{.name = "w", .dtype = BERTH_DTYPE_U8, .data = &byte, .bytes = 1},
                                    {.name = "w", .dtype = BERTH_DTYPE_U8, .data = &byte, .bytes = 1}};
    assert_int_equal(berth_safetensors_write(path, twice, 2, NULL, &err), BERTH_INVALID_ARGUMENT);
    assert_int_equal(berth_safetensors_write("/nonexistent/x", twice, 1, NULL, &err), BERTH_NOT_FOUND);
    assert_int_equal(access(path, F_OK), -1);
}

/* A limit on the size of files stands for a full disk: the write fails in the middle. */
static void write_that_fails_half_way_leaves_nothing(void **state)
{
    (void)state;
    char folder[] = "/tmp/berth-safetensors-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    enum { SIZE = 1 << 20 };
    void *data = calloc(1, SIZE);
    const struct berth_tensor tensor = {
        .name = "w", .dtype = BERTH_DTYPE_U8, .rank = 1, .shape = {SIZE}, .data = data, .bytes = SIZE};
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){4096, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct berth_error err;
    enum berth_status status = berth_safetensors_write(path, &tensor, 1, NULL, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(status, BERTH_IO);
    assert_non_null(strstr(err.message, "cannot write: File too large"));
    free(data);
    assert_int_equal(rmdir(folder), 0); /* it is empty */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_sample_gives_its_tensors_as_views),
        cmocka_unit_test(open_hostile_header_is_refused_by_name),
        cmocka_unit_test(open_hostile_length_is_refused),
        cmocka_unit_test(open_header_of_many_values_is_refused_before_parsing),
        cmocka_unit_test(open_mutated_sample_is_refused_or_readable),
        cmocka_unit_test(open_empty_tensors_and_spaces_is_right),
        cmocka_unit_test(write_then_open_gives_the_same_tensors),
        cmocka_unit_test(write_wrong_tensors_is_refused_and_writes_nothing),
        cmocka_unit_test(write_that_fails_half_way_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
