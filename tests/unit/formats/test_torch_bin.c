/* test_torch_bin.c: files of torch.save in both forms: what they hold, and everything that must not be
 * believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "support/weights_support.h"

typedef void container(struct bytes *, const struct bytes *, const struct torch_storage *, size_t);

static container *const containers[] = {torch_zip_of, torch_zip64_of, torch_older_of};
enum { CONTAINERS = sizeof containers / sizeof *containers };

static struct bytes sample_of(container *build)
{
    struct bytes pickle = {0}, file = {0};
    sample_pickle(&pickle);
    build(&file, &pickle, sample_storages, 3);
    bytes_free(&pickle);
    return file;
}

/* The pickle, in the given container with the sample's storages. */
static struct bytes wrap(container *build, struct bytes *pickle)
{
    struct bytes file = {0};
    build(&file, pickle, sample_storages, 3);
    bytes_free(pickle);
    return file;
}

static void open_sample_gives_its_tensors_in_every_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTAINERS; i++) {
        struct bytes file = sample_of(containers[i]);
        struct opened opened = open_bytes(&file);
        if (opened.status != BERTH_OK)
            fail_msg("form %zu: %s", i, opened.err.message);
        check_sample(opened.checkpoint);
        const unsigned char *matrix = berth_checkpoint_find(opened.checkpoint, "matrix")->data;
        const unsigned char *tail = berth_checkpoint_find(opened.checkpoint, "tail")->data;
        const unsigned char *transpose = berth_checkpoint_find(opened.checkpoint, "transpose")->data;
        assert_true(matrix > opened.copy && matrix < opened.copy + file.size &&
                    tail == matrix + 16);                                             /* views */
        assert_true(transpose < opened.copy || transpose >= opened.copy + file.size); /* a copy */
        close_opened(&opened);
        bytes_free(&file);
    }
}

static void open_mutated_sample_is_refused_or_readable(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTAINERS; i++) {
        struct bytes file = sample_of(containers[i]);
        assert_true(check_mutations(&file) > file.size);
        bytes_free(&file);
    }
}

/* --- the unpickler */

