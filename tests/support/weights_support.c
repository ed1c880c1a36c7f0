/* weights_support.c: see the header. */
#include "support/weights_support.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* --- bytes
 * --------------------------------------------------------------------------------------------------- */

void bytes_put(struct bytes *bytes, const void *data, size_t size)
{
    if (bytes->size + size > bytes->capacity) {
        bytes->capacity = 2 * bytes->capacity + size + 64;
        bytes->data = realloc(bytes->data, bytes->capacity);
        assert_non_null(bytes->data);
    }
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

void bytes_text(struct bytes *bytes, const char *text)
{
    bytes_put(bytes, text, strlen(text));
}

void bytes_number(struct bytes *bytes, uint64_t number, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        unsigned char byte = (unsigned char)(number >> (8 * i));
        bytes_put(bytes, &byte, 1);
    }
}

void bytes_free(struct bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct bytes){0};
}

struct bytes bytes_copy(const struct bytes *bytes)
{
    struct bytes copy = {0};
    bytes_put(&copy, bytes->data, bytes->size);
    return copy;
}

size_t bytes_find(const struct bytes *bytes, const void *data, size_t size)
{
    const unsigned char *at = memmem(bytes->data, bytes->size, data, size);
    assert_non_null(at);
    return (size_t)(at - bytes->data);
}

void bytes_replace(struct bytes *bytes, const void *from, size_t from_size, const void *to, size_t to_size)
{
    size_t at = bytes_find(bytes, from, from_size);
    struct bytes changed = {0};
    bytes_put(&changed, bytes->data, at);
    bytes_put(&changed, to, to_size);
    bytes_put(&changed, bytes->data + at + from_size, bytes->size - at - from_size);
    bytes_free(bytes);
    *bytes = changed;
}

/* --- opening
 * ------------------------------------------------------------------------------------------------- */

struct opened open_bytes(const struct bytes *bytes)
{
    struct opened opened = {.copy = malloc(bytes->size ? bytes->size : 1)};
    assert_non_null(opened.copy);
    if (bytes->size > 0)
        memcpy(opened.copy, bytes->data, bytes->size);
    opened.status =
        berth_checkpoint_open_memory("weights", opened.copy, bytes->size, &opened.checkpoint, &opened.err);
    return opened;
}

void close_opened(struct opened *opened)
{
    berth_checkpoint_close(opened->checkpoint);
    free(opened->copy);
    *opened = (struct opened){0};
}

void expect_refused(const struct bytes *bytes, enum berth_status status, const char *words)
{
    struct opened opened = open_bytes(bytes);
    if (opened.status != status || !strstr(opened.err.message, words))
        fail_msg("want status %d and '%s', got %d: %s", (int)status, words, (int)opened.status,
                 opened.status ? opened.err.message : "(opened)");
    assert_int_equal(strncmp(opened.err.message, "weights: ", 9), 0);
    assert_null(opened.checkpoint);
    close_opened(&opened);
}

/* Reads every byte that the tensors claim; a sanitizer tells when one is not theirs. */
static unsigned touch(const struct berth_checkpoint *checkpoint)
{
    unsigned sum = 0;
    for (size_t i = 0; i < berth_checkpoint_count(checkpoint); i++) {
        const struct berth_tensor *tensor = berth_checkpoint_at(checkpoint, i);
        size_t elements = 1;
        for (size_t d = 0; d < tensor->rank; d++)
            elements *= tensor->shape[d];
        assert_int_equal(tensor->elements, elements);
        assert_int_equal(tensor->bytes, elements * berth_dtype_size(tensor->dtype));
        for (size_t k = 0; k < tensor->bytes; k++)
            sum += ((const unsigned char *)tensor->data)[k];
    }
    return sum;
}

static size_t check_one(const struct bytes *bytes)
{
    struct opened opened = open_bytes(bytes);
    size_t refused = opened.status != BERTH_OK;
    if (refused)
        assert_true(strncmp(opened.err.message, "weights: ", 9) == 0 && strlen(opened.err.message) > 15);
    else
        (void)touch(opened.checkpoint);
    close_opened(&opened);
    return refused;
}

