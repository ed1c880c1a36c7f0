/* test_onnx_reader.c: ONNX files made byte by byte, right and deliberately wrong: framing, nesting, shapes,
 * external data. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/onnx_reader.h"
#include "formats/onnx_wire.h"
#include "formats/onnx_writer.h"
#include "support/weights_support.h"

/* --- protobuf by hand */

static void put_varint(struct bytes *out, uint64_t number)
{
    for (; number >= 0x80; number >>= 7)
        bytes_number(out, (number & 0x7f) | 0x80, 1);
    bytes_number(out, number, 1);
}

static void put_number(struct bytes *out, unsigned field, uint64_t number)
{
    put_varint(out, field << 3);
    put_varint(out, number);
}

static void put_part(struct bytes *out, unsigned field, const void *data, size_t size)
{
    put_varint(out, field << 3 | 2);
    put_varint(out, size);
    bytes_put(out, data, size);
}

static void put_text(struct bytes *out, unsigned field, const char *text)
{
    put_part(out, field, text, strlen(text));
}

/* The graph, of opset 17. */
static void put_graph(struct bytes *model, const struct bytes *graph)
{
    struct bytes set = {0};
    put_number(&set, 2, 17);
    put_part(model, 7, graph->data, graph->size);
    put_part(model, 8, set.data, set.size);
    bytes_free(&set);
}

/* A model of one float tensor "w" with these dims and this many bytes of raw data, and Identity(w) -> y. */
static struct bytes model_of(const int64_t *dims, size_t rank, int type, size_t raw)
{
    struct bytes tensor = {0}, node = {0}, graph = {0}, model = {0};
    unsigned char *zeros = calloc(raw + 1, 1);
    for (size_t i = 0; i < rank; i++)
        put_number(&tensor, 1, (uint64_t)dims[i]);
    put_number(&tensor, 2, (uint64_t)type);
    put_text(&tensor, 8, "w");
    put_part(&tensor, 9, zeros, raw);
    put_text(&node, 1, "w");
    put_text(&node, 2, "y");
    put_text(&node, 4, "Identity");
    put_part(&graph, 1, node.data, node.size);
    put_part(&graph, 5, tensor.data, tensor.size);
    put_number(&model, 1, 8);
    put_graph(&model, &graph);
    bytes_free(&tensor);
    bytes_free(&node);
    bytes_free(&graph);
    free(zeros);
    return model;
}

static struct berth_onnx_file *open_sound(const struct bytes *model)
{
    struct berth_onnx_file *file;
    struct berth_error err;
    if (berth_onnx_open_memory("m.onnx", model->data, model->size, &file, &err) != BERTH_OK)
        fail_msg("%s", err.message);
    return file;
}

/* Refused with this status, in a sentence that names the file and holds `words`. Frees the model. */
static void expect_model_refused(struct bytes model, enum berth_status status, const char *words)
{
    struct berth_onnx_file *file;
    struct berth_error err = {0};
    unsigned char *exact =
        malloc(model.size + !model.size); /* a read one byte past the end is the sanitizer's */
    memcpy(exact, model.data ? model.data : (unsigned char *)"", model.size);
    enum berth_status got = berth_onnx_open_memory("m.onnx", exact, model.size, &file, &err);
    free(exact);
    bytes_free(&model);
    assert_null(file);
    assert_int_equal(got, status);
    assert_non_null(strstr(err.message, "m.onnx"));
    if (!strstr(err.message, words))
        fail_msg("no '%s' in: %s", words, err.message);
}

/* --- cases */

static void open_small_model_gives_its_tensor(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3};
    struct bytes model = model_of(dims, 2, BERTH_ONNX_F32, 24);
    struct berth_onnx_file *file = open_sound(&model);
    struct berth_onnx_maker maker = berth_onnx_find(file, "w");
    struct berth_tensor tensor;
    struct berth_error err;
    assert_non_null(maker.tensor);
    assert_int_equal(berth_onnx_tensor_of(file, maker.tensor, &tensor, &err), BERTH_OK);
    assert_int_equal(tensor.elements, 6);
    assert_int_equal(tensor.bytes, 24);
    assert_true((const unsigned char *)tensor.data > model.data &&
                (const unsigned char *)tensor.data < model.data + model.size);
    assert_string_equal(berth_onnx_find(file, "y").node->op_type, "Identity");
    assert_null(berth_onnx_find(file, "z").node);
    berth_onnx_close(file);
    bytes_free(&model);
}