static void open_forbidden_opcode_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *code, *words;
        enum berth_status status;
    } cases[] = {
        {"cos\nsystem\n(\x8c\4true", "global os.system", BERTH_UNSUPPORTED},
        {"cposix\nsystem\n", "global posix.system", BERTH_UNSUPPORTED},
        {"c__builtin__\neval\n", "global __builtin__.eval", BERTH_UNSUPPORTED},
        {"cbuiltins\ngetattr\n", "global builtins.getattr", BERTH_UNSUPPORTED},
        {"ctorch.serialization\n_get_layout\n", "global torch.serialization._get_layout", BERTH_UNSUPPORTED},
        {"ctorch._utils\n_rebuild_tensor_v3\n", "_rebuild_tensor_v3", BERTH_UNSUPPORTED},
        {"ctorch._utils\n_rebuild_tensor_v\n", "global torch._utils._rebuild_tensor_v ", BERTH_UNSUPPORTED},
        {"ctorch\nFloatStorageX\n", "FloatStorageX", BERTH_UNSUPPORTED},
        {"ctorch FloatStorage\n\n", "global torch FloatStorage.", BERTH_UNSUPPORTED},
        {"\x8c\2os\x8c\6system\x93", "global os.system", BERTH_UNSUPPORTED},
        {"(ios\nsystem\n", "opcode INST", BERTH_UNSUPPORTED},
        {"(o", "opcode OBJ", BERTH_UNSUPPORTED},
        {"ccollections\nOrderedDict\n)\x81", "opcode NEWOBJ ", BERTH_UNSUPPORTED},
        {"\x92", "opcode NEWOBJ_EX", BERTH_UNSUPPORTED},
        {"\x82\1", "opcode EXT1", BERTH_UNSUPPORTED},
        {"\x83", "opcode EXT2", BERTH_UNSUPPORTED},
        {"\x84", "opcode EXT4", BERTH_UNSUPPORTED},
        {"P1\n", "opcode PERSID", BERTH_UNSUPPORTED},
        {"I1\n", "opcode INT", BERTH_UNSUPPORTED},
        {"\x8b\xff\xff\xff\x7f", "opcode LONG4", BERTH_UNSUPPORTED},
        {"\x8e", "opcode BINBYTES8", BERTH_UNSUPPORTED},
        {"\x96", "opcode BYTEARRAY8", BERTH_UNSUPPORTED},
        {"2", "opcode DUP", BERTH_UNSUPPORTED},
        {"\xfe", "no opcode 0xfe", BERTH_FORMAT},
        {"Z", "no opcode 0x5a", BERTH_FORMAT},
        {"ctorch\nFloatStorage\n)R", "a call of torch FloatStorage", BERTH_UNSUPPORTED},
        {"ccollections\nOrderedDict\n(]tR", "an argument of collections OrderedDict", BERTH_UNSUPPORTED},
        {"K\1)R", "a call of something that is no function", BERTH_FORMAT},
        {"ccollections\nOrderedDict\nK\1R", "a call of something that is no function", BERTH_FORMAT},
        {"ctorch._utils\n_rebuild_tensor_v2\n)R", "a tensor without storage", BERTH_FORMAT},
        {"ctorch._utils\n_rebuild_parameter\n(NtR", "a parameter without a tensor", BERTH_FORMAT},
        {"K\1Q", "a persistent object that is no storage", BERTH_UNSUPPORTED},
        {"(\x8c\6moduleNNNNtQ", "a persistent object that is no storage", BERTH_UNSUPPORTED},
        {"(\x8c\7storageNNNNtQ", "a storage without type", BERTH_FORMAT},
        {"R", "nothing is left on the stack", BERTH_FORMAT},
        {"(R", "nothing is left on the stack", BERTH_FORMAT},
        {"(0", "nothing is left on the stack", BERTH_FORMAT},
        {"t", "no mark", BERTH_FORMAT},
        {"u", "no mark", BERTH_FORMAT},
        {"(\x86", "nothing is left on the stack", BERTH_FORMAT},
        {"(N\x86", "a tuple across a mark", BERTH_FORMAT},
        {"s", "nothing is left on the stack", BERTH_FORMAT},
        {"NNs", "items without their list or dictionary", BERTH_FORMAT},
        {"}(Ns", "a mark where an item is meant", BERTH_FORMAT},
        {"}(Nu", "a key without a value", BERTH_FORMAT},
        {"](NuN", "items without their list or dictionary", BERTH_FORMAT},
        {"(q\1", "an impossible memo", BERTH_FORMAT},
        {"q\1", "an impossible memo", BERTH_FORMAT},
        {"Nr\xff\xff\xff\xff", "an impossible memo", BERTH_FORMAT},
        {"h\1", "an empty memo", BERTH_FORMAT},
        {"j\xff\xff\xff\xff", "an empty memo", BERTH_FORMAT},
        {"X\xff\xff\xff\xff"
         "abc",
         "it ends too early", BERTH_FORMAT},
        {"\x80\x09N", "no protocol from 2 to 5", BERTH_FORMAT},
        {"\x80\x01N", "no protocol from 2 to 5", BERTH_FORMAT},
        {"ctorch", "a name without an end", BERTH_FORMAT},
        {"Nb", "items without their list or dictionary", BERTH_FORMAT},
        {"NNb", "items without their list or dictionary", BERTH_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes pickle = {0};
        bytes_text(&pickle, "\x80\x02");
        bytes_text(&pickle, cases[i].code);
        bytes_text(&pickle, ".");
        struct bytes file = wrap(torch_zip_of, &pickle);
        expect_refused(&file, cases[i].status, cases[i].words);
        bytes_free(&file);
    }
}