size_t check_mutations(const struct bytes *bytes)
{
    static const unsigned char values[] = {0, 1, 0x20, 0x7f, 0x80, 0xff, '.', '(', '9', '-'};
    size_t refused = 0;
    for (size_t size = 0; size < bytes->size; size++)
        refused += check_one(&(struct bytes){bytes->data, size, size});
    for (size_t at = 0; at < bytes->size; at++) {
        unsigned char right = bytes->data[at];
        for (size_t i = 0; i < sizeof values; i++) {
            bytes->data[at] = values[i];
            refused += check_one(bytes);
        }
        for (int bit = 0; bit < 8; bit += 3) {
            bytes->data[at] = (unsigned char)(right ^ (1 << bit));
            refused += check_one(bytes);
        }
        bytes->data[at] = right;
    }
    return refused;
}

/* --- safetensors
 * --------------------------------------------------------------------------------------------- */

void safetensors_of(struct bytes *bytes, const char *header, size_t data_size)
{
    bytes_number(bytes, strlen(header), 8);
    bytes_text(bytes, header);
    for (size_t i = 0; i < data_size; i++)
        bytes_number(bytes, i & 0xff, 1);
}

/* --- pickles
 * ------------------------------------------------------------------------------------------------- */

void pickle_text(struct bytes *bytes, const char *text)
{
    bytes_text(bytes, "X");
    bytes_number(bytes, strlen(text), 4);
    bytes_text(bytes, text);
}

void pickle_int(struct bytes *bytes, int64_t number)
{
    if (number >= 0 && number < 256) {
        bytes_text(bytes, "K");
        bytes_number(bytes, (uint64_t)number, 1);
    } else if (number >= INT32_MIN && number <= INT32_MAX) {
        bytes_text(bytes, "J");
        bytes_number(bytes, (uint64_t)number, 4);
    } else {
        bytes_text(bytes, "\x8a\x08");
        bytes_number(bytes, (uint64_t)number, 8);
    }
}

void pickle_storage(struct bytes *bytes, const struct torch_storage *storage)
{
    bytes_text(bytes, "(");
    pickle_text(bytes, "storage");
    bytes_text(bytes, "ctorch\n");
    bytes_text(bytes, storage->type);
    bytes_text(bytes, "\n");
    pickle_text(bytes, storage->key);
    pickle_text(bytes, "cpu");
    pickle_int(bytes, (int64_t)storage->elements);
    bytes_text(bytes, "tQ");
}

static void pickle_sizes(struct bytes *bytes, size_t rank, const int64_t *sizes)
{
    bytes_text(bytes, "(");
    for (size_t i = 0; i < rank; i++)
        pickle_int(bytes, sizes[i]);
    bytes_text(bytes, "t");
}

void pickle_tensor(struct bytes *bytes, const struct torch_storage *storage, int64_t offset, size_t rank,
                   const int64_t *size, const int64_t *stride)
{
    bytes_text(bytes, "ctorch._utils\n_rebuild_tensor_v2\n(");
    pickle_storage(bytes, storage);
    pickle_int(bytes, offset);
    pickle_sizes(bytes, rank, size);
    pickle_sizes(bytes, rank, stride);
    bytes_text(bytes,
               "\x89"
               "ccollections\nOrderedDict\n)RtR");
}

/* --- the zip form
 * -------------------------------------------------------------------------------------------- */