static void open_shape_without_its_bytes_is_refused(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3}, huge[] = {INT64_MAX, INT64_MAX}, negative[] = {-1, 3},
                  two_gigabytes[] = {1 << 29};
    const int64_t many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    expect_model_refused(model_of(dims, 2, BERTH_ONNX_F32, 23), BERTH_FORMAT, "needs 24 bytes");
    expect_model_refused(model_of(dims, 2, BERTH_ONNX_F32, 28), BERTH_FORMAT, "needs 24 bytes");
    expect_model_refused(model_of(huge, 2, BERTH_ONNX_F32, 24), BERTH_FORMAT, "no tensor can have");
    expect_model_refused(model_of(negative, 2, BERTH_ONNX_F32, 24), BERTH_FORMAT, "no tensor can have");
    expect_model_refused(model_of(many, 9, BERTH_ONNX_F32, 4), BERTH_FORMAT, "no tensor can have");
    expect_model_refused(model_of(two_gigabytes, 1, BERTH_ONNX_F32, 16), BERTH_FORMAT,
                         "needs 2147483648 bytes");
}

static void open_every_truncation_is_refused_or_sound(void **state)
{
    (void)state;
    const int64_t dims[] = {2, 3};
    struct bytes model = model_of(dims, 2, BERTH_ONNX_F32, 24);
    size_t refused = 0;
    for (size_t size = 0; size < model.size; size++) {
        struct berth_onnx_file *file;
        struct berth_error err = {0};
        unsigned char *exact = malloc(size + 1);
        memcpy(exact, model.data, size);
        if (berth_onnx_open_memory("m.onnx", exact, size, &file, &err) != BERTH_OK) {
            assert_non_null(strstr(err.message, "m.onnx"));
            refused++;
        }
        berth_onnx_close(file);
        free(exact);
    }
    assert_int_equal(refused, model.size);
    bytes_free(&model);
}

/* A length of 2 GB in a file of a few bytes. */
static void open_length_beyond_the_end_is_refused(void **state)
{
    (void)state;
    struct bytes model = {0};
    put_varint(&model, 7 << 3 | 2);
    put_varint(&model, (uint64_t)1 << 31);
    bytes_text(&model, "short");
    expect_model_refused(model, BERTH_FORMAT, "breaks off");
}

/* Attribute in graph in attribute in graph ...: each level a few bytes, without end. */
static void open_deep_nesting_is_refused(void **state)
{
    (void)state;
    struct bytes inner = {0};
    for (unsigned i = 0; i < 5001; i++) { /* the last is a node, as a graph holds */
        static const unsigned chain[] = {6, 5,
                                         1}; /* AttributeProto.g, NodeProto.attribute, GraphProto.node */
        struct bytes outer = {0};
        put_part(&outer, chain[i % 3], inner.data, inner.size);
        bytes_free(&inner);
        inner = outer;
    }
    struct bytes model = {0};
    put_part(&model, 7, inner.data, inner.size);
    bytes_free(&inner);
    expect_model_refused(model, BERTH_LIMIT, "larger than any encoder's");
}

static void open_millions_of_parts_is_refused(void **state)
{
    (void)state;
    struct bytes graph = {0}, model = {0};
    for (size_t i = 0; i <= BERTH_ONNX_PARTS_MAX; i++)
        put_part(&graph, 1, "", 0);
    put_graph(&model, &graph);
    bytes_free(&graph);
    expect_model_refused(model, BERTH_LIMIT, "larger than any encoder's");
}

static void open_other_bytes_are_refused(void **state)
{
    (void)state;
    struct bytes text = {0}, graphless = {0}, groups = {0};
    bytes_text(&text, "this is no model at all");
    expect_model_refused(text, BERTH_FORMAT, "not protobuf");
    put_number(&graphless, 1, 8);
    expect_model_refused(graphless, BERTH_FORMAT, "no graph");
    put_varint(&groups, 7 << 3 | 3); /* a group: long gone from protobuf */
    expect_model_refused(groups, BERTH_FORMAT, "not protobuf");
    expect_model_refused((struct bytes){0}, BERTH_FORMAT, "empty");
}

/* Two nodes of which each reads the other's result; two that make the same value; one that reads what nothing
 * makes. */