/* A pickle of one tensor "w" as the arguments describe it; the sample's other storages are mentioned and
 * dropped, for the older form to know them. */
static struct bytes tensor_pickle(const struct torch_storage *storage, int64_t offset, size_t rank,
                                  const int64_t *size, const int64_t *stride)
{
    struct bytes pickle = {0};
    bytes_text(&pickle, "\x80\x02");
    for (size_t i = 1; i < 3; i++) {
        pickle_storage(&pickle, &sample_storages[i]);
        bytes_text(&pickle, "0");
    }
    bytes_text(&pickle, "}");
    pickle_text(&pickle, "w");
    pickle_tensor(&pickle, storage, offset, rank, size, stride);
    bytes_text(&pickle, "s.");
    return pickle;
}

static void open_tensor_outside_of_its_storage_is_refused(void **state)
{
    (void)state;
    static const struct {
        int64_t offset, size[2], stride[2];
        const char *words;
    } cases[] = {
        {0, {2, 4}, {4, 1}, "tensor 'w' does not lie"},
        {1, {2, 3}, {3, 1}, "tensor 'w' does not lie"},
        {-1, {1, 1}, {1, 1}, "tensor 'w' does not lie"},
        {7, {0, 1}, {1, 1}, "tensor 'w' does not lie"},
        {INT64_MAX, {1, 1}, {1, 1}, "tensor 'w' does not lie"},
        {INT64_MIN, {1, 1}, {1, 1}, "tensor 'w' does not lie"},
        {0, {-1, 1}, {1, 1}, "tensor 'w' does not lie"},
        {0, {2, 2}, {-1, 1}, "tensor 'w' does not lie"},
        {0, {2, 2}, {INT64_MAX, 1}, "tensor 'w' does not lie"},
        {5, {3, 1}, {INT64_MAX, 1}, "tensor 'w' does not lie"},
        {0, {INT64_MAX, INT64_MAX}, {0, 0}, "tensor 'w' does not lie"},
        {0, {INT64_MAX, 4}, {0, 0}, "tensor 'w' does not lie"},
        {0, {1 << 20, 1 << 20}, {0, 0}, "its strides make more of the file than it holds"},
        {0, {1000, 2}, {0, 1}, "its strides make more of the file than it holds"},
    };
    for (size_t form = 0; form < CONTAINERS; form++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct bytes pickle =
                tensor_pickle(&sample_storages[0], cases[i].offset, 2, cases[i].size, cases[i].stride);
            struct bytes file = wrap(containers[form], &pickle);
            expect_refused(&file, i < 12 ? BERTH_FORMAT : BERTH_LIMIT, cases[i].words);
            bytes_free(&file);
        }
}

static void open_odd_views_are_right(void **state)
{
    (void)state;
    static const struct {
        int64_t offset;
        size_t rank;
        int64_t size[3], stride[3];
        float want[6];
    } cases[] = {
        {0,
         3,
         {1, 2, 3},
         {99, 3, 1},
         {0, 1, 2, 3, 4, 5}},                             /* a dimension of one element may have any stride */
        {1, 2, {2, 2}, {3, 1}, {1, 2, 4, 5}},             /* a block cut out of the matrix */
        {0, 1, {3}, {2}, {0, 2, 4}},                      /* every other element */
        {5, 2, {3, 1}, {0, 7}, {5, 5, 5}},                /* one element, repeated */
        {0, 3, {3, 1, 2}, {1, 5, 3}, {0, 3, 1, 4, 2, 5}}, /* the transpose, with a dimension between */
        {6, 1, {0}, {1}, {0}},                            /* nothing, at the very end */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes pickle = tensor_pickle(&sample_storages[0], cases[i].offset, cases[i].rank,
                                            cases[i].size, cases[i].stride);
        struct bytes file = wrap(torch_zip_of, &pickle);
        struct opened opened = open_bytes(&file);
        if (opened.status != BERTH_OK)
            fail_msg("case %zu: %s", i, opened.err.message);
        const struct berth_tensor *tensor = berth_checkpoint_find(opened.checkpoint, "w");
        assert_int_equal(tensor->rank, cases[i].rank);
        assert_memory_equal(tensor->data, cases[i].want, tensor->bytes);
        close_opened(&opened);
        bytes_free(&file);
    }
}