static void zip_entry(struct bytes *file, struct bytes *directory, const char *name, const void *data,
                      size_t size, bool zip64)
{
    size_t at = file->size;
    bytes_text(file, "PK\3\4");
    bytes_number(file, 0x08080000, 4); /* version 0; sizes follow, UTF-8 */
    bytes_number(file, 0, 2 + 4);      /* stored; no date */
    bytes_number(file, 0, 4);          /* checksum and sizes follow the data: nobody reads them there */
    bytes_number(file, 0, 8);
    bytes_number(file, strlen(name), 2);
    bytes_number(file, 0, 2);
    bytes_text(file, name);
    bytes_put(file, data, size);
    bytes_text(directory, "PK\1\2");
    bytes_number(directory, 0, 2);
    bytes_number(directory, 0x08080000, 4);
    bytes_number(directory, 0, 2 + 4);
    bytes_number(directory, 0, 4);
    bytes_number(directory, zip64 ? UINT32_MAX : size, 4);
    bytes_number(directory, zip64 ? UINT32_MAX : size, 4);
    bytes_number(directory, strlen(name), 2);
    bytes_number(directory, zip64 ? 28 : 0, 2);
    bytes_number(directory, 0, 2 + 2 + 2);
    bytes_number(directory, 0, 4);
    bytes_number(directory, zip64 ? UINT32_MAX : at, 4);
    bytes_text(directory, name);
    if (zip64) {
        bytes_number(directory, 1, 2);
        bytes_number(directory, 24, 2);
        bytes_number(directory, size, 8);
        bytes_number(directory, size, 8);
        bytes_number(directory, at, 8);
    }
}

static void zip_end(struct bytes *file, const struct bytes *directory, size_t count, bool zip64)
{
    size_t at = file->size;
    bytes_put(file, directory->data, directory->size);
    size_t end64 = file->size;
    if (zip64) {
        bytes_text(file, "PK\6\6");
        bytes_number(file, 44, 8);
        bytes_number(file, 0, 4);
        bytes_number(file, 0, 8);
        bytes_number(file, count, 8);
        bytes_number(file, count, 8);
        bytes_number(file, directory->size, 8);
        bytes_number(file, at, 8);
        bytes_text(file, "PK\6\7");
        bytes_number(file, 0, 4);
        bytes_number(file, end64, 8);
        bytes_number(file, 1, 4);
    }
    bytes_text(file, "PK\5\6");
    bytes_number(file, 0, 4);
    bytes_number(file, zip64 ? UINT16_MAX : count, 2);
    bytes_number(file, zip64 ? UINT16_MAX : count, 2);
    bytes_number(file, zip64 ? UINT32_MAX : directory->size, 4);
    bytes_number(file, zip64 ? UINT32_MAX : at, 4);
    bytes_number(file, 0, 2);
}

static void build_zip(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                      size_t count, bool zip64)
{
    struct bytes directory = {0};
    zip_entry(bytes, &directory, "archive/data.pkl", pickle->data, pickle->size, zip64);
    zip_entry(bytes, &directory, "archive/byteorder", "little", 6, zip64);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        snprintf(name, sizeof name, "archive/data/%s", storages[i].key);
        zip_entry(bytes, &directory, name, storages[i].data, storages[i].bytes, zip64);
    }
    zip_entry(bytes, &directory, "archive/version", "3\n", 2, zip64);
    zip_end(bytes, &directory, count + 3, zip64);
    bytes_free(&directory);
}

void torch_zip_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                  size_t count)
{
    build_zip(bytes, pickle, storages, count, false);
}

void torch_zip64_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                    size_t count)
{
    build_zip(bytes, pickle, storages, count, true);
}

/* --- the older form
 * ------------------------------------------------------------------------------------------ */

void torch_older_of(struct bytes *bytes, const struct bytes *pickle, const struct torch_storage *storages,
                    size_t count)
{
    static const unsigned char magic[] = {0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c, 0x46,
                                          0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, '.'};
    bytes_put(bytes, magic, sizeof magic);
    bytes_text(bytes, "\x80\x02M\xe9\x03.");
    bytes_text(bytes, "\x80\x02}q");
    bytes_number(bytes, 0, 1);
    bytes_text(bytes, "(");
    pickle_text(bytes, "protocol_version");
    bytes_text(bytes, "M\xe9\x03");
    pickle_text(bytes, "little_endian");
    bytes_text(bytes, "\x88u.");
    bytes_put(bytes, pickle->data, pickle->size);
    bytes_text(bytes, "\x80\x02](");
    for (size_t i = 0; i < count; i++)
        pickle_text(bytes, storages[i].key);
    bytes_text(bytes, "e.");
    for (size_t i = 0; i < count; i++) {
        bytes_number(bytes, storages[i].elements, 8);
        bytes_put(bytes, storages[i].data, storages[i].bytes);
    }
}

/* --- the sample
 * ---------------------------------------------------------------------------------------------- */

