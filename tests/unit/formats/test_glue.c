/* test_glue.c: the published GLUE files read in their own layouts, with the published numbers of examples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "formats/glue.h"
#include "support/golden.h"

struct published {
    const char *task, *file;
    size_t examples;
    bool labels; /* the file has them */
};

static const struct published files[] = {
    {"sst2", "data/sst2/train.tsv", 67349, true},     {"sst2", "data/sst2/dev.tsv", 872, true},
    {"sst2", "data/sst2/test.tsv", 1821, false},      {"cola", "data/glue/CoLA/train.tsv", 8551, true},
    {"cola", "data/glue/CoLA/dev.tsv", 1043, true},   {"cola", "data/glue/CoLA/test.tsv", 1063, false},
    {"mrpc", "data/glue/MRPC/train.tsv", 3668, true}, {"mrpc", "data/glue/MRPC/dev.tsv", 408, true},
    {"mrpc", "data/glue/MRPC/test.tsv", 1725, false}, {"stsb", "data/glue/STS-B/train.tsv", 5749, true},
    {"stsb", "data/glue/STS-B/dev.tsv", 1500, true},  {"stsb", "data/glue/STS-B/test.tsv", 1379, false},
    {"qnli", "data/glue/QNLI/dev.tsv", 5463, true},   {"qnli", "data/glue/QNLI/test.tsv", 5463, false},
    {"rte", "data/glue/RTE/train.tsv", 2490, true},   {"rte", "data/glue/RTE/dev.tsv", 277, true},
    {"rte", "data/glue/RTE/test.tsv", 3000, false},   {"wnli", "data/glue/WNLI/train.tsv", 635, true},
    {"wnli", "data/glue/WNLI/dev.tsv", 71, true},     {"wnli", "data/glue/WNLI/test.tsv", 146, false},
};

/* Reads a file to its end, checking that every record has what its task promises; returns how many there
 * were. */
static size_t count_records(const struct published *file, const char *path, size_t *last_class)
{
    struct berth_reader *reader;
    struct berth_record record;
    struct berth_error err;
    size_t count = 0;
    bool end;
    const struct berth_task *task = berth_task_find(file->task);
    assert_non_null(task);
    *last_class = 0;
    assert_int_equal(BERTH_OK, berth_reader_open_task(path, file->task, NULL, file->labels, &reader, &err));
    for (;; count++) {
        if (berth_reader_next(reader, &record, &end, &err) != BERTH_OK)
            fail_msg("%s", err.message);
        if (end)
            break;
        assert_true(record.text.size > 0 && (record.text.pair != NULL) == (task->pair != NULL));
        assert_true((record.label != NULL) == file->labels);
        assert_int_equal(record.line, count + (task->headerless && file->labels ? 1 : 2));
        if (record.label)
            *last_class += strcmp(record.label, "1") == 0;
    }
    berth_reader_close(reader);
    return count;
}

static void reader_glue_files_have_the_published_examples(void **state)
{
    (void)state;
    size_t read = 0, ones;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = golden_find(files[i].file);
        if (!path) {
            printf("SKIP: test_glue: %s is missing\n", files[i].file);
            continue;
        }
        assert_int_equal(files[i].examples, count_records(&files[i], path, &ones));
        if (strcmp(files[i].file, "data/sst2/train.tsv") == 0)
            assert_int_equal(37569, ones);
        if (strcmp(files[i].file, "data/sst2/dev.tsv") == 0)
            assert_int_equal(444, ones);
        read++;
    }
    assert_true(read > 0);
}

static void reader_glue_test_files_with_labels_wanted_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path = golden_find(files[i].file);
        struct berth_reader *reader;
        struct berth_error err;
        if (!path || files[i].labels)
            continue;
        assert_int_equal(BERTH_FORMAT,
                         berth_reader_open_task(path, files[i].task, NULL, true, &reader, &err));
        assert_null(reader);
        assert_non_null(strstr(err.message, "labels are needed"));
        assert_non_null(strstr(err.message, path));
    }
}

int main(void)
{
    golden_path("data/sst2/dev.tsv");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_glue_files_have_the_published_examples),
        cmocka_unit_test(reader_glue_test_files_with_labels_wanted_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