static void open_storage_that_contradicts_itself_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct torch_storage storage;
        const char *words[2]; /* zip, older */
        enum berth_status status;
    } cases[] = {
        {{"FloatStorage", "0", 7, NULL, 0},
         {"storage '0' should be f32[7], but has 24", "storage '0' should have 7"},
         BERTH_FORMAT},
        {{"DoubleStorage", "0", 6, NULL, 0}, {"should be f64[6], but has 24 bytes", ""}, BERTH_FORMAT},
        {{"FloatStorage", "0", SIZE_MAX / 2, NULL, 0}, {"impossible size", "impossible size"}, BERTH_FORMAT},
        {{"FloatStorage", "0", SIZE_MAX, NULL, 0},
         {"impossible size of -1", "impossible size of -1"},
         BERTH_FORMAT},
        {{"FloatStorage", "9", 6, NULL, 0},
         {"storage '9' is not in the archive", "storages names an unknown"},
         BERTH_FORMAT},
        {{"FloatStorage", "../data/0", 6, NULL, 0},
         {"is not in the archive", "names an unknown"},
         BERTH_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t form = 0; form < CONTAINERS; form++) {
            struct bytes pickle = tensor_pickle(&cases[i].storage, 0, 1, (int64_t[]){1}, (int64_t[]){1});
            struct bytes file = wrap(containers[form], &pickle);
            expect_refused(&file, cases[i].status, cases[i].words[form == 2]);
            bytes_free(&file);
        }
    struct bytes pickle = {0}; /* two descriptions of one storage */
    bytes_text(&pickle, "\x80\x02");
    pickle_storage(&pickle, &sample_storages[0]);
    pickle_storage(&pickle, &(struct torch_storage){"FloatStorage", "0", 5, NULL, 0});
    bytes_text(&pickle, "00}.");
    struct bytes file = wrap(torch_zip_of, &pickle);
    expect_refused(&file, BERTH_FORMAT, "storage '0' is described in two ways");
    bytes_free(&file);
}

static void open_result_without_tensors_is_refused(void **state)
{
    (void)state;
    static const char *const results[] = {"N",
                                          "K\1",
                                          "}",
                                          "]",
                                          ")",
                                          ("}\x8c\5"
                                           "epochK\1s"),
                                          "}\x8c\nstate_dict}s",
                                          "]q\1h\1a" /* holds itself */};
    for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
        struct bytes pickle = {0};
        bytes_text(&pickle, "\x80\x02");
        bytes_text(&pickle, results[i]);
        bytes_text(&pickle, ".");
        struct bytes file = wrap(torch_zip_of, &pickle);
        expect_refused(&file, BERTH_UNSUPPORTED,
                       "holds no dictionary of tensors; save the model's state_dict");
        bytes_free(&file);
    }
}

static void open_name_that_is_impossible_or_twice_is_refused(void **state)
{
    (void)state;
    struct bytes pickle = tensor_pickle(&sample_storages[0], 0, 1, (int64_t[]){1}, (int64_t[]){1});
    struct bytes twice = bytes_copy(&pickle), nul = bytes_copy(&pickle);
    bytes_replace(&nul, "X\1\0\0\0w", 6, "X\3\0\0\0w\0w", 8);
    struct bytes file = wrap(torch_zip_of, &nul);
    expect_refused(&file, BERTH_FORMAT, "a tensor's name is empty, longer than");
    bytes_free(&file);
    twice.size--; /* its STOP */
    size_t name = bytes_find(&pickle, "X\1\0\0\0w", 6);
    bytes_put(&twice, pickle.data + name, pickle.size - name);
    file = wrap(torch_zip_of, &twice);
    expect_refused(&file, BERTH_FORMAT, "tensor 'w' appears twice");
    bytes_free(&file);
    bytes_free(&pickle);
}