static void open_cycles_twins_and_strangers_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *pairs[2][2], *words;
    } cases[] = {{{{"a", "b"}, {"b", "a"}}, "before a node has made it"},
                 {{{"x", "y"}, {"x", "y"}}, "are called 'y'"},
                 {{{"", "x"}, {"z", "y"}}, "reads 'z', which is neither made nor an input"}};
    for (size_t which = 0; which < sizeof cases / sizeof *cases; which++) {
        const char *const(*pairs)[2] = cases[which].pairs;
        struct bytes graph = {0}, model = {0};
        for (unsigned i = 0; i < 2; i++) {
            struct bytes node = {0};
            put_text(&node, 1, pairs[i][0]);
            put_text(&node, 2, pairs[i][1]);
            put_text(&node, 4, "Identity");
            put_part(&graph, 1, node.data, node.size);
            bytes_free(&node);
        }
        put_graph(&model, &graph);
        bytes_free(&graph);
        expect_model_refused(model, BERTH_FORMAT, cases[which].words);
    }
}

static void open_opsets_beyond_what_is_known_are_refused(void **state)
{
    (void)state;
    for (unsigned version = 6; version <= 27; version++) {
        struct bytes set = {0}, model = {0};
        put_number(&set, 2, version);
        put_part(&model, 7, "", 0);
        put_part(&model, 8, set.data, set.size);
        bytes_free(&set);
        if (version < 7 || version > 26)
            expect_model_refused(model, BERTH_UNSUPPORTED, "7 to 26 are read");
        else {
            berth_onnx_close(open_sound(&model));
            bytes_free(&model);
        }
    }
    struct bytes model = {0};
    put_part(&model, 7, "", 0);
    expect_model_refused(model, BERTH_FORMAT, "which opset");
}

/* --- external data */

static void put_entry(struct bytes *tensor, const char *key, const char *value)
{
    struct bytes entry = {0};
    put_text(&entry, 1, key);
    put_text(&entry, 2, value);
    put_part(tensor, 13, entry.data, entry.size);
    bytes_free(&entry);
}

/* Writes DIR/m.onnx whose tensor "w" [4] lies in `location`. */
static void write_external(const char *directory, const char *location, const char *offset,
                           const char *length)
{
    struct bytes tensor = {0}, graph = {0}, model = {0};
    char path[256];
    put_number(&tensor, 1, 4);
    put_number(&tensor, 2, BERTH_ONNX_F32);
    put_text(&tensor, 8, "w");
    put_entry(&tensor, "location", location);
    if (offset)
        put_entry(&tensor, "offset", offset);
    if (length)
        put_entry(&tensor, "length", length);
    put_number(&tensor, 14, 1);
    put_part(&graph, 5, tensor.data, tensor.size);
    put_graph(&model, &graph);
    snprintf(path, sizeof path, "%s/m.onnx", directory);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(model.data, 1, model.size, file), model.size);
    assert_int_equal(fclose(file), 0);
    bytes_free(&tensor);
    bytes_free(&graph);
    bytes_free(&model);
}

static void open_external_data_stays_in_its_folder(void **state)
{
    (void)state;
    static const struct {
        const char *location, *offset, *length, *words; /* words NULL: it opens */
    } cases[] = {
        {"w.data", NULL, NULL, NULL},
        {"w.data", "16", "16", NULL},
        {"w.data", "17", "16", "beyond the end"},
        {"w.data", "0", "12", "needs 16 bytes"},
        {"w.data", "18446744073709551615", "16", "beyond the end"},
        {"w.data", "-1", NULL, "does not say where"},
        {"w.data", "1x", NULL, "does not say where"},
        {"missing", NULL, NULL, "not beside it"},
        {"../w.data", NULL, NULL, "only files beside it"},
        {"/etc/hostname", NULL, NULL, "only files beside it"},
        {"..", NULL, NULL, "only files beside it"},
        {"", NULL, NULL, "only files beside it"},
        {"link", NULL, NULL, "link out of its folder"},
        {"inner", NULL, NULL, NULL},
    };
    char directory[] = "/tmp/berth_onnx_XXXXXX", path[256], other[256];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/w.data", directory);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (unsigned i = 0; i < 32; i++)
        fputc((int)i, file);
    assert_int_equal(fclose(file), 0);
    snprintf(other, sizeof other, "%s/link", directory);
    assert_int_equal(symlink("/etc/passwd", other), 0);
    snprintf(other, sizeof other, "%s/inner", directory);
    assert_int_equal(symlink("w.data", other), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct berth_onnx_file *opened;
        struct berth_error err = {0};
        write_external(directory, cases[i].location, cases[i].offset, cases[i].length);
        snprintf(path, sizeof path, "%s/m.onnx", directory);
        enum berth_status status = berth_onnx_open(path, &opened, &err);
        if ((status == BERTH_OK) != !cases[i].words ||
            (cases[i].words && !strstr(err.message, cases[i].words)))
            fail_msg("%s %s %s: %s", cases[i].location, cases[i].offset, cases[i].length,
                     status == BERTH_OK ? "opened" : err.message);
        berth_onnx_close(opened);
    }
    static const char *const made[] = {"m.onnx", "w.data", "link", "inner"};
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, made[i]);
        unlink(path);
    }
    rmdir(directory);
}