static const float matrix[6] = {0, 1, 2, 3, 4, 5};
static const float transposed[6] = {0, 3, 1, 4, 2, 5};
static const uint16_t halves[2] = {0x3c00, 0xc000}; /* 1, -2 */
static const int64_t step = 7;

const struct torch_storage sample_storages[3] = {
    {"FloatStorage", "0", 6, matrix, sizeof matrix},
    {"HalfStorage", "1", 2, halves, sizeof halves},
    {"LongStorage", "2", 1, &step, sizeof step},
};

void sample_safetensors(struct bytes *bytes)
{
    safetensors_of(bytes,
                   "{\"__metadata__\":{\"format\":\"pt\"},"
                   "\"step\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[0,8]},"
                   "\"matrix\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[8,32]},"
                   "\"transpose\":{\"dtype\":\"F32\",\"shape\":[3,2],\"data_offsets\":[32,56]},"
                   "\"tail\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[56,64]},"
                   "\"half\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[64,68]}}",
                   0);
    bytes_put(bytes, &step, sizeof step);
    bytes_put(bytes, matrix, sizeof matrix);
    bytes_put(bytes, transposed, sizeof transposed);
    bytes_put(bytes, matrix + 4, 2 * sizeof *matrix);
    bytes_put(bytes, halves, sizeof halves);
}

void sample_pickle(struct bytes *bytes)
{
    bytes_text(bytes,
               "\x80\x02"
               "ccollections\nOrderedDict\n)Rq");
    bytes_number(bytes, 0, 1);
    bytes_text(bytes, "(");
    pickle_text(bytes, "matrix");
    pickle_tensor(bytes, &sample_storages[0], 0, 2, (int64_t[]){2, 3}, (int64_t[]){3, 1});
    pickle_text(bytes, "transpose");
    bytes_text(bytes, "ctorch._utils\n_rebuild_parameter\n");
    pickle_tensor(bytes, &sample_storages[0], 0, 2, (int64_t[]){3, 2}, (int64_t[]){1, 3});
    bytes_text(bytes, "\x88N\x87R");
    pickle_text(bytes, "tail");
    pickle_tensor(bytes, &sample_storages[0], 4, 1, (int64_t[]){2}, (int64_t[]){1});
    pickle_text(bytes, "half");
    pickle_tensor(bytes, &sample_storages[1], 0, 1, (int64_t[]){2}, (int64_t[]){1});
    pickle_text(bytes, "step");
    pickle_tensor(bytes, &sample_storages[2], 0, 0, NULL, NULL);
    bytes_text(bytes, "u}"); /* and a _metadata attribute, as nn.Module.state_dict leaves it */
    pickle_text(bytes, "_metadata");
    bytes_text(bytes, "h");
    bytes_number(bytes, 0, 1);
    bytes_text(bytes, "sb.");
}

static void check_tensor(const struct berth_checkpoint *checkpoint, const char *name, const char *shape,
                         const void *data)
{
    const struct berth_tensor *tensor = berth_checkpoint_find(checkpoint, name);
    char text[64];
    assert_non_null(tensor);
    assert_string_equal(tensor->name, name);
    assert_string_equal(berth_tensor_describe(tensor, text, sizeof text), shape);
    assert_memory_equal(tensor->data, data, tensor->bytes);
}

void check_sample(const struct berth_checkpoint *checkpoint)
{
    assert_int_equal(berth_checkpoint_count(checkpoint), 5);
    check_tensor(checkpoint, "matrix", "f32[2,3]", matrix);
    check_tensor(checkpoint, "transpose", "f32[3,2]", transposed);
    check_tensor(checkpoint, "tail", "f32[2]", matrix + 4);
    check_tensor(checkpoint, "half", "f16[2]", halves);
    check_tensor(checkpoint, "step", "i64[]", &step);
    assert_null(berth_checkpoint_find(checkpoint, "matri"));
    for (size_t i = 1; i < 5; i++)
        assert_true(strcmp(berth_checkpoint_at(checkpoint, i - 1)->name,
                           berth_checkpoint_at(checkpoint, i)->name) < 0);
}