static void open_pickle_that_is_long_or_deep_is_refused_or_read(void **state)
{
    (void)state;
    struct bytes deep = {0}, file;
    bytes_text(&deep, "\x80\x02");
    for (size_t i = 0; i < 1 << 20; i++)
        bytes_text(&deep, ")\x85(");
    bytes_text(&deep, ".");
    file = wrap(torch_zip_of, &deep);
    expect_refused(&file, BERTH_FORMAT, "nothing is left on the stack");
    bytes_free(&file);
    struct bytes endless = {0};
    bytes_text(&endless, "\x80\x02");
    for (size_t i = 0; i < 9 << 20; i += 1024) {
        char marks[1025];
        memset(marks, '(', 1024);
        marks[1024] = 0;
        bytes_text(&endless, marks);
    }
    file = wrap(torch_zip_of, &endless);
    expect_refused(&file, BERTH_LIMIT, "a pickle of more than 8388608 bytes");
    bytes_free(&file);
}

/* --- the zip archive */

static void open_hostile_archive_is_refused(void **state)
{
    (void)state;
    /* Offsets within a central header; within a local header; within the end record. */
    enum { METHOD = 10, FLAGS = 8, STORED = 20, SIZE = 24, OFFSET = 42 };
    static const struct {
        const char *record; /* signature of the record that is changed: its first occurrence */
        size_t at, width;
        uint64_t value;
        const char *words;
        enum berth_status status;
    } cases[] = {
        {"PK\1\2", METHOD, 2, 8, "entry 'archive/data.pkl' is compressed (method 8", BERTH_UNSUPPORTED},
        {"PK\1\2", FLAGS, 2, 1, "entry 'archive/data.pkl' is encrypted", BERTH_UNSUPPORTED},
        {"PK\1\2", SIZE, 4, 0xfffffff0, "is compressed (method 0, 4294967280 bytes", BERTH_UNSUPPORTED},
        {"PK\1\2", SIZE, 8, 0, "is compressed", BERTH_UNSUPPORTED},
        {"PK\1\2", OFFSET, 4, 1, "'archive/data.pkl' is not where the directory says", BERTH_FORMAT},
        {"PK\1\2", OFFSET, 4, 0xfffffff0, "is not where the directory says", BERTH_FORMAT},
        {"PK\1\2", 28, 2, 0xffff, "an entry of its directory is cut", BERTH_FORMAT},
        {"PK\1\2", 30, 2, 0xffff, "an entry of its directory is cut", BERTH_FORMAT},
        {"PK\1\2", 46, 1, 'X', "another name or method", BERTH_FORMAT},
        {"PK\1\2", 0, 1, 'Q', "fewer entries than it says", BERTH_FORMAT},
        {"PK\3\4", 8, 2, 8, "another name or method", BERTH_FORMAT},
        {"PK\3\4", 18, 4, 77, "another size in the directory than in front", BERTH_FORMAT},
        {"PK\3\4", 26, 2, 0xffff, "another name or method", BERTH_FORMAT},
        {"PK\3\4", 28, 2, 0xffff, "another name or method", BERTH_FORMAT},
        {"PK\5\6", 4, 2, 1, "split over several files", BERTH_FORMAT},
        {"PK\5\6", 8, 4, 0xffffffff, "does not lie in the file", BERTH_FORMAT},
        {"PK\5\6", 12, 4, 0xffffffff, "does not lie in the file", BERTH_FORMAT},
        {"PK\5\6", 16, 4, 0xffffffff, "does not lie in the file", BERTH_FORMAT},
        {"PK\5\6", 20, 2, 1, "no directory at its end", BERTH_FORMAT},
        {"PK\5\6", 0, 1, 'Q', "no directory at its end", BERTH_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = sample_of(torch_zip_of);
        size_t at = bytes_find(&file, cases[i].record, 4) + cases[i].at;
        for (size_t k = 0; k < cases[i].width; k++)
            file.data[at + k] = (unsigned char)(cases[i].value >> (8 * k));
        expect_refused(&file, cases[i].status, cases[i].words);
        bytes_free(&file);
    }
}

static void open_archive_of_overlapping_entries_is_refused(void **state)
{
    (void)state;
    struct bytes file = sample_of(torch_zip_of);
    /* The second entry's directory record points to the first one's data, which is made to look like it. */
    size_t first = bytes_find(&file, "PK\1\2", 4);
    unsigned char *second = memmem(file.data + first + 4, file.size - first - 4, "PK\1\2", 4);
    memcpy(second + 42, file.data + first + 42, 4);
    expect_refused(&file, BERTH_FORMAT, "entry 'archive/byteorder' has another name");
    memcpy(second + 42, &(uint32_t){0}, 4);
    struct bytes twice = sample_of(torch_zip_of); /* one record in the place of another of the same length */
    size_t at = bytes_find(&twice, "PK\1\2", 4);
    unsigned char *zero = memmem(twice.data + at, twice.size - at, "archive/data/0", 14);
    unsigned char *one = memmem(twice.data + at, twice.size - at, "archive/data/1", 14);
    memcpy(one - 46, zero - 46, 46 + 14);
    expect_refused(&twice, BERTH_FORMAT, "'archive/data/0' and 'archive/data/0' overlap");
    bytes_free(&twice);
    bytes_free(&file);
}

static void open_hostile_zip64_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *record;
        size_t at;
        uint64_t value;
        const char *words;
    } cases[] = {
        {"PK\6\7", 8, UINT64_MAX, "no zip64 record"},
        {"PK\6\7", 8, 0, "no zip64 record"},
        {"PK\6\6", 24, 1, "split over several files"},
        {"PK\6\6", 40, UINT64_MAX, "does not lie in the file"},
        {"PK\6\6", 48, UINT64_MAX, "does not lie in the file"},
        {"\1\0\x18\0", 20, UINT64_MAX, "is not where the directory says"},
        {"\1\0\x18\0", 4, UINT64_MAX, "is compressed"},
        {"\1\0\x18\0", 0, 0x0000000000100001, "has a cut zip64 field"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = sample_of(torch_zip64_of);
        size_t at = bytes_find(&file, cases[i].record, 4) + cases[i].at;
        for (size_t k = 0; k < 8; k++)
            file.data[at + k] = (unsigned char)(cases[i].value >> (8 * k));
        expect_refused(&file, i == 6 ? BERTH_UNSUPPORTED : BERTH_FORMAT, cases[i].words);
        bytes_free(&file);
    }
}