/* --- what the writer writes, the reader reads */

static enum berth_status fill_ramp(void *context, const void *item, struct berth_onnx_sink *sink,
                                   struct berth_error *err)
{
    (void)err;
    size_t count = *(const size_t *)item + *(const size_t *)context;
    for (size_t i = 0; i < count; i++) {
        float number = (float)i;
        berth_onnx_put(sink, &number, sizeof number);
    }
    return BERTH_OK;
}

/* `excess` numbers more than the shape has are given for each tensor. */
static enum berth_status write_ramp(const char *path, size_t excess, uint64_t inline_limit,
                                    struct berth_error *err)
{
    static const size_t count = 12;
    struct berth_onnx_writer *writer;
    struct berth_onnx_files files;
    assert_int_equal(berth_onnx_writer_new(17, fill_ramp, &excess, &writer, err), BERTH_OK);
    berth_onnx_tensor(writer, "w", (struct berth_onnx_shape){BERTH_ONNX_F32, 2, {3, 4}}, &count);
    berth_onnx_tensor(writer, "v", (struct berth_onnx_shape){BERTH_ONNX_F32, 1, {12}}, &count);
    berth_onnx_node(writer, "Identity", NULL, (const char *const[]){"w", NULL},
                    (const char *const[]){"y", NULL}, NULL, 0);
    enum berth_status status = berth_onnx_write(writer, path, inline_limit, &files, err);
    berth_onnx_writer_free(writer);
    return status == BERTH_OK ? berth_onnx_commit(&files, err) : status;
}

static void write_tensors_come_back(void **state)
{
    (void)state;
    char directory[] = "/tmp/berth_onnx_XXXXXX", path[256], data[300];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/m.onnx", directory);
    snprintf(data, sizeof data, "%s.data", path);
    for (uint64_t limit = 0; limit < 2; limit++) { /* within the file, then beside it */
        struct berth_error err;
        struct berth_onnx_file *file;
        if (write_ramp(path, 0, limit, &err) != BERTH_OK || berth_onnx_open(path, &file, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        assert_int_equal(access(data, R_OK), limit ? 0 : -1);
        for (const char *name = "wv"; *name; name++) {
            struct berth_tensor tensor;
            const char one[2] = {*name, 0};
            assert_int_equal(berth_onnx_tensor_of(file, berth_onnx_find(file, one).tensor, &tensor, &err),
                             BERTH_OK);
            assert_int_equal(tensor.elements, 12);
            for (size_t i = 0; i < 12; i++) {
                float number;
                berth_tensor_read_f32(&tensor, i, 1, &number);
                assert_true(number == (float)i);
            }
        }
        berth_onnx_close(file);
    }
    unlink(path);
    unlink(data);
    rmdir(directory);
}

static void write_wrong_count_leaves_no_file(void **state)
{
    (void)state;
    char directory[] = "/tmp/berth_onnx_XXXXXX", path[256];
    struct berth_error err;
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/m.onnx", directory);
    assert_int_equal(write_ramp(path, 1, 0, &err), BERTH_INTERNAL);
    assert_int_equal(rmdir(directory), 0); /* nothing was left in it */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(open_small_model_gives_its_tensor),
        cmocka_unit_test(open_shape_without_its_bytes_is_refused),
        cmocka_unit_test(open_every_truncation_is_refused_or_sound),
        cmocka_unit_test(open_length_beyond_the_end_is_refused),
        cmocka_unit_test(open_deep_nesting_is_refused),
        cmocka_unit_test(open_millions_of_parts_is_refused),
        cmocka_unit_test(open_other_bytes_are_refused),
        cmocka_unit_test(open_cycles_twins_and_strangers_are_refused),
        cmocka_unit_test(open_opsets_beyond_what_is_known_are_refused),
        cmocka_unit_test(open_external_data_stays_in_its_folder),
        cmocka_unit_test(write_tensors_come_back),
        cmocka_unit_test(write_wrong_count_leaves_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