static void open_archive_of_another_kind_is_refused(void **state)
{
    (void)state;
    struct bytes file = sample_of(torch_zip_of); /* the name in the directory and in front of the data */
    bytes_replace(&file, "archive/data.pkl", 16, "archive/code.pkl", 16);
    size_t at = bytes_find(&file, "archive/data.pkl", 16);
    memcpy(file.data + at, "archive/code.pkl", 16);
    expect_refused(&file, BERTH_FORMAT, "no data.pkl in it");
    bytes_free(&file);
    file = sample_of(torch_zip_of);
    bytes_replace(&file, "little", 6, "bigger", 6);
    expect_refused(&file, BERTH_UNSUPPORTED, "not in little-endian order");
    bytes_free(&file);
    bytes_text(&file, "PK\3\4");
    expect_refused(&file, BERTH_FORMAT, "too short");
    for (size_t i = 0; i < 200000; i += 4)
        bytes_text(&file, "PK\5\6");
    expect_refused(&file, BERTH_FORMAT, "no directory at its end");
    bytes_free(&file);
}

/* --- the older form */

static void open_hostile_older_file_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
        size_t size;
        const char *words;
        enum berth_status status;
    } cases[] = {
        {"\x6c\xfc\x9c", "\x6c\xfc\x9d", 3, "not one that torch.save wrote", BERTH_FORMAT},
        {"M\xe9\x03.", "M\xe8\x03.", 4, "not one that torch.save wrote", BERTH_FORMAT},
        {"\x88u.", "\x89u.", 3, "not in little-endian order", BERTH_UNSUPPORTED},
        {"little_endian", "little_indian", 13, "not in little-endian order", BERTH_UNSUPPORTED},
        {"\x80\x02](X\1\0\0\0"
         "0",
         "\x80\x02](X\1\0\0\0"
         "9",
         10, "names an unknown one, or one twice", BERTH_FORMAT},
        {"e.\6\0\0\0\0\0\0\0", "e.\6\0\0\0\0\0\0\x80", 10,
         "should have 6 elements, but has 9223372036854775814", BERTH_FORMAT},
        {"0X\1\0\0\0"
         "1X",
         "0X\1\0\0\0"
         "0X",
         8, "names an unknown one, or one twice", BERTH_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes file = sample_of(torch_older_of);
        bytes_replace(&file, cases[i].from, cases[i].size, cases[i].to, cases[i].size);
        expect_refused(&file, cases[i].status, cases[i].words);
        bytes_free(&file);
    }
    struct bytes file = sample_of(torch_older_of);
    file.size -= 1;
    expect_refused(&file, BERTH_FORMAT, "storage '2' of 8 bytes ends after the file");
    bytes_free(&file);
    struct bytes pickle = {0}; /* a storage that the list of keys forgets */
    sample_pickle(&pickle);
    torch_older_of(&file, &pickle, sample_storages, 2);
    expect_refused(&file, BERTH_FORMAT, "storage '2' is not in the file");
    bytes_free(&file);
    bytes_free(&pickle);
    bytes_text(&file, "\x80\x02}.");
    expect_refused(&file, BERTH_FORMAT, "");
    bytes_free(&file);
}

/* The fuzz targets' seeds are this file's valid samples: `test_torch_bin FOLDER` writes them there. */
static int write_samples(const char *folder)
{
    static const char *const names[CONTAINERS] = {"zip", "zip64", "older"};
    for (size_t i = 0; i <= CONTAINERS; i++) {
        struct bytes file = {0};
        char path[1024];
        if (i < CONTAINERS)
            file = sample_of(containers[i]);
        else
            sample_safetensors(&file);
        snprintf(path, sizeof path, "%s/%s", folder, i < CONTAINERS ? names[i] : "safetensors");
        FILE *stream = fopen(path, "wb");
        bool written = stream && fwrite(file.data, 1, file.size, stream) == file.size;
        if (stream)
            fclose(stream);
        bytes_free(&file);
        if (!written)
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return write_samples(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_sample_gives_its_tensors_in_every_form),
        cmocka_unit_test(open_mutated_sample_is_refused_or_readable),
        cmocka_unit_test(open_forbidden_opcode_is_refused_by_name),
        cmocka_unit_test(open_tensor_outside_of_its_storage_is_refused),
        cmocka_unit_test(open_odd_views_are_right),
        cmocka_unit_test(open_storage_that_contradicts_itself_is_refused),
        cmocka_unit_test(open_result_without_tensors_is_refused),
        cmocka_unit_test(open_name_that_is_impossible_or_twice_is_refused),
        cmocka_unit_test(open_pickle_that_is_long_or_deep_is_refused_or_read),
        cmocka_unit_test(open_hostile_archive_is_refused),
        cmocka_unit_test(open_archive_of_overlapping_entries_is_refused),
        cmocka_unit_test(open_hostile_zip64_is_refused),
        cmocka_unit_test(open_archive_of_another_kind_is_refused),
        cmocka_unit_test(open_hostile_older_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
